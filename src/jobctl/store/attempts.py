"""The rows of attempts as they follow from the histories, where the rows themselves are not to be believed: they were
lost, or are to be compared. Who writes them as things happen: append.py."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from jobctl.core.keys import UNDO
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried
from jobctl.store.codec import from_row

Attempt = tuple[str, int | None, int, int | None]  # status, exit code, started, finished
_STARTS = (EventType.ATTEMPT_STARTED, EventType.UNDO_STARTED)
_ENDS = (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED)


def key_of(event: Event) -> tuple[str, int]:
    """(key, number) of the attempt that an event is about."""
    undo = event.type in (EventType.UNDO_STARTED, EventType.UNDO_ENDED)
    return (event.step + UNDO if undo else event.step, event.number)


def follow(events: Iterable[Event]) -> dict[tuple[str, int], Attempt]:
    """The rows that follow from a history."""
    found: dict[tuple[str, int], Attempt] = {}
    for event in events:
        key = key_of(event)
        if event.type in _STARTS:
            found[key] = ("running", None, event.at, None)
        elif event.type in (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED) and key in found:
            data = carried(event.type, event)
            status = data.get("status", "succeeded")
            code = data.get("exit_code", 0 if status == "succeeded" else None)
            found[key] = (status, code, found[key][2], event.at)
    return found


def running(db: sqlite3.Connection) -> Iterator[tuple[str, str | None, str, int, str | None]]:
    """What is under way by the histories: (run's name, its executor, key, number, keeper)."""
    for run, name, executor in db.execute(
        "SELECT id, name, executor FROM runs WHERE finished_at IS NULL ORDER BY id"
    ).fetchall():
        under_way: dict[tuple[str, int], str | None] = {}
        for event in _events(db, run):
            if event.type in _STARTS:
                keeper = carried(EventType.ATTEMPT_STARTED, event).get("keeper")
                under_way[key_of(event)] = str(keeper) if keeper else None
            elif event.type in _ENDS:
                under_way.pop(key_of(event), None)
        for (key, number), by in under_way.items():
            yield name, executor, key, number, by


def complete(db: sqlite3.Connection, *, of_all: bool = True) -> int:
    """Write the rows that are missing, also of runs that are over if `of_all`. How many runs that concerns."""
    runs = 0
    for (run,) in db.execute("SELECT id FROM runs WHERE ? OR finished_at IS NULL ORDER BY id", (of_all,)).fetchall():
        rows = [(run, *key, *row) for key, row in follow(_events(db, run)).items()]
        query = (
            "INSERT OR IGNORE INTO attempts (run, step, number, status, exit_code, started_at, finished_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        runs += db.executemany(query, rows).rowcount > 0
    return runs


def _events(db: sqlite3.Connection, run: int) -> Iterator[Event]:
    """Those of a run that can be read; what stands around a hole is better than nothing."""
    for row in db.execute("SELECT at, type, step, number, data FROM events WHERE run = ? ORDER BY seq", (run,)):
        try:
            yield from_row(row)
        except ValueError:
            continue
