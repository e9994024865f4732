"""What has happened to a run: the events, which status each may lead to, and the state they add up to.

What happens next is decided elsewhere: decide.py for the run, attempts.py for one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from jobctl.core.clocks import Boottime
from jobctl.core.keys import ITEMS, UNDO, is_undo, item_index, item_key, step_name, undone_key
from jobctl.core.record import NamedTuple
from jobctl.core.run.payloads import carried
from jobctl.core.status import DONE_WELL, RunStatus, StepStatus, WaitKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.run.events import AttemptEnded, Parent, Result, StepEnded


class EventType(StrEnum):
    """Past tense, never edited. What each carries in `data` is a type in events.py."""

    RUN_CREATED = "run_created"  # it is accepted
    RUN_TAKEN = "run_taken"  # an executor advances the run from here on
    ATTEMPT_STARTED = "attempt_started"  # recorded before its process is made
    ATTEMPT_ENDED = "attempt_ended"  # another one may follow; a suspended one goes on as the next
    WAKE_REQUESTED = "wake_requested"  # what waited for a time - an attempt, a sleep, a poll's question - need not
    WAIT_STARTED = "wait_started"  # of a step, with no process of it
    SIGNAL_RECEIVED = "signal_received"  # it ends the wait that has lasted longest, or is kept
    APPROVAL_ANSWERED = "approval_answered"  # by a person
    TIMER_FIRED = "timer_fired"  # a step's sleep is over, or what it waited for did not come in time
    WAIT_ENDED = "wait_ended"  # the signal has come that a suspended step waits for; its next attempt follows
    ITEMS_LISTED = "items_listed"  # of a `foreach` step: each item has its own events from here on
    CHILD_ENDED = "child_ended"  # a child run is over, whether it is waited for or not
    STEP_ENDED = "step_ended"  # with no attempt running, or all its items have ended
    UNDO_STARTED = "undo_started"  # an attempt of a step's compensation
    UNDO_ENDED = "undo_ended"  # number 0 when it was ended between two attempts, or before the first
    RUN_PAUSED = "run_paused"  # no attempt starts any more
    RUN_UNPAUSED = "run_unpaused"  # it goes on
    CANCEL_REQUESTED = "cancel_requested"  # what runs is asked to end; then it is undone
    TERMINATE_REQUESTED = "terminate_requested"  # what runs is killed; nothing is undone
    RUN_TIMED_OUT = "run_timed_out"  # the run's deadline passed; what runs is stopped
    RUN_REOPENED = "run_reopened"  # a new try of it begins
    RUN_ENDED = "run_ended"  # for good, unless it is reopened
    RUN_ACKNOWLEDGED = "run_acknowledged"  # somebody knows how it ended


TOO_LATE = "nobody took it in time"  # why a run that was not begun by its `start_by` is canceled


class Event(NamedTuple):
    """One thing that happened. `number` is the attempt's, 0 where the event is about none."""

    type: EventType
    at: int
    step: str = ""
    number: int = 0
    data: Mapping[str, Any] = {}


_Q, _R, _P = RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED

# What may follow what. A run-level event that is not here for the run's status did not happen: HistoryError.
# Events about steps are allowed while the run lives (running or paused) and change no run status.
TRANSITIONS: Mapping[tuple[RunStatus | None, EventType], RunStatus] = {
    (None, EventType.RUN_CREATED): _Q,
    (_Q, EventType.RUN_TAKEN): _R,
    (_R, EventType.RUN_TAKEN): _R,  # its executor died and another one goes on
    (_P, EventType.RUN_TAKEN): _P,
    (_Q, EventType.RUN_PAUSED): _P,
    (_R, EventType.RUN_PAUSED): _P,
    (_P, EventType.RUN_PAUSED): _P,
    (_P, EventType.RUN_UNPAUSED): _R,
    (_Q, EventType.SIGNAL_RECEIVED): _Q,  # kept for the step that will wait for it
    (_R, EventType.SIGNAL_RECEIVED): _R,
    (_P, EventType.SIGNAL_RECEIVED): _P,
    (_R, EventType.WAKE_REQUESTED): _R,
    (_P, EventType.WAKE_REQUESTED): _P,
    # Whoever ends the child does not know whether the parent still waits for it.
    (_Q, EventType.CHILD_ENDED): _Q,
    (_R, EventType.CHILD_ENDED): _R,
    (_P, EventType.CHILD_ENDED): _P,
    # A request is recorded whatever the run is doing; the end it leads to comes as RUN_ENDED.
    (_Q, EventType.CANCEL_REQUESTED): _R,
    (_R, EventType.CANCEL_REQUESTED): _R,
    (_P, EventType.CANCEL_REQUESTED): _R,
    (_Q, EventType.TERMINATE_REQUESTED): _R,
    (_R, EventType.TERMINATE_REQUESTED): _R,
    (_P, EventType.TERMINATE_REQUESTED): _R,
    (_R, EventType.RUN_TIMED_OUT): _R,
    (_P, EventType.RUN_TIMED_OUT): _R,
    (RunStatus.FAILED, EventType.RUN_REOPENED): _R,
    (RunStatus.CANCELED, EventType.RUN_REOPENED): _R,
    (RunStatus.TIMED_OUT, EventType.RUN_REOPENED): _R,
    (RunStatus.TERMINATED, EventType.RUN_REOPENED): _R,
    (RunStatus.FAILED, EventType.RUN_ACKNOWLEDGED): RunStatus.FAILED,
    (RunStatus.TIMED_OUT, EventType.RUN_ACKNOWLEDGED): RunStatus.TIMED_OUT,
    # `resume --from` of a run that succeeded does its tail again.
    (RunStatus.SUCCEEDED, EventType.RUN_REOPENED): _R,
}

_STEP_EVENTS = frozenset(
    {
        EventType.ATTEMPT_STARTED,
        EventType.ATTEMPT_ENDED,
        EventType.WAIT_STARTED,
        EventType.APPROVAL_ANSWERED,
        EventType.TIMER_FIRED,
        EventType.WAIT_ENDED,
        EventType.ITEMS_LISTED,
        EventType.STEP_ENDED,
        EventType.UNDO_STARTED,
        EventType.UNDO_ENDED,
    }
)


# After these it is not waited for any more whether somebody begins the run in time.
_BEGINS = frozenset(
    {
        EventType.RUN_TAKEN,
        EventType.CANCEL_REQUESTED,
        EventType.TERMINATE_REQUESTED,
        EventType.RUN_REOPENED,
    }
)

_UNFINISHED = frozenset({StepStatus.PENDING, StepStatus.WAITING})  # what an attempt may start from


_READINGS_MS = 1_000  # two clocks are not read at one instant
_VERSION = 1  # of what a RunState is saved as


class HistoryError(Exception):
    """An event that cannot follow the ones before it: a damaged store or a defect, never a user's mistake."""


class AttemptState:
    """One attempt, as far as it has come."""

    __slots__ = ("boot", "data", "finished_at", "keeper", "number", "started_at", "status")

    def __init__(self, number: int, started_at: int, boot: str | None, keeper: str | None) -> None:
        self.number = number
        self.started_at = started_at
        self.boot = boot  # of the machine, as it was started; None where that was not recorded
        self.keeper = keeper  # by which it was to be begun
        self.finished_at: int | None = None
        self.status = "running"  # running | succeeded | failed | timed_out | canceled | skipped | suspended | stopped
        self.data: AttemptEnded = {}  # as ATTEMPT_ENDED says

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> AttemptState:
        self = cls(saved["number"], saved["started_at"], saved["boot"], saved["keeper"])
        for name in cls.__slots__:
            setattr(self, name, saved[name])
        return self


class Due(NamedTuple):
    """When a wait is over by the clock that never steps, of the machine's boot in which it began. In another one, the
    instant that is recorded beside it decides."""

    boot: str | None
    clock: Boottime
    instant: int  # that one


class FirstWait(NamedTuple):
    """What a run waits for before anything else."""

    kind: str  # retry, or a WaitKind
    name: str  # of the signal or the child run, else of the step
    until: int | None


