"""The local engine's loop: what happened -> events -> commit -> decide -> act. Processes and SQLite, one thread.

What follows from what is decided in core/; how a process is started and stopped is process/; here they are put in
order: record that an attempt starts, start it, learn of its end, record that. One commit for all that one turn learned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from jobctl.core import kinds
from jobctl.core.errors import JobctlError, StoreError, StoreUnavailableError, UnwritableError
from jobctl.core.keys import UNDO, is_undo, undone_key
from jobctl.core.model import Job, Queue, When
from jobctl.core.record import NamedTuple
from jobctl.core.run import attempts as rules
from jobctl.core.run.decide import Decider, Mode, Stop
from jobctl.core.run.history import Event, EventType, RunState, replay
from jobctl.core.run.newrun import created
from jobctl.core.run.payloads import carried, carries
from jobctl.core.run.resume import restore
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.core.run.turn import (
    Answer,
    Effects,
    Fact,
    Find,
    FindChild,
    Later,
    Moment,
    Rules,
    Start,
    Want,
    Wanted,
    begun_now,
)
from jobctl.engines.local.commands import RunContext, UnresolvedError
from jobctl.engines.local.executor import Executor, alive
from jobctl.engines.local.executor import folder as executor_folder
from jobctl.engines.run_files import run_folder
from jobctl.engines.trouble import in_a_sentence
from jobctl.host import clock, reserve
from jobctl.process import attempt as files_of
from jobctl.process.attempt import AttemptFiles
from jobctl.process.held import Attempt, Command, Ended, NotStartableError, Report
from jobctl.process.keepers import private_files
from jobctl.process.supervisor import Supervisor
from jobctl.process.timers import Timers
from jobctl.process.watch import Watch
from jobctl.store.append import Batch, Beside, NotTogetherError
from jobctl.store.database import Transaction
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.core.clocks import Mono
    from jobctl.engines.base import Reused
    from jobctl.engines.local.child_runs import Begun, Children, Family
    from jobctl.engines.local.holders import Holders
    from jobctl.engines.local.notifications import Notice
    from jobctl.process.keepers import Link

LOOK_EVERY_MS = 5_000  # for what a lost poke would have told
RETRY_STORE_MS = 1_000  # between two tries to write what could not be written
QUEUE_CHECK_MS = 200  # while attempts wait for a place that another process may give back
ASLEEP_FROM_MS = 60_000  # a run that waits for longer than this is let go by a daemon
FAR = 1 << 62  # later than any time


class Observer(Protocol):
    """Who is told what was recorded. Called after the commit, in the order of the history."""

    def recorded(self, run: LiveRun, events: list[Event]) -> None: ...


class Aside(NamedTuple):
    """A run that an executor has put aside: what went wrong in it is nobody else's affair."""

    run: int
    name: str
    why: str


class Company(NamedTuple):
    """What is recorded in one commit with the runs that were submitted: other new runs, and whatever `beside` writes.
    `done` is told the names of those of these runs whose fire time was dealt with already."""

    batches: Sequence[Batch]
    beside: Beside
    done: Callable[[set[str]], None]


Work = tuple["LiveRun", list[Fact], list[Event]]  # a run, new facts, and events that others have already recorded


def _all(company: Sequence[Company]) -> Beside | None:
    """What all of them write, as one."""
    if not company:
        return None

    def beside(db: Transaction) -> None:
        for each in company:
            each.beside(db)

    return beside


class LiveRun(Rules):
    """A run that this executor advances: its rules, its running attempts, and where it stands in the store."""

    __slots__ = (
        "context",
        "family",
        "has_folder",
        "id",
        "new",
        "parent",
        "parent_step",
        "seq",
        "take",
        "takers",
        "trail",
    )

    attempts: dict[str, Attempt[LiveRun]]
    children: dict[str, LiveRun]

    def __init__(self, run_id: int, name: str, job: Job, seq: int, state: RunState, decider: Decider) -> None:
        super().__init__(name, job, state, decider)
        self.id = run_id
        self.seq = seq
        self.take = 0  # the number of the event by which it was taken: the claim under which keepers hold its attempts
        self.takers: list[str] = []  # executors that have had it and may have begun attempts of it, the first one first
        self.new: NewRun | None = None  # until its first commit
        self.has_folder = False
        self.context: RunContext
        self.parent: int | None = None  # the run that started it as its child, and the key of the step there
        self.parent_step = ""
        self.trail: tuple[str, ...] = ()  # the steps that lead to it from the family's root here
        self.family: Family | None = None  # once it has a child, or is one


