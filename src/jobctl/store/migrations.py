"""How a database gets to today's schema: made under a lock and renamed into place, later changed append-only.

The one file that imports sqlite_utils; it is loaded only when there is something to do.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable

from sqlite_utils import Database, Migrations

from jobctl.core.errors import StoreError, StoreUnavailableError
from jobctl.host import folder
from jobctl.host.files import open_own
from jobctl.store import place, trial
from jobctl.store.schema import APPLICATION_ID, VERSION, Before, Upgraded

PATIENCE_MS = 30_000
_AGAIN_MS = 2

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


@migrations()
def m007_acknowledged(db: Database) -> None:
    """No table is another one: there are events, and kinds of steps, that a daemon of before could not read. That it
    ends, and is started anew, is what a new number does."""


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
    for left in reversed(range(PATIENCE_MS // _AGAIN_MS)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not left:
                raise StoreUnavailableError(
                    f"another process has been making the state store {path} for long",
                    hint=f"try again; who it is: fuser {os.path.dirname(path)}",
                ) from None
        time.sleep(_AGAIN_MS / 1000)


def upgrade(path: str, read_version: Callable[[], int], before: Before | None) -> Upgraded | None:
    """Bring an older database of ours to today's schema. `read_version` looks again once the lock is held; `before` is
    asked to have living daemons end in order, which would find the store changed under them. What was, is kept beside.

    None when somebody else was faster. StoreUnavailableError when the copy has no room: then nothing has changed.
    """
    lock = open_own(path + ".lock", os.O_CREAT | os.O_RDWR)
    try:
        _take(lock, path)
        version = read_version()
        if version >= VERSION:
            return None
        plain = sqlite3.connect(path, timeout=PATIENCE_MS / 1000, isolation_level=None)
        db = Database(plain)
        try:
            asked = before(_daemons(plain)) if before is not None else []
            kept = _keep(plain, path, version)
            _apply(db)
            if plain.execute("SELECT folder FROM store").fetchone()[0] is None:
                settle(plain, os.path.dirname(path))
        finally:
            db.close()
        return Upgraded(version, kept, asked)
    finally:
        os.close(lock)


def _daemons(db: sqlite3.Connection) -> list[tuple[str, int]]:
    """(id, pid) of the daemons that did not end in order, living or dead."""
    if not _columns(Database(db), "executors"):
        return []
    return db.execute("SELECT id, pid FROM executors WHERE kind = 'daemon'").fetchall()


def _keep(db: sqlite3.Connection, path: str, version: int) -> str:
    """Copy the database beside itself, whole and checked. The path of the copy; "" for one that holds nothing yet."""
    if version == 0:
        return ""
    kept = f"{path}.schema-{version}"
    draft = kept + place.DRAFT
    for leftover in (draft, draft + "-journal"):
        if os.path.lexists(leftover):
            os.unlink(leftover)
    os.close(open_own(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR))
    try:
        copy = sqlite3.connect(draft, isolation_level=None)
        try:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which needs no other one
            found = [row[0] for row in copy.execute("PRAGMA quick_check(1)")]
        finally:
            copy.close()
        if found != ["ok"]:
            raise StoreError(
                f"the state store {path} is not upgraded: it is damaged ({found[0]})",
                hint=place.DAMAGED,
            )
        fd = open_own(draft)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, kept)
    except BaseException:
        os.unlink(draft)
        raise
    folder_fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
    return kept


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
