"""Signals in every phase of a foreground command: from its first instruction, and before and outside of the run's loop.

Sources: pyinvoke/invoke#251, ansible/awx#7425 (tracebacks at the start), go-task/task#132 (a wait that a signal ends as
it likes), daily-co/pipecat-cloud-images#104, taskiq-python/taskiq#461, lfn-cnti/testsuite#1940 (the first process of a
container gets none that it has no handler for).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from homes import JOBCTL, PATIENCE, Daemons, Home

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 130}  # of a run that was canceled by it
BARE = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}  # where there was nothing to cancel
SIGNALS = list(CODES)

JOBS = """
[queues.q]
concurrency = 1
[jobs.hold]
queue = "q"
command = "echo up >> holds; while [ ! -e go ]; do sleep 0.05; done"
[jobs.next]
queue = "q"
command = "echo ran >> ran; while [ ! -e end ]; do sleep 0.05; done"
[jobs.free]
command = "echo ran >> ran; while [ ! -e end ]; do sleep 0.05; done"
"""


def _said(process: subprocess.Popen[str], place: Home, number: int) -> str:
    """What it says after this signal, until it has ended."""
    process.send_signal(number)
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it goes on: {process.communicate()[0]}; {place.document()}") from None
    assert "Traceback" not in output
    return output


def _listen(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}")


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_waits_for_a_place(home: Callable[[str], Daemons], number: int) -> None:
    place = home(JOBS)
    hold = place.start("run", "hold")
    place.until(lambda: place.lines("holds"))
    waits = place.start("run", "next")
    _listen(waits, "waits for a place")
    _said(waits, place, number)
    assert waits.returncode == CODES[number]
    [row] = place.rows("next")
    assert row.status == "canceled"
    place.go()
    hold.communicate(timeout=PATIENCE)
    place.call("daemon", "--once")
    assert place.lines("ran") == []


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("situation", ["it was handed over", "a daemon was faster"])
def test_while_a_daemon_has_the_run(home: Callable[[str], Daemons], situation: str, number: int) -> None:
    place = home(JOBS)
    place.daemon()
    if situation == "it was handed over":
        waits = place.start("run", "free", "--wait", "1h")
    else:
        place.detach("hold")
        place.until(lambda: place.lines("holds"))
        waits = place.start("run", "next")
        # Stopped, it does not see the place that becomes free; the daemon does.
        _listen(waits, "waits for a place")
        waits.send_signal(signal.SIGSTOP)
        place.go()
        place.until(lambda: place.lines("ran"))
        waits.send_signal(signal.SIGCONT)
    place.until(lambda: place.lines("ran"))
    said = _said(waits, place, number)
    assert waits.returncode == CODES[number], said
    assert [row.status for row in place.rows() if row.job != "hold"] == ["canceled"]


def test_while_it_waits_for_a_daemon(home: Callable[[str], Daemons]) -> None:
    """Nobody has it: it is ended here, and no daemon that comes later begins it."""
    place = home(JOBS)
    waits = place.start("run", "free", "--wait", "1h")
    _listen(waits, "no daemon runs here")
    said = _said(waits, place, signal.SIGTERM)
    assert waits.returncode == 143, said
    place.call("daemon", "--once")
    assert [row.status for row in place.rows()] == ["canceled"]
    assert place.lines("ran") == []


def test_a_second_one_kills_what_a_daemon_has(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.stubborn]\nkill_grace = '1h'\ncommand = \"trap '' TERM; echo ran >> ran; sleep 600\"\n")
    place.daemon()
    waits = place.start("run", "stubborn", "--wait", "1h")
    place.until(lambda: place.lines("ran"))
    waits.send_signal(signal.SIGTERM)
    _listen(waits, "canceling")
    _said(waits, place, signal.SIGTERM)
    assert waits.returncode == 137
    assert place.rows()[0].status == "terminated"


@pytest.mark.parametrize("number", SIGNALS)
def test_of_a_run_that_is_taken_up_again(home: Callable[[str], Daemons], number: int) -> None:
    """At each commit of `resume`: the one that reopens the run, the one that takes it, the next."""
    place = home("[jobs.x]\ncommand = 'test -e go && echo ran >> ran && sleep 600; exit 1'\n")
    assert place.call("run", "x")[0] == 1
    place.go()
    for instant in (1, 2, 3):
        name = signal.Signals(number).name.removeprefix("SIG")
        inject = f"inject=fdatasync,fsync:signal={name}:when={instant}"
        before = ("strace", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject)
        if shutil.which("strace") is None:
            pytest.skip("strace is not installed")
        code, said = place.call("resume", "x", before=before)
        assert code == CODES[number], (instant, said)
        assert "Traceback" not in said
        assert place.rows()[-1].status == "canceled", (instant, said)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", [("run", "free"), ("run", "next"), ("resume", "free"), ("run", "free", "--detach")])
def test_while_the_store_is_locked(home: Callable[[str], Daemons], command: tuple[str, ...], number: int) -> None:
    """Nothing is recorded, nothing runs, and nobody waits for the lock's patience."""
    place = home(JOBS)
    place.daemon()
    (place.folder / "end").touch()
    place.call("run", "free", "--wait", "1h")
    before = [(row.name, row.status) for row in place.rows()]
    with closing(sqlite3.connect(place.state / "jobctl.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        more = ("--from", "main") if command[0] == "resume" else ()
        waits = place.start(*command, *more)
        place.until(lambda: _waits_for_lock(waits.pid, place.state / "jobctl.db-shm"))
        _said(waits, place, number)
        assert waits.returncode == BARE[number]
        holder.execute("ROLLBACK")
    assert [(row.name, row.status) for row in place.rows()] == before


def _waits_for_lock(pid: int, path: Path) -> bool:
    """Whether it has the store open, and sleeps."""
    try:
        files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        return str(path) in files and "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", [("wait", "free"), ("logs", "-f", "free")])
def test_who_only_looks_ends_at_once_and_the_run_goes_on(
    home: Callable[[str], Daemons], command: tuple[str, ...], number: int
) -> None:
    place = home(JOBS)
    place.daemon()
    place.detach("free")
    place.until(lambda: place.lines("ran"))
    looks = place.start(*command)
    place.until(lambda: _waits_for_lock(looks.pid, place.state / "jobctl.db-shm"))
    assert _said(looks, place, number) == ""
    assert looks.returncode == BARE[number]
    assert place.rows()[0].status == "running"
    (place.folder / "end").touch()
    place.until(lambda: place.rows()[0].status == "succeeded")


def test_a_closed_terminal_is_told_as_a_signal_is(home: Callable[[str], Daemons]) -> None:
    """The end of the run could not be written, which is what its exit code said."""
    place = home(JOBS)
    ours, theirs = os.openpty()
    script = "import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *JOBCTL, "run", "free"],
        cwd=place.folder,
        env={**place.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    place.until(lambda: place.lines("ran"))
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 130
    assert place.rows()[0].status == "canceled"


def _opened(place: Home, *command: str) -> list[str]:
    """The files that a command opens, in order."""
    record = place.folder / "opened"
    subprocess.run(
        ["strace", "-qq", "-o", str(record), "-e", "trace=openat", *JOBCTL, *command],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        check=False,
    )
    return [line for line in record.read_text().splitlines() if "openat(" in line]


@pytest.mark.parametrize("first", [False, True], ids=["", "as the first process of a container"])
@pytest.mark.parametrize("command", [("status",), ("run", "free"), ("wait", "free"), ("daemon",)])
def test_from_the_first_instruction(home: Callable[[str], Daemons], command: tuple[str, ...], first: bool) -> None:
    """At several places of its start: a signal ends it, and of Python nothing is seen. What comes before the first
    line of jobctl is Python's own."""
    if shutil.which("strace") is None or shutil.which("unshare") is None:
        pytest.skip("strace or unshare is not installed")
    place = home(JOBS)
    (place.folder / "end").touch()
    place.call("run", "free")
    opened = _opened(place, "status")
    start = next(i for i, line in enumerate(opened, 1) if re.search(r"jobctl/cli/(__pycache__/)?main\.", line))
    contained = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc") if first else ()
    if first and os.geteuid() != 0:
        contained += ("--map-current-user",)
    # HUP has a daemon read its definitions again.
    numbers = SIGNALS if command != ("daemon",) else [signal.SIGINT, signal.SIGTERM]
    for number, instant in zip(numbers * 2, range(start + 1, len(opened) - 1, 9), strict=False):
        name = signal.Signals(number).name.removeprefix("SIG")
        inject = f"inject=openat:signal={name}:when={instant}"
        before = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-e", inject, *contained)
        code, said = place.call(*command, before=before)
        assert "Traceback" not in said, (number, instant)
        assert code in (BARE[number], CODES[number]), (number, instant, said)
