"""The rules of a turn: facts in, events and effects out. It asks nobody.

What a run wants before something can be recorded - a place, the family's leave, a command that can be built, a child -
is told as a `Want`, and that it was given or refused is a fact like any other: an engine may answer within the turn or
much later, in any order. Facts are dealt with in the order in which they came, so that the history does not depend on
that. Time is given. Neither a secret nor an environment passes through here: answers hold what may be recorded.

Which steps come next is decide.py's to say, when an attempt is tried again attempts.py's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, assert_never

from jobctl.core import kinds
from jobctl.core.clocks import Boottime, Mono
from jobctl.core.keys import UNDO, is_undo, item_index, step_name, undone_key
from jobctl.core.kinds import Way
from jobctl.core.model import ParentClosePolicy, RunStatus, StepStatus
from jobctl.core.record import NamedTuple
from jobctl.core.run import attempts as rules
from jobctl.core.run import children
from jobctl.core.run.children import RUN_STOPPED
from jobctl.core.run.decide import (
    Compensate,
    Decider,
    EndStep,
    EndWait,
    FinishRun,
    Mode,
    StartStep,
    Stop,
    StopStep,
)
from jobctl.core.run.history import TOO_LATE, Event, EventType, HistoryError, RunState
from jobctl.core.run.payloads import carried, carries
from jobctl.core.run.resume import reopened
from jobctl.core.status import WaitKind

if TYPE_CHECKING:
    from jobctl.core.model import Job, Millis, RetryPolicy, Step
    from jobctl.core.run.events import ItemsListed, Requested, RunEnded, StepEnded, Wait, WaitEnded
    from jobctl.core.run.history import StepState

FAR = 1 << 62  # later than any time
ASLEEP_FROM_MS = 60_000  # a run that waits for longer than this need not be in memory

_OTHER_FAILED = "another item has failed"
# By which a run goes on, if there is time left for it.
_STEPS_ON = (EventType.ATTEMPT_ENDED, EventType.STEP_ENDED)
_TELLING = (EventType.RUN_ENDED, EventType.RUN_PAUSED)
_CLOSE = {
    ParentClosePolicy.TERMINATE: EventType.TERMINATE_REQUESTED,
    ParentClosePolicy.CANCEL: EventType.CANCEL_REQUESTED,
}
_HOW_IT_ENDED = {
    RunStatus.CANCELED: "was canceled",
    RunStatus.TIMED_OUT: "timed out",
    RunStatus.TERMINATED: "was terminated",
}


class Moment(NamedTuple):
    """What an engine's clocks show while it deals with some facts."""

    now: Millis  # the wall clock: what is recorded
    mono: Mono  # the clock that does not step: what is waited by
    clock: Boottime  # the boot's, which does not step either and counts the time in which the machine slept
    boot: str = ""  # which boot that is; "" where it has no name
    begins: bool = True  # whether attempts begin: not in a process that is about to end

    def mono_of(self, step: StepState, instant: Millis) -> Mono:
        """A recorded instant on the clock that does not step: how long it is until then is the same whatever the wall
        clock was set to since. Only across a reboot, and for what is an instant by its nature, that decides."""
        due = step.due
        if due is not None and due.instant == instant and due.boot and due.boot == self.boot:
            return Mono(self.mono + due.clock - self.clock + 1)
        # Both clocks are read in whole milliseconds: one more, and nothing happens before its time.
        return Mono(self.mono + instant - self.now + 1)


# -- what comes in -----------------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """A fact that is no event yet: the next attempt of a step, or of its undo, is due."""

    key: str


Fact = Event | Start | StopStep


class Wanted(StrEnum):
    """What a run may want. Beside each: what it is granted with, and what it leads to that it is refused."""

    LEAVE = "leave"  # of the family to have one more attempt under way; without it the attempt waits for that
    PLACE = "place"  # in a queue; without it the attempt waits for one
    COMMAND = "command"  # that it can be built: what is recorded of it; without it the step fails
    ITEMS = "items"  # the list of a `foreach` step; without it the step fails
    INSTANT = "instant"  # when a sleep is over; without it the step fails
    CHILD = "child"  # a Child; without it the step fails
    TOLD = "told"  # the names of the runs that tell of the run's end, or of its pause; it is always granted


# What has to be given back when it is not made use of.
_SCARCE = (Wanted.LEAVE, Wanted.PLACE)


class Want(NamedTuple):
    kind: Wanted
    key: str  # of the step, the item or the undo that wants it; "" for the run itself
    number: int = 0  # of the attempt
    queue: str = ""
    event: Event | None = None  # what is told of, as it will be recorded


class Answer(NamedTuple):
    """To a want. `error`: why not, as it may be recorded."""

    granted: bool
    value: Any = None
    error: str = ""


class Child(NamedTuple):
    """A child run that is about to begin, or goes on, or has ended already."""

    run: str
    job: str
    ended: Event | None = None  # what the parent's history says of its end


# -- what goes out -----------------------------------------------------------------------------------------------------


