"""A store that has vanished is no first use: nothing takes its place, and who was using it goes on when it is back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import PATIENCE, Daemons

from jobctl.core.errors import NotFoundError, StoreError
from jobctl.store.store import Store

JOBS = """
[jobs.tick]
schedule = { every = "1s" }
command = "echo tick >> ticks"

[jobs.hold]
command = "echo begin >> marks; until test -e go; do sleep 0.02; done; echo end >> marks"
"""

# what lies in the folder -> whether a store was there
LEFT = {
    "runs/x-000001/": True,
    "runs/": True,
    "executors/0123abcd.lock": True,
    "executors/": True,
    "daemon.lock": True,
    "jobctl.db.lock": True,
    "jobctl.id": True,
    "jobctl.db-wal": True,
    "jobctl.db-shm": False,
    "cache/outline-00000000.json": False,  # `jobctl status` has been asked before anything has run
    "jobs.toml": False,
    "jobctl.db.new": False,  # the first use was cut short
    "jobctl.db.new jobctl.db.lock": False,
    "jobctl.db.new jobctl.id": False,
    "jobctl.db.new runs/x-000001/": True,
}


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("create", [True, False])
def test_what_a_lost_store_has_left_is_told_from_a_first_use(tmp_path: Path, left: str, create: bool) -> None:
    for name in left.split():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.touch()
    before = sorted(tmp_path.rglob("*"))
    if LEFT[left]:
        with pytest.raises(StoreError, match="is gone") as caught:
            Store(str(tmp_path), create=create)
        assert f"mv {tmp_path}" in caught.value.hint
        assert sorted(tmp_path.rglob("*")) == before
    elif create:
        Store(str(tmp_path)).close()
    else:
        with pytest.raises(NotFoundError, match="nothing has run"):
            Store(str(tmp_path), create=create)


def test_a_first_use_that_is_killed_anywhere_is_tried_again(tmp_path: Path) -> None:
    """At each call that changes the folder; none of them may look like what a lost store has left."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    body = "import sys; from jobctl.store.store import Store; Store(sys.argv[1]).close()"
    calls = "/^(openat|rename|renameat|renameat2|unlink|fsync|fdatasync|mknod|mknodat)$"
    for instant in range(1, 12):
        state = tmp_path / f"state{instant}"
        state.mkdir()
        # Counted from the folder's first file on: what Python itself opens is not of interest.
        command = ["strace", "-qq", "-f", "-o", "/dev/null", "-P", str(state / "jobctl.db.new"), "-P", str(state)]
        command += ["-P", str(state / "jobctl.id"), "-P", str(state / "jobctl.db"), "-e", f"trace={calls}"]
        command += ["-e", f"inject={calls}:signal=KILL:when={instant}", sys.executable, "-c", body, str(state)]
        subprocess.run(command, check=False, capture_output=True)
        Store(str(state)).close()


@pytest.mark.parametrize("what", ["jobctl.db", "."], ids=["the database", "the folder"])
def test_a_daemon_waits_for_its_store_and_goes_on(home: Callable[[str], Daemons], what: str) -> None:
    """It ended, systemd started it again, and that one made an empty store beside the runs."""
    place = home(JOBS)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks") and place.lines("ticks"))
    lost = place.state / what
    away = place.folder / "away"
    os.rename(lost.resolve(), away)
    daemon.send_signal(signal.SIGHUP)
    place.until(lambda: "trying again" in place.said())
    if what == "jobctl.db":
        for words in (("status",), ("run", "tick"), ("run", "--detach", "tick"), ("daemon", "--once"), ("prune",)):
            code, output = place.call(*words)
            assert code == 4, (words, output)
            assert "is gone" in output
            assert "hint: " in output
        assert not lost.exists()
    place.go()
    place.until(lambda: place.lines("marks") == ["begin", "end"])
    fired = len(place.lines("ticks"))
    os.rename(away, lost.resolve() if what == "jobctl.db" else place.state)
    place.until(lambda: place.run_document(name)["status"] == "succeeded")
    place.until(lambda: len(place.lines("ticks")) >= fired + 2)
    assert daemon.poll() is None
    assert place.lines("marks") == ["begin", "end"]
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143
    assert "Traceback" not in place.said()


def test_a_store_that_has_lost_its_log_is_missed_by_the_doctor(home: Callable[[str], Daemons]) -> None:
    """Five acknowledged runs were gone, and it was sound."""
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    shutil.copy(place.state / "jobctl.db", place.folder / "older.db")
    assert place.call("run", "x")[0] == 0
    name = place.rows()[-1].name
    shutil.copy(place.folder / "older.db", place.state / "jobctl.db")
    code, output = place.call("doctor")
    assert code == 0, output
    assert "history is missing" in output
    assert name in output
