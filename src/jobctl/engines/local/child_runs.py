"""Child runs in an engine: begun with their parent's commit, asked to end when it ends, and one budget for a family.

What a child's end is to its parent's step is core/run/children.py's; a run that is a child is advanced like any other.
"""

from __future__ import annotations

from collections.abc import Callable

from jobctl.core.definition import parameters
from jobctl.core.errors import JobctlError, StoreLostError, StoreUnavailableError
from jobctl.core.keys import step_name
from jobctl.core.model import Job, ParentClosePolicy, RunStatus, encode
from jobctl.core.record import NamedTuple
from jobctl.core.run import children as rules
from jobctl.core.run.decide import Decider, Mode
from jobctl.core.run.history import Event, EventType, RunState, replay
from jobctl.core.run.newrun import described, made
from jobctl.core.run.resume import restore, to_redo
from jobctl.core.run.rows import RunRow
from jobctl.core.run.turn import Answer, Ask, Budget, Child, Later, Moment, Start
from jobctl.definitions.files import env_file_of
from jobctl.definitions.masking import redact
from jobctl.engines.local import control, executor, unbegun
from jobctl.engines.local.commands import UnresolvedError, run_values
from jobctl.engines.local.daemons import daemons, poke_daemons
from jobctl.engines.local.live import LOOK_EVERY_MS, QUEUE_CHECK_MS, RETRY_STORE_MS, LiveRun, Planned, Work, taken
from jobctl.engines.local.stored_job import job_of
from jobctl.process.attempt import MAX_OUTPUT
from jobctl.store.append import Batch
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.run.events import RunReopened
    from jobctl.engines.local.loop import LocalEngine
    from jobctl.host.host import Host

_CLOSE = {
    ParentClosePolicy.TERMINATE: EventType.TERMINATE_REQUESTED,
    ParentClosePolicy.CANCEL: EventType.CANCEL_REQUESTED,
}


class Family(Budget[LiveRun]):
    """The runs of one root in one executor, and the definitions of their children."""

    __slots__ = ("jobs",)

    def __init__(self, root: LiveRun) -> None:
        super().__init__(root)
        self.jobs: dict[tuple[int, str], tuple[Job, Job, str]] = {}  # of a job, a child by name: both, and its text

    def child(self, job: Job, name: str) -> tuple[Job, str]:
        """The definition of a child, and its text: made once for all runs of it."""
        found = self.jobs.get((id(job), name))
        if found is None or found[0] is not job:
            child = job.child(name)
            found = self.jobs[id(job), name] = (job, child, encode(redact(child)))
        return found[1:]


class Begun(NamedTuple):
    """A child run that a step is about to wait for."""

    key: str
    name: str
    batch: Batch
    run: LiveRun | None = None  # it begins, or goes on, here: with the first of the events, and then with the second
    queued: bool = False  # it waits for its turn in a queue