class Ask(NamedTuple):
    """A child run is to be asked to end."""

    key: str
    run: str
    request: EventType
    why: str


class Effects:
    """What is to be done once the events that it follows from are recorded."""

    __slots__ = (
        "asks",
        "begun",
        "held",
        "launches",
        "queued",
        "returned",
        "stops",
        "taken",
        "timers",
        "waits",
        "woken",
    )

    def __init__(self) -> None:
        self.launches: list[tuple[str, int]] = []  # key, number: an attempt is to begin
        self.stops: list[tuple[str, Stop]] = []  # key, how: one that runs is to end
        self.begun: list[str] = []  # key: the child run that it was granted is to begin
        self.asks: list[Ask] = []
        self.queued: list[tuple[str, str]] = []  # queue, key: it waits for a place
        self.held: list[str] = []  # key: it waits for the leave of its family
        self.returned: list[tuple[Wanted, str]] = []  # what was granted, and is not made use of after all
        self.timers: list[tuple[int, str]] = []  # instant, key: `retry_due` then
        self.waits: list[tuple[int, str]] = []  # instant, key: `wait_over` then
        self.woken: list[str] = []  # key: what need not wait for its time any longer
        self.taken: tuple[str, int] | None = None  # by whom the run was taken, and which event of its history says so


class Find(NamedTuple):
    """An attempt that is recorded as started: it runs, has ended, or never began. What of it is the case?"""

    key: str


class FindChild(NamedTuple):
    """A child run that a step waits for: see `child_found`."""

    key: str


class Later(NamedTuple):
    """A step that waits for a time: `wait_over` or, with `retry`, `retry_due` then."""

    key: str
    at: int
    retry: bool


Left = Fact | Find | FindChild | Later


