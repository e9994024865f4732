"""Another process that is stopped amid a transaction: what must be recorded waits for it, what runs does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from homes import PATIENCE, Daemons

# What has nothing to do with the lock, and would be late if its executor waited for that: a command that falls silent.
SILENT = """
[[jobs.x.steps]]
name = "silent"
needs = []
timeout = { heartbeat = "1s" }
command = "echo $$ > pid; echo up >> $JOBCTL_HEARTBEAT; exec sleep 60"
"""
# What the executor has to record meanwhile.
RECORDS = """
[[jobs.x.steps]]
name = "records"
needs = []
retry = { maximum_attempts = 0, initial_interval = "100ms", backoff_coefficient = 1.0 }
command = "exit 1"
"""
FIRES = "[jobs.tick]\nschedule = { every = '1s' }\noverlap = 'allow_all'\ncommand = 'true'\n"

# who runs it, beside what (attack, "Small ones": thirty seconds of SQLite's patience in the only thread)
SITUATIONS = {
    "a daemon that has an attempt's end to record": ("daemon", SILENT + RECORDS),
    "a daemon that fires": ("daemon", SILENT + FIRES),
    "a foreground run that has an attempt's end to record": ("run", SILENT + RECORDS),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_store_that_is_held_delays_no_timeout(home: Callable[[str], Daemons], situation: str) -> None:
    who, text = SITUATIONS[situation]
    place = home("[jobs.x]\n" + text)
    if who == "daemon":
        place.daemon()
        place.detach("x")
    else:
        place.start("run", "x", "--quiet")
    place.until(lambda: place.lines("pid"))
    pid = int(place.lines("pid")[0])
    assert pid > 1
    with stopped_amid_a_transaction(place.state):
        assert _lives(pid)
        place.until(lambda: not _lives(pid))  # and nobody lets go of the lock before
    place.until(lambda: _timed_out(place))


@contextmanager
def stopped_amid_a_transaction(state: Path) -> Iterator[None]:
    body = (
        "import os, signal, sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None);"
        "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    holder = subprocess.Popen([sys.executable, "-c", body, str(state / "jobctl.db")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.kill()
        holder.wait(PATIENCE)
        holder.stdout.close()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _timed_out(place: Daemons) -> bool:
    [row] = place.rows("x")
    steps = place.run_document(row.name)["steps"]
    return any(attempt["status"] == "timed_out" for step in steps for attempt in step["attempts"])


def test_what_was_held_up_is_recorded_when_the_lock_is_free(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'touch up; until [ -e go ]; do sleep 0.02; done; touch down'\n")
    run = place.start("run", "x")
    place.until(lambda: (place.folder / "up").exists())
    with stopped_amid_a_transaction(place.state):
        place.go()
        place.until(lambda: (place.folder / "down").exists())
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(0.2)
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output
    assert place.rows("x")[0].status == "succeeded"
