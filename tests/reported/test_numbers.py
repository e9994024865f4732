"""Numbers beyond what is expected are usage errors, in every option that takes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.main import main
from jobctl.cli.table import TABLE

HUGE = ("1000000001", "999999999999999999", "9223372036854775808", "99999999999999999999", "9" * 5000)

# What a command wants beside the option.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "logs": ("x",),
    "schedule next": ("x",),
    "schedule backfill": ("x", "--from", "2026-01-01", "--to", "2026-01-02"),
    "run": ("x",),
}


def _options() -> list[tuple[str, str]]:
    """(command, option) of every option that is a whole number."""
    return [
        (row.path, name)
        for row in TABLE.values()
        for name, option in row.by_name.items()
        if option.kind == "integer" and name[:2] == "--"
    ]


def test_there_are_some() -> None:
    assert ("history", "--limit") in _options()


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(("command", "option"), _options())
def test_a_number_that_nobody_means(
    command: str, option: str, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.toml").write_text("[jobs.x]\ncommand = 'true'\nschedule = '0 0 1 1 *'\n")
    monkeypatch.setenv("JOBCTL_STATE_DIR", str(tmp_path / "state"))
    code = main([*command.split(), *ARGUMENTS.get(command, ()), option, number])
    said = capsys.readouterr().err
    assert code == 2, said
    assert option in said
    assert "unexpected" not in said
