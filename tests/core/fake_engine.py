"""An engine that carries out nothing: attempts end as is drawn from their names, time passes when nothing else does.

It answers what a run wants at once, or a turn late and in any order; it does what follows from events at once, or a
turn late and in any order. It may also forget its rules after each turn and go on with what was saved of them.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobctl.core import kinds
from jobctl.core.keys import is_undo
from jobctl.core.model import Job
from jobctl.core.run import children, notices
from jobctl.core.run.attempts import Outcome
from jobctl.core.run.decide import Stop
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.turn import Answer, Ask, Child, Effects, Fact, Later, Moment, Rules, Start, Want, Wanted

START = 1_800_000_000_000
LATE_MS = 1  # what is answered late comes so much later
_LONGEST = 1_000_000_000  # of an attempt: so long that no two end together by chance
_TIMES = {"retry_at", "until", "clock", "fire_time", "created_at", "finished_at"}
_BY_STOP = {Stop.TIMEOUT: ("timed_out", "run")}

Script = Mapping[str, tuple[Outcome, int]]  # how the attempt `KEY.NUMBER` ends, and after how long


class Run:
    """A run, and what the engine knows of it."""

    def __init__(self, rules: Rules, parent: tuple[Run, str] | None = None) -> None:
        self.rules = rules
        self.parent = parent
        self.history: list[Event] = []
        self.facts: list[Fact] = []
        self.asked: set[tuple[Wanted, str]] = set()  # and not answered yet
        self.ends: dict[str, int] = {}  # attempts that run: which end of them counts
        self.root: Run = parent[0].root if parent is not None else self

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def over(self) -> bool:
        status = self.rules.state.status
        return status is not None and status.final


class Engine:
    """`late` draws the order of what comes a turn late; `restarts`: rules are saved and restored after each turn."""

    def __init__(
        self,
        *,
        late: random.Random | None = None,
        restarts: bool = False,
        script: Script | None = None,
        chance: str = "",
        limits: Mapping[str, int] | None = None,
        temper: float = 0.2,
    ) -> None:
        self.now = START
        self.runs: dict[str, Run] = {}
        # Runs have waited for what others had, or ended with them: who is first depends on who is late.
        self.contended = False
        self._late = late
        self._restarts = restarts
        self._script = script or {}
        self._chance = chance
        self._limits = dict(limits or {})
        self._temper = temper
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._due: list[Run] = []  # with facts
        self._instants: set[int] = set()
        self._has: dict[tuple[str, Run], dict[tuple[Run, str], None]] = {}  # places of a queue, leaves of a family
        self._lines: dict[tuple[str, Run], dict[tuple[Run, str], None]] = {}  # who waits for one
        self._begun: dict[tuple[str, str], Run] = {}  # child runs that are granted: by parent and key

    # -- what happens ----------------------------------------------------------------------------------------------

    def start(self, name: str, job: Job, parent: tuple[Run, str] | None = None, about: Any = None) -> Run:
        run = self.runs[name] = Run(Rules(name, job), parent)
        data = {"parent": {"run": parent[0].name, "step": parent[1]}} if parent is not None else {}
        data |= {"about": about} if about is not None else {}
        run.rules.in_family = parent is not None or bool(job.children)
        self.record(run, Event(EventType.RUN_CREATED, self.now, data=data))
        self.record(run, Event(EventType.RUN_TAKEN, self.now, data={"executor": "fake"}))
        return run

    def record(self, run: Run, fact: Fact | None) -> None:
        if fact is not None and not run.over:
            run.facts.append(fact)
            self._awake(run)

    def at(self, instant: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(instant, self.now), self._count, act))

    def live(self, until: int = START + 400 * 86_400_000) -> None:
        """All that happens by then."""
        for _ in range(30_000):
            while self._due:
                self._turn(self._due.pop(0))
            if not self._heap or self._heap[0][0] > until:
                return
            self.now, _, act = heapq.heappop(self._heap)
            act()
        raise AssertionError("it does not come to rest")

    def _awake(self, run: Run) -> None:
        if run not in self._due:
            self._due.append(run)

    def _alone(self, instant: int) -> None:
        """Something of one run and not of another is to happen then."""
        self.contended = self.contended or instant in self._instants
        self._instants.add(instant)

    def _moment(self) -> Moment:
        return Moment(self.now, self.now - START, self.now - START, "boot")

    # -- a turn ----------------------------------------------------------------------------------------------------

    def _turn(self, run: Run) -> None:
        facts, run.facts = run.facts, []
        run.rules.give(facts)
        while (want := run.rules.advance(self._moment())) is not None:
            if self._late is not None:
                self._answer_later(run, want)
                break
            run.rules.answer(want, self._answer(run, want))
        events, effects = run.rules.outcome()
        run.history += events
        doings = self._doings(run, events, effects)
        if self._late is None:
            for _, do in doings:
                do()
        else:
            self._any_order(doings)
        if self._restarts:
            saved = json.loads(json.dumps(run.rules.snapshot()))
            before = run.rules
            run.rules = Rules.restore(run.name, before.job, saved)
            for what in ("attempts", "ends", "deadline", "deadline_of"):  # an engine's: its timers go on
                setattr(run.rules, what, getattr(before, what))
        self._watch_deadline(run)

    def _any_order(self, doings: list[tuple[str, Callable[[], None]]]) -> None:
        """A turn late, in any order; what is about one step stays in its own."""
        assert self._late is not None
        by_key: dict[str, list[Callable[[], None]]] = {}
        for key, do in doings:
            by_key.setdefault(key, []).append(do)
        groups = list(by_key.values())
        self._late.shuffle(groups)
        for group in groups:
            for do in group:
                self.at(self.now + LATE_MS, do)

    def _answer_later(self, run: Run, want: Want) -> None:
        """The want at the head of the line, and those that can be foreseen behind it."""
        assert self._late is not None
        wants = [want, *(one for one in run.rules.ahead(self._moment()) if one.kind is not want.kind or one != want)]
        wants = [one for one in wants if (one.kind, one.key) not in run.asked]
        self._late.shuffle(wants)
        for one in wants:
            run.asked.add((one.kind, one.key))
            self.at(self.now + LATE_MS, lambda one=one: self._answered(run, one))  # type: ignore[misc]

    def _answered(self, run: Run, want: Want) -> None:
        run.asked.discard((want.kind, want.key))
        run.rules.answer(want, self._answer(run, want))
        self._awake(run)

    def _answer(self, run: Run, want: Want) -> Answer:
        job = run.rules.job
        if want.kind is Wanted.LEAVE:
            return Answer(self._take(("", run.root), run.root.rules.job.max_parallel_steps, run, want.key))
        if want.kind is Wanted.PLACE:
            return Answer(self._take((want.queue, run.root), self._limits.get(want.queue), run, want.key))
        if want.kind is Wanted.COMMAND:
            return Answer(True, {"keeper": "fake"})
        if want.kind is Wanted.ITEMS:
            foreach = run.rules.step(want.key).foreach
            assert foreach is not None
            return Answer(True, ["a", "b", "c"] if isinstance(foreach.items, str) else list(foreach.items))
        if want.kind is Wanted.INSTANT:
            return Answer(False, error="no such instant")
        if want.kind is Wanted.TOLD:
            assert want.event is not None
            status = notices.STOPPED if want.event.type is EventType.RUN_PAUSED else want.event.data["status"]
            return Answer(True, [f"{run.name}.told{i}" for i, _ in enumerate(notices.commands(job, status))])
        step = run.rules.step(want.key)
        assert step.job is not None
        try:
            child = job.child(step.job)
        except KeyError:
            return Answer(False, error="no such job")
        name = f"{run.name}/{want.key}.{run.rules.state.step(want.key).children}"
        run.rules.in_family = True
        self._begun[run.name, want.key] = Run(Rules(name, child), (run, want.key))
        return Answer(True, Child(name, step.job))

    # -- what there is too little of -------------------------------------------------------------------------------

    def _take(self, what: tuple[str, Run], limit: int | None, run: Run, key: str) -> bool:
        has, line = self._has.setdefault(what, {}), self._lines.setdefault(what, {})
        if (run, key) in has:
            return True
        if limit is not None and (len(has) >= limit or line):
            self.contended = self.contended or any(other is not run for other, _ in (*has, *line))
            return False
        has[run, key] = None
        return True

    def _give_back(self, run: Run, key: str, what: str | None = None) -> None:
        for (name, root), has in self._has.items():
            if root is run.root and what in (None, name) and (run, key) in has:
                del has[run, key]
                self._let_in((name, root))

    def _let_in(self, what: tuple[str, Run]) -> None:
        line, has = self._lines.get(what, {}), self._has[what]
        if line:
            run, key = next(iter(line))
            del line[run, key]
            has[run, key] = None
            state = run.rules.state
            if run.over or key not in run.rules.under_way() or state.by_key(key).status not in ("pending", "waiting"):
                self._give_back(run, key, what[0])
            else:
                self.record(run, Start(key))

    def _wait(self, run: Run, key: str, what: str) -> None:
        line = self._lines.setdefault((what, run.root), {})
        line.setdefault((run, key))
        limit = self._limits.get(what) if what else run.root.rules.job.max_parallel_steps
        if limit is not None and len(self._has.setdefault((what, run.root), {})) < limit:
            self._let_in((what, run.root))  # it was given back in between

    # -- what follows ----------------------------------------------------------------------------------------------

    def _doings(self, run: Run, events: Sequence[Event], effects: Effects) -> list[tuple[str, Callable[[], None]]]:
        """What is to be done, each with the key that it is about."""
        found: list[tuple[str, Callable[[], None]]] = []
        for kind, key in effects.returned:
            queue = "" if kind is Wanted.LEAVE else run.rules.step(key).queue
            found.append((key, lambda key=key, queue=queue: self._give_back(run, key, queue)))  # type: ignore[misc]
        for key, number in effects.launches:
            found.append((key, lambda key=key, number=number: self._launch(run, key, number)))  # type: ignore[misc]
        for key, how in effects.stops:
            found.append((key, lambda key=key, how=how: self._stop(run, key, how)))  # type: ignore[misc]
        for queue, key in effects.queued:
            found.append((key, lambda key=key, queue=queue: self._wait(run, key, queue)))  # type: ignore[misc]
        for key in effects.held:
            found.append((key, lambda key=key: self._wait(run, key, "")))  # type: ignore[misc]
        for key in effects.begun:
            found.append((key, lambda key=key: self._begin(run, key)))  # type: ignore[misc]
        for ask in effects.asks:
            found.append((ask.key, lambda ask=ask: self._ask(run, ask)))  # type: ignore[misc]
        # Moments are a clock's: it is told of them in the order of the history.
        for at, key in effects.timers:
            self.at(at, lambda key=key, at=at: self.record(run, run.rules.retry_due(key, at)))  # type: ignore[misc]
        for at, key in effects.waits:
            self.at(at, lambda key=key, at=at: self._wait_over(run, key, at))  # type: ignore[misc]
        for key in effects.woken:
            state = run.rules.step_state(key)
            if state.waiting is not None and "until" in state.waiting:
                self._wait_over(run, key, state.waiting["until"])
            elif state.retry_at is not None:
                self.record(run, run.rules.retry_due(key, state.retry_at))
        for event in events:
            if event.type is EventType.RUN_ENDED:
                found.append(("", lambda event=event: self._ended(run, event)))  # type: ignore[misc]
        return found

    def _wait_over(self, run: Run, key: str, until: int) -> None:
        found = run.rules.wait_over(key, until, self._moment())
        assert not isinstance(found, Later)
        self.record(run, found)

    def _watch_deadline(self, run: Run) -> None:
        at = run.rules.watch_deadline(self._moment())
        if at is not None:
            start = run.rules.deadline_of or 0
            self._alone(START + at)
            self.at(START + at, lambda: self.record(run, run.rules.deadline_passed(start, self._moment())))

    def _launch(self, run: Run, key: str, number: int) -> None:
        outcome, lasts, wait = self._behaviour(run, key, number)
        run.ends[key] = run.ends.get(key, 0) + 1
        run.rules.attempts[key] = number
        end = run.ends[key]
        self.at(self.now + lasts, lambda: self._end(run, key, number, outcome, end, wait))

    def _behaviour(self, run: Run, key: str, number: int) -> tuple[Outcome, int, dict[str, Any] | None]:
        found = self._script.get(f"{key}.{number}")
        if found is not None:
            return *found, None
        rng = random.Random(f"{self._chance}/{run.name.partition('.told')[0]}/{key}/{number}")
        lasts, step = rng.randrange(1, _LONGEST), run.rules.step(key)
        of = step.compensate if is_undo(key) and step.compensate is not None else step
        limit = of.timeouts.start_to_close
        if limit is not None and (number > 3 or rng.random() < 0.7):  # else it would never come to its end
            lasts = rng.randrange(1, limit)
        if limit is not None and lasts > limit:
            return Outcome("timed_out", error="too long", timeout="start_to_close"), limit, None
        if step.only_if and not is_undo(key) and not run.rules.state.step(key).checked and rng.random() < 0.3:
            return Outcome("skipped"), lasts, None
        if number < 6 and rng.random() < self._temper:
            code = rng.choice((1, 65))
            return Outcome("failed", exit_code=code, error=f"exit code {code}"), lasts, None
        if kinds.of(step).may_suspend and not is_undo(key) and step.name.startswith("d") and number < 3:
            call = {"kind": rng.choice(("sleep", "signal")), "call": number}
            return Outcome("succeeded"), lasts, call | ({"name": "go"} if call["kind"] == "signal" else {})
        return Outcome("succeeded"), lasts, None

    def _end(
        self, run: Run, key: str, number: int, outcome: Outcome, end: int, wait: dict[str, Any] | None = None
    ) -> None:
        if run.ends.get(key) != end or key not in run.rules.attempts:
            return
        del run.rules.attempts[key]
        moment = self._moment()
        if wait is not None:
            wait = {**wait, "until": self.now + _LONGEST} if wait["kind"] == "sleep" else wait
            self.record(run, run.rules.attempt_suspended(key, number, wait, {}, moment))
        else:
            extra = {"outputs": {"k": number}} if outcome.status == "succeeded" else {}
            for event in run.rules.attempt_ended(key, number, outcome, extra, moment.mono, moment):
                self.record(run, event)
        self._give_back(run, key)

    def _stop(self, run: Run, key: str, how: Stop) -> None:
        number = run.rules.attempts.get(key)
        if number is None or how is Stop.DRAIN:
            return
        status, timeout = _BY_STOP.get(how, ("canceled", None))
        grace = random.Random(f"{self._chance}/{run.name}/{key}/{number}/grace").randrange(1, 10_000_000)
        run.ends[key] += 1
        end, outcome = run.ends[key], Outcome(status, error="stopped", timeout=timeout)
        self.at(self.now + grace, lambda: self._end(run, key, number, outcome, end))

    # -- child runs, and those that tell ---------------------------------------------------------------------------

    def _begin(self, run: Run, key: str) -> None:
        child = self._begun.pop((run.name, key))
        self.start(child.name, child.rules.job, (run, key))

    def _ask(self, run: Run, ask: Ask) -> None:
        child = self.runs.get(ask.run)
        if child is None:  # it was granted, and has not begun yet
            self.at(self.now + LATE_MS, lambda: self._ask(run, ask))
        elif child.rules.may_ask(ask.request):
            self.record(child, child.rules.request(ask.request, ask.why, "", self._moment()))

    def _ended(self, run: Run, end: Event) -> None:
        for name in end.data.get("notifications", ()):
            command = notices.commands(run.rules.job, end.data["status"])[int(name.rpartition("told")[2])]
            about = notices.of_end(run.name, run.rules.job.name, end, run.rules.state)
            self.start(name, notices.notifier(run.rules.job, command), about=about)
        if run.parent is not None:
            self._alone(self.now)
            parent, key = run.parent
            outputs = children.merged_outputs(run.rules.state, [step.name for step in run.rules.job.steps])
            self.record(parent, children.child_ended(key, run.name, end, outputs, 1 << 20))


def told(run: Run) -> list[Any]:
    """A history without its times."""
    return [(str(event.type), event.step, event.number, _timeless(event.data)) for event in run.history]


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _timeless(one) for key, one in value.items() if key not in _TIMES}
    return value
