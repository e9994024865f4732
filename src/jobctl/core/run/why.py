"""Why a run is where it is: what it waits for and what would move it on, in sentences, with the fields behind them.

The words for `jobctl why` and `jobctl status`, and no rule: the Decider (decide.py) is asked what happens next, and
attempts.py which deadline passes first. The rest is what the run's state shows, and what the caller has seen outside.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from jobctl.core.durations import about, format
from jobctl.core.keys import UNDO, is_undo, item_index, step_name, undone_key
from jobctl.core.record import NamedTuple
from jobctl.core.run.attempts import first_deadline
from jobctl.core.run.history import AttemptState, Event, EventType, RunState, StepState
from jobctl.core.run.payloads import carried
from jobctl.core.status import NOT_DONE, OVER, RunStatus, StepStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if TYPE_CHECKING:  # a run that is over is told of without the definition's dataclasses
    from jobctl.core.model import Job, Poll, Step, Timeouts
    from jobctl.core.run.decide import Decider

_NAMES_SHOWN = 5
_ON_TIME_MS = 5_000  # what is due is done within this time, where somebody is there to do it


class Signs(NamedTuple):
    """What an attempt that runs shows of itself. Instants."""

    heartbeat_at: int | None = None
    probe_at: int | None = None  # of a poll: since when it is being asked; None between two times
    asked: int = 0  # of a poll: how often it has said "not yet"
    next_at: int | None = None  # of a poll: when it is asked again
    keeper: str = ""  # stopped: it stands still; held: killed in another PID namespace, and something may live there
    keeper_pid: int = 0  # of one that is stopped
    log: str = ""  # what may live has it open


class Outside(NamedTuple):
    """What a run's history does not say."""

    run: str  # its name, as in commands
    job: str
    holder: str | None = None  # the kind of the living executor that has it
    daemon: bool = False  # one lives on this store
    wake_at: int | None = None  # it is asleep until then
    untaken: bool = False  # no executor has had it since somebody asked it to go on, or to end
    waits_for: str = ""  # of a queued run: overlap | queue | executor
    queue: str | None = None
    changed: bool = False  # the file has another definition of its job by now
    before: Sequence[str] = ()  # overlap: the runs that go first; queue: those that have its places
    ahead: int = 0  # queue: how many others wait for a place before it
    places: Mapping[str, int] = {}  # queue -> attempts that occupy places of it
    signs: Mapping[str, Signs] = {}  # by step, or STEP!undo


class Reason(NamedTuple):
    """One thing that a run waits for, or is at.

    `kind`: attempt | retry | poll | sleep | signal | approval | child | items | queue | slots | overlap | executor |
    pause | stopping | canceling | terminating | timeout | next | deadline | ended | copy (of a run in a folder that is
    one). `commands` are what a person can do about it, `fields` what the sentence was made of.
    """

    kind: str
    text: str
    step: str = ""
    until: int | None = None
    commands: tuple[str, ...] = ()
    fields: Mapping[str, Any] = {}


def explain(job: Job, state: RunState, decider: Decider, seen: Outside, now: int) -> list[Reason]:
    """Why the run is where it is, what matters most first; never empty. `decider`: the run's own, or one out of its
    history, which knows the same."""
    return list(_Case(job, state, decider, seen, now).reasons())


def is_gone(held: bool, wake_at: int | None, has_daemon: Callable[[], bool], now: int) -> bool:
    """Whether nobody goes on with a run that should be going on: no executor has it, and it is not asleep - or is to be
    woken by now, and no daemon is there for that."""
    return not held and (wake_at is None or (wake_at <= now and not has_daemon()))


def in_short(reasons: Sequence[Reason]) -> str:
    """What a run is at, in one line: the steps that run, else what it waits for before anything else."""
    running = [r for r in reasons if r.kind in ("attempt", "poll")]
    if not running or not reasons[0].step:
        return reasons[0].text
    again = [f" (attempt {r.fields['attempt']})" if r.fields["attempt"] > 1 else "" for r in running]
    return ", ".join(f"{_subject(r.step)}{more}" for r, more in zip(running, again, strict=True))


