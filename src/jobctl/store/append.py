"""The one way in: what was learned of runs is appended, in one commit with the rows that follow from it. What is asked
of them is in queries.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from jobctl.core.errors import StoreError, UnwritableError
from jobctl.core.keys import UNDO, is_id
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.payloads import carried
from jobctl.core.run.rows import NewRun
from jobctl.core.status import RunStatus
from jobctl.store.codec import to_row
from jobctl.store.database import Database, Transaction
from jobctl.store.queries import PLACES
from jobctl.store.schema import Before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIRES = "INSERT OR IGNORE INTO firings (schedule, fire_time, outcome) VALUES (?, ?, ?)"
# One that has come before, by a clock that was set back since: once more, if the schedule has not got that far again.
_FIRES_AGAIN = (
    "INSERT INTO firings (schedule, fire_time, outcome) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
    " SET outcome = excluded.outcome, run = NULL, count = 1, last = NULL, reason = NULL, dropped_at = NULL"
    " WHERE (SELECT progress FROM schedules WHERE id = excluded.schedule) < excluded.fire_time"
)
_NEW = (
    "name",
    "job",
    "definition",
    "status",
    "seq",
    "executor",
    "trigger",
    "fire_time",
    "created_at",
    "started_at",
    "finished_at",
    "reason",
    "queue",
    "priority",
    "wake_at",
    "start_by",
    "parent",
    "parent_step",
    "key",
)  # the columns of a run that is new
_ADD_RUN = f"INSERT INTO runs ({', '.join(_NEW)}) VALUES ({', '.join(':' + column for column in _NEW)})"
_ADD_EVENT = "INSERT INTO events (run, seq, at, type, step, number, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
Beside = Callable[[Transaction], None]


class NotTogetherError(Exception):
    """Nothing was written, since these new runs could not be: another one has taken their place in a queue."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__()
        self.batches = batches


class Batch:
    """What one turn learned about one run: events to append after number `seq`, and the state they lead to."""

    __slots__ = (
        "children",
        "dealt_with",
        "definition",
        "events",
        "executor",
        "holder",
        "limits",
        "new",
        "notices",
        "run_id",
        "seq",
        "state",
        "tell",
        "told",
        "wake_at",
    )

    def __init__(
        self,
        run_id: int,
        seq: int,
        events: Sequence[Event],
        state: RunState,
        *,
        executor: str | None,
        new: NewRun | None = None,
        definition: str | None = None,
        limits: Mapping[str, int] | None = None,
        wake_at: int | None = None,
        children: Sequence[Batch] = (),
        tell: tuple[int, Event] | None = None,
        notices: Sequence[Batch] = (),
    ) -> None:
        self.run_id = run_id
        self.seq = seq
        self.events = events
        self.state = state
        self.executor = executor
        self.new = new
        self.definition = definition  # when the run goes on with another one
        self.wake_at = wake_at  # the run only waits: nobody has it until then, or until somebody asks something of it
        self.limits = limits  # of the queues that attempts in `events` take a place of
        self.children = children  # runs that begin, go on or are looked at with this one: all are written, or none is
        self.notices = notices  # new runs that tell of this one's end: written if it is
        self.tell = tell  # an event for another run's history: this one's parent, and that this one is over
        self.dealt_with = False  # refused for good: its fire time has a run, or a record of why there is none
        self.told = False  # whether that was written: the parent was not over
        self.holder: str | None = None  # then: the executor that has the parent


# Events after which more than a run's `seq` has changed.
_RUN_LEVEL = frozenset(
    {
        EventType.RUN_CREATED,
        EventType.RUN_TAKEN,
        EventType.RUN_PAUSED,
        EventType.RUN_UNPAUSED,
        EventType.CANCEL_REQUESTED,
        EventType.TERMINATE_REQUESTED,
        EventType.RUN_TIMED_OUT,
        EventType.RUN_REOPENED,
        EventType.RUN_ENDED,
    }
)


# (instant, schedule, instant): nothing up to then is due any more. It never goes back.
ADVANCE = "UPDATE schedules SET progress = ? WHERE id = ? AND progress < ?"
_PAUSING = (RunStatus.FAILED, RunStatus.TIMED_OUT)  # where the job says pause_on_failure


