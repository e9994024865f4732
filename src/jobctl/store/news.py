"""How runs ended last, for whoever asks what is news: a query each. What follows from it: engines/local/news.py."""

from __future__ import annotations

from jobctl.core.run.history import EventType
from jobctl.core.run.rows import RunRow
from jobctl.store.store import Store

_RUN = ", ".join(RunRow._fields)
_OWN = "parent IS NULL AND status IN ('succeeded', 'failed', 'timed_out')"


def last_end(store: Store, job: str) -> RunRow | None:
    """The newest of a job's own runs that has succeeded or failed, of those without a key."""
    rows = store._rows(
        f"SELECT {_RUN} FROM runs WHERE job = ? AND key IS NULL AND {_OWN} ORDER BY id DESC LIMIT 1", job
    )
    return store._run(rows[0]) if rows else None


def failed_with_key(store: Store) -> list[RunRow]:
    """Runs with a key, of which there is one each, that have failed. The index has those alone."""
    condition = f"status NOT IN ('succeeded', 'running') AND key IS NOT NULL AND {_OWN} AND status != 'succeeded'"
    return [store._run(row) for row in store._rows(f"SELECT {_RUN} FROM runs WHERE {condition} ORDER BY id")]


def is_acknowledged(store: Store, row: RunRow) -> bool:
    """Whether somebody has said to know how it ended: the last that happened to it."""
    last = store.events(row.id, after=row.seq - 1, upto=row.seq)
    return bool(last) and last[0].type is EventType.RUN_ACKNOWLEDGED
