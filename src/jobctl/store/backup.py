"""The database of a store as one file of its own, as it is at one instant, while all goes on; and whether a file is the
database of a store. What else belongs to a backup: engines/local/backup.py."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jobctl.core.errors import JobctlError, StoreError
from jobctl.core.record import NamedTuple
from jobctl.host.archive import UnusableError
from jobctl.host.files import open_own
from jobctl.host.machine import read_only
from jobctl.store import attempts, place
from jobctl.store.database import to_read
from jobctl.store.errors import explained
from jobctl.store.schema import APPLICATION_ID, VERSION

_PAGES = 2_000  # copied at a time: signals are heard in between
_BUSY_S = 30.0
_OF_THE_COPY = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")  # of the origin nothing is written
_KEEPER = re.compile(r"[0-9a-f]{1,32}\.[0-9]{1,9}")
_TABLES = ("store", "definitions", "runs", "events", "attempts", "schedules", "firings")


class Contents(NamedTuple):
    """What a database of ours holds, in short."""

    schema: int
    identity: str
    runs: int
    open_runs: int
    running: dict[str, list[str]]  # keeper -> its attempts, RUN/KEY.NUMBER, that are recorded as under way


def snapshot(state_dir: str, into: str) -> None:
    """Copy the database of that folder to the new file `into`. What is read is one instant, and nobody who writes waits
    for it; the write-ahead log gets no smaller meanwhile. StoreError."""
    path = os.path.join(state_dir, place.DATABASE)
    with _new(into) as copy, explained(path), closing(_to_read(path)) as origin:
        # One transaction of reading: else the copy would begin anew with each commit of somebody else.
        origin.execute("BEGIN")
        check(origin, path)
        with written(into):
            origin.backup(copy, pages=_PAGES, progress=_heard)
        origin.execute("COMMIT")
    wrong = damage(into)
    if wrong:
        raise StoreError(
            f"the state store {path} is damaged: {wrong}",
            hint=place.DAMAGED,
        )


@contextmanager
def written(into: str) -> Iterator[None]:
    """JobctlError for what goes wrong with the copy: it is not the store's fault."""
    try:
        yield
    except sqlite3.Error as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith(_OF_THE_COPY):
            raise
        folder = os.path.dirname(os.path.dirname(into))
        raise JobctlError(
            f"there is no room in {folder} for a copy of the database, which the backup is made of",
            hint="make room there, or name a file on another disk",
        ) from error


def _heard(*_: object) -> None:
    """Between two portions Python looks for signals."""


def _to_read(path: str) -> sqlite3.Connection:
    address = to_read(path) if read_only(path) else path
    return sqlite3.connect(address, timeout=_BUSY_S, isolation_level=None, uri=address is not path)


@contextmanager
def _new(path: str) -> Iterator[sqlite3.Connection]:
    """A database in a file that nobody else uses: it needs neither a journal nor patience with the disk."""
    os.close(open_own(path, os.O_CREAT | os.O_EXCL | os.O_RDWR))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = MEMORY")
        yield db
        db.execute("PRAGMA journal_mode = DELETE")  # one file, which needs no other one


def check(db: sqlite3.Connection, path: str) -> int:
    """The schema of a database of ours. StoreError for another program's, and for a newer one."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is no database of jobctl", hint="name what `jobctl backup` has written")
    if version > VERSION:
        raise StoreError(
            f"{path} is of a newer jobctl (schema {version}, this one knows {VERSION})", hint="upgrade jobctl"
        )
    return version


def damage(path: str) -> str:
    """What SQLite finds wrong with a file; "" for a sound one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        try:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            return str(error)
    return "" if found == "ok" else str(found)


def adapt(path: str, *, is_whole: bool) -> None:
    """Make a file that may be a store's into one that a store can use: what `.recover` of some SQLite has left out is
    put right, and where it is not known to be whole, rows that follow from others are made again. JobctlError for what
    is none."""
    with explained(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        application = db.execute("PRAGMA application_id").fetchone()[0]
        if application not in (0, APPLICATION_ID) or not tables.issuperset(_TABLES):
            raise UnusableError("it is no database of jobctl", hint="name what `jobctl backup` has written")
        if application == 0:
            done = db.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0] if _MADE in tables else 0
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {int(done)}")
        if db.execute("SELECT count(*) FROM store").fetchone()[0] != 1:
            raise UnusableError("its table `store` is lost", hint="take an older backup")
        check(db, "the database in it")
        db.execute("BEGIN")
        attempts.complete(db, of_all=not is_whole)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")


_MADE = "_sqlite_migrations"


def contents(path: str) -> Contents:
    """What a sound database of ours holds. UnusableError for one with rows that cannot be read."""
    try:
        return _contents(path)
    except sqlite3.Error as error:  # a text that is no UTF-8
        raise UnusableError(f"the database in it is damaged: {error}", hint="take another backup") from error


def _contents(path: str) -> Contents:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        version = check(db, path)
        runs = sum(1 for _ in db.execute("SELECT name FROM runs"))  # read, for a name may be no UTF-8
        alive = db.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()[0]
        identity = db.execute("SELECT id FROM store").fetchone()[0]
        return Contents(version, str(identity), runs, alive, _running(db))


def _running(db: sqlite3.Connection) -> dict[str, list[str]]:
    """By the histories: rows of attempts may be lost, and what was forgotten would be begun a second time."""
    found: dict[str, list[str]] = {}
    for name, executor, key, number, by in attempts.running(db):
        keeper = by or f"{executor}.1"
        if _KEEPER.fullmatch(keeper):
            found.setdefault(keeper, []).append(f"{name}/{key}.{number}")
    return found


def run_names(path: str) -> set[str]:
    """The runs that a database knows."""
    with explained(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
        return {str(name) for (name,) in db.execute("SELECT name FROM runs")}