class Rules:
    """One run as its rules see it: its state as far as it is recorded or about to be, its Decider, facts in line.

    A turn is: `give` it facts, `advance` it and `answer` what it wants until it wants nothing, record what `outcome`
    gives, do what is to be done. An engine that cannot answer yet records what there is and goes on later.
    """

    __slots__ = (
        "_answers",
        "_effects",
        "_events",
        "_follows",
        "_foreign",
        "_given",
        "attempts",
        "children",
        "deadline",
        "deadline_of",
        "decider",
        "ends",
        "in_family",
        "job",
        "name",
        "state",
        "steps",
    )

    def __init__(self, name: str, job: Job, state: RunState | None = None, decider: Decider | None = None) -> None:
        self.name = name
        self.job = job
        self.steps = {step.name: step for step in job.steps}
        self.state = state if state is not None else RunState()
        self.decider = decider if decider is not None else Decider(job)
        self.attempts: dict[str, Any] = {}  # under way, by key: what of each is the engine's to know
        self.children: dict[str, Any] = {}  # child runs that are where this one is, by the key of the step that waits
        self.in_family = False  # whether it shares its attempts with others: it has a child, or is one
        self.deadline_of: int | None = None  # the start of the try whose deadline is watched
        self.deadline: Mono | None = None  # that one, on the clock that does not step
        # When attempts (0: a wait) ended whose end is perhaps not recorded yet, on that clock.
        self.ends: dict[tuple[str, int], Mono] = {}
        self._foreign: deque[Event] = deque()
        self._follows: deque[Fact] = deque()  # what recorded events and given facts lead to, in order
        self._given: deque[Fact] = deque()
        self._answers: dict[str, dict[Wanted, Answer]] = {}  # by key, to what stands in line
        self._events: list[Event] = []
        self._effects = Effects()

    def step(self, key: str) -> Step:
        """The definition of what a key names."""
        return self.steps[step_name(key)]

    def step_state(self, key: str) -> StepState:
        return self.state.undo_of(undone_key(key)) if is_undo(key) else self.state.step(key)

    # -- a turn ----------------------------------------------------------------------------------------------------

    def give(self, facts: Iterable[Fact], foreign: Iterable[Event] = ()) -> None:
        """What has come to be known. `foreign`: events that others have recorded already; they come first."""
        self._given.extend(facts)
        self._foreign.extend(foreign)

    def advance(self, moment: Moment) -> Want | None:
        """Go on until something is wanted that was not answered yet. None: there is nothing more to be dealt with."""
        while True:
            if self._foreign:
                self._record(self._foreign.popleft(), moment)
                continue
            line = self._follows or self._given
            if not line:
                return None
            fact = line[0]
            found = self._too_late(fact, moment)
            if found is not None:  # it comes before the fact, which is looked at again
                self._events.append(found)
                self._record(found, moment)
                continue
            outcome = self._start(fact.key, moment) if isinstance(fact, Start) else self._event(fact, moment)
            if isinstance(outcome, Want):
                return outcome
            line.popleft()
            if isinstance(fact, Start) and self._answers:
                self._use(fact.key, outcome)
            if outcome is not None:
                self._events.append(outcome)
                self._record(outcome, moment)

    def answer(self, want: Want, answer: Answer) -> None:
        """It was given what it wanted, or was not."""
        self._answers.setdefault(want.key, {})[want.kind] = answer

    def ahead(self, moment: Moment) -> Iterator[Want]:
        """What facts further back in line are going to want, as it looks now: for an engine whose answers take time.
        What there is too little of is wanted when it is its turn alone."""
        seen = set()
        for fact in (*self._follows, *self._given):
            if isinstance(fact, Start) and fact.key not in seen:
                seen.add(fact.key)
                want = self._wants(fact.key, moment, scarce=False)
                if isinstance(want, Want):
                    yield want

    def outcome(self) -> tuple[list[Event], Effects]:
        """What is to be recorded, and done then, since this was asked last."""
        found = self._events, self._effects
        self._events, self._effects = [], Effects()
        return found

    def forget(self) -> None:
        """All that was not recorded did not happen."""
        for line in (self._foreign, self._follows, self._given):
            line.clear()
        self._answers.clear()
        self._events, self._effects = [], Effects()

    # -- what follows from an event --------------------------------------------------------------------------------

    def _record(self, event: Event, moment: Moment) -> None:
        """An event is part of the history now: what follows from it stands in line."""
        self.state.apply(event)
        kind = event.type
        if kind is EventType.RUN_TAKEN:
            self._effects.taken = (carried(kind, event).get("executor", ""), self.state.events)
        elif kind is EventType.RUN_REOPENED:
            self.decider = reopened(self.job, self.state)
            return
        was_paused = self.decider.paused
        for action in self.decider.feed(event):
            if isinstance(action, StartStep):
                self._follows.append(Start(action.step))
            elif isinstance(action, StopStep):
                self._follows.append(action)
            elif isinstance(action, (EndStep, EndWait)):
                self._follows.append(end_of_wait(action, moment.now))
            elif isinstance(action, Compensate):
                self._follows.append(Start(action.step + UNDO))
            else:
                self._follows.append(end_of_run(action, moment.now))
        if kind is EventType.CHILD_ENDED or kind is EventType.TIMER_FIRED:
            if self.job.children:
                self._child(event, moment)
        elif kind is EventType.WAIT_STARTED and carried(kind, event)["kind"] == WaitKind.CHILD:
            self._child_began(event.step)
        elif kind is EventType.WAKE_REQUESTED:
            self._effects.woken += carried(kind, event)["steps"]
        self._watch(event, was_paused, moment)

    def _watch(self, event: Event, was_paused: bool, moment: Moment) -> None:
        """What is to be waited for from an event on, or need not wait any more."""
        kind, data = event.type, event.data
        if kind is EventType.WAIT_STARTED and "until" in data:
            self._effects.waits.append((data["until"], event.step))
        elif "wait" in data and "until" in data["wait"]:
            self._effects.waits.append((data["wait"]["until"], event.step))
        elif data.get("step_status") == "pending":
            # Its condition said yes: now it begins to wait - except in a run that stops, in which nothing begins.
            stops = self.decider.mode is Mode.STOPPING
            follows = ended_outside(event.step, "canceled", RUN_STOPPED, moment.now) if stops else Start(event.step)
            self._follows.append(follows)
        elif "retry_at" in data:
            key = event.step + UNDO if kind is EventType.UNDO_ENDED else event.step
            self._effects.timers.append((data["retry_at"], key))
        elif was_paused and not self.decider.paused:
            for key in self.under_way():
                step = self.step_state(key)
                if step.retry_at is not None:
                    self._effects.timers.append((step.retry_at, key))
                elif step.status is StepStatus.PENDING:
                    self._follows.append(Start(key))

    # -- a step is due ---------------------------------------------------------------------------------------------

    def _start(self, key: str, moment: Moment) -> Event | Want | None:
        """The event by which a step begins what it does, or ends; or what it wants for that. None: it does neither."""
        found = self._wants(key, moment, scarce=True)
        return found if not isinstance(found, Answer) else self._begins(key, found, moment)

    def _wants(self, key: str, moment: Moment, *, scarce: bool) -> Event | Want | Answer | None:
        """What a step that is due wants next; the last answer when it has all that it wants. Without `scarce`, what of
        it can be asked for before its turn has come."""
        state, decider = self.step_state(key), self.decider
        if not moment.begins and self.state.about is None:  # what tells of the ends of others begins all the same
            return None
        if not decider.may_start or state.status not in (StepStatus.WAITING, StepStatus.PENDING):
            return None
        if decider.held(key) or (state.suspended and state.waiting):
            return None
        step, undo = self.step(key), is_undo(key)
        if state.status is StepStatus.PENDING and not undo and decider.closed(key):
            return ended_outside(key, "canceled", _OTHER_FAILED, moment.now)
        if step.foreach is not None and item_index(key) is None and not undo:
            return self._list_items(step, moment)
        asks_condition = bool(step.only_if) and not undo and not self.state.step(key).checked
        has_attempts = kinds.of(step).has_attempts
        runs = has_attempts or undo or asks_condition
        answers = self._answers.get(key, {})
        if self.in_family and runs and scarce:
            leave = answers.get(Wanted.LEAVE)
            if leave is None:
                return Want(Wanted.LEAVE, key)
            if not leave.granted:
                self._effects.held.append(key)
                return None
        if not has_attempts and not undo and state.status is StepStatus.WAITING:
            if self.state.step(key).retry_at is None:
                return None  # it waits already
        if not runs:
            return self._wait_wants(key, step, answers, moment)
        if step.queue is not None and has_attempts and not undo and scarce:
            place = answers.get(Wanted.PLACE)
            if place is None:
                return Want(Wanted.PLACE, key, queue=step.queue)
            if not place.granted:
                self._effects.queued.append((step.queue, key))
                return None
        return answers.get(Wanted.COMMAND) or Want(Wanted.COMMAND, key, len(state.attempts) + 1)

    def _wait_wants(self, key: str, step: Step, answers: Mapping[Wanted, Answer], moment: Moment) -> Want | Answer:
        """What a step wants that is about to wait, and runs nothing."""
        match kinds.of(step).way:
            case Way.ATTEMPTS | Way.MESSAGE:
                return Answer(True)
            case Way.CHILD:
                return answers.get(Wanted.CHILD) or Want(Wanted.CHILD, key)
            case Way.TIMER:
                if step.sleep is not None:
                    return Answer(True, moment.now + step.sleep)
                return answers.get(Wanted.INSTANT) or Want(Wanted.INSTANT, key)
            case unknown:
                assert_never(unknown)

    def _begins(self, key: str, answer: Answer, moment: Moment) -> Event:
        """The event by which a step begins that has what it wants - or by which it ends, because it was refused."""
        if not answer.granted:
            return ended_outside(key, "failed", answer.error, moment.now)
        step, undo = self.step(key), is_undo(key)
        kind = kinds.of(step)
        if kind.has_attempts or undo or (step.only_if and not self.state.step(key).checked):
            return self._attempt(key, step, answer, moment)
        data: Wait = {"kind": str(step.kind)}
        match kind.way:
            case Way.CHILD:
                child: Child = answer.value
                data = {"kind": str(WaitKind.CHILD), "name": child.run, "job": child.job}
                until = children.until(step, self.state.step(key), moment.now)
                if until is not None:
                    data["until"] = until
            case Way.TIMER:
                data["until"] = answer.value
                if step.sleep is not None:
                    data["clock"] = moment.clock
            case Way.MESSAGE:
                data["name"] = step.signal if step.signal is not None else step.approval or ""
                if step.timeouts.schedule_to_close is not None:
                    data["until"] = moment.now + step.timeouts.schedule_to_close
            case Way.ATTEMPTS:
                raise AssertionError("a step that has attempts waits for nothing")
            case unknown:
                assert_never(unknown)
        return Event(EventType.WAIT_STARTED, moment.now, key, data=data)

    def _attempt(self, key: str, step: Step, answer: Answer, moment: Moment) -> Event:
        number = len(self.step_state(key).attempts) + 1
        self._effects.launches.append((key, number))
        data = dict(answer.value or {})
        if is_undo(key):
            return Event(EventType.UNDO_STARTED, moment.now, undone_key(key), number, data)
        if step.queue is not None:
            data["queue"] = step.queue
        return Event(EventType.ATTEMPT_STARTED, moment.now, key, number, data)

    def _list_items(self, step: Step, moment: Moment) -> Event | Want:
        """The event that makes a `foreach` step fall into its items - or ends it, when there is no list."""
        known = self.state.step(step.name).items
        if known is not None:
            return Event(
                EventType.ITEMS_LISTED,
                moment.now,
                step.name,
                data=carries(EventType.ITEMS_LISTED, {"count": len(known)}),
            )
        answer = self._answers.get(step.name, {}).get(Wanted.ITEMS)
        if answer is None:
            return Want(Wanted.ITEMS, step.name)
        if not answer.granted:
            return ended_outside(step.name, "failed", answer.error, moment.now)
        data: ItemsListed = {"count": len(answer.value), "items": answer.value}
        return Event(EventType.ITEMS_LISTED, moment.now, step.name, data=data)

    def _use(self, key: str, event: Event | None) -> None:
        """What a step was granted is made use of by its event, or is given back."""
        answers = self._answers.get(key)
        if answers is None:
            return
        if event is not None and event.type is EventType.WAIT_STARTED and Wanted.CHILD in answers:
            return  # until the child has begun: `_child_began`
        del self._answers[key]
        if event is None or event.type not in (EventType.ATTEMPT_STARTED, EventType.UNDO_STARTED):
            self._effects.returned += [(kind, key) for kind in _SCARCE if kind in answers and answers[kind].granted]

    # -- anything else that has happened ---------------------------------------------------------------------------

    def _event(self, fact: Event | StopStep, moment: Moment) -> Event | Want | None:
        """The event that a fact is now, with all that came before it: None when it has come to nothing."""
        if isinstance(fact, StopStep):
            return self._stop(fact, moment)
        if self.state.status is not None and self.state.status.final:
            return None  # a request that came when the run was over
        kind, stopping = fact.type, self.decider.mode is Mode.STOPPING
        if kind in (EventType.TIMER_FIRED, EventType.WAIT_ENDED) and self.state.step(fact.step).waiting is None:
            return None  # what it waited for came in this very turn
        if kind in (EventType.STEP_ENDED, EventType.UNDO_ENDED) and not fact.number:
            key = fact.step if kind is EventType.STEP_ENDED else fact.step + UNDO
            if not self.step_state(key).may_end_outside:
                return None  # stopped twice: canceled, and terminated before that was carried out
        if stopping and "wait" in fact.data:
            late = self.decider.outcome is RunStatus.TIMED_OUT
            data = {key: value for key, value in fact.data.items() if key != "wait"}
            how = rules.TIMED_OUT if late else rules.CANCELED
            return fact._replace(data={**data, "status": how, "error": RUN_STOPPED})
        if stopping and "retry_at" in fact.data:
            data = {key: value for key, value in fact.data.items() if key != "retry_at"}
            if data.get("status") == rules.STOPPED:
                data["step_status"] = "canceled"
            return fact._replace(data={**data, "why": "the run is stopping"})
        if kind is EventType.RUN_PAUSED and (self.decider.paused or stopping):
            return None
        if kind in _TELLING and self.job.notify:
            return self._told(fact)
        return fact

    def _told(self, event: Event) -> Event | Want:
        """The run's end, or its pause, with the names of the runs that tell of it."""
        answer = self._answers.get("", {}).get(Wanted.TOLD)
        if answer is None:
            return Want(Wanted.TOLD, "", event=event)
        del self._answers[""]
        return event._replace(data={**event.data, "notifications": answer.value}) if answer.value else event

    def _stop(self, stop: StopStep, moment: Moment) -> Event | None:
        """What it means for a step that it is to end: nothing yet, or that it has ended."""
        # Only a kill is meant for an undo: a second cancel was decided for the step, whose undo may be due by now.
        key = stop.step + UNDO if stop.how is Stop.KILL and stop.step == self.decider.undoing else stop.step
        state = self.step_state(key)
        if state.status is StepStatus.RUNNING:
            if stop.how is not Stop.UNBEGUN:
                self._effects.stops.append((key, stop.how))
            return None
        if state.status is not StepStatus.WAITING and state.status is not StepStatus.PENDING:
            return None
        if stop.how is Stop.UNBEGUN:
            pending = state.status is StepStatus.PENDING
            return ended_outside(key, "canceled", _OTHER_FAILED, moment.now) if pending else None
        if state.waits_for_child():
            return self._stop_child(key, stop.how, moment)
        # Between two attempts, or waiting for something: it just does not go on.
        # A wait has not failed at anything.
        drained = "canceled" if state.waiting is not None or state.suspended else "failed"
        status = {Stop.DRAIN: drained, Stop.TIMEOUT: "timed_out"}.get(stop.how, "canceled")
        return ended_outside(key, status, state.error or RUN_STOPPED, moment.now)

    # -- the run's time --------------------------------------------------------------------------------------------

    def watch_deadline(self, moment: Moment) -> Mono | None:
        """When (on the clock that does not step) the run's time is over, if that is to be watched from now on."""
        start = self.state.try_started_at
        if self.job.timeout is None or start is None or self.deadline_of == start:
            return None
        self.deadline_of = start
        self.deadline = Mono(moment.mono + start + self.job.timeout - moment.now)
        return Mono(self.deadline + 1)

    def deadline_passed(self, try_started_at: int, moment: Moment) -> Event | None:
        """What is to be recorded then, if it is the same try still."""
        return self._timed_out(moment) if self.state.try_started_at == try_started_at else None

    def _timed_out(self, moment: Moment) -> Event:
        from jobctl.core.durations import format

        reason = f"the run's timeout of {format(self.job.timeout or 0)} passed"
        return Event(EventType.RUN_TIMED_OUT, moment.now, data=carries(EventType.RUN_TIMED_OUT, {"reason": reason}))

    def _too_late(self, fact: Fact, moment: Moment) -> Event | None:
        """What is to be recorded before a fact: that the run's time was over when it came, and nobody was there to see
        it. An attempt is judged by when it ended, a sleep by when it was over, all else by now."""
        if self.deadline is None or self.decider.mode is not Mode.FORWARD or self.state.status is RunStatus.QUEUED:
            return None
        at = moment.mono
        if isinstance(fact, Event):
            if fact.type not in _STEPS_ON:
                return None
            at = self.ends.get((fact.step, fact.number), at)
        elif not isinstance(fact, Start):
            return None
        return self._timed_out(moment) if at > self.deadline else None

    # -- an attempt ends, or a time has come -----------------------------------------------------------------------

    def retry_policy(self, key: str) -> RetryPolicy:
        """Of a step, or of its compensation."""
        step = self.step(key)
        return step.compensate.retry if is_undo(key) and step.compensate is not None else step.retry

    def attempt_ended(
        self, key: str, number: int, outcome: rules.Outcome, extra: dict[str, Any], ended_at: Mono, moment: Moment
    ) -> Iterator[Event]:
        """What is to be recorded of an attempt that has ended. `ended_at`: on the clock that does not step."""
        step, undo = self.step(key), is_undo(key)
        state, of = self.step_state(key), step.compensate if undo and step.compensate is not None else step
        verdict = rules.verdict(
            self.retry_policy(key),
            of.timeouts,
            outcome,
            attempt=state.attempts_in_try,
            ended_at=moment.now,
            step_started_at=state.started_at or state.attempts[-1].started_at,
        )
        if outcome.status == rules.SUCCEEDED and not kinds.of(step).has_attempts and not undo:
            extra["step_status"] = "pending"  # only its condition was asked: now it begins to wait
        if verdict.retry_at is not None:
            extra["clock"] = moment.clock
        if self.deadline is not None:
            self.ends[key, number] = ended_at
        kind = EventType.UNDO_ENDED if undo else EventType.ATTEMPT_ENDED
        yield Event(kind, moment.now, undone_key(key), number, rules.event_data(outcome, verdict, **extra))
        if outcome.status == rules.STOPPED and not undo and step.poll is None:
            if rules.pauses(self.job.after_stop, step.retry):
                reason = f"step {key} was stopped with the daemon"
                pause = carries(EventType.RUN_PAUSED, {"reason": reason, "stopped": True})
                yield Event(EventType.RUN_PAUSED, moment.now, data=pause)

    def attempt_suspended(
        self, key: str, number: int, wait: Mapping[str, Any], extra: Mapping[str, Any], moment: Moment
    ) -> Event:
        """What is to be recorded of an attempt that has ended itself to go on later."""
        state = self.step_state(key)
        began = state.started_at or state.attempts[-1].started_at
        wait = rules.suspension(wait, self.step(key).timeouts, step_started_at=began)
        data = {"status": rules.SUSPENDED, "wait": wait, **{name: value for name, value in extra.items() if value}}
        if "until" in wait and "limit" not in wait:
            data["clock"] = moment.clock
        return Event(EventType.ATTEMPT_ENDED, moment.now, key, number, data)

    def retry_due(self, key: str, retry_at: int) -> Start | None:
        # Whatever the wall clock says by now: it may have been set back, and nobody would look again.
        return Start(key) if self.step_state(key).retry_at == retry_at else None

    def wait_over(self, key: str, until: int, moment: Moment) -> Event | Later | None:
        """What it means that a step's wait is over now: `Later` when it is not, because the clock was set back."""
        step = self.state.step(key)
        if step.waiting is None or step.waiting.get("until") != until:
            return None
        if step.due is None and self.step(key).sleep_until is not None and moment.now < until:
            return Later(key, until, retry=False)
        if self.deadline is not None:
            self.ends[key, 0] = moment.mono_of(step, until)
        return Event(EventType.TIMER_FIRED, moment.now, key)

    def request(self, kind: EventType, reason: str, by: str, moment: Moment) -> Event:
        """A cancel or a terminate. `by` is a person, "" for nobody."""
        data: Requested = {"reason": reason, "by": by} if by else {"reason": reason}
        return Event(kind, moment.now, data=data)

    def rests_until(self, moment: Moment) -> int | None:
        """When (by the wall clock) a run that from now on only waits, and for long, is to be looked at again. None: it
        does not, as far as its rules know; whether something of it is under way in an engine is for that to say."""
        state, decider = self.state, self.decider
        if state.status is not RunStatus.RUNNING or decider.mode is Mode.STOPPING or decider.ends():
            return None  # something was asked or came while nobody had it: that is carried out first
        waits: list[int] = []
        for key in self.under_way():
            step = self.step_state(key)
            if step.status is not StepStatus.WAITING or (step.waiting is not None and "ended" in step.waiting):
                return None
            until = step.retry_at if step.waiting is None else step.waiting.get("until")
            # What has a clock of its own is written down as what the wall clock will show then.
            waits.append(FAR if until is None else moment.now + moment.mono_of(step, until) - moment.mono - 1)
        if not waits:
            return None
        if self.job.timeout is not None and state.try_started_at is not None:
            waits.append(state.try_started_at + self.job.timeout)
        wake_at = min(waits)
        return wake_at if wake_at - moment.now > ASLEEP_FROM_MS else None

    # -- child runs ------------------------------------------------------------------------------------------------

    def _child_began(self, key: str) -> None:
        answers = self._answers.pop(key, {})
        if Wanted.CHILD not in answers:
            return  # it is history
        self._effects.begun.append(key)
        child: Child = answers[Wanted.CHILD].value
        if child.ended is not None:  # its results are there
            self._follows.append(child.ended)

    def _child(self, event: Event, moment: Moment) -> None:
        """What a child's end, or that the step's time is over, leads to."""
        key = event.step
        state = self.state.steps.get(key)
        if state is None or not state.waits_for_child():
            return
        if event.type is EventType.CHILD_ENDED:
            if state.waits_for_child(carried(event.type, event)["run"]):
                self._follows.append(self._child_step_end(key, moment))
        elif self.step(key).on_parent_close is ParentClosePolicy.ABANDON:
            self._follows.append(self._left_alone(key, moment))
        else:
            self._effects.asks.append(self._ask(key, EventType.CANCEL_REQUESTED))

    def _child_step_end(self, key: str, moment: Moment) -> Event:
        data = children.step_end(self.step(key), self.state.step(key), self.decider.asked_to_end(key))
        if "retry_at" in data:
            data["clock"] = moment.clock
        return Event(EventType.STEP_ENDED, moment.now, key, data=data)

    def _left_alone(self, key: str, moment: Moment) -> Event:
        data = children.timed_out(self.step(key), self.state.step(key), moment.now)
        return Event(EventType.STEP_ENDED, moment.now, key, data=data)

    def _stop_child(self, key: str, how: Stop, moment: Moment) -> Event | None:
        """The run stops: the child is asked to end, and the step ends with it - or without, when it is left alone or
        the run is terminated."""
        policy = self.step(key).on_parent_close
        if how is Stop.DRAIN:
            return None
        if how is Stop.KILL:
            if policy in _CLOSE:
                self._effects.asks.append(self._ask(key, _CLOSE[policy]))
        elif policy is not ParentClosePolicy.ABANDON:
            self._effects.asks.append(self._ask(key, EventType.CANCEL_REQUESTED))
            return None
        return ended_outside(key, "timed_out" if how is Stop.TIMEOUT else "canceled", RUN_STOPPED, moment.now)

    def _ask(self, key: str, request: EventType) -> Ask:
        child = self.state.step(key).child
        if child is None:
            raise HistoryError(f"step {key}: it is to ask a child run to end, and has none")
        how = _HOW_IT_ENDED.get(self.decider.outcome or RunStatus.FAILED)
        why = f"{self.name}, which started it, {how}" if how else f"step {key} of {self.name} timed out"
        return Ask(key, child["run"], request, why)

    def may_ask(self, request: EventType) -> bool:
        """Whether this run, a child, is to be asked that because of its parent: it was not asked as much already."""
        asked = self.state.ending
        return asked is None or (request is EventType.TERMINATE_REQUESTED and asked.type is not request)

    # -- going on with what another executor left ------------------------------------------------------------------

    def under_way(self) -> list[str]:
        """What was started and has not ended: steps, and the compensation that is carried out."""
        undoing = self.decider.undoing
        return [*self.decider.active(), *([undoing + UNDO] if undoing is not None else [])]

    def left(self, here: Container[str], moment: Moment) -> Iterator[Left]:
        """What the history says is under way and somebody has to see to, except what is `here`; what is to be recorded
        because nobody has yet."""
        decider = self.decider
        if decider.mode is Mode.ENDED:  # asked to end by somebody who could not carry it out
            yield end_of_run(decider.end(), moment.now)
            return
        for end in decider.ends():  # what was waited for came while nobody was at the run
            yield end_of_wait(end, moment.now)
        for key in self.under_way():
            if key in here:
                continue
            state = self.step_state(key)
            if state.status is StepStatus.RUNNING:
                yield Find(key)
            elif state.waits_for_child():
                yield FindChild(key)
            elif decider.mode is Mode.STOPPING:
                yield ended_outside(key, "canceled", state.error or RUN_STOPPED, moment.now)
            elif state.status is StepStatus.WAITING and state.retry_at is not None:
                yield Later(key, state.retry_at, retry=True)
            elif state.waiting is not None and "until" in state.waiting:
                yield Later(key, state.waiting["until"], retry=False)
            elif state.status is StepStatus.PENDING:
                yield Start(key)

    def child_found(self, key: str, there: bool, moment: Moment) -> Fact | Ask | Later | None:
        """What is to be put right of a step that waits for a child run. `there`: whether there is that run."""
        state = self.state.step(key)
        if state.waiting is None:
            raise HistoryError(f"step {key}: it waits for no child run")
        if "ended" in state.waiting:
            return self._child_step_end(key, moment)
        if not there:
            return ended_outside(key, "failed", f"child run {state.waiting['name']} is gone", moment.now)
        stopped = self.decider.asked_to_end(key)
        if stopped is not None:
            return StopStep(key, stopped)
        if state.waiting.get("stopping"):
            if self.step(key).on_parent_close is ParentClosePolicy.ABANDON:
                return self._left_alone(key, moment)
            return self._ask(key, EventType.CANCEL_REQUESTED)
        return Later(key, state.waiting["until"], retry=False) if "until" in state.waiting else None

    # -- saved and restored ----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that the rules know beside the job, as JSON values: also facts that are not dealt with yet, and
        answers to them. What is to be recorded must have been."""
        if self._events or self._foreign:
            raise ValueError("what has happened is not recorded yet")
        return {
            "state": self.state.snapshot(),
            "decider": self.decider.snapshot(),
            "in_family": self.in_family,
            "line": [[_saved(fact) for fact in line] for line in (self._follows, self._given)],
            "answers": [
                [key, kind, *_saved_answer(answer)]
                for key, answers in self._answers.items()
                for kind, answer in answers.items()
            ],
        }

    @classmethod
    def restore(cls, name: str, job: Job, saved: Mapping[str, Any]) -> Rules:
        """The rules that `snapshot` was taken of; the run's deadline is to be watched anew."""
        self = cls(name, job, RunState.restore(saved["state"]), Decider.restore(job, saved["decider"]))
        self.in_family = saved["in_family"]
        self._follows, self._given = (deque(map(_restored, line)) for line in saved["line"])
        for key, kind, *answer in saved["answers"]:
            self._answers.setdefault(key, {})[Wanted(kind)] = _restored_answer(Wanted(kind), *answer)
        return self