class _Case:
    def __init__(self, job: Job, state: RunState, decider: Decider, seen: Outside, now: int) -> None:
        self.job = job
        self.state = state
        self.decider = decider
        self.seen = seen
        self.now = now
        self.steps: dict[str, Step] = {step.name: step for step in job.steps}

    def reasons(self) -> Iterator[Reason]:
        state, seen = self.state, self.seen
        if state.status is not None and state.status.final:
            yield self._ended()
            return
        if state.status is RunStatus.QUEUED:
            yield self._queued()
            return
        if state.status is RunStatus.PAUSED:
            yield self._paused()
        elif is_gone(seen.holder is not None, seen.wake_at, lambda: seen.daemon, self.now):
            yield self._gone()
        if (failed := self._failed()) is not None:
            yield self._stopping(failed)
        elif state.ending is not None:
            yield self._stopped_by(state.ending)
        at_work = [*self._undoing(), *self._at_work()]
        yield from at_work
        if not at_work and state.status is RunStatus.RUNNING and seen.holder is not None:
            yield self._next()
        if (deadline := self._deadline()) is not None:
            yield deadline

    # -- the run ---------------------------------------------------------------------------------------------------

    def _ended(self) -> Reason:
        state, run = self.state, self.seen.run
        assert state.status is not None
        when = _ago(self.now - state.finished_at) if state.finished_at is not None else ""
        if state.status is RunStatus.SUCCEEDED:
            first = next(iter(self.steps))
            text = f"it succeeded {when}: nothing is left to do"
            again = (f"jobctl resume {run} --from {first}", f"jobctl run {self.seen.job}")
            ways = f"do it again from a step on: {again[0]}, or start a new run: {again[1]}"
            return Reason("ended", f"{text}; {ways}", commands=again, fields={"status": str(state.status)})
        text = f"it {_ENDS[state.status]} {when}" + self._because()
        not_undone = [name for name, undo in state.undo.items() if undo.status in NOT_DONE]
        if not_undone:
            text += f"; NOT COMPENSATED: {_names(not_undone)}"
        commands: tuple[str, ...]
        if state.undone:
            keys = [key for key, undo in state.undo.items() if undo.attempts]
            undone = [name for name in self.steps if name in map(step_name, keys)]
            commands = (f"jobctl resume {run} --from {undone[0]}", f"jobctl run {self.seen.job}")
            text += f"; {rolled_back(state)}: {commands[0]}, or a new run: {commands[1]}"
        else:
            parent = None if state.parent is None or state.alone else state.parent["run"]
            commands = (f"jobctl resume {parent or run}",)
            text += f"; it was started by {parent}, which goes on with it" if parent else "; go on where it stopped"
            text += f": {commands[0]}"
        if self.seen.changed and not state.undone and (state.parent is None or state.alone):
            commands = (*commands, f"jobctl resume {run} --updated")
            text += (
                f"; its definition has changed since, and this run keeps its own - to take the new one: {commands[-1]}"
            )
        by = _by(state.ending) if self._failed() is None else None
        fields = {"status": str(state.status), "reason": state.reason, "by": by}
        return Reason("ended", text, commands=commands, fields=fields)

    def _because(self) -> str:
        """What an end came from: the step and why nothing followed, or who asked."""
        state = self.state
        text = f": {state.reason}" if state.reason and state.reason != state.status else ""
        failed = self._failed()
        if failed is None and state.ending is not None:
            by = _by(state.ending)
            return text + (f" (asked by {by})" if by else "")
        why = failed.attempts[-1].data.get("why") if failed is not None and failed.attempts else None
        return text + (f" ({why})" if why else "")

    def _queued(self) -> Reason:
        seen, run = self.seen, self.seen.run
        commands: tuple[str, ...] = ()
        by = self.state.start_by
        fields: dict[str, Any] = {"since": self.state.created_at, "before": list(seen.before), "ahead": seen.ahead}
        fields["start_by"] = by
        if not seen.daemon:
            commands = ("jobctl daemon", f"jobctl resume {run}")
        if by is not None and by <= self.now:
            text = f"nobody took it in time: until {_ago(self.now - by)} it could begin (start_within); it is canceled"
            text += " as soon as a daemon looks" + ("" if seen.daemon else ", and none runs here: jobctl daemon")
            text += "" if seen.daemon else f"; to do it all the same: jobctl resume {run}"
            return Reason("executor", text, until=by, commands=commands, fields=fields)
        start = "" if by is None else f"; it is canceled unless it begins within {about(by - self.now)} (start_within)"
        if not seen.daemon:
            start += f"; no daemon runs here to begin it: jobctl daemon, or here and now: jobctl resume {run}"
        if seen.waits_for == "overlap":
            says = (
                "as its backfill was asked for"
                if self.state.trigger == "backfill"
                else "as the overlap policy of its job says"
            )
            text = f"it waits for {_names(seen.before)} to end, {says}"
            return Reason("overlap", text + start, until=by, commands=commands, fields=fields)
        if seen.waits_for == "executor":
            text = "it waits for a process to begin it"
            return Reason("executor", text + start, until=by, commands=commands, fields=fields)
        what = f"a place in the queue {seen.queue}" if seen.queue else "a place among the daemon's runs"
        text = f"it waits for {what}" + (f", taken by {_names(seen.before)}" if seen.before else "")
        if seen.ahead:
            text += f"; {_count(seen.ahead, 'run')} before it {'waits' if seen.ahead == 1 else 'wait'} too"
        return Reason("queue", text + start, until=by, commands=commands, fields={**fields, "queue": seen.queue})

    def _paused(self) -> Reason:
        pause, resume = self.state.pause, f"jobctl resume {self.seen.run}"
        text, fields = "it is paused", {}
        if pause is not None:
            by = _by(pause)
            text = f"it was paused {_ago(self.now - pause.at)}" + (f" by {by}" if by else "")
            reason = carried(EventType.RUN_PAUSED, pause).get("reason")
            text += f" ({reason})" if reason else ""
            fields = {"by": by, "reason": reason, "since": pause.at}
        if self.seen.holder is None and self.seen.wake_at is None and self.state.started_at is not None:
            text += ", and the process that ran it is gone"
        return Reason("pause", f"{text}; no attempt starts until: {resume}", commands=(resume,), fields=fields)

    def _gone(self) -> Reason:
        resume = f"jobctl resume {self.seen.run}"
        if self.seen.wake_at is not None:
            text = f"it was asleep and is due: no daemon runs here to wake it: jobctl daemon, or here: {resume}"
            return Reason("executor", text, commands=("jobctl daemon", resume))
        text = "it was interrupted: the process that ran it is gone"
        if self.seen.untaken:
            text = "no process has taken it up yet"
        if self.seen.daemon:
            return Reason("executor", f"{text}; the daemon takes it up within some seconds")
        text += f"; take it up here: {resume}, or have a daemon do it: jobctl daemon"
        return Reason("executor", text, commands=(resume, "jobctl daemon"))

    def _stopped_by(self, ending: Event) -> Reason:
        kind, what = _ENDINGS[ending.type]
        by, reason = _by(ending), carried(EventType.CANCEL_REQUESTED, ending).get("reason")
        text = f"{what} {_ago(self.now - ending.at)}" + (f" by {by}" if by else "") + (f" ({reason})" if reason else "")
        asked = [key for key in self._running() if self.decider.asked_to_end(key)]
        until = None
        if kind == "terminating":
            pass  # what runs is killed, and nothing is undone
        elif asked:
            until = ending.at + self.job.kill_grace
            left = until - self.now
            grace = f"killed in {about(left)}" if left > 0 else "about to be killed"
            was, is_ = ("was", "is") if len(asked) == 1 else ("were", "are")
            text += f"; {_steps(asked)} {was} asked to end and {is_} {grace}"
        elif not self.state.undone and (due := self.decider.to_undo()):
            text += f"; compensating {_names(due)}"
        fields = {"by": by, "reason": reason, "since": ending.at}
        hard = f"jobctl terminate {self.seen.run}"
        return Reason(kind, text, until=until, commands=() if kind == "terminating" else (hard,), fields=fields)

    def _failed(self) -> StepState | None:
        """The step whose failure the run ends by."""
        return None if self.decider.failed is None else self.state.step(self.decider.failed)

    def _stopping(self, failed: StepState) -> Reason:
        """A step failed for good: what is left is the run's end."""
        text = f"step {failed.name} failed for good" + (f" ({failed.error})" if failed.error else "")
        if not self.state.undone:
            running = self._running()
            if running:
                text += f"; nothing new starts, {_steps(running)} may end"
            if due := self.decider.to_undo():
                text += f"; then {_names(due)} {'is' if len(due) == 1 else 'are'} compensated"
        hard = f"jobctl terminate {self.seen.run}"
        if (ending := self.state.ending) is not None:
            what = "its timeout passed" if ending.type is EventType.RUN_TIMED_OUT else "a cancel was asked for"
            text += f"; {what} {_ago(self.now - ending.at)}, and the end is carried out all the same, but for: {hard}"
        fields = {"error": failed.error, "failed_step": failed.name}
        return Reason("stopping", text, commands=(hard,), fields=fields)

    def _running(self) -> list[str]:
        """What runs now: of a step with items, those."""
        steps = self.state.steps.values()
        return [step.name for step in steps if step.status is StepStatus.RUNNING and step.items is None]

    def _nobody(self) -> bool:
        """Whether nobody is there to do what is due."""
        return self.seen.holder is None and not self.seen.daemon

    def _when(self, coming: str, ms: int, past: str) -> str:
        """`passes in 5 min`, `passes now`; of what is overdue by the clock, no "now": it was set, the machine slept, or
        nobody is there to see to it."""
        if ms >= -_ON_TIME_MS and not (ms < 0 and self._nobody()):
            return coming if coming == "is over" else f"{coming} {_in(ms)}"
        return f"{past} {_ago(-ms)}" + (", and nobody is here to see to it" if self._nobody() else " by the clock")

    def _next(self) -> Reason:
        """Something is about to happen: this was read between an event and what follows from it."""
        return Reason("next", "it is about to go on: look again")

    def _deadline(self) -> Reason | None:
        timeout, start = self.job.timeout, self.state.try_started_at
        if timeout is None or start is None or not self.decider.may_time_out:
            return None
        at = start + timeout
        text = "the run's deadline " + self._when("is", at - self.now, "passed")
        return Reason("deadline", text, until=at)

    # -- its steps -------------------------------------------------------------------------------------------------

    def _undoing(self) -> Iterator[Reason]:
        for name, undo in self.state.undo.items():
            step = self.steps.get(step_name(name))
            compensate = step.compensate if step is not None else None
            if compensate is None:
                continue  # of a definition that the run had before
            most = compensate.retry.maximum_attempts
            if undo.status is StepStatus.RUNNING:
                yield self._attempt(name + UNDO, undo, compensate.timeouts, most)
            elif undo.status is StepStatus.WAITING:
                yield self._retry(name + UNDO, undo, None, most)

    def _at_work(self) -> Iterator[Reason]:
        """Steps that run or wait, in the job's order; and those that could, except for a place."""
        about_to_end = {end.step for end in self.decider.ends()}
        for name, step in self.steps.items():
            state = self.state.steps.get(name)
            if state is None or state.status is StepStatus.PENDING or state.status in OVER:
                continue
            if name in about_to_end or _has_come(state):
                continue  # its end follows
            if state.items is not None and state.status is StepStatus.RUNNING:
                yield self._items(name, step, state)
            elif not (self.decider.held(name) and self.state.status is RunStatus.RUNNING):
                yield self._step(name, step, state)
        if self.state.status is RunStatus.RUNNING:
            yield from self._held_back()

    def _held_back(self) -> Iterator[Reason]:
        """What would start, or go on: for want of a parallel slot, or of a place in its queue."""
        limit, at_work = self.decider.limit, self.decider.at_work()
        for key in self.decider.wants_slot():
            fan = self.decider.fan_out(key)
            if item_index(key) is not None or (fan is not None and fan.active):
                continue  # its step tells of all its items
            can = "go on" if self.decider.held(key) else "start"
            text = f"step {key}: it could {can}, but max_parallel_steps = {limit} {'is' if limit == 1 else 'are'}"
            text += f" at work ({_names(at_work)})"
            yield Reason("slots", text, key, fields={"limit": limit, "at_work": at_work})
        for key in self.decider.active():
            state = self.state.steps.get(key)
            queue = self.steps[step_name(key)].queue
            if queue is not None and item_index(key) is None and (state is None or state.status is StepStatus.PENDING):
                yield self._place(key, queue, 1)

    def _step(self, name: str, step: Step, state: StepState) -> Reason:
        most = step.retry.maximum_attempts
        if state.status is StepStatus.RUNNING:
            if step.poll is not None:
                return self._poll(name, step, step.poll, state)
            return self._attempt(name, state, step.timeouts, most)
        if state.waiting is not None:
            return self._wait(name, step, state.waiting)
        if state.child is not None:
            return self._another_child(name, state, most)
        return self._retry(name, state, step, most)

    def _attempt(self, key: str, state: StepState, timeouts: Timeouts, most: int) -> Reason:
        attempt = state.attempts[-1]
        signs = self.seen.signs.get(key, Signs())
        text = f"{_which(attempt, state, most)} has run for {about(self.now - attempt.started_at)}"
        if signs.heartbeat_at is not None:
            text += f"; last heartbeat {_ago(self.now - signs.heartbeat_at)}"
        elif timeouts.heartbeat is not None:
            text += "; no heartbeat yet"
        began = state.started_at or attempt.started_at
        alive_at = max(attempt.started_at, signs.heartbeat_at or 0)
        first = first_deadline(
            timeouts,
            attempt_started_at=attempt.started_at,
            step_started_at=began,
            last_heartbeat_at=alive_at,
        )
        if first is not None:
            text += f"; its {first.kind} {self._when('passes', first.at - self.now, 'passed')}"
        fields = {
            "attempt": attempt.number,
            "attempts_left": _left(state, most),
            "since": attempt.started_at,
            "heartbeat_at": signs.heartbeat_at,
            "deadline": first.kind if first is not None else None,
            "keeper": signs.keeper or None,
        }
        trouble, way_out = _of_keeper(signs)
        commands = (*way_out, f"jobctl logs -f {self.seen.run}")
        return _about(key, "attempt", text + trouble, first.at if first is not None else None, commands, fields)

    def _poll(self, name: str, step: Step, poll: Poll, state: StepState) -> Reason:
        from jobctl.core.model import Timeouts

        attempt = state.attempts[-1]
        signs = self.seen.signs.get(name, Signs())
        asked = f"asked {_count(signs.asked, 'time')}, it does not hold yet" if signs.asked else ""
        text = asked + "; " if asked else ""
        if signs.probe_at is not None:
            text += f"it is asked now, for {about(self.now - signs.probe_at)}"
        elif self.seen.holder is None and asked:
            text = asked  # nobody is there to ask again
        elif signs.next_at is not None:
            text += self._when("asked again", signs.next_at - self.now, "to be asked again")
        else:
            text += f"asked about every {format(poll.interval)}"
        began = state.started_at or attempt.started_at
        first = first_deadline(
            Timeouts(schedule_to_close=step.timeouts.schedule_to_close),  # the others are each probe's
            attempt_started_at=attempt.started_at,
            step_started_at=began,
            last_heartbeat_at=attempt.started_at,
            poll_deadline=poll.deadline,
        )
        if first is not None:
            text += f"; {self._when('given up', first.at - self.now, 'to be given up')} ({first.kind})"
        fields = {
            "attempt": attempt.number,
            "asked": signs.asked,
            "next_at": signs.next_at,
            "since": began,
            "deadline": first.kind if first is not None else None,
            "keeper": signs.keeper or None,
        }
        trouble, way_out = _of_keeper(signs)
        return _about(name, "poll", text + trouble, first.at if first is not None else None, way_out, fields)

    def _retry(self, key: str, state: StepState, step: Step | None, most: int) -> Reason:
        last = state.attempts[-1]
        left = _left(state, most)
        failed = f"attempt {last.number} {last.status.replace('_', ' ')}" + (f" ({state.error})" if state.error else "")
        at = state.retry_at
        queue = step.queue if step is not None else None  # a compensation stands in none
        if at is not None and at <= self.now and queue is not None and self.state.status is RunStatus.RUNNING:
            return self._place(key, queue, last.number + 1, failed)
        text = f"{failed}; attempt {last.number + 1} "
        if at is not None:
            if at <= self.now and self.state.pause is not None:
                text += "follows when the run goes on"
            elif at <= self.now and self._nobody():
                text += "is due"
            else:
                text += self._when("starts", at - self.now, "was due")
        text += "; no limit of attempts" if left is None else f"; {_count(left, 'attempt')} left"
        limit = step.timeouts.schedule_to_close if step is not None else None
        if limit is not None and state.started_at is not None:
            text += f"; its schedule_to_close {self._when('passes', state.started_at + limit - self.now, 'passed')}"
        fields = {"attempt": last.number, "attempts_left": left, "error": state.error}
        return _about(key, "retry", text + self._asleep(), at, (), fields)

    def _another_child(self, name: str, state: StepState, most: int) -> Reason:
        at = state.retry_at if state.retry_at is not None else self.now
        text = f"{state.error}; another child run {self._when('starts', at - self.now, 'was due')}"
        left = max(0, most - state.children) if most else None
        text += "; no limit of child runs" if left is None else f"; {_count(left, 'child run')} left"
        return _about(name, "retry", text + self._asleep(), at, (), {"attempts_left": left, "error": state.error})

    def _place(self, key: str, queue: str, number: int, before: str = "") -> Reason:
        taken = self.seen.places.get(queue, 0)
        text = f"{before}; " if before else ""
        text += f"attempt {number} waits for a place in the queue {queue}"
        text += f": {_count(taken, 'attempt')} {'has' if taken == 1 else 'have'} one" if taken else ""
        return _about(key, "queue", text, None, (), {"attempt": number, "name": queue, "taken": taken})

    def _wait(self, name: str, step: Step, waiting: Mapping[str, Any]) -> Reason:
        """A sleep, a signal, a person, a child: also what a command that suspends itself has said that it waits for."""
        kind, until, run = waiting["kind"], waiting.get("until"), self.seen.run
        what = waiting.get("name")
        commands: tuple[str, ...] = ()
        if kind == "sleep":
            text = f"it sleeps for another {about(until - self.now)}" if until is not None else "it sleeps"
            if until is not None and until <= self.now:
                text = "its sleep " + self._when("is over", until - self.now, "was over")
            return _about(name, kind, text + self._asleep(), until, commands, {"name": what})
        if kind == "signal":
            commands = (f"jobctl signal {run} {shlex.quote(str(what))}",)
            text = f"it waits for the signal {what}: {commands[0]}"
        elif kind == "approval":
            asking = [s for s in self.state.steps.values() if s.waiting and s.waiting["kind"] == "approval"]
            which = f" {shlex.quote(name)}" if len(asking) > 1 else ""
            commands = (f"jobctl approve {run}{which}", f"jobctl reject {run}{which}")
            text = f"it waits for an answer to {what!r}: {commands[0]}, or {commands[1]}"
        else:
            commands = (f"jobctl why {what}",)
            text = f"it waits for the run {what} to end: {commands[0]}"
        if until is not None:
            otherwise = "it goes on without" if step.on_timeout == "continue" else "given up"
            text += f"; {self._when(otherwise, until - self.now, 'its time was over')}"
        return _about(name, kind, text + self._asleep(), until, commands, {"name": what})

    def _asleep(self) -> str:
        """What to know of a wait that nobody would end in time."""
        if self.seen.wake_at is None or self.seen.daemon or self.seen.wake_at <= self.now:
            return ""
        return f" (no daemon runs here to go on then: jobctl daemon, or here: jobctl resume {self.seen.run})"

    def _items(self, name: str, step: Step, own: StepState) -> Reason:
        """A step over many items, NAME[0], NAME[1] …: how many of them stand where."""
        items = [item for item in self.state.items_of(own) if item is not None]
        total = len(own.items or ())
        counts = {
            "done": sum(1 for s in items if s.status in OVER - NOT_DONE),
            "running": sum(1 for s in items if s.status is StepStatus.RUNNING),
            "waiting": sum(1 for s in items if s.status is StepStatus.WAITING),
            "failed": sum(1 for s in items if s.status in NOT_DONE),
        }
        rest = [f"{count} {word}" for word, count in counts.items() if count and word != "done"]
        text = f"{counts['done']} of {_count(total, 'item')} done" + "".join(f", {part}" for part in rest)
        next_at = min((s.retry_at for s in items if s.retry_at is not None), default=None)
        commands: tuple[str, ...] = ()
        if next_at is not None and not counts["running"]:
            text += f"; the next attempt {self._when('starts', next_at - self.now, 'was due')}"
        elif not counts["running"] and (waiting := next((s for s in items if s.waiting is not None), None)) is not None:
            first = self._wait(waiting.name, step, waiting.waiting or {})
            text, next_at, commands = f"{text}; {first.text}", first.until, first.commands
        return _about(name, "items", text, next_at, commands, {"total": total, **counts})


