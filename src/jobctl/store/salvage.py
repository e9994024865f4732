"""What can still be read of a damaged database, in a new one: row by row, around the pages that cannot be. Nothing is
changed in the damaged one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

from jobctl.core.errors import JobctlError, StoreError
from jobctl.host.files import open_own
from jobctl.store import attempts, place
from jobctl.store.backup import check, written
from jobctl.store.database import to_read
from jobctl.store.errors import explained
from jobctl.store.migrations import migrations
from jobctl.store.schema import APPLICATION_ID, VERSION

# Tables, and the columns of their keys: the order in which they lie on the disk.
_KEYS: dict[str, tuple[str, ...]] = {
    "definitions": ("id",),
    "runs": ("id",),
    "schedules": ("id",),
    "events": ("run", "seq"),
    "attempts": ("run", "step", "number"),
    "firings": ("schedule", "fire_time"),
    "boots": ("id",),
    "paused_jobs": ("job",),
    "executors": ("rowid",),
    "times": ("rowid",),
    "store": ("rowid",),
}
_BY_RUN = ("events", "attempts")  # what cannot be read of one run is not in the way of the others
# Where else the ids of a table stand: how far to look for its rows where its own end cannot be read.
_NAMED_IN = {"definitions": ("runs", "definition"), "runs": ("events", "run"), "schedules": ("firings", "schedule")}
_FAR = 1 << 16  # where nothing tells
_TRIED_S = 5

Row = tuple[Any, ...]


def save(state_dir: str, into: str) -> list[str]:
    """Write what can be read to the new file `into`. What could not, in sentences; StoreError when that is all."""
    path = os.path.join(state_dir, place.DATABASE)
    os.close(open_own(into, os.O_CREAT | os.O_EXCL | os.O_RDWR))
    with explained(path), closing(sqlite3.connect(to_read(path), uri=True, isolation_level=None)) as origin:
        odd: set[bytes] = set()
        origin.text_factory = lambda data: _decoded(data, odd)
        with closing(sqlite3.connect(into, isolation_level=None)) as copy:
            version = _make(origin, copy, path)
            lost: Counter[str] = Counter()
            with written(into):
                copy.execute("BEGIN")
                for table in _KEYS:
                    _table(origin, copy, table, lost)
                told = _left_alone(copy, lost)
            if odd:
                told.append(
                    f"what {len(odd):,} text{'' if len(odd) == 1 else 's'} said: it is no UTF-8, and has � in it now"
                )
            _some_left(origin, copy, path, told)
            copy.execute("COMMIT")
            copy.execute(f"PRAGMA user_version = {version}")
            copy.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    return told


def _decoded(data: bytes, odd: set[bytes]) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        odd.add(data)
        return data.decode("utf-8", "replace")


def _some_left(origin: sqlite3.Connection, copy: sqlite3.Connection, path: str, told: list[str]) -> None:
    """StoreError when there were runs, and not one of them is in the copy."""
    if copy.execute("SELECT EXISTS (SELECT 1 FROM runs)").fetchone()[0]:
        return
    count = 0 if not told else _largest(origin, "runs", otherwise=0)
    if count or any("table runs" in one for one in told):
        runs = f"none of up to {count:,} runs" if count else "no run"
        raise JobctlError(f"{runs} can be read of {path}; lost: {'; '.join(told)}", hint=_other_ways())


def _other_ways() -> str:
    """What may be tried where we find nothing; SQLite's own tool where it is built for that, as Debian's is not."""
    older = "an older backup, into another folder: jobctl --state-dir NEW restore BACKUP"
    try:
        done = subprocess.run(
            ["sqlite3", ":memory:", "SELECT count(*) FROM sqlite_dbpage"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIED_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return older
    if done.returncode or done.stderr:
        return older
    return f"{older}; or what SQLite's own tool finds: sqlite3 jobctl.db .recover | sqlite3 saved.db, and restore that"


def _make(origin: sqlite3.Connection, copy: sqlite3.Connection, path: str) -> int:
    """Today's tables, empty; the version that they are of."""
    from sqlite_utils import Database

    try:
        # Else a file that is shorter than its first page says, or with one odd line in its schema, is not read at all.
        origin.execute("PRAGMA writable_schema = ON")
        check(origin, path)
        origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"nothing can be read of {path}: {error}",
            hint=_other_ways(),
        ) from error
    copy.execute("PRAGMA auto_vacuum = INCREMENTAL")
    migrations.apply(Database(copy))
    copy.execute("DELETE FROM store")
    copy.execute("PRAGMA foreign_keys = OFF")
    return VERSION


