"""Runs that end before anybody has begun them: what they lack is nowhere to be had, or nobody took them in time.

Recorded here, with what tells of it. That a run which has begun ends is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.run.history import TOO_LATE, Event, EventType, RunState
from jobctl.core.run.payloads import carries
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import control
from jobctl.store.append import Batch
from jobctl.store.store import Store


def end(store: Store, row: RunRow, status: str, reason: str, at: int) -> bool:
    """End a run that no executor advances; what tells of it is queued. False when it ended in between."""

    def check(now: RunRow, _: RunState) -> None:
        if now.finished_at is not None:
            raise _OverError(f"run {now.name} is over")

    return _end(store, row, status, reason, at, check)


def end_late(store: Store, now: int) -> list[RunRow]:
    """End the runs that nobody has begun in time, as canceled. Returns those that were ended here."""
    ended = []
    trouble: JobctlError | None = None
    for number in store.too_late(now):
        try:
            row = store.run(number)
            if _end_late(store, row, now):
                ended.append(row)
        except StoreUnavailableError:
            raise
        except JobctlError as error:  # one that cannot be read does not keep the others from their ends
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    return ended


def _end_late(store: Store, row: RunRow, at: int) -> bool:
    def check(_: RunRow, state: RunState) -> None:
        if state.start_by is None or state.start_by > at:
            raise _OverError(f"run {row.name} was begun")

    return _end(store, row, "canceled", TOO_LATE, at, check)


def _end(
    store: Store, row: RunRow, status: str, reason: str, at: int, check: Callable[[RunRow, RunState], None]
) -> bool:
    from jobctl.engines.local.notifications import of_row

    notices: list[Batch] = []

    def make(now: RunRow, state: RunState) -> tuple[Event, None]:
        check(now, state)
        why = carries(EventType.RUN_ENDED, {"status": status, "reason": reason})
        last = Event(EventType.RUN_ENDED, at, data=why)
        last, notices[:] = of_row(store, now, last, state)
        return last, None

    try:
        store.request(row.id, make, notices=notices)
    except _OverError:
        return False
    if row.parent is not None:
        control.poke_holder(store, store.run(row.parent))
    return True


class _OverError(JobctlError):
    pass
