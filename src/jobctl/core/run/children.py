"""Child runs, the rules: what the end of one is to the step that waits for it, and what a parent's end asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobctl.core.run import attempts as rules
from jobctl.core.run.attempts import Outcome
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.model import Millis, Step
    from jobctl.core.run.events import ChildEnded
    from jobctl.core.run.history import RunState, StepState

RUN_STOPPED = "the run was stopped"


def merged_outputs(state: RunState, steps: Iterable[str]) -> dict[str, Any]:
    """What a run hands on: the outputs of its steps, named in the job's order; of two with one name the later."""
    merged: dict[str, Any] = {}
    for name in steps:
        step = state.steps.get(name)
        if step is None:
            continue
        if step.items is None:
            merged.update(step.outputs)
        else:  # of a step with items a list of each output, as for a reference to it
            of_items = [item.outputs if item is not None else {} for item in state.items_of(step)]
            names = dict.fromkeys(name for outputs in of_items for name in outputs)
            merged.update((name, [outputs.get(name) for outputs in of_items]) for name in names)
    return merged


def child_ended(key: str, run: str, end: Event, outputs: Mapping[str, Any], limit: int) -> Event:
    """What the parent's history says of a child's end. `end`: its RUN_ENDED; `limit`: bytes of all its outputs."""
    ended = carried(EventType.RUN_ENDED, end)
    data: ChildEnded = {"run": run, "status": ended["status"]}
    if reason := ended.get("reason"):
        data["reason"] = reason
    if outputs:
        size = _size(outputs)
        if size <= limit:
            data["outputs"] = outputs
        else:
            data["too_large"] = size
    return Event(EventType.CHILD_ENDED, end.at, key, data=data)


def _size(outputs: Mapping[str, Any]) -> int:
    import json

    return len(json.dumps(outputs, ensure_ascii=False).encode("utf-8", "replace"))


def until(step: Step, state: StepState, now: Millis) -> Millis | None:
    """When a child run that begins now is asked to end: `start_to_close` is for each, `schedule_to_close` for all."""
    timeouts = step.timeouts
    limits = []
    if timeouts.start_to_close is not None:
        limits.append(now + timeouts.start_to_close)
    if timeouts.schedule_to_close is not None:
        limits.append((now if state.started_at is None else state.started_at) + timeouts.schedule_to_close)
    return min(limits, default=None)


def step_end(step: Step, state: StepState, stopped: str | None) -> dict[str, Any]:
    """What STEP_ENDED carries after the end of the child run that the step waits for; `retry_at` when another follows.

    `stopped`: how the parent has asked the step to end (StopStep.how), None when it has not. What a person did to the
    child - a cancel, a terminate - is not done again by another one.
    """
    assert state.waiting is not None
    ended, run = state.waiting["ended"], state.waiting["name"]
    status, reason = ended["status"], ended.get("reason")
    after = f": {reason}" if reason else ""
    if status == "succeeded":
        if "too_large" not in ended:
            return {"status": rules.SUCCEEDED}
        error = f"child run {run} has {ended['too_large']} bytes of outputs, too many to hand on"
        return {"status": rules.FAILED, "error": error}
    if status == "canceled" and stopped is not None:
        timed_out = stopped == "timeout"
        return {"status": rules.TIMED_OUT if timed_out else rules.CANCELED, "error": RUN_STOPPED}
    if status in ("canceled", "terminated") and state.waiting.get("stopping"):
        kind, error = _which_timeout(step, state, ended["at"])
        outcome = Outcome(rules.TIMED_OUT, error=f"child run {run} was stopped: {error}", timeout=kind)
    elif status == "timed_out":
        outcome = Outcome(rules.TIMED_OUT, error=f"child run {run} timed out{after}")
    elif status == "failed":
        outcome = Outcome(rules.FAILED, error=f"child run {run} failed{after}")
    else:
        outcome = Outcome(rules.FAILED, error=f"child run {run} was {status}{after}", non_retryable=True)
    began = state.started_at if state.started_at is not None else ended["at"]
    verdict = rules.verdict(
        step.retry, step.timeouts, outcome, attempt=state.children, ended_at=ended["at"], step_started_at=began
    )
    data = {"status": outcome.status, "error": outcome.error}
    return data | ({"retry_at": verdict.retry_at} if verdict.retry_at is not None else {"why": verdict.why})


def timed_out(step: Step, state: StepState, now: Millis) -> dict[str, Any]:
    """What STEP_ENDED carries when the step's time is over and its child run is left alone."""
    assert state.waiting is not None
    _, error = _which_timeout(step, state, now)
    return {"status": rules.TIMED_OUT, "error": f"{error}; child run {state.waiting['name']} goes on"}


def _which_timeout(step: Step, state: StepState, now: Millis) -> tuple[str, str]:
    from jobctl.core.durations import format

    whole, one = step.timeouts.schedule_to_close, step.timeouts.start_to_close
    if whole is not None and (one is None or now >= (state.started_at or 0) + whole):
        return "schedule_to_close", f"the step's timeout of {format(whole)} passed"
    return "start_to_close", f"start_to_close of {format(one or 0)} passed"
