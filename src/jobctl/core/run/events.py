"""What each event carries: a type for each, which whoever writes or reads an event is checked against.

No command loads this: mypy reads it, and tests/core/run/test_events.py holds the codec's checks, the table of the
events in docs/architecture.md and the tests' own data to it.

What an event means is history.py's. A payload is kept as JSON: a key without a value is left out, none is ever renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from jobctl.core.run.history import EventType

Outputs = Mapping[str, Any]


class Requested(TypedDict, total=False):
    reason: str
    by: str  # who asked; left out where nobody is known


class Parent(TypedDict):
    run: str
    step: str


class Result(TypedDict, total=False):
    """What a reused step, or an item of one, had come to: what differs from a plain success."""

    items: list[Any]
    status: str
    outputs: Outputs
    stdout: str | None
    error: str | None


class RunCreated(TypedDict, total=False):
    trigger: str  # "manual" is left out
    fire_time: int
    start_by: int  # when it must have begun
    key: str  # of which its job has one run
    params: Mapping[str, Any]
    like: str  # the run whose results it begins with
    reused: Mapping[str, Result]  # these, by step
    parent: Parent  # of a child run
    about: Mapping[str, Any]  # what a notification tells of (notices.py)


class RunTaken(TypedDict, total=False):
    executor: str  # the id of the process that advances the run from here on
    boot: str  # the machine's


class Started(TypedDict, total=False):
    keeper: str | None  # by which it is begun
    queue: str  # of which it has a place


class Wait(TypedDict):
    """What a step waits for: of itself, or as a suspended command says."""

    kind: str  # sleep, signal, approval, child
    name: NotRequired[str]  # of the signal, the question, the child run
    until: NotRequired[int]
    clock: NotRequired[int]  # of the machine's boot, then: by it the wait is counted
    job: NotRequired[str]  # of a child run
    call: NotRequired[int]  # which call of a durable script waits
    limit: NotRequired[str]  # which deadline passes at `until`, where that is no end of the wait but the step's


class AttemptEnded(TypedDict, total=False):
    """What differs from a plain success."""

    status: str  # the attempt's; "succeeded" is left out
    step_status: str  # the step's, where it is not the attempt's
    exit_code: int
    signal: int
    error: str
    error_type: str
    timeout: str  # which deadline has passed
    retry_at: int  # when another attempt follows
    why: str  # else why none does
    cursor: str
    outputs: Outputs
    stdout: str
    strays: int  # processes that it left, and that were killed
    unchecked: bool  # its condition has not said "run"
    wait: Wait  # of one that is suspended
    clock: int  # of the machine's boot, then: by it the wait is counted that follows


class WakeRequested(TypedDict):
    steps: list[str]  # what waited for a time, and need not
    reason: NotRequired[str]
    by: NotRequired[str]


class SignalReceived(TypedDict):
    name: str
    payload: NotRequired[Any]
    by: NotRequired[str]


class ApprovalAnswered(TypedDict):
    approved: bool
    comment: NotRequired[str]
    by: NotRequired[str]


class TimerFired(TypedDict):
    pass


class WaitEnded(TypedDict):
    name: str  # of the signal
    payload: NotRequired[Any]


class ItemsListed(TypedDict):
    count: int
    items: NotRequired[list[Any]]  # the list, unless it goes on with the one it has


class ChildEnded(TypedDict):
    run: str
    status: str
    reason: NotRequired[str]
    outputs: NotRequired[Outputs]
    too_large: NotRequired[int]  # bytes of its outputs, where they are too many to hand on


class StepEnded(TypedDict):
    status: str
    error: NotRequired[str | None]
    outputs: NotRequired[Outputs]
    why: NotRequired[str | None]
    retry_at: NotRequired[int]  # when another child run follows
    clock: NotRequired[int]  # of the machine's boot, then: by it the wait is counted that follows


class RunPaused(TypedDict, total=False):
    reason: str
    by: str
    stopped: bool  # because its daemon was
    notifications: list[str]  # the runs that tell of that


class RunReopened(TypedDict):
    redo: list[str]  # the steps that start again; `NAME[]` for the unfinished items of one
    anew: NotRequired[list[str]]  # those of them that start from their beginning
    by: NotRequired[str]
    updated: NotRequired[bool]  # with the file's definition
    queued: NotRequired[bool]  # it waits for a place first
    alone: NotRequired[bool]  # a child run, not with its parent


class RunEnded(TypedDict):
    status: str  # how
    reason: NotRequired[str | None]
    notifications: NotRequired[list[str]]  # the runs that tell of it


PAYLOADS: Mapping[EventType, type] = {
    EventType.RUN_CREATED: RunCreated,
    EventType.RUN_TAKEN: RunTaken,
    EventType.ATTEMPT_STARTED: Started,
    EventType.ATTEMPT_ENDED: AttemptEnded,
    EventType.WAKE_REQUESTED: WakeRequested,
    EventType.WAIT_STARTED: Wait,
    EventType.SIGNAL_RECEIVED: SignalReceived,
    EventType.APPROVAL_ANSWERED: ApprovalAnswered,
    EventType.TIMER_FIRED: TimerFired,
    EventType.WAIT_ENDED: WaitEnded,
    EventType.ITEMS_LISTED: ItemsListed,
    EventType.CHILD_ENDED: ChildEnded,
    EventType.STEP_ENDED: StepEnded,
    EventType.UNDO_STARTED: Started,
    EventType.UNDO_ENDED: AttemptEnded,
    EventType.RUN_PAUSED: RunPaused,
    EventType.RUN_UNPAUSED: Requested,
    EventType.CANCEL_REQUESTED: Requested,
    EventType.TERMINATE_REQUESTED: Requested,
    EventType.RUN_TIMED_OUT: Requested,
    EventType.RUN_REOPENED: RunReopened,
    EventType.RUN_ENDED: RunEnded,
    EventType.RUN_ACKNOWLEDGED: Requested,
}
