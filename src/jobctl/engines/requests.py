"""What is asked of a run from outside: recorded in its history, and its executor is woken. Nothing is carried out here.

Other processes never talk to an executor directly: they append an event and poke.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobctl import clock, executor
from jobctl.core.decide import to_redo
from jobctl.core.errors import JobctlError, NotFoundError
from jobctl.core.history import Event, EventType, RunState
from jobctl.core.model import Job, RunStatus
from jobctl.core.suggest import did_you_mean
from jobctl.store.store import RunRow, Store


def is_held(store: Store, row: RunRow) -> bool:
    """Whether a living executor has the run: it follows what is asked. Otherwise somebody must take the run."""
    return row.executor is not None and executor.alive(store.state_dir, row.executor)


def cancel(store: Store, row: RunRow, *, reason: str | None, by: str) -> RunRow:
    """Ask for a graceful end. JobctlError when the run is over."""
    return _ask(store, row, EventType.CANCEL_REQUESTED, reason, by)


def terminate(store: Store, row: RunRow, *, reason: str | None, by: str) -> RunRow:
    """Ask for an end at once, with nothing after it. JobctlError when the run is over."""
    return _ask(store, row, EventType.TERMINATE_REQUESTED, reason, by)


def pause(store: Store, row: RunRow, *, reason: str | None, by: str) -> RunRow:
    """Ask that no new attempt starts. JobctlError when the run is over."""
    return _ask(store, row, EventType.RUN_PAUSED, reason, by)


def unpause(store: Store, row: RunRow, *, by: str) -> RunRow:
    """Let a paused run go on. JobctlError when it is not paused any more."""

    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        if now.status != RunStatus.PAUSED:
            raise JobctlError(f"run {now.name} is not paused, it is {now.status}", hint=f"jobctl status {now.name}")
        return Event(EventType.RUN_UNPAUSED, clock.now(), data={"by": by}), None

    return _append(store, row, make)


def reopen(
    store: Store,
    row: RunRow,
    job: Job,
    *,
    definition: str | None,
    from_step: str | None,
    by: str,
    queued: bool = False,
) -> RunRow:
    """Start a new try of a run that is over. Finished steps keep their results, `from_step` and what needs it do not.

    `job` is the definition it goes on with; `definition` its canonical text where it is another than before.
    `queued`: for a daemon, not for the caller. NotFoundError for an unknown step; JobctlError when there is nothing to
    resume, or only `from_step` makes sense.
    """
    names = [step.name for step in job.steps]
    if from_step is not None and from_step not in names:
        raise NotFoundError(f"job {job.name} has no step {from_step!r}", hint=did_you_mean(from_step, names))

    def make(now: RunRow, state: RunState) -> tuple[Event, str | None]:
        if now.finished_at is None:
            raise JobctlError(f"run {now.name} is {now.status} already", hint=f"jobctl logs -f {now.name}")
        if from_step is None and now.status == RunStatus.SUCCEEDED:
            raise JobctlError(
                f"run {now.name} has succeeded: there is nothing left to do",
                hint=f"start a new one: jobctl run {now.job}; or do a part again: jobctl resume {now.name} --from STEP",
            )
        if from_step is None and state.undone:
            undone = [name for name, undo in state.undo.items() if undo.attempts]
            raise JobctlError(
                f"run {now.name} was rolled back ({', '.join(undone)}): it cannot go on where it stopped",
                hint=f"jobctl resume {now.name} --from {names[0]}, or a new run: jobctl run {now.job}",
            )
        redo = to_redo(job, state, from_step)
        data: dict[str, Any] = {"redo": redo, "by": by}
        if definition is not None:
            data["updated"] = True
        if queued:
            data["queued"] = True
        return Event(EventType.RUN_REOPENED, clock.now(), data=data), definition

    return _append(store, row, make)


def _ask(store: Store, row: RunRow, kind: EventType, reason: str | None, by: str) -> RunRow:
    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        if now.finished_at is not None:
            raise JobctlError(f"run {now.name} is over: it has {_ended(now.status)}", hint=f"jobctl status {now.name}")
        data = {"by": by} if reason is None else {"by": by, "reason": reason}
        return Event(kind, clock.now(), data=data), None

    return _append(store, row, make)


def _append(store: Store, row: RunRow, make: Callable[[RunRow, RunState], tuple[Event, str | None]]) -> RunRow:
    now = store.request(row.id, make)
    if now.executor is not None:
        executor.poke(store.state_dir, now.executor)
    return now


def _ended(status: str) -> str:
    return {"timed_out": "timed out", "canceled": "been canceled", "terminated": "been terminated"}.get(status, status)