Member = TypeVar("Member", bound=Rules)


class Budget(Generic[Member]):
    """The runs of one root in one place: together they have no more attempts under way than the root alone may.

    Without leave an attempt waits here, the longest waiting first.
    """

    __slots__ = ("granted", "limit", "members", "planned", "waiting")

    def __init__(self, root: Member) -> None:
        self.limit = root.job.max_parallel_steps
        self.members: dict[Member, None] = {root: None}
        # Each once: a second entry would start the next attempt before its time.
        self.waiting: dict[tuple[Member, str], None] = {}
        self.granted: set[tuple[Member, str]] = set()  # may start in this turn
        self.planned: int | None = None  # attempts that run or start in this turn; None: not counted yet

    def admits(self, run: Member, key: str) -> bool:
        """Whether an attempt may start now; if so it is counted."""
        if (run, key) in self.granted:
            self.granted.discard((run, key))
            return True
        if self.waiting or self._count() >= self.limit:
            return False
        self.planned = self._count() + 1
        return True

    def let_in(self) -> list[tuple[Member, str]]:
        """Those that have waited longest, as many as there are places: they start in this turn."""
        found = []
        while self.waiting and self._count() < self.limit:
            run, key = next(iter(self.waiting))
            del self.waiting[run, key]
            waits = run.step_state(key).status in (StepStatus.PENDING, StepStatus.WAITING)
            if run in self.members and run.decider.may_start and waits:
                self.planned = self._count() + 1
                self.granted.add((run, key))
                found.append((run, key))
        return found

    def settle(self) -> None:
        """What was planned has been recorded, and what runs can be counted again."""
        self.planned = None
        self.granted.clear()

    def _count(self) -> int:
        if self.planned is None:
            self.planned = sum(len(run.attempts) for run in self.members)
        return self.planned