class _Added:
    """The rows that one commit adds, gathered over its batches: events, and the attempts that follow from them."""

    __slots__ = ("ended", "events", "started")

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.started: list[tuple[Any, ...]] = []  # the last of each: whose place it takes
        self.ended: list[tuple[Any, ...]] = []

    def history(self, batch: Batch) -> None:
        """Events of a run that starts and ends no attempt with them: a child that begins."""
        self.events += [(batch.run_id, batch.seq + i, *to_row(event)) for i, event in enumerate(batch.events, 1)]

    def batch(self, batch: Batch) -> None:
        run_id, seq = batch.run_id, batch.seq
        for event in batch.events:
            seq += 1
            self.events.append((run_id, seq, *to_row(event)))
            kind = event.type
            if kind is EventType.ATTEMPT_STARTED:
                queue = carried(kind, event).get("queue")
                self.started.append((run_id, event.step, event.number, event.at, queue))
            elif kind is EventType.ATTEMPT_ENDED:
                self.ended.append(_ended(run_id, event.step, event))
            elif kind is EventType.UNDO_STARTED:
                self.started.append((run_id, event.step + UNDO, event.number, event.at, None))
            elif kind is EventType.UNDO_ENDED:
                self.ended.append(_ended(run_id, event.step + UNDO, event))

    def write(self, db: Transaction) -> None:
        db.executemany(_ADD_EVENT, self.events)
        # Started first: an attempt may start and end in one turn, when it is found to have been lost.
        if self.started:
            db.executemany(
                "INSERT INTO attempts (run, step, number, status, started_at, queue) VALUES (?, ?, ?, 'running', ?, ?)",
                self.started,
            )
        if self.ended:
            db.executemany(
                "UPDATE attempts SET status = ?, exit_code = ?, finished_at = ?"
                " WHERE run = ? AND step = ? AND number = ?",
                self.ended,
            )


