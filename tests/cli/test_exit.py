"""Errors as two lines and an exit code, whatever was raised and wherever the output goes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.cli import exit
from jobctl.core.errors import (
    DefinitionError,
    JobctlError,
    NotFoundError,
    Problem,
    StoreError,
    UsageError,
)

JOBCTL = [sys.executable, "-m", "jobctl"]


def _raising(error: BaseException) -> int:
    def body() -> int:
        raise error

    return exit.guard(body, json=False)


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (JobctlError("it broke", hint="mend it"), 1, "error: it broke\nhint: mend it\n"),
        (JobctlError("it broke"), 1, "error: it broke\n"),
        (UsageError("no", hint="yes"), 2, "error: no\nhint: yes\n"),
        (NotFoundError("no run", hint="h"), 3, "error: no run\nhint: h\n"),
        (StoreError("locked", hint="h"), 4, "error: locked\nhint: h\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (sqlite3.OperationalError("is locked"), 4, "error: the state store cannot be used: is locked\nhint:"),
        (PermissionError(13, "Permission denied", "/x/jobs.toml"), 1, "error: /x/jobs.toml: Permission denied\nhint:"),
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError: division by zero\nhint: this is a bug"),
    ],
)
def test_every_exception_is_a_sentence_and_a_code(
    error: BaseException, code: int, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBCTL_DEBUG", raising=False)
    assert _raising(error) == code
    printed = capsys.readouterr()
    assert shown in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBCTL_DEBUG", "1")
    assert _raising(ZeroDivisionError("division by zero")) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_definitions_error_lists_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    error = DefinitionError(
        [
            Problem("is wrong", hint="right it", file="jobs.toml", line=3, job="a", key="retry"),
            Problem("is odd", file="jobs.toml", line=9, warning=True),
        ]
    )
    assert exit.show(error, json=True) == 2
    printed = capsys.readouterr()
    assert printed.err == ("error: jobs.toml:3: job a, retry: is wrong\nhint: right it\nwarning: jobs.toml:9: is odd\n")
    document = json.loads(printed.out)["error"]
    assert document["code"] == "definition"
    assert [(p["line"], p["severity"]) for p in document["problems"]] == [(3, "error"), (9, "warning")]


def test_with_json_an_error_is_a_document_too() -> None:
    done = subprocess.run([*JOBCTL, "--json", "rnu"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: no such command 'rnu'"
    assert done.stderr.splitlines()[1].startswith("hint: did you mean run?")
    assert json.loads(done.stdout)["error"] == {
        "code": "usage",
        "message": "no such command 'rnu'",
        "hint": done.stderr.splitlines()[1].removeprefix("hint: "),
    }


def _guarded(body: str, redirect: str) -> subprocess.CompletedProcess[str]:
    """A guarded body in a process of its own, under a shell that sends its output somewhere."""
    code = (
        "import select, sys\n"
        "from jobctl.cli import exit\n"
        f"def body():\n    {body}\n    return 0\n"
        "sys.exit(exit.guard(body, json=False))"
    )
    return subprocess.run(
        ["/bin/bash", "-c", f'"$1" -c "$2" {redirect}', "sh", sys.executable, code], capture_output=True, text=True
    )


@pytest.mark.parametrize("text", ["'x'", "'x' * 1_000_000"], ids=["short", "long"])
def test_a_reader_that_has_had_enough_ends_it_quietly(text: str) -> None:
    # The pipe would take a short text as long as the reader is there.
    gone = "poll = select.poll(); poll.register(1, select.POLLERR); poll.poll(20_000)"
    done = _guarded(f"{gone}; print({text})", "| true; exit ${PIPESTATUS[0]}")
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize("text", ["'x'", "'x' * 1_000_000"], ids=["short", "long"])
@pytest.mark.parametrize(
    ("redirect", "code", "said"),
    [
        (">/dev/full", 1, "error: "),
        (">/dev/full 2>&-", 1, ""),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
def test_output_that_goes_nowhere_leaves_no_traceback(text: str, redirect: str, code: int, said: str) -> None:
    done = _guarded(f"print({text})", redirect)
    assert done.returncode == code
    assert done.stderr[: len("error: ")] == said
    assert "could not be written: No space left on device" in done.stderr or not said
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_closed_descriptors_are_not_given_to_the_next_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    stray = "import os; os.write(1, b'stray'); os.write(2, b'stray')"
    done = _guarded(f"kept = open({str(file)!r}, 'w'); {stray}", ">&- 2>&-")
    assert done.returncode == 0
    assert file.read_text() == ""


def test_text_that_the_encoding_cannot_hold_is_escaped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from jobctl.cli import exit; exit.guard(lambda: print('\\udc80 \\u2192'), json=False)"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == b"\\udc80 \\u2192\n"
    assert done.stderr == b""


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = (
        "import sys; from jobctl.cli import exit;"
        f" sys.exit(exit.guard(lambda: len(open({str(fifo)!r}).read()), json=False))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    with open(fifo, "w"):  # opens when the other side is inside the guard
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "error: interrupted\n"
