"""What must hold, looked at after every commit and every start of a command, with a connection of its own.

The rules are written here once more, in other words than the product's: from the history alone. A rule that is broken
is a Violation. One life of a run between two reopenings is a try.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from jobctl.core.keys import ITEMS, UNDO, item_index, item_key, step_name
from jobctl.core.model import (
    Job,
    Notify,
    OverlapPolicy,
    ParentClosePolicy,
    RetryPolicy,
    Schedule,
    Step,
    StepKind,
    StepStatus,
    When,
    decode,
    encode_schedule,
)
from jobctl.core.run.attempts import pauses
from jobctl.core.run.decide import Decider, Mode
from jobctl.core.run.history import TOO_LATE, Event, EventType, HistoryError, RunState, StepState, replay
from jobctl.core.run.notices import TRIGGER, origin
from jobctl.core.run.resume import reopened
from jobctl.core.schedule.schedule import fires
from jobctl.store.codec import from_row

from .behaviour import NON_RETRYABLE_CODE, NON_RETRYABLE_TYPE
from .world import HOUR, SECOND, Command, Violation, World

_E = EventType
_WELL = ("succeeded", "skipped")
_BEGUN = ("running", "paused")
_SLACK_MS = 5_000  # that a deadline may be late in an undisturbed world, beside the grace


_STOPS = frozenset({_E.CANCEL_REQUESTED, _E.RUN_TIMED_OUT, _E.TERMINATE_REQUESTED})


class Try:
    """What the history of the present try says, told by the events themselves."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.active: set[str] = set()
        self.attempts: dict[str, int] = {}  # by step, or STEP!undo
        self.first: dict[str, int] = {}  # when its first attempt or wait began
        self.tidying: set[str] = set()  # steps that began when all was undone: of them nothing is undone
        self.stopped: str | None = None  # failed | canceled | timed_out | terminated
        self.undone: dict[str, str] = {}  # step -> how its undo ended
        self.undo_starts: list[str] = []
        self.lists: dict[str, int] = {}  # foreach step -> how many items
        self.closed: set[str] = set()  # foreach steps of which an item has failed, where that stops the others
        self.slots: set[str] = set()  # what takes a parallel slot
        self.suspended: dict[str, Any] = {}  # what a suspended step still waits for

    def items_under_way(self, name: str) -> list[str]:
        return [key for key in self.active if key != name and step_name(key) == name]


class Case:
    """A run as the referee sees it."""

    def __init__(self, run_id: int, name: str, job: Job) -> None:
        self.id = run_id
        self.name = name
        self.job = job
        self.steps = {step.name: step for step in job.steps}
        self.seq = 0
        self.state = RunState()
        self.decider = Decider(job)
        self.present = Try()
        self.reopenings = 0
        self.taken = 0  # how often
        self.slept = False
        self.only_ends = False  # it was stopped in the queue: whoever takes it sees it through, wherever it stands
        self.trigger = ""
        self.born = 0  # monotonic
        self.root_job = job.name  # of the run that started the family
        self.parent: Case | None = None  # of a child run; and which of its steps
        self.parent_step = ""
        self.disturbed: dict[str, int] = {}  # key -> the world's count when its attempt began
        self.events: list[Event] = []
        self.journals: dict[str, str] = {}  # key -> where its script's record is
        self.came: set[tuple[str, int]] = set()  # record, call: waits that are over
        self.told: dict[tuple[str, int], dict[str, Any]] = {}  # what the calls of a script have come to

    def step(self, key: str) -> Step:
        return self.steps[step_name(key)]

    def root(self) -> Case:
        return self if self.parent is None else self.parent.root()

    def begins_anew(self, key: str) -> None:
        """A script that is done again from its beginning has a new record."""
        self.journals.pop(key, None)


