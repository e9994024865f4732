"""What keepers have written of attempts, for tests that must know which process is whose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from jobctl.process import descent, journal, keepers
from jobctl.process.end import End

PATIENCE = float(os.environ.get("JOBCTL_TEST_PATIENCE", "60"))  # seconds


def entry(state: str | Path, id: str) -> journal.Entry | None:
    """What all keepers of a state folder together say of an attempt (RUN/KEY.NUMBER)."""
    folder = os.path.join(state, "executors")
    found = [journal.read(journal.files(folder, name)).entries for name in keepers.left_behind(folder)]
    return next((one[id] for one in reversed(found) if id in one), None)


def process(state: str | Path, id: str) -> int:
    """The pid of an attempt's first process, waited for."""
    found = _waited(lambda: (one := entry(state, id)) is not None and one.pid)
    assert isinstance(found, int)
    return found


def end(state: str | Path, id: str) -> End:
    """How an attempt ended, waited for; the executor may not have heard of it."""
    found = _waited(lambda: (one := entry(state, id)) is not None and one.end)
    assert isinstance(found, End)
    return found


def _waited(what: Callable[[], object]) -> object:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def end_all(state: str | Path) -> None:
    """Nothing of a state folder lives on. Its executor is gone: a keeper that comes so late begins nothing."""
    folder = os.path.join(state, "executors")
    if not os.path.isdir(folder):
        return
    for name in keepers.left_behind(folder):
        if keepers.lives(folder, name):
            header = journal.read(journal.files(folder, name)).header
            if header is not None:
                descent.signal_process(header.pid, signal.SIGKILL)
    ours = f"JOBCTL_STATE_DIR={state}".encode()
    for _ in range(3):
        for pid in descent.pids():
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if ours in variables and any(one.startswith(b"JOBCTL_TOKEN=") for one in variables):
                descent.signal_process(pid, signal.SIGKILL)
    keepers.reap()
