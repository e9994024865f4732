"""The run: events in, actions out. Which steps, compensations and ends come next, and nothing else.

The heart. No I/O, no clock, no randomness: the same events give the same actions in every process. Attempts and their
retries are one step's business (attempts.py); here a step starts once and ends once in each try of the run.

A run goes through these modes:

    FORWARD       steps start as their needs end
    STOPPING      something failed, or somebody asked: nothing new starts, what runs ends
    COMPENSATING  undo, newest start first, one after another
    CLEANUP       `failure` and `always` steps, in the order of the graph; what lies between them is passed over
    ENDED

A terminated run goes from STOPPING to ENDED.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from jobctl.core import kinds
from jobctl.core.keys import item_index, item_key, step_name
from jobctl.core.model import Job, OnTimeout, RunStatus, Step, StepStatus, When
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.items import FanOut
from jobctl.core.run.payloads import carried
from jobctl.core.status import DONE_WELL, AttemptStatus, WaitKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.run.events import Wait

VERSION = 2


class Mode(StrEnum):
    NEW = "new"
    FORWARD = "forward"
    STOPPING = "stopping"
    COMPENSATING = "compensating"
    CLEANUP = "cleanup"
    ENDED = "ended"


class StartStep(NamedTuple):
    """Have the step carried out: its attempts, its sleep, its wait. Of a `foreach` step: have its items listed; each of
    them is started as a step of its own then, under its own key."""

    step: str


class Stop(StrEnum):
    """How something that is under way is ended."""

    DRAIN = "drain"  # a running attempt or child run ends by itself and is not retried; a wait ends
    CANCEL = "cancel"  # asked, grace, killed
    TIMEOUT = "timeout"  # the same, under another name
    KILL = "kill"
    UNBEGUN = "unbegun"  # only what nothing has happened of yet is ended


class StopStep(NamedTuple):
    """End what the step does now: its attempt, its wait, or its compensation when that is under way."""

    step: str
    how: Stop


class EndStep(NamedTuple):
    """Record that what the step waited for has come, or has not come in time; or that all its items have ended."""

    step: str
    status: StepStatus
    outputs: Mapping[str, Any]
    error: str | None


class EndWait(NamedTuple):
    """Record that the signal has come for which the step's last attempt was suspended: the next one is due then."""

    step: str
    signal: str
    payload: Any


class Compensate(NamedTuple):
    """Have the step's compensation carried out."""

    step: str


class FinishRun(NamedTuple):
    status: RunStatus
    reason: str | None


Action = StartStep | StopStep | EndStep | EndWait | Compensate | FinishRun


