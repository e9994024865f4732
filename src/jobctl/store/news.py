"""How runs ended last, for whoever asks what is news: a query each. What follows from it: engines/local/news.py."""

from __future__ import annotations

from jobctl.core.run.history import TOO_LATE, EventType
from jobctl.core.run.rows import RunRow
from jobctl.store.soundness import Kinds
from jobctl.store.store import Store

_RUN = ", ".join(RunRow._fields)
# A key that a schedule has made is no name that anybody asks for again: the next run of the schedule has another.
_SCHEDULED = "trigger IN ('schedule', 'backfill')"
_OF_MISSED = Kinds("fire times", job="t", count="n", first="i", last="i", reason="T")
_OWN = "parent IS NULL AND status IN ('succeeded', 'failed', 'timed_out')"


def last_end(store: Store, job: str) -> RunRow | None:
    """The newest of a job's own runs that has succeeded or failed, of those without a key that somebody gave."""
    rows = store._rows(
        f"SELECT {_RUN} FROM runs WHERE job = ? AND (key IS NULL OR {_SCHEDULED}) AND {_OWN} ORDER BY id DESC LIMIT 1",
        job,
    )
    return store._run(rows[0]) if rows else None


def failed_with_key(store: Store) -> list[RunRow]:
    """Runs with a key that somebody gave, of which there is one each, that have failed. The index has those alone."""
    given = f"key IS NOT NULL AND NOT {_SCHEDULED}"
    condition = f"status NOT IN ('succeeded', 'running') AND {given} AND {_OWN} AND status != 'succeeded'"
    return [store._run(row) for row in store._rows(f"SELECT {_RUN} FROM runs WHERE {condition} ORDER BY id")]


def too_late(store: Store, since: int) -> list[RunRow]:
    """Runs that nobody had begun in time, and that were canceled for that since then. The index has few others."""
    condition = "status NOT IN ('succeeded', 'running') AND status = 'canceled' AND reason = ? AND finished_at >= ?"
    return [
        store._run(row)
        for row in store._rows(f"SELECT {_RUN} FROM runs WHERE {condition} ORDER BY id", TOO_LATE, since)
    ]


def missed(store: Store, since: int) -> list[tuple[str, int, int, int, str | None]]:
    """(job, how many fire times, the first and the last of them, why) of what was missed, as recorded since then, the
    newest first."""
    rows = store._rows(
        "SELECT s.job, sum(f.count), min(f.fire_time), max(coalesce(f.last, f.fire_time)), max(f.reason)"
        " FROM firings f JOIN schedules s ON s.id = f.schedule"
        " WHERE f.dropped_at >= ? AND f.outcome = 'missed' GROUP BY s.job ORDER BY 4 DESC",
        since,
    )
    return [
        (job, count, first, last, why)
        for job, count, first, last, why in (store.sound(_OF_MISSED, row) for row in rows)
    ]


def is_acknowledged(store: Store, row: RunRow) -> bool:
    """Whether somebody has said to know how it ended: the last that happened to it."""
    last = store.events(row.id, after=row.seq - 1, upto=row.seq)
    return bool(last) and last[0].type is EventType.RUN_ACKNOWLEDGED