class Children:
    """The part of an engine that knows that runs have parents."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._store: Store = engine.store
        # In the order in which they came: whose attempts start first depends on no address in memory.
        self._families: dict[Family, None] = {}  # with attempts that wait for a place
        self._touched: dict[Family, None] = {}  # with attempts that start in this turn
        self._names: set[str] = set()  # given in this turn
        self._errands: list[tuple[int, Callable[[], None]]] = []  # from when on (monotonic), what
        self._elsewhere: dict[int, tuple[LiveRun, str]] = {}  # children of runs here that are not: who waits, its step
        self._looking = False

    # -- the turn of the engine ------------------------------------------------------------------------------------

    @property
    def next_errand(self) -> int | None:
        """When (monotonic) there is something to be done that no timer tells of."""
        return min((at for at, _ in self._errands), default=None)

    def once(self) -> None:
        """Before what was learned is recorded: places that became free, what is to be asked of runs elsewhere."""
        if self._errands:
            mono = self._engine.host.monotonic()
            due = [act for at, act in self._errands if at <= mono]
            self._errands = [errand for errand in self._errands if errand[0] > mono]
            for act in due:
                try:
                    act()
                except StoreUnavailableError as error:
                    self._engine.trouble = error
                    self._errands.append((mono + RETRY_STORE_MS, act))
                except StoreLostError:
                    raise
                except Exception:
                    if self._engine.executor.kind != "daemon":
                        raise  # a run that cannot be read: a daemon's rescuer says so
        for family in list(self._families):
            family.settle()
            for run, key in family.let_in():
                self._touched.setdefault(family)
                self._engine.add_fact(run, Start(key))
            if not family.waiting:
                self._families.pop(family, None)

    def settle(self) -> None:
        """After what was learned is planned: what starts by it is counted among what runs when it is asked again."""
        for family in self._touched:
            family.settle()
        self._touched.clear()
        self._names.clear()

    def admits(self, run: LiveRun, key: str) -> bool:
        """Whether the family has a place for an attempt."""
        assert run.family is not None
        self._touched.setdefault(run.family)
        return run.family.admits(run, key)

    def hold(self, run: LiveRun, key: str) -> None:
        """The attempt waits for a place of its family."""
        assert run.family is not None
        run.family.waiting.setdefault((run, key))
        self._families.setdefault(run.family)

    # -- a child begins --------------------------------------------------------------------------------------------

    def begin(self, run: LiveRun, key: str, planned: Planned, moment: Moment) -> Answer:
        """A step is to wait for a child run, which is recorded with that. Why not, when there is none that could be
        run."""
        step = run.step(key)
        assert step.job is not None
        if run.family is None:
            run.family, run.in_family = Family(run), True
        try:
            job, text = run.family.child(run.job, step.job)
            given = run.context.child_params(step, key)
            begun = self._again(run, key, job, text, given) or self._anew(run, key, job, text, given, moment.now)
        except KeyError:
            return Answer(False, error=f"the run's definition has no job {step.job}")
        except StoreUnavailableError:
            raise
        except (UnresolvedError, JobctlError) as error:
            what = error.message if isinstance(error, JobctlError) else str(error)
            return Answer(False, error=run.context.mask(what))
        planned.children.append(begun)
        state = begun.batch.state
        over = begun.run is None and state.status is not None and state.status.final  # its results are there
        ended = self._told(key, begun.name, job, state) if over else None
        return Answer(True, Child(begun.name, step.job, ended))

    def _anew(self, run: LiveRun, key: str, job: Job, text: str, given: dict[str, Any], now: int) -> Begun:
        name = self._store.unused_name(job.name, self._names)
        new = described(job, text, name, now)._replace(trigger="child", parent_step=key)
        new, _, first = made(job, new, given, run_values(job, name, now), now, parent=(run.name, key))
        env_file = env_file_of(job)
        self._names.add(name)
        queued = self._must_queue(job)
        events = [first] if queued else [first, taken(self._engine.executor, now)]
        child = LiveRun(0, name, job, 0, replay([first]), Decider(job))
        self._join(run, key, child)
        child.context = self._engine.context_of(child, env_file)
        batch = Batch(0, 0, events, replay(events), executor=self._engine.executor.id, new=new)
        return Begun(key, name, batch, child, queued)

    def _again(self, run: LiveRun, key: str, job: Job, text: str, given: dict[str, Any]) -> Begun | None:
        """The child run of the try before: what it has finished is kept. None where there is none to go on with: its
        job or what it is given are others now, it was rolled back, or it is gone."""
        state = run.state.step(key)
        if state.child is None or state.children:  # another one because of the step's retry begins anew
            return None
        row = self._store.named(state.child["run"])
        try:
            if row is None or row.job != job.name or self._store.definition(row.definition) != text:
                return None
            events = self._store.events(row.id, upto=row.seq)
            found = self._store.state(row)
        except StoreUnavailableError:
            raise
        except JobctlError:
            return None  # it cannot be read any more
        if parameters.values(job, given, run_values(job, row.name, row.created_at)) != found.params:
            return None
        if row.finished_at is None or found.status is RunStatus.SUCCEEDED:
            return Begun(key, row.name, Batch(row.id, row.seq, [], found, executor=None))
        if found.undone:
            return None
        queued = self._must_queue(job)
        data: RunReopened = {"redo": to_redo(job, found), "by": f"run {run.name}"}
        if queued:
            data["queued"] = True
        first = Event(EventType.RUN_REOPENED, self._engine.host.now(), data=data)
        added = [first] if queued else [first, taken(self._engine.executor, first.at)]
        child = LiveRun(row.id, row.name, job, row.seq, *restore(job, [*events, first]))
        self._join(run, key, child)
        child.context = self._engine.context_of(child, env_file_of(job))
        after = replay([*events, *added])
        holder = None if queued else self._engine.executor.id
        return Begun(key, row.name, Batch(row.id, row.seq, added, after, executor=holder), child, queued)

    def _must_queue(self, job: Job) -> bool:
        queue = self._engine.queues.get(job.queue) if job.queue is not None else None
        return queue is not None and queue.concurrency is not None

    def _join(self, parent: LiveRun, key: str, child: LiveRun) -> None:
        """Make the two know each other."""
        if parent.family is None:
            parent.family, parent.in_family = Family(parent), True
        child.parent, child.parent_step = parent.id, key
        child.trail = (*parent.trail, key)
        family, own = parent.family, child.family
        if own is not None and own is not family:  # a root here until now, with its own
            for member in own.members:  # the child itself is one of them
                member.family = family
                family.members[member] = None
            if own.waiting:
                family.waiting.update(own.waiting)
                self._families.setdefault(family)
            self._families.pop(own, None)
        child.family, child.in_family = family, True

    def began(self, parent: LiveRun, begun: Begun) -> Work | None:
        """The parent's commit has brought the child into being: what there is to be done for it."""
        engine, child, key = self._engine, begun.run, begun.key
        if child is None:
            known = engine.runs.get(begun.batch.run_id)
            if known is not None:
                self._link(parent, key, known)
            else:
                self._watch(begun.batch.run_id, parent, key)
            return None
        child.id, child.parent = begun.batch.run_id, parent.id
        child.seq = begun.batch.seq + 1
        first, *rest = begun.batch.events
        if engine.observer is not None:
            engine.observer.recorded(child, [first])
        if begun.queued:
            poke_daemons(self._store)  # this one too: its dispatcher has the queue's turns
            self._watch(child.id, parent, key)
            return None
        engine.runs[child.id] = child
        self._link(parent, key, child)
        return child, [], rest

    def _link(self, parent: LiveRun, key: str, child: LiveRun) -> None:
        self._join(parent, key, child)
        assert parent.family is not None
        parent.family.members[child] = None
        parent.children[key] = child
        self._elsewhere.pop(child.id, None)

    # -- it ends ---------------------------------------------------------------------------------------------------

    def tell(self, run: LiveRun, events: list[Event]) -> tuple[int, Event] | None:
        """What the parent's history is to say when these events are recorded of a child run."""
        if run.parent is None or not events or events[-1].type is not EventType.RUN_ENDED:
            return None
        return run.parent, self._told(run.parent_step, run.name, run.job, run.state, events[-1])

    def _told(self, key: str, name: str, job: Job, state: RunState, end: Event | None = None) -> Event:
        if end is None:
            data = {"status": str(state.status), "reason": state.reason}
            end = Event(EventType.RUN_ENDED, self._engine.host.now(), data=data)
        outputs = rules.merged_outputs(state, [step.name for step in job.steps])
        return rules.child_ended(key, name, end, outputs, MAX_OUTPUT)

    def wake(self, batch: Batch) -> None:
        """A parent that is not here has been told of the end of its child: have it looked at."""
        if batch.told and batch.holder is None:
            poke_daemons(self._store)
        elif batch.told and batch.holder is not None and batch.holder != self._engine.executor.id:
            executor.poke(self._store.state_dir, batch.holder)

    def gone(self, run: LiveRun) -> LiveRun | None:
        """The run is over, or asleep: it is not here any more. Its parent, when that waits for no other one here."""
        if run.family is not None:
            run.family.members.pop(run, None)
        parent = self._engine.runs.get(run.parent) if run.parent is not None else None
        if parent is None:
            return None
        if parent.children.get(run.parent_step) is run:
            del parent.children[run.parent_step]
        return None if parent.children else parent

    # -- it is asked to end ----------------------------------------------------------------------------------------

    def ask(self, run: LiveRun, ask: Ask) -> None:
        """Ask a child to end, wherever it is."""
        child = run.children.get(ask.key)
        if child is not None and child.name == ask.run:
            self._request(child, ask.request, ask.why)
        else:
            self._errands.append((0, lambda: self._ask_elsewhere(ask.run, ask.request, ask.why)))

    def _request(self, child: LiveRun, kind: EventType, why: str) -> None:
        if child.may_ask(kind):
            self._engine.request(child, kind, reason=why, by="")

    def _ask_elsewhere(self, name: str, kind: EventType, why: str) -> None:
        row = self._store.named(name)
        if row is None or row.finished_at is not None:
            return
        here = self._engine.runs.get(row.id)
        if here is not None:
            self._request(here, kind, why)
            return
        if close(self._store, row, kind, why, self._engine.host) and not control.is_held(self._store, row):
            # Nobody has it, and it may have secrets that are nowhere to be had: an end needs none.
            self._take(row, strict=False)

    def _take(self, row: RunRow, *, strict: bool) -> None:
        kept = job_of(self._store, row, strict=strict)
        self._engine.take(row.id, kept.job, env_file=kept.env_file)

    # -- going on with what another executor left ------------------------------------------------------------------

    def joined(self, run: LiveRun) -> None:
        """A child run was taken: by the engine of its parent, or by another, or its parent is over."""
        assert run.parent is not None
        parent = self._engine.runs.get(run.parent)
        if parent is not None:
            if parent.state.step(run.parent_step).waits_for_child(run.name):
                self._link(parent, run.parent_step, run)
            return
        asked = orphan(self._store, run.parent, run.parent_step, run.state)
        if asked is not None:
            self._request(run, *asked)

    def link(self, run: LiveRun) -> None:
        """A run was taken: make it know its children that are here."""
        for row in self._store.living_children(run.id):
            child = self._engine.runs.get(row.id)
            if child is not None and run.state.step(row.parent_step or "").waits_for_child(row.name):
                self._link(run, row.parent_step or "", child)

    def go_on(self, run: LiveRun, key: str) -> None:
        """A step that waits for a child run, in a run that was taken: put right what the last executor left."""
        waiting = run.state.step(key).waiting or {}
        row = None
        if "ended" not in waiting:
            row = self._store.named(waiting["name"])
            if row is not None and row.finished_at is None and key not in run.children:
                self._watch(row.id, run, key)
        found = run.child_found(key, row is not None, self._engine.moment())
        if isinstance(found, Ask):
            self.ask(run, found)
        elif isinstance(found, Later):
            self._engine.timers.later(run, found)
        elif found is not None:
            self._engine.add_fact(run, found)

    def _watch(self, child_id: int, parent: LiveRun, key: str) -> None:
        """Look after a child that is not here. In the foreground only: a daemon has duties that do it."""
        if self._engine.executor.kind == "daemon":
            return
        self._elsewhere[child_id] = (parent, key)
        if not self._looking:
            self._looking = True
            self._errands.append((0, self._look))

    def _look(self) -> None:
        """Take children that nobody has, or whose turn in their queue has come."""
        queued = False
        for child_id, (parent, key) in list(self._elsewhere.items()):
            state = parent.state.step(key)
            row = self._store.run(child_id)
            here = self._engine.runs
            if here.get(parent.id) is not parent or child_id in here or not state.waits_for_child(row.name):
                del self._elsewhere[child_id]
            elif row.finished_at is not None:
                continue  # the parent's history says so: it is read when it is looked at
            elif row.status == "queued":
                queued = True
                limit = self._engine.queues.get(row.queue or "")
                if (
                    limit is None
                    or limit.concurrency is None
                    or self._store.runs_in_queue(limit.name) < limit.concurrency
                ):
                    self._take(row, strict=True)
                if row.id not in here:
                    unbegun.end_late(self._store, self._engine.host.now())
                    self._free_place(row.queue)
            elif not self._held(row):
                self._take(row, strict=parent.decider.mode is not Mode.STOPPING)
        self._looking = bool(self._elsewhere)
        if self._looking:
            period = QUEUE_CHECK_MS if queued else LOOK_EVERY_MS
            self._errands.append((self._engine.host.monotonic() + period, self._look))

    def _free_place(self, queue: str | None) -> None:
        """Whoever has it may have lost its process."""
        if queue is not None and self._engine.holders.due():
            for sentence in self._engine.holders.take_up(self._store.runs_with_places(queue)):
                self._engine.remark(sentence)

    def _held(self, row: RunRow) -> bool:
        if row.executor is not None:
            return executor.alive(self._store.state_dir, row.executor)
        return bool(daemons(self._store))  # it is asleep, or the next look of a daemon takes it