class Append(Database):
    """The writer's side."""

    def __init__(
        self, state_dir: str, *, create: bool = True, asks: bool = False, before_upgrade: Before | None = None
    ) -> None:
        super().__init__(state_dir, create=create, asks=asks, before_upgrade=before_upgrade)
        self._new_executors: list[tuple[Any, ...]] = []  # made known, and to be written with the next commit

    def register(self, executor_id: str, pid: int, kind: str, now: int) -> None:
        """Make an executor known together with the first thing it writes."""
        self._new_executors.append((executor_id, pid, kind, now))

    def record_executor(self) -> None:
        """Write what `register` has made known, now: for an executor that is to be seen before it does anything."""
        self.append([])

    def unregister(self, executor_id: str) -> None:
        self._new_executors = [row for row in self._new_executors if row[0] != executor_id]
        with self.transaction() as db:
            db.execute("DELETE FROM executors WHERE id = ?", (executor_id,))

    def append(self, batches: Sequence[Batch], beside: Beside | None = None) -> list[Batch]:
        """Write what was learned of some runs, in one commit. Returns the batches that are refused.

        A batch is refused when its run has got an event since it was read: another process was faster. It is refused
        as well when an attempt that it starts finds no place in its queue; the places of the batches before it count.
        Of a refused batch nothing is written. Whoever made it reads the run again, decides again and appends again,
        except when it is `dealt_with`: then its run is never to be. A new run that is written has its `run_id` set.

        `beside` writes what else belongs to this commit; it is called last. With it a refused new run keeps everything
        else from being written: NotTogetherError has the batches that are to be decided again.
        """
        refused: list[Batch] = []
        tellers: list[Batch] = []
        added = _Added()
        with self.transaction() as db:
            if self._new_executors:
                db.executemany(
                    "INSERT INTO executors (id, pid, kind, started_at) VALUES (?, ?, ?, ?)", self._new_executors
                )
            for batch in batches:
                if (
                    (batch.limits and not self._have_places(db, batch, added.started))
                    or (batch.children and not self._are_as_read(db, batch.children))
                    or not (self._update(db, batch) if batch.new is None else self._insert(db, batch))
                ):
                    refused.append(batch)
                    continue
                if batch.state.status in _PAUSING:
                    self._pause(db, batch)
                if batch.tell is not None:
                    tellers.append(batch)
                for child in batch.children:
                    if child.new is not None:
                        self._insert(db, child, parent=batch.run_id)
                    elif child.events:
                        self._update(db, child)
                    added.history(child)
                for notice in batch.notices:
                    self.insert(db, notice)
                added.batch(batch)
            if beside is not None and (again := [one for one in refused if one.new is not None and not one.dealt_with]):
                raise NotTogetherError(again)
            for batch in tellers:  # after all batches: the parent's own may be among them
                self._tell(db, batch, added.events)
            added.write(db)
            if beside is not None:
                beside(db)
        self._new_executors.clear()
        return refused

    def unwritable(self, batches: Iterable[Batch]) -> list[Batch]:
        """Those of some batches that cannot be written, whatever the store is like; nothing is written."""
        found = []
        for batch in batches:
            try:
                self.append([batch], _undo)
            except (_UndoneError, NotTogetherError):
                continue
            except UnwritableError:
                found.append(batch)
            except StoreError:
                raise
            except Exception:  # a number that is too large, half a character: Python's words for it are many
                found.append(batch)
        return found

    def insert(self, db: Transaction, batch: Batch) -> None:
        """Write a new run and its events in a transaction that is under way. Its `run_id` is set."""
        self._insert(db, batch)
        db.executemany(_ADD_EVENT, [(batch.run_id, i, *to_row(event)) for i, event in enumerate(batch.events, 1)])

    @staticmethod
    def _pause(db: Transaction, batch: Batch) -> None:
        """With the end of a run after which no further one of its job is to fire, its schedules are paused: whoever
        records that end, and whatever happens to them next."""
        if batch.state.trigger != "schedule":
            return
        if not any(event.type is EventType.RUN_ENDED for event in batch.events):
            return
        found = db.execute(
            "SELECT r.job, d.body FROM runs r JOIN definitions d ON d.id = r.definition WHERE r.id = ?",
            (batch.run_id,),
        ).fetchone()
        try:
            job, body = found
            pauses = json.loads(body).get("pause_on_failure", False)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return  # damaged, or gone: the run has ended all the same
        if pauses:
            pause_job(db, job, at=batch.events[-1].at, reason="a run failed (pause_on_failure)", who="daemon")

    @staticmethod
    def _are_as_read(db: Transaction, children: Sequence[Batch]) -> bool:
        """Whether no run of these that is not new has got an event since it was read."""
        at = "SELECT 1 FROM runs WHERE id = ? AND seq = ?"
        return all(
            child.new is not None or db.execute(at, (child.run_id, child.seq)).fetchone() is not None
            for child in children
        )

    @staticmethod
    def _tell(db: Transaction, batch: Batch, events: list[tuple[Any, ...]]) -> None:
        """Add the event for the parent to `events`, if the parent is not over; wake the parent if it is asleep."""
        assert batch.tell is not None
        run_id, event = batch.tell
        found = db.execute("SELECT seq, executor FROM runs WHERE id = ? AND finished_at IS NULL", (run_id,)).fetchone()
        if found is not None:
            seq, batch.holder, batch.told = found[0] + 1, found[1], True
            db.execute(
                "UPDATE runs SET seq = ?, wake_at = CASE WHEN wake_at IS NOT NULL THEN min(wake_at, ?) END"
                " WHERE id = ?",
                (seq, event.at, run_id),
            )
            events.append((run_id, seq, *to_row(event)))

    def _have_places(self, db: Transaction, batch: Batch, starting: list[tuple[Any, ...]]) -> bool:
        """Whether the attempts that the batch starts find a place in their queues; `starting` are those before them."""
        assert batch.limits is not None
        for queue, limit in batch.limits.items():
            starts = (carried(e.type, e) for e in batch.events if e.type is EventType.ATTEMPT_STARTED)
            wanted = sum(1 for start in starts if start.get("queue") == queue)
            taken = sum(1 for row in starting if row[-1] == queue)
            if db.execute(PLACES, (queue,)).fetchone()[0] + taken + wanted > limit:
                return False
        return True

    def _insert(self, db: Transaction, batch: Batch, parent: int | None = None) -> bool:
        new, state = batch.new, batch.state
        assert new is not None
        if not is_id(new.name):
            raise UnwritableError(f"a run cannot be called {new.name!r}", hint="an id has letters, digits and _ . : -")
        if new.key is not None and self._has_key(db, new, state.created_at):
            batch.dealt_with = True
            return False
        if new.schedule is not None:
            outcome = "buffered" if state.status is RunStatus.QUEUED else "started"
            # Here the database says "only once".
            if not db.execute(_FIRES_AGAIN if new.again else _FIRES, (new.schedule, new.fire_time, outcome)).rowcount:
                batch.dealt_with = True
                return False
            db.execute(ADVANCE, (new.fire_time, new.schedule, new.fire_time))
        nobodys = state.finished_at is not None or state.status is RunStatus.QUEUED or batch.wake_at is not None
        values = {
            "name": new.name,
            "job": new.job,
            "definition": _definition(db, new.job, new.definition),
            "status": str(state.status),
            "seq": len(batch.events),
            "executor": None if nobodys else batch.executor,
            "trigger": new.trigger,
            "fire_time": new.fire_time,
            "created_at": state.created_at,
            "started_at": state.started_at,
            "finished_at": state.finished_at,
            "reason": state.reason,
            "queue": new.queue,
            "priority": new.priority,
            "wake_at": batch.wake_at,
            "start_by": state.start_by,
            "parent": new.parent if parent is None else parent,
            "parent_step": new.parent_step,
            "key": new.key,
        }
        cursor = db.execute(_ADD_RUN, values)
        assert cursor.lastrowid is not None
        batch.run_id = cursor.lastrowid
        if new.schedule is not None:
            db.execute(
                "UPDATE firings SET run = ? WHERE schedule = ? AND fire_time = ?",
                (batch.run_id, new.schedule, new.fire_time),
            )
        return True

    @staticmethod
    def _has_key(db: Transaction, new: NewRun, now: int) -> bool:
        """Whether the job has a run of that key. A fire time that would have been another one is dealt with by it."""
        found = db.execute("SELECT name FROM runs WHERE job = ? AND key = ?", (new.job, new.key)).fetchone()
        if found is None:
            return False
        if new.schedule is not None:
            db.execute(
                "INSERT OR IGNORE INTO firings (schedule, fire_time, outcome, reason, dropped_at)"
                " VALUES (?, ?, 'skipped', ?, ?)",
                (new.schedule, new.fire_time, f"there is a run with its key: {found[0]}", now),
            )
            db.execute(ADVANCE, (new.fire_time, new.schedule, new.fire_time))
        return True

    def _update(self, db: Transaction, batch: Batch) -> bool:
        seq, state = batch.seq + len(batch.events), batch.state
        changes = batch.wake_at is not None
        for event in batch.events:
            changes = changes or event.type in _RUN_LEVEL
        if changes:
            if batch.definition is not None:
                job = db.execute("SELECT job FROM runs WHERE id = ?", (batch.run_id,)).fetchone()[0]
                definition = _definition(db, job, batch.definition)
                db.execute(
                    "UPDATE runs SET definition = ? WHERE id = ? AND seq = ?", (definition, batch.run_id, batch.seq)
                )
            cursor = db.execute(
                "UPDATE runs SET seq = ?, status = ?, executor = ?, wake_at = ?, start_by = ?, started_at = ?,"
                " finished_at = ?, reason = ? WHERE id = ? AND seq = ?",
                (
                    seq,
                    str(state.status),
                    None if state.finished_at is not None or batch.wake_at is not None else batch.executor,
                    batch.wake_at if state.finished_at is None else None,
                    state.start_by,
                    state.started_at,
                    state.finished_at,
                    state.reason,
                    batch.run_id,
                    batch.seq,
                ),
            )
        else:
            cursor = db.execute("UPDATE runs SET seq = ? WHERE id = ? AND seq = ?", (seq, batch.run_id, batch.seq))
        return cursor.rowcount == 1

    def snooze(self, run_id: int, until: int) -> None:
        """Look at a run that is asleep later than it asked for."""
        with self.transaction() as db:
            db.execute("UPDATE runs SET wake_at = ? WHERE id = ? AND wake_at IS NOT NULL", (until, run_id))

    def wake_all(self, now: int) -> None:
        """Have all runs that are asleep looked at again: the wall clock was set, and when they wake is written as what
        that clock shows."""
        with self.transaction() as db:
            db.execute("UPDATE runs SET wake_at = ? WHERE finished_at IS NULL AND wake_at > ?", (now, now))


def pause_job(db: Transaction, job: str, *, at: int, reason: str | None, who: str | None) -> None:
    """Have the job's schedules fire no more, in a transaction that is under way. The first reason stays."""
    db.execute(
        "INSERT INTO paused_jobs (job, at, reason, who) VALUES (?, ?, ?, ?) ON CONFLICT (job) DO NOTHING",
        (job, at, reason, who),
    )


class _UndoneError(Exception):
    pass


def _undo(_: Transaction) -> None:
    raise _UndoneError


def _definition(db: Transaction, job: str, body: str) -> int:
    try:
        # What hashlib gives too, after it has loaded OpenSSL: some milliseconds of every `jobctl run`.
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b

    digest = blake2b(body.encode(), digest_size=16).hexdigest()
    row = db.execute("SELECT id FROM definitions WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        return int(row[0])
    cursor = db.execute("INSERT INTO definitions (digest, job, body) VALUES (?, ?, ?)", (digest, job, body))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _ended(run_id: int, key: str, event: Event) -> tuple[Any, ...]:
    data = carried(EventType.ATTEMPT_ENDED, event)
    status = data.get("status", "succeeded")
    code = data.get("exit_code", 0 if status == "succeeded" else None)
    return status, code, event.at, run_id, key, event.number
