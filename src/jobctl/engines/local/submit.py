"""Runs that are queued for a daemon instead of begun here: recorded as created, and the living daemons are woken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jobctl.core.definition import parameters
from jobctl.core.errors import JobctlError, KeyConflictError, StoreUnavailableError
from jobctl.core.model import Job, encode
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import Event, RunState
from jobctl.core.run.newrun import described, made
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.core.run.values import run_values
from jobctl.core.schedule import overlap
from jobctl.core.schedule.overlap import Fire
from jobctl.definitions.masking import redact
from jobctl.engines.local import control
from jobctl.engines.local.daemons import poke_daemons
from jobctl.store import firings
from jobctl.store.append import Batch
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.values import Reused
    from jobctl.host.host import Host

_NO_NOTICES: Mapping[str, Sequence[Batch]] = {}
_AT_A_TIME = 500  # runs queued in one commit: some ten milliseconds


class Submitted(NamedTuple):
    name: str
    new: bool  # False: the job had a run for that key


def enqueue(
    store: Store,
    job: Job,
    given: Mapping[str, Any],
    *,
    host: Host,
    trigger: str,
    fire_time: int | None = None,
    like: Reused | None = None,
    start_within: int | None = None,
    key: str | None = None,
    here: bool = False,
) -> Submitted:
    """Queue a run of the job; its id. Where the job has a run for the key, that run's. `like` is what it reuses of
    another run; `start_within` and `key` replace the job's; `here`: the caller means to begin it, and wakes nobody.

    UsageError for parameters that do not fit, KeyConflictError where they are others than those of the run that there
    is, JobctlError for what cannot run.
    """
    while True:
        names = enqueue_each(
            store,
            job,
            given,
            [fire_time],
            host=host,
            trigger=trigger,
            like=like,
            start_within=start_within,
            key=key,
            here=here,
        )
        if names:
            return Submitted(names[0], True)
        if key is None:
            key = _key_of(job, given, host.now() if fire_time is None else fire_time)
        there = there_is(store, job, key, given) if key is not None else None
        if there is not None:
            return Submitted(there.name, False)  # else it was removed in between, and the key is free


def run_of(store: Store, job: Job, fire_time: int) -> RunRow | None:
    """The run that the job has for the key of a fire time, without other parameters than its own."""
    try:
        key = _key_of(job, {}, fire_time)
    except JobctlError:
        return None  # it cannot begin, which is recorded
    return None if key is None else store.with_key(job.name, key)


def _key_of(job: Job, given: Mapping[str, Any], at: int) -> str | None:
    """What the job says the key of a run with that fire time is. UsageError for parameters that do not fit."""
    values = run_values(job, job.name, at)
    return parameters.key_of(job, parameters.values(job, given, values), values)


def there_is(store: Store, job: Job, key: str, given: Mapping[str, Any]) -> RunRow | None:
    """The run that the job has for a key. KeyConflictError when it was started with other parameters than these: with
    another value of one that is given, or of one whose default is a plain value."""
    row = store.with_key(job.name, key)
    if row is None:
        return None
    was = store.state(row).params
    now = parameters.values(job, given, run_values(job, row.name, row.created_at))
    fixed = [name for name, param in job.params.items() if name in given or "{{" not in str(param.default)]
    differ = [name for name in fixed if now[name] != was.get(name)]
    if differ:
        raise KeyConflictError(
            f"job {job.name} has a run with the key {key!r} and another {', '.join(differ)}: {row.name}",
            hint=f"take another key, or the same parameters; see it with: jobctl status {row.name}",
        )
    return row


def enqueue_each(
    store: Store,
    job: Job,
    given: Mapping[str, Any],
    fire_times: Iterable[int | None],
    *,
    host: Host,
    trigger: str,
    like: Reused | None = None,
    start_within: int | None = None,
    key: str | None = None,
    here: bool = False,
) -> list[str]:
    """Queue a run of the job for each fire time, in their order; the ids, but for those whose key the job has a run of.
    Errors as in `enqueue`: then none is queued.

    Runs that a schedule or a backfill queues start as the overlap policy of `job` says.
    """
    if store.copy is not None:
        raise store.copy.error(f"no run of {job.name} can {'wait for a place' if here else 'be left to a daemon'}")
    now, text = host.now(), encode(redact(job))
    queued: list[tuple[NewRun, list[Event]]] = []
    names: set[str] = set()
    for fire_time in fire_times:
        names.add(name := store.unused_name(job.name, names))
        new = described(job, text, name, now, start_within=start_within)._replace(trigger=trigger, fire_time=fire_time)
        new = new._replace(key=None if key is None else parameters.checked_key(key))
        values = run_values(job, name, now if fire_time is None else fire_time)
        run = made(job, new, given, values, now, like=like)
        queued.append((run.new, [run.first]))
    refused: set[str] = set()
    for i in range(0, len(queued), _AT_A_TIME):
        refused |= record_all(store, queued[i : i + _AT_A_TIME])
        if not here:
            poke_daemons(store)
    return [new.name for new, _ in queued if new.name not in refused]


def trigger(
    store: Store, job: Job, given: Mapping[str, Any], *, host: Host, by: str, start_within: int | None = None
) -> str:
    """Queue a run as if a schedule of the job fired now, its overlap policy applied; the run's id.

    JobctlError with the reason when the policy says that no run starts; else errors as in `enqueue`. A run that begins
    between the look at the others and the commit is not seen: then this one waits for its end.
    """
    if store.copy is not None:
        raise store.copy.error(f"no run of {job.name} can be left to a daemon")
    now = host.now()
    fire_time = now - now % 1000
    key = _key_of(job, given, fire_time)  # parameters that do not fit are refused before any other run is ended
    if key is not None and (there := there_is(store, job, key, given)) is not None:
        return there.name
    begun, buffered = firings.alive_runs(store, job.name)
    decision = overlap.decide(job.overlap, running=len(begun), buffered=len(buffered))
    if decision.fire is Fire.SKIP:
        from jobctl.engines.local.holders import is_left

        left = [row.name for row in (store.run(number) for number, _ in begun) if is_left(store, row, host.now())]
        if left:
            raise JobctlError(
                f"no run of {job.name} was started: {left[0]} is not over, it was interrupted ({job.overlap})",
                hint=f"take it up: jobctl resume {left[0]}; a run beside it: jobctl run --detach {job.name}",
            )
        raise JobctlError(
            f"no run of {job.name} was started: {decision.reason}",
            hint=f"see it with: jobctl status {job.name}; a run beside it: jobctl run --detach {job.name}",
        )
    if decision.fire in (Fire.CANCEL_OTHER, Fire.TERMINATE_OTHER):
        ask = control.cancel if decision.fire is Fire.CANCEL_OTHER else control.terminate
        for number, _ in [*begun, *buffered]:
            try:
                why = f"a triggered run takes its place (overlap = {job.overlap})"
                ask(store, store.run(number), reason=why, by=by, host=host)
            except StoreUnavailableError:
                raise
            except JobctlError:
                continue  # it ended in between
    return enqueue(
        store, job, given, host=host, trigger="schedule", fire_time=fire_time, start_within=start_within
    ).name


def record(store: Store, new: NewRun, events: Sequence[Event]) -> bool:
    """Write a run that nobody has begun. False when its fire time was dealt with already, or its key has a run."""
    return not record_all(store, [(new, events)])


def record_all(
    store: Store,
    runs: Sequence[tuple[NewRun, Sequence[Event]]],
    notices: Mapping[str, Sequence[Batch]] = _NO_NOTICES,
) -> set[str]:
    """Write runs that nobody has begun, each with its events, in one commit. Returns the ids of those that are not
    written, because their fire time was dealt with already or their key has a run. `notices`: by id, the runs that tell
    of their end."""
    return {batch.new.name for batch in store.append(batches_of(runs, notices)) if batch.new is not None}


def batches_of(
    runs: Sequence[tuple[NewRun, Sequence[Event]]], notices: Mapping[str, Sequence[Batch]] = _NO_NOTICES
) -> list[Batch]:
    """What `record_all` writes."""
    batches = []
    for new, events in runs:
        state = RunState()
        for event in events:
            state.apply(event)
        told = notices.get(new.name, ())
        batches.append(Batch(0, 0, events, state, executor=None, new=new, notices=told))
    return batches
