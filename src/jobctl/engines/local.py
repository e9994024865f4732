"""The local engine's loop: what happened -> events -> commit -> decide -> act. Processes and SQLite, one thread.

What follows from what is decided in core/; how a process is started and stopped is process/; here they are put in
order: record that an attempt starts, start it, learn of its end, record that. One commit for all that one turn learned.
"""

from __future__ import annotations

import heapq
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jobctl import clock
from jobctl.core import attempts as rules
from jobctl.core.attempts import Outcome
from jobctl.core.children import RUN_STOPPED as _RUN_STOPPED
from jobctl.core.decide import (
    Compensate,
    Decider,
    EndStep,
    EndWait,
    FinishRun,
    Mode,
    StartStep,
    StopStep,
    reopened,
    restore,
)
from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.history import Event, EventType, RunState, StepState
from jobctl.core.keys import UNDO, is_undo, item_index, step_name, undone_key
from jobctl.core.model import Job, Poll, Queue, RunStatus, Step, StepKind, StepStatus, Timeouts
from jobctl.engines.commands import Command, RunContext, UnresolvedError
from jobctl.executor import Executor, alive
from jobctl.process import attempt as files_of
from jobctl.process import launch
from jobctl.process.attempt import AttemptFiles, FileError, KeeperState
from jobctl.process.watch import Watch
from jobctl.store.store import Batch, NewRun, Store

if TYPE_CHECKING:
    from jobctl.engines.children import Begun, Children, Family
    from jobctl.engines.like import Like
    from jobctl.engines.notices import Notice

LOOK_EVERY_MS = 5_000  # for what a lost poke would have told
LOG_CHECK_MS = 1_000  # log_limit holds within about this time
RETRY_STORE_MS = 1_000  # between two tries to write what could not be written
QUEUE_CHECK_MS = 200  # while attempts wait for a place that another process may give back
ASLEEP_FROM_MS = 60_000  # a run that waits for longer than this is let go by a daemon
FAR = 1 << 62  # later than any time
YOUNG_MS = 1_000  # an attempt that is stopped younger than this is asked twice
ASK_AGAIN_MS = 200
LEFTOVER_CHECK_MS = 50  # while a stopped attempt's other processes use their grace


class Observer(Protocol):
    """Who is told what was recorded. Called after the commit, in the order of the history."""

    def recorded(self, run: LiveRun, events: list[Event]) -> None: ...


class Start(NamedTuple):
    """A fact that is no event yet: the next attempt of a step, or of its undo, is due."""

    key: str


Fact = Event | Start | StopStep
Work = tuple["LiveRun", list[Fact], list[Event]]  # a run, new facts, and events that others have already recorded


class LiveAttempt:
    """An attempt that runs under its keeper, and what has been asked of it."""

    __slots__ = (
        "between_probes",
        "checked",
        "deadline_at",
        "files",
        "is_undo",
        "key",
        "kill_at",
        "kind_of_stop",
        "number",
        "own",
        "pid",
        "poll",
        "probes",
        "retry",
        "run",
        "started_at",
        "step",
        "timeouts",
        "token",
    )

    def __init__(self, run: LiveRun, key: str, number: int, started_at: int) -> None:
        self.run = run
        self.key = key
        self.number = number
        self.started_at = started_at
        self.is_undo = is_undo(key)
        self.step = run.step(key)
        undo = self.step.compensate if self.is_undo else None
        of = self.step if undo is None else undo
        self.retry, self.timeouts = of.retry, of.timeouts
        self.poll = None if self.is_undo else self.step.poll
        self.files = AttemptFiles(run.context.folder, key, number)
        self.token = run.context.token(key, number)
        self.pid = 0
        self.own = True  # our child: until it is reaped, its pid and group are nobody else's
        # drain (a poll's) | cancel | kill | run | start_to_close | schedule_to_close | heartbeat | deadline (a poll's)
        self.kind_of_stop: str | None = None
        self.kill_at: int | None = None  # monotonic
        self.deadline_at: int | None = None  # the instant that a timer is set for
        self.probes = 0  # of a poll, by this executor
        self.between_probes = False
        self.checked = False  # its condition (only_if) has let an earlier probe run

    @property
    def may_suspend(self) -> bool:
        return not self.is_undo and self.step.kind is StepKind.COMMAND and self.poll is None


class LiveRun:
    """A run that this executor advances: its state as committed, its Decider, its running attempts."""

    __slots__ = (
        "attempts",
        "children",
        "context",
        "deadline_of",
        "decider",
        "family",
        "has_folder",
        "id",
        "job",
        "name",
        "new",
        "parent",
        "parent_step",
        "seq",
        "state",
        "steps",
        "trail",
    )

    def __init__(self, run_id: int, name: str, job: Job, seq: int, state: RunState, decider: Decider) -> None:
        self.id = run_id
        self.name = name
        self.job = job
        self.seq = seq
        self.state = state
        self.decider = decider
        self.steps = {step.name: step for step in job.steps}
        self.attempts: dict[str, LiveAttempt] = {}  # by key
        self.new: NewRun | None = None  # until its first commit
        self.deadline_of: int | None = None  # the start of the try whose deadline is watched
        self.has_folder = False
        self.context: RunContext
        self.parent: int | None = None  # the run that started it as its child, and the key of the step there
        self.parent_step = ""
        self.trail: tuple[str, ...] = ()  # the steps that lead to it from the family's root here
        self.children: dict[str, LiveRun] = {}  # child runs that are here, by the key of the step that waits
        self.family: Family | None = None  # once it has a child, or is one

    def step(self, key: str) -> Step:
        """The definition of what a key names."""
        return self.steps[step_name(key)]

    def step_state(self, key: str) -> StepState:
        return self.state.undo_of(undone_key(key)) if is_undo(key) else self.state.step(key)


class Effects:
    """What is to be done once the events it follows from are committed."""

    __slots__ = (
        "asks",
        "children",
        "follows",
        "held",
        "launches",
        "limits",
        "notices",
        "places",
        "queued",
        "stops",
        "timers",
        "waits",
    )

    def __init__(self) -> None:
        self.places: dict[str, int] = {}  # places of queues that attempts are about to take
        self.limits: dict[str, int] = {}  # of these queues
        self.queued: list[tuple[str, str]] = []  # queue, key: no place was free
        self.launches: list[tuple[str, int, Command]] = []  # key, number, command
        self.stops: list[tuple[str, str]] = []  # key, kind
        self.timers: list[tuple[int, str]] = []  # retry_at, step
        self.waits: list[tuple[int, str]] = []  # until, step
        self.children: list[Begun] = []  # child runs that are recorded with this one
        self.notices: list[Notice] = []  # runs that tell of this one's end, and are recorded with it
        self.asks: list[tuple[str, EventType]] = []  # key, what is asked of the child run that it has started
        self.held: list[str] = []  # key: the family had no place
        self.follows: list[Fact] = []  # what an event leads to beside what was decided, until it is dealt with


