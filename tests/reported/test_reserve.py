"""The disk fills up: it is said before, and when it is full what runs ends in order, and nothing new begins.

etcd's quota alarm, Oracle's and MongoDB's reserve files: without one not even a cancel could be recorded.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from homes import Daemons

from jobctl.core.errors import StoreError, StoreUnavailableError
from jobctl.host import reserve
from jobctl.store import trouble

JOBS = """
[jobs.tick]
schedule = { every = "1s" }
command = "date >> ticks"

[jobs.hold]
command = "echo begin >> marks; until test -e go; do sleep 0.02; done; echo end >> marks"

[jobs.asked]
command = "exec sleep 600"
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Just large enough that something is kept in reserve on it."""
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={reserve.SMALL + (1 << 20)},mode=700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("a file system cannot be mounted here")
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path: Path, *, leave: int = 0) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            while os.statvfs(path).f_bavail * 4096 - leave >= size:
                file.write(b"x" * size)


def test_what_runs_ends_in_order_and_nothing_new_begins(home: Callable[[str], Daemons], disk: Path) -> None:
    place = home(JOBS)
    place.put_state(disk / "state")
    daemon = place.daemon()
    kept = place.state / reserve.NAME
    place.until(kept.exists)
    assert kept.stat().st_blocks * 512 >= reserve.SIZE
    hold, asked = place.detach("hold"), place.detach("asked")
    place.until(lambda: place.lines("marks") and place.rows("asked")[0].status == "running")
    _fill(disk / "filler")
    place.until(lambda: not kept.exists())
    place.until(lambda: reserve.SPENT in place.said())
    place.until(lambda: "cannot grow" not in place.call("status")[1])  # what had fired before is recorded
    begun = len(place.rows("tick"))
    place.go()
    place.until(lambda: place.rows("hold")[0].status == "succeeded")
    code, output = place.call("cancel", asked)
    assert code == 0, output
    place.until(lambda: place.rows("asked")[0].status == "canceled")
    assert place.call("run", "tick", "--detach")[0] == 0  # accepted means recorded
    waiting = place.rows("tick")[-1].name
    assert "nothing new begins" in place.call("status")[1]
    assert len(place.rows("tick")) <= begun + 1
    assert place.run_document(waiting)["status"] == "queued"
    (disk / "filler").unlink()
    place.until(kept.exists)
    place.until(lambda: place.run_document(waiting)["status"] == "succeeded")
    place.until(lambda: len(place.rows("tick")) > begun + 2)
    assert "nothing new begins" not in place.call("status")[1]
    assert daemon.poll() is None
    assert place.run_document(hold)["status"] == "succeeded"


def test_it_is_said_before_the_disk_is_full(home: Callable[[str], Daemons], disk: Path) -> None:
    place = home(JOBS)
    place.put_state(disk / "state")
    place.daemon()
    place.until(lambda: place.rows("tick"))
    assert "almost full" not in place.call("status")[1]
    _fill(disk / "filler", leave=3 << 20)
    for words in (("status",), ("doctor",)):
        assert "is almost full" in place.call(*words)[1]
    place.until(lambda: "is almost full" in place.said())
    begun = len(place.rows("tick"))
    place.until(lambda: len(place.rows("tick")) > begun)  # it is said, and no more
    assert place.said().count("is almost full") == 1


MIB = 1 << 20
# free, of; free inodes, of -> what is said
SPACE = {
    (500 * MIB, 10_000 * MIB, 10_000, 100_000): "",
    (99 * MIB, 10_000 * MIB, 10_000, 100_000): "almost full: 99 MiB are left",
    (10 * MIB, 100 * MIB, 10_000, 100_000): "",
    (4 * MIB, 100 * MIB, 10_000, 100_000): "almost full",
    (0, 100 * MIB, 10_000, 100_000): "is full",
    (500 * MIB, 10_000 * MIB, 999, 100_000): "few inodes left: 999",
    (500 * MIB, 10_000 * MIB, 100, 1_000): "",
    (500 * MIB, 10_000 * MIB, 40, 1_000): "few inodes left: 40",
    (500 * MIB, 10_000 * MIB, 0, 100_000): "no inodes left",
    (500 * MIB, 10_000 * MIB, 0, 0): "",  # a file system that counts none
}


@pytest.mark.parametrize("space", SPACE)
def test_what_is_little(space: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    free, size, inodes, of = space
    told = SimpleNamespace(f_bavail=free, f_blocks=size, f_frsize=1, f_favail=inodes, f_files=of, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    said = trouble.little_space("/")
    assert (SPACE[space] in said) if SPACE[space] else said == ""


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (OSError(5, "Input/output error"), False),
        (StoreUnavailableError("the state store is locked by another process"), False),
        (StoreError("the state store is damaged"), False),
    ],
)
def test_it_is_given_up_for_a_full_disk_alone(tmp_path: Path, error: Exception, is_full: bool) -> None:
    reserve.keep(str(tmp_path))
    assert (tmp_path / reserve.NAME).exists()
    assert reserve.give_up_for(error, str(tmp_path)) == is_full
    assert (tmp_path / reserve.NAME).exists() != is_full
    assert not reserve.is_spent(str(tmp_path))  # there is room
