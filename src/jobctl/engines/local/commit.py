"""One commit for all that a turn has learned: facts and what they lead to are recorded, and then carried out.

What the store refuses is decided again; what it cannot take now is kept. What a run wants is answered here, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jobctl.core.errors import StoreUnavailableError, UnwritableError
from jobctl.core.keys import UNDO
from jobctl.core.run.decide import Decider
from jobctl.core.run.history import Event, EventType, RunState, replay
from jobctl.core.run.payloads import carries
from jobctl.core.run.resume import restore
from jobctl.core.run.turn import Answer, Fact, Later, Moment, Want, Wanted, begun_now
from jobctl.engines.local.commands import UnresolvedError
from jobctl.engines.local.live import RETRY_STORE_MS, Aside, Company, LiveRun, Planned, Work
from jobctl.engines.trouble import in_a_sentence
from jobctl.host import reserve
from jobctl.store.append import Batch, Beside, NotTogetherError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.local.lines import Lines
    from jobctl.engines.local.loop import LocalEngine
    from jobctl.engines.local.notifications import Notice
    from jobctl.process.timers import Timers
    from jobctl.store.database import Transaction

_ENDS = (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED)


class Entry:
    """What is to be recorded of one run, and what it was made of, should it have to be made again."""

    __slots__ = ("batch", "facts", "foreign", "planned", "run")

    def __init__(self, run: LiveRun, facts: list[Fact], foreign: list[Event], batch: Batch, planned: Planned) -> None:
        self.run = run
        self.facts = facts
        self.foreign = foreign
        self.batch = batch
        self.planned = planned


class Commits:
    def __init__(self, engine: LocalEngine, timers: Timers, lines: Lines) -> None:
        self._engine = engine
        self._timers = timers
        self._lines = lines
        self.unwritten: dict[int, tuple[LiveRun, list[Fact]]] = {}  # kept while the store cannot be written
        self.company: list[Company] = []

    def advance(self, work: list[Work]) -> None:
        """Record facts and what they lead to, for several runs in one commit; then act."""
        engine = self._engine
        company: list[Company] = []
        if not self.unwritten:  # it belongs to those
            company, self.company = self.company, []
        entries: list[Entry] = []
        while work or entries or company:
            entries += self._entries(work)
            work = []
            engine.settle()
            try:
                refused = self._append(entries, company)
            except (ArithmeticError, TypeError, ValueError, UnwritableError) as error:
                entries = self._without_the_unwritable(entries, error)
                continue
            except StoreUnavailableError as error:
                self._keep(entries, company, error)
                return
            except NotTogetherError as error:
                entries, work = self._taken_apart(entries, error)
                continue  # what could be written stays as it is decided
            self._lines.full = set()
            for each in company:
                each.done({one.new.name for one in refused if one in each.batches and one.new is not None})
            company = []
            recorded, work = self._refused(entries, refused)
            work += self._carry_out(recorded, work)
            entries = []
            engine.supervisor.flush()  # what was begun need not wait for what is recorded next

    # -- what is to be recorded ------------------------------------------------------------------------------------

    def _entries(self, work: list[Work]) -> list[Entry]:
        found = []
        for run, facts, foreign in work:
            if id(run) in self.unwritten:
                self.unwritten[id(run)][1].extend(fact for fact in facts if isinstance(fact, Event))
                continue
            try:
                found.append(self._entry(run, facts, foreign))
            except Exception as error:
                if not self._engine.is_its_own(error):
                    raise
                if run.new is None:
                    self._engine.put_aside(run, error)
                else:
                    found.append(Entry(run, facts, foreign, self._stillborn(run, facts, error), Planned()))
        return found

    def _entry(self, run: LiveRun, facts: list[Fact], foreign: list[Event]) -> Entry:
        """What facts and what others have recorded come to, as it is to be written."""
        engine = self._engine
        planned, moment = Planned(), engine.moment()
        run.give(facts, foreign)
        while (want := run.advance(moment)) is not None:
            run.answer(want, self._answer(run, want, planned, moment))
        events, effects = run.outcome()
        planned.effects = effects
        if effects.taken is not None and effects.taken[0] == engine.executor.id:
            run.take = effects.taken[1]
        batch = Batch(
            run.id,
            run.seq + len(foreign),
            events,
            run.state,
            executor=engine.executor.id,
            new=run.new,
            limits=planned.limits,
            wake_at=self._wake_at(run, planned),
            children=[begun.batch for begun in planned.children],
            tell=engine.children.tell(run, events) if run.parent is not None else None,
            notices=[notice.batch for notice in planned.notices],
        )
        return Entry(run, facts, foreign, batch, planned)

    def _wake_at(self, run: LiveRun, planned: Planned) -> int | None:
        """When a run that from now on only waits, and for long, is to be looked at again. None: it stays here.

        Only a daemon lets runs go: it is there to wake them.
        """
        effects = planned.effects
        if self._engine.executor.kind != "daemon" or run.attempts or effects.launches or effects.queued or effects.held:
            return None
        if run.children or not all(begun.queued for begun in planned.children):
            return None  # they are here, and their ends are its news
        return run.rests_until(self._engine.moment())

    def _answer(self, run: LiveRun, want: Want, planned: Planned, moment: Moment) -> Answer:
        """This engine answers at once."""
        engine = self._engine
        match want.kind:
            case Wanted.COMMAND:
                return engine.attempts.can_run(run, want, planned)
            case Wanted.LEAVE:
                return Answer(engine.children.admits(run, want.key))
            case Wanted.PLACE:
                return self._lines.place(run, want, planned)
            case Wanted.ITEMS:
                return self._found(run, lambda: run.context.items(run.step(want.key)))
            case Wanted.INSTANT:
                return self._found(run, lambda: run.context.sleep_until(run.step(want.key)))
            case Wanted.CHILD:
                return engine.children.begin(run, want.key, planned, moment)
            case Wanted.TOLD:
                from jobctl.engines.local.notifications import begun

                planned.notices = begun(engine, run, want.event) if want.event is not None else []
                return Answer(True, [notice.run.name for notice in planned.notices])

    def _found(self, run: LiveRun, find: Callable[[], Any]) -> Answer:
        try:
            return Answer(True, find())
        except (UnresolvedError, ValueError) as error:
            return Answer(False, error=run.context.mask(str(error)))

    def _stillborn(self, run: LiveRun, facts: Iterable[Fact], error: Exception) -> Batch:
        """A new run that cannot be begun: recorded as failed, and its fire time as dealt with."""
        first = next(fact for fact in facts if isinstance(fact, Event))
        why = carries(EventType.RUN_ENDED, {"status": "failed", "reason": in_a_sentence(error)})
        end = Event(EventType.RUN_ENDED, self._engine.host.now(), data=why)
        run.state = replay([first, end])
        return Batch(0, 0, [first, end], run.state, executor=self._engine.executor.id, new=run.new)

    # -- recorded, or not ------------------------------------------------------------------------------------------

    def _append(self, entries: list[Entry], company: Sequence[Company]) -> list[Batch]:
        """One commit. The batches that did not fit what others have recorded."""
        written = [one.batch for one in entries if one.batch.events or one.batch.wake_at is not None]
        beside = [one for each in company for one in each.batches]
        return self._engine.store.append([*written, *beside], _all(company)) if written or company else []

    def _without_the_unwritable(self, entries: list[Entry], error: Exception) -> list[Entry]:
        """One run's events do not keep those of the others from being recorded. Raises where nobody's are to blame."""
        engine = self._engine
        written = [one.batch for one in entries if one.batch.events or one.batch.wake_at is not None]
        bad = engine.store.unwritable(written) if engine.is_its_own(error) else []
        if not bad:
            raise error
        left = [one for one in entries if one.batch not in bad]
        for one in entries:
            if one.batch not in bad:
                continue
            if one.run.new is None:
                engine.put_aside(one.run, error)
            elif one.planned.is_last:  # not even that it has failed can be written: nothing of it can
                engine.set_aside.append(Aside(0, one.run.name, in_a_sentence(error)))
            else:
                batch = self._stillborn(one.run, one.facts, error)
                left.append(Entry(one.run, one.facts, [], batch, Planned(is_last=True)))
        return left

    def _taken_apart(self, entries: list[Entry], error: NotTogetherError) -> tuple[list[Entry], list[Work]]:
        """What cannot be written beside the rest is decided again."""
        by_batch = {id(one.batch): one for one in entries}
        work: list[Work] = []
        for batch in error.batches:
            one = by_batch.pop(id(batch))
            work.append((one.run, one.facts, self._reload(one.run)))
            self._lines.full |= batch.limits.keys() if batch.limits is not None else set()
        return list(by_batch.values()), work

    def _refused(self, entries: list[Entry], refused: list[Batch]) -> tuple[list[Entry], list[Work]]:
        """What was recorded, and what is to be decided again because others were faster."""
        by_batch = {id(one.batch): one for one in entries}
        work: list[Work] = []
        for batch in refused:
            one = by_batch.pop(id(batch), None)
            if one is not None and not batch.dealt_with:  # a fire time for which another daemon was faster is theirs
                work.append((one.run, one.facts, self._reload(one.run)))
        return list(by_batch.values()), work

    def _reload(self, run: LiveRun) -> list[Event]:
        """Put the run back to what it was before a turn that was not recorded. Returns what others have added."""
        run.forget()
        if run.new is not None:
            run.state, run.decider = RunState(), Decider(run.job)
            run.context.state = run.state
            return []
        events = self._engine.store.events(run.id)
        run.state, run.decider = restore(run.job, events[: run.seq])
        run.context.state = run.state
        return events[run.seq :]

    def _keep(self, entries: list[Entry], company: list[Company], error: StoreUnavailableError) -> None:
        """The store cannot be written: what was learned is kept and tried again; nothing new starts meanwhile."""
        self._engine.trouble = error
        reserve.give_up_for(error, self._engine.store.state_dir)
        for one in entries:
            self.unwritten[id(one.run)] = (one.run, [fact for fact in one.facts if isinstance(fact, Event)])
        if any(one.run.new is not None for one in entries):
            self.company = [*company, *self.company]
        self._lines.full = set()
        self._timers.at(self._engine.host.monotonic() + RETRY_STORE_MS, self._try_again)

    def _try_again(self) -> None:
        engine = self._engine
        waiting = list(self.unwritten.values())
        for run, facts in waiting:  # what was learned in this very turn belongs to it
            facts.extend(fact for fact in engine.taken_from_line(run) if isinstance(fact, Event))
            if run.new is not None:  # it begins now: until it is recorded, its timeout does not count
                facts[:] = begun_now([fact for fact in facts if isinstance(fact, Event)], self._engine.host.now())
        try:
            work = [(run, facts, self._reload(run)) for run, facts in waiting]
        except StoreUnavailableError:
            self._timers.at(self._engine.host.monotonic() + RETRY_STORE_MS, self._try_again)
            return
        self.unwritten.clear()
        engine.trouble = None
        self.advance(work)
        if engine.trouble is None:
            for run, _ in waiting:
                if engine.runs.get(run.id) is run:
                    engine.recovery.reconcile(run)

    # -- carried out -----------------------------------------------------------------------------------------------

    def _carry_out(self, entries: list[Entry], known: list[Work]) -> list[Work]:
        """What follows from what was recorded. Runs that begin by that, and parents that are to be looked at again."""
        engine = self._engine
        work: list[Work] = []
        again: dict[int, LiveRun] = {}
        for one in entries:
            self._tell(one)
            if one.batch.wake_at is None:
                try:
                    self._act(one.run, one.planned)
                except Exception as error:
                    if not engine.is_its_own(error):
                        raise
                    engine.put_aside(one.run, error)
            else:
                engine.let_go(one.run)
            parent = self._parent_to_look_at(one)
            if parent is not None:
                again[parent.id] = parent
            begun = [engine.children.began(one.run, child) for child in one.planned.children]
            work += [child for child in begun if child is not None]
            work += [self._began(notice) for notice in one.planned.notices]
        there = {id(run) for run, _, _ in (*known, *work)}
        for parent in again.values():
            if id(parent) not in there and id(parent) not in self.unwritten:
                work.append((parent, [], engine.added(parent)))
        return work

    def _tell(self, one: Entry) -> None:
        """It is part of the history now: whoever is to know is told."""
        engine, run, batch = self._engine, one.run, one.batch
        if run.new is not None:
            run.id, run.new = batch.run_id, None
            engine.runs[run.id] = run
            engine.timers.watch_deadline(run)
        run.ends.clear()
        run.seq = batch.seq + len(batch.events)
        if one.foreign:
            engine.timers.watch_deadline(run)
        for event in batch.events:
            if event.type in _ENDS and event.number:
                key = event.step + UNDO if event.type is EventType.UNDO_ENDED else event.step
                engine.supervisor.recorded(f"{run.name}/{key}.{event.number}")
        told = [*one.foreign, *batch.events]
        if told and engine.observer is not None:
            engine.observer.recorded(run, told)

    def _act(self, run: LiveRun, planned: Planned) -> None:
        engine, effects = self._engine, planned.effects
        for key, number in effects.launches:
            engine.attempts.launch(run, key, number, planned.commands[key, number])
        for key, how in effects.stops:
            engine.attempts.stop(run, key, how)
        for queue, key in effects.queued:
            self._lines.wait(run, queue, key)
        for key in effects.held:
            engine.children.hold(run, key)
        for ask in effects.asks:
            engine.children.ask(run, ask)
        for key in effects.woken:
            engine.timers.wake(run, key)
        for until, key in effects.waits:
            engine.timers.later(run, Later(key, until, retry=False))
        for retry_at, key in effects.timers:
            engine.timers.later(run, Later(key, retry_at, retry=True))
        if run.state.status is not None and run.state.status.final:
            engine.runs.pop(run.id, None)
            engine.timers.run_over()

    def _parent_to_look_at(self, one: Entry) -> LiveRun | None:
        """The parent of a run that is not here any more. One that is elsewhere is woken."""
        engine, run, batch = self._engine, one.run, one.batch
        if run.parent is None or run.id in engine.runs:
            return None
        parent = engine.children.gone(run) or (engine.runs.get(run.parent) if batch.told else None)
        if parent is None and batch.told and run.parent not in engine.runs:
            engine.children.wake(batch)
        return parent

    def _began(self, notice: Notice) -> Work:
        """A run's end is recorded, and with it what tells of it: that goes on here."""
        run, (first, *rest) = notice.run, notice.batch.events
        run.id, run.seq = notice.batch.run_id, 1
        self._engine.runs[run.id] = run
        if self._engine.observer is not None:
            self._engine.observer.recorded(run, [first])
        return run, [], rest


def _all(company: Sequence[Company]) -> Beside | None:
    """What all of them write, as one."""
    if not company:
        return None

    def beside(db: Transaction) -> None:
        for each in company:
            each.beside(db)

    return beside