class LocalEngine:
    """Advances runs in this process, under one executor's lock."""

    def __init__(self, store: Store, executor: Executor, *, observer: Observer | None = None) -> None:
        self.store = store
        self.executor = executor
        self.observer = observer
        self.runs: dict[int, LiveRun] = {}
        self._watch = Watch()
        self._watch.add_descriptor(executor.wake_fd)
        self._by_pid: dict[int, LiveAttempt] = {}
        self._others: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._timer_count = 0
        self._over = 0  # runs that have ended here and may have timers left
        self._facts: dict[int, tuple[LiveRun, list[Fact]]] = {}
        self._unwritten: dict[int, tuple[LiveRun, list[Fact]]] = {}  # kept while the store cannot be written
        self._looked_at = clock.monotonic()
        self._log_checks = False
        self._store_id = ""
        self.queues: Mapping[str, Queue] = {}  # their limits; a queue that is not here has none
        # queue -> steps that wait for a place of it, the longest waiting first. Each once: a second entry would start
        # the next attempt before its time.
        self._waiting: dict[str, dict[tuple[LiveRun, str], None]] = {}
        self._children: Children | None = None  # made for the first run that has a child or is one
        self.draining = False  # no attempt starts any more: what runs ends, and somebody else goes on
        self.trouble: JobctlError | None = None  # why nothing can be recorded just now
        launch.private_files()
        store.register(executor.id, executor.pid, executor.kind, clock.now())

    # -- work comes in ---------------------------------------------------------------------------------------------

    def submit(
        self, new: NewRun, job: Job, params: dict[str, Any], *, env_file: dict[str, str], like: Like | None = None
    ) -> LiveRun:
        """A new run of `job`, started at the next turn - unless its fire time turns out to have been dealt with."""
        run = LiveRun(0, new.name, job, 0, RunState(), Decider(job))
        run.new = new
        now = clock.now()
        run.state.created_at = now
        run.state.params = params
        run.state.fire_time = new.fire_time
        run.context = self.context_of(run, env_file)
        self.add_fact(run, created(new, params, now, like))
        self.add_fact(run, taken(self.executor, now))
        return run

    def take(self, run_id: int, job: Job, *, env_file: dict[str, str]) -> LiveRun | None:
        """Go on with a run whose executor is gone. None when a living one has it, or it is over.

        Attempts that run are adopted; those that ended while nobody looked are recorded as they ended; those that
        died are lost, and their policy decides.
        """
        return next(iter(self.take_all([(run_id, job, env_file)])), None)

    def take_all(self, left: Iterable[tuple[int, Job, dict[str, str]]]) -> list[LiveRun]:
        """As `take`, for several runs (id, job, env_file) in one commit. Those that are here now."""
        state_dir, ours = self.store.state_dir, self.executor
        jobs = {run_id: (job, env_file) for run_id, job, env_file in left}
        runs = []
        work: list[Work] = []
        for run_id in self.store.take(jobs, ours.id, ours.boot, clock.now(), lambda other: alive(state_dir, other)):
            job, env_file = jobs[run_id]
            row = self.store.run(run_id)
            events = self.store.events(run_id, upto=row.seq)
            # RUN_TAKEN is the last: what it leads to in a run that was never begun is due now.
            state, decider = restore(job, events[:-1])
            run = LiveRun(run_id, row.name, job, row.seq - 1, state, decider)
            run.context = self.context_of(run, env_file)
            self.runs[run_id] = run
            if job.children:
                self.children.link(run)
            if row.parent is not None:
                run.parent, run.parent_step = row.parent, row.parent_step or ""
                self.children.joined(run)
            runs.append(run)
            work.append((run, [], events[-1:]))
        self._advance(work)
        for run in runs:
            if run.id in self.runs:
                self._reconcile(run)
        return runs

    def unborn(self) -> list[LiveRun]:
        """Runs that were submitted and are not recorded yet."""
        return [run for run, _ in self._facts.values() if run.new is not None]

    def request(self, run: LiveRun, kind: EventType, *, reason: str, by: str) -> None:
        """A cancel or terminate from within this process (a signal, a parent's end): recorded and followed at the next
        turn. `by` is a person, "" for nobody."""
        data = {"reason": reason, "by": by} if by else {"reason": reason}
        self.add_fact(run, Event(kind, clock.now(), data=data))

    # -- the loop --------------------------------------------------------------------------------------------------

    def turn(self, timeout_ms: int | None = None) -> bool:
        """Wait for something to happen, at most so long, and do all that follows from it. Whether we were poked."""
        ended, woken = self._watch.wait(self._wait_ms(timeout_ms))
        for pid in ended:
            attempt = self._by_pid.pop(pid, None)
            if attempt is not None:
                self._do(self._keeper_ended, attempt)
            elif pid in self._others:
                self._others.pop(pid)()
        mono = clock.monotonic()
        while self._timers and self._timers[0][0] <= mono:
            _, _, act, values = heapq.heappop(self._timers)
            self._do(act, *values)
        if woken:
            self.executor.drain()
        if woken or mono - self._looked_at >= LOOK_EVERY_MS:
            self._look(mono)
        self.flush()
        return woken

    def flush(self) -> None:
        """Record what was submitted or learned, and do what follows, without waiting for the next turn."""
        if self._children is not None:
            self._children.once()
        if self._facts:
            work: list[Work] = [(run, facts, []) for run, facts in self._facts.values()]
            self._facts.clear()
            self._advance(work)

    def watch_process(self, pid: int, ended: Callable[[], None]) -> None:
        """Call `ended` when a process that is none of our keepers ends."""
        self._others[pid] = ended
        self._watch.add(pid)

    @property
    def attempts_running(self) -> int:
        return len(self._by_pid)

    @property
    def busy(self) -> bool:
        """Whether a run is under way here, or something about one is still to be recorded."""
        return bool(self.runs or self._facts or self._unwritten or self._next_errand() is not None)

    @property
    def children(self) -> Children:
        """What knows of child runs: most runs do without it."""
        if self._children is None:
            from jobctl.engines.children import Children

            self._children = Children(self)
        return self._children

    def _next_errand(self) -> int | None:
        return self._children.next_errand if self._children is not None else None

    def close(self) -> None:
        """Stop advancing. Attempts that run go on under their keepers, for whoever takes the runs next."""
        self._watch.close()
        try:
            self.store.unregister(self.executor.id)
        except JobctlError:
            pass  # a dead executor's row is found out by its lock
        self.executor.close()

    def _wait_ms(self, timeout_ms: int | None) -> int | None:
        if self._facts:
            return 0
        wait = LOOK_EVERY_MS if self.runs or timeout_ms is not None else None
        errand = self._next_errand()
        if errand is not None:
            left = max(0, errand - clock.monotonic())
            wait = left if wait is None else min(wait, left)
        if self._timers:
            until = max(0, self._timers[0][0] - clock.monotonic())
            wait = until if wait is None else min(wait, until)
        if timeout_ms is not None:
            wait = timeout_ms if wait is None else min(wait, timeout_ms)
        return wait

    def _at(self, mono: int, act: Callable[..., Any], *values: Any) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (mono, self._timer_count, act, values))

    def _at_wall(self, wall: int, act: Callable[..., Any], *values: Any) -> None:
        """A recorded instant, as a moment of the clock that does not step."""
        # Both clocks are read in whole milliseconds: one more, and nothing happens before its time.
        self._at(clock.monotonic() + wall - clock.now() + 1, act, *values)

    def _do(self, act: Callable[..., Any], *values: Any) -> None:
        """Act; again in a second when the system has no descriptor or memory for it just now."""
        try:
            act(*values)
        except OSError as error:
            if error.errno not in launch.PASSING:
                raise
            self._at(clock.monotonic() + RETRY_STORE_MS, act, *values)

    def add_fact(self, run: LiveRun, fact: Fact) -> None:
        """Something that is to be recorded of a run, and followed, at the next turn."""
        entry = self._facts.get(id(run))
        if entry is None:
            self._facts[id(run)] = (run, [fact])
        else:
            entry[1].append(fact)

    def _look(self, mono: int) -> None:
        """Read what others have appended to our runs."""
        self._looked_at = mono
        try:
            found = self.store.seqs(self.executor.id)
            work: list[Work] = []
            for run_id, seq in found:
                run = self.runs.get(run_id)
                if run is not None and run.seq < seq and id(run) not in self._unwritten:
                    work.append((run, [], self._added(run)))
            self.store.check_place()
        except StoreUnavailableError as error:
            self.trouble = error
            return
        if not self._unwritten:
            self.trouble = None
        if work:
            self._advance(work)

    def _added(self, run: LiveRun) -> list[Event]:
        """What others have appended to a run. One that can no longer be read is let go: it does not stop the others."""
        try:
            return self.store.events(run.id, after=run.seq)
        except StoreUnavailableError:
            raise
        except JobctlError:
            if self.executor.kind != "daemon":
                raise
            self._let_go(run)  # its commands run on; whoever takes it next is told why it cannot
            return []

    def context_of(self, run: LiveRun, env_file: dict[str, str]) -> RunContext:
        if not self._store_id:
            self._store_id = self.store.identity()
        folder = os.path.join(self.store.state_dir, "runs", run.name)
        return RunContext(run.job, run.name, folder, self._store_id, self.store.state_dir, env_file, run.state)

    # -- decide and record -----------------------------------------------------------------------------------------

    def _advance(self, work: list[Work]) -> None:
        """Record facts and what they lead to, for several runs in one commit; then act."""
        while work:
            batches: list[Batch] = []
            planned: dict[int, tuple[LiveRun, list[Fact], list[Event], Effects]] = {}
            for run, facts, foreign in work:
                if id(run) in self._unwritten:
                    self._unwritten[id(run)][1].extend(fact for fact in facts if isinstance(fact, Event))
                    continue
                events, effects = self._plan(run, facts, foreign)
                seq = run.seq + len(foreign)
                tell = self.children.tell(run, events) if run.parent is not None else None
                batch = Batch(
                    run.id,
                    seq,
                    events,
                    run.state,
                    executor=self.executor.id,
                    new=run.new,
                    limits=effects.limits,
                    wake_at=self._wake_at(run, effects),
                    children=[begun.batch for begun in effects.children],
                    tell=tell,
                    notices=[notice.batch for notice in effects.notices],
                )
                planned[id(batch)] = (run, facts, foreign, effects)
                batches.append(batch)
            work = []
            if self._children is not None:
                self._children.settle()
            try:
                written = [batch for batch in batches if batch.events or batch.wake_at is not None]
                refused = self.store.append(written) if written else []
            except StoreUnavailableError as error:
                self._keep(planned.values(), error)
                return
            again: dict[int, LiveRun] = {}  # parents that are to be looked at again
            for batch in refused:
                run, facts, _, _ = planned.pop(id(batch))
                if not batch.dealt_with:  # a fire time for which another daemon was faster is theirs
                    work.append((run, facts, self._reload(run)))
            for batch in batches:
                if id(batch) in planned:
                    run, _, foreign, effects = planned[id(batch)]
                    if run.new is not None:
                        run.id, run.new = batch.run_id, None
                        self.runs[run.id] = run
                        self._watch_run_deadline(run)
                    run.seq = batch.seq + len(batch.events)
                    if foreign:
                        self._watch_run_deadline(run)
                    told = [*foreign, *batch.events]
                    if told and self.observer is not None:
                        self.observer.recorded(run, told)
                    if batch.wake_at is None:
                        self._act(run, effects)
                    else:
                        self._let_go(run)
                    if run.parent is not None and run.id not in self.runs:
                        parent = self.children.gone(run) or (self.runs.get(run.parent) if batch.told else None)
                        if parent is not None:
                            again[parent.id] = parent
                        elif batch.told and run.parent not in self.runs:
                            self.children.wake(batch)
                    begun = [self.children.began(run, one) for one in effects.children]
                    work += [one for one in begun if one is not None]
                    work += [self._began(notice) for notice in effects.notices]
            known = {id(run) for run, _, _ in work}
            for parent in again.values():
                if id(parent) not in known and id(parent) not in self._unwritten:
                    work.append((parent, [], self._added(parent)))

    def _began(self, notice: Notice) -> Work:
        """A run's end is recorded, and with it what tells of it: that goes on here."""
        run, (first, *rest) = notice.run, notice.batch.events
        run.id, run.seq = notice.batch.run_id, 1
        self.runs[run.id] = run
        if self.observer is not None:
            self.observer.recorded(run, [first])
        return run, [], rest

    def _let_go(self, run: LiveRun) -> None:
        """The run is asleep now: a row with a time, not an object in memory."""
        self.runs.pop(run.id, None)
        self._forget_timers()

    def _forget_timers(self) -> None:
        """Those of runs that are not here any more: a timeout of a day would keep a run that took a second."""
        self._over = 0
        self._timers = [timer for timer in self._timers if self._concerns_us(timer[3])]
        heapq.heapify(self._timers)

    def _concerns_us(self, values: tuple[Any, ...]) -> bool:
        about = values[0] if values else None
        run = about.run if isinstance(about, LiveAttempt) else about
        return not isinstance(run, LiveRun) or self.runs.get(run.id) is run

    def _wake_at(self, run: LiveRun, effects: Effects) -> int | None:
        """When a run that from now on only waits, and for long, is to be looked at again. None: it stays here.

        Only a daemon lets runs go: it is there to wake them.
        """
        if self.executor.kind != "daemon" or run.state.status is not RunStatus.RUNNING:
            return None
        if run.attempts or effects.launches or effects.queued or effects.held:
            return None
        if run.children or not all(begun.queued for begun in effects.children):
            return None  # they are here, and their ends are its news
        if run.decider.mode is Mode.STOPPING or run.decider.ends():
            return None  # something was asked or came while nobody had it: that is carried out first
        waits: list[int] = []
        for key in _under_way(run.decider):
            step = run.step_state(key)
            if step.status is not StepStatus.WAITING or (step.waiting is not None and "ended" in step.waiting):
                return None
            until = step.retry_at if step.waiting is None else step.waiting.get("until")
            waits.append(FAR if until is None else until)
        if not waits:
            return None
        if run.job.timeout is not None and run.state.try_started_at is not None:
            waits.append(run.state.try_started_at + run.job.timeout)
        wake_at = min(waits)
        return wake_at if wake_at - clock.now() > ASLEEP_FROM_MS else None

    def _plan(self, run: LiveRun, facts: Iterable[Fact], foreign: Iterable[Event]) -> tuple[list[Event], Effects]:
        """Apply facts to the run's state and Decider; the events to record and what is to be done after that."""
        events: list[Event] = []
        effects = Effects()
        state = run.state
        recorded, given = deque(foreign), deque(facts)
        follows: deque[Fact] = deque()  # what recorded events and given facts lead to, in order
        while recorded or follows or given:
            if recorded:
                event = recorded.popleft()
            else:
                fact = follows.popleft() if follows else given.popleft()
                found = self._event(run, fact, effects)
                if found is None:
                    continue
                event = found
                events.append(event)
            state.apply(event)
            if event.type is EventType.RUN_REOPENED:
                run.decider = reopened(run.job, state)
                continue
            was_paused = run.decider.paused
            for action in run.decider.feed(event):
                if isinstance(action, StartStep):
                    follows.append(Start(action.step))
                elif isinstance(action, StopStep):
                    follows.append(action)
                elif isinstance(action, (EndStep, EndWait)):
                    follows.append(_end_of_wait(action))
                elif isinstance(action, Compensate):
                    follows.append(Start(action.step + UNDO))
                elif isinstance(action, FinishRun):
                    follows.append(_end_event(action))
            if event.type is EventType.CHILD_ENDED or event.type is EventType.TIMER_FIRED:
                if run.job.children:
                    self.children.follow(run, event, effects)
            follows.extend(effects.follows)
            effects.follows.clear()
            if event.type is EventType.WAIT_STARTED and "until" in event.data:
                effects.waits.append((event.data["until"], event.step))
            elif "wait" in event.data and "until" in event.data["wait"]:
                effects.waits.append((event.data["wait"]["until"], event.step))
            elif event.data.get("step_status") == "pending":
                # Its condition said yes: now it begins to wait - but for a run that stops, in which nothing begins.
                stops = run.decider.mode is Mode.STOPPING
                follows.append(ended_outside(event.step, "canceled", _RUN_STOPPED) if stops else Start(event.step))
            elif "retry_at" in event.data:
                key = event.step + UNDO if event.type is EventType.UNDO_ENDED else event.step
                effects.timers.append((event.data["retry_at"], key))
            elif was_paused and not run.decider.paused:
                for key in _under_way(run.decider):
                    step = run.step_state(key)
                    if step.retry_at is not None:
                        effects.timers.append((step.retry_at, key))
                    elif step.status is StepStatus.PENDING:
                        follows.append(Start(key))
        return events, effects

    def _event(self, run: LiveRun, fact: Fact, effects: Effects) -> Event | None:
        """The event that a fact is now, with all that came before it: None when it has come to nothing."""
        if isinstance(fact, Start):
            status = run.step_state(fact.key).status
            if self.draining or not run.decider.may_start or status not in (StepStatus.WAITING, StepStatus.PENDING):
                return None
            if run.decider.held(fact.key) or (run.step_state(fact.key).suspended and run.step_state(fact.key).waiting):
                return None
            step, undo = run.step(fact.key), is_undo(fact.key)
            if status is StepStatus.PENDING and not undo and run.decider.closed(fact.key):
                return ended_outside(fact.key, "canceled", _OTHER_FAILED)
            if step.foreach is not None and item_index(fact.key) is None and not undo:
                return _list_items(run, step)
            runs = step.kind is StepKind.COMMAND or undo or (step.only_if and not run.state.step(fact.key).checked)
            if run.family is not None and runs and not self.children.admits(run, fact.key):
                effects.held.append(fact.key)
                return None
            if step.kind is not StepKind.COMMAND and not undo:
                if status is StepStatus.WAITING and run.state.step(fact.key).retry_at is None:
                    return None  # it waits already
                return self._begin_wait(run, fact.key, effects)
            queue = None if undo else step.queue
            if queue is not None and not self._has_place(queue, effects):
                effects.queued.append((queue, fact.key))
                return None
            if queue in self._waiting:  # it may have been told to start on two ways: it leaves the line on either
                self._waiting[queue].pop((run, fact.key), None)
            return self._start(run, fact.key, effects)
        if isinstance(fact, StopStep):
            return self._stop_event(run, fact, effects)
        if run.state.status is not None and run.state.status.final:
            return None  # a request that came when the run was over
        if fact.type in (EventType.TIMER_FIRED, EventType.WAIT_ENDED) and run.state.step(fact.step).waiting is None:
            return None  # what it waited for came in this very turn
        if fact.type in (EventType.STEP_ENDED, EventType.UNDO_ENDED) and not fact.number:
            key = fact.step if fact.type is EventType.STEP_ENDED else fact.step + UNDO
            if not run.step_state(key).may_end_outside:
                return None  # stopped twice: canceled, and terminated before that was carried out
        if "wait" in fact.data and run.decider.mode is Mode.STOPPING:
            late = run.decider.outcome is RunStatus.TIMED_OUT
            data = {key: value for key, value in fact.data.items() if key != "wait"}
            how = rules.TIMED_OUT if late else rules.CANCELED
            return fact._replace(data={**data, "status": how, "error": _RUN_STOPPED})
        if "retry_at" in fact.data and run.decider.mode is Mode.STOPPING:
            data = {key: value for key, value in fact.data.items() if key != "retry_at"}
            return fact._replace(data={**data, "why": "the run is stopping"})
        if fact.type is EventType.RUN_ENDED and run.job.notify:
            from jobctl.engines import notices

            fact, effects.notices = notices.begun(self, run, fact)
        return fact

    def _start(self, run: LiveRun, key: str, effects: Effects) -> Event:
        """The event that starts the next attempt - or ends the step, when there is nothing that could be run."""
        now = clock.now()
        number = len(run.step_state(key).attempts) + 1
        try:
            effects.launches.append((key, number, self._command(run, key, number)))
        except UnresolvedError as error:
            return ended_outside(key, "failed", str(error))
        if is_undo(key):
            return Event(EventType.UNDO_STARTED, now, undone_key(key), number)
        queue = run.step(key).queue
        return Event(EventType.ATTEMPT_STARTED, now, key, number, {"queue": queue} if queue is not None else {})

    def _has_place(self, queue: str, effects: Effects) -> bool:
        """Whether an attempt may start in a queue now. The store has the last word, when it is recorded."""
        limit = self.queues[queue].concurrency if queue in self.queues else None
        if limit is None:
            return True
        taken = effects.places.get(queue, 0)
        if self.store.in_queue(queue) + taken >= limit:
            return False
        effects.places[queue] = taken + 1
        effects.limits[queue] = limit
        return True

    def _look_at_queues(self) -> None:
        """Let as many waiting attempts try again as there are places now; the longest waiting first."""
        for queue, waiting in list(self._waiting.items()):
            limit = self.queues[queue].concurrency if queue in self.queues else None
            free = len(waiting) if limit is None else max(0, limit - self.store.in_queue(queue))
            for run, key in list(islice(waiting, free)):
                del waiting[run, key]
                if self.runs.get(run.id) is run:
                    self.add_fact(run, Start(key))
            if not waiting:
                del self._waiting[queue]
        if self._waiting:
            self._at(clock.monotonic() + QUEUE_CHECK_MS, self._look_at_queues)

    def _begin_wait(self, run: LiveRun, key: str, effects: Effects) -> Event:
        """The event that begins a sleep, or a wait for a signal or a person; first the step's condition is asked."""
        step = run.step(key)
        if step.only_if and not run.state.step(key).checked:
            return self._start(run, key, effects)
        if step.kind is StepKind.JOB:
            return self.children.begin(run, key, effects)
        now = clock.now()
        data: dict[str, Any] = {"kind": str(step.kind)}
        if step.kind is StepKind.SLEEP:
            try:
                data["until"] = run.context.sleep_until(step, now)
            except (UnresolvedError, ValueError) as error:
                return ended_outside(key, "failed", str(error))
        else:
            data["name"] = step.signal if step.signal is not None else step.approval
            if step.timeouts.schedule_to_close is not None:
                data["until"] = now + step.timeouts.schedule_to_close
        return Event(EventType.WAIT_STARTED, now, key, data=data)

    def _command(self, run: LiveRun, key: str, number: int) -> Command:
        files = AttemptFiles(run.context.folder, key, number)
        command = run.context.undo_command if is_undo(key) else run.context.step_command
        return command(run.step(key), run.state.step(undone_key(key)), number, files)

    def _stop_event(self, run: LiveRun, stop: StopStep, effects: Effects) -> Event | None:
        # Only a kill is meant for an undo: a second cancel was decided for the step, whose undo may be due by now.
        key = stop.step + UNDO if stop.how == "kill" and stop.step == run.decider.undoing else stop.step
        state = run.step_state(key)
        if state.status is StepStatus.RUNNING:
            attempt = run.attempts.get(key)
            if stop.how == "unbegun":
                return None
            if stop.how != "drain" or (attempt is not None and attempt.between_probes):
                effects.stops.append((key, "run" if stop.how == "timeout" else stop.how))
            return None
        if state.status is not StepStatus.WAITING and state.status is not StepStatus.PENDING:
            return None
        if stop.how == "unbegun":
            return ended_outside(key, "canceled", _OTHER_FAILED) if state.status is StepStatus.PENDING else None
        if state.waits_for_child():
            return self.children.stop(run, key, stop.how, effects)
        # Between two attempts, or waiting for something: it just does not go on.
        # A wait has not failed at anything.
        drained = "canceled" if state.waiting is not None or state.suspended else "failed"
        status = {"drain": drained, "timeout": "timed_out"}.get(stop.how, "canceled")
        return ended_outside(key, status, state.error or _RUN_STOPPED)

    def _reload(self, run: LiveRun) -> list[Event]:
        """Put the run back to what it was before a turn that was not recorded. Returns what others have added."""
        if run.new is not None:
            run.state, run.decider = RunState(), Decider(run.job)
            run.context.state = run.state
            return []
        events = self.store.events(run.id)
        run.state, run.decider = restore(run.job, events[: run.seq])
        run.context.state = run.state
        return events[run.seq :]

    def _keep(
        self, planned: Iterable[tuple[LiveRun, list[Fact], list[Event], Effects]], error: StoreUnavailableError
    ) -> None:
        """The store cannot be written: what was learned is kept and tried again; nothing new starts meanwhile."""
        self.trouble = error
        for run, facts, _, _ in planned:
            self._unwritten[id(run)] = (run, [fact for fact in facts if isinstance(fact, Event)])
        self._at(clock.monotonic() + RETRY_STORE_MS, self._try_again)

    def _try_again(self) -> None:
        waiting = list(self._unwritten.values())
        for run, facts in waiting:  # what was learned in this very turn belongs to it
            facts.extend(fact for fact in self._facts.pop(id(run), (run, []))[1] if isinstance(fact, Event))
            if run.new is not None:  # it begins now: until it is recorded, its timeout does not count
                facts[:] = [fact._replace(at=clock.now()) for fact in facts if isinstance(fact, Event)]
        try:
            work = [(run, facts, self._reload(run)) for run, facts in waiting]
        except StoreUnavailableError:
            self._at(clock.monotonic() + RETRY_STORE_MS, self._try_again)
            return
        self._unwritten.clear()
        self.trouble = None
        self._advance(work)
        if self.trouble is None:
            for run, _ in waiting:
                if self.runs.get(run.id) is run:
                    self._reconcile(run)

    # -- act -------------------------------------------------------------------------------------------------------

    def _act(self, run: LiveRun, effects: Effects) -> None:
        for key, number, command in effects.launches:
            self._launch(run, key, number, command)
        for key, kind in effects.stops:
            attempt = run.attempts.get(key)
            if attempt is not None:
                self._do(self._stop, attempt, kind)
        for queue, key in effects.queued:
            if not self._waiting:
                self._at(clock.monotonic() + QUEUE_CHECK_MS, self._look_at_queues)
            self._waiting.setdefault(queue, {}).setdefault((run, key))
        for key in effects.held:
            self.children.hold(run, key)
        for key, kind_of_end in effects.asks:
            self.children.ask(run, key, kind_of_end)
        for until, name in effects.waits:
            self.at_wait_over(run, name, until)
        for retry_at, name in effects.timers:
            self._at_wall(retry_at, self._retry_due, run, name, retry_at)
        if run.state.status is not None and run.state.status.final:
            self.runs.pop(run.id, None)
            self._over += 1
            if self._over > _OVER_AT_MOST + len(self.runs):
                self._forget_timers()

    def _watch_run_deadline(self, run: LiveRun) -> None:
        start = run.state.try_started_at
        if run.job.timeout is not None and start is not None and run.deadline_of != start:
            run.deadline_of = start
            self._at_wall(start + run.job.timeout, self._run_deadline, run, start)

    def _run_deadline(self, run: LiveRun, try_started_at: int) -> None:
        if self.runs.get(run.id) is run and run.state.try_started_at == try_started_at:
            from jobctl.core.durations import format

            assert run.job.timeout is not None
            reason = f"the run's timeout of {format(run.job.timeout)} passed"
            self.add_fact(run, Event(EventType.RUN_TIMED_OUT, clock.now(), data={"reason": reason}))

    def at_wait_over(self, run: LiveRun, key: str, until: int) -> None:
        """Have it recorded then that what a step waits for has not come in time, or that its sleep is over."""
        self._at_wall(until, self._wait_over, run, key, until)

    def _wait_over(self, run: LiveRun, name: str, until: int) -> None:
        waiting = run.state.step(name).waiting
        if self.runs.get(run.id) is run and waiting is not None and waiting.get("until") == until:
            self.add_fact(run, Event(EventType.TIMER_FIRED, clock.now(), name))

    def _retry_due(self, run: LiveRun, key: str, retry_at: int) -> None:
        # Whatever the wall clock says by now: it may have been set back, and nobody would look again.
        if self.runs.get(run.id) is run and run.step_state(key).retry_at == retry_at:
            self.add_fact(run, Start(key))

    def _launch(self, run: LiveRun, key: str, number: int, command: Command) -> None:
        attempt = LiveAttempt(run, key, number, run.step_state(key).attempts[-1].started_at)
        run.attempts[key] = attempt
        self._spawn(attempt, command)

    def _spawn(self, attempt: LiveAttempt, command: Command) -> None:
        run = attempt.run
        if run.attempts.get(attempt.key) is not attempt or attempt.pid:
            return
        if attempt.kind_of_stop is not None:  # canceled before it could start
            self._ended(attempt, None)
            return
        try:
            if not run.has_folder:
                os.makedirs(run.context.folder, mode=0o700, exist_ok=True)
                run.has_folder = True
            delivered = run.step_state(attempt.key).delivered
            if delivered:
                files_of.write_waits(command.environment["JOBCTL_WAITS"], delivered)
            attempt.pid = launch.launch(
                attempt.files,
                command.argv,
                command.environment,
                cwd=command.cwd,
                only_if=command.only_if,
                shell=command.shell,
            )
        except (launch.LaunchError, OSError) as error:
            if error.passing if isinstance(error, launch.LaunchError) else error.errno in launch.PASSING:
                # It is recorded as started and was not: it is still the same attempt when there is room again.
                self._at(clock.monotonic() + RETRY_STORE_MS, self._spawn, attempt, command)
            else:
                what = str(error) if isinstance(error, launch.LaunchError) else f"it could not be started: {error}"
                self._record_end(attempt, Outcome(rules.FAILED, error=what), {})
            return
        self._watch_attempt(attempt)

    def _watch_attempt(self, attempt: LiveAttempt) -> None:
        self._by_pid[attempt.pid] = attempt
        self._watch.add(attempt.pid)
        self._set_deadline(attempt)
        if not self._log_checks:
            self._log_checks = True
            self._at(clock.monotonic() + LOG_CHECK_MS, self._check_logs)

    def _first_deadline(self, attempt: LiveAttempt) -> rules.Deadline | None:
        timeouts = attempt.timeouts
        limit = attempt.poll.deadline if attempt.poll is not None else None
        if timeouts == _NO_TIMEOUTS and limit is None:
            return None
        mark = files_of.heartbeat_mark(attempt.files.heartbeat) if timeouts.heartbeat is not None else None
        return rules.first_deadline(
            timeouts,
            attempt_started_at=attempt.started_at,
            step_started_at=attempt.run.step_state(attempt.key).started_at or attempt.started_at,
            last_heartbeat_at=max(attempt.started_at, mark[0] if mark else 0),
            poll_deadline=limit,
        )

    def _set_deadline(self, attempt: LiveAttempt) -> None:
        first = self._first_deadline(attempt)
        # One timer for all heartbeats and probes: when it is due, it is set for what is the first deadline then.
        if first is not None and (attempt.deadline_at is None or first.at < attempt.deadline_at):
            attempt.deadline_at = first.at
            self._at_wall(first.at, self._deadline, attempt, first.at)

    def _deadline(self, attempt: LiveAttempt, at: int) -> None:
        if attempt.deadline_at != at:
            return  # an earlier one was set since
        attempt.deadline_at = None
        if attempt.run.attempts.get(attempt.key) is not attempt or attempt.kind_of_stop is not None:
            return
        first = self._first_deadline(attempt)
        if first is None or attempt.between_probes:  # the next probe has its own
            return
        if first.at <= at:
            self._stop(attempt, first.kind)
        else:
            self._set_deadline(attempt)

    def _check_logs(self) -> None:
        """Keep the logs of running attempts within their limit."""
        for attempt in self._by_pid.values():
            _cap_log(attempt)
        self._log_checks = bool(self._by_pid)
        if self._log_checks:
            self._at(clock.monotonic() + LOG_CHECK_MS, self._check_logs)

    # -- stop ------------------------------------------------------------------------------------------------------

    def _stop(self, attempt: LiveAttempt, kind: str) -> None:
        """Ask the attempt's processes to end, or kill them. A second, harder request replaces the first."""
        if attempt.between_probes:
            attempt.between_probes = False
            attempt.kind_of_stop = kind
            self._ended(attempt, None)
            return
        if kind == "kill":
            attempt.kind_of_stop = "kill"
            self._kill(attempt)
            return
        if attempt.kind_of_stop is not None:
            return
        state = files_of.read_state(attempt.files.state)
        if state is not None and state.status is not None:
            return  # its command has ended by itself, and its keeper is about to
        for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process cannot end
            _signal(attempt, number)
            launch.signal_members(attempt.token, number, outside=attempt.pid)
        attempt.kind_of_stop = kind
        if clock.now() - attempt.started_at < YOUNG_MS:
            # Between the keeper's last look and the command's first instruction nobody heard it.
            self._at(clock.monotonic() + ASK_AGAIN_MS, self._ask_again, attempt)
        attempt.kill_at = clock.monotonic() + attempt.run.job.kill_grace
        self._at(attempt.kill_at, self._grace_over, attempt)

    def _ask_again(self, attempt: LiveAttempt) -> None:
        if attempt.run.attempts.get(attempt.key) is attempt:
            _signal(attempt, signal.SIGTERM)

    def _grace_over(self, attempt: LiveAttempt) -> None:
        if attempt.run.attempts.get(attempt.key) is attempt:
            self._kill(attempt)

    def _kill(self, attempt: LiveAttempt) -> None:
        attempt.kill_at = clock.monotonic()
        _signal(attempt, signal.SIGKILL)
        launch.sweep(attempt.token)

    # -- an attempt ends -------------------------------------------------------------------------------------------

    def _keeper_ended(self, attempt: LiveAttempt) -> None:
        state = files_of.read_state(attempt.files.state)
        if (state is None or state.status is None) and attempt.kind_of_stop is None and _went_away(attempt):
            # It started nothing: a keeper that was on its way before ours has the attempt, or the disk is full.
            _reap(attempt.pid)
            attempt.pid, attempt.own = 0, False
            self._at(clock.monotonic() + (RETRY_STORE_MS if state is None else 0), self._find_keeper, attempt, 0)
            return
        self._ended(attempt, state)

    def _ended(self, attempt: LiveAttempt, state: KeeperState | None) -> None:
        """The keeper is gone: see that nothing of a failed or stopped attempt lives on, then record the end."""
        done = state is not None and state.status == 0
        wait: dict[str, Any] | None = None
        damage: str | None = None
        if attempt.kind_of_stop is None and attempt.may_suspend:
            try:
                wait = files_of.read_suspension(attempt.files.suspend)
            except FileError as error:
                damage = str(error)
        if attempt.kind_of_stop is not None:
            rest = launch.members(attempt.token)
            if rest and attempt.kill_at is not None and clock.monotonic() < attempt.kill_at:
                self._at(clock.monotonic() + LEFTOVER_CHECK_MS, self._ended, attempt, state)
                return  # they were asked to end, and have their grace
        if not done or wait is not None or attempt.kind_of_stop is not None:
            _signal(attempt, signal.SIGKILL)
            launch.sweep(attempt.token)
        if wait is not None:
            _reap(attempt.pid)
            self._record_suspension(attempt, wait, state)
            return
        poll = attempt.poll if attempt.kind_of_stop is None else None
        if poll is not None and state is not None and state.status == 1 and not state.skipped:
            _reap(attempt.pid)
            self._not_yet(attempt, poll)
            return
        _cap_log(attempt)  # what was written since the last look, or all of it: nobody looks again
        outcome, extra = self._result(attempt, state)
        if damage is not None:
            outcome = Outcome(rules.FAILED, error=damage)
        if done and outcome.status != rules.SUCCEEDED:  # what it handed on cannot be read: it has failed after all
            _signal(attempt, signal.SIGKILL)
            launch.sweep(attempt.token)
        _reap(attempt.pid)
        self._record_end(attempt, outcome, extra)

    def _not_yet(self, attempt: LiveAttempt, poll: Poll) -> None:
        """A poll's condition does not hold: ask again later, in the same attempt - a thousand times leave no trace."""
        attempt.pid = 0
        attempt.probes += 1
        attempt.checked = True
        if attempt.run.decider.mode is Mode.STOPPING:
            self._record_end(attempt, Outcome(rules.CANCELED, 1, error=_RUN_STOPPED), {})
            return
        now = clock.now()
        timeouts = attempt.timeouts
        began = attempt.run.step_state(attempt.key).started_at or attempt.started_at
        next_probe = rules.next_probe(poll, timeouts, probe=attempt.probes, ended_at=now, step_started_at=began)
        if next_probe.retry_at is None:
            assert next_probe.why is not None
            error = _did_not_hold(poll, timeouts, next_probe.why)
            self._record_end(attempt, Outcome(rules.TIMED_OUT, 1, error=error, timeout=next_probe.why), {})
            return
        _cap_log(attempt)
        try:
            # What was said with a "not yet" is not what the step says. After a crash, no state file means: ask now.
            for path in (attempt.files.output, attempt.files.failure, attempt.files.calls, attempt.files.state):
                with suppress(FileNotFoundError):
                    os.unlink(path)
        except OSError as error:
            self._record_end(attempt, Outcome(rules.FAILED, error=f"it could not be asked again: {error}"), {})
            return
        files_of.write_poll(attempt.files.poll, attempt.probes, next_probe.retry_at)
        attempt.between_probes = True
        self._at_wall(next_probe.retry_at, self._probe, attempt)

    def _probe(self, attempt: LiveAttempt) -> None:
        if attempt.run.attempts.get(attempt.key) is not attempt or not attempt.between_probes or self.draining:
            return
        attempt.between_probes = False
        attempt.own = True
        attempt.started_at = clock.now()  # start_to_close is for one probe
        try:
            command = self._command(attempt.run, attempt.key, attempt.number)
            self._spawn(attempt, command._replace(only_if="") if attempt.checked else command)
        except UnresolvedError as error:
            self._record_end(attempt, Outcome(rules.FAILED, error=str(error), non_retryable=True), {})

    def _result(self, attempt: LiveAttempt, state: KeeperState | None) -> tuple[Outcome, dict[str, Any]]:
        files, run = attempt.files, attempt.run
        step = attempt.step
        extra: dict[str, Any] = {}
        cursor = files_of.read_cursor(files.heartbeat)
        if cursor:
            extra["cursor"] = cursor
        if step.only_if and state is not None and not (state.checked or state.skipped or attempt.checked):
            extra["unchecked"] = True
        try:
            outcome = self._outcome(attempt, state)
            if outcome.status == rules.SUCCEEDED:
                extra["outputs"] = files_of.read_outputs(files.output)
                if not attempt.is_undo and step.name in run.context.stdout_of:
                    from jobctl.process.logs import last_line

                    extra["stdout"] = last_line(files.log)
            else:
                extra["outputs"] = _outputs_so_far(files.output)
        except FileError as error:
            outcome = Outcome(rules.FAILED, error=str(error))
        return outcome, extra

    def _outcome(self, attempt: LiveAttempt, state: KeeperState | None) -> Outcome:
        if attempt.kind_of_stop is not None:
            known = files_of.outcome(state, files_of.Failure()) if state is not None and state.status else Outcome("")
            return _stopped(attempt, known)
        if state is None or state.status is None:
            return Outcome(rules.FAILED, error="lost: its process ended and nobody saw how")
        try:
            return files_of.outcome(state, files_of.read_failure(attempt.files.failure))
        except FileError as error:
            known = files_of.outcome(state, _NO_FAILURE)
            return known if known.error is None else known._replace(error=f"{known.error}; {error}")

    def _record_suspension(self, attempt: LiveAttempt, wait: dict[str, Any], state: KeeperState | None) -> None:
        """The attempt has ended itself, to go on later: whatever its exit code was, it has neither failed nor ended."""
        run = attempt.run
        run.attempts.pop(attempt.key, None)
        began = run.step_state(attempt.key).started_at or attempt.started_at
        data: dict[str, Any] = {
            "status": rules.SUSPENDED,
            "wait": rules.suspension(wait, attempt.timeouts, step_started_at=began),
        }
        cursor = files_of.read_cursor(attempt.files.heartbeat)
        if cursor:
            data["cursor"] = cursor
        outputs = _outputs_so_far(attempt.files.output)
        if outputs:  # the undo of a step that never goes on has them
            data["outputs"] = outputs
        if attempt.step.only_if and not (state is not None and state.checked):
            data["unchecked"] = True
        self.add_fact(run, Event(EventType.ATTEMPT_ENDED, clock.now(), attempt.key, attempt.number, data))

    def _record_end(self, attempt: LiveAttempt, outcome: Outcome, extra: dict[str, Any]) -> None:
        run = attempt.run
        run.attempts.pop(attempt.key, None)
        now = clock.now()
        state = run.step_state(attempt.key)
        if outcome.error is not None:
            outcome = outcome._replace(error=run.context.mask(outcome.error))
        verdict = rules.verdict(
            attempt.retry,
            attempt.timeouts,
            outcome,
            attempt=state.attempts_in_try,
            ended_at=now,
            step_started_at=state.started_at or attempt.started_at,
        )
        if outcome.error_type is not None:  # not before the verdict, which knows it by its real name
            outcome = outcome._replace(error_type=run.context.mask(outcome.error_type))
        if outcome.status == rules.SUCCEEDED and attempt.step.kind is not StepKind.COMMAND:
            if not attempt.is_undo:
                extra["step_status"] = "pending"  # only its condition was asked: now it begins to wait
        kind = EventType.UNDO_ENDED if attempt.is_undo else EventType.ATTEMPT_ENDED
        data = rules.event_data(outcome, verdict, **extra)
        self.add_fact(run, Event(kind, now, undone_key(attempt.key), attempt.number, data))

    # -- go on with what another executor left ---------------------------------------------------------------------

    def _reconcile(self, run: LiveRun) -> None:
        """Compare what the history says is under way with what there is, and put it right."""
        self._watch_run_deadline(run)
        decider = run.decider
        if decider.mode is Mode.ENDED:  # asked to end by somebody who could not carry it out
            self.add_fact(run, _end_event(decider.end()))
            return
        for end in decider.ends():  # what was waited for came while nobody was at the run
            self.add_fact(run, _end_of_wait(end))
        for key in _under_way(decider):
            if key in run.attempts:
                continue
            state = run.step_state(key)
            if state.status is StepStatus.RUNNING:
                self._find(run, key)
            elif state.waits_for_child():
                self.children.go_on(run, key)
            elif decider.mode is Mode.STOPPING:
                self.add_fact(run, ended_outside(key, "canceled", state.error or _RUN_STOPPED))
            elif state.status is StepStatus.WAITING and state.retry_at is not None:
                self._at_wall(state.retry_at, self._retry_due, run, key, state.retry_at)
            elif state.waiting is not None and "until" in state.waiting:
                self.at_wait_over(run, key, state.waiting["until"])
            elif state.status is StepStatus.PENDING:
                self.add_fact(run, Start(key))

    def _find(self, run: LiveRun, key: str) -> None:
        """An attempt that is recorded as started: adopt it, record its end, start it, or count it as lost."""
        last = run.step_state(key).attempts[-1]
        attempt = LiveAttempt(run, key, last.number, last.started_at)
        attempt.own = False
        run.attempts[key] = attempt
        self._do(self._find_keeper, attempt, 0)

    def _may_start(self, attempt: LiveAttempt) -> bool:
        """Whether an attempt that has no state file has certainly not run. It may have run when the machine has been
        started anew since: a file that was just made is gone after a power cut. A poll may be asked once more."""
        boot = attempt.run.step_state(attempt.key).attempts[-1].boot
        return not boot or not self.executor.boot or boot == self.executor.boot or attempt.poll is not None

    def _find_keeper(self, attempt: LiveAttempt, looks: int) -> None:
        run = attempt.run
        if run.attempts.get(attempt.key) is not attempt or attempt.pid:
            return
        found = files_of.read_state(attempt.files.state)
        stop = attempt.kind_of_stop or _stop_of(run.decider)
        if found is None and (stop is not None or run.decider.mode is Mode.STOPPING):
            attempt.kind_of_stop = stop
            self._ended(attempt, None)  # it never started, and nothing starts any more
            return
        if found is None and not self._may_start(attempt):
            self._ended(attempt, None)
            return
        if attempt.poll is not None:  # start_to_close is for one probe, and this is another than the first
            attempt.started_at = clock.now() if found is None else _made_at(attempt.files.state, attempt.started_at)
            attempt.probes = (files_of.read_poll(attempt.files.poll) or (0, 0))[0]  # its waits go on growing from there
        if found is None:
            attempt.own = True
            try:
                self._spawn(attempt, self._command(run, attempt.key, attempt.number))
            except UnresolvedError as error:
                self._record_end(attempt, Outcome(rules.FAILED, error=str(error), non_retryable=True), {})
            return
        if found.pid is None and looks < 20:  # a keeper that has just made its file
            self._at(clock.monotonic() + LEFTOVER_CHECK_MS, self._find_keeper, attempt, looks + 1)
            return
        pid = launch.find(attempt.files, attempt.token)
        if pid is None:
            # It may have ended between the two looks.
            self._ended(attempt, files_of.read_state(attempt.files.state))
            return
        attempt.pid = pid
        self._watch_attempt(attempt)
        if stop is not None:
            attempt.kind_of_stop = None
            self._do(self._stop, attempt, stop)


