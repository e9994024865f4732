"""Taking a run that exists into the daemon's engine: queued, interrupted, or left by another executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobctl.core.errors import JobctlError, StoreError
from jobctl.core.record import NamedTuple
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import control, unbegun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.stored_job import job_of
from jobctl.store.store import Store


class Failed(NamedTuple):
    """A run that failed before it could begin."""

    run: str
    job: str
    trigger: str
    reason: str


OnFailed = Callable[[Failed], None]


def ignore(_: Failed) -> None:
    """Nobody wants to know: it stands in the store."""


def take(store: Store, engine: LocalEngine, run_id: int, on_failed: OnFailed = ignore) -> bool:
    """Go on with a run here. False when another executor was faster, or the run is over - also because it could never
    begin: a queued run that lacks a secret or its env_file is recorded as failed, with why.

    JobctlError when a run that has begun cannot go on now: it stays as it is, and the reason is the operator's.
    """
    row = store.run(run_id)
    try:
        kept = job_of(store, row, strict=True)
    except JobctlError as error:
        if row.status != "queued" or isinstance(error, StoreError):
            raise
        if fail(store, engine, row, error.message):
            on_failed(Failed(row.name, row.job, row.trigger, error.message))
        return False
    return engine.take(run_id, kept.job, env_file=kept.env_file) is not None


def take_all(store: Store, engine: LocalEngine, run_ids: Iterable[int]) -> None:
    """Go on with runs that have begun, in one commit. JobctlError when one of them cannot go on now: then some of them
    may be here and others not, and `take` tells which one it is."""
    left = []
    for run_id in run_ids:
        kept = job_of(store, store.run(run_id), strict=True)
        left.append((run_id, kept.job, kept.env_file))
    engine.take_all(left)


def end(store: Store, engine: LocalEngine, run_id: int, *, terminate: bool, reason: str) -> None:
    """Ask a run to end, and see it through here when nobody has it: it is queued, or waits for an executor.

    JobctlError when it is over.
    """
    ask = control.terminate if terminate else control.cancel
    row = ask(store, store.run(run_id), reason=reason, by="scheduler", host=engine.host)
    if row.executor is None:
        kept = job_of(store, row, strict=False)
        engine.take(run_id, kept.job, env_file=kept.env_file)


def fail(store: Store, engine: LocalEngine, row: RunRow, reason: str) -> bool:
    """End a run that no executor advances as failed; what tells of it is queued. False when it ended in between."""
    return unbegun.end(store, row, "failed", reason, engine.host.now())
