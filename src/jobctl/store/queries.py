"""What is asked of the runs that are recorded: every SELECT, under a name, with what comes back. Nothing is written.

What is asked of schedules and their fire times is in firings.py; of the time, in times.py. Instants and durations are
milliseconds, UTC; a run's `id` is its number in the store, its `name` what people type.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

from jobctl.core.errors import NotFoundError, StoreError, StoreLostError, StoreUnavailableError
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import Event, HistoryError, RunState, replay
from jobctl.core.run.rows import RunRow
from jobctl.store.codec import from_row
from jobctl.store.database import Database, Transaction
from jobctl.store.soundness import Kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from jobctl.core.model import Job
    from jobctl.core.run.decide import Decider

    _Other = TypeVar("_Other")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # 32 letters, none that reads as another (Crockford's)
# Whoever ends a run decides by its history, and tells its parent: without one there is no end that is sure to be right.
UNREADABLE_HINT = "the other runs are not concerned; this one cannot be ended, either; see: jobctl doctor --deep"
_LATELY = 5_000  # runs of a job among which its last own one is looked for: a millisecond for each thousand
_RUN = ", ".join(RunRow._fields)
_OF_A_RUN = Kinds(
    "a run",
    id="n", name="d", job="t", definition="n", status="t", seq="n", executor="D", trigger="t", fire_time="I",
    created_at="i", started_at="I", finished_at="I", reason="T", queue="T", priority="n", wake_at="N", parent="N",
    parent_step="T",
)  # fmt: skip
_OF_AN_EXECUTOR = Kinds("a process", id="d", pid="n", kind="t", started_at="i")

# What the index is for: without it all that is queued is read for each run that leaves the line.
_IN_LINE = "FROM runs INDEXED BY runs_queued_by_job WHERE finished_at IS NULL AND status = 'queued'"
_UNDER_WAY = "finished_at IS NULL AND wake_at IS NULL AND status IN ('running', 'paused') AND started_at IS NOT NULL"
PLACES = "SELECT count(*) FROM attempts WHERE queue = ? AND status = 'running'"


class Queued(NamedTuple):
    """A run that waits in line to begin."""

    id: int
    name: str
    job: str
    queue: str | None
    trigger: str
    definition: int
    priority: int


class Line(NamedTuple):
    """The runs of one job and one priority that wait in line: how many they are, and how many of them are older than
    the run that was asked about."""

    job: str
    priority: int
    runs: int
    older: int


class Queries(Database):
    """The questions."""

    # -- one run -------------------------------------------------------------------------------------------------------

    def run(self, run_id: int) -> RunRow:
        """The run of that number. NotFoundError when it is gone."""
        row = self._row(f"SELECT {_RUN} FROM runs WHERE id = ?", run_id)
        if row is None:
            raise NotFoundError(f"run {run_id} is gone", hint="it was pruned; see: jobctl history")
        return self._run(row)

    def find(self, text: str) -> RunRow:
        """The run that a person means: its name, a unique beginning of one, the latest run of a job of that name, or
        JOB/KEY.

        NotFoundError where there is none or more than one.
        """
        text = text.encode("utf-8", "replace").decode()  # what is no text is in no name either
        row = self._row(f"SELECT {_RUN} FROM runs WHERE name = ?", text)
        if row is None:
            row = self._row(f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT 1", text)
        if row is None and "/" in text:
            job, _, key = text.partition("/")
            row = self._row(f"SELECT {_RUN} FROM runs WHERE job = ? AND key = ?", job, key)
        if row is not None:
            return self._run(row)
        # A beginning as a range, so that the index answers: text <= name < text followed by the last character. A run
        # is meant rather than the notifications of it, which come behind it in the index.
        beginning = f"SELECT {_RUN} FROM runs WHERE name >= ? AND name < ?"
        rows = []
        if text and "." not in text:
            rows = self._rows(f"{beginning} AND trigger != 'notify' LIMIT 4", text, text + "\U0010ffff")
        if text and not rows:
            rows = self._rows(f"{beginning} LIMIT 4", text, text + "\U0010ffff")
        if len(rows) == 1:
            return self._run(rows[0])
        if rows:
            names = ", ".join(self._run(row).name for row in rows[:3]) + (" …" if len(rows) > 3 else "")
            raise NotFoundError(f"{text!r} is the beginning of several runs: {names}", hint="type some more of the id")
        raise NotFoundError(f"there is no run {text!r}", hint="see what has run with: jobctl history")

    def named(self, name: str) -> RunRow | None:
        """The run of exactly this name; None for one that is gone."""
        row = self._row(f"SELECT {_RUN} FROM runs WHERE name = ?", name)
        return None if row is None else self._run(row)

    def with_key(self, job: str, key: str) -> RunRow | None:
        """The run that a job has for a key."""
        row = self._row(f"SELECT {_RUN} FROM runs WHERE job = ? AND key = ?", job, key)
        return None if row is None else self._run(row)

    def name_of(self, run_id: int) -> str | None:
        """The name of a run; None for one that is gone."""
        row = self._row("SELECT name FROM runs WHERE id = ?", run_id)
        return None if row is None else row[0]

    def status_of(self, name: str) -> str | None:
        """The status of the run of exactly this name; None for one that is gone."""
        row = self._row("SELECT status FROM runs WHERE name = ?", name)
        return None if row is None else row[0]

    def is_taken(self, name: str) -> bool:
        """Whether a run has exactly this name."""
        return self._row("SELECT 1 FROM runs WHERE name = ?", name) is not None

    def is_over(self, run_id: int) -> bool:
        """Whether a run has ended. A run that is gone is not known to have."""
        row = self._row("SELECT finished_at FROM runs WHERE id = ?", run_id)
        return row is not None and row[0] is not None

    def unused_name(self, job: str, taken: Collection[str] = ()) -> str:
        """A run id that no run has. With very many runs of a job, one in some thousands was given before."""
        while (name := new_name(job)) in taken or self.is_taken(name):
            pass
        return name

    def events(self, run_id: int, *, after: int = 0, upto: int | None = None) -> list[Event]:
        """A run's events in order, those with a number in (after, upto]."""
        query = "SELECT at, type, step, number, data FROM events WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq"
        try:
            last = upto if upto is not None else 1 << 62
            return [from_row(row) for row in self._rows(query, run_id, after, last, strict=True)]
        except ValueError as error:
            raise StoreError(
                f"the history of run {self._called(run_id)} cannot be read: {error}", hint=UNREADABLE_HINT
            ) from error
        except StoreUnavailableError:
            raise
        except StoreError as error:  # text that is no UTF-8, a damaged page: say whose
            raise StoreError(
                f"the history of run {self._called(run_id)} cannot be read: {error.message}", hint=error.hint
            ) from error

    def _called(self, run_id: int) -> str:
        """What people know a run by; its number where that cannot be read either."""
        try:
            row = self._row("SELECT name FROM runs WHERE id = ?", run_id)
        except StoreError:
            row = None
        return str(row[0] if row is not None else run_id)

    def state(self, row: RunRow) -> RunState:
        """What the run's history adds up to. StoreError naming the run when it is damaged."""
        return self._whole(row, lambda events: (replay(events), None))[0]

    def restored(self, row: RunRow, job: Job) -> tuple[RunState, Decider]:
        """As `state`, with the Decider that goes on with it; `job`: the run's definition."""
        from jobctl.core.run.resume import restore

        return self._whole(row, lambda events: restore(job, events))

    def _whole(self, row: RunRow, read: Callable[[list[Event]], tuple[RunState, _Other]]) -> tuple[RunState, _Other]:
        try:
            state, other = read(self.events(row.id, upto=row.seq))
            if state.events != row.seq:
                raise HistoryError(f"it has {state.events} of {row.seq} events")
        except HistoryError as error:
            raise StoreError(
                f"the history of run {row.name} is damaged: {error}",
                hint=UNREADABLE_HINT,
            ) from error
        return state, other

    def definition(self, definition_id: int) -> str:
        """Canonical JSON. StoreError when the row is gone."""
        try:
            row = self._row("SELECT body FROM definitions WHERE id = ?", definition_id)
        except StoreLostError as error:  # a damaged page: that is the trouble of the runs that have it
            raise StoreError(f"definition {definition_id} cannot be read: {error.message}", hint=error.hint) from error
        if row is None:
            raise StoreError(
                f"definition {definition_id} is missing in the state store {self.path}",
                hint="only runs that started with it are concerned; see: jobctl doctor --deep",
            )
        return str(row[0])

    # -- many runs -----------------------------------------------------------------------------------------------------

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
            for row in self._rows(f"SELECT {_RUN} FROM runs{condition} ORDER BY id DESC LIMIT ?", *values, limit)
        ]

    def latest(self, job: str) -> RunRow | None:
        """The last run of a job. A child of another run only where none of the last runs was the job's own."""
        row = self._row(f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT 1", job)
        if row is None:
            return None
        last = self._run(row)
        if last.parent is not None:
            lately = f"SELECT {_RUN} FROM runs WHERE job = ? ORDER BY id DESC LIMIT {_LATELY}"
            row = self._row(f"SELECT {_RUN} FROM ({lately}) WHERE parent IS NULL ORDER BY id DESC LIMIT 1", job)
        return self._run(row) if row is not None else last

    def jobs(self) -> list[str]:
        """Names of jobs that have run. Skips from one to the next on the index: it does not read every run."""
        rows = self._rows(
            "WITH RECURSIVE j (job) AS (SELECT min(job) FROM runs UNION ALL"
            " SELECT (SELECT min(job) FROM runs WHERE runs.job > j.job) FROM j WHERE j.job IS NOT NULL)"
            " SELECT job FROM j WHERE job IS NOT NULL"
        )
        return [row[0] for row in rows if isinstance(row[0], str)]

    def alive(self) -> list[RunRow]:
        """Runs that are not over, oldest first."""
        # Named, or it would read all of the table: that comes in the order asked for.
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL ORDER BY id"
        return [self._run(row) for row in self._rows(query)]

    def awake(self) -> list[RunRow]:
        """Runs that are not over and not asleep, oldest first."""
        condition = "finished_at IS NULL AND wake_at IS NULL"
        return [self._run(r) for r in self._rows(f"SELECT {_RUN} FROM runs WHERE {condition} ORDER BY id")]

    def asleep(self, limit: int) -> list[RunRow]:
        """Runs that are asleep, those that wake first."""
        condition = "finished_at IS NULL AND wake_at IS NOT NULL"
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive WHERE {condition} ORDER BY wake_at LIMIT ?"
        return [self._run(row) for row in self._rows(query, limit)]

    def count_asleep(self) -> int:
        """How many runs are asleep."""
        return int(self._row("SELECT count(*) FROM runs WHERE finished_at IS NULL AND wake_at IS NOT NULL")[0])

    @staticmethod
    def are_open(db: Transaction, run_ids: Collection[int]) -> bool:
        """Whether one of these runs is not over."""
        alive = db.execute("SELECT id FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL").fetchall()
        return not set(run_ids).isdisjoint(row[0] for row in alive)

    # -- runs that wait for a time -------------------------------------------------------------------------------------

    def due_to_wake(self, now: int, limit: int) -> list[int]:
        """Runs that are asleep and whose time has come, the longest due first."""
        due = "finished_at IS NULL AND wake_at <= ?"
        rows = self._rows(f"SELECT id FROM runs WHERE {due} ORDER BY wake_at LIMIT ?", now, limit)
        return [row[0] for row in rows]

    def next_wake(self) -> int | None:
        """When the next one that is asleep is to be looked at."""
        row = self._row("SELECT min(wake_at) FROM runs WHERE finished_at IS NULL AND wake_at IS NOT NULL")
        return row[0] if isinstance(row[0], int) else None  # what is no number stands behind all numbers

    def too_late(self, now: int) -> list[int]:
        """Runs that nobody has begun in time, oldest first."""
        late = "start_by IS NOT NULL AND start_by <= ?"
        return [row[0] for row in self._rows(f"SELECT id FROM runs WHERE {late} ORDER BY id", now)]

    def next_too_late(self) -> int | None:
        """When the time of the next one that nobody has begun is over."""
        row = self._row("SELECT min(start_by) FROM runs WHERE start_by IS NOT NULL")
        return row[0] if isinstance(row[0], int) else None  # what is no number stands behind all numbers

    # -- a run and those that it has started ---------------------------------------------------------------------------

    def children(self, run_id: int) -> list[tuple[int, str]]:
        """(id, name) of all child runs of a run, over or not, newest first."""
        return self._rows("SELECT id, name FROM runs WHERE parent = ? ORDER BY id DESC", run_id)

    def statuses_of_children(self, run_id: int) -> dict[str, str]:
        """name -> status of all child runs of a run, over or not."""
        return dict(self._rows("SELECT name, status FROM runs WHERE parent = ?", run_id))

    def living_children(self, run_id: int) -> list[RunRow]:
        """Child runs that are not over, oldest first."""
        query = f"SELECT {_RUN} FROM runs INDEXED BY runs_alive_by_parent WHERE parent = ? AND finished_at IS NULL"
        return [self._run(row) for row in self._rows(f"{query} ORDER BY id", run_id)]

    def ended_parents(self) -> list[int]:
        """Runs that are over and have children that are not. Skips from one such parent to the next on the index."""
        living = "FROM runs INDEXED BY runs_alive_by_parent WHERE parent IS NOT NULL AND finished_at IS NULL"
        rows = self._rows(
            f"WITH RECURSIVE p (id) AS (SELECT min(parent) {living} UNION ALL"
            f" SELECT (SELECT min(parent) {living} AND parent > p.id) FROM p WHERE p.id IS NOT NULL)"
            " SELECT p.id FROM p JOIN runs r ON r.id = p.id WHERE r.finished_at IS NOT NULL"
        )
        return [row[0] for row in rows]

    # -- executors and what they have ----------------------------------------------------------------------------------

    def executors(self) -> dict[str, tuple[int, str, int]]:
        """id -> (pid, kind, started_at) of executors that did not end in order, living or dead."""
        found = {}
        for row in self._rows("SELECT id, pid, kind, started_at FROM executors"):
            name, pid, kind, started_at = self.sound(_OF_AN_EXECUTOR, row)
            if name == row[0] and pid > 0:  # one that has no name has no lock, and below 1 there is no process
                found[name] = (pid, kind, started_at)
        return found

    def seqs(self, executor_id: str) -> list[tuple[int, int]]:
        """(run, last event's number) of the runs that an executor has."""
        begun = "finished_at IS NULL AND wake_at IS NULL AND status IN ('running', 'paused')"  # what is queued has none
        found = self._rows(f"SELECT id, seq FROM runs WHERE {begun} AND executor = ?", executor_id)
        return [row for row in found if isinstance(row[1], int)]

    def attempts_under_way(self) -> set[str]:
        """RUN/KEY.NUMBER of every attempt that is recorded as started and not as ended."""
        rows = self._rows(
            "SELECT name, step, number FROM runs INDEXED BY runs_alive JOIN attempts ON run = runs.id"
            " WHERE runs.finished_at IS NULL AND attempts.status = 'running'"
        )
        return {f"{name}/{step}.{number}" for name, step, number in rows}

    def under_way(self) -> list[tuple[str | None, str | None]]:
        """(queue, executor) of each run that has begun and is not over. One that is asleep gives its place to others;
        one that was paused in the queue has none yet."""
        return self._rows(f"SELECT queue, executor FROM runs WHERE {_UNDER_WAY}")

    # -- places of queues ----------------------------------------------------------------------------------------------

    def in_queue(self, queue: str) -> int:
        """How many attempts occupy places of a queue, whoever runs them."""
        return int(self._row(PLACES, queue)[0])

    def runs_in_queue(self, queue: str) -> int:
        """How many runs occupy places of a queue. One that is asleep gives its place to others."""
        awake = "finished_at IS NULL AND wake_at IS NULL"
        return int(self._row(f"SELECT count(*) FROM runs WHERE {awake} AND status != 'queued' AND queue = ?", queue)[0])

    def runs_with_places(self, queue: str) -> list[int]:
        """The ids of the runs that have places of a queue, oldest first."""
        rows = self._rows(
            f"SELECT id FROM runs INDEXED BY runs_alive WHERE {_UNDER_WAY} AND queue = ? ORDER BY id", queue
        )
        return [row[0] for row in rows]

    def runs_of_attempts_with_places(self, queue: str) -> list[int]:
        """The ids of the runs whose attempts have places of a queue, oldest first."""
        rows = self._rows(
            "SELECT DISTINCT run FROM attempts WHERE queue = ? AND status = 'running' ORDER BY run", queue
        )
        return [row[0] for row in rows]

    def awake_in_queue(self, queue: str) -> list[RunRow]:
        """The runs of a queue that have left the line, are not over and not asleep, oldest first."""
        rows = self._rows(
            f"SELECT {_RUN} FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL"
            " AND wake_at IS NULL AND status != 'queued' AND queue = ? ORDER BY id",
            queue,
        )
        return [self._run(row) for row in rows]

    # -- the line in front of them -------------------------------------------------------------------------------------

    def alive_before(self, row: RunRow) -> list[RunRow]:
        """The runs of the same job that are older than this one and not over, oldest first."""
        rows = self._rows(
            f"SELECT {_RUN} FROM runs INDEXED BY runs_alive_by_job WHERE finished_at IS NULL AND job = ?"
            " AND id < ? ORDER BY id",
            row.job,
            row.id,
        )
        return [self._run(one) for one in rows]

    def first_alive_before(self, row: RunRow) -> str | None:
        """The name of the oldest run of the same job that is older than this one, not over, and no child run."""
        found = self._row(
            "SELECT name FROM runs INDEXED BY runs_alive_by_job"
            " WHERE finished_at IS NULL AND job = ? AND id < ? AND parent IS NULL ORDER BY id LIMIT 1",
            row.job,
            row.id,
        )
        return None if found is None else found[0]

    def lines_before(self, row: RunRow) -> list[Line]:
        """What waits in line for the same queue as this run (or, like it, for none) with its priority or a higher
        one, itself among them."""
        rows = self._rows(
            "SELECT job, priority, count(*), sum(id < ?) FROM runs INDEXED BY runs_alive WHERE finished_at IS NULL"
            " AND wake_at IS NULL AND status = 'queued' AND queue IS ? AND priority >= ? GROUP BY job, priority",
            row.id,
            row.queue,
            row.priority,
        )
        return [Line(*one) for one in rows]

    def jobs_in_line(self) -> list[str]:
        """The jobs that have runs in line, by name. Skips from one to the next on the index."""
        rows = self._rows(
            f"WITH RECURSIVE waiting (job) AS (SELECT * FROM (SELECT job {_IN_LINE} ORDER BY job LIMIT 1) UNION ALL"
            f" SELECT (SELECT r.job {_IN_LINE.replace('runs ', 'runs r ', 1)} AND r.job > waiting.job"
            " ORDER BY r.job LIMIT 1) FROM waiting WHERE waiting.job IS NOT NULL)"
            " SELECT job FROM waiting WHERE job IS NOT NULL"
        )
        return [row[0] for row in rows]

    def first_in_line(
        self,
        job: str,
        *,
        passed_over: Collection[int],
        queues: Collection[str],
        definitions: Collection[int],
        triggers: Collection[str],
    ) -> Queued | None:
        """The run of a job that is to begin next: the highest priority, then the oldest. Passed over are the runs with
        these ids, the runs of `queues`, and the runs that started with one of `definitions` by one of `triggers`."""
        row = self._row(
            f"SELECT {', '.join(Queued._fields)} {_IN_LINE} AND wake_at IS NULL AND job = ?"
            f" AND (queue IS NULL OR queue NOT IN ({_marks(queues)}))"
            f" AND (trigger NOT IN ({_marks(triggers)}) OR definition NOT IN ({_marks(definitions)}))"
            f" AND id NOT IN ({_marks(passed_over)}) ORDER BY priority DESC, id LIMIT 1",
            job,
            *sorted(queues),
            *triggers,
            *sorted(definitions),
            *sorted(passed_over),
        )
        return None if row is None else Queued(*row)

    def has_begun(self, job: str) -> bool:
        """Whether a run of the job has begun and is not over: a hundred thousand that sleep are not counted. A child
        of another run is nothing to the job's schedules."""
        row = self._row(
            "SELECT 1 FROM runs INDEXED BY runs_alive_by_job"
            " WHERE job = ? AND finished_at IS NULL AND status IN ('running', 'paused') AND started_at IS NOT NULL"
            " AND parent IS NULL LIMIT 1",
            job,
        )
        return row is not None

    def _run(self, row: Sequence[Any]) -> RunRow:
        return RunRow(*self.sound(_OF_A_RUN, row))


def new_name(job: str) -> str:
    """A fresh run id, JOB-xxxxxx: a thousand million for each job; the database refuses one that was given before."""
    return f"{job}-{''.join(_ALPHABET[byte & 31] for byte in os.urandom(6))}"


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