_OVER_AT_MOST = 100
_NO_TIMEOUTS = Timeouts()
_NO_FAILURE = files_of.Failure()
_OTHER_FAILED = "another item has failed"


def taken(executor: Executor, now: int) -> Event:
    return Event(EventType.RUN_TAKEN, now, data={"executor": executor.id, "boot": executor.boot})


def created(new: NewRun, params: dict[str, Any], now: int, like: Like | None = None) -> Event:
    """The first event of a run; `like` is what it reuses of another."""
    data: dict[str, Any] = {} if new.trigger == "manual" else {"trigger": new.trigger}
    if new.fire_time is not None:
        data["fire_time"] = new.fire_time
    if params:
        data["params"] = params
    if like is not None:
        data.update(like=like.run, reused=like.reused)
    return Event(EventType.RUN_CREATED, now, data=data)


def _under_way(decider: Decider) -> list[str]:
    """What was started and has not ended: steps, and the compensation that is carried out."""
    return [*decider.active(), *([decider.undoing + UNDO] if decider.undoing is not None else [])]


def _stop_of(decider: Decider) -> str | None:
    """How attempts that run are to be stopped, None when they may end by themselves."""
    if decider.mode is not Mode.STOPPING or decider.outcome is RunStatus.FAILED:
        return None
    how = {RunStatus.TERMINATED: "kill", RunStatus.TIMED_OUT: "run"}
    return how.get(decider.outcome or RunStatus.CANCELED, "cancel")