class Referee:
    """Sees all that is recorded and started in a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._db = sqlite3.connect(f"{world.state_dir}/jobctl.db", isolation_level=None)
        self._jobs: dict[str, Job] = {}
        self.cases: dict[int, Case] = {}
        self.limits: dict[str, int] = {}  # of queues
        self.maximum = 0  # runs at once, of a daemon
        self.promised: set[str] = set()  # runs that somebody was told of
        self.prunable: set[str] = set()  # jobs
        self.triggered: dict[tuple[str, int], int] = {}  # by hand, as if a schedule had fired
        self.loose: set[str] = set()  # jobs of which fire times may have been passed over: a pause, other definitions
        self._started: dict[tuple[str, str, int], int] = {}
        self._latest: dict[tuple[str, str], Command] = {}
        self.first_progress: dict[int, int] = {}
        self.furthest: dict[int, int] = {}  # schedule -> the furthest that it ever was
        self.covered: dict[int, int] = {}  # schedule -> up to where its fire times were looked at
        self.commits = self.events = self.commands = 0
        # What the present commit says of child runs: which ended; whose parents were told what; which a step has waited
        # for that ends now.
        self._ended: list[Case] = []
        self._starting: list[Case] = []  # an attempt of these
        self._told: list[tuple[Case, Event]] = []
        self._stopped: list[Case] = []  # with their daemon, in the commit; and those of them that pause for that
        self._paused: list[tuple[Case, Event]] = []
        self._waited: list[tuple[Case, str, str]] = []
        # Of notifications: those that are new in the commit; records of missed fire times that are known.
        self._born: list[Case] = []
        self._missed: set[tuple[int, int]] = set()
        self.notifying: dict[str, Job] = {}  # by name, as the file has them

    def close(self) -> None:
        self._db.close()

    # -- commands --------------------------------------------------------------------------------------------------

    def launched(self, run: str, key: str, number: int) -> None:
        self._must_run(run, key, number, "launched")

    def _must_run(self, run: str, key: str, number: int, what: str) -> None:
        row = self._db.execute(
            "SELECT a.status FROM attempts a JOIN runs r ON r.id = a.run WHERE r.name = ? AND step = ? AND number = ?",
            (run, key, number),
        ).fetchone()
        if row is None or row[0] != "running":
            raise Violation("record, then start", f"{run} {key}.{number} is {what}, and is recorded as {row}")

    def command_starts(self, keeper: Command) -> None:
        self.commands += 1
        name = (keeper.run, keeper.key, keeper.number)
        self._must_run(*name, "begun")
        poll = keeper.key[0] == "p" and not keeper.key.endswith("!undo")
        self._started[name] = self._started.get(name, 0) + 1
        if self._started[name] > 1 and not poll:
            raise Violation("an attempt starts once", f"{name}")
        before = self._latest.get(name[:2])
        if before is not None and before.command:
            raise Violation("attempts do not overlap", f"{name} begins while {before.number} runs")
        if before is not None and before.number != keeper.number and not self._went_well(*name[:2], before.number):
            left = self._world.living(before.token)
            if left:
                raise Violation("nothing is left of a failed attempt", f"{name}: {[p.pid for p in left]}")
        self._latest[name[:2]] = keeper

    def _case(self, run: str) -> Case:
        return next(case for case in self.cases.values() if case.name == run)

    def script_begins(self, keeper: Command) -> None:
        assert keeper.script is not None
        case, journal = self._case(keeper.run), keeper.script.journal
        if case.journals.setdefault(keeper.key, journal) != journal:
            raise Violation("a script keeps its record", f"{keeper.run} {keeper.key}.{keeper.number}: {journal}")

    def told(self, keeper: Command, call: int, what: dict[str, Any]) -> None:
        assert keeper.script is not None
        before = self._case(keeper.run).told.setdefault((keeper.script.journal, call), what)
        if before != what:
            raise Violation(
                "a wait comes to one thing", f"{keeper.run} {keeper.key} call {call}: {before}, then {what}"
            )

    def _went_well(self, run: str, key: str, number: int) -> bool:
        row = self._db.execute(
            "SELECT a.status FROM attempts a JOIN runs r ON r.id = a.run WHERE r.name = ? AND step = ? AND number = ?",
            (run, key, number),
        ).fetchone()
        return row is not None and row[0] == "succeeded"

    # -- commits ---------------------------------------------------------------------------------------------------

    def committed(self) -> None:
        self.commits += 1
        rows = self._db.execute(
            "SELECT id, name, seq, status, job, definition, executor, started_at, finished_at, reason, wake_at,"
            " trigger, fire_time, parent, parent_step FROM runs ORDER BY id"
        ).fetchall()
        self._ended, self._told, self._waited, self._born, self._starting = [], [], [], [], []
        self._stopped, self._paused = [], []
        for row in rows:
            case = self.cases.get(row[0])
            if case is None or case.name != row[1]:
                case = self.cases[row[0]] = self._new(row)
            if case.seq != row[2]:
                self._read(case, row)
            if row[10] is not None:
                case.slept = True
                self._world.places += 1
        self._families()
        self._notifications()
        self._stops()
        self._fire_times()
        self._pauses()
        if len(rows) != len(self.cases):
            self._missing({row[0] for row in rows})
        for queue, limit in self.limits.items():
            query = "SELECT count(*) FROM attempts WHERE queue = ? AND status = 'running'"
            taken = self._db.execute(query, (queue,)).fetchone()[0]
            if taken > limit:
                raise Violation("queue limits hold", f"{taken} attempts in {queue}, {limit} is its limit")

    def _missing(self, there: set[int]) -> None:
        for number in [number for number in self.cases if number not in there]:
            case = self.cases.pop(number)
            if origin(case.root_job) not in self.prunable or case.state.finished_at is None:
                raise Violation("no run is lost", f"{case.name}, which was {case.state.status}")
            self.promised.discard(case.name)

    def _job(self, definition: int) -> Job:
        # By its text: the id of one that was pruned is given again.
        (body,) = self._db.execute("SELECT body FROM definitions WHERE id = ?", (definition,)).fetchone()
        job = self._jobs.get(body)
        if job is None:
            job = self._jobs[body] = decode(body)
        return job

    def _new(self, row: Any) -> Case:
        case = Case(row[0], row[1], self._job(row[5]))
        case.trigger, fire_time = row[11], row[12]
        case.born = self._world.mono
        if row[13] is not None:
            case.parent, case.parent_step = self.cases[row[13]], row[14]
            case.root_job = case.parent.root_job
        self._world.ordinal[case.name] = (
            f"{case.job.name}/{sum(1 for c in self.cases.values() if c.job.name == case.job.name)}"
        )
        if case.trigger == TRIGGER:
            self._born.append(case)
        if case.trigger == "schedule":
            query = "SELECT count(*) FROM runs WHERE job = ? AND fire_time = ? AND trigger = 'schedule'"
            runs = self._db.execute(query, (case.job.name, fire_time)).fetchone()[0]
            query = "SELECT count(*) FROM firings f JOIN schedules s ON s.id = f.schedule WHERE job = ? AND fire_time = ? AND run IS NOT NULL"  # noqa: E501
            fired = self._db.execute(query, (case.job.name, fire_time)).fetchone()[0]
            again = self._may_come_again(case, fire_time)
            if runs > fired + self.triggered.get((case.job.name, fire_time), 0) + again:
                raise Violation("one run per fire time", f"{case.name} is another run for {fire_time}")
            if row[3] == "queued" and case.job.overlap is OverlapPolicy.BUFFER_ONE:
                waiting = [c.name for c in self.cases.values() if c.job is case.job and c.trigger == "schedule"
                           and c.state.status == "queued" and not c.reopenings]  # fmt: skip
                if waiting:
                    raise Violation("overlap policies hold", f"{case.name} (buffer_one) waits beside {waiting}")
        return case

    def _may_come_again(self, case: Case, fire_time: int) -> int:
        """How often a fire time may have come once more, for each schedule that has it: what follows real time does so
        as often as the clock was set back, a fixed time only when it was set back by hours since it came."""
        fired = [c for c in self.cases.values() if c.job.name == case.job.name and c.trigger == "schedule"]
        earlier = [c for c in fired if c.state.fire_time == fire_time]
        if not earlier:
            return 0
        first = min(c.born for c in earlier)
        steps = [step for mono, step in self._world.steps if mono >= first]
        zone = case.job.timezone or "UTC"
        its = [s for s in case.job.schedules if fires(s, fire_time - 1, fire_time, s.timezone or zone, 1)]
        back = sum(step < 0 for step in steps) * max(1, len(its))
        if any(_real(schedule) for schedule in case.job.schedules):
            return back
        fell = most = 0
        for step in steps:
            fell = max(0, fell - step)
            most = max(most, fell)
        return back if most > 3 * HOUR else 0

    def followed(self, schedules: Collection[int]) -> None:
        """A daemon has had its turn: none of its schedules waits for a time that the clock has shown already."""
        for number, progress in self._db.execute("SELECT id, progress FROM schedules WHERE active = 1"):
            if number in schedules and progress > self._world.now() + 2 * SECOND:
                raise Violation("no schedule stands still", f"{number}: {progress - self._world.now()} ms ahead")

    def _read(self, case: Case, row: Any) -> None:
        if row[2] < case.seq:
            raise Violation("histories only grow", f"{case.name} has {row[2]} events, and had {case.seq}")
        rows = self._db.execute(
            "SELECT at, type, step, number, data FROM events WHERE run = ? AND seq > ? ORDER BY seq",
            (case.id, case.seq),
        ).fetchall()
        if len(rows) != row[2] - case.seq:
            raise Violation("histories only grow", f"{case.name} has {len(rows)} of {row[2] - case.seq} new events")
        for found in rows:
            event = from_row(found)
            self.events += 1
            self._world.note(f"{case.name} {event.type} {event.step}{'.' + str(event.number) if event.number else ''}"
                             f" {json.dumps(dict(event.data))[:150]}")  # fmt: skip
            self._event(case, event, row)
        case.seq = row[2]
        state = case.state
        told = (str(state.status), state.started_at, state.finished_at, state.reason)
        if told != (row[3], row[7], row[8], row[9]):
            raise Violation("rows say what the history says", f"{case.name}: {told}, row {row}")
        if state.finished_at is not None and (row[6] is not None or row[10] is not None):
            raise Violation("rows say what the history says", f"{case.name} is over and has an executor: {row}")
        self._attempts(case)

    def _attempts(self, case: Case) -> None:
        rows = {
            (step, number): (status, started, finished)
            for step, number, status, started, finished in self._db.execute(
                "SELECT step, number, status, started_at, finished_at FROM attempts WHERE run = ?", (case.id,)
            )
        }
        told = {
            (name + suffix, a.number): (a.status, a.started_at, a.finished_at)
            for steps, suffix in ((case.state.steps, ""), (case.state.undo, "!undo"))
            for name, step in steps.items()
            for a in step.attempts
        }
        if rows != told:
            raise Violation("rows say what the history says", f"{case.name}: {rows} instead of {told}")

    # -- events ----------------------------------------------------------------------------------------------------

    def _event(self, case: Case, event: Event, row: Any) -> None:
        if case.state.finished_at is not None and event.type is not _E.RUN_REOPENED:
            raise Violation("the final status is written once", f"{case.name}: {event.type} after its end")
        self._run_in_time(case, event)
        self._before(case, event)
        twin = Decider.restore(case.job, json.loads(json.dumps(case.decider.snapshot())))
        state = RunState.restore(json.loads(json.dumps(case.state.snapshot())))
        try:
            case.state.apply(event)
        except HistoryError as error:
            raise Violation("histories can be replayed", f"{case.name}: {error}") from error
        state.apply(event)
        if state.snapshot() != case.state.snapshot():
            raise Violation("a saved state goes on as it was", f"{case.name}: {event}")
        case.events.append(event)
        if event.type is _E.RUN_REOPENED:
            case.job = self._job(row[5])
            case.steps = {step.name: step for step in case.job.steps}
            case.decider = reopened(case.job, case.state)
            return
        if twin.feed(event) != case.decider.feed(event) or twin.snapshot() != case.decider.snapshot():
            raise Violation("a saved Decider decides the same", f"{case.name}: {event}")

    def _run_in_time(self, case: Case, event: Event) -> None:
        """In a world that nothing has disturbed since the try began, its deadline has been told when it has passed."""
        began, limit = case.state.try_started_at, case.job.timeout
        if (event.type is _E.RUN_TAKEN and began is None) or event.type is _E.RUN_REOPENED:
            case.disturbed[""] = self._world.disturbed
        if limit is None or began is None or case.disturbed.get("") != self._world.disturbed:
            return
        if event.at > began + limit + _SLACK_MS and case.present.stopped is None and case.state.status == "running":
            raise Violation("deadlines hold", f"{case.name}: {event.type} after {event.at - began} ms, {limit}")

    def _before(self, case: Case, event: Event) -> None:
        """What must hold for this to happen now. Then it is written down."""
        kind, name, now = event.type, event.step, case.present
        case.taken += kind is _E.RUN_TAKEN
        if kind is _E.RUN_TAKEN:
            self._begins_in_time(case, event)
        if kind is _E.RUN_TAKEN and case.state.started_at is None:
            self._begins(case)
        elif kind is _E.WAKE_REQUESTED:
            for key in event.data["steps"]:
                self._woken(case, key, event.at)
        elif kind is _E.ATTEMPT_STARTED or kind is _E.WAIT_STARTED:
            self._step_starts(case, event)
        elif kind is _E.ATTEMPT_ENDED:
            step = case.step(name)
            self._attempt_ends(case, event, name, step.retry)
            if step.queue is not None:
                self._world.changes += 1  # a place is free
            if event.data.get("status") == "suspended":
                self._suspends(case, event)
            elif "retry_at" not in event.data and event.data.get("step_status") != "pending":
                self._step_ends(case, name, event.data.get("step_status") or event.data.get("status") or "succeeded")
        elif kind is _E.ITEMS_LISTED:
            self._items_listed(case, event)
        elif kind is _E.TIMER_FIRED or kind is _E.WAIT_ENDED:
            self._wait_ends(case, event)
        elif kind is _E.STEP_ENDED:
            if name in now.ended:
                raise Violation("a step ends once", f"{case.name} {name}")
            if name in now.lists:
                self._list_ends(case, event)
            self._child_step_ends(case, event)
            if "retry_at" not in event.data:
                self._step_ends(case, name, event.data["status"])
        elif kind is _E.CHILD_ENDED:
            self._told.append((case, event))
        elif kind is _E.UNDO_STARTED:
            self._undo_starts(case, event)
        elif kind is _E.UNDO_ENDED:
            undo = case.step(name).compensate
            assert undo is not None
            if event.number:
                self._attempt_ends(case, event, name + UNDO, undo.retry)
            if "retry_at" not in event.data:
                now.undone[name] = event.data.get("status", "succeeded")
                if now.undone[name] == "canceled" and now.stopped != "terminated":
                    raise Violation("compensation is shielded", f"{case.name}: the undo of {name} was canceled")
        elif kind in _STOPS and case.decider.mode is Mode.ENDED:
            pass  # its end was certain, and only not recorded yet
        elif kind is _E.RUN_PAUSED:
            if event.data.get("stopped"):
                self._paused.append((case, event))
                if case not in self._stopped:
                    raise Violation("only what was stopped pauses for that", case.name)
        elif kind is _E.CANCEL_REQUESTED:
            now.stopped = now.stopped or "canceled"
        elif kind is _E.RUN_TIMED_OUT:
            now.stopped = now.stopped or "timed_out"
        elif kind is _E.TERMINATE_REQUESTED:
            now.stopped = "terminated"
        elif kind is _E.RUN_REOPENED:
            self._reopens(case, event)
        elif kind is _E.RUN_ENDED:
            self._ended.append(case)
            self._world.places += 1
            self._run_ends(case, event)

    def _begins_in_time(self, case: Case, event: Event) -> None:
        """A fire time that is looked at within a second is on time."""
        by = case.state.start_by
        if by is not None and event.at >= by + (1_000 if case.trigger == "schedule" and len(case.events) == 1 else 0):
            raise Violation("what is too late never begins", f"{case.name}: {event.at - by} ms")

    def _begins(self, case: Case) -> None:
        """A run begins that has not begun before."""
        others = [
            c
            for c in self.cases.values()
            if c is not case and str(c.state.status) in _BEGUN and c.state.started_at is not None
        ]
        actor = self._world.actor
        by_daemon = actor is not None and actor.name.startswith("d")
        case.only_ends = case.state.stopped is not None
        if by_daemon and not case.only_ends:
            self._has_room(case)
        queue = case.job.queue
        if queue in self.limits and by_daemon and case.state.stopped is None:
            there = [c for c in others if c.job.queue == queue and not c.only_ends]
            taken = [c.name for c in there if not c.slept and not c.reopenings]
            if len(taken) >= self.limits[queue] and self._by_daemon(taken):
                raise Violation("queue limits hold", f"{case.name} begins in {queue} beside {taken}")
        policy = case.job.overlap
        # A person may begin a run that is queued (`jobctl resume`): that is no fire.
        scheduled = by_daemon and case.trigger == "schedule"
        if scheduled and policy is not OverlapPolicy.ALLOW_ALL and case.state.stopped is None:
            beside = [
                c.name
                for c in others
                if c.job.name == case.job.name and c.trigger == "schedule"
                if not c.reopenings and c.state.stopped is None
            ]  # fmt: skip
            if beside:
                raise Violation("overlap policies hold", f"{case.name} ({policy}) begins beside {beside}")

    def _has_room(self, case: Case) -> None:
        """A daemon begins no more than it may have, beside what it has taken over and what its runs start."""
        holders = dict(self._db.execute("SELECT id, executor FROM runs WHERE finished_at IS NULL AND wake_at IS NULL"))
        there = [
            c.name
            for c in self.cases.values()
            if c.id in holders and holders[c.id] == holders.get(case.id) and c.trigger in ("schedule", "backfill")
            if c.taken <= 1 and not (c.reopenings or c.slept or c.only_ends) and c.state.status in _BEGUN
        ]
        if len(there) > self.maximum:
            raise Violation("daemons have as many runs as they may", f"{case.name} begins beside {there}")

    def _by_daemon(self, names: list[str]) -> bool:
        """Whether daemons have begun them: `jobctl run` looks for its place without their lock."""
        return all(name in self.begun_by_daemon for name in names)

    @property
    def begun_by_daemon(self) -> set[str]:
        return {c.name for c in self.cases.values() if c.trigger not in ("manual", "child")}

    def _step_starts(self, case: Case, event: Event) -> None:
        name, now, step = event.step, case.present, case.step(event.step)
        item = item_index(name) is not None
        if name in now.ended:
            raise Violation("a finished step never starts again", f"{case.name} {name}: {now.ended[name]}")
        if now.stopped == "terminated":
            raise Violation("nothing starts after terminate", f"{case.name} {name}")
        if case.state.status == "paused":
            raise Violation("nothing starts in a paused run", f"{case.name} {name}")
        if event.type is _E.ATTEMPT_STARTED:
            self._attempt_starts(case, event, name)
        if name in now.suspended:
            raise Violation("a wait is waited for", f"{case.name} {name} goes on: {now.suspended[name]}")
        if event.type is _E.ATTEMPT_STARTED and step.kind is StepKind.COMMAND:
            now.slots.add(name)
            if len(now.slots) > case.job.max_parallel_steps:
                raise Violation("max_parallel_steps holds", f"{case.name}: {now.slots}")
        if name in now.first:
            if now.stopped is not None and name not in now.tidying:
                raise Violation("nothing starts in a run that stops", f"{case.name} {name}")
            return
        if item:
            self._item_starts(case, name, step)
        now.first[name] = event.at
        now.active.add(name)
        if now.stopped is None:
            for need in step.needs:
                if need not in now.ended and case.steps[need].when is not When.FAILURE:
                    raise Violation("needs are respected", f"{case.name}: {name} starts before {need} has ended")
            if step.when is When.FAILURE:
                raise Violation("when is respected", f"{case.name}: {name} runs though nothing failed")
            return
        if step.when is When.SUCCESS or (step.when is When.FAILURE and now.stopped == "canceled"):
            raise Violation("when is respected", f"{case.name}: {name} starts in a run that has {now.stopped}")
        now.tidying.add(name)
        running = [n for n in _above(case.steps, step.name, now.ended) if n in now.active]
        if running:
            raise Violation("needs are respected", f"{case.name}: {name} starts while {running} run")
        missing = self._due(case, now)
        if missing:
            raise Violation("compensations complete", f"{case.name}: {name} starts before the undo of {missing}")

    def _woken(self, case: Case, key: str, at: int) -> None:
        state = _step_state(case.state, key)
        wait = case.present.suspended.get(key)
        if wait is not None and wait["kind"] == "sleep":
            case.present.suspended[key] = {name: wait[name] for name in wait if name != "limit"} | {"until": at}
        if state is None or not (state.waits_for_a_time or key in case.present.attempts):
            raise Violation("who is woken waited", f"{case.name} {key}")

    def _attempt_starts(self, case: Case, event: Event, key: str) -> None:
        now = case.present
        state = _step_state(case.state, key)
        if state is not None and any(a.finished_at is None for a in state.attempts):
            raise Violation("attempts do not overlap", f"{case.name} {key}.{event.number} starts while another runs")
        if state is not None and state.retry_at is not None:
            if event.at < state.retry_at and not self._world.clock_steps:
                raise Violation(
                    "retries wait", f"{case.name} {key}.{event.number}: {state.retry_at - event.at} ms early"
                )
        self._starting.append(case)
        now.attempts[key] = now.attempts.get(key, 0) + 1
        now.first.setdefault(key, event.at) if key.endswith("!undo") else None
        case.disturbed[key] = self._world.disturbed

    def _attempt_ends(self, case: Case, event: Event, key: str, retry: RetryPolicy) -> None:
        now, data, n = case.present, event.data, case.present.attempts.get(key, 0)
        status = data.get("status", "succeeded")
        self._in_time(case, event, key)
        if status == "stopped":
            self._is_stopped(case, event, key, retry)
            return
        if status == "failed" and any(
            token.endswith(f"/{case.name}/{key}.{event.number}") for token in self._world.left_word
        ):
            raise Violation("who leaves word is suspended", f"{case.name} {key}.{event.number}: {dict(data)}")
        if "retry_at" not in data:
            now.slots.discard(key)
        never = (
            (data.get("exit_code") == NON_RETRYABLE_CODE and NON_RETRYABLE_CODE in retry.non_retryable_exit_codes)
            or (data.get("error_type") == NON_RETRYABLE_TYPE and NON_RETRYABLE_TYPE in retry.non_retryable_types)
            or any(token.endswith(f"/{case.name}/{key}.{event.number}") for token in self._world.final_words)
        )
        if "retry_at" in data:
            if never and status == "failed":  # what one says that is stopped is not asked for
                raise Violation("what is not retryable is not retried", f"{case.name} {key}: {dict(data)}, {retry}")
            if status not in ("failed", "timed_out") or (retry.maximum_attempts and n >= retry.maximum_attempts):
                raise Violation("retries are counted", f"{case.name} {key}: another attempt after {n}, {retry}")
            if data["retry_at"] - event.at not in (_wait(retry, n), 7_000):
                raise Violation(
                    "retries wait", f"{case.name} {key}: {data['retry_at'] - event.at} ms after {n}, {retry}"
                )
            if now.stopped is not None and not key.endswith("!undo") and key not in now.active:
                raise Violation("nothing starts in a run that stops", f"{case.name} {key}")
            return
        if status not in ("failed", "timed_out") or data.get("timeout") in ("schedule_to_close", "run", "deadline"):
            return
        step = case.step(event.step)
        timeouts = step.compensate.timeouts if key.endswith("!undo") and step.compensate else step.timeouts
        forbidden = (
            never
            or (retry.maximum_attempts and n >= retry.maximum_attempts)
            or timeouts.schedule_to_close is not None
            or now.stopped == "terminated"
            or (now.stopped is not None and not key.endswith("!undo"))
        )
        if not forbidden:
            raise Violation("what may be retried is", f"{case.name} {key}: none after {n}, {retry}: {dict(data)}")

    def _is_stopped(self, case: Case, event: Event, key: str, retry: RetryPolicy) -> None:
        """It was stopped with its daemon: it does not count, and another one follows, when a person says so where
        nothing is tried again by itself."""
        now, undo, actor = case.present, key.endswith(UNDO), self._world.actor
        if not getattr(actor, "_stops_commands", False) and not case.taken > 1:
            raise Violation("only who ends stops what runs", f"{case.name} {key}.{event.number}")
        now.attempts[key] -= 1
        if "retry_at" not in event.data:
            if undo or now.stopped is None:
                raise Violation("what was stopped goes on", f"{case.name} {key}.{event.number}: {dict(event.data)}")
            now.slots.discard(key)
        elif event.data["retry_at"] != event.at:
            raise Violation("what was stopped goes on", f"{case.name} {key}.{event.number}: {dict(event.data)}")
        elif not undo and case.step(event.step).poll is None and pauses(case.job.after_stop, retry):
            self._stopped.append(case)

    def _stops(self) -> None:
        """A run that was stopped with its daemon, and is not tried again by itself, waits for a person since then."""
        for case in self._stopped:
            alive = case.state.finished_at is None
            if alive and case.state.pause is None and case.present.stopped is None:
                raise Violation("what is not tried again waits for a person", case.name)

    def _in_time(self, case: Case, event: Event, key: str) -> None:
        step = case.step(event.step)
        timeouts = step.compensate.timeouts if key.endswith("!undo") and step.compensate else step.timeouts
        if timeouts.start_to_close is None or case.disturbed.get(key) != self._world.disturbed or step.poll is not None:
            return
        state = _step_state(case.state, key)
        assert state is not None
        took = event.at - state.attempts[-1].started_at
        if took > timeouts.start_to_close + case.job.kill_grace + _SLACK_MS:
            raise Violation("deadlines hold", f"{case.name} {key}.{event.number} took {took} ms, {timeouts}")

    def _step_ends(self, case: Case, name: str, status: str) -> None:
        now = case.present
        now.ended[name] = status
        now.active.discard(name)
        now.slots.discard(name)
        now.suspended.pop(name, None)
        step = case.step(name)
        if item_index(name) is not None:
            foreach = step.foreach
            if status not in _WELL and foreach is not None and foreach.fail_fast:
                now.closed.add(step.name)
        elif status not in _WELL and not step.allow_failure and now.stopped is None:
            now.stopped = "failed"

    # -- items -----------------------------------------------------------------------------------------------------

    def _items_listed(self, case: Case, event: Event) -> None:
        """A step falls into its items. It is under way from here on, and needs what any step needs."""
        name, foreach = event.step, case.step(event.step).foreach
        if foreach is None or name in case.present.lists:
            raise Violation("items are listed once", f"{case.name} {name}")
        self._step_starts(case, event)
        known, count = case.state.steps.get(name), event.data["count"]
        if count != len(foreach.items) or ("items" not in event.data and (known is None or known.items is None)):
            raise Violation("the items are those of the list", f"{case.name} {name}: {count}, {foreach.items}")
        case.present.lists[name] = count

    def _item_starts(self, case: Case, key: str, step: Step) -> None:
        now, name = case.present, step.name
        if name not in now.active or name not in now.lists:
            raise Violation("items belong to a step", f"{case.name} {key} starts, and {name} is not under way")
        if not 0 <= (item_index(key) or 0) < now.lists[name]:
            raise Violation("the items are those of the list", f"{case.name} {key} of {now.lists[name]}")
        if name in now.closed:
            raise Violation("fail_fast holds", f"{case.name} {key} starts after another item has failed")
        most, running = step.foreach.max_parallel if step.foreach is not None else None, now.items_under_way(name)
        if most is not None and len(running) >= most:
            raise Violation("max_parallel holds", f"{case.name} {key} starts beside {running}")

    def _list_ends(self, case: Case, event: Event) -> None:
        now, name, status = case.present, event.step, event.data["status"]
        running = now.items_under_way(name)
        if running:
            raise Violation("a step ends when its items have", f"{case.name} {name}: {running}")
        ends = [now.ended.get(item_key(name, i)) for i in range(now.lists[name])]
        if (status == "succeeded") != all(end in _WELL for end in ends):
            raise Violation("a step ends as its items do", f"{case.name} {name} has {status}: {ends}")
        if None in ends and now.stopped is None and name not in now.closed:
            raise Violation("a step ends when its items have", f"{case.name} {name} without some: {ends}")

    def _reopens(self, case: Case, event: Event) -> None:
        """A new try: what is finished stays so. Only what is asked for, and what needs that, begins anew."""
        redo, anew = set(event.data["redo"]), set(event.data.get("anew", ()))
        present = Try()
        for key, step in case.state.steps.items():
            name, index = step_name(key), item_index(key)
            whole, rest = name in redo, name + ITEMS in redo
            well = step.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
            if (whole or rest) and not (rest and index is not None and well):
                if (whole and index is not None) or name in anew or str(step.status) in ("succeeded", "compensated"):
                    case.begins_anew(key)
            elif step.status is not StepStatus.PENDING:
                present.ended[key] = str(step.status)
        for step in case.job.steps:
            if step.name in present.ended and step.when is When.SUCCESS and step.name + ITEMS not in redo:
                before = [n for n in step.needs if (n in redo or n + ITEMS in redo)]
                before = [n for n in before if case.job.step(n).when is When.SUCCESS]
                if before:
                    raise Violation("what needs it is done again, too", f"{case.name} {step.name}, not for {before}")
            done = case.state.steps.get(step.name)
            if step.name not in redo or step.name in anew or done is None or step.when is not When.SUCCESS:
                continue
            if any(need in redo or need + ITEMS in redo for need in step.needs):
                continue
            kept = [i for i in range(len(done.items or ())) if self._done_well(case, item_key(step.name, i))]
            if done.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED) or kept:
                raise Violation("only what is not finished is done again", f"{case.name} {step.name}: {kept}")
        case.present = present
        case.reopenings += 1

    def _done_well(self, case: Case, key: str) -> bool:
        return key in case.state.steps and case.state.steps[key].status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)

    # -- child runs ------------------------------------------------------------------------------------------------

    def _child_step_ends(self, case: Case, event: Event) -> None:
        """A step that waits for a child run ends when that has: looked at when all of the commit is read."""
        state, step = case.state.steps.get(event.step), case.step(event.step)
        if step.kind is not StepKind.JOB or state is None or state.waiting is None or state.waiting["kind"] != "child":
            return
        if "retry_at" in event.data:
            most = step.retry.maximum_attempts
            if event.data["status"] not in ("failed", "timed_out") or (most and state.children >= most):
                raise Violation("retries are counted", f"{case.name} {event.step}: another after {state.children}")
        left_alone = step.on_parent_close is ParentClosePolicy.ABANDON
        if not left_alone and case.present.stopped != "terminated":
            self._waited.append((case, event.step, state.waiting["name"]))

    def _families(self) -> None:
        """What a commit says of parents and children, when all of it is known."""
        self._share_slots()
        for case, key, name in self._waited:
            child = next((c for c in self.cases.values() if c.name == name), None)
            # One that somebody has taken up again meanwhile had ended, and is no longer its parent's.
            if child is not None and child.state.finished_at is None and not child.state.alone:
                raise Violation("a step ends when its child run has", f"{case.name} {key}: {name} {child.state.status}")
        for parent, event in self._told:
            child = self._case(event.data["run"])
            if child.parent is not parent or child.parent_step != event.step:
                raise Violation("a child has one parent", f"{child.name}: {parent.name} {event.step} is told of it")
            if child.state.finished_at is None or event.data["status"] != str(child.state.status):
                raise Violation("a child's end is told", f"{child.name} is {child.state.status}, {event} is told")
        for child in self._ended:
            if child.parent is not None and child.parent.state.finished_at is None:
                told = [e for parent, e in self._told if e.data["run"] == child.name]
                if len(told) != 1:
                    raise Violation("a child's end is told", f"{child.name}: {len(told)} times to {child.parent.name}")

    def _share_slots(self) -> None:
        """A family in one process has no more attempts under way than its root may have. In one that was taken over,
        is in several processes, or has lost a parent, each part counts by itself. What has ended has left its place,
        also where its run's end of it could not be recorded with what begins there."""
        for root in {case.root().id: case.root() for case in self._starting if case.root() is not case}.values():
            members = [c for c in self.cases.values() if c.state.finished_at is None and c.root() is root]
            lone = any(c.parent is not None and c.parent.state.finished_at is not None for c in members)
            if lone or any(c.taken > 1 or c.slept or c.reopenings for c in members):
                continue
            marks = ", ".join(str(c.id) for c in members)
            holders = self._db.execute(
                f"SELECT count(DISTINCT executor) FROM runs WHERE id IN ({marks}) AND executor IS NOT NULL"
            ).fetchone()[0]
            running = [
                f"{c.name} {name}{suffix}"
                for c in members
                for steps, suffix in ((c.state.steps, ""), (c.state.undo, UNDO))
                for name, step in steps.items()
                if step.attempts and step.attempts[-1].finished_at is None
                if not self._has_ended(c.name, name + suffix, step.attempts[-1].number)
            ]
            if holders == 1 and len(running) > root.job.max_parallel_steps:
                raise Violation("max_parallel_steps holds", f"{running} in the family of {root.name}")

    def _has_ended(self, run: str, key: str, number: int) -> bool:
        """Whether the command of an attempt is over that is not recorded as such. One of a poll may be asked again."""
        found = self._latest.get((run, key))
        return found is not None and found.number == number and not found.alive and key[0] != "p"

    # -- notifications ---------------------------------------------------------------------------------------------

    def _notifications(self) -> None:
        """What is to be told comes into being with what it is about: neither is in the store without the other."""
        expected = []
        if any(self._tables(job, "missed") for job in self.notifying.values()):
            rows = self._db.execute(
                "SELECT f.schedule, f.fire_time, s.job FROM firings f JOIN schedules s ON s.id = f.schedule"
                " WHERE f.dropped_at IS NOT NULL AND f.outcome = 'missed'"
            ).fetchall()
            before, self._missed = self._missed, {row[:2] for row in rows}
            new = [job for *place, job in rows if tuple(place) not in before]
            expected = [f"{job} missed" for job in new for _ in self._tables(self.notifying.get(job), "missed")]
        told = []
        for case in self._ended:
            status = str(case.state.status)
            expected += [f"{case.name} {status}" for _ in self._tables(case.job, status)]
            told += case.state.notifications
        for case, event in self._paused:
            expected += [f"{case.name} stopped" for _ in self._tables(case.job, "stopped")]
            told += event.data.get("notifications", [])
        found = []
        for case in self._born:
            about = case.state.about or {}
            found.append(f"{about.get('run', about.get('job'))} {about.get('status')}")
            if case.job.notify or case.parent is not None:
                raise Violation("nobody is told of a notification", case.name)
        if sorted(found) != sorted(expected):
            raise Violation("each end has its notifications", f"{found} instead of {expected}")
        if sorted(told) != sorted(c.name for c in self._born if c.state.about and "run" in c.state.about):
            raise Violation("an end names its notifications", f"{told} instead of {[c.name for c in self._born]}")

    def _tables(self, job: Job | None, status: str) -> list[Notify]:
        return [table for table in job.notify if status in table.on] if job is not None else []

    # -- durable scripts -------------------------------------------------------------------------------------------

    def _suspends(self, case: Case, event: Event) -> None:
        """An attempt has ended itself, to go on later: it was none too many, and takes no slot."""
        now, name = case.present, event.step
        if case.step(name).kind is not StepKind.COMMAND or case.step(name).poll is not None or name[0] != "d":
            raise Violation("only scripts are suspended", f"{case.name} {name}")
        now.attempts[name] -= 1
        now.suspended[name] = event.data["wait"]
        if (case.journals[name], event.data["wait"]["call"]) in case.came:
            raise Violation("a wait comes to one thing", f"{case.name} {name} waits again: {event.data['wait']}")

    def _wait_ends(self, case: Case, event: Event) -> None:
        """What a suspended step waits for has come, or its time is over."""
        waits = case.state.steps[event.step].waiting if event.step in case.state.steps else None
        if event.type is _E.TIMER_FIRED and waits is not None and waits["kind"] == "signal":
            if case.state.untaken.get(waits["name"]) and case.present.stopped is None:
                raise Violation("a signal ends a wait", f"{case.name} {event.step}: {waits} had come in time")
        wait = case.present.suspended.get(event.step)
        if wait is None:
            return
        if event.type is _E.WAIT_ENDED and (wait["kind"] != "signal" or wait["name"] != event.data["name"]):
            raise Violation("a wait is waited for", f"{case.name} {event.step}: {event}, {wait}")
        if event.type is _E.TIMER_FIRED and event.at < wait["until"] and not self._world.clock_steps:
            raise Violation("a wait is waited for", f"{case.name} {event.step}: {wait['until'] - event.at} ms early")
        if event.type is _E.WAIT_ENDED or "limit" not in wait:  # at its limit the step ends
            del case.present.suspended[event.step]
            case.came.add((case.journals[event.step], wait["call"]))

    def _undo_starts(self, case: Case, event: Event) -> None:
        name, now = event.step, case.present
        self._attempt_starts(case, event, name + UNDO)
        if now.stopped is None or now.stopped == "terminated":
            raise Violation("undo only what has to be", f"{case.name}: {name} is undone, and the run {now.stopped}")
        if case.state.status == "paused":
            raise Violation("nothing starts in a paused run", f"{case.name}: the undo of {name}")
        if name in now.undone:
            raise Violation("an undo that has ended never starts again", f"{case.name} {name}")
        # What always runs is not cut short: the rest of its items comes when all is undone.
        running = [n for n in now.active if n not in now.lists or case.step(n).when is not When.ALWAYS]
        if running:
            raise Violation("undo when all has ended", f"{case.name}: {name} is undone while {running} run")
        if name in now.undo_starts:
            return
        if now.undo_starts and now.undo_starts[-1] not in now.undone:
            raise Violation("one undo after another", f"{case.name} {name}: {now.undo_starts[-1]} is not done")
        places = [_place(case.state.steps[n]) for n in (*now.undo_starts, name)]
        if places != sorted(places, reverse=True):
            raise Violation("undo newest start first", f"{case.name}: {now.undo_starts}, then {name}")
        now.undo_starts.append(name)

    def _due(self, case: Case, now: Try) -> list[str]:
        """Steps of the try whose undo is due and has not come to its end."""
        due = []
        for name, state in case.state.steps.items():
            step = case.steps.get(step_name(name))
            if step is None or step.compensate is None or name in now.undone or name in now.tidying:
                continue
            if state.items is not None:
                continue  # its items are what was done
            began = len(state.attempts) > state.earlier or state.children > 0
            started = began or state.status is StepStatus.SUCCEEDED
            if state.status in (StepStatus.SKIPPED, StepStatus.PENDING, StepStatus.COMPENSATED) or not started:
                continue
            due.append(name)
        return due

    def _run_ends(self, case: Case, event: Event) -> None:
        now, status = case.present, event.data["status"]
        reason = event.data.get("reason") or ""
        if reason == TOO_LATE:
            by = case.state.start_by
            if by is None or by > event.at or status != "canceled":
                raise Violation("nobody is too early to be too late", f"{case.name}: {event}, {by}")
            return
        if case.state.started_at is None and case.state.stopped is None:
            return  # it could not begin
        if "it was recovered" in reason:
            return
        expected = {"failed": ("failed",), "canceled": ("canceled",), "timed_out": ("timed_out",)}
        if now.stopped is None and status != "succeeded":
            raise Violation("the end fits the history", f"{case.name}: {status} though nothing stopped it")
        if now.stopped is not None and status not in expected.get(now.stopped, ("terminated",)):
            raise Violation("the end fits the history", f"{case.name}: {status} though it has {now.stopped}")
        if now.active:
            raise Violation("a run ends when its steps have", f"{case.name}: {now.active}")
        for (run, key), keeper in self._latest.items():
            if run == case.name and keeper.command:
                raise Violation("stop means stop", f"{case.name} is over, and {key}.{keeper.number} runs")
        if now.stopped is None:
            missing = [s.name for s in case.job.steps if s.name not in now.ended and s.when is not When.FAILURE]
            if missing:
                raise Violation("a run succeeds when all is done", f"{case.name}: {missing} never ran")
        elif now.stopped != "terminated":
            missing = self._due(case, now)
            if missing:
                raise Violation("compensations complete", f"{case.name} has {status} without the undo of {missing}")
            for name in now.undo_starts:
                if name not in now.undone:
                    raise Violation("compensations complete", f"{case.name}: the undo of {name} has not ended")

    # -- at the end of the world -----------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        """No faults any more, and all has come to rest."""
        names = {case.name for case in self.cases.values()}
        for name in sorted(self.promised - names):
            raise Violation("no run is lost", name)
        for case in self.cases.values():
            by = case.state.start_by
            if by is not None and by <= self._world.now():
                raise Violation("what is too late ends", f"{case.name} still waits, {case.state.status}")
            self._rests(case)
            self._is_no_orphan(case)
            rows = self._db.execute(
                "SELECT at, type, step, number, data FROM events WHERE run = ? ORDER BY seq", (case.id,)
            ).fetchall()
            events = [from_row(row) for row in rows]
            if events != case.events:
                raise Violation("histories only grow", f"{case.name}: what was written before has changed")
            if replay(events).status != case.state.status:
                raise Violation("histories can be replayed", case.name)
        for process in self._world.processes.values():
            if isinstance(process, Command) and process.alive:
                raise Violation("nothing is left", f"{process.run} {process.key}.{process.number} runs still")
        self._fire_times()

    def _is_no_orphan(self, case: Case) -> None:
        """No child run outlives its parent, but one that was to be left alone, or was resumed by itself."""
        parent = case.parent
        if parent is None or case.state.finished_at is not None or parent.state.finished_at is None or case.state.alone:
            return
        if case.state.ending is not None:
            return  # it was asked to end; its cleanup is shielded, and may wait for a person
        if parent.step(case.parent_step).on_parent_close is not ParentClosePolicy.ABANDON:
            raise Violation("no child outlives its parent", f"{case.name} is {case.state.status}, {parent.name} over")

    def _rests(self, case: Case) -> None:
        state = case.state
        if state.finished_at is not None or state.status == "paused":
            return
        for name, step in state.steps.items():
            waits = step.waiting
            if waits is not None and waits["kind"] == "child" and "ended" not in waits:
                if self._case(waits["name"]).state.finished_at is None:
                    return  # which is looked at by itself
            if waits is None or waits["kind"] not in ("signal", "approval") or "until" in waits:
                continue
            if waits["kind"] == "signal" and state.untaken.get(waits["name"]):
                raise Violation("a run ends or waits for a person", f"{case.name} {name}: its signal has come")
            return
        if state.status == "queued" and self._waits_its_turn(case):
            return
        steps = {name: str(step.status) for name, step in state.steps.items()}
        raise Violation("a run ends or waits for a person", f"{case.name} is {state.status}: {steps}")

    def _waits_its_turn(self, case: Case) -> bool:
        """Whether it stands behind others that have begun and are not over (each of them is looked at by itself)."""
        others = [c for c in self.cases.values() if c.state.status in _BEGUN]
        if case.trigger in ("schedule", "backfill") and case.job.overlap is not OverlapPolicy.ALLOW_ALL:
            if any(c.job.name == case.job.name for c in others):
                return True
        query = (
            "SELECT queue, executor FROM runs WHERE finished_at IS NULL AND wake_at IS NULL AND status != 'queued'"
            " AND started_at IS NOT NULL"
        )
        awake = self._db.execute(query).fetchall()
        queue = case.job.queue
        if queue in self.limits and sum(1 for found, _ in awake if found == queue) >= self.limits[queue]:
            return True
        daemons = self._db.execute("SELECT id FROM executors WHERE kind = 'daemon'").fetchall()
        return all(sum(1 for _, found in awake if found == name) >= self.maximum for (name,) in daemons)

    def _pauses(self) -> None:
        """A failure after which nothing more is to fire, and that nothing more fires: one commit."""
        for case in self._ended:
            if case.trigger != "schedule" or case.state.status not in ("failed", "timed_out"):
                continue
            if (
                case.job.pause_on_failure
                and not self._db.execute("SELECT 1 FROM paused_jobs WHERE job = ?", (case.job.name,)).fetchone()
            ):
                raise Violation("a failure pauses at once", f"{case.name} has {case.state.status}, its job fires on")

    def _fire_times(self) -> None:
        """Each fire time up to the progress has its run, or its record of why not: at every instant."""
        for number, job_name, key, progress in self._db.execute("SELECT id, job, key, progress FROM schedules"):
            since = max(self.covered.get(number, 0), self.first_progress.get(number, 0))
            before = self.furthest.get(number, 0)
            self.furthest[number] = max(self.furthest.get(number, 0), progress)
            if progress <= since:
                if number in self.first_progress:  # the clock was set back: what comes is dealt with from there
                    self.first_progress[number] = self.covered[number] = progress
                continue
            self.covered[number] = progress
            job = next((case.job for case in self.cases.values() if case.job.name == job_name), None)
            if job is None or number not in self.first_progress or job_name in self.prunable or job.pause_on_failure:
                continue
            if job_name in self.loose:
                continue
            schedule = next((s for s in job.schedules if encode_schedule(s, job) == key), None)
            if schedule is None:
                continue
            wanted = fires(schedule, since, progress, job.timezone or "UTC", 100_000)
            found = self._db.execute(
                "SELECT fire_time, coalesce(last, fire_time) FROM firings WHERE schedule = ?"
                " AND coalesce(last, fire_time) > ?",
                (number, since),
            ).fetchall()
            for at in wanted:
                if _real(schedule) and at <= before:
                    continue  # it had been there before the clock was set back, and then forth
                if not any(first <= at <= last for first, last in found):
                    raise Violation("no fire time is lost", f"{job_name}: {at} of {key}")

    def saw_schedules(self) -> None:
        for number, progress in self._db.execute("SELECT id, progress FROM schedules"):
            self.first_progress.setdefault(number, progress)


def _real(schedule: Schedule) -> bool:
    """Whether it follows real time when the clock is set back."""
    return schedule.every is not None or (schedule.cron is not None and schedule.cron.startswith("*"))


def _step_state(state: RunState, key: str) -> StepState | None:
    return state.undo.get(key.removesuffix("!undo")) if key.endswith("!undo") else state.steps.get(key)


def _place(step: StepState) -> int:
    return step.began if step.began is not None else step.ended or 0


def _above(steps: dict[str, Step], name: str, ended: Collection[str]) -> set[str]:
    """What it needs, and what that needs in turn where it is passed over."""
    found: set[str] = set()
    left = list(steps[name].needs)
    while left:
        one = left.pop()
        if one not in found and one not in ended:
            found.add(one)
            left += steps[one].needs
    return found


def _wait(retry: RetryPolicy, n: int) -> int:
    longest = retry.maximum_interval if retry.maximum_interval is not None else retry.initial_interval * 100
    wait = float(retry.initial_interval)
    for _ in range(n - 1):
        wait = min(wait * retry.backoff_coefficient, 1e15)
    return int(min(wait, longest))
