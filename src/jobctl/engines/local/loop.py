"""The local engine's loop: what happened -> events -> commit -> decide -> act. Processes and SQLite, one thread.

What follows from what is decided in core/; how a process is started and stopped is process/; here they are put in
order: record that an attempt starts, start it, learn of its end, record that. One commit for all that one turn learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from jobctl.core.errors import JobctlError, StoreError, StoreUnavailableError, UnwritableError
from jobctl.core.model import Job, Queue
from jobctl.core.run.decide import Decider
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.newrun import created
from jobctl.core.run.rows import NewRun
from jobctl.core.run.turn import (
    Fact,
    Moment,
)
from jobctl.engines.local.attempts import Attempts
from jobctl.engines.local.commands import RunContext
from jobctl.engines.local.commit import Commits
from jobctl.engines.local.ends import Ends
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.executor import folder as executor_folder
from jobctl.engines.local.lines import Lines
from jobctl.engines.local.live import LOOK_EVERY_MS, Aside, Company, LiveRun, Observer, Work, taken
from jobctl.engines.local.recover import Recovery
from jobctl.engines.local.timers import RunTimers
from jobctl.engines.run_files import run_folder
from jobctl.engines.trouble import in_a_sentence
from jobctl.host.host import Host
from jobctl.process.held import Attempt
from jobctl.process.keepers import private_files
from jobctl.process.supervisor import Supervisor
from jobctl.process.timers import Timers
from jobctl.process.watch import Watch
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.clocks import Mono
    from jobctl.engines.local.child_runs import Children
    from jobctl.engines.local.holders import Holders
    from jobctl.engines.values import Reused
    from jobctl.process.keepers import Link


class LocalEngine:
    """Advances runs in this process, under one executor's lock."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        host: Host,
        observer: Observer | None = None,
        keeper: Link | None = None,
    ) -> None:
        """`keeper`: one that was forked before the store was opened; else one is made when it is needed."""
        self.store = store
        self.host = host
        self.executor = executor
        self.observer = observer
        self.runs: dict[int, LiveRun] = {}
        self._watch = Watch()
        self._watch.add(executor.wake_fd, self._poked)
        self._woken = False
        self._timers = Timers(host, self._failed)
        self._facts: dict[int, tuple[LiveRun, list[Fact]]] = {}
        self._looked_at = self.host.monotonic()
        self._store_id = ""
        self.queues: Mapping[str, Queue] = {}  # their limits; a queue that is not here has none
        self.rescued: set[int] = set()  # runs that were taken up for the places that they have
        self.remark: Callable[[str], None] = lambda _: None  # told what people are to know
        self._holders: Holders | None = None
        self._children: Children | None = None  # made for the first run that has a child or is one
        self.trouble: JobctlError | None = None  # why nothing can be recorded just now
        self.set_aside: list[Aside] = []  # runs that went wrong here and are here no more, for whoever is to tell
        self.timers = RunTimers(self, self._timers, self.add_fact)
        self.lines = Lines(self, self._timers, self.add_fact)
        self.attempts = Attempts(self, self._timers.do)
        self.commits = Commits(self, self._timers, self.lines)
        self.recovery = Recovery(self, self.add_fact, self._timers.do)
        private_files()
        self.supervisor: Supervisor[LiveRun] = Supervisor(
            executor_folder(store.state_dir),
            executor.id,
            executor.boot,
            self._watch,
            self._timers,
            Ends(self, self.add_fact).told,
            stays=executor.kind == "daemon",
            forked=keeper,
        )
        store.register(executor.id, executor.pid, executor.kind, self.host.now())

    # -- work comes in ---------------------------------------------------------------------------------------------

    def submit(
        self, new: NewRun, job: Job, params: dict[str, Any], *, env_file: dict[str, str], like: Reused | None = None
    ) -> LiveRun:
        """A new run of `job`, started at the next turn - unless its fire time turns out to have been dealt with."""
        run = LiveRun(0, new.name, job, 0, RunState(), Decider(job))
        run.new = new
        now = self.host.now()
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
        return self.recovery.take(left)

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
            self._timers.do(act)
        mono = self.host.monotonic()
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
        if self._facts or self.commits.company:
            work: list[Work] = [(run, facts, []) for run, facts in self._facts.values()]
            self._facts.clear()
            self.commits.advance(work)
        self.supervisor.flush()

    def record_beside(self, company: Company) -> None:
        """Record what was submitted together with something else, at the next `flush`. While the store cannot be
        written both are kept; where nothing was submitted it is for whoever asked to ask again."""
        self.commits.company.append(company)

    def _poked(self) -> None:
        self._woken = True
        self.executor.drain()

    def stop_attempts(self) -> int:
        """Ask whatever runs here to end, because this process is about to, and nothing outlives it. How many run."""
        self.draining = True
        return self.attempts.stop_all()

    def settle(self) -> None:
        """What was learned is planned: child runs that begin by it are counted when it is asked again."""
        if self._children is not None:
            self._children.settle()

    def taken_from_line(self, run: LiveRun) -> list[Fact]:
        """What was learned of a run and is in nobody's hands yet: it is in the caller's now."""
        return self._facts.pop(id(run), (run, []))[1]

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
        return bool(self.runs or self._facts or self.commits.unwritten or self._next_errand() is not None)

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
            left = max(0, errand - self.host.monotonic())
            wait = left if wait is None else min(wait, left)
        first = self._timers.first
        if first is not None:
            until = max(0, first - self.host.monotonic())
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
                if run is not None and run.seq < seq and id(run) not in self.commits.unwritten:
                    work.append((run, [], self.added(run)))
            self.store.check_place()
        except StoreUnavailableError as error:
            self.trouble = error
            return
        if not self.commits.unwritten:
            self.trouble = None
        if work:
            self.commits.advance(work)

    def added(self, run: LiveRun) -> list[Event]:
        """What others have appended to a run. One that can no longer be read is let go: it does not stop the others."""
        try:
            return self.store.events(run.id, after=run.seq)
        except StoreUnavailableError:
            raise
        except JobctlError as error:
            if self.executor.kind != "daemon":
                raise
            self.put_aside(run, error)
            return []

    # -- a barrier around each run ---------------------------------------------------------------------------------

    def _failed(self, values: tuple[Any, ...], error: Exception) -> bool:
        """Something went wrong that nobody foresaw. Whether it is one run's affair, and that is put aside."""
        about = values[0] if values else None
        run = about.owner if isinstance(about, Attempt) else about
        if not isinstance(run, LiveRun) or not self.is_its_own(error):
            return False
        self.put_aside(run, error)
        return True

    def is_its_own(self, error: Exception) -> bool:
        """Whether an error while a run was dealt with is that run's alone. A foreground executor has no other: it
        ends."""
        if self.executor.kind != "daemon":
            return False
        return isinstance(error, UnwritableError) or not isinstance(error, StoreError)

    def put_aside(self, run: LiveRun, error: Exception) -> None:
        """The run is not here any more. Its commands run on, and their keepers keep how they end: whoever takes it next
        begins from what is recorded."""
        self.supervisor.aside.add(run.name)
        self._facts.pop(id(run), None)
        self.commits.unwritten.pop(id(run), None)
        if run.parent is not None or run.family is not None:
            self.children.gone(run)
        self.let_go(run)
        self.set_aside.append(Aside(run.id, run.name, in_a_sentence(error)))

    def begin_anew(self) -> None:
        """Let go of all runs: what is in memory may be half done. They are to be taken again, from what is recorded."""
        for run in list(self.runs.values()):
            self.supervisor.aside.add(run.name)
            self.let_go(run)
        self._facts.clear()
        self.commits.unwritten.clear()
        self.commits.company.clear()
        self.lines.waiting.clear()
        self.lines.full = set()
        self._children = None
        self.trouble = None
        self.timers.forget()

    def context_of(self, run: LiveRun, env_file: dict[str, str]) -> RunContext:
        if not self._store_id:
            self._store_id = self.store.identity()
        folder = run_folder(self.store.state_dir, run.name)
        return RunContext(run.job, run.name, folder, self._store_id, self.store.state_dir, env_file, run.state)

    def let_go(self, run: LiveRun) -> None:
        """The run is asleep now: a row with a time, not an object in memory."""
        self.runs.pop(run.id, None)
        for attempt in run.attempts.values():
            self.supervisor.drop(attempt)
        self.timers.forget()

    def moment(self) -> Moment:
        """What the clocks show."""
        host = self.host
        return Moment(host.now(), host.monotonic(), host.boottime(), self.executor.boot, not self.draining)
