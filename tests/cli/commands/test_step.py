"""The commands for inside of a step's command, called outside of one, or wrongly. Their work: test_suspensions.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jobctl
from jobctl.cli.main import main
from jobctl.core.errors import UsageError
from jobctl.process import attempt as files_of

INSIDE = {
    "JOBCTL_JOURNAL": "main.1.journal",
    "JOBCTL_WAITS": "main.1.waits",
    **{f"JOBCTL_{name.upper()}": f"main.1.{name}" for name in ("heartbeat", "output", "failure")},
}


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of an attempt, whose files are in the folder."""
    for name, file in INSIDE.items():
        monkeypatch.setenv(name, str(tmp_path / file))
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "step x -- true",
        "step x true",
        "sleep 1d",
        "sleep-until 2026-12-24T18:00:00Z",
        "wait-signal go",
        "heartbeat 7",
        "output a=1",
        "fail why",
    ],
)
def test_outside_of_a_step_they_say_so(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in INSIDE:
        monkeypatch.delenv(name, raising=False)
    assert main(line.split()) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: jobctl {line.split()[0]} works inside a step's command\nhint: ")
    assert told.out == ""


@pytest.mark.parametrize("name", ["heartbeat", "cursor", "output"])
def test_in_python_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in INSIDE:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f"jobctl.{name} works inside a step's command"):
        getattr(jobctl, name)()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (["sleep", "10"], "DURATION: '10' is not a duration"),
        (["sleep-until", "tomorrow"], "TIME: 'tomorrow' is not a time"),
        (["wait-signal", "go", "--timeout", "x"], "--timeout: 'x' is not a duration"),
        (["output", "a"], "'a' is not KEY=VALUE"),
        (["output", "=1"], "'' cannot be the name of an output"),
        (["output", "a<<b=1"], "'a<<b' cannot be the name of an output"),
        (["heartbeat", "a\nb"], "a cursor is one line"),
        (["fail", "why", "--retry-delay", "x"], "--retry-delay: 'x' is not a duration"),
        (["step", "x", "--"], "missing argument"),
    ],
)
def test_what_is_wrong_leaves_no_trace(
    inside: Path, capsys: pytest.CaptureFixture[str], line: list[str], error: str
) -> None:
    assert main(line) == 2
    assert error in capsys.readouterr().err
    assert list(inside.iterdir()) == []


def test_what_they_write_is_what_is_read(inside: Path) -> None:
    assert main(["output", "a=1", "b=two\nlines\nEND", "c=x=y<<z"]) == 0
    assert files_of.read_outputs(str(inside / "main.1.output")) == {"a": "1", "b": "two\nlines\nEND", "c": "x=y<<z"}
    assert main(["heartbeat", "7"]) == 0
    assert main(["heartbeat"]) == 0
    assert files_of.read_cursor(str(inside / "main.1.heartbeat")) == "7"
    assert main(["fail", "no\nsuch user", "--non-retryable", "--type", "user", "--retry-delay", "5s"]) == 1
    failure = files_of.read_failure(str(inside / "main.1.failure"))
    assert failure == files_of.Failure("no\nsuch user", "user", True, 5_000)


def test_json_of_the_command_is_not_ours(inside: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "step", "x\ny", "--", "true", "--json"],
        env={**os.environ, **{name: str(inside / file) for name, file in INSIDE.items()}},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no name for a step" in done.stderr


def test_what_scripts_use_is_loaded_when_it_is_used_and_light() -> None:
    code = "import sys, jobctl; before = set(sys.modules); jobctl.step; print(*sorted(set(sys.modules) - before))"
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {
        "jobctl.core",
        "jobctl.host",
        "jobctl.scripts",
        "jobctl.core.errors",
        "jobctl.scripts.record",
        "jobctl.host.files",
        "jobctl.scripts.functions",
    }
    assert set(bare) == {*ours, "_json", "errno", "fcntl"}


def test_everything_that_is_offered_is_there() -> None:
    for name in jobctl._SCRIPT:
        assert callable(getattr(jobctl, name))
    with pytest.raises(AttributeError, match="no attribute 'stepp'"):
        getattr(jobctl, "stepp")  # noqa: B009
