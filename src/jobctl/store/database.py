"""The connection to the database: opened and checked, transactions, the write-ahead log. What is in it is the business
of append.py and queries.py.

A transaction is BEGIN IMMEDIATE and plain statements on the standard library's connection, with synchronous=FULL: what
was committed survives a power cut.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from jobctl.core.errors import NotFoundError, StoreError, StoreLostError, StoreUnavailableError
from jobctl.host.folder import Folder
from jobctl.host.folder import decode as decode_folder
from jobctl.host.folder import encode as encode_folder
from jobctl.host.machine import read_only
from jobctl.store import place
from jobctl.store.errors import explained
from jobctl.store.schema import APPLICATION_ID, VERSION, Before, Upgraded
from jobctl.store.soundness import Kinds, tolerant
from jobctl.store.trouble import LOG_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_BUSY_SECONDS = 30.0
_LOOK_UP_MS = 100  # of a patience at a time: SQLite does not hear signals while it waits

Transaction = sqlite3.Connection  # one that is under way: whoever is given it may write, and neither ends nor keeps it


class Database:
    """One connection to the state store in `state_dir`, for one thread.

    Every method raises StoreError when the store cannot be used: locked for long, read-only, corrupt, full, newer.
    """

    def __init__(
        self, state_dir: str, *, create: bool = True, asks: bool = False, before_upgrade: Before | None = None
    ) -> None:
        """Open the store, made if it is not there and `create` says so: NotFoundError otherwise.

        `asks`: nothing is to be written, and an older schema is not upgraded but read as it is. `before_upgrade` has
        the daemons end that live on one that is.
        """
        self.state_dir = state_dir
        self.upgraded: Upgraded | None = None  # by this very call
        self._before_upgrade = before_upgrade
        self._origin: sqlite3.Connection | None = None  # the file, when what is read is a copy in today's schema
        self._seen = 0  # the origin's data_version when that copy was made
        self.path = os.path.join(state_dir, place.DATABASE)
        if not os.path.exists(self.path):
            with explained(self.path):
                place.must_be_new(state_dir)
            if not create:
                raise NotFoundError(
                    "nothing has run here yet",
                    hint=f"the state folder {state_dir} has no store; start with: jobctl run JOB",
                )
            with explained(self.path):
                from jobctl.store import migrations

                migrations.create(self.path)
        self.damage: dict[str, None] = {}  # rows that cannot be right, and have been read as if they were: a line each
        with explained(self.path):
            self._db = self._connect(asks)
            self._patience_ms = int(_BUSY_SECONDS * 1000)
            self.give_up: Callable[[], bool] | None = None  # whether to wait no longer for others that write
            found = os.stat(self.path)
            self._place = (found.st_dev, found.st_ino)
            self.copy = place.copy_of(state_dir, self.folder())  # of which folder this one is a copy, if it is one
        self.log_is_held = False  # whether the last attempt to empty the write-ahead log found somebody in the way
        self._commits = 0

    def _connect(self, asks: bool) -> sqlite3.Connection:
        if os.path.getsize(self.path) == 0:
            raise StoreError(
                f"{self.path} is empty: it was truncated, it holds no history",
                hint=f"mv {self.state_dir} {self.state_dir}.lost; then: jobctl restore BACKUP, or begin anew",
            )
        # Of a log that a crash has left, an ordinary connection that is the last one would make part of the database.
        only = read_only(self.path) or (asks and is_logged(self.path))
        address = to_read(self.path) if only else self.path
        db = sqlite3.connect(address, timeout=_BUSY_SECONDS, isolation_level=None, uri=address is not self.path)
        db.execute("PRAGMA synchronous = FULL")
        # A checkpoint that races a commit can corrupt the file in SQLite before 3.51.3; ours (checkpoint) takes the
        # writer's lock, which excludes that. SQLite's own, at a commit, does not.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA foreign_keys = ON")
        _patiently(db, "PRAGMA application_id", int(_BUSY_SECONDS * 1000))
        version = self._check(db)
        if version < VERSION:
            from jobctl.store import migrations

            if asks:
                self._origin = db
                return self._as_today()
            self.upgraded = migrations.upgrade(self.path, lambda: self._check(db), self._before_upgrade)
        if not asks and db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):  # somebody else uses it, or it cannot be written: the next one
                db.execute("PRAGMA journal_mode = WAL")  # a copy of a database, or what was recovered of one
        return db

    def _as_today(self) -> sqlite3.Connection:
        """What an older file holds, in today's schema. The file is not touched: an older jobctl may be using it."""
        from jobctl.store import migrations

        assert self._origin is not None
        self._seen = self._origin.execute("PRAGMA data_version").fetchone()[0]
        return migrations.as_today(self._origin)

    def _fresh(self) -> sqlite3.Connection:
        """The connection that questions are asked of."""
        if self._origin is not None and self._origin.execute("PRAGMA data_version").fetchone()[0] != self._seen:
            self._db.close()
            self._db = self._as_today()
        return self._db

    def _check(self, db: sqlite3.Connection) -> int:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path} is a database of another program",
                hint="choose another state folder: --state-dir, or JOBCTL_STATE_DIR",
            )
        if version > VERSION:
            raise StoreError(
                f"{self.path} was written by a newer jobctl (schema {version}, this one knows {VERSION})",
                hint="upgrade jobctl, or choose another state folder with --state-dir",
            )
        return version

    def close(self) -> None:
        self.checkpoint()  # many short-lived processes beside a long-lived one would never come to the 256th commit
        with explained(self.path):
            self._db.close()
            if self._origin is not None:
                self._origin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The only way state changes. The body does no I/O but SQL."""
        db = self._db
        place.check(self.path, self._place)
        with explained(self.path):
            _patiently(db, "BEGIN IMMEDIATE", self._patience_ms, self.give_up)
            try:
                self._check_version()
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            try:
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        self._commits += 1
        if self._commits % 64 == 0:
            self.checkpoint()

    def vacuum(self, pages: int) -> int:
        """Take up to that many unused pages out of the file, in a transaction of its own. Returns how many are left.

        The file itself gets smaller with the next checkpoint.
        """
        with explained(self.path):
            # A script, because each page is a step of the statement: `execute` takes one and leaves the others.
            self._db.executescript(f"PRAGMA incremental_vacuum({pages})")
        return int(self._row("PRAGMA freelist_count")[0])

    def check_place(self) -> None:
        """StoreGoneError while the file is not where it was: writes would go into the void. StoreLostError when another
        one is there, or another version of jobctl has upgraded it."""
        place.check(self.path, self._place)
        with explained(self.path):
            self._check_version()

    def _check_version(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise StoreLostError(
                f"{self.path} was upgraded by another jobctl while this one ran",
                hint="start this process again; commands that run go on, and the next jobctl takes them over",
            )

    def checkpoint(self, *, whole: bool = False) -> None:
        """Move the write-ahead log into the database when it has grown, or (`whole`) in any case, and empty its file.
        Waits for nobody."""
        try:
            if self._origin is not None or (os.path.getsize(self.path + "-wal") < LOG_LIMIT and not whole):
                return
        except OSError:
            return
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            done = self._db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if whole else 'RESTART'})").fetchone()
            self.log_is_held = bool(done[0])
        except sqlite3.Error:
            self.log_is_held = True  # a reader or writer was there, or the disk is full: the next one will do it
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {self._patience_ms}")

    def log_held(self) -> str:
        """Who keeps the write-ahead log from being emptied, in a sentence; "" for nobody."""
        from jobctl.store import trouble

        try:
            return trouble.log_held(self.path, os.path.getsize(self.path + "-wal"))
        except OSError:
            return ""

    def little_space(self) -> str:
        """What is about to end on the store's disk, or has, in a sentence; "" while there is enough of it."""
        from jobctl.store import trouble

        return trouble.little_space(self.state_dir)

    def troubles(self) -> list[str]:
        """What the store suffers from and a look from outside can tell, in sentences."""
        from jobctl.store import trouble

        return trouble.seen(self.path)

    def halt(self) -> str:
        """Why nothing can be recorded, or begins, as a look from outside can tell; "" where something may."""
        from jobctl.store import trouble

        return trouble.halt(os.path.dirname(self.path))

    def be_patient(self, ms: int | None = None) -> None:
        """How long from now on another process that writes - one that is stopped amid a transaction, say - may hold up
        this one: StoreUnavailableError after that. None: as long as at first, for who has nothing else to do."""
        self._patience_ms = int(_BUSY_SECONDS * 1000) if ms is None else ms
        with explained(self.path):
            self._db.execute(f"PRAGMA busy_timeout = {self._patience_ms}")

    # -- whose it is, and how it is --------------------------------------------------------------------------------

    def identity(self) -> str:
        return str(self._row("SELECT id FROM store")[0])

    def folder(self) -> Folder | None:
        """The folder that the store belongs to, as it was recorded; None where it was not."""
        row = self._row("SELECT folder FROM store")
        return decode_folder(row[0]) if row is not None else None

    def is_copy(self) -> bool:
        """`copy`, asked anew: somebody may have adopted the folder."""
        with explained(self.path):
            self.copy = place.copy_of(self.state_dir, self.folder())
        return self.copy is not None

    @staticmethod
    def belongs_to(db: sqlite3.Connection, folder: Folder, identity: str | None = None) -> None:
        """Record the folder that the store belongs to from here on, and its identity if that is another one now."""
        db.execute("UPDATE store SET folder = ?, id = coalesce(?, id)", (encode_folder(folder), identity))

    def changes(self) -> int:
        """A number that is another one after somebody else has committed. Cheap enough to ask ten times a second."""
        return int((self._origin or self._db).execute("PRAGMA data_version").fetchone()[0])

    def quick_check(self) -> list[str]:
        """What SQLite finds wrong with the file: nothing, for a sound one."""
        try:
            found = [str(row[0]) for row in self._rows("PRAGMA quick_check(10)")]
        except StoreUnavailableError:
            raise
        except StoreError as error:  # so damaged that the check gives up
            return [error.message]
        return [] if found == ["ok"] else found

    # -- questions, for the files of this room -----------------------------------------------------------------------

    def _row(self, sql: str, *values: Any) -> Any:
        """The first row of a query of this folder's, None when there is none."""
        return next(iter(self._ask(sql, values, one=True)), None)

    def _rows(self, sql: str, *values: Any, strict: bool = False) -> list[Any]:
        """All rows of a query of this folder's. `strict`: StoreError where there is text that is no UTF-8."""
        return self._ask(sql, values, strict=strict)

    def _ask(self, sql: str, values: Sequence[Any], *, one: bool = False, strict: bool = False) -> list[Any]:
        with explained(self.path):
            try:
                return self._found(sql, values, one)
            except sqlite3.OperationalError as error:
                if strict or "UTF-8" not in str(error):
                    raise
                self._db.text_factory = tolerant  # not from the start: it would be called for each text
                try:
                    return self._found(sql, values, one)
                finally:
                    self._db.text_factory = str

    def _found(self, sql: str, values: Sequence[Any], one: bool) -> list[Any]:
        cursor = self._fresh().execute(sql, values)
        if not one:
            return cursor.fetchall()
        found = cursor.fetchone()
        return [] if found is None else [found]

    def sound(self, kinds: Kinds, row: Sequence[Any]) -> Sequence[Any]:
        """The row, with something harmless for each value that cannot be right; that is noted in `damage`."""
        if kinds.is_sound(row):
            return row
        values, columns = kinds.harmless(row)
        name = next((repr(value)[:80] for value in row[:2] if isinstance(value, str) and value), repr(row[0])[:40])
        self.damage[f"the row of {kinds.about}, {name}, is damaged in the store: {', '.join(columns)}"] = None
        return values


def _patiently(
    db: sqlite3.Connection, statement: str, patience: int, give_up: Callable[[], bool] | None = None
) -> None:
    """Carry it out, with patience for whoever has the lock just now, in short waits: handlers of signals run between
    them, and whoever was told by one to end (`give_up`) waits no longer."""
    looks = -(-patience // _LOOK_UP_MS)
    db.execute(f"PRAGMA busy_timeout = {min(patience, _LOOK_UP_MS)}")
    try:
        while True:
            looks -= 1
            try:
                db.execute(statement)
                return
            except sqlite3.OperationalError as error:
                is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or looks <= 0 or (give_up is not None and give_up()):
                    raise
    finally:
        db.execute(f"PRAGMA busy_timeout = {patience}")


def to_read(path: str) -> str:
    """The URI by which SQLite reads a database that nobody can write, in a folder where it can make no files."""
    from urllib.parse import quote

    # Without a log there is nothing to coordinate with; with one its index must be there, as a crash leaves it.
    return f"file:{quote(path)}?" + ("mode=ro" if is_logged(path) else "immutable=1")


def is_logged(path: str) -> bool:
    """Whether there is something in the write-ahead log."""
    try:
        return os.path.getsize(path + "-wal") > 0
    except OSError:
        return False