def _end_event(action: FinishRun) -> Event:
    data = {"status": str(action.status)}
    if action.reason:
        data["reason"] = action.reason
    return Event(EventType.RUN_ENDED, clock.now(), data=data)


def _end_of_wait(end: EndStep | EndWait) -> Event:
    if isinstance(end, EndWait):
        data: dict[str, Any] = {"name": end.signal}
        if end.payload is not None:
            data["payload"] = end.payload
        return Event(EventType.WAIT_ENDED, clock.now(), end.step, data=data)
    data = {"status": str(end.status)}
    if end.outputs:
        data["outputs"] = dict(end.outputs)
    if end.error is not None:
        data["error"] = end.error
    return Event(EventType.STEP_ENDED, clock.now(), end.step, data=data)


def _list_items(run: LiveRun, step: Step) -> Event:
    """The event that makes a `foreach` step fall into its items - or ends it, when there is no list."""
    known = run.state.step(step.name).items
    if known is not None:
        return Event(EventType.ITEMS_LISTED, clock.now(), step.name, data={"count": len(known)})
    try:
        items = run.context.items(step)
    except UnresolvedError as error:
        return ended_outside(step.name, "failed", run.context.mask(str(error)))
    return Event(EventType.ITEMS_LISTED, clock.now(), step.name, data={"count": len(items), "items": items})