def rolled_back(state: RunState) -> str:
    """What its compensations have come to, in a run that is over and has begun them."""
    ends = [undo.status for undo in state.undo.values() if undo.status is not StepStatus.PENDING]
    if all(end is StepStatus.SUCCEEDED for end in ends):
        return "it was rolled back"
    part = any(end is StepStatus.SUCCEEDED for end in ends)
    return "only a part of it was rolled back" if part else "nothing of it was rolled back"


_ENDS = {
    RunStatus.FAILED: "failed",
    RunStatus.CANCELED: "was canceled",
    RunStatus.TIMED_OUT: "timed out",
    RunStatus.TERMINATED: "was terminated",
}
_ENDINGS = {
    EventType.CANCEL_REQUESTED: ("canceling", "it is being canceled, asked"),
    EventType.TERMINATE_REQUESTED: ("terminating", "it is being terminated, asked"),
    EventType.RUN_TIMED_OUT: ("timeout", "it timed out"),
}


def _about(
    key: str, kind: str, text: str, until: int | None, commands: tuple[str, ...], fields: Mapping[str, Any]
) -> Reason:
    return Reason(kind, f"{_subject(key)}: {text}", key, until, commands, fields)


def _has_come(state: StepState) -> bool:
    """Whether what a step waited for has come."""
    return state.status is StepStatus.WAITING and state.waiting is None and state.retry_at is None


