"""What is asked of a run from outside: recorded in its history, and its executor is woken. Nothing is carried out here.

Other processes never talk to an executor directly: they append an event and poke.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection

from jobctl.core import kinds
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.core.keys import UNDO, item_index, step_name, undone_key
from jobctl.core.model import Job, RunStatus, When
from jobctl.core.run.history import Event, EventType, RunState, StepState
from jobctl.core.run.payloads import carries
from jobctl.core.run.resume import to_begin_anew, to_redo
from jobctl.core.run.rows import RunRow
from jobctl.core.status import StepStatus
from jobctl.engines.local import executor
from jobctl.engines.local.daemons import daemons, poke_daemons
from jobctl.process.attempt import MAX_OUTPUT
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.run.events import ApprovalAnswered, Requested, RunReopened, SignalReceived, WakeRequested
    from jobctl.host.host import Host

_NAMED = 8  # of what a message names


def is_held(store: Store, row: RunRow) -> bool:
    """Whether somebody follows what is asked of the run: a living executor that has it, or a daemon that takes it up
    because it is asleep. Otherwise somebody must take the run."""
    if row.executor is not None:
        return executor.alive(store.state_dir, row.executor)
    return row.wake_at is not None and bool(daemons(store))


def cancel(store: Store, row: RunRow, *, reason: str | None, by: str, host: Host) -> RunRow:
    """Ask for a graceful end. JobctlError when the run is over."""
    return _ask(store, row, EventType.CANCEL_REQUESTED, reason, by, host)


def terminate(store: Store, row: RunRow, *, reason: str | None, by: str, host: Host) -> RunRow:
    """Ask for an end at once, with nothing after it. JobctlError when the run is over."""
    return _ask(store, row, EventType.TERMINATE_REQUESTED, reason, by, host)


def pause(store: Store, row: RunRow, *, reason: str | None, by: str, host: Host) -> RunRow:
    """Ask that no new attempt starts. JobctlError when the run is over."""
    return _ask(store, row, EventType.RUN_PAUSED, reason, by, host)


def send_signal(store: Store, row: RunRow, name: str, payload: Any, *, by: str, host: Host) -> RunRow:
    """Send a named message. One that no step waits for yet is kept. JobctlError when the run is over, NotFoundError
    when no step of it can ever wait for a signal of that name, UsageError for no name, and for a payload that cannot be
    kept as JSON."""
    if not name.strip():
        raise UsageError("a signal has a name", hint=f"jobctl signal {row.name} NAME")
    _check(payload)
    steps = _steps(store, row)
    names = [step["signal"] for step in steps if "signal" in step]
    # Which signals a script waits for is known when it does.
    if name not in names and not any(kinds.of_table(step).may_suspend and "poll" not in step for step in steps):
        raise NotFoundError(
            f"run {row.name} has no step that waits for a signal {name!r}", hint=did_you_mean(name, names)
        )

    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        _must_live(now)
        data: SignalReceived = {"name": name, "by": by}
        if payload is not None:
            data["payload"] = payload
        return Event(EventType.SIGNAL_RECEIVED, host.now(), data=data), None

    return _append(store, row, make)


def is_waited_for(store: Store, row: RunRow, name: str) -> bool:
    """Whether a step of the run is there for this signal, or a suspended one waits for it now."""
    if any(step.get("signal") == name for step in _steps(store, row)):
        return True
    waits = (step.waiting for step in store.state(row).steps.values())
    return any(wait is not None and wait["kind"] == "signal" and wait["name"] == name for wait in waits)


def answer(
    store: Store, row: RunRow, step: str | None, *, approved: bool, comment: str | None, by: str, host: Host
) -> RunRow:
    """Answer the approval that the run waits for; `step`, or an item of it (`STEP[3]`), where several wait. JobctlError
    when it waits for none."""
    names = [known["name"] for known in _steps(store, row)]
    if step is not None and step_name(step) not in names:
        raise NotFoundError(f"run {row.name} has no step {step!r}", hint=did_you_mean(step, names))

    def make(now: RunRow, state: RunState) -> tuple[Event, None]:
        _must_live(now)
        waiting = [s.name for s in state.steps.values() if s.waiting is not None and s.waiting["kind"] == "approval"]
        if step is not None:
            waiting = [name for name in waiting if step in (name, step_name(name))]
        if not waiting:
            what = f"step {step} of run {now.name}" if step is not None else f"run {now.name}"
            raise JobctlError(f"{what} does not wait for an approval now", hint=f"jobctl status {now.name}")
        if len(waiting) > 1:
            what = "step" if item_index(waiting[0]) is None else "item"
            more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
            raise JobctlError(
                f"run {now.name} waits for several approvals: {', '.join(waiting[:_NAMED])}{more}",
                hint=f"name the {what}: jobctl approve {now.name} {shlex.quote(waiting[0])}",
            )
        data: ApprovalAnswered = {"approved": approved, "by": by}
        if comment is not None:
            data["comment"] = comment
        return Event(EventType.APPROVAL_ANSWERED, host.now(), waiting[0], data=data), None

    return _append(store, row, make)


def wake(store: Store, row: RunRow, step: str | None, *, reason: str | None, by: str, host: Host) -> list[str]:
    """Have what only waits for a time go on now: the next attempt, a sleep, a poll's next question. `step`, or an item
    of it (`STEP[3]`), or all of the run. Returns the keys. JobctlError when none of it waits for a time."""
    steps = _steps(store, row)
    names = [known["name"] for known in steps]
    if step is not None and step_name(step) not in names:
        raise NotFoundError(f"run {row.name} has no step {step!r}", hint=did_you_mean(step, names))
    polls = {known["name"] for known in steps if "poll" in known}
    keys: list[str] = []

    def make(now: RunRow, state: RunState) -> tuple[Event, None]:
        _must_live(now)
        waiting = [key for key, one in state.steps.items() if one.waits_for_a_time or _is_asked(one, polls)]
        waiting += [key + UNDO for key, one in state.undo.items() if one.waits_for_a_time]
        if step is not None:
            waiting = [key for key in waiting if step in (undone_key(key), step_name(key))]
        if not waiting:
            what = f"step {step} of run {now.name}" if step is not None else f"run {now.name}"
            raise JobctlError(
                f"nothing of {what} waits for a time: no next attempt, no sleep, no poll",
                hint=f"what it waits for: jobctl why {now.name}",
            )
        keys[:] = waiting
        data: WakeRequested = {"steps": waiting}
        if by:
            data["by"] = by
        if reason:
            data["reason"] = reason
        return Event(EventType.WAKE_REQUESTED, host.now(), data=data), None

    _append(store, row, make)
    return keys


def _is_asked(step: StepState, polls: Collection[str]) -> bool:
    return step.status is StepStatus.RUNNING and step.items is None and step_name(step.name) in polls


def _check(payload: Any) -> None:
    try:
        size = len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode())
    except (
        TypeError,
        ValueError,
        RecursionError,
    ) as error:  # no JSON, NaN, half a surrogate pair, lists in lists without end
        raise UsageError(f"the signal's data cannot be kept: {error}", hint="send plain JSON values") from error
    if size > MAX_OUTPUT:
        raise UsageError(f"the signal's data has {size} bytes, {MAX_OUTPUT} are the limit", hint="send a path instead")


def _steps(store: Store, row: RunRow) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads(store.definition(row.definition))["steps"]
    return steps


def _must_live(now: RunRow) -> None:
    if now.finished_at is not None:
        raise JobctlError(f"run {now.name} is over: it has {_ended(now.status)}", hint=f"jobctl status {now.name}")


def unpause(store: Store, row: RunRow, *, by: str, host: Host) -> RunRow:
    """Let a paused run go on. JobctlError when it is not paused any more."""

    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        if now.status != RunStatus.PAUSED:
            raise JobctlError(f"run {now.name} is not paused, it is {now.status}", hint=f"jobctl status {now.name}")
        return Event(EventType.RUN_UNPAUSED, host.now(), data=carries(EventType.RUN_UNPAUSED, {"by": by})), None

    return _append(store, row, make)


def reopen(
    store: Store,
    row: RunRow,
    job: Job,
    *,
    definition: str | None,
    from_step: str | None,
    by: str,
    host: Host,
    queued: bool = False,
) -> RunRow:
    """Start a new try of a run that is over. Finished steps keep their results, `from_step` and what needs it do not.

    `job` is the definition it goes on with; `definition` its canonical text where it is another than before.
    `queued`: for a daemon, not for the caller. NotFoundError for an unknown step; JobctlError when there is nothing to
    resume, or only `from_step` makes sense.
    """
    names = [step.name for step in job.steps]
    if from_step is not None:
        check_start(job, from_step)

    def make(now: RunRow, state: RunState) -> tuple[Event, str | None]:
        if now.finished_at is None:
            raise JobctlError(f"run {now.name} is {now.status} already", hint=f"jobctl logs -f {now.name}")
        if from_step is None and now.status == RunStatus.SUCCEEDED:
            raise JobctlError(
                f"run {now.name} has succeeded: there is nothing left to do",
                hint=f"start a new one: jobctl run {now.job}; or do a part again: jobctl resume {now.name} --from STEP",
            )
        if from_step is None and state.undone:
            rolled_back = {step_name(key) for key, undo in state.undo.items() if undo.attempts}
            undone = [name for name in names if name in rolled_back]
            raise JobctlError(
                f"run {now.name} was rolled back ({', '.join(undone)}): it cannot go on where it stopped",
                hint=f"jobctl resume {now.name} --from {undone[0]}, or a new run: jobctl run {now.job}",
            )
        _must_have_closed(store, now)
        redo = to_redo(job, state, from_step)
        data: RunReopened = {"redo": redo, "by": by}
        if from_step is not None:
            data["anew"] = to_begin_anew(job, from_step)
        if now.parent is not None:
            data["alone"] = True
        if definition is not None:
            data["updated"] = True
        if queued:
            data["queued"] = True
        return Event(EventType.RUN_REOPENED, host.now(), data=data), definition

    return _append(store, row, make)


def check_start(job: Job, from_step: str) -> None:
    """NotFoundError for a step that the job does not have, UsageError for one that nothing can start from."""
    names = [step.name for step in job.steps]
    if from_step not in names:
        raise NotFoundError(f"job {job.name} has no step {from_step!r}", hint=did_you_mean(from_step, names))
    if job.step(from_step).when is When.FAILURE:
        others = ", ".join(step.name for step in job.steps if step.when is not When.FAILURE)
        raise UsageError(
            f"step {from_step} of job {job.name} runs only after a failure: nothing starts from it",
            hint=f"name one of: {others}",
        )


def _must_have_closed(store: Store, now: RunRow) -> None:
    """JobctlError while a child run that was to end with this run has not: it would run beside the next one.

    Children that were left alone go on, and a step that is taken up waits for them again.
    """
    policies = {step["name"]: step.get("on_parent_close") for step in _steps(store, now) if "job" in step}
    for child in store.living_children(now.id):
        if policies.get(step_name(child.parent_step or "")) != "abandon":
            raise JobctlError(
                f"run {now.name} cannot be taken up yet: its child run {child.name} is {child.status}",
                hint=f"wait for it: jobctl wait {child.name}; or end it: jobctl cancel {child.name}",
            )


def _ask(store: Store, row: RunRow, kind: EventType, reason: str | None, by: str, host: Host) -> RunRow:
    try:
        (reason or "").encode()
    except UnicodeEncodeError:  # bytes of the command line; it stands in the run's row, where they cannot
        raise UsageError("the reason holds bytes that are no UTF-8", hint="give it as text") from None

    def make(now: RunRow, _: RunState) -> tuple[Event, None]:
        _must_live(now)
        data: Requested = {"by": by} if by else {}
        if reason:
            data["reason"] = reason
        return Event(kind, host.now(), data=data), None

    return _append(store, row, make)


def _append(store: Store, row: RunRow, make: Callable[[RunRow, RunState], tuple[Event, str | None]]) -> RunRow:
    # Of a copy's runs one that was begun in it is its own; the others are the original's.
    if store.copy is not None and not is_held(store, row):
        raise store.copy.error(f"nothing can be asked of run {row.name}")
    now = store.request(row.id, make)
    poke_holder(store, now)
    return now


def poke_holder(store: Store, row: RunRow) -> None:
    """Have the run's history looked at by whoever has it."""
    if row.executor is not None:
        executor.poke(store.state_dir, row.executor)
    elif row.wake_at is not None:  # asleep: a daemon takes it up
        poke_daemons(store)


def _ended(status: str) -> str:
    return {"timed_out": "timed out", "canceled": "been canceled", "terminated": "been terminated"}.get(status, status)