class StepState:
    """One step, or one item of a step, as far as it has come.

    `earlier` counts the attempts of tries before the last reopening.
    """

    __slots__ = (
        "attempts",
        "began",
        "checked",
        "child",
        "children",
        "cursor",
        "delivered",
        "due",
        "earlier",
        "ended",
        "error",
        "first",
        "items",
        "name",
        "outputs",
        "retry_at",
        "reused",
        "started_at",
        "status",
        "stdout",
        "stops",
        "suspensions",
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = StepStatus.PENDING
        self.attempts: list[AttemptState] = []
        self.earlier = 0
        self.first = 1  # the attempt that this piece of work began with: what its commands record is kept under it
        self.stops = 0  # attempts of this try that were stopped with their daemon: they were none too many either
        self.suspensions = 0  # attempts of this try that ended to go on later: they were none too many
        self.delivered: list[Mapping[str, Any]] = []  # what waits of its commands have come to, in order
        self.started_at: int | None = None  # first attempt of this try
        # Which event of the run's history started it in this try, and which ended it. What came before what is
        # asked of these: two events may share a millisecond, and clocks are set back.
        self.began: int | None = None
        self.ended: int | None = None
        self.retry_at: int | None = None
        self.due: Due | None = None  # of what it waits for, where that is a time that passes
        self.cursor: str | None = None
        self.outputs: Mapping[str, Any] = {}
        self.stdout: str | None = None
        self.error: str | None = None
        self.checked = False  # only_if has said "run"
        # What it still waits for: as in WAIT_STARTED. Of a child run also `stopping`, when the step's own time is over,
        # and `ended`, which is the CHILD_ENDED that the step's end is to follow from.
        self.waiting: Mapping[str, Any] | None = None
        self.child: Mapping[str, Any] | None = None  # run and job of its last child run
        self.children = 0  # child runs in this try
        self.reused: str | None = None  # the run that did it: what is here of it are that run's results
        # The list of a `foreach` step, from when it is known. The step has no attempts: it runs until its items' end.
        self.items: list[Any] | None = None

    @property
    def attempts_in_try(self) -> int:
        """Those that count for retries."""
        return len(self.attempts) - self.earlier - self.suspensions - self.stops

    @property
    def suspended(self) -> bool:
        """Whether its last attempt ended to go on later: it waits still, or its next attempt is due."""
        return self.status is StepStatus.WAITING and bool(self.attempts) and self.attempts[-1].status == "suspended"

    def start(self, number: int, at: int, boot: str | None, keeper: str | None) -> None:
        if number != len(self.attempts) + 1 or self.status not in _UNFINISHED:
            raise HistoryError(
                f"step {self.name}: attempt {number} cannot start after {len(self.attempts)} when it is {self.status}"
            )
        self.attempts.append(AttemptState(number, at, boot, keeper))
        self.status = StepStatus.RUNNING
        self.retry_at = None
        if self.started_at is None:
            self.started_at = at

    def end(self, event: Event) -> None:
        if not self.attempts or self.attempts[-1].number != event.number or self.status is not StepStatus.RUNNING:
            raise HistoryError(f"step {self.name}: attempt {event.number} ends, but it does not run")
        attempt, data = self.attempts[-1], carried(EventType.ATTEMPT_ENDED, event)
        attempt.finished_at = event.at
        attempt.data = data
        attempt.status = data.get("status", "succeeded")
        self.checked = self.checked or not data.get("unchecked")
        self.cursor = data.get("cursor", self.cursor)
        self.retry_at = data.get("retry_at")
        self.error = data.get("error")
        self.stops += attempt.status == "stopped"
        if attempt.status == "suspended":
            self.status = StepStatus.WAITING
            self.waiting = data["wait"]
            self.outputs = data.get("outputs", {})
            self.suspensions += 1
        elif self.retry_at is not None:
            self.status = StepStatus.WAITING
        else:
            self.status = StepStatus(data.get("step_status", attempt.status))
            self.outputs = data.get("outputs", {})
            self.stdout = data.get("stdout")

    def wait(self, event: Event) -> None:
        data = carried(EventType.WAIT_STARTED, event)
        another = data["kind"] == WaitKind.CHILD and self.retry_at is not None
        if self.status is not StepStatus.PENDING and not another:
            raise HistoryError(f"step {self.name}: it cannot begin to wait when it is {self.status}")
        if data["kind"] == WaitKind.SIGNAL and not data.get("name"):
            raise HistoryError(f"step {self.name}: it waits for a signal without a name")
        self.status = StepStatus.WAITING
        self.waiting = event.data
        self.retry_at = None
        if data["kind"] == WaitKind.CHILD:
            self.child = {"run": data["name"], "job": data["job"]}
            self.children += 1
        if self.started_at is None:
            self.started_at = event.at

    @property
    def may_end_outside(self) -> bool:
        return self.status in _UNFINISHED or (self.items is not None and self.status is StepStatus.RUNNING)

    def end_outside(self, data: StepEnded | AttemptEnded) -> None:
        """It ended with no attempt running: before the first, between two, or because what it waited for came."""
        if not self.may_end_outside:
            raise HistoryError(f"step {self.name}: it ends outside of an attempt, but it is {self.status}")
        said = self.outputs if self.suspended else {}
        said = (self.waiting or {}).get("ended", {}).get("outputs", said)
        self.retry_at = data.get("retry_at")
        self.status = StepStatus(data["status"]) if self.retry_at is None else StepStatus.WAITING
        self.error = data.get("error")
        self.outputs = data.get("outputs", said)
        self.waiting = None

    def child_ended(self, event: Event) -> None:
        """A child run is over. That of an older try of the step, which nobody waits for, is nothing to it."""
        if self.waits_for_child(carried(EventType.CHILD_ENDED, event)["run"]):
            waiting = {key: value for key, value in (self.waiting or {}).items() if key != "until"}
            self.waiting = {**waiting, "ended": {**event.data, "at": event.at}}

    def waits_for_child(self, run: str | None = None) -> bool:
        """Whether it waits for a child run - that one - to end."""
        waiting = self.waiting
        return waiting is not None and waiting["kind"] == WaitKind.CHILD and run in (None, waiting["name"])

    def reuse(self, run: str, result: Result, place: int) -> None:
        self.status = StepStatus(result.get("status", "succeeded"))
        if self.status in _UNFINISHED or self.status is StepStatus.RUNNING:
            raise HistoryError(f"step {self.name}: it cannot be reused, it is {self.status}")
        self.outputs = result.get("outputs", {})
        self.stdout = result.get("stdout")
        self.error = result.get("error")
        self.items = result.get("items")
        self.reused = run
        self.began = self.ended = place

    def go_on(self, at: int, **came: Any) -> None:
        """What a suspended step waited for has come, or has not come in time: its next attempt is due."""
        if self.waiting is None:
            raise HistoryError(f"step {self.name}: what it waits for has come, and it waits for nothing")
        known = {key: self.waiting[key] for key in ("call", "name") if key in self.waiting}
        self.delivered.append({**known, **came})
        self.waiting = None
        self.retry_at = at

    @property
    def waits_for_a_time(self) -> bool:
        """Whether nothing but the time keeps it from going on. Of a poll, its attempt has to be asked."""
        if self.waiting is not None:
            return bool(self.waiting["kind"] == "sleep")
        return self.status is StepStatus.WAITING and self.retry_at is not None

    def wake(self, at: int) -> None:
        """It need not wait for its time any longer. What has gone on in the meantime is left alone."""
        if not self.waits_for_a_time:
            return
        if self.waiting is None:
            self.retry_at = at
        else:  # where the step's own time would have passed first, that is not what ends the sleep
            self.waiting = {**{key: value for key, value in self.waiting.items() if key != "limit"}, "until": at}

    def reset(self, *, anew: bool = False) -> None:
        # The cursor is for work that was left unfinished. Work that is asked for again begins at its beginning.
        if self.status in (StepStatus.SUCCEEDED, StepStatus.COMPENSATED):
            self.cursor = None
            anew = True
        if anew:
            self.first = len(self.attempts) + 1
            self.delivered = []
            self.child = None
        self.suspensions = self.stops = 0
        self.status = StepStatus.PENDING
        self.children = 0
        self.earlier = len(self.attempts)
        self.started_at = self.retry_at = self.error = self.stdout = self.began = self.ended = self.waiting = None
        self.reused = None
        self.outputs = {}
        self.checked = False

    def list_items(self, event: Event) -> None:
        data = carried(EventType.ITEMS_LISTED, event)
        items, count = data.get("items", self.items), data["count"]
        if self.status is not StepStatus.PENDING or items is None or len(items) != count:
            raise HistoryError(f"step {self.name}: {count} items cannot be listed when it is {self.status}")
        self.items = items
        self.status = StepStatus.RUNNING
        self.started_at = event.at

    def snapshot(self) -> dict[str, Any]:
        """Everything that is known of the step, as JSON values."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "attempts": [attempt.snapshot() for attempt in self.attempts],
            "due": list(self.due) if self.due is not None else None,
            "delivered": list(self.delivered),
        }

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> StepState:
        self = cls(saved["name"])
        for name in cls.__slots__:
            setattr(self, name, saved[name])
        self.status = StepStatus(saved["status"])
        self.attempts = [AttemptState.restore(attempt) for attempt in saved["attempts"]]
        self.due = Due(*saved["due"]) if saved["due"] is not None else None
        self.delivered = list(saved["delivered"])
        return self


class RunState:
    """A run as its events say. `steps` holds a step from its first event on; `undo` its compensation, likewise."""

    def __init__(self) -> None:
        self.status: RunStatus | None = None
        self.created_at = 0
        self.start_by: int | None = None  # when it must have begun; None once it has, or where that does not matter
        self.started_at: int | None = None
        self.try_started_at: int | None = None  # the run's timeout counts from here
        self.worked_before = 0  # milliseconds: the earlier tries, without the time between them
        self.finished_at: int | None = None
        # The event of this try after which only its end was left: a request, the timeout, the first undo. A step that
        # fails for good is another such event, but whether it does is the job's to say.
        self.stopped: int | None = None
        self.pause: Event | None = None  # by which it is paused
        # The request or the timeout that came first in this try, or the terminate that came after it; and which event
        # of the history it was. A step may have failed for good before.
        self.ending: Event | None = None
        self.ending_place = 0
        self.events = 0  # how many there are so far
        self.boot: str | None = None  # of the machine, on which whoever took it last runs
        self.reason: str | None = None
        self.params: Mapping[str, Any] = {}
        self.trigger = "manual"
        self.fire_time: int | None = None
        self.key: str | None = None  # of which its job has one run
        self.like: str | None = None  # the run whose results it was started with
        self.steps: dict[str, StepState] = {}
        self.undo: dict[str, StepState] = {}
        self.untaken: dict[str, list[Any]] = {}  # signal -> payloads that no step has had yet, oldest first
        self.parent: Parent | None = None  # the run that started it as its child, and the step there
        self.alone = False  # this try was asked for by somebody else than its parent
        self.about: Mapping[str, Any] | None = None  # what it tells of, when it is a notification
        self.notifications: list[str] = []  # the runs that tell of its end

    @property
    def undone(self) -> bool:
        """Whether steps of it stand undone: such a run goes on only from a named step."""
        return any(undo.status is not StepStatus.PENDING for undo in self.undo.values())

    def step(self, name: str) -> StepState:
        state = self.steps.get(name)
        if state is None:
            state = self.steps[name] = StepState(name)
        return state

    def by_key(self, key: str) -> StepState:
        """The step, the item or the compensation of that key."""
        return self.undo_of(undone_key(key)) if is_undo(key) else self.step(key)

    def as_due(self, boot: str, clock: Boottime, now: int) -> RunState:
        """Itself, with each wait over when the wall clock will show it: that may have been set since the wait began,
        which is counted by the clock of the boot, showing `clock` now."""
        for states in (self.steps, self.undo):
            for step in states.values():
                due = step.due
                if due is None or due.boot != boot or not boot:
                    continue
                at = now + due.clock - clock
                if abs(at - due.instant) <= _READINGS_MS:
                    continue
                if step.retry_at == due.instant:
                    step.retry_at = at
                elif step.waiting is not None and step.waiting.get("until") == due.instant:
                    step.waiting = {**step.waiting, "until": at}
        return self

    def items_of(self, step: StepState) -> Iterator[StepState | None]:
        """The items of a `foreach` step in their order, None for one that nothing was heard of yet."""
        return (self.steps.get(item_key(step.name, index)) for index in range(len(step.items or ())))

    def attempts(self) -> list[tuple[str, AttemptState]]:
        """(STEP or STEP!undo; attempt) of every attempt, in order of start. Without those of items of a list that
        another one has replaced."""
        found = [
            (name + suffix, attempt)
            for suffix, steps in (("", self.steps), (UNDO, self.undo))
            for name, step in steps.items()
            if self._is_there(name)
            for attempt in step.attempts
        ]
        found.sort(key=lambda item: item[1].started_at)
        return found

    def _is_there(self, key: str) -> bool:
        """Whether a key is that of a step, or of an item of a list as it is now."""
        index = item_index(key)
        step = self.steps.get(step_name(key))
        return index is None or (step is not None and step.items is not None and index < len(step.items))

    def first_wait(self) -> FirstWait | None:
        """None while an attempt runs, and where nothing waits. What has no time comes last."""
        units = [*self.steps.values(), *self.undo.values()]
        if any(unit.status is StepStatus.RUNNING and unit.items is None for unit in units):
            return None
        found = [FirstWait("retry", unit.name, unit.retry_at) for unit in units if unit.retry_at is not None]
        for unit in units:
            if (waiting := unit.waiting) is not None:
                named = waiting["kind"] in (WaitKind.SIGNAL, WaitKind.CHILD)
                name = waiting["name"] if named else unit.name
                found.append(FirstWait(waiting["kind"], name, waiting.get("until")))
        return min(found, key=lambda one: (one.until is None, one.until, one.kind, one.name), default=None)

    def undo_of(self, name: str) -> StepState:
        state = self.undo.get(name)
        if state is None:
            state = self.undo[name] = StepState(name)
        return state

    def apply(self, event: Event) -> None:
        """Add one event. HistoryError when it cannot follow what is there, or does not say what it must."""
        try:
            self._apply(event)
        except (KeyError, ValueError) as error:
            raise HistoryError(f"{event.type} is damaged: {error}") from error
        self.events += 1

    def _apply(self, event: Event) -> None:
        kind = event.type
        if kind in _STEP_EVENTS:
            if self.status is not _R and self.status is not _P:
                raise HistoryError(f"{kind} in a run that is {self.status}")
            self._apply_step(event)
            return
        if kind is EventType.RUN_ENDED:
            self._end(event)
            return
        after = TRANSITIONS.get((self.status, kind))
        if after is None:
            raise HistoryError(f"{kind} cannot happen to a run that is {self.status or 'not created'}")
        self.status = after
        if kind in _BEGINS:
            self.start_by = None
        if kind is EventType.RUN_CREATED:
            self._create(event)
        elif kind is EventType.RUN_TAKEN:
            self.boot = carried(kind, event).get("boot")
            if self.started_at is None:
                self.started_at = self.try_started_at = event.at
            elif self.try_started_at is None:
                self.try_started_at = event.at
        elif kind is EventType.RUN_REOPENED:
            self._reopen(event)
        elif kind is EventType.RUN_UNPAUSED:
            self.reason = self.pause = None
            if self.started_at is None:
                self.status = _Q
        elif kind is EventType.SIGNAL_RECEIVED:
            # Which step it ends is decide.py's business; that step's end follows.
            signal = carried(kind, event)
            self.untaken.setdefault(signal["name"], []).append(signal.get("payload"))
        elif kind is EventType.CHILD_ENDED:
            if event.step in self.steps:
                self.steps[event.step].child_ended(event)
        elif kind is EventType.WAKE_REQUESTED:
            for key in carried(kind, event)["steps"]:
                self.by_key(key).wake(event.at)
        elif kind is EventType.RUN_PAUSED:
            pause = carried(kind, event)
            self.reason = pause.get("reason", self.reason)
            self.pause = event
            self.notifications = pause.get("notifications", self.notifications)
        elif kind is not EventType.RUN_ACKNOWLEDGED:  # that somebody knows changes nothing of it
            self._be_asked(event)

    def _create(self, event: Event) -> None:
        data = carried(EventType.RUN_CREATED, event)
        self.created_at = event.at
        self.start_by = data.get("start_by")
        self.params = data.get("params", {})
        self.trigger = data.get("trigger", "manual")
        self.fire_time = data.get("fire_time")
        self.key = data.get("key")
        self.like = data.get("like")
        for name, result in data.get("reused", {}).items():
            self.step(name).reuse(data["like"], result, self.events)
        self.parent = data.get("parent")
        self.about = data.get("about")

    def _end(self, event: Event) -> None:
        data = carried(EventType.RUN_ENDED, event)
        if self.status is not _R and self.status is not _P and self.status is not _Q:
            raise HistoryError(f"a run that is {self.status} ends again")
        status = RunStatus(data["status"])
        if not status.final:
            raise HistoryError(f"a run cannot end as {status}")
        self.status = status
        self.start_by = None
        self.reason = data.get("reason")
        self.notifications = data.get("notifications", [])
        self.finished_at = event.at
        for states in (self.steps, self.undo):  # what is between two attempts when the run ends will not go on
            for step in states.values():
                if step.status is not StepStatus.PENDING and step.may_end_outside:
                    step.status = StepStatus.CANCELED
                    step.retry_at = step.waiting = None

    def _reopen(self, event: Event) -> None:
        data = carried(EventType.RUN_REOPENED, event)
        if self.finished_at is not None and self.try_started_at is not None:
            self.worked_before += max(0, self.finished_at - self.try_started_at)
        self.finished_at = self.reason = self.stopped = self.pause = self.ending = None
        self.notifications = []
        self.try_started_at = event.at
        self.alone = bool(data.get("alone"))
        if data.get("queued"):
            self.status, self.try_started_at = _Q, None  # until its turn comes
        redone: set[str] = set()
        for name in data["redo"]:
            redone.update(self._redo(name, anew=name in data.get("anew", ())))
        # Also those of steps that are kept: an undo that failed is due again, with fresh retries, if this fails. Where
        # the step itself is done again, there is all of it to undo again.
        for key, undo in self.undo.items():
            undo.reset(anew=key in redone)

    def _be_asked(self, event: Event) -> None:
        """Somebody asks it to end, or its time is over."""
        self.reason = carried(EventType.CANCEL_REQUESTED, event).get("reason", self.reason)
        self.pause = None
        if self.ending is None or event.type is EventType.TERMINATE_REQUESTED:
            self.ending, self.ending_place = event, self.events
        if self.stopped is None:
            self.stopped = self.events

    def _redo(self, name: str, *, anew: bool) -> Iterator[str]:
        """A step is to be done again: all of it, or (`NAME[]`) what is not finished of its items. Gives their keys.

        `anew`: nothing of what it had done is kept.
        """
        step = self.steps.get(name.removesuffix(ITEMS))
        if step is None:
            return
        goes_on = name.endswith(ITEMS)
        for item in self.items_of(step):
            if item is not None and not (goes_on and item.status in DONE_WELL):
                item.reset(anew=not goes_on)
                if not goes_on:
                    item.cursor = None  # of an item of another list
                yield item.name
        step.reset(anew=anew)
        if not goes_on:
            step.items = None
        yield step.name

    def _apply_step(self, event: Event) -> None:
        kind = event.type
        if "clock" in event.data:
            states = self.undo_of if kind is EventType.UNDO_ENDED else self.step
            instant = event.data.get("retry_at", event.data.get("wait", event.data).get("until", event.at))
            states(event.step).due = Due(self.boot, Boottime(event.data["clock"] + instant - event.at), instant)
        if kind is EventType.UNDO_STARTED or kind is EventType.UNDO_ENDED:
            self._apply_undo(event)
            return
        step = self.step(event.step)
        if kind is EventType.ATTEMPT_STARTED:
            step.start(event.number, event.at, self.boot, carried(kind, event).get("keeper"))
            if step.began is None:
                step.began = self.events
        elif kind is EventType.WAIT_STARTED:
            step.wait(event)
            if step.began is None:
                step.began = self.events
        elif kind is EventType.ITEMS_LISTED:
            step.list_items(event)
            step.began = self.events
        elif kind is EventType.APPROVAL_ANSWERED or kind is EventType.TIMER_FIRED:
            if step.waiting is None:
                raise HistoryError(f"step {step.name}: {kind}, but it waits for nothing")
            if step.waits_for_child():  # it is asked to end, and its end is waited for
                step.waiting = {key: value for key, value in step.waiting.items() if key != "until"}
                step.waiting["stopping"] = True
                return
            if step.suspended and "limit" not in step.waiting:
                step.go_on(event.at, **({"timed_out": True} if step.waiting["kind"] == WaitKind.SIGNAL else {}))
            step.waiting = None  # the first word counts; the step's end follows
        elif kind is EventType.WAIT_ENDED:
            data = carried(kind, event)
            waiting, name = step.waiting or {}, data["name"]
            if not step.suspended or waiting.get("kind") != WaitKind.SIGNAL or waiting["name"] != name:
                raise HistoryError(f"step {step.name}: {kind}, but it does not wait for the signal {name}")
            self._take_signal(name)
            step.go_on(event.at, **({"payload": data["payload"]} if "payload" in data else {}))
        else:
            if kind is EventType.ATTEMPT_ENDED:
                step.end(event)
            else:
                waited = step.waiting or {}
                step.end_outside(carried(EventType.STEP_ENDED, event))
                # A wait that nothing else has ended, and that ends well, was ended by the oldest signal.
                if step.status is StepStatus.SUCCEEDED and waited.get("kind") == WaitKind.SIGNAL:
                    self._take_signal(waited["name"])
            if step.status is not StepStatus.WAITING and step.status is not StepStatus.PENDING:
                step.ended = self.events

    def _apply_undo(self, event: Event) -> None:
        if event.step not in self.steps:
            raise HistoryError(f"{event.type}: step {event.step} has not run")
        undo = self.undo_of(event.step)
        if event.type is EventType.UNDO_STARTED:
            undo.start(event.number, event.at, self.boot, carried(EventType.UNDO_STARTED, event).get("keeper"))
            if self.stopped is None:
                self.stopped = self.events
        elif event.number:
            undo.end(event)
        else:
            undo.end_outside(carried(EventType.UNDO_ENDED, event))
        if undo.status is StepStatus.SUCCEEDED:
            self.steps[event.step].status = StepStatus.COMPENSATED
            whole = self.steps.get(step_name(event.step))  # of an item: its step does not stand as a whole any more
            # One that is still to be done is done with the others, if it is one that is done in any case.
            if whole is not None and whole.status not in (StepStatus.RUNNING, *_UNFINISHED):
                whole.status = StepStatus.COMPENSATED

    # -- saved and restored ----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that is known of the run, as JSON values: for an engine that does not replay all of a history."""
        return {
            "version": _VERSION,
            **vars(self),
            "pause": _saved(self.pause),
            "ending": _saved(self.ending),
            "steps": [step.snapshot() for step in self.steps.values()],
            "undo": [step.snapshot() for step in self.undo.values()],
            "untaken": {signal: list(payloads) for signal, payloads in self.untaken.items()},
        }

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> RunState:
        """The state that `snapshot` was taken of. ValueError for a snapshot of another version."""
        if saved["version"] != _VERSION:
            raise ValueError(f"a snapshot of version {saved['version']}, this is {_VERSION}")
        self = cls()
        for name in vars(self):
            setattr(self, name, saved[name])
        self.status = RunStatus(saved["status"]) if saved["status"] is not None else None
        self.pause, self.ending = _restored(saved["pause"]), _restored(saved["ending"])
        for name in ("steps", "undo"):
            setattr(self, name, {step["name"]: StepState.restore(step) for step in saved[name]})
        self.untaken = {signal: list(payloads) for signal, payloads in saved["untaken"].items()}
        return self

    def _take_signal(self, name: str) -> None:
        payloads = self.untaken.get(name)
        if not payloads:
            raise HistoryError(f"a step had the signal {name}, but none was left")
        del payloads[0]
        if not payloads:
            del self.untaken[name]


def _saved(event: Event | None) -> list[Any] | None:
    return list(event) if event is not None else None


def _restored(saved: list[Any] | None) -> Event | None:
    return Event(EventType(saved[0]), *saved[1:]) if saved is not None else None


def replay(events: Iterable[Event]) -> RunState:
    """The state that a history adds up to. HistoryError where it is not one."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state
