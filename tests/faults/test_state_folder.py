"""What can happen to the state folder and its disk while a daemon uses it: full, moved, damaged, replaced, newer."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from homes import PATIENCE, Daemons, interfered
from records import HOLD, TICK, check_ticks

pytestmark = pytest.mark.faults

FLOOD = """
[jobs.flood]
log_limit = "64KiB"
command = 'head -c 30000000 /dev/zero'
"""


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def test_a_full_disk_stops_new_work_and_loses_nothing(home: Callable[..., Daemons], small_disk: Path) -> None:
    place = home(HOLD + TICK + FLOOD, small_disk)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks") and len(place.lines("ticks")) >= 2)
    _fill(small_disk / "filler")
    place.until(lambda: "disk is full" in place.said())
    place.go()  # it ends, and there is no room to say so
    place.until(lambda: place.lines("marks") == ["begin", "end"])
    code, output = place.call("run", "hold")
    assert code == 4, output
    assert "hint: " in output
    assert place.call("status")[0] == 0
    time.sleep(1.5)  # a fire time or two that nobody can record
    assert daemon.poll() is None
    (small_disk / "filler").unlink()
    place.until(lambda: place.run_document(name)["status"] == "failed")
    (attempt,) = place.run_document(name)["steps"][0]["attempts"]
    assert (attempt["exit_code"], Path(attempt["log"]).read_text()) == (7, "said\n")

    place.detach("flood")  # a log that fills the disk until it is cut
    place.until(lambda: place.rows("flood")[0].finished_at)
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) >= seen + 2)
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143
    check_ticks(place)
    with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
def test_a_read_only_disk_can_still_be_asked(home: Callable[..., Daemons], small_disk: Path, killed: bool) -> None:
    """As a file system is mounted anew after an error of its disk: that is when somebody wants to know what ran."""
    place = home(HOLD + TICK, small_disk)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks") and place.lines("ticks"))
    place.go()
    place.until(lambda: place.run_document(name)["finished_at"])
    asked = (["status", name, "--json"], ["history", "hold", "--json"], ["logs", name], ["wait", name])
    before = [place.call(*call) for call in asked]
    (daemon.kill if killed else daemon.terminate)()
    daemon.wait(PATIENCE)
    place.until(lambda: not place.processes())
    assert (place.state / "jobctl.db-wal").exists() == killed
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert [place.call(*call) for call in asked] == before
    for call in (["status"], ["history"], ["why", name], ["schedule", "list"], ["schedule", "next"]):
        assert place.call(*call)[0] == 0, call
    for call in (["run", "hold"], ["daemon"], ["resume", name], ["schedule", "pause", "tick"]):
        code, output = place.call(*call)
        assert code == 4, (call, output)
        assert "hint: " in output
        assert "read-only" in output.lower(), (call, output)
    assert "remount" in place.call("doctor")[1]
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    place.daemon()
    place.until(lambda: len(place.lines("ticks")) >= 2)


# -- under a running daemon --------------------------------------------------------------------------------------------


def _garbage(state: Path) -> None:
    with (state / "jobctl.db").open("r+b") as file:
        file.write(os.urandom(16 * 4096))


def _truncated(state: Path) -> None:
    os.truncate(state / "jobctl.db", 0)


def _replaced(state: Path) -> None:
    shutil.copy(state / "jobctl.db", state / "other.db")
    (state / "other.db").rename(state / "jobctl.db")


def _newer(state: Path) -> None:
    with closing(sqlite3.connect(state / "jobctl.db")) as db:
        db.execute("PRAGMA user_version = 9999")


def _moved(state: Path) -> None:
    state.rename(state.with_name("elsewhere"))


NOTICED = [_replaced, _newer]


@pytest.mark.parametrize("harm", [_garbage, _truncated, _moved, *NOTICED])
def test_a_store_that_is_harmed_under_a_daemon(home: Callable[..., Daemons], harm: Callable[[Path], None]) -> None:
    place = home(HOLD)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks"))
    place.until(lambda: place.run_document(name)["steps"][0]["status"] == "running")
    daemon.send_signal(signal.SIGSTOP)  # nothing is written between the backup and the harm
    for file in place.state.glob("jobctl.db*"):
        shutil.copy(file, place.folder / file.name)
    harm(place.state)
    daemon.send_signal(signal.SIGHUP)  # have it look now
    daemon.send_signal(signal.SIGCONT)
    place.go()
    # What it has read already it may go on with: then it records the end, where nobody will read it. One that is gone
    # is waited for.
    place.until(lambda: daemon.poll() is not None or any(word in place.said() for word in (" failed", "trying again")))
    daemon.terminate()
    assert daemon.wait(PATIENCE) in ((4,) if harm in NOTICED else (4, 143))
    said = place.said()
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert harm is not _moved or "moved away" in said
    assert daemon.returncode == 143 or ("error: " in said and "hint: " in said)

    moved = place.state.with_name("elsewhere")
    if moved.exists():
        moved.rename(place.state)
    for file in place.state.glob("jobctl.db*"):
        file.unlink()
    for file in place.folder.glob("jobctl.db*"):
        shutil.copy(file, place.state)
    place.daemon()
    place.until(lambda: place.run_document(name)["status"] == "failed")
    (attempt,) = place.run_document(name)["steps"][0]["attempts"]
    # An end that was recorded in what is gone need not be kept by its keeper; what has run does not run again.
    known = (7,) if harm in NOTICED else (7, None)
    assert attempt["exit_code"] in known
    assert Path(attempt["log"]).read_text() == "said\n"
    assert place.lines("marks") == ["begin", "end"]


@pytest.mark.parametrize("error", ["EIO", "EROFS"])
def test_a_disk_that_fails_for_a_while(home: Callable[..., Daemons], error: str) -> None:
    """Whatever the daemon writes or makes fails, then works again; attempts run on meanwhile."""
    place = home(HOLD + TICK)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks") and place.lines("ticks"))
    with interfered(daemon.pid, "pwrite64,fdatasync,fsync,ftruncate,mkdir", f"error={error}"):
        place.until(lambda: "trying again" in place.said())
        place.go()  # it ends, and that cannot be recorded
        place.until(lambda: place.lines("marks") == ["begin", "end"])
        assert place.call("status", name)[0] == 0
        time.sleep(1.5)  # a fire time or two that nobody can record
        running = daemon.poll() is None
    if not running:
        assert daemon.returncode == 4
        place.daemon()
    place.until(lambda: place.run_document(name)["status"] == "failed")
    (attempt,) = place.run_document(name)["steps"][0]["attempts"]
    assert (attempt["exit_code"], Path(attempt["log"]).read_text()) == (7, "said\n")
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) >= seen + 2)
    assert place.lines("marks") == ["begin", "end"]
    check_ticks(place)
    assert "Traceback" not in place.said(0)
    assert "unexpected" not in place.said(0)


# -- before anything starts --------------------------------------------------------------------------------------------


def _foreign(state: Path) -> None:
    (state / "jobctl.db").unlink()
    with closing(sqlite3.connect(state / "jobctl.db")) as db:
        db.execute("CREATE TABLE theirs (it)")


def _cut_short(state: Path) -> None:
    os.truncate(state / "jobctl.db", 9 * 4096 + 17)


@pytest.mark.parametrize("harm", [_garbage, _truncated, _newer, _foreign, _cut_short])
def test_no_command_makes_it_worse(home: Callable[..., Daemons], harm: Callable[[Path], None]) -> None:
    place = home("[jobs.x]\nschedule = { every = '1h' }\ncommand = 'touch ran'\n")
    assert place.call("daemon", "--once")[0] == 0
    with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in place.state.glob("jobctl.db-*"):
        file.unlink()
    harm(place.state)
    before = (place.state / "jobctl.db").read_bytes()
    calls = (
        ["daemon", "--once"],
        ["run", "x"],
        ["run", "--detach", "x"],
        ["schedule", "list"],
        ["schedule", "pause", "x"],
        ["logs", "x"],
        ["wait", "x"],
        ["prune"],
        ["doctor"],
    )
    with ThreadPoolExecutor(2) as pool:
        for call, (code, output) in zip(calls, pool.map(lambda call: place.call(*call), calls), strict=True):
            assert code == (1 if call == ["doctor"] else 4), (call, output)
            assert call == ["doctor"] or "hint: " in output, (call, output)
            assert "Traceback" not in output
            assert "unexpected" not in output
    assert (place.state / "jobctl.db").read_bytes() == before
    assert not (place.folder / "ran").exists()
