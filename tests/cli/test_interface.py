"""What is generated from the declarations is what is committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.cli import interface

GENERATED = interface.generated(Path(__file__).parents[2])


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: file.name)
def test_generated_files_are_current(file: Path) -> None:
    assert file.read_text() == GENERATED[file], "run: python -m jobctl.cli.interface"


def test_every_command_has_its_file() -> None:
    folder = Path(interface.__file__).parent
    commands = [path for path, command in interface.table().items() if not command["group"]]
    assert "list" in commands
    missing = [path for path in commands if not (folder / f"{path.replace(' ', '_')}.py").exists()]
    assert missing == []