# -- events ------------------------------------------------------------------------------------------------------------


def ended_outside(key: str, status: str, error: str, now: Millis) -> Event:
    """A step, or its undo, that ends with no attempt running."""
    kind = EventType.UNDO_ENDED if is_undo(key) else EventType.STEP_ENDED
    return Event(kind, now, undone_key(key), data=carries(EventType.STEP_ENDED, {"status": status, "error": error}))


def end_of_run(action: FinishRun, now: Millis) -> Event:
    data: RunEnded = {"status": str(action.status)}
    if action.reason:
        data["reason"] = action.reason
    return Event(EventType.RUN_ENDED, now, data=data)


def end_of_wait(end: EndStep | EndWait, now: Millis) -> Event:
    if isinstance(end, EndWait):
        came: WaitEnded = {"name": end.signal}
        if end.payload is not None:
            came["payload"] = end.payload
        return Event(EventType.WAIT_ENDED, now, end.step, data=came)
    data: StepEnded = {"status": str(end.status)}
    if end.outputs:
        data["outputs"] = dict(end.outputs)
    if end.error is not None:
        data["error"] = end.error
    return Event(EventType.STEP_ENDED, now, end.step, data=data)


def begun_now(events: list[Event], now: Millis) -> list[Event]:
    """The first events of a run that could not be recorded until now. It may be too late for it to begin at all."""
    start_by = carried(EventType.RUN_CREATED, events[0]).get("start_by") if events else None
    if start_by is not None and start_by <= now:
        late = carries(EventType.RUN_ENDED, {"status": str(RunStatus.CANCELED), "reason": TOO_LATE})
        end = Event(EventType.RUN_ENDED, now, data=late)
        return [events[0]._replace(at=min(events[0].at, now)), end]
    return [event._replace(at=now) for event in events]


def _saved(fact: Fact) -> list[Any]:
    return [type(fact).__name__, *fact]


def _restored(saved: list[Any]) -> Fact:
    name, *values = saved
    if name == "Start":
        return Start(*values)
    return StopStep(values[0], Stop(values[1])) if name == "StopStep" else Event(EventType(values[0]), *values[1:])


def _saved_answer(answer: Answer) -> list[Any]:
    value = answer.value
    if isinstance(value, Child):
        value = [value.run, value.job, _saved(value.ended) if value.ended is not None else None]
    return [answer.granted, value, answer.error]


def _restored_answer(kind: Wanted, granted: bool, value: Any, error: str) -> Answer:
    if kind is Wanted.CHILD and granted:
        run, job, ended = value
        value = Child(run, job, Event(EventType(ended[1]), *ended[2:]) if ended is not None else None)
    return Answer(granted, value, error)