def ended_outside(key: str, status: str, error: str) -> Event:
    """A step, or its undo, that ends with no attempt running."""
    kind = EventType.UNDO_ENDED if is_undo(key) else EventType.STEP_ENDED
    return Event(kind, clock.now(), undone_key(key), data={"status": status, "error": error})


def _signal(attempt: LiveAttempt, number: int) -> None:
    """To the attempt's process group. An adopted keeper is looked at again first: a pid alone proves nothing."""
    if attempt.pid and (attempt.own or launch.find(attempt.files, attempt.token) == attempt.pid):
        launch.signal_group(attempt.pid, number)


def _stopped(attempt: LiveAttempt, known: Outcome) -> Outcome:
    """The outcome of an attempt that was stopped, whatever its command made of the signal."""
    kind = attempt.kind_of_stop
    assert kind is not None
    error = {"cancel": "canceled", "kill": "terminated", "drain": _RUN_STOPPED}.get(kind)
    if error is not None:
        return Outcome(rules.CANCELED, known.exit_code, known.signal, error=error)
    from jobctl.core.durations import format

    if kind == "run":
        error = "stopped: the run's timeout passed"
    elif kind == "deadline":
        assert attempt.poll is not None
        error = _did_not_hold(attempt.poll, attempt.timeouts, kind)
    else:
        after = format(getattr(attempt.timeouts, kind))
        error = f"no heartbeat for {after}" if kind == "heartbeat" else f"{kind} of {after} passed"
    return Outcome(rules.TIMED_OUT, known.exit_code, known.signal, error=error, timeout=kind)


