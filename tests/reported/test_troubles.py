"""What a daemon suffers from is said by `status` and `doctor`, whatever the store takes; what never passes ends
it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from homes import CLOCK, PATIENCE, Daemons, built, set_clock

from jobctl.core.errors import StoreError, StoreLostError, StoreUnavailableError
from jobctl.engines.local import executor
from jobctl.engines.local.executor import Executor
from jobctl.host import locks
from jobctl.store.errors import explain
from jobctl.store.store import Store
from jobctl.store.trouble import LOG_LIMIT

TICK = "[jobs.tick]\nschedule = { every = '1s' }\ncommand = 'echo tick >> ticks'\n"


@contextmanager
def somebody(place: Daemons, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun that in the database and does not go on."""
    body = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for sql in sys.argv[2:]: db.execute(sql).fetchall()\n"
        "print('there', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", body, str(place.state / "jobctl.db"), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(place: Daemons, *words: str) -> bool:
    code, output = place.call("status")
    assert code == 0, output
    return all(word in output for word in words)


def _json(place: Daemons) -> Any:
    import json

    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "status", "--json"],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_store_that_somebody_has_locked(home: Callable[[str], Daemons]) -> None:
    place = home(TICK)
    daemon = place.daemon()
    place.until(lambda: place.lines("ticks"))
    with somebody(place, "BEGIN IMMEDIATE") as other:
        place.until(lambda: _said(place, "trouble", "locked", f"process {other.pid}"))
        [one] = _json(place)["daemons"][0]["troubles"]
        assert "locked" in one["message"]
        assert f"process {other.pid}" in place.call("doctor")[1]
    place.until(lambda: not _said(place, "trouble"))
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) > seen)
    assert daemon.poll() is None


def test_a_disk_that_is_full(home: Callable[[str], Daemons], small_disk: Path) -> None:
    """It stood in the daemon's log alone."""
    place = home(TICK)
    place.put_state(small_disk / "state")
    daemon = place.daemon()
    place.until(lambda: place.lines("ticks"))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    place.until(lambda: _said(place, "it has trouble", "the disk is full", "the disk of the state folder is full"))
    document = _json(place)
    assert document["troubles"]
    assert "full" in document["daemons"][0]["troubles"][0]["message"]
    assert "full" in place.call("doctor")[1]
    filler.unlink()
    place.until(lambda: not _said(place, "full"))
    assert daemon.poll() is None


def test_a_reader_that_stays(home: Callable[[str], Daemons]) -> None:
    """A forgotten sqlite3 shell: the write-ahead log grew without limit, and nobody said so."""
    place = home(TICK)
    assert place.call("run", "tick")[0] == 0
    with somebody(place, "BEGIN", "SELECT count(*) FROM runs") as other, Store(str(place.state)) as store:
        row = store.history()[0]
        for number in range(2 * LOG_LIMIT // 200_000):
            with store.transaction() as db:
                db.execute("UPDATE runs SET reason = ? WHERE id = ?", (str(number % 10) * 200_000, row.id))
        assert (place.state / "jobctl.db-wal").stat().st_size > LOG_LIMIT
        store.checkpoint()
        assert store.log_is_held
        assert f"process {other.pid}" in store.log_held()
        assert _said(place, "write-ahead log", f"process {other.pid}")
        assert f"process {other.pid}" in place.call("doctor")[1]
    with Store(str(place.state)) as store:
        store.checkpoint()
        assert not store.log_is_held
    assert not _said(place, "write-ahead log")


def test_a_clock_that_was_set(home: Callable[[str], Daemons], tmp_path: Path) -> None:
    place = home(TICK)
    set_clock(place, 0)
    place.daemon(clock=built(CLOCK, tmp_path), CLOCK_OFFSET=str(place.folder / "offset"))
    place.until(lambda: place.lines("ticks"))
    set_clock(place, 7_200)
    place.until(lambda: "the clock was set" in place.said())
    place.until(lambda: _said(place, "it has trouble", "the clock was set by +7,200 s"))


# -- how it is told ----------------------------------------------------------------------------------------------------


def test_what_is_told_has_its_place_and_goes_with_whoever_told_it(tmp_path: Path) -> None:
    one = Executor(str(tmp_path), "daemon")
    path = Path(executor.lock_file(str(tmp_path), one.id))
    size = path.stat().st_size
    assert executor.complaints(str(tmp_path), one.id) == []
    one.complain([("é" * 1_000, 7), ("b" * 1_000, 8), *(("c" * 1_000, n) for n in range(50))])
    told = executor.complaints(str(tmp_path), one.id)
    assert [found["since"] for found in told[:2]] == [7, 8]
    assert path.stat().st_size == size
    one.complain([])
    assert executor.complaints(str(tmp_path), one.id) == []
    path.write_bytes(b"\xff[{")
    assert executor.complaints(str(tmp_path), one.id) == []
    one.close()
    assert executor.complaints(str(tmp_path), one.id) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"[1]", b"{}", b'[{"message": 1}]', b"\0" * 4096, b"[" * 4096])
