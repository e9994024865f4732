"""How a database gets to today's schema: made under a lock and renamed into place, later changed append-only.

The one file that imports sqlite_utils and filelock; it is loaded only when there is something to do.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable

from filelock import FileLock
from sqlite_utils import Database, Migrations

from jobctl.store.store import APPLICATION_ID, VERSION

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


def create(path: str) -> None:
    """Make the database at `path` unless somebody else just has. A half-made one is never seen under that name."""
    with FileLock(path + ".lock", mode=0o600):
        if os.path.exists(path):
            return
        draft = path + ".new"
        # Also those of a database that was moved away without them: they would be read as the new one's.
        for leftover in (draft, draft + "-wal", draft + "-shm", path + "-wal", path + "-shm"):
            if os.path.exists(leftover):
                os.unlink(leftover)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = Database(sqlite3.connect(draft, isolation_level=None))
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.enable_wal()
        _apply(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.close()
        os.rename(draft, path)
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def upgrade(path: str, read_version: Callable[[], int]) -> None:
    """Bring an older database of ours to today's schema. `read_version` looks again once the lock is held."""
    with FileLock(path + ".lock", mode=0o600):
        if read_version() >= VERSION:
            return
        db = Database(sqlite3.connect(path, timeout=30, isolation_level=None))
        try:
            _apply(db)
        finally:
            db.close()


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
