"""What is generated from the declarations is what is committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.cli import interface
from jobctl.cli.main import _AS_MODULE, _IN_STEP

GENERATED = interface.generated(Path(__file__).parents[2])


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: file.name)
def test_generated_files_are_current(file: Path) -> None:
    assert file.read_text() == GENERATED[file], "run: python -m jobctl.cli.interface"


def test_every_command_has_its_file() -> None:
    folder = Path(interface.__file__).parent / "commands"
    commands = [path for path, command in interface.table().items() if not command["group"]]
    assert "list" in commands
    files = {path: _IN_STEP.get(path, path.translate(_AS_MODULE)) for path in commands}
    missing = [path for path, file in files.items() if not (folder / f"{file}.py").exists()]
    assert missing == []