def test_a_lock_with_something_else_in_it_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = Path(executor.lock_file(str(tmp_path), "0123abcd"))
    path.parent.mkdir()
    path.write_bytes(content)
    assert executor.complaints(str(tmp_path), "0123abcd") == []


def test_the_kernels_list_of_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    inode = path.stat().st_ino
    (tmp_path / "locks").write_text(
        f"1: FLOCK  ADVISORY  WRITE 11 00:1a:{inode} 0 EOF\n"
        f"1: -> FLOCK  ADVISORY  WRITE 12 00:1a:{inode} 0 EOF\n"
        f"2: POSIX  ADVISORY  READ 13 00:1a:{inode} 124 124\n"
        f"3: POSIX  ADVISORY  READ -1 00:1a:{inode} 123 127\n"
        f"4: POSIX  ADVISORY  WRITE 14 00:1a:{inode} 120 120\n"
        f"5: POSIX  ADVISORY  WRITE 15 00:1a:{inode}9 0 EOF\n"
        "6: cut\n7: LEASE  ACTIVE    READ  16 00:1a:x 0 y\n"
    )
    monkeypatch.setattr(locks, "LIST", str(tmp_path / "locks"))
    assert locks.held(str(path)) == [
        ("FLOCK", True, 11, 0, 1 << 62),
        ("POSIX", False, 13, 124, 124),
        ("POSIX", False, -1, 123, 127),
        ("POSIX", True, 14, 120, 120),
    ]
    assert [locks.holds(str(path), pid) for pid in (11, 12, 13)] == [True, False, False]
    path.rename(tmp_path / "db-shm")
    assert locks.readers(str(tmp_path / "db")) == {0, 13}
    assert locks.writer(str(tmp_path / "db")) == 14
    monkeypatch.setattr(locks, "LIST", str(tmp_path / "none"))
    assert locks.holds(str(tmp_path / "db-shm"), 11) is None
    assert locks.readers(str(tmp_path / "db")) == set()


# -- what never passes -------------------------------------------------------------------------------------------------

# SQLite's word -> whether it passes by itself, never, or somebody has to do something
WORDS: dict[str, type[StoreError]] = {
    "SQLITE_CORRUPT": StoreLostError,
    "SQLITE_CORRUPT_VTAB": StoreLostError,
    "SQLITE_NOTADB": StoreLostError,
    "SQLITE_BUSY": StoreUnavailableError,
    "SQLITE_FULL": StoreUnavailableError,
    "SQLITE_IOERR_WRITE": StoreUnavailableError,
    "SQLITE_READONLY_DBMOVED": StoreUnavailableError,
}


@pytest.mark.parametrize("word", WORDS)
def test_what_passes_is_waited_for_and_what_never_does_is_not(word: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorname = word
    assert isinstance(explain(error, "/nowhere/jobctl.db"), WORDS[word])


@pytest.mark.parametrize("table", ["schedules", "runs"])
def test_a_daemon_ends_on_a_database_that_is_damaged(home: Callable[[str], Daemons], table: str) -> None:
    """It said so at each look, and its supervisor had nothing to start again."""
    place = home(TICK)
    daemon = place.daemon()
    place.until(lambda: place.lines("ticks"))
    path = place.state / "jobctl.db"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(os.urandom(size))
        db.execute("UPDATE store SET id = id")  # whoever has pages in memory reads them again
        db.commit()
    assert daemon.wait(PATIENCE) == 4, place.said()
    assert "damaged" in place.said()
    assert "hint: " in place.said()
    assert "Traceback" not in place.said()