def _did_not_hold(poll: Poll, timeouts: Timeouts, which: str) -> str:
    from jobctl.core.durations import format

    limit = poll.deadline if which == "deadline" else timeouts.schedule_to_close
    assert limit is not None
    return f"the condition did not hold within {format(limit)}"


def _made_at(path: str, otherwise: int) -> int:
    """When a probe's keeper made its state file."""
    try:
        return os.stat(path).st_mtime_ns // 1_000_000
    except OSError:
        return otherwise


def _cap_log(attempt: LiveAttempt) -> None:
    limit = attempt.run.job.log_limit
    try:
        if os.stat(attempt.files.log).st_size > limit:
            from jobctl.process import logs

            logs.cap(attempt.files.log, limit)
    except OSError:
        pass  # gone, or no room to make room: looked at again in a second


def _outputs_so_far(path: str) -> dict[str, str]:
    """What a failed command handed on: its compensation may need it. That it cannot be read is no second failure."""
    try:
        return files_of.read_outputs(path)
    except FileError:
        return {}


def _went_away(attempt: LiveAttempt) -> bool:
    """Whether a keeper of ours has ended without starting anything. Its pid stays taken until it is reaped."""
    if not attempt.own:
        return False
    try:
        end = os.waitid(os.P_PID, attempt.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return end is not None and end.si_code == os.CLD_EXITED and end.si_status == launch.WENT_AWAY


def _reap(pid: int) -> None:
    """Take the exit status of a child, so that no zombie stays. An adopted keeper is nobody's child here."""
    if pid:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass
