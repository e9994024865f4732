"""Runs that are queued for a daemon instead of begun here: recorded as created, and the living daemons are woken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobctl import clock, executor
from jobctl.core import parameters
from jobctl.core.errors import JobctlError
from jobctl.core.history import Event, RunState
from jobctl.core.model import Job, encode
from jobctl.engines.commands import run_values
from jobctl.engines.local import check_supported, created
from jobctl.masking import redact
from jobctl.store.store import Batch, NewRun, Store, new_name


def daemons(store: Store) -> list[str]:
    """The ids of the living daemons on this store."""
    return [
        name
        for name, (_, kind, _) in store.executors().items()
        if kind == "daemon" and executor.alive(store.state_dir, name)
    ]


def need_daemon(store: Store, hint: str) -> None:
    """JobctlError with that way out when no daemon lives here: what is queued would wait for ever."""
    if not daemons(store):
        raise JobctlError(f"no daemon runs on {store.state_dir}", hint=hint)


def poke_daemons(store: Store) -> None:
    """Have the living daemons look at the store now."""
    for name in daemons(store):
        executor.poke(store.state_dir, name)


def enqueue(
    store: Store,
    job: Job,
    given: Mapping[str, Any],
    *,
    trigger: str,
    fire_time: int | None = None,
) -> str:
    """Queue a run of the job; its id. UsageError for parameters that do not fit, JobctlError for what cannot run."""
    check_supported(job)
    name = new_name(job.name)
    at = fire_time if fire_time is not None else clock.now()
    params = parameters.values(job, given, run_values(job, name, at))
    new = NewRun(name, job.name, encode(redact(job)), trigger, fire_time, job.queue, job.priority)
    record(store, new, [created(new, params, clock.now())])
    poke_daemons(store)
    return name


def record(store: Store, new: NewRun, events: Sequence[Event]) -> bool:
    """Write a run that nobody has begun. False when its fire time was dealt with already."""
    return not record_all(store, [(new, events)])


def record_all(store: Store, runs: Sequence[tuple[NewRun, Sequence[Event]]]) -> set[str]:
    """Write runs that nobody has begun, each with its events, in one commit. Returns the ids of those that are not
    written, because their fire time was dealt with already."""
    batches = []
    for new, events in runs:
        state = RunState()
        for event in events:
            state.apply(event)
        batches.append(Batch(0, 0, events, state, executor=None, new=new))
    return {batch.new.name for batch in store.append(batches) if batch.new is not None}
