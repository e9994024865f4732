"""Taking a run that exists into the daemon's engine: queued, interrupted, or left by another executor."""

from __future__ import annotations

from jobctl import clock
from jobctl.core.errors import JobctlError, StoreError
from jobctl.core.history import Event, EventType, RunState
from jobctl.engines.kept import job_of
from jobctl.engines.local import LocalEngine, check_supported
from jobctl.store.store import RunRow, Store


def take(store: Store, engine: LocalEngine, run_id: int) -> bool:
    """Go on with a run here. False when another executor was faster, or the run is over - also because it could never
    begin: a queued run that lacks a secret or its env_file is recorded as failed, with why.

    JobctlError when a run that has begun cannot go on now: it stays as it is, and the reason is the operator's.
    """
    row = store.run(run_id)
    try:
        kept = job_of(store, row, strict=True)
        check_supported(kept.job)
    except JobctlError as error:
        if row.status != "queued" or isinstance(error, StoreError):
            raise
        fail(store, row, error.message)
        return False
    return engine.take(run_id, kept.job, env_file=kept.env_file) is not None


def fail(store: Store, row: RunRow, reason: str) -> None:
    """End a run that no executor advances as failed."""

    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        if now.finished_at is not None:
            raise JobctlError(f"run {now.name} is over")
        return Event(EventType.RUN_ENDED, clock.now(), data={"status": "failed", "reason": reason}), None

    try:
        store.request(row.id, make)
    except JobctlError:
        return  # it ended in between
