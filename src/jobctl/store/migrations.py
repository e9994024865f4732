"""How a database gets to today's schema: made under a lock and renamed into place, later changed append-only.

The one file that imports sqlite_utils and filelock; it is loaded only when there is something to do.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable

from filelock import FileLock
from sqlite_utils import Database, Migrations

from jobctl import clock, folder
from jobctl.core.errors import StoreUnavailableError
from jobctl.store import place, trial
from jobctl.store.store import APPLICATION_ID, VERSION

PATIENCE_MS = 30_000

migrations = Migrations("jobctl")


# The first one makes the whole schema of today; each one after it looks whether what it adds is there already.
@migrations()
def m001_first(db: Database) -> None:
    for statement in _statements(_schema()):
        db.execute(statement)
    db.execute("INSERT INTO store (id) VALUES (?)", [secrets.token_hex(6)])


@migrations()
def m002_children(db: Database) -> None:
    if "parent" in _columns(db, "runs"):
        return
    db.execute("ALTER TABLE runs ADD COLUMN parent INTEGER")
    db.execute("ALTER TABLE runs ADD COLUMN parent_step TEXT")
    db.execute("DROP INDEX runs_alive_by_job")
    db.execute("CREATE INDEX runs_alive_by_job ON runs (job, status) WHERE finished_at IS NULL")
    db.execute("DROP INDEX runs_alive")
    db.execute("CREATE INDEX runs_alive ON runs (wake_at, status) WHERE finished_at IS NULL")
    db.execute("CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL")
    db.execute("CREATE INDEX runs_queued ON runs (priority DESC, id) WHERE finished_at IS NULL AND status = 'queued'")
    db.execute("CREATE INDEX runs_alive_by_parent ON runs (parent) WHERE parent IS NOT NULL AND finished_at IS NULL")


@migrations()
def m003_start_by(db: Database) -> None:
    if "start_by" in _columns(db, "runs"):
        return
    db.execute("ALTER TABLE runs ADD COLUMN start_by INTEGER")
    db.execute("CREATE INDEX runs_to_begin ON runs (start_by) WHERE start_by IS NOT NULL")


@migrations()
def m004_folder(db: Database) -> None:
    if "folder" not in _columns(db, "store"):
        db.execute("ALTER TABLE store ADD COLUMN folder TEXT")


@migrations()
def m005_times(db: Database) -> None:
    if _columns(db, "times"):
        return
    db.execute(
        "CREATE TABLE times (boot TEXT NOT NULL, clock INTEGER NOT NULL, -- of that boot, which never steps\n"
        "instant INTEGER NOT NULL, doubted INTEGER)"
    )
    db.execute(
        "CREATE INDEX runs_queued_by_job ON runs (job, priority DESC, id)"
        " WHERE finished_at IS NULL AND status = 'queued'"
    )


@migrations()
def m006_key(db: Database) -> None:
    if "key" in _columns(db, "runs"):
        return
    db.execute("ALTER TABLE runs ADD COLUMN key TEXT")
    db.execute("CREATE UNIQUE INDEX runs_by_key ON runs (job, key) WHERE key IS NOT NULL")


def create(path: str) -> None:
    """Make the database at `path` unless somebody else just has. A half-made one is never seen under that name.

    StoreError when the folder cannot hold one, or has held one that is gone.
    """
    state_dir = os.path.dirname(path)
    # The folder itself is locked: a lock file would be what a lost store leaves, too.
    lock = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _take(lock, path)
        if os.path.exists(path):
            return
        place.must_be_new(state_dir)
        trial.check(state_dir)
        draft = path + place.DRAFT
        # Also the index of a log that was moved away without it.
        for leftover in (draft, draft + "-wal", draft + "-shm", path + "-shm"):
            if os.path.exists(leftover):
                os.unlink(leftover)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = Database(sqlite3.connect(draft, isolation_level=None))
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.enable_wal()
        _apply(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        settle(db.conn, state_dir)
        db.close()
        os.rename(draft, path)
        os.fsync(lock)
    finally:
        os.close(lock)


def _take(lock: int, path: str) -> None:
    """Wait for another process that makes a store here, which takes some milliseconds - unless it is stopped."""
    until = clock.monotonic() + PATIENCE_MS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if clock.monotonic() >= until:
                raise StoreUnavailableError(
                    f"another process has been making the state store {path} for long",
                    hint=f"try again; who it is: fuser {os.path.dirname(path)}",
                ) from None
        time.sleep(0.002)


def upgrade(path: str, read_version: Callable[[], int]) -> None:
    """Bring an older database of ours to today's schema. `read_version` looks again once the lock is held."""
    with FileLock(path + ".lock", mode=0o600):
        if read_version() >= VERSION:
            return
        db = Database(sqlite3.connect(path, timeout=30, isolation_level=None))
        try:
            _apply(db)
            settle(db.conn, os.path.dirname(path))
        finally:
            db.close()


def as_today(origin: sqlite3.Connection) -> sqlite3.Connection:
    """What an older database holds, brought to today's schema in a temporary one that is gone when it is closed."""
    db = sqlite3.connect("", isolation_level=None)
    origin.backup(db)
    _apply(Database(db))
    db.execute("PRAGMA query_only = ON")
    return db


def settle(db: sqlite3.Connection, state_dir: str) -> None:
    """Record the folder as the store's own."""
    (name,) = db.execute("SELECT id FROM store").fetchone()
    folder.write_mark(state_dir, name)
    db.execute("UPDATE store SET folder = ?", (folder.encode(folder.look(state_dir)),))


def _apply(db: Database) -> None:
    migrations.apply(db)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _columns(db: Database, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})").fetchall()}


def _schema() -> str:
    with open(os.path.join(os.path.dirname(__file__), "schema.sql"), encoding="utf-8") as file:
        return file.read()


def _statements(script: str) -> list[str]:
    statements, current = [], ""
    for line in script.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current.strip())
            current = ""
    return statements
