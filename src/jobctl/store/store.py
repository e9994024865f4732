"""The state store: append events, read histories, claim runs, answer queries. The one file with hot SQL.

Writes are BEGIN IMMEDIATE transactions of plain statements on the standard library's connection, with
synchronous=FULL: what was committed survives a power cut. sqlite_utils makes and migrates the schema (migrations.py).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jobctl.core.errors import (
    NotFoundError,
    StoreError,
    StoreGoneError,
    StoreLostError,
    StoreUnavailableError,
    UnwritableError,
)
from jobctl.core.keys import UNDO
from jobctl.core.run.history import Event, EventType, HistoryError, RunState, replay
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.core.status import RunStatus
from jobctl.host import locks
from jobctl.host.folder import Folder
from jobctl.host.folder import decode as decode_folder
from jobctl.host.folder import encode as encode_folder
from jobctl.host.machine import READ_ONLY_HINT, read_only
from jobctl.store import place
from jobctl.store.codec import from_row, to_row
from jobctl.store.soundness import Kinds, tolerant
from jobctl.store.trouble import LOG_LIMIT as _WAL_LIMIT

APPLICATION_ID = 0x6A6F6263  # "jobc": tells our file from any other SQLite database
VERSION = 6  # the number of migrations; stands in user_version

_BUSY_SECONDS = 30.0
LOOP_PATIENCE_MS = 500  # of a loop with timeouts to keep: it comes back soon, and tries again between two turns
_LOOK_UP_MS = 100  # of a patience at a time: SQLite does not hear signals while it waits
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # 32 letters, none that reads as another (Crockford's)
_LATELY = 5_000  # runs of a job among which its last own one is looked for: a millisecond for each thousand
_FIRES = "INSERT OR IGNORE INTO firings (schedule, fire_time, outcome) VALUES (?, ?, ?)"
# One that has come before, by a clock that was set back since: once more, if the schedule has not got that far again.
_FIRES_AGAIN = (
    "INSERT INTO firings (schedule, fire_time, outcome) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
    " SET outcome = excluded.outcome, run = NULL, count = 1, last = NULL, reason = NULL, dropped_at = NULL"
    " WHERE (SELECT progress FROM schedules WHERE id = excluded.schedule) < excluded.fire_time"
)


_RUN = RUN_COLUMNS = ", ".join(RunRow._fields)
_OF_A_RUN = Kinds(
    "a run",
    id="n", name="f", job="t", definition="n", status="t", seq="n", executor="F", trigger="t", fire_time="I",
    created_at="i", started_at="I", finished_at="I", reason="T", queue="T", priority="n", wake_at="N", parent="N",
    parent_step="T",
)  # fmt: skip
_OF_AN_EXECUTOR = Kinds("a process", id="f", pid="n", kind="t", started_at="i")
_ADD_EVENT = "INSERT INTO events (run, seq, at, type, step, number, data) VALUES (?, ?, ?, ?, ?, ?, ?)"


Transaction = sqlite3.Connection  # one that is under way: whoever is given it may write, and neither ends nor keeps it
Beside = Callable[[Transaction], None]
Before = Callable[[list[tuple[str, int]]], list[int]]  # daemons (id, pid) -> the processes that were asked to end


class Upgraded(NamedTuple):
    """What was done to a store of an older version."""

    version: int  # it had
    kept: str  # where it is still as it was; "" for one without a history
    ended: list[int]  # daemons that were asked to end


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


class Store:
    """One connection to the state store in `state_dir`, for one thread.

    Every method raises StoreError when the store cannot be used: locked for long, read-only, corrupt, full, newer.
    """

    def __init__(
        self, state_dir: str, *, create: bool = True, asks: bool = False, before_upgrade: Before | None = None
    ) -> None:
        """Open the store, made if it is not there and `create` says so: NotFoundError otherwise.

        `asks`: nothing is to be written, and an older schema is not upgraded but read as it is. `before_upgrade` has
        the daemons end that live on one that is.
        """
        self.state_dir = state_dir
        self.upgraded: Upgraded | None = None  # by this very call
        self._before_upgrade = before_upgrade
        self._origin: sqlite3.Connection | None = None  # the file, when what is read is a copy in today's schema
        self._seen = 0  # the origin's data_version when that copy was made
        self.path = os.path.join(state_dir, place.DATABASE)
        if not os.path.exists(self.path):
            with _explained(self.path):
                place.must_be_new(state_dir)
            if not create:
                raise NotFoundError(
                    "nothing has run here yet",
                    hint=f"the state folder {state_dir} has no store; start with: jobctl run JOB",
                )
            with _explained(self.path):
                from jobctl.store import migrations

                migrations.create(self.path)
        self.damage: dict[str, None] = {}  # rows that cannot be right, and have been read as if they were: a line each
        with _explained(self.path):
            self._db = self._connect(asks)
            self._patience_ms = int(_BUSY_SECONDS * 1000)
            self.give_up: Callable[[], bool] | None = None  # whether to wait no longer for others that write
            found = os.stat(self.path)
            self._place = (found.st_dev, found.st_ino)
            self.copy = place.copy_of(state_dir, self.folder())  # of which folder this one is a copy, if it is one
        self.log_is_held = False  # whether the last attempt to empty the write-ahead log found somebody in the way
        self._new_executors: list[tuple[Any, ...]] = []
        self._commits = 0

    def _connect(self, asks: bool) -> sqlite3.Connection:
        if os.path.getsize(self.path) == 0:
            raise StoreError(
                f"{self.path} is empty: it was truncated, it holds no history",
                hint=f"put a backup in its place; to begin anew: mv {self.state_dir} {self.state_dir}.lost",
            )
        address = _to_read(self.path) if read_only(self.path) else self.path
        db = sqlite3.connect(address, timeout=_BUSY_SECONDS, isolation_level=None, uri=address is not self.path)
        db.execute("PRAGMA synchronous = FULL")
        # A checkpoint that races a commit can corrupt the file in SQLite before 3.51.3; ours (checkpoint) takes the
        # writer's lock, which excludes that. SQLite's own, at a commit, does not.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA foreign_keys = ON")
        _patiently(db, "PRAGMA application_id", int(_BUSY_SECONDS * 1000))
        version = self._check(db)
        if version < VERSION:
            from jobctl.store import migrations

            if asks:
                self._origin = db
                return self._as_today()
            self.upgraded = migrations.upgrade(self.path, lambda: self._check(db), self._before_upgrade)
        return db

    def _as_today(self) -> sqlite3.Connection:
        """What an older file holds, in today's schema. The file is not touched: an older jobctl may be using it."""
        from jobctl.store import migrations

        assert self._origin is not None
        self._seen = self._origin.execute("PRAGMA data_version").fetchone()[0]
        return migrations.as_today(self._origin)

    def _fresh(self) -> sqlite3.Connection:
        """The connection that questions are asked of."""
        if self._origin is not None and self._origin.execute("PRAGMA data_version").fetchone()[0] != self._seen:
            self._db.close()
            self._db = self._as_today()
        return self._db

    def _check(self, db: sqlite3.Connection) -> int:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path} is a database of another program",
                hint="choose another state folder: --state-dir, or JOBCTL_STATE_DIR",
            )
        if version > VERSION:
            raise StoreError(
                f"{self.path} was written by a newer jobctl (schema {version}, this one knows {VERSION})",
                hint="upgrade jobctl, or choose another state folder with --state-dir",
            )
        return version

    def close(self) -> None:
        self.checkpoint()  # many short-lived processes beside a long-lived one would never come to the 256th commit
        with _explained(self.path):
            self._db.close()
            if self._origin is not None:
                self._origin.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The only way state changes. The body does no I/O but SQL."""
        db = self._db
        place.check(self.path, self._place)
        with _explained(self.path):
            _patiently(db, "BEGIN IMMEDIATE", self._patience_ms, self.give_up)
            try:
                self._check_version()
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            try:
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        self._commits += 1
        if self._commits % 64 == 0:
            self.checkpoint()

    def vacuum(self, pages: int) -> int:
        """Take up to that many unused pages out of the file, in a transaction of its own. Returns how many are left.

        The file itself gets smaller with the next checkpoint.
        """
        with _explained(self.path):
            # A script, because each page is a step of the statement: `execute` takes one and leaves the others.
            self._db.executescript(f"PRAGMA incremental_vacuum({pages})")
        return int(self.row("PRAGMA freelist_count")[0])

    def check_place(self) -> None:
        """StoreGoneError while the file is not where it was: writes would go into the void. StoreLostError when another
        one is there, or another version of jobctl has upgraded it."""
        place.check(self.path, self._place)
        with _explained(self.path):
            self._check_version()

    def _check_version(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise StoreLostError(
                f"{self.path} was upgraded by another jobctl while this one ran",
                hint="start this process again; commands that run go on, and the next jobctl takes them over",
            )

    def checkpoint(self, *, whole: bool = False) -> None:
        """Move the write-ahead log into the database when it has grown, or (`whole`) in any case, and empty its file.
        Waits for nobody."""
        try:
            if self._origin is not None or (os.path.getsize(self.path + "-wal") < _WAL_LIMIT and not whole):
                return
        except OSError:
            return
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            done = self._db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if whole else 'RESTART'})").fetchone()
            self.log_is_held = bool(done[0])
        except sqlite3.Error:
            self.log_is_held = True  # a reader or writer was there, or the disk is full: the next one will do it
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {self._patience_ms}")

    def log_held(self) -> str:
        """Who keeps the write-ahead log from being emptied, in a sentence; "" for nobody."""
        from jobctl.store import trouble

        try:
            return trouble.log_held(self.path, os.path.getsize(self.path + "-wal"))
        except OSError:
            return ""

    def troubles(self) -> list[str]:
        """What the store suffers from and a look from outside can tell, in sentences."""
        from jobctl.store import trouble

        return trouble.seen(self.path)

    def be_patient(self, ms: int | None = None) -> None:
        """How long from now on another process that writes - one that is stopped amid a transaction, say - may hold up
        this one: StoreUnavailableError after that. None: as long as at first, for who has nothing else to do."""
        self._patience_ms = int(_BUSY_SECONDS * 1000) if ms is None else ms
        with _explained(self.path):
            self._db.execute(f"PRAGMA busy_timeout = {self._patience_ms}")

    # -- write -----------------------------------------------------------------------------------------------------

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
        """Append what was learned, in one commit. Returns the batches that were not written, because somebody else
        has appended to their run since it was read, or taken the last place of a queue - also by a batch before them:
        read again and decide again, but for a new run that is `dealt_with`. A new run's `run_id` is set.

        `beside`: what else belongs to that commit, done last. Then a new run is written with it or nothing is:
        NotTogetherError names the batches that are to be decided again.
        """
        refused: list[Batch] = []
        attempts_started: list[tuple[Any, ...]] = []
        attempts_ended: list[tuple[Any, ...]] = []
        rows: list[tuple[Any, ...]] = []
        tellers: list[Batch] = []
        with self.transaction() as db:
            if self._new_executors:
                db.executemany(
                    "INSERT INTO executors (id, pid, kind, started_at) VALUES (?, ?, ?, ?)", self._new_executors
                )
            for batch in batches:
                if batch.limits and not self._have_places(db, batch, attempts_started):
                    refused.append(batch)
                    continue
                if not all(
                    child.new is not None or self._is_at(db, child.run_id, child.seq) for child in batch.children
                ):
                    refused.append(batch)
                    continue
                if not (self._update(db, batch) if batch.new is None else self._insert(db, batch)):
                    refused.append(batch)
                    continue
                self._pause(db, batch)
                if batch.tell is not None:
                    tellers.append(batch)
                for child in batch.children:
                    if child.new is not None:
                        self._insert(db, child, parent=batch.run_id)
                    elif child.events:
                        self._update(db, child)
                    rows += [(child.run_id, child.seq + i, *to_row(event)) for i, event in enumerate(child.events, 1)]
                for notice in batch.notices:
                    self.insert(db, notice)
                seq = batch.seq
                run_id = batch.run_id
                for event in batch.events:
                    seq += 1
                    rows.append((run_id, seq, *to_row(event)))
                    kind = event.type
                    if kind is EventType.ATTEMPT_STARTED:
                        attempts_started.append((run_id, event.step, event.number, event.at, event.data.get("queue")))
                    elif kind is EventType.ATTEMPT_ENDED:
                        attempts_ended.append(_ended(run_id, event.step, event))
                    elif kind is EventType.UNDO_STARTED:
                        attempts_started.append((run_id, event.step + UNDO, event.number, event.at, None))
                    elif kind is EventType.UNDO_ENDED:
                        attempts_ended.append(_ended(run_id, event.step + UNDO, event))
            if beside is not None and (again := [one for one in refused if one.new is not None and not one.dealt_with]):
                raise NotTogetherError(again)
            # After all batches: the parent's own may be among them.
            rows += [row for batch in tellers for row in self._tell(db, batch)]
            db.executemany(_ADD_EVENT, rows)
            # Started first: an attempt may start and end in one turn, when it is found to have been lost.
            if attempts_started:
                db.executemany(
                    "INSERT INTO attempts (run, step, number, status, started_at, queue)"
                    " VALUES (?, ?, ?, 'running', ?, ?)",
                    attempts_started,
                )
            if attempts_ended:
                db.executemany(
                    "UPDATE attempts SET status = ?, exit_code = ?, finished_at = ?"
                    " WHERE run = ? AND step = ? AND number = ?",
                    attempts_ended,
                )
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

    def insert(self, db: sqlite3.Connection, batch: Batch) -> None:
        """Write a new run and its events in a transaction that is under way. Its `run_id` is set."""
        self._insert(db, batch)
        db.executemany(_ADD_EVENT, [(batch.run_id, i, *to_row(event)) for i, event in enumerate(batch.events, 1)])

    @staticmethod
    def _pause(db: sqlite3.Connection, batch: Batch) -> None:
        """With the end of a run after which no further one of its job is to fire, its schedules are paused: whoever
        records that end, and whatever happens to them next."""
        if batch.state.status not in _PAUSING or batch.state.trigger != "schedule":
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
    def _is_at(db: sqlite3.Connection, run_id: int, seq: int) -> bool:
        return db.execute("SELECT 1 FROM runs WHERE id = ? AND seq = ?", (run_id, seq)).fetchone() is not None

    @staticmethod
    def _tell(db: sqlite3.Connection, batch: Batch) -> Iterator[tuple[Any, ...]]:
        """The row of the event for the parent's history, if that is not over; one that is asleep is to be woken."""
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
            yield (run_id, seq, *to_row(event))

    def _have_places(self, db: sqlite3.Connection, batch: Batch, starting: list[tuple[Any, ...]]) -> bool:
        """Whether the attempts that the batch starts find a place in their queues; `starting` are those before them."""
        assert batch.limits is not None
        for queue, limit in batch.limits.items():
            wanted = sum(1 for event in batch.events if event.data.get("queue") == queue)
            taken = sum(1 for row in starting if row[-1] == queue)
            if self._in_queue(db, queue) + taken + wanted > limit:
                return False
        return True

    @staticmethod
    def _in_queue(db: sqlite3.Connection, queue: str) -> int:
        row = db.execute("SELECT count(*) FROM attempts WHERE queue = ? AND status = 'running'", (queue,)).fetchone()
        return int(row[0])

    def _insert(self, db: sqlite3.Connection, batch: Batch, parent: int | None = None) -> bool:
        new, state = batch.new, batch.state
        assert new is not None
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
        cursor = db.execute(
            f"INSERT INTO runs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
        )
        assert cursor.lastrowid is not None
        batch.run_id = cursor.lastrowid
        if new.schedule is not None:
            db.execute(
                "UPDATE firings SET run = ? WHERE schedule = ? AND fire_time = ?",
                (batch.run_id, new.schedule, new.fire_time),
            )
        return True

    @staticmethod
    def _has_key(db: sqlite3.Connection, new: NewRun, now: int) -> bool:
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

    def _update(self, db: sqlite3.Connection, batch: Batch) -> bool:
        seq, state = batch.seq + len(batch.events), batch.state
        if batch.wake_at is not None or any(event.type in _RUN_LEVEL for event in batch.events):
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

    def take(
        self, run_ids: Iterable[int], executor_id: str, boot: str, now: int, alive: Callable[[str], bool]
    ) -> list[int]:
        """Claim runs for an executor of this boot, in one commit: recorded as RUN_TAKEN. Returns those that are its own
        now: the others are over, a living one has them, or they can no longer begin in time.
        CopyError in a copy: they are the original's."""
        if self.copy is not None:
            raise self.copy.error("no run can be taken up")
        left, taken = list(run_ids), []
        while left:
            batches = []
            for run_id in left:
                row = self.run(run_id)
                if row.finished_at is None and not (
                    row.executor and row.executor != executor_id and alive(row.executor)
                ):
                    state = self.state(row)
                    if state.start_by is not None and state.start_by <= now:
                        continue  # too late: it is not to begin any more, and is about to be ended
                    event = Event(EventType.RUN_TAKEN, now, data={"executor": executor_id, "boot": boot})
                    state.apply(event)
                    batches.append(Batch(run_id, row.seq, [event], state, executor=executor_id))
            left = [batch.run_id for batch in self.append(batches)] if batches else []
            taken += [batch.run_id for batch in batches if batch.run_id not in left]
        return taken

    def request(
        self,
        run_id: int,
        make: Callable[[RunRow, RunState], tuple[Event, str | None]],
        *,
        notices: Sequence[Batch] = (),
    ) -> RunRow:
        """Append one event from outside - a cancel, a pause, a reopening. `make` is given the run as it is, and again
        when somebody was faster; it returns the event and the definition that the run goes on with, if another.
        `notices`: new runs that tell of the event, when it is an end; as `make` leaves them."""
        while True:
            row = self.run(run_id)
            state = self.state(row)
            event, definition = make(row, state)
            state.apply(event)
            tell = None
            if event.type is EventType.RUN_ENDED and row.parent is not None:  # by somebody who did nothing of it
                from jobctl.core.run.children import child_ended

                tell = (row.parent, child_ended(row.parent_step or "", row.name, event, {}, 0))
            # A run that is asleep is to be looked at now.
            asleep = row.wake_at is not None and state.finished_at is None
            batch = Batch(
                run_id,
                row.seq,
                [event],
                state,
                executor=row.executor,
                definition=definition,
                wake_at=event.at if asleep else None,
                tell=tell,
                notices=notices,
            )
            if not self.append([batch]):
                return row

    # -- read ------------------------------------------------------------------------------------------------------

    def due_to_wake(self, now: int, limit: int) -> list[int]:
        """Runs that are asleep and whose time has come, the longest due first."""
        due = "finished_at IS NULL AND wake_at <= ?"
        rows = self.rows(f"SELECT id FROM runs WHERE {due} ORDER BY wake_at LIMIT ?", now, limit)
        return [row[0] for row in rows]

    def snooze(self, run_id: int, until: int) -> None:
        """Look at a run that is asleep later than it asked for."""
        with self.transaction() as db:
            db.execute("UPDATE runs SET wake_at = ? WHERE id = ? AND wake_at IS NOT NULL", (until, run_id))

    def wake_all(self, now: int) -> None:
        """Have all runs that are asleep looked at again: the wall clock was set, and when they wake is written as what
        that clock shows."""
        with self.transaction() as db:
            db.execute("UPDATE runs SET wake_at = ? WHERE finished_at IS NULL AND wake_at > ?", (now, now))

    def next_wake(self) -> int | None:
        """When the next one that is asleep is to be looked at."""
        row = self.row("SELECT min(wake_at) FROM runs WHERE finished_at IS NULL AND wake_at IS NOT NULL")
        return row[0] if isinstance(row[0], int) else None  # what is no number stands behind all numbers

    def too_late(self, now: int) -> list[int]:
        """Runs that nobody has begun in time, oldest first."""
        late = "start_by IS NOT NULL AND start_by <= ?"
        return [row[0] for row in self.rows(f"SELECT id FROM runs WHERE {late} ORDER BY id", now)]

    def next_too_late(self) -> int | None:
        """When the time of the next one that nobody has begun is over."""
        row = self.row("SELECT min(start_by) FROM runs WHERE start_by IS NOT NULL")
        return row[0] if isinstance(row[0], int) else None  # what is no number stands behind all numbers

    def living_children(self, run_id: int) -> list[RunRow]:
        """Child runs that are not over, oldest first."""
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive_by_parent WHERE parent = ? AND finished_at IS NULL"
        return [self._run(row) for row in self.rows(f"{query} ORDER BY id", run_id)]

    def ended_parents(self) -> list[int]:
        """Runs that are over and have children that are not. Skips from one such parent to the next on the index."""
        living = "FROM runs INDEXED BY runs_alive_by_parent WHERE parent IS NOT NULL AND finished_at IS NULL"
        rows = self.rows(
            f"WITH RECURSIVE p (id) AS (SELECT min(parent) {living} UNION ALL"
            f" SELECT (SELECT min(parent) {living} AND parent > p.id) FROM p WHERE p.id IS NOT NULL)"
            " SELECT p.id FROM p JOIN runs r ON r.id = p.id WHERE r.finished_at IS NOT NULL"
        )
        return [row[0] for row in rows]

    def in_queue(self, queue: str) -> int:
        """How many attempts occupy places of a queue, whoever runs them."""
        with _explained(self.path):
            return self._in_queue(self._fresh(), queue)

    def attempts_under_way(self) -> set[str]:
        """RUN/KEY.NUMBER of every attempt that is recorded as started and not as ended."""
        rows = self.rows(
            "SELECT name, step, number FROM runs INDEXED BY runs_alive JOIN attempts ON run = runs.id"
            " WHERE runs.finished_at IS NULL AND attempts.status = 'running'"
        )
        return {f"{name}/{step}.{number}" for name, step, number in rows}

    def runs_in_queue(self, queue: str) -> int:
        """How many runs occupy places of a queue. One that is asleep gives its place to others."""
        awake = "finished_at IS NULL AND wake_at IS NULL"
        return int(self.row(f"SELECT count(*) FROM runs WHERE {awake} AND status != 'queued' AND queue = ?", queue)[0])

    def identity(self) -> str:
        return str(self.row("SELECT id FROM store")[0])

    def folder(self) -> Folder | None:
        """The folder that the store belongs to, as it was recorded; None where it was not."""
        row = self.row("SELECT folder FROM store")
        return decode_folder(row[0]) if row is not None else None

    def is_copy(self) -> bool:
        """`copy`, asked anew: somebody may have adopted the folder."""
        with _explained(self.path):
            self.copy = place.copy_of(self.state_dir, self.folder())
        return self.copy is not None

    @staticmethod
    def belongs_to(db: sqlite3.Connection, folder: Folder, identity: str | None = None) -> None:
        """Record the folder that the store belongs to from here on, and its identity if that is another one now."""
        db.execute("UPDATE store SET folder = ?, id = coalesce(?, id)", (encode_folder(folder), identity))

    @staticmethod
    def are_open(db: sqlite3.Connection, run_ids: Collection[int]) -> bool:
        """Whether one of these runs is not over."""
        alive = db.execute("SELECT id FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL").fetchall()
        return not set(run_ids).isdisjoint(row[0] for row in alive)

    def run(self, run_id: int) -> RunRow:
        row = self.row(f"SELECT {_RUN} FROM runs WHERE id = ?", run_id)
        if row is None:
            raise NotFoundError(f"run {run_id} is gone", hint="it was pruned; see: jobctl history")
        return self._run(row)

    def find(self, text: str) -> RunRow:
        """The run that a person means: its name, a unique beginning of one, the latest run of a job of that name, or
        JOB/KEY.

        NotFoundError where there is none or more than one.
        """
        text = text.encode("utf-8", "replace").decode()  # what is no text is in no name either
        row = self.row(f"SELECT {_RUN} FROM runs WHERE name = ?", text)
        if row is None:
            row = self.row(f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT 1", text)
        if row is None and "/" in text:
            job, _, key = text.partition("/")
            row = self.row(f"SELECT {_RUN} FROM runs WHERE job = ? AND key = ?", job, key)
        if row is not None:
            return self._run(row)
        # A beginning as a range, so that the index answers: text <= name < text followed by the last character. A run
        # is meant rather than the notifications of it, which come behind it in the index.
        beginning = f"SELECT {_RUN} FROM runs WHERE name >= ? AND name < ?"
        rows = []
        if text and "." not in text:
            rows = self.rows(f"{beginning} AND trigger != 'notify' LIMIT 4", text, text + "\U0010ffff")
        if text and not rows:
            rows = self.rows(f"{beginning} LIMIT 4", text, text + "\U0010ffff")
        if len(rows) == 1:
            return self._run(rows[0])
        if rows:
            names = ", ".join(self._run(row).name for row in rows[:3]) + (" …" if len(rows) > 3 else "")
            raise NotFoundError(f"{text!r} is the beginning of several runs: {names}", hint="type some more of the id")
        raise NotFoundError(f"there is no run {text!r}", hint="see what has run with: jobctl history")

    def with_key(self, job: str, key: str) -> RunRow | None:
        """The run that a job has for a key."""
        row = self.row(f"SELECT {_RUN} FROM runs WHERE job = ? AND key = ?", job, key)
        return None if row is None else self._run(row)

    def unused_name(self, job: str, taken: Collection[str] = ()) -> str:
        """A run id that no run has. With very many runs of a job, one in some thousands was given before."""
        while (name := new_name(job)) in taken or self.row("SELECT 1 FROM runs WHERE name = ?", name) is not None:
            pass
        return name

    def latest(self, job: str) -> RunRow | None:
        """The last run of a job. A child of another run only where none of the last runs was the job's own."""
        row = self.row(f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT 1", job)
        if row is None:
            return None
        last = self._run(row)
        if last.parent is not None:
            lately = f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT {_LATELY}"
            row = self.row(f"SELECT {_RUN} FROM ({lately}) WHERE parent IS NULL ORDER BY id DESC LIMIT 1", job)
        return self._run(row) if row is not None else last

    def alive(self) -> list[RunRow]:
        """Runs that are not over, oldest first."""
        # Named, or it would read all of the table: that comes in the order asked for.
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL ORDER BY id"
        return [self._run(row) for row in self.rows(query)]

    def awake(self) -> list[RunRow]:
        """Runs that are not over and not asleep, oldest first."""
        condition = "finished_at IS NULL AND wake_at IS NULL"
        return [self._run(r) for r in self.rows(f"SELECT {_RUN} FROM runs WHERE {condition} ORDER BY id")]

    def asleep(self, limit: int) -> list[RunRow]:
        """Runs that are asleep, those that wake first."""
        condition = "finished_at IS NULL AND wake_at IS NOT NULL"
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive WHERE {condition} ORDER BY wake_at LIMIT ?"
        return [self._run(row) for row in self.rows(query, limit)]

    def count_asleep(self) -> int:
        return int(self.row("SELECT count(*) FROM runs WHERE finished_at IS NULL AND wake_at IS NOT NULL")[0])

    def jobs(self) -> list[str]:
        """Names of jobs that have run. Skips from one to the next on the index: it does not read every run."""
        rows = self.rows(
            "WITH RECURSIVE j (job) AS (SELECT min(job) FROM runs UNION ALL"
            " SELECT (SELECT min(job) FROM runs WHERE runs.job > j.job) FROM j WHERE j.job IS NOT NULL)"
            " SELECT job FROM j WHERE job IS NOT NULL"
        )
        return [row[0] for row in rows if isinstance(row[0], str)]

    def history(
        self,
        *,
        job: str | None = None,
        statuses: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        tag: str | None = None,
        limit: int = 20,
    ) -> list[RunRow]:
        """Runs, newest first. `since` <= created_at < `until`."""
        where: list[str] = []
        values: list[Any] = []
        if job is not None:
            where.append("job = ?")
            values.append(job)
        if statuses:
            where.append(f"status IN ({', '.join('?' * len(statuses))})")
            values.extend(statuses)
        if since is not None:
            where.append("created_at >= ?")
            values.append(since)
        if until is not None:
            where.append("created_at < ?")
            values.append(until)
        if tag is not None:
            where.append(
                "definition IN (SELECT d.id FROM definitions d, json_each("
                "CASE WHEN json_valid(d.body) THEN d.body ELSE '{}' END, '$.tags') t WHERE t.value = ?)"
            )
            values.append(tag)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        return [
            self._run(row)
            for row in self.rows(f"SELECT {_RUN} FROM runs{condition} ORDER BY id DESC LIMIT ?", *values, limit)
        ]

    def events(self, run_id: int, *, after: int = 0, upto: int | None = None) -> list[Event]:
        """A run's events in order, those with a number in (after, upto]."""
        query = "SELECT at, type, step, number, data FROM events WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq"
        try:
            last = upto if upto is not None else 1 << 62
            return [from_row(row) for row in self.rows(query, run_id, after, last, strict=True)]
        except ValueError as error:
            raise StoreError(
                f"the history of run {run_id} cannot be read: {error}",
                hint="the other runs are not concerned; see: jobctl doctor",
            ) from error
        except StoreUnavailableError:
            raise
        except StoreError as error:  # text that is no UTF-8, a damaged page: say whose
            raise StoreError(f"the history of run {run_id} cannot be read: {error.message}", hint=error.hint) from error

    def state(self, row: RunRow) -> RunState:
        """What the run's history adds up to. StoreError naming the run when it is damaged."""
        try:
            state = replay(self.events(row.id, upto=row.seq))
            if state.events != row.seq:
                raise HistoryError(f"it has {state.events} of {row.seq} events")
        except HistoryError as error:
            raise StoreError(
                f"the history of run {row.name} is damaged: {error}",
                hint="the other runs are not concerned; see: jobctl doctor",
            ) from error
        return state

    def definition(self, definition_id: int) -> str:
        """Canonical JSON. StoreError when the row is gone."""
        try:
            row = self.row("SELECT body FROM definitions WHERE id = ?", definition_id)
        except StoreLostError as error:  # a damaged page: that is the trouble of the runs that have it
            raise StoreError(f"definition {definition_id} cannot be read: {error.message}", hint=error.hint) from error
        if row is None:
            raise StoreError(
                f"definition {definition_id} is missing in the state store {self.path}",
                hint="only runs that started with it are concerned; see: jobctl doctor",
            )
        return str(row[0])

    def seqs(self, executor_id: str) -> list[tuple[int, int]]:
        """(run, last event's number) of the runs that an executor has."""
        begun = "finished_at IS NULL AND wake_at IS NULL AND status IN ('running', 'paused')"  # what is queued has none
        found = self.rows(f"SELECT id, seq FROM runs WHERE {begun} AND executor = ?", executor_id)
        return [row for row in found if isinstance(row[1], int)]

    def executors(self) -> dict[str, tuple[int, str, int]]:
        """id -> (pid, kind, started_at) of executors that did not end in order, living or dead."""
        found = {}
        for row in self.rows("SELECT id, pid, kind, started_at FROM executors"):
            name, pid, kind, started_at = self.sound(_OF_AN_EXECUTOR, row)
            if name == row[0] and pid > 0:  # one that has no name has no lock, and below 1 there is no process
                found[name] = (pid, kind, started_at)
        return found

    def changes(self) -> int:
        """A number that is another one after somebody else has committed. Cheap enough to ask ten times a second."""
        return int((self._origin or self._db).execute("PRAGMA data_version").fetchone()[0])

    def quick_check(self) -> list[str]:
        """What SQLite finds wrong with the file: nothing, for a sound one."""
        try:
            found = [str(row[0]) for row in self.rows("PRAGMA quick_check(10)")]
        except StoreUnavailableError:
            raise
        except StoreError as error:  # so damaged that the check gives up
            return [error.message]
        return [] if found == ["ok"] else found

    def row(self, sql: str, *values: Any) -> Any:
        """The first row of a query of this folder's, None when there is none."""
        return next(iter(self._ask(sql, values, one=True)), None)

    def rows(self, sql: str, *values: Any, strict: bool = False) -> list[Any]:
        """All rows of a query of this folder's. `strict`: StoreError where there is text that is no UTF-8."""
        return self._ask(sql, values, strict=strict)

    def _ask(self, sql: str, values: Sequence[Any], *, one: bool = False, strict: bool = False) -> list[Any]:
        with _explained(self.path):
            try:
                return self._found(sql, values, one)
            except sqlite3.OperationalError as error:
                if strict or "UTF-8" not in str(error):
                    raise
                self._db.text_factory = tolerant  # not from the start: it would be called for each text
                try:
                    return self._found(sql, values, one)
                finally:
                    self._db.text_factory = str

    def _found(self, sql: str, values: Sequence[Any], one: bool) -> list[Any]:
        cursor = self._fresh().execute(sql, values)
        if not one:
            return cursor.fetchall()
        found = cursor.fetchone()
        return [] if found is None else [found]

    def sound(self, kinds: Kinds, row: Sequence[Any]) -> Sequence[Any]:
        """The row, with something harmless for each value that cannot be right; that is noted in `damage`."""
        if kinds.is_sound(row):
            return row
        values, columns = kinds.harmless(row)
        name = next((repr(value)[:80] for value in row[:2] if isinstance(value, str) and value), repr(row[0])[:40])
        self.damage[f"the row of {kinds.about}, {name}, is damaged in the store: {', '.join(columns)}"] = None
        return values

    def _run(self, row: Sequence[Any]) -> RunRow:
        return RunRow(*self.sound(_OF_A_RUN, row))


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


def new_name(job: str) -> str:
    """A fresh run id, JOB-xxxxxx: a thousand million for each job; the database refuses one that was given before."""
    return f"{job}-{''.join(_ALPHABET[byte & 31] for byte in os.urandom(6))}"


def _definition(db: sqlite3.Connection, job: str, body: str) -> int:
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
    status = event.data.get("status", "succeeded")
    code = event.data.get("exit_code", 0 if status == "succeeded" else None)
    return status, code, event.at, run_id, key, event.number


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """SQLite's errors as sentences with a way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise StoreError(
            f"the state store {path} cannot be used: {error.strerror or error}",
            hint="choose another state folder with --state-dir, or see: jobctl doctor",
        ) from error


def _patiently(
    db: sqlite3.Connection, statement: str, patience: int, give_up: Callable[[], bool] | None = None
) -> None:
    """Carry it out, with patience for whoever has the lock just now, in short waits: handlers of signals run between
    them, and whoever was told by one to end (`give_up`) waits no longer."""
    looks = -(-patience // _LOOK_UP_MS)
    db.execute(f"PRAGMA busy_timeout = {min(patience, _LOOK_UP_MS)}")
    try:
        while True:
            looks -= 1
            try:
                db.execute(statement)
                return
            except sqlite3.OperationalError as error:
                is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or looks <= 0 or (give_up is not None and give_up()):
                    raise
    finally:
        db.execute(f"PRAGMA busy_timeout = {patience}")


def _to_read(path: str) -> str:
    """The URI by which SQLite reads a database that nobody can write, in a folder where it can make no files."""
    from urllib.parse import quote

    try:
        logged = os.path.getsize(path + "-wal") > 0
    except OSError:
        logged = False
    # Without a log there is nothing to coordinate with; with one its index must be there, as a crash leaves it.
    return f"file:{quote(path)}?" + ("mode=ro" if logged else "immutable=1")


_OF_THE_VALUES = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE")

# The beginning of SQLite's name for it; what is wrong; the way out; whether it passes by itself, or never.
_PASSES, _STAYS = StoreUnavailableError, StoreLostError
_OWNER = "check who owns the state folder, or choose another: --state-dir"
_EXPLANATIONS: Iterable[tuple[str, str, str, type[StoreError]]] = (
    ("SQLITE_BUSY", "is locked by another process", "try again; if it stays so: fuser {path}", _PASSES),
    ("SQLITE_READONLY_DBMOVED", "was moved away or removed while it was in use", "put it back", StoreGoneError),
    ("SQLITE_READONLY", "cannot be written", _OWNER, StoreError),
    ("SQLITE_FULL", "cannot grow: the disk is full", "free some space; nothing that was recorded is lost", _PASSES),
    ("SQLITE_CANTOPEN", "cannot be opened", _OWNER, StoreError),
    ("SQLITE_NOTADB", "is not a database", "put a backup in its place, or move its folder away to start anew", _STAYS),
    (
        "SQLITE_CORRUPT",
        "is damaged",
        "put a backup in its place; to save what can be read: sqlite3 {path} .recover",
        _STAYS,
    ),
    ("SQLITE_IOERR_SHM", "has no room for its shared memory: is the disk full?", "free some space", _PASSES),
    ("SQLITE_IOERR", "cannot be read or written: the disk reports an error", "see the system's log: dmesg", _PASSES),
)


def explain(error: sqlite3.Error, path: str) -> StoreError:
    """The sentence for an error of SQLite's. StoreUnavailableError for one that may pass by itself."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(_OF_THE_VALUES) or isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
        return UnwritableError(f"it cannot be written to the state store {path}: {error}", hint="see: jobctl doctor")
    for prefix, what, hint, kind in _EXPLANATIONS:
        if name.startswith(prefix):
            if prefix == "SQLITE_BUSY" and (pid := locks.writer(path)) is not None:
                what = f"is locked by {locks.called(pid)}"
            if prefix in ("SQLITE_READONLY", "SQLITE_CANTOPEN") and read_only(os.path.dirname(path)):
                what, hint = f"{what}: its file system is read-only", READ_ONLY_HINT
            return kind(f"the state store {path} {what}", hint=hint.format(path=path))
    return StoreError(f"the state store {path} cannot be used: {error}", hint="see: jobctl doctor")