class Decider:
    """Decides about one try of one run. What an event costs does not grow with the run, except for the event that stops
    it.

    `kept` are the steps, and items of steps, that an earlier try has finished, with how each ended, oldest start first.
    A kept step does not run again, and its compensation is due if this try fails. `reused` names those of `kept` that
    another run has done: only that run undoes them. `fanned` names those of `kept` that had items: such a step did
    nothing itself. `early` holds, by signal, the payloads that no step has had.
    """

    def __init__(
        self,
        job: Job,
        kept: Mapping[str, StepStatus] | None = None,
        early: Mapping[str, Sequence[Any]] | None = None,
        reused: Collection[str] = (),
        fanned: Collection[str] = (),
    ) -> None:
        kept = kept or {}
        self.mode = Mode.NEW
        self.paused = False
        self.outcome: RunStatus | None = None  # set when the run has left the way to success
        self.reason: str | None = None
        self._failed: str | None = None  # the step whose failure has stopped the run
        self._stop: Stop | None = None  # how what is under way is asked to end, from when the run stops
        self._steps: dict[str, Step] = {step.name: step for step in job.steps}
        self._order = {step.name: i for i, step in enumerate(job.steps)}
        self._names = [step.name for step in job.steps]
        self._limit = job.max_parallel_steps
        self._dependents = dependents(job)
        # By key: steps, and items of steps.
        self._ended: dict[str, StepStatus] = {key: how for key, how in kept.items() if step_name(key) in self._steps}
        # Those with something to undo, in order of first start: an attempt began, or what was waited for came.
        self._started: dict[str, None] = {k: None for k in self._ended if k not in fanned and k not in reused}
        self._active: dict[str, bool] = {}  # what was started and has not ended -> holds a parallel slot
        self._fans: dict[str, FanOut] = {}  # steps whose items are listed and have not all ended
        self._slots = 0
        self._ready: list[tuple[bool, int]] = []  # a heap: what needs no slot first, then in the job's order
        self._unmet: dict[str, int] = {}
        self._undo: list[str] = []
        self._undoing: str | None = None
        self._waits: dict[str, list[str]] = {}  # signal -> steps that wait for it, oldest first
        # Signals that came before a step waited for them, oldest first.
        self._early = {signal: list(payloads) for signal, payloads in (early or {}).items()}
        self._ends: dict[str, EndStep | EndWait] = {}  # what waits are about to end with: told, and not recorded yet
        # Steps whose attempt was suspended: the signal that they wait for, or "", and whether only their end can come.
        self._suspended: dict[str, tuple[str, str]] = {}
        self._woken: list[str] = []  # of these, those that would go on if they had a parallel slot, oldest first

    def feed(self, event: Event) -> list[Action]:
        """What follows from one more event of the run. Events that change nothing here give no actions."""
        kind = event.type
        out: list[Action] = []
        if kind is EventType.ATTEMPT_STARTED:
            self._started.setdefault(event.step)
        elif kind is EventType.ATTEMPT_ENDED:
            ended = carried(kind, event)
            if ended.get("status") == AttemptStatus.SUSPENDED:
                self._suspend(event.step, ended["wait"], out)
                return out
            if ended.get("retry_at") is not None:
                return out  # its status - it may be `stopped` - is no step's
            status = StepStatus(ended.get("step_status") or ended.get("status") or "succeeded")
            # Pending again: only its condition was asked, and what it waits for is still to come.
            if status is not StepStatus.PENDING:
                self._step_ended(event.step, status, ended.get("error"), out)
        elif kind is EventType.STEP_ENDED:
            outside = carried(kind, event)
            status = StepStatus(outside["status"])
            if outside.get("retry_at") is not None:
                return out  # another child run follows
            if status is StepStatus.SUCCEEDED and event.step not in self._fans:
                self._started.setdefault(event.step)
            self._step_ended(event.step, status, outside.get("error"), out)
        elif kind is EventType.ITEMS_LISTED:
            self._fan_out(event.step, carried(kind, event)["count"], out)
        elif kind is EventType.WAIT_STARTED:
            if carried(kind, event)["kind"] == WaitKind.CHILD:  # it works from now on; how it ends is attempts.py's
                self._started.setdefault(event.step)
            else:
                self._wait(event.step, out)
        elif kind is EventType.SIGNAL_RECEIVED:
            signal = carried(kind, event)
            self._signal(signal["name"], signal.get("payload"), out)
        elif kind is EventType.APPROVAL_ANSWERED:
            self._answer(event, out)
        elif kind is EventType.TIMER_FIRED:
            self._timer(event.step, out)
        elif kind is EventType.WAIT_ENDED:
            self._wake(event.step, out)
        elif kind is EventType.WAKE_REQUESTED:
            for key in carried(kind, event)["steps"]:
                if self._suspended.get(key, ("signal",))[0] == "":  # it sleeps, and its step's own time is not over yet
                    self._suspended[key] = ("", "")
        elif kind is EventType.RUN_TAKEN:
            if self.mode is Mode.NEW:
                self._begin(out)
        elif kind is EventType.RUN_CREATED:
            for name, result in carried(kind, event).get("reused", {}).items():  # another run has done them
                self._ended[name] = StepStatus(result.get("status", "succeeded"))
        elif kind is EventType.UNDO_ENDED:
            if carried(kind, event).get("retry_at") is None and self._undoing == event.step:
                self._undoing = None
                self._go_on(out)
        elif kind is EventType.RUN_PAUSED:
            self.paused = self.outcome is not RunStatus.TERMINATED  # nothing is left that could be held back
        elif kind is EventType.RUN_UNPAUSED:
            self.paused = False
            self._go_on(out)
        elif kind is EventType.CANCEL_REQUESTED:
            self._leave(RunStatus.CANCELED, carried(kind, event).get("reason") or "canceled", Stop.CANCEL, out)
        elif kind is EventType.RUN_TIMED_OUT:
            reason = carried(kind, event).get("reason") or "the run's timeout passed"
            self._leave(RunStatus.TIMED_OUT, reason, Stop.TIMEOUT, out)
        elif kind is EventType.TERMINATE_REQUESTED:
            self._terminate(carried(kind, event).get("reason") or "terminated", out)
        elif kind is EventType.RUN_ENDED:
            self.mode = Mode.ENDED
        return out

    def active(self) -> list[str]:
        """Steps, or items of them, that were started and have not ended, oldest first: what an engine must find running
        or start."""
        return list(self._active)

    def fan_out(self, name: str) -> FanOut | None:
        """How far a step has come whose items are under way. To be looked at only."""
        return self._fans.get(name)

    @property
    def undoing(self) -> str | None:
        """The step whose compensation is under way."""
        return self._undoing

    def closed(self, key: str) -> bool:
        """Whether it is an item of a list of which nothing starts any more: one that has not begun ends without."""
        fan = self._fans.get(step_name(key)) if item_index(key) is not None else None
        return fan is not None and fan.closed

    def held(self, step: str) -> bool:
        """Whether a step that was suspended waits for a parallel slot: it is started when it has one."""
        return step in self._woken

    def ends(self) -> list[EndStep | EndWait]:
        """Ends that were decided and are not recorded yet: an engine that goes on with a run records them."""
        return list(self._ends.values())

    def end(self) -> FinishRun:
        """What a run whose mode is ENDED ends as."""
        return FinishRun(self.outcome or RunStatus.SUCCEEDED, self.reason)

    @property
    def may_start(self) -> bool:
        """Whether attempts may start now: also the next attempt of a step that waits for its retry."""
        return not self.paused and self.mode in (Mode.FORWARD, Mode.COMPENSATING, Mode.CLEANUP)

    @property
    def may_time_out(self) -> bool:
        """Whether the run's own timeout ends it when it passes now. Once the run stops, it comes too late."""
        return self.mode is Mode.FORWARD

    @property
    def failed(self) -> str | None:
        """The step whose failure the run ends by. None when it ends by something else, or does not end yet."""
        return self._failed if self.outcome is RunStatus.FAILED else None

    @property
    def limit(self) -> int:
        """How many parallel slots there are."""
        return self._limit

    def at_work(self) -> list[str]:
        """What holds a parallel slot, oldest first."""
        return [key for key, slot in self._active.items() if slot]

    def wants_slot(self) -> list[str]:
        """What starts as soon as a parallel slot is free and the run is not paused, in that order: suspended steps and
        items that would go on come first. A step whose items would start is named itself."""
        if self.mode not in (Mode.FORWARD, Mode.CLEANUP):
            return []
        return [*self._woken, *(self._names[i] for slot, i in sorted(self._ready) if slot)]

    def to_undo(self) -> list[str]:
        """What is compensated if the run does not succeed, newest start first: of a run that compensates already, what
        is left of it, beginning with the one that is under way."""
        if self.mode is Mode.COMPENSATING:
            return [*([] if self._undoing is None else [self._undoing]), *reversed(self._undo)]
        if self.mode in (Mode.CLEANUP, Mode.ENDED) or self.outcome is RunStatus.TERMINATED:
            return []
        return self._undoable()[::-1]

    def stop_of(self, key: str) -> Stop | None:
        """How what is under way of a step, an item or a compensation is asked to end; None while it is not.

        A run that stops does not cut short what always runs, except when it is terminated: that is due in such a run
        anyway.
        """
        if self.mode is not Mode.STOPPING:
            return None
        if self._stop is not Stop.KILL and self._step(key).when is When.ALWAYS:
            return Stop.DRAIN
        return self._stop

    def asked_to_end(self, key: str) -> Stop | None:
        """As `stop_of`; None also where it may end by itself."""
        how = self.stop_of(key)
        return None if how is Stop.DRAIN else how

    # -- forward ---------------------------------------------------------------------------------------------------

    def _begin(self, out: list[Action]) -> None:
        self.mode = Mode.FORWARD
        self._plan()
        self._go_on(out)

    def _plan(self) -> None:
        """Everything that has not ended waits for those of its needs that have not, or is ready."""
        self._ready.clear()
        self._unmet.clear()
        for fan in self._fans.values():
            fan.queued = False
        for name in self._names:
            if name not in self._ended:
                self._unmet[name] = sum(1 for need in self._steps[name].needs if need not in self._ended)
                if not self._unmet[name]:
                    self._make_ready(name)

    def _make_ready(self, name: str) -> None:
        step = self._steps[name]
        # `failure` steps wait for a failure, whatever their needs.
        if self.mode is Mode.FORWARD and step.when is When.FAILURE:
            return
        # A sleep or a wait occupies nothing, nor does what is only passed over, nor a list that is made.
        slot = kinds.of(step).has_attempts and self._due(step)
        if step.foreach is not None:
            fan = self._fans.get(name)
            slot = slot and fan is not None
            if fan is not None:
                fan.queued = True  # one place for all its items: the next of them has it
        heapq.heappush(self._ready, (slot, self._order[name]))

    def _step_ended(self, name: str, status: StepStatus, error: str | None, out: list[Action]) -> None:
        if name in self._ended:
            return
        self._ended[name] = status
        if self._active.pop(name, False):
            self._slots -= 1
        step = self._step(name)
        self._forget_wait(name, step.signal)
        if name in self._woken:
            self._woken.remove(name)
        index = item_index(name)
        if index is not None:
            self._item_ended(step.name, index, status, out)
            return
        fan = self._fans.pop(name, None)
        if fan is not None and fan.queued:  # while the run was paused nothing took it from there
            self._ready = [entry for entry in self._ready if entry[1] != self._order[name]]
            heapq.heapify(self._ready)
        if status not in DONE_WELL and not step.allow_failure and self.mode is Mode.FORWARD:
            self.mode = Mode.STOPPING
            self.outcome = RunStatus.FAILED
            self.reason = f"step {name}: {error or status.replace('_', ' ')}"
            self._failed = name
            self._stop_active(Stop.DRAIN, out)
        self._release(name)
        self._go_on(out)

    def _release(self, name: str) -> None:
        for dependent in self._dependents.get(name, ()):
            if dependent in self._unmet:
                self._unmet[dependent] -= 1
                if not self._unmet[dependent]:
                    self._make_ready(dependent)

    def _go_on(self, out: list[Action]) -> None:
        """Whatever can happen now happens: steps start, the run changes its mode, the run ends."""
        while not self.paused:
            if self.mode is Mode.FORWARD or self.mode is Mode.CLEANUP:
                while self._woken and self._slots < self._limit:  # first: they were begun before
                    name = self._woken.pop(0)
                    self._active[name] = True
                    self._slots += 1
                    out.append(StartStep(name))
                while self._ready and (self._slots < self._limit or not self._ready[0][0]):
                    slot, i = heapq.heappop(self._ready)
                    self._start(self._names[i], slot, out)
                if self._active or self._ready or self._ends:
                    return
                if self.mode is Mode.CLEANUP or not self._skip_failure_steps():
                    self._finish(out)
                    return
            elif self.mode is Mode.STOPPING:
                if self._active or self._ends or self._undoing is not None:
                    return
                if self.outcome is RunStatus.TERMINATED or not self._ended:  # nothing was done: nothing to tidy up
                    self._finish(out)
                    return
                self._prepare_compensation()
            elif self.mode is Mode.COMPENSATING:
                if self._undoing is not None:
                    return
                if self._undo:
                    self._undoing = self._undo.pop()
                    out.append(Compensate(self._undoing))
                    return
                self._prepare_cleanup()
            else:
                return

    def _start(self, name: str, slot: bool, out: list[Action]) -> None:
        fan = self._fans.get(name)
        if fan is not None:
            self._start_item(name, fan, slot, out)
            return
        if not self._due(self._steps[name]):
            self._release(name)
            return
        self._active[name] = slot
        self._slots += slot
        out.append(StartStep(name))

    def _due(self, step: Step) -> bool:
        """Whether a step that is ready in this mode runs, or is passed over. A canceled run has not failed."""
        if self.mode is Mode.FORWARD:
            return True
        return step.when is When.ALWAYS or (step.when is When.FAILURE and self.outcome is not RunStatus.CANCELED)

    def _skip_failure_steps(self) -> bool:
        """All went well: `failure` steps have nothing to do, and `always` steps that wait for them go on."""
        names = [n for n in self._names if n not in self._ended and self._steps[n].when is When.FAILURE]
        self._ended.update((name, StepStatus.SKIPPED) for name in names)
        for name in names:
            self._release(name)
        return bool(names)

    def _finish(self, out: list[Action]) -> None:
        self.mode = Mode.ENDED
        out.append(self.end())

    def _step(self, key: str) -> Step:
        """The step that a key is of."""
        return self._steps[step_name(key)]

    # -- items -----------------------------------------------------------------------------------------------------

    def _fan_out(self, name: str, count: int, out: list[Action]) -> None:
        """The items are known: each is a unit of its own from here on. Those that an earlier try has done are kept."""
        foreach = self._steps[name].foreach
        if foreach is None:
            return
        self._active.pop(name, None)
        fan = FanOut(foreach, count, [i for i in range(count) if item_key(name, i) not in self._ended])
        self._fans[name] = fan
        if fan.over:
            self._end_fan(name, fan, out)
        else:
            self._make_ready(name)
        self._go_on(out)

    def _start_item(self, name: str, fan: FanOut, slot: bool, out: list[Action]) -> None:
        fan.queued = False
        if not fan.may_start:
            return
        key = item_key(name, fan.start())
        self._active[key] = slot
        self._slots += slot
        out.append(StartStep(key))
        if fan.may_start:
            self._make_ready(name)

    def _item_ended(self, name: str, index: int, status: StepStatus, out: list[Action]) -> None:
        fan = self._fans[name]
        was_closed = fan.closed
        fan.end(index, status)
        if fan.closed and not was_closed and self.mode is not Mode.STOPPING:
            # They were to start, and may stand in a queue.
            out.extend(StopStep(key, Stop.UNBEGUN) for key in self._active if step_name(key) == name)
        if fan.over:
            self._end_fan(name, fan, out)
        elif fan.may_start and not fan.queued and self.mode is not Mode.STOPPING:
            self._make_ready(name)
        self._go_on(out)

    def _end_fan(self, name: str, fan: FanOut, out: list[Action]) -> None:
        if name not in self._ends:
            status, error = fan.result(self.outcome)
            self._ends[name] = end = EndStep(name, status, {}, error)
            out.append(end)

    def _close_fans(self, out: list[Action]) -> None:
        """The run stops, and no further item starts. A step that always runs is an exception: the rest of its items
        starts at the end of the run. A run that is terminated has no such end, so there the exception does not hold."""
        for name, fan in self._fans.items():
            if self._steps[name].when is not When.ALWAYS or self.outcome is RunStatus.TERMINATED:
                fan.close()
                if fan.over:
                    self._end_fan(name, fan, out)

    # -- waits -----------------------------------------------------------------------------------------------------

    def _wait(self, name: str, out: list[Action]) -> None:
        signal = self._step(name).signal
        if signal is None:
            return
        early = self._early.get(signal)
        if early:
            self._end_wait(name, StepStatus.SUCCEEDED, _payload(early.pop(0)), None, out)
        else:
            self._waits.setdefault(signal, []).append(name)

    def _suspend(self, name: str, wait: Wait, out: list[Action]) -> None:
        """The step's attempt has ended, to go on when something comes. Meanwhile it occupies nothing."""
        signal = wait["name"] if wait["kind"] == WaitKind.SIGNAL else ""
        self._suspended[name] = signal, wait.get("limit", "")
        if self._active.get(name):
            self._active[name] = False
            self._slots -= 1
        if signal:
            early = self._early.get(signal)
            if early and self._may_end(name):
                self._end_suspension(name, signal, early.pop(0), out)
            else:
                self._waits.setdefault(signal, []).append(name)
        self._go_on(out)

    def _end_suspension(self, name: str, signal: str, payload: Any, out: list[Action]) -> None:
        self._ends[name] = end = EndWait(name, signal, payload)
        out.append(end)

    def _wake(self, name: str, out: list[Action]) -> None:
        """What a suspended step waited for has come, or has not come in time: it goes on, and can tell."""
        self._forget_wait(name)
        self._woken.append(name)
        self._go_on(out)

    def _forget_wait(self, name: str, signal: str | None = None) -> None:
        self._ends.pop(name, None)
        signal = self._suspended.pop(name, ("", ""))[0] or signal
        if signal and name in self._waits.get(signal, ()):
            self._waits[signal].remove(name)

    def _signal(self, signal: str, payload: Any, out: list[Action]) -> None:
        """One signal ends one wait: that of the step that has waited longest. Without one it is kept."""
        for name in self._waits.get(signal, ()):
            if self._may_end(name):
                if name in self._suspended:
                    self._end_suspension(name, signal, payload, out)
                else:
                    self._end_wait(name, StepStatus.SUCCEEDED, _payload(payload), None, out)
                return
        self._early.setdefault(signal, []).append(payload)

    def _answer(self, event: Event, out: list[Action]) -> None:
        answer = carried(EventType.APPROVAL_ANSWERED, event)
        by, comment = answer.get("by"), answer.get("comment")
        if answer["approved"]:
            outputs = {key: value for key, value in (("by", by), ("comment", comment)) if value}
            self._end_wait(event.step, StepStatus.SUCCEEDED, outputs, None, out)
        else:
            error = "rejected" + (f" by {by}" if by else "") + (f": {comment}" if comment else "")
            self._end_wait(event.step, StepStatus.FAILED, {}, error, out)

    def _timer(self, name: str, out: list[Action]) -> None:
        step = self._step(name)
        kind = kinds.of(step)
        if kind.way is kinds.Way.CHILD:
            return  # its child run is asked to end, and that end is the step's
        if name in self._suspended:
            limit = self._suspended[name][1]
            if limit:
                self._end_wait(name, StepStatus.TIMED_OUT, {}, f"{limit} has passed", out)
            else:
                self._wake(name, out)
        elif kind.way is kinds.Way.TIMER or step.on_timeout is OnTimeout.CONTINUE:
            self._end_wait(name, StepStatus.SUCCEEDED, {}, None, out)
        else:
            what = kind.message(step) if kind.message is not None else "what it waits for"
            self._end_wait(name, StepStatus.TIMED_OUT, {}, f"{what} did not come in time", out)

    def _end_wait(
        self, name: str, status: StepStatus, outputs: Mapping[str, Any], error: str | None, out: list[Action]
    ) -> None:
        if self._may_end(name):
            self._ends[name] = end = EndStep(name, status, outputs, error)
            out.append(end)

    def _may_end(self, name: str) -> bool:
        """The first word counts: an answer and a timer, or a cancel and a signal, may come in one breath."""
        return name in self._active and name not in self._ends and self.mode is not Mode.STOPPING

    # -- when it does not succeed ----------------------------------------------------------------------------------

    def _leave(self, outcome: RunStatus, reason: str, how: Stop, out: list[Action]) -> None:
        self.paused = False
        # Compensation and cleanup are shielded: once they have begun, a cancel or a deadline stops nothing of them.
        if self.mode in (Mode.NEW, Mode.FORWARD, Mode.STOPPING) and self.outcome is not RunStatus.TERMINATED:
            if self.outcome is None:
                self.outcome, self.reason = outcome, reason
            self.mode = Mode.STOPPING
            self._stop_active(how, out)
        self._go_on(out)

    def _terminate(self, reason: str, out: list[Action]) -> None:
        if self.mode is Mode.ENDED:
            return
        self.outcome, self.reason = RunStatus.TERMINATED, reason
        self.mode = Mode.STOPPING
        self.paused = False
        self._stop_active(Stop.KILL, out)
        self._go_on(out)

    def _stop_active(self, how: Stop, out: list[Action]) -> None:
        """What is under way is asked to end. Of several requests the first one's word counts, and a kill comes before
        all. A drain is no request: after it any other word counts."""
        if self._stop in (None, Stop.DRAIN) or how is Stop.KILL:
            self._stop = how
        under_way = [*self._active, *([] if self._undoing is None else [self._undoing])]
        out.extend(StopStep(key, self.stop_of(key) or how) for key in under_way)
        self._close_fans(out)

    def _prepare_compensation(self) -> None:
        """`pop` takes the newest start first."""
        self.mode = Mode.COMPENSATING
        self._undo = self._undoable()

    def _undoable(self) -> list[str]:
        """What has an undo and was started, oldest start first, however it ended: steps, and items of steps. Not what
        its own condition skipped, nor what an earlier try has undone."""
        return [
            key
            for key in self._started
            if self._step(key).compensate is not None
            and self._ended.get(key) not in (StepStatus.SKIPPED, StepStatus.COMPENSATED)
        ]

    def _prepare_cleanup(self) -> None:
        self.mode = Mode.CLEANUP
        # They were passed over when all seemed to go well; then a step behind them failed.
        for name in self._names:
            if self._steps[name].when is When.FAILURE:
                self._ended.pop(name, None)
        self._plan()

    # -- saved and restored ----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything a Decider knows beside the job, as JSON values."""
        return {
            "version": VERSION,
            "mode": self.mode,
            "paused": self.paused,
            "outcome": self.outcome,
            "reason": self.reason,
            "failed": self._failed,
            "stop": self._stop,
            "ended": dict(self._ended),
            "started": list(self._started),
            "active": dict(self._active),
            "fans": {name: fan.snapshot() for name, fan in self._fans.items()},
            "ready": sorted(i for _, i in self._ready),
            "unmet": dict(self._unmet),
            "undo": list(self._undo),
            "undoing": self._undoing,
            "waits": {signal: list(names) for signal, names in self._waits.items()},
            "early": {signal: list(payloads) for signal, payloads in self._early.items()},
            "ends": [list(end) for end in self._ends.values()],
            "suspended": {name: list(wait) for name, wait in self._suspended.items()},
            "woken": list(self._woken),
        }

    @classmethod
    def restore(cls, job: Job, saved: Mapping[str, Any]) -> Decider:
        """The Decider that `snapshot` was taken of. ValueError for a snapshot of another version."""
        if saved["version"] != VERSION:
            raise ValueError(f"a snapshot of version {saved['version']}, this is {VERSION}")
        self = cls(job)
        self.mode = Mode(saved["mode"])
        self.paused = saved["paused"]
        self.outcome = RunStatus(saved["outcome"]) if saved["outcome"] else None
        self.reason = saved["reason"]
        self._failed = saved["failed"]
        self._stop = Stop(saved["stop"]) if saved["stop"] else None
        self._ended = {name: StepStatus(status) for name, status in saved["ended"].items()}
        self._started = dict.fromkeys(saved["started"])
        self._active = dict(saved["active"])
        self._slots = sum(self._active.values())
        for name, fan in saved["fans"].items():
            foreach = self._steps[name].foreach
            if foreach is not None:
                self._fans[name] = FanOut.restore(foreach, fan)
        for i in saved["ready"]:
            self._make_ready(self._names[i])
        self._unmet = dict(saved["unmet"])
        self._undo = list(saved["undo"])
        self._undoing = saved["undoing"]
        self._waits = {signal: list(names) for signal, names in saved["waits"].items()}
        self._early = {signal: list(payloads) for signal, payloads in saved["early"].items()}
        for end in saved["ends"]:
            name, status, *rest = end
            self._ends[name] = EndStep(name, StepStatus(status), *rest) if len(rest) == 2 else EndWait(*end)
        self._suspended = {name: (signal, limit) for name, (signal, limit) in saved["suspended"].items()}
        self._woken = list(saved["woken"])
        return self


def dependents(job: Job) -> dict[str, list[str]]:
    """Step -> the steps that need it, in the job's order. One that nothing needs has no entry."""
    found: dict[str, list[str]] = {}
    for step in job.steps:
        for need in step.needs:
            found.setdefault(need, []).append(step.name)
    return found


def _payload(payload: Any) -> Mapping[str, Any]:
    """A signal's payload as outputs: an object gives its keys, anything else is the output `value`."""
    if payload is None:
        return {}
    return payload if isinstance(payload, Mapping) else {"value": payload}
