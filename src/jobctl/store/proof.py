"""What is asked of the rows to compare them with the histories that they follow from. What is compared:
engines/local/proof.py."""

from __future__ import annotations

from jobctl.core.record import NamedTuple
from jobctl.core.run.rows import RunRow
from jobctl.store.attempts import Attempt
from jobctl.store.store import Store

_RUN = ", ".join(RunRow._fields)
_PAGE = 500
# Rows that belong to nothing: (what they are, how many).
_STRAY = (
    ("events of runs that are gone", "SELECT count(DISTINCT run) FROM events WHERE run NOT IN (SELECT id FROM runs)"),
    ("attempts of runs that are gone", "SELECT count(*) FROM attempts WHERE run NOT IN (SELECT id FROM runs)"),
    (
        "runs whose definition is gone",
        "SELECT count(*) FROM runs WHERE definition NOT IN (SELECT id FROM definitions)",
    ),
    (
        "fire times of schedules that are gone",
        "SELECT count(*) FROM firings WHERE schedule NOT IN (SELECT id FROM schedules)",
    ),
)


class Scheduled(NamedTuple):
    """A schedule that some file has."""

    id: int
    job: str
    key: str
    progress: int


def page(store: Store, after: int) -> list[RunRow]:
    """The next runs by their number."""
    query = f"SELECT {_RUN} FROM runs WHERE id > ? ORDER BY id LIMIT ?"
    return [store._run(row) for row in store._rows(query, after, _PAGE)]


def rest_of(store: Store, run: int) -> tuple[int | None, str | None]:
    """(start_by, key) of a run."""
    row = store._row("SELECT start_by, key FROM runs WHERE id = ?", run)
    return (None, None) if row is None else (row[0], row[1])


def attempts(store: Store, run: int) -> dict[tuple[str, int], Attempt]:
    rows = store._rows(
        "SELECT step, number, status, exit_code, started_at, finished_at FROM attempts WHERE run = ?", run
    )
    return {(step, number): tuple(rest) for step, number, *rest in rows}


def strays(store: Store) -> list[str]:
    """Rows that belong to nothing, in words."""
    found = [(what, store._row(query)[0]) for what, query in _STRAY]
    return [f"{count:,} {what}" for what, count in found if count]


def faults(store: Store) -> list[str]:
    """What SQLite finds wrong when it compares every row with every index."""
    found = [str(row[0]) for row in store._rows("PRAGMA integrity_check(10)")]
    return [] if found == ["ok"] else found


def schedules(store: Store) -> list[Scheduled]:
    rows = store._rows("SELECT id, job, key, progress FROM schedules WHERE active = 1 ORDER BY job, id")
    return [Scheduled(*row) for row in rows if isinstance(row[3], int)]


def recorded(store: Store, schedule: int) -> list[tuple[int, int]]:
    """(first, last) of all that is recorded of a schedule's fire times, oldest first."""
    query = "SELECT fire_time, coalesce(last, fire_time) FROM firings WHERE schedule = ? ORDER BY fire_time"
    rows = store._rows(query, schedule)
    return [(first, last) for first, last in rows if isinstance(first, int) and isinstance(last, int)]
