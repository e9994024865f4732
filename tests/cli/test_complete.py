"""What the shells are offered."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.cli import _interface, complete

NAMES = {"JOB": ["backup", "build"], "RUN": ["backup-a1b2c3"]}


def offered(*words: str) -> list[str]:
    def names(kind: str, flags: dict[str, Any]) -> list[str]:
        return [*NAMES[kind], *flags["file"]]

    return [word for word, _ in complete.candidates(list(words), _interface.COMMANDS, names)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["st"], ["status", "step"]),
        (["--json", "wa"], ["wait", "wait-signal"]),
        (["nonsense", ""], []),
        (["run", "b"], ["backup", "build"]),
        (["run", "backup", ""], []),
        (["run", "-p", "a=b", "ba"], ["backup"]),
        (["run", "--wa"], ["--wait"]),
        (["run", "--wait", ""], []),
        (["-f", "build.toml", "run", "build"], ["build", "build.toml"]),
        (["--file=build.toml", "run", "build"], ["build", "build.toml"]),
        (["-f", ""], [":files"]),
        (["logs", "backup", "-f", ""], []),
        (["--state-dir", "x"], [":folders"]),
        (["--color", "a"], ["auto", "always"]),
        (["--color=a"], ["--color=auto", "--color=always"]),
        (["--color", "="], ["auto", "always", "never"]),
        (["--color", "=", "n"], ["never"]),
        (["--nonsense=a"], []),
        (["history", "--status", "fail"], ["failed"]),
        (["status", "backup"], ["backup", "backup-a1b2c3"]),
        (["cancel", "x", "y", "backup-"], ["backup-a1b2c3"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["list", ""], []),
        ([], [path for path in _interface.COMMANDS if path and " " not in path]),
    ],
)
def test_candidates(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected
