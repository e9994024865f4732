"""A newer jobctl on an older store: who asks changes nothing, who writes first keeps what was, and daemons are asked to
end before it is changed under them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from homes import JOBCTL, PATIENCE, Daemons

from jobctl.store import schema

RELEASED = Path(__file__).parents[1] / "store" / "released"
VERSIONS = sorted(int(folder.name) for folder in RELEASED.iterdir())


oldest_and_newest = pytest.mark.parametrize("old", [VERSIONS[0], VERSIONS[-1]], indirect=True)


@pytest.fixture(params=VERSIONS[-1:])
def old(request: pytest.FixtureRequest, home: Callable[[str], Daemons]) -> Daemons:
    """A home with the state folder that a version has left."""
    place = home("")
    with tarfile.open(RELEASED / str(request.param) / "state.tar.gz") as archive:
        archive.extractall(place.folder, filter="data")
    return place


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def runs(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, status FROM runs ORDER BY id").fetchall()


ASK = (
    ("status",),
    ("history", "bad"),
    ("status", "bad"),
    ("why", "asked"),
    ("logs", "bad"),
    ("schedule", "list"),
    ("doctor",),
    ("wait", "good"),
    ("prune", "--dry-run"),
    ("__complete", "status", ""),
)


@oldest_and_newest
def test_who_asks_changes_nothing_and_who_writes_keeps_what_was(old: Daemons) -> None:
    """`pip install -U jobctl && jobctl status` stopped all schedules."""
    path = old.state / "jobctl.db"
    before, found, content = version(path), runs(path), path.read_bytes()
    for words in ASK:
        code, output = old.call(*words)
        assert code == 0, (words, output)
        assert "upgraded" not in output
    assert path.read_bytes() == content
    assert "bad-" in old.call("status")[1]
    assert not list(old.state.glob("jobctl.db.*schema*"))

    code, output = old.call("schedule", "pause", "nightly")
    assert code == 0, output
    kept = old.state / f"jobctl.db.schema-{before}"
    assert str(kept) in output
    assert (version(kept), runs(kept)) == (before, found)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert version(path) == schema.VERSION
    assert runs(path) == found
    assert sorted(file.name for file in old.state.glob("jobctl.db.schema*")) == [kept.name]
    changed = kept.stat().st_mtime_ns
    assert old.call("run", "good")[0] == 0
    assert kept.stat().st_mtime_ns == changed
    # What was kept can be put back, and is read again.
    shutil.copy(kept, path)
    assert old.call("status", "bad")[0] == 0
    assert version(path) == before


def test_who_waits_sees_what_an_older_jobctl_records_meanwhile(old: Daemons) -> None:
    path = old.state / "jobctl.db"
    before = version(path)
    waiting = old.start("wait", "sleeper", "--timeout", "20s")
    with closing(sqlite3.connect(path)) as db:
        while not _is_open(path, waiting.pid):
            time.sleep(0.01)
        db.execute("UPDATE runs SET status = 'canceled', finished_at = 1 WHERE job = 'sleeper'")
        db.commit()
    output, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130, output
    assert version(path) == before


def _is_open(path: Path, pid: int) -> bool:
    try:
        return any(os.readlink(entry) == str(path) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


OLD_DAEMON = """
import signal, sqlite3, sys, os
from jobctl.engines.local.executor import Executor
state, pid = sys.argv[1], int(sys.argv[2]) or os.getpid()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
executor = Executor(state, "daemon")
db = sqlite3.connect(os.path.join(state, "jobctl.db"))
db.execute("INSERT INTO executors (id, pid, kind, started_at) VALUES (?, ?, 'daemon', 0)", (executor.id, pid))
db.commit()
print("ready", flush=True)
if signal.sigtimedwait([signal.SIGTERM], 60) is not None:
    print(db.execute("PRAGMA user_version").fetchone()[0], flush=True)
executor.close()
"""


@contextmanager
def older_daemon(place: Daemons, pid: int = 0) -> Iterator[subprocess.Popen[str]]:
    """One of the version that the store has, as far as others can see it; `pid`: what it says it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", OLD_DAEMON, str(place.state), str(pid)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_living_daemons_are_asked_to_end_before_the_store_is_changed(old: Daemons) -> None:
    path = old.state / "jobctl.db"
    before = version(path)
    with older_daemon(old) as daemon:
        assert old.call("status")[0] == 0
        assert daemon.poll() is None
        code, output = old.call("schedule", "pause", "nightly")
        assert code == 0, output
        assert f"process {daemon.pid}" in output
        assert daemon.wait(PATIENCE) == 0
        assert daemon.stdout is not None
        assert daemon.stdout.read() == f"{before}\n"
    assert version(path) == schema.VERSION


def test_a_pid_that_is_not_the_daemons_is_left_alone(old: Daemons) -> None:
    """It may be one of another PID namespace, and anybody's here."""
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            # It ends for nobody: the store is changed all the same, after a while, and its next commit tells it.
            with older_daemon(old, bystander.pid) as daemon:
                code, output = old.call("schedule", "pause", "nightly")
                assert code == 0, output
                assert daemon.poll() is None
            assert bystander.poll() is None
        finally:
            bystander.kill()
    assert version(old.state / "jobctl.db") == schema.VERSION


def test_several_writers_at_once_keep_it_once(old: Daemons) -> None:
    before = version(old.state / "jobctl.db")
    crowd = [old.start("schedule", "pause", "nightly") for _ in range(4)]
    told = [one.communicate(timeout=PATIENCE)[0] for one in crowd]
    assert [one.returncode for one in crowd] == [0] * 4, told
    assert sum("schema-" in output for output in told) == 1
    assert version(old.state / f"jobctl.db.schema-{before}") == before


def test_without_room_for_what_was_nothing_is_changed(old: Daemons, small_disk: Path) -> None:
    state = small_disk / "state"
    shutil.copytree(old.state, state)
    old.put_state(state)
    before, found = version(state / "jobctl.db"), runs(state / "jobctl.db")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    code, output = old.call("schedule", "pause", "nightly")
    assert code == 4, output
    assert "hint: " in output
    filler.unlink()
    assert (version(state / "jobctl.db"), runs(state / "jobctl.db")) == (before, found)
    assert not list(state.glob("*.new"))
    assert old.call("schedule", "pause", "nightly")[0] == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync", "fsync", "rename"])
def test_an_upgrade_that_is_killed_anywhere_is_done_by_the_next(old: Daemons, call: str) -> None:
    path = old.state / "jobctl.db"
    before, found = version(path), runs(path)
    kept = old.state / f"jobctl.db.schema-{before}"
    whole = old.folder / "whole"
    shutil.copytree(old.state, whole)
    for instant in range(1, 4 if call != "rename" else 2):
        shutil.rmtree(old.state)
        shutil.copytree(whole, old.state)
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={instant}")
        traced = ("strace", "-f", "-qq", "-o", "/dev/null", *inject)
        old.call("schedule", "pause", "nightly", before=traced, program=JOBCTL)
        code, output = old.call("status")
        assert code == 0, output
        assert old.call("schedule", "pause", "nightly")[0] == 0
        assert (version(path), runs(path)) == (schema.VERSION, found)
        assert (version(kept), runs(kept)) == (before, found)