def _of_keeper(signs: Signs) -> tuple[str, tuple[str, ...]]:
    """(what is the matter with the keeper of an attempt, to be put behind the rest; what helps)."""
    if signs.keeper == "stopped":
        way_out = f"kill -CONT {signs.keeper_pid}"
        return f"; its keeper is stopped, and how it fares is not known until that goes on: {way_out}", (way_out,)
    if signs.keeper == "held":
        way_out = f"fuser -v {shlex.quote(signs.log)}"
        text = (
            "; its keeper was killed in another container or PID namespace, where something of it may live: nothing"
            f" begins in its place before that is ended there. Who it is: {way_out}"
        )
        return text, (way_out,)
    return "", ()


def _subject(key: str) -> str:
    return f"compensation of step {undone_key(key)}" if is_undo(key) else f"step {key}"


def _which(attempt: AttemptState, state: StepState, most: int) -> str:
    """`attempt 2 of 3`; no `of` where there is no limit, or where a resumed run counts from further on."""
    return f"attempt {attempt.number}" + (f" of {most}" if most > 1 and not state.earlier else "")


def _left(state: StepState, most: int) -> int | None:
    """How many attempts follow at most; None = without limit."""
    return max(0, most - state.attempts_in_try) if most else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _steps(names: Sequence[str]) -> str:
    return ("step " if len(names) == 1 else "steps ") + _names(names)


def _by(event: Event | None) -> str | None:
    return carried(EventType.CANCEL_REQUESTED, event).get("by") if event is not None else None


def _ago(ms: int) -> str:
    return "just now" if ms < 1_000 else f"{about(ms)} ago"


def _in(ms: int) -> str:
    return "now" if ms < 1_000 else f"in {about(ms)}"