def close(store: Store, row: RunRow, kind: EventType, why: str, host: Host) -> bool:
    """Ask a child run to end because of its parent. Whether it is not over, also when it was asked before."""
    since: list[EventType] = []
    for event in store.events(row.id, upto=row.seq):
        since = [] if event.type is EventType.RUN_REOPENED else [*since, event.type]
    if kind in since or EventType.TERMINATE_REQUESTED in since:
        return True
    ask = control.terminate if kind is EventType.TERMINATE_REQUESTED else control.cancel
    try:
        ask(store, row, reason=why, by="", host=host)
    except StoreUnavailableError:
        raise
    except JobctlError:
        return False  # it ended in between
    return True


def orphan(store: Store, parent: int, key: str, state: RunState) -> tuple[EventType, str] | None:
    """What is to be asked of a child run because its parent is over: the request, and why.

    None: it may go on. Its parent lives, or has left it alone, or somebody has resumed it without its parent.
    """
    if state.alone or not store.is_over(parent):
        return None
    row = store.run(parent)
    step = _step(store, row, key)
    kind = _CLOSE.get(ParentClosePolicy(step.get("on_parent_close", ParentClosePolicy.TERMINATE)))
    if kind is None:
        return None
    return kind, f"{row.name}, which started it, is over: {row.status.replace('_', ' ')}"


def _step(store: Store, row: RunRow, key: str) -> dict[str, Any]:
    import json

    steps = json.loads(store.definition(row.definition))["steps"]
    return next((step for step in steps if step["name"] == step_name(key)), {})


def close_orphans(store: Store, known: set[tuple[int, int | None]], host: Host) -> list[RunRow]:
    """Ask the living children of runs that are over to end, as far as nobody has. Returns those that were asked.

    `known` are the children (and their parents' end) that an earlier call has looked at; brought up to date.
    """
    asked = []
    seen: set[tuple[int, int | None]] = set()
    for parent in store.ended_parents():
        finished = store.run(parent).finished_at
        for row in store.living_children(parent):
            seen.add((row.id, finished))
            if (row.id, finished) in known:
                continue
            try:
                found = orphan(store, parent, row.parent_step or "", store.state(row))
                if found is not None and close(store, row, *found, host):
                    asked.append(row)
            except StoreUnavailableError:
                raise
            except Exception:  # one that cannot be read keeps nobody from asking the others; its rescuer says so
                continue
    known.clear()
    known.update(seen)
    return asked
