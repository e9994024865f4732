"""What the shells are offered."""

from __future__ import annotations

from typing import Any

import pytest
from live_runs import HELD, Runs

from jobctl.cli.commands import complete
from jobctl.cli.main import main
from jobctl.cli.table import TABLE
from jobctl.core.definition import shapes
from jobctl.core.model import Step
from jobctl.store.queries import new_name

NAMES = {"JOB": ["backup", "build"], "RUN": ["backup-a1b2c3"]}


def offered(*words: str) -> list[str]:
    def names(kind: str, flags: dict[str, Any]) -> list[str]:
        return [*NAMES[kind], *(file.removesuffix(".toml") for file in flags["file"])]

    return [word for word, _ in complete.candidates(list(words), TABLE, names)]


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
        (["-f", "build.toml", "run", "build"], ["build", "build"]),
        (["--file=build.toml", "run", "build"], ["build", "build"]),
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
        (["help", "sch"], ["schedule", "schema"]),
        (["help", "schedule", "n"], ["next"]),
        (["help", "run", ""], []),
        ([], [path for path in TABLE if path and " " not in path]),
    ],
)
def test_candidates(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_only_what_is_a_name_is_offered() -> None:
    def names(kind: str, flags: dict[str, Any]) -> list[str]:  # noqa: ARG001
        foreign = [
            "x$(pwned)",
            "x`pwned`",
            "x;pwned",
            "x pwned",
            "x*",
            "x\npwned",
            "x\x1b]0;pwned\a",
            "x\tpwned",
            ":files",
            "",
        ]
        return [
            *foreign,
            *(name + "-a1b2c3" for name in foreign),
            "-x",
            "x/y",
            *["x" * 64] * (kind == "JOB"),
            "2026-11-30T13:00:00Z",
            *NAMES[kind],
        ]

    for words in (["run", ""], ["run", "x"], ["status", ""], ["logs", ""], ["cancel", ":"]):
        found = [word for word, _ in complete.candidates(words, TABLE, names)]
        assert set(found) <= {*NAMES["JOB"], *NAMES["RUN"]}
        assert "".join(words[1:]) or found


def test_what_a_name_is() -> None:
    assert complete.JOB == shapes.NAME
    for job in ("a", "a-b_c", "a.notify", "x" * 63):
        assert complete._is("RUN", new_name(job))


@pytest.mark.parametrize("command", ["retry-now", "ack", "status"])
def test_a_run_is_offered_to_what_can_be_asked_of_it(
    runs: Runs, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    done = runs.done(runs.job(Step("a", command="true"), name="done"))
    failed = runs.done(runs.job(Step("a", command="exit 3"), name="failed"))
    waits = runs.start(runs.job(Step("a", command=HELD), name="waits")).name
    assert main(["__complete", command, ""]) == 0
    expected = {"retry-now": {waits}, "ack": {failed}, "status": {done, failed, waits}}
    assert set(capsys.readouterr().out.split()) == expected[command]