def _table(origin: sqlite3.Connection, copy: sqlite3.Connection, table: str, lost: Counter[str]) -> None:
    ours = [row[1] for row in copy.execute(f"PRAGMA table_info({table})")]
    try:
        there = {row[1] for row in origin.execute(f"PRAGMA table_info({table})")}
    except sqlite3.DatabaseError:
        lost[table] += 1
        return
    columns = [column for column in ours if column in there]  # of an older one some are missing
    if not columns:
        return
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for row in _rows(origin, copy, table, columns, lost):
        with suppress(sqlite3.IntegrityError, OverflowError):  # NULL where there must be a value: of a damaged page
            copy.execute(insert, row)


def _rows(
    origin: sqlite3.Connection, copy: sqlite3.Connection, table: str, columns: list[str], lost: Counter[str]
) -> Iterator[Row]:
    if table in _BY_RUN:
        for (run,) in copy.execute("SELECT id FROM runs ORDER BY id").fetchall():
            yield from _some(origin, table, columns, "run = ?", (run,), lost)
        return
    if _KEYS[table] == ("id",) and table != "boots":
        yield from _between(origin, table, columns, 0, _largest(origin, table), lost)
        return
    yield from _some(origin, table, columns, "1", (), lost)


def _between(
    origin: sqlite3.Connection, table: str, columns: list[str], first: int, last: int, lost: Counter[str]
) -> Iterator[Row]:
    """Rows with a key in [first, last]. Where that cannot be read, what stands before and behind the damage."""
    stack = [(first, last)]
    while stack:
        low, high = stack.pop()
        seen = low - 1
        try:
            for row in _ask(origin, table, columns, f"id BETWEEN {low} AND {high}", ("id",), ()):
                seen = row[0]
                yield row[1:]
            continue
        except sqlite3.DatabaseError:
            low = seen + 1
        if low >= high:
            lost[table] += 1
            continue
        if high - low < 2:
            stack += [(low, low), (high, high)]
            continue
        middle = (low + high) // 2
        stack += [(middle + 1, high), (low, middle)]


def _largest(origin: sqlite3.Connection, table: str, otherwise: int = _FAR) -> int:
    """The largest id that a row of the table may have."""
    other, column = _NAMED_IN[table]
    found = []
    for query in (f"SELECT max(id) FROM {table} NOT INDEXED", f"SELECT max({column}) FROM {other}"):
        with suppress(sqlite3.DatabaseError):
            value = origin.execute(query).fetchone()[0]
            found.append(value if isinstance(value, int) else 0)
    return max(found, default=otherwise)


def _some(
    origin: sqlite3.Connection, table: str, columns: list[str], condition: str, values: Row, lost: Counter[str]
) -> Iterator[Row]:
    """Rows from the first one on, up to the damage, and from the last one back to it."""
    keys = _KEYS[table]
    seen: set[Row] = set()
    for order in (keys, tuple(f"{key} DESC" for key in keys)):
        try:
            for row in _ask(origin, table, columns, condition, keys, values, order):
                key, rest = row[: len(keys)], row[len(keys) :]
                if key not in seen:
                    seen.add(key)
                    yield rest
            return
        except sqlite3.DatabaseError:
            continue
    lost[table] += 1


def _ask(
    origin: sqlite3.Connection,
    table: str,
    columns: list[str],
    condition: str,
    keys: tuple[str, ...],
    values: Row,
    order: tuple[str, ...] = (),
) -> Iterator[Row]:
    names = ", ".join([*keys, *columns])
    yield from origin.execute(
        f"SELECT {names} FROM {table} NOT INDEXED WHERE {condition} ORDER BY {', '.join(order or keys)}", values
    )


def _left_alone(copy: sqlite3.Connection, lost: Counter[str]) -> list[str]:
    """What is to be said of what was saved, and put right where it could not be used otherwise."""
    told = []
    if copy.execute("SELECT count(*) FROM store").fetchone()[0] == 0:
        copy.execute("INSERT INTO store (id) VALUES (?)", (os.urandom(6).hex(),))
        told.append("the identity of the store: it has a new one")
    if rebuilt := attempts.complete(copy):
        told.append(f"rows of attempts of {rebuilt:,} run{'' if rebuilt == 1 else 's'}: made again from the histories")
    count: Callable[[str], int] = lambda query: int(copy.execute(query).fetchone()[0])  # noqa: E731
    incomplete = count("SELECT count(*) FROM runs WHERE seq != (SELECT count(*) FROM events WHERE run = runs.id)")
    if incomplete:
        told.append(f"a part of the history of {incomplete:,} run{'' if incomplete == 1 else 's'}")
    without = count("SELECT count(*) FROM runs WHERE definition NOT IN (SELECT id FROM definitions)")
    if without:
        told.append(f"the definition of {without:,} run{'' if without == 1 else 's'}")
    for table in sorted(lost):
        if table not in _BY_RUN:
            told.append(f"rows of the table {table}, at {lost[table]} {'place' if lost[table] == 1 else 'places'}")
    return told