class Planned:
    """What the facts of one turn come to, as it is to be written: the answers that a run had are part of that."""

    __slots__ = ("children", "commands", "effects", "is_last", "limits", "notices", "places")

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_last = is_last  # that the run could not even begin
        self.effects = Effects()
        self.places: dict[str, int] = {}  # places of queues that attempts are about to take
        self.limits: dict[str, int] = {}  # of these queues
        self.commands: dict[tuple[str, int], Command] = {}  # by key and number of the attempt
        self.children: list[Begun] = []  # child runs that are recorded with this one
        self.notices: list[Notice] = []  # runs that tell of this one's end, and are recorded with it


class LocalEngine:
    """Advances runs in this process, under one executor's lock."""

    def __init__(
        self, store: Store, executor: Executor, *, observer: Observer | None = None, keeper: Link | None = None
    ) -> None:
        """`keeper`: one that was forked before the store was opened; else one is made when it is needed."""
        self.store = store
        self.executor = executor
        self.observer = observer
        self.runs: dict[int, LiveRun] = {}
        self._watch = Watch()
        self._watch.add(executor.wake_fd, self._poked)
        self._woken = False
        self._timers = Timers(self._failed)
        self._at, self._at_wall, self._do = self._timers.at, self._timers.at_wall, self._timers.do
        self._over = 0  # runs that have ended here and may have timers left
        self._facts: dict[int, tuple[LiveRun, list[Fact]]] = {}
        self._unwritten: dict[int, tuple[LiveRun, list[Fact]]] = {}  # kept while the store cannot be written
        self._looked_at = clock.monotonic()
        self._store_id = ""
        self.queues: Mapping[str, Queue] = {}  # their limits; a queue that is not here has none
        # queue -> steps that wait for a place of it, the longest waiting first. Each once: a second entry would start
        # the next attempt before its time.
        self._waiting: dict[str, dict[tuple[LiveRun, str], None]] = {}
        self._company: list[Company] = []
        self.rescued: set[int] = set()  # runs that were taken up for the places that they have
        self.remark: Callable[[str], None] = lambda _: None  # told what people are to know
        self._holders: Holders | None = None
        self._full: set[str] = set()  # queues whose last places others in the commit at hand take
        self._children: Children | None = None  # made for the first run that has a child or is one
        self.trouble: JobctlError | None = None  # why nothing can be recorded just now
        self.set_aside: list[Aside] = []  # runs that went wrong here and are here no more, for whoever is to tell
        private_files()
        self.supervisor: Supervisor[LiveRun] = Supervisor(
            executor_folder(store.state_dir),
            executor.id,
            executor.boot,
            self._watch,
            self._timers,
            self._attempt_told,
            stays=executor.kind == "daemon",
            forked=keeper,
        )
        store.register(executor.id, executor.pid, executor.kind, clock.now())

    # -- work comes in ---------------------------------------------------------------------------------------------

    def submit(
        self, new: NewRun, job: Job, params: dict[str, Any], *, env_file: dict[str, str], like: Reused | None = None
    ) -> LiveRun:
        """A new run of `job`, started at the next turn - unless its fire time turns out to have been dealt with."""
        run = LiveRun(0, new.name, job, 0, RunState(), Decider(job))
        run.new = new
        now = clock.now()
        run.state.created_at = now
        run.state.params = params
        run.state.fire_time = new.fire_time
        run.context = self.context_of(run, env_file)
        self.add_fact(run, created(new, params, now, like=like))
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
        runs: list[LiveRun] = []
        work: list[Work] = []
        for run_id in self.store.take(jobs, ours.id, ours.boot, clock.now(), lambda other: alive(state_dir, other)):
            row = self.store.run(run_id)
            try:
                run, last = self._restored(row, *jobs[run_id])
            except Exception as error:
                if not self._is_its_own(error):
                    for run in runs:  # they stand under our name and are not here: they are looked for
                        self.runs.pop(run.id, None)
                    self.runs.pop(run_id, None)
                    raise
                self.runs.pop(run_id, None)
                self.set_aside.append(Aside(run_id, row.name, in_a_sentence(error)))
                continue
            runs.append(run)
            work.append((run, [], [last]))
        self._advance(work)
        for run in runs:
            if self.runs.get(run.id) is run:
                self._timers.do(self._reconcile, run)
        self.supervisor.flush()
        return [run for run in runs if run.name not in self.supervisor.aside]

    def _restored(self, row: RunRow, job: Job, env_file: dict[str, str]) -> tuple[LiveRun, Event]:
        """A run that was just taken, as its history says it is, and the event that says it was taken."""
        events = self.store.events(row.id, upto=row.seq)
        # RUN_TAKEN is the last: what it leads to in a run that was never begun is due now.
        state, decider = restore(job, events[:-1])
        run = LiveRun(row.id, row.name, job, row.seq - 1, state, decider)
        run.context = self.context_of(run, env_file)
        run.takers = _takers(events)
        self.runs[row.id] = run
        if job.children:
            self.children.link(run)
        if row.parent is not None:
            run.parent, run.parent_step = row.parent, row.parent_step or ""
            self.children.joined(run)
        self.supervisor.aside.discard(row.name)
        return run, events[-1]

    def unborn(self) -> list[LiveRun]:
        """Runs that were submitted and are not recorded yet."""
        return [run for run, _ in self._facts.values() if run.new is not None]

    def request(self, run: LiveRun, kind: EventType, *, reason: str, by: str) -> None:
        """A cancel or terminate from within this process (a signal, a parent's end): recorded and followed at the next
        turn. `by` is a person, "" for nobody."""
        self.add_fact(run, run.request(kind, reason, by, self.moment()))

    # -- the loop --------------------------------------------------------------------------------------------------

    def turn(self, timeout_ms: int | None = None) -> bool:
        """Wait for something to happen, at most so long, and do all that follows from it. Whether we were poked."""
        self.supervisor.flush()
        for act in self._watch.wait(self._wait_ms(timeout_ms)):
            self._do(act)
        mono = clock.monotonic()
        self._timers.due(mono)
        woken, self._woken = self._woken, False
        if woken or mono - self._looked_at >= LOOK_EVERY_MS:
            self._look(mono)
        self.flush()
        return woken

    def flush(self) -> None:
        """Record what was submitted or learned, and do what follows, without waiting for the next turn."""
        if self._children is not None:
            self._children.once()
        if self._facts or self._company:
            work: list[Work] = [(run, facts, []) for run, facts in self._facts.values()]
            self._facts.clear()
            self._advance(work)
        self.supervisor.flush()

    def record_beside(self, company: Company) -> None:
        """Record what was submitted together with something else, at the next `flush`. While the store cannot be
        written both are kept; where nothing was submitted it is for whoever asked to ask again."""
        self._company.append(company)

    def _poked(self) -> None:
        self._woken = True
        self.executor.drain()

    def stop_attempts(self) -> int:
        """Ask whatever runs here to end, because this process is about to, and nothing outlives it. How many run. What
        tells of that is not asked: who is to hear of it would hear of it when the next one begins."""
        self.draining = True
        attempts = [attempt for run in self.runs.values() for attempt in run.attempts.values()]
        running = [attempt for attempt in attempts if not attempt.over and not attempt.between_probes]
        for attempt in running:
            if attempt.owner.state.about is not None:
                continue
            if attempt.kind_of_stop is None and attempt.pending_stop is None:
                self._do(self.supervisor.stop, attempt, "daemon")
        return len(running)

    def watch_process(self, pid: int, ended: Callable[[], None]) -> None:
        """Call `ended` when a process that is none of ours ends."""
        self._watch.process(pid, ended)

    @property
    def draining(self) -> bool:
        """Whether no attempt starts any more: what runs ends, and somebody else goes on."""
        return self.supervisor.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self.supervisor.draining = value

    @property
    def attempts_running(self) -> int:
        return self.supervisor.running

    @property
    def busy(self) -> bool:
        """Whether a run is under way here, or something about one is still to be recorded."""
        return bool(self.runs or self._facts or self._unwritten or self._next_errand() is not None)

    @property
    def children(self) -> Children:
        """What knows of child runs: most runs do without it."""
        if self._children is None:
            from jobctl.engines.local.child_runs import Children

            self._children = Children(self)
        return self._children

    @property
    def holders(self) -> Holders:
        """What knows of runs that hold a place and have lost their process: few ever wait for one."""
        if self._holders is None:
            from jobctl.engines.local.holders import Holders

            self._holders = Holders(self)
        return self._holders

    def _next_errand(self) -> int | None:
        return self._children.next_errand if self._children is not None else None

    def close(self) -> None:
        """Stop advancing. Attempts that run go on under their keepers, for whoever takes the runs next."""
        self.supervisor.close()
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
        first = self._timers.first
        if first is not None:
            until = max(0, first - clock.monotonic())
            wait = until if wait is None else min(wait, until)
        if timeout_ms is not None:
            wait = timeout_ms if wait is None else min(wait, timeout_ms)
        return wait

    def add_fact(self, run: LiveRun, fact: Fact) -> None:
        """Something that is to be recorded of a run, and followed, at the next turn."""
        entry = self._facts.get(id(run))
        if entry is None:
            self._facts[id(run)] = (run, [fact])
        else:
            entry[1].append(fact)

    def _look(self, mono: Mono) -> None:
        """Read what others have appended to our runs."""
        self._looked_at = mono
        self.supervisor.reap_orphans()
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
        except JobctlError as error:
            if self.executor.kind != "daemon":
                raise
            self._put_aside(run, error)
            return []

    # -- a barrier around each run ---------------------------------------------------------------------------------

    def _failed(self, values: tuple[Any, ...], error: Exception) -> bool:
        """Something went wrong that nobody foresaw. Whether it is one run's affair, and that is put aside."""
        about = values[0] if values else None
        run = about.owner if isinstance(about, Attempt) else about
        if not isinstance(run, LiveRun) or not self._is_its_own(error):
            return False
        self._put_aside(run, error)
        return True

    def _is_its_own(self, error: Exception) -> bool:
        """Whether an error while a run was dealt with is that run's alone. A foreground executor has no other: it
        ends."""
        if self.executor.kind != "daemon":
            return False
        return isinstance(error, UnwritableError) or not isinstance(error, StoreError)

    def _put_aside(self, run: LiveRun, error: Exception) -> None:
        """The run is not here any more. Its commands run on, and their keepers keep how they end: whoever takes it next
        begins from what is recorded."""
        self.supervisor.aside.add(run.name)
        self._facts.pop(id(run), None)
        self._unwritten.pop(id(run), None)
        if run.parent is not None or run.family is not None:
            self.children.gone(run)
        self._let_go(run)
        self.set_aside.append(Aside(run.id, run.name, in_a_sentence(error)))

    def begin_anew(self) -> None:
        """Let go of all runs: what is in memory may be half done. They are to be taken again, from what is recorded."""
        for run in list(self.runs.values()):
            self.supervisor.aside.add(run.name)
            self._let_go(run)
        self._facts.clear()
        self._unwritten.clear()
        self._company.clear()
        self._waiting.clear()
        self._full = set()
        self._children = None
        self.trouble = None
        self._forget_timers()

    def context_of(self, run: LiveRun, env_file: dict[str, str]) -> RunContext:
        if not self._store_id:
            self._store_id = self.store.identity()
        folder = run_folder(self.store.state_dir, run.name)
        return RunContext(run.job, run.name, folder, self._store_id, self.store.state_dir, env_file, run.state)

    # -- decide and record -----------------------------------------------------------------------------------------

    def _advance(self, work: list[Work]) -> None:
        """Record facts and what they lead to, for several runs in one commit; then act."""
        company: list[Company] = []
        if not self._unwritten:  # it belongs to those
            company, self._company = self._company, []
        planned: dict[int, tuple[LiveRun, list[Fact], list[Event], Planned]] = {}
        batches: list[Batch] = []
        while work or batches or company:
            for run, facts, foreign in work:
                if id(run) in self._unwritten:
                    self._unwritten[id(run)][1].extend(fact for fact in facts if isinstance(fact, Event))
                    continue
                try:
                    batch, plan = self._planned(run, facts, foreign)
                except Exception as error:
                    if not self._is_its_own(error):
                        raise
                    if run.new is None:
                        self._put_aside(run, error)
                        continue
                    batch, plan = self._stillborn(run, facts, error), Planned()
                planned[id(batch)] = (run, facts, foreign, plan)
                batches.append(batch)
            work = []
            if self._children is not None:
                self._children.settle()
            try:
                written = [batch for batch in batches if batch.events or batch.wake_at is not None]
                beside = [one for each in company for one in each.batches]
                refused = self.store.append([*written, *beside], _all(company)) if written or company else []
            except (ArithmeticError, TypeError, ValueError, UnwritableError) as error:
                bad = self.store.unwritable(written) if self._is_its_own(error) else []
                if not bad:
                    raise
                for batch in bad:  # one run's events do not keep those of the others from being recorded
                    run, facts, _, plan = planned.pop(id(batch))
                    batches.remove(batch)
                    if run.new is None:
                        self._put_aside(run, error)
                    elif plan.is_last:  # not even that it has failed can be written: nothing of it can
                        self.set_aside.append(Aside(0, run.name, in_a_sentence(error)))
                    else:
                        batch = self._stillborn(run, facts, error)
                        planned[id(batch)] = (run, facts, [], Planned(is_last=True))
                        batches.append(batch)
                continue
            except StoreUnavailableError as error:
                self._keep(planned.values(), error)
                if any(run.new is not None for run, _, _, _ in planned.values()):
                    self._company = [*company, *self._company]
                self._full = set()
                return
            except NotTogetherError as error:
                for batch in error.batches:
                    run, facts, _, _ = planned.pop(id(batch))
                    work.append((run, facts, self._reload(run)))
                    self._full |= batch.limits.keys() if batch.limits is not None else set()
                batches = [batch for batch in batches if id(batch) in planned]
                continue  # what could be written stays as it is decided
            self._full = set()
            for each in company:
                each.done({one.new.name for one in refused if one in each.batches and one.new is not None})
            refused = [batch for batch in refused if id(batch) in planned]
            company = []
            again: dict[int, LiveRun] = {}  # parents that are to be looked at again
            for batch in refused:
                run, facts, _, _ = planned.pop(id(batch))
                if not batch.dealt_with:  # a fire time for which another daemon was faster is theirs
                    work.append((run, facts, self._reload(run)))
            for batch in batches:
                if id(batch) in planned:
                    run, _, foreign, plan = planned[id(batch)]
                    if run.new is not None:
                        run.id, run.new = batch.run_id, None
                        self.runs[run.id] = run
                        self._watch_run_deadline(run)
                    run.ends.clear()
                    run.seq = batch.seq + len(batch.events)
                    if foreign:
                        self._watch_run_deadline(run)
                    for event in batch.events:
                        if event.type in _ENDS and event.number:
                            key = event.step + UNDO if event.type is EventType.UNDO_ENDED else event.step
                            self.supervisor.recorded(f"{run.name}/{key}.{event.number}")
                    told = [*foreign, *batch.events]
                    if told and self.observer is not None:
                        self.observer.recorded(run, told)
                    if batch.wake_at is None:
                        try:
                            self._act(run, plan)
                        except Exception as error:
                            if not self._is_its_own(error):
                                raise
                            self._put_aside(run, error)
                    else:
                        self._let_go(run)
                    if run.parent is not None and run.id not in self.runs:
                        parent = self.children.gone(run) or (self.runs.get(run.parent) if batch.told else None)
                        if parent is not None:
                            again[parent.id] = parent
                        elif batch.told and run.parent not in self.runs:
                            self.children.wake(batch)
                    begun = [self.children.began(run, one) for one in plan.children]
                    work += [one for one in begun if one is not None]
                    work += [self._began(notice) for notice in plan.notices]
            batches, planned = [], {}
            known = {id(run) for run, _, _ in work}
            for parent in again.values():
                if id(parent) not in known and id(parent) not in self._unwritten:
                    work.append((parent, [], self._added(parent)))
            self.supervisor.flush()  # what was begun need not wait for what is recorded next

    def _planned(self, run: LiveRun, facts: list[Fact], foreign: list[Event]) -> tuple[Batch, Planned]:
        """What facts and what others have recorded come to, as it is to be written."""
        planned, moment = Planned(), self.moment()
        run.give(facts, foreign)
        while (want := run.advance(moment)) is not None:
            run.answer(want, self._answer(run, want, planned, moment))
        events, effects = run.outcome()
        planned.effects = effects
        if effects.taken is not None and effects.taken[0] == self.executor.id:
            run.take = effects.taken[1]
        batch = Batch(
            run.id,
            run.seq + len(foreign),
            events,
            run.state,
            executor=self.executor.id,
            new=run.new,
            limits=planned.limits,
            wake_at=self._wake_at(run, planned),
            children=[begun.batch for begun in planned.children],
            tell=self.children.tell(run, events) if run.parent is not None else None,
            notices=[notice.batch for notice in planned.notices],
        )
        return batch, planned

    def _stillborn(self, run: LiveRun, facts: Iterable[Fact], error: Exception) -> Batch:
        """A new run that cannot be begun: recorded as failed, and its fire time as dealt with."""
        first = next(fact for fact in facts if isinstance(fact, Event))
        why = carries(EventType.RUN_ENDED, {"status": "failed", "reason": in_a_sentence(error)})
        end = Event(EventType.RUN_ENDED, clock.now(), data=why)
        run.state = replay([first, end])
        return Batch(0, 0, [first, end], run.state, executor=self.executor.id, new=run.new)

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
        for attempt in run.attempts.values():
            self.supervisor.drop(attempt)
        self._forget_timers()

    def _forget_timers(self) -> None:
        """Those of runs that are not here any more: a timeout of a day would keep a run that took a second."""
        self._over = 0
        self._timers.keep(self._concerns_us)

    def _concerns_us(self, values: tuple[Any, ...]) -> bool:
        about = values[0] if values else None
        if isinstance(about, Attempt):
            return not about.over
        return not isinstance(about, LiveRun) or self.runs.get(about.id) is about

    def _wake_at(self, run: LiveRun, planned: Planned) -> int | None:
        """When a run that from now on only waits, and for long, is to be looked at again. None: it stays here.

        Only a daemon lets runs go: it is there to wake them.
        """
        effects = planned.effects
        if self.executor.kind != "daemon" or run.attempts or effects.launches or effects.queued or effects.held:
            return None
        if run.children or not all(begun.queued for begun in planned.children):
            return None  # they are here, and their ends are its news
        return run.rests_until(self.moment())

    def moment(self) -> Moment:
        """What the clocks show."""
        return Moment(clock.now(), clock.monotonic(), clock.boottime(), self.executor.boot, not self.draining)

    # -- what a run wants ------------------------------------------------------------------------------------------

    def _answer(self, run: LiveRun, want: Want, planned: Planned, moment: Moment) -> Answer:
        """This engine answers at once."""
        match want.kind:
            case Wanted.COMMAND:
                return self._can_run(run, want, planned)
            case Wanted.LEAVE:
                return Answer(self.children.admits(run, want.key))
            case Wanted.PLACE:
                return self._place(run, want, planned)
            case Wanted.ITEMS:
                return self._found(run, lambda: run.context.items(run.step(want.key)))
            case Wanted.INSTANT:
                return self._found(run, lambda: run.context.sleep_until(run.step(want.key)))
            case Wanted.CHILD:
                return self.children.begin(run, want.key, planned, moment)
            case Wanted.TOLD:
                from jobctl.engines.local import notifications as notices

                assert want.event is not None
                planned.notices = notices.begun(self, run, want.event)
                return Answer(True, [notice.run.name for notice in planned.notices])

    def _can_run(self, run: LiveRun, want: Want, planned: Planned) -> Answer:
        try:
            planned.commands[want.key, want.number] = self._command(run, want.key, want.number)
        except UnresolvedError as error:
            return Answer(False, error=run.context.mask(str(error)))
        return Answer(True, {"keeper": self.supervisor.current()})

    def _found(self, run: LiveRun, find: Callable[[], Any]) -> Answer:
        try:
            return Answer(True, find())
        except (UnresolvedError, ValueError) as error:
            return Answer(False, error=run.context.mask(str(error)))

    def _place(self, run: LiveRun, want: Want, planned: Planned) -> Answer:
        if not self._has_place(want.queue, planned):
            return Answer(False)
        if want.queue in self._waiting:  # it may have been told to start on two ways: it leaves the line on either
            self._waiting[want.queue].pop((run, want.key), None)
        return Answer(True)

    def _has_place(self, queue: str, planned: Planned) -> bool:
        """Whether an attempt may start in a queue now. The store has the last word, when it is recorded."""
        limit = self.queues[queue].concurrency if queue in self.queues else None
        if limit is None:
            return True
        if queue in self._full:
            return False
        taken = planned.places.get(queue, 0)
        if self.store.in_queue(queue) + taken >= limit:
            return False
        planned.places[queue] = taken + 1
        planned.limits[queue] = limit
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
            self._look_at_holders()
            self._at(clock.monotonic() + QUEUE_CHECK_MS, self._look_at_queues)

    def _look_at_holders(self) -> None:
        """What has a place and no process any more gives it back, also where there is no daemon to see to it."""
        if self.executor.kind == "daemon" or not self.holders.due():
            return
        for queue in list(self._waiting):
            for sentence in self.holders.take_up(self.store.runs_of_attempts_with_places(queue)):
                self.remark(sentence)

    def _command(self, run: LiveRun, key: str, number: int) -> Command:
        files = AttemptFiles(run.context.folder, key, number)
        command = run.context.undo_command if is_undo(key) else run.context.step_command
        return command(run.step(key), run.state.step(undone_key(key)), number, files)

    def _make_place(self, run: LiveRun, key: str, command: Command) -> None:
        """What must be there before an attempt begins: the run's folder, and what its waits have come to. OSError."""
        if not run.has_folder:
            os.makedirs(run.context.folder, mode=0o700, exist_ok=True)
            run.has_folder = True
        delivered = run.step_state(key).delivered
        if delivered:
            files_of.write_waits(command.environment["JOBCTL_WAITS"], delivered)

    def _reload(self, run: LiveRun) -> list[Event]:
        """Put the run back to what it was before a turn that was not recorded. Returns what others have added."""
        if run.new is not None:
            run.forget()
            run.state, run.decider = RunState(), Decider(run.job)
            run.context.state = run.state
            return []
        events = self.store.events(run.id)
        run.forget()
        run.state, run.decider = restore(run.job, events[: run.seq])
        run.context.state = run.state
        return events[run.seq :]

    def _keep(
        self, planned: Iterable[tuple[LiveRun, list[Fact], list[Event], Planned]], error: StoreUnavailableError
    ) -> None:
        """The store cannot be written: what was learned is kept and tried again; nothing new starts meanwhile."""
        self.trouble = error
        reserve.give_up_for(error, self.store.state_dir)
        for run, facts, _, _ in planned:
            self._unwritten[id(run)] = (run, [fact for fact in facts if isinstance(fact, Event)])
        self._at(clock.monotonic() + RETRY_STORE_MS, self._try_again)

    def _try_again(self) -> None:
        waiting = list(self._unwritten.values())
        for run, facts in waiting:  # what was learned in this very turn belongs to it
            facts.extend(fact for fact in self._facts.pop(id(run), (run, []))[1] if isinstance(fact, Event))
            if run.new is not None:  # it begins now: until it is recorded, its timeout does not count
                facts[:] = begun_now([fact for fact in facts if isinstance(fact, Event)], clock.now())
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

    def _act(self, run: LiveRun, planned: Planned) -> None:
        effects = planned.effects
        for key, number in effects.launches:
            self._launch(run, key, number, planned.commands[key, number])
        for key, how in effects.stops:
            attempt = run.attempts.get(key)
            # What runs may end by itself when the run drains; a poll is not asked once more.
            if attempt is not None and (how is not Stop.DRAIN or attempt.between_probes):
                self._do(self.supervisor.stop, attempt, _word_for(how))
        for queue, key in effects.queued:
            if not self._waiting:
                self._at(clock.monotonic() + QUEUE_CHECK_MS, self._look_at_queues)
            self._waiting.setdefault(queue, {}).setdefault((run, key))
        for key in effects.held:
            self.children.hold(run, key)
        for ask in effects.asks:
            self.children.ask(run, ask)
        for key in effects.woken:
            self._wake(run, key)
        for until, name in effects.waits:
            self.at_wait_over(run, name, until)
        for retry_at, name in effects.timers:
            self._at_due(run, name, retry_at, self._retry_due)
        if run.state.status is not None and run.state.status.final:
            self.runs.pop(run.id, None)
            self._over += 1
            if self._over > _OVER_AT_MOST + len(self.runs):
                self._forget_timers()

    def _wake(self, run: LiveRun, key: str) -> None:
        """The time that it waited for is now; a poll is asked."""
        step = run.step_state(key)
        if step.waiting is not None and "until" in step.waiting:
            self.at_wait_over(run, key, step.waiting["until"])
        elif step.retry_at is not None:
            self._at_wall(step.retry_at, self._retry_due, run, key, step.retry_at)
        elif key in run.attempts:
            self.supervisor.ask_now(run.attempts[key])

    def _watch_run_deadline(self, run: LiveRun) -> None:
        at = run.watch_deadline(self.moment())
        if at is not None:
            self._at(at, self._run_deadline, run, run.deadline_of)

    def _run_deadline(self, run: LiveRun, try_started_at: int) -> None:
        if self.runs.get(run.id) is run:
            self._record(run, run.deadline_passed(try_started_at, self.moment()))

    def _record(self, run: LiveRun, fact: Fact | None) -> None:
        if fact is not None:
            self.add_fact(run, fact)

    def at_wait_over(self, run: LiveRun, key: str, until: int) -> None:
        """Have it recorded then that what a step waits for has not come in time, or that its sleep is over."""
        self._at_due(run, key, until, self._wait_over)

    def _at_due(self, run: LiveRun, key: str, instant: int, act: Callable[[LiveRun, str, int], None]) -> None:
        self._at(self.moment().mono_of(run.step_state(key), instant), act, run, key, instant)

    def _wait_over(self, run: LiveRun, name: str, until: int) -> None:
        if self.runs.get(run.id) is not run:
            return
        found = run.wait_over(name, until, self.moment())
        if isinstance(found, Later):
            self.at_wait_over(run, name, until)
        else:
            self._record(run, found)

    def _retry_due(self, run: LiveRun, key: str, retry_at: int) -> None:
        if self.runs.get(run.id) is run:
            self._record(run, run.retry_due(key, retry_at))

    def _launch(self, run: LiveRun, key: str, number: int, command: Command) -> None:
        attempt = self._attempt(run, key, number, run.step_state(key).attempts[-1].started_at, command)
        run.attempts[key] = attempt
        self.supervisor.start(attempt)

    def _attempt(
        self, run: LiveRun, key: str, number: int, started_at: int, command: Command | None = None
    ) -> Attempt[LiveRun]:
        """An attempt that is recorded as started, as the supervisor wants it told."""
        step, undo = run.step(key), is_undo(key)
        of = step.compensate if undo and step.compensate is not None else step
        poll = None if undo else step.poll
        limit, began = run.job.timeout, run.state.try_started_at
        return Attempt(
            run,
            key,
            number,
            run=run.name,
            take=run.take,
            files=AttemptFiles(run.context.folder, key, number),
            token=run.context.token(key, number),
            timeouts=of.timeouts,
            started_at=started_at,
            step_started_at=run.step_state(key).started_at or started_at,
            command=lambda checked: self._prepared(run, key, number, checked, None if checked else command),
            poll=poll,
            goes_on=lambda: run.decider.mode is not Mode.STOPPING,
            may_suspend=not undo and kinds.of(step).may_suspend and poll is None,
            has_condition=bool(step.only_if) and not undo and not run.state.step(key).checked,
            wants_stdout=not undo and step.name in run.context.stdout_of,
            grace=run.job.kill_grace,
            log_limit=run.job.log_limit,
            # What undoes, or clears away, is not kept from it.
            disk_limit=0 if undo or step.when is not When.SUCCESS else run.job.disk_limit or 0,
            run_limit=began + limit if limit is not None and began is not None and not undo else None,
        )

    def _prepared(self, run: LiveRun, key: str, number: int, checked: bool, first: Command | None) -> Command:
        """What an attempt is to run; made again for another probe of a poll, and for one that never began. OSError."""
        try:
            command = first if first is not None else self._command(run, key, number)
        except UnresolvedError as error:
            raise NotStartableError(rules.Outcome(rules.FAILED, error=str(error), non_retryable=True)) from None
        self._make_place(run, key, command)
        return command._replace(only_if="") if checked else command

    # -- an attempt ends -------------------------------------------------------------------------------------------

    def _attempt_told(self, attempt: Attempt[LiveRun], report: Report) -> None:
        """An attempt is over: what is to be recorded of it."""
        run = attempt.owner
        if run.attempts.get(attempt.key) is not attempt:
            return
        run.attempts.pop(attempt.key)
        if isinstance(report, Ended):
            self._record_end(attempt, report.outcome, report.extra)
            return
        end = run.attempt_suspended(attempt.key, attempt.number, report.wait, report.extra, self.moment())
        self.add_fact(run, end)

    def _record_end(self, attempt: Attempt[LiveRun], outcome: rules.Outcome, extra: dict[str, Any]) -> None:
        run = attempt.owner
        outcome = run.context.shown(outcome, run.retry_policy(attempt.key))
        ended_at, moment = attempt.ended_at, self.moment()
        for event in run.attempt_ended(attempt.key, attempt.number, outcome, extra, ended_at, moment):
            self.add_fact(run, event)

    # -- go on with what another executor left ---------------------------------------------------------------------

    def _reconcile(self, run: LiveRun) -> None:
        """Compare what the history says is under way with what there is, and put it right."""
        self._watch_run_deadline(run)
        for left in run.left(run.attempts, self.moment()):
            if isinstance(left, Find):
                self._find(run, left.key)
            elif isinstance(left, FindChild):
                self.children.go_on(run, left.key)
            elif isinstance(left, Later):
                self.later(run, left)
            else:
                self.add_fact(run, left)

    def later(self, run: LiveRun, what: Later) -> None:
        self._at_due(run, what.key, what.at, self._retry_due if what.retry else self._wait_over)

    def _find(self, run: LiveRun, key: str) -> None:
        """An attempt that is recorded as started: adopt it, record its end, start it, or count it as lost."""
        last = run.step_state(key).attempts[-1]
        attempt = self._attempt(run, key, last.number, last.started_at)
        run.attempts[key] = attempt
        # One that no journal knows may have run when the machine has been started anew since: a file that was just made
        # is gone after a power cut. A poll may be asked once more.
        boot = last.boot
        same = not boot or not self.executor.boot or boot == self.executor.boot or attempt.poll is not None
        old = last.keeper is None
        stop = _word_for(run.decider.asked_to_end(key))
        self.supervisor.attach(attempt, run.takers, stop=stop, may_start=same, by_shell=old)


_OVER_AT_MOST = 100
_ENDS = (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED)


def _word_for(how: Stop | None) -> str | None:
    """The supervisor's word for how an attempt is to be stopped."""
    return "run" if how is Stop.TIMEOUT else how


def taken(executor: Executor, now: int) -> Event:
    return Event(
        EventType.RUN_TAKEN, now, data=carries(EventType.RUN_TAKEN, {"executor": executor.id, "boot": executor.boot})
    )


def _takers(events: Iterable[Event]) -> list[str]:
    """Executors that have taken a run, in order, each once where it came last."""
    found = [
        data["executor"]
        for event in events
        if event.type is EventType.RUN_TAKEN and "executor" in (data := carried(event.type, event))
    ]
    return list(dict.fromkeys(found))
