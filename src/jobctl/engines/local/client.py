"""The local engine's client: what is asked is answered from the store and the attempts' files, or recorded in the store
for whoever works on it. Nothing is carried out here.

What most calls do without is imported where it is needed: `jobctl status` comes here.
"""

from __future__ import annotations

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import executor, looks
from jobctl.engines.run_files import run_folder
from jobctl.engines.values import Can, Complaint, Daemon, Dropped, Lack, Line, Log, Paused, Run, Runs, Started
from jobctl.host.boot import boot_id
from jobctl.host.host import Host
from jobctl.process.attempt import AttemptFiles
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any

    from jobctl.core.model import Job, Keep, Queue, Schedule
    from jobctl.core.run.history import Event, RunState
    from jobctl.core.run.why import Reason
    from jobctl.engines.base import Foreground, Observer, Place, Reader, Resident, Surroundings
    from jobctl.engines.values import Adopted, Armed, Fire, Kept, Pruned, Reused, Trouble


class LocalClient:
    """`Client` over one store. Whoever works on it in this process is given the store itself."""

    lacks: Mapping[Can, Lack] = {}

    def __init__(self, store: Store, host: Host | None = None) -> None:
        self.store = store
        self.host = host if host is not None else Host()  # the machine, for all who work for this client
        self.where = store.state_dir
        self._living: looks.Executors | None = None  # while many runs are looked at, as of one moment

    @property
    def copy_of(self) -> str | None:
        return self.store.copy.of.path if self.store.copy is not None else None

    @property
    def copy_sentence(self) -> str:
        return self.store.copy.sentence() if self.store.copy is not None else ""

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> LocalClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        return self.host.now()

    def mono(self) -> int:
        return self.host.monotonic()

    # -- to begin --

    def start(
        self,
        job: Job,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        trigger: str = "manual",
        fire_time: int | None = None,
        like: Reused | None = None,
        start_within: int | None = None,
        here: bool = False,
    ) -> Started:
        from jobctl.engines.local.submit import enqueue

        done = enqueue(
            self.store,
            job,
            params,
            host=self.host,
            trigger=trigger,
            fire_time=fire_time,
            like=like,
            start_within=start_within,
            key=key,
            here=here,
        )
        return Started(self.find(done.name), done.new)

    def trigger(self, job: Job, params: Mapping[str, Any], *, by: str, start_within: int | None = None) -> Run:
        from jobctl.engines.local.submit import trigger

        return self.find(trigger(self.store, job, params, host=self.host, by=by, start_within=start_within))

    def backfill(self, job: Job, params: Mapping[str, Any], fire_times: Iterable[int]) -> list[str]:
        from jobctl.engines.local.submit import enqueue_each

        return enqueue_each(self.store, job, params, fire_times, host=self.host, trigger="backfill")

    def reusable(self, job: Job, run: Run, from_step: str) -> Reused:
        from jobctl.engines.local.reuse import like

        return like(self.store, job, run.ref, from_step)

    # -- to look --

    def look(self, row: RunRow) -> Run:
        """The run of a row, and who has it."""
        return looks.look(self.store, row, self._living)

    def find(self, target: str) -> Run:
        return self.look(self.store.find(target))

    def run(self, run: Run) -> Run:
        return self.look(self.store.run(run.ref.id))

    def latest(self, job: str) -> Run | None:
        row = self.store.latest(job)
        return self.look(row) if row is not None else None

    def runs(
        self,
        *,
        job: str | None = None,
        statuses: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        tag: str | None = None,
        limit: int = 20,
    ) -> Runs:
        rows = self.store.history(job=job, statuses=statuses, since=since, until=until, tag=tag, limit=limit)
        return self._looked_at(rows)

    def alive(self, *, queued: int | None = None, asleep: int | None = None) -> Runs:
        store = self.store
        if queued is None and asleep is None:
            return self._looked_at(store.alive())
        # People see those that wake first; a hundred thousand that sleep are a number to them.
        awake = store.awake()
        waiting = sorted((row for row in awake if row.status == "queued"), key=lambda row: (-row.priority, row.id))
        sleeping = store.asleep(asleep if asleep is not None else 1 << 62)
        under_way = [row for row in awake if row.status != "queued"]
        found = self._looked_at([*under_way, *waiting[:queued], *sleeping])
        more = max(0, store.count_asleep() - len(sleeping))
        return found._replace(queued=max(0, len(waiting) - len(waiting[:queued])), asleep=more)

    def _looked_at(self, rows: Iterable[RunRow]) -> Runs:
        """The runs of rows, with one question for the executors."""
        found: list[Run] = []
        troubles: list[JobctlError] = []
        self._living = None
        try:
            for row in rows:
                if self._living is None:
                    self._living = self.store.executors()
                try:
                    found.append(self.look(row))
                except StoreUnavailableError:
                    raise
                except JobctlError as error:
                    troubles.append(error)
        finally:
            self._living = None
        return Runs(found, troubles)

    def jobs(self) -> list[str]:
        return self.store.jobs()

    def names(self, limit: int) -> list[str]:
        return [row.name for row in self.store.history(limit=limit)]

    def definition(self, run: Run) -> str:
        return self.store.definition(run.definition)

    def kept(self, run: Run, *, strict: bool) -> Kept:
        from jobctl.engines.local.stored_job import job_of

        return job_of(self.store, run.ref, strict=strict)

    def state(self, run: Run) -> RunState:
        return looks.state_of(self.store, run, self._clock(self.host.now()))

    def events(self, run: Run, *, after: int = 0) -> list[Event]:
        return self.store.events(run.ref.id, after=after, upto=run.seq)

    def reasons(self, run: Run, now: int) -> list[Reason]:
        return looks.reasons(self.store, run, self._clock(now), self.has_daemon())

    def line(self, run: Run) -> Line:
        return looks.line(self.store, run, self.has_daemon())

    def children(self, run: Run) -> Mapping[str, str]:
        return self.store.statuses_of_children(run.ref.id)

    def status(self, name: str) -> str | None:
        return self.store.status_of(name)

    # -- what attempts write --

    def folder(self, run: Run) -> str:
        return run_folder(self.where, run.name)

    def log_at(self, run: Run, key: str, number: int) -> Log:
        import os

        file = self._files(run, key, number).log
        try:
            return Log(key, number, file, os.stat(file).st_size)
        except OSError:
            return Log(key, number, file)

    def cursor(self, run: Run, key: str, number: int) -> str | None:
        from jobctl.process.attempt import read_cursor

        return read_cursor(self._files(run, key, number).heartbeat)

    def log(self, run: Run, key: str, number: int, *, tail: int | None = None) -> Iterable[bytes]:
        from jobctl.process import logs

        file = self._files(run, key, number).log
        return logs.read(file) if tail is None else logs.tail(file, tail)

    def follow(self, run: Run, key: str, number: int, *, tail: int | None = None) -> Reader:
        from jobctl.process.logs import Follower, tail_offset

        file = self._files(run, key, number).log
        return Follower(file, tail_offset(file, tail) if tail is not None else 0)

    def _files(self, run: Run, key: str, number: int) -> AttemptFiles:
        return AttemptFiles(self.folder(run), key, number)

    # -- to ask of a run --

    def cancel(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        from jobctl.engines.local import control

        control.cancel(self.store, run.ref, reason=reason, by=by, host=self.host)
        return self.run(run)

    def terminate(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        from jobctl.engines.local import control

        control.terminate(self.store, run.ref, reason=reason, by=by, host=self.host)
        return self.run(run)

    def pause(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        from jobctl.engines.local import control

        control.pause(self.store, run.ref, reason=reason, by=by, host=self.host)
        return self.run(run)

    def unpause(self, run: Run, *, by: str) -> Run:
        from jobctl.engines.local import control

        control.unpause(self.store, run.ref, by=by, host=self.host)
        return self.run(run)

    def signal(self, run: Run, name: str, payload: Any = None, *, by: str) -> bool:
        from jobctl.engines.local import control

        awaited = control.is_waited_for(self.store, run.ref, name)
        control.send_signal(self.store, run.ref, name, payload, by=by, host=self.host)
        return awaited

    def answer(self, run: Run, step: str | None, *, approved: bool, comment: str | None = None, by: str) -> Run:
        from jobctl.engines.local import control

        control.answer(self.store, run.ref, step, approved=approved, comment=comment, by=by, host=self.host)
        return self.run(run)

    def wake(self, run: Run, step: str | None = None, *, reason: str | None = None, by: str) -> list[str]:
        from jobctl.engines.local import control

        return control.wake(self.store, run.ref, step, reason=reason, by=by, host=self.host)

    def reopen(
        self,
        run: Run,
        job: Job,
        *,
        updated: bool = False,
        from_step: str | None = None,
        by: str,
        queued: bool = False,
    ) -> Run:
        from jobctl.engines.local import control

        text = None
        if updated:
            from jobctl.core.model import encode
            from jobctl.definitions.masking import redact

            text = encode(redact(job))
        control.reopen(
            self.store, run.ref, job, definition=text, from_step=from_step, by=by, host=self.host, queued=queued
        )
        return self.run(run)

    def acknowledge(self, run: Run, *, reason: str | None = None, by: str) -> bool:
        from jobctl.engines.local import news

        return news.acknowledge(self.store, run.ref, reason=reason, by=by, now=self.host.now())

    def held(self, run: Run) -> bool:
        from jobctl.engines.local import control

        return control.is_held(self.store, run.ref)

    # -- to wait --

    def changes(self) -> int:
        return self.store.changes()

    def end_late(self) -> None:
        now = self.host.now()
        if self.store.too_late(now):
            from jobctl.engines.local import unbegun

            unbegun.end_late(self.store, now)

    # -- who works, and on what --

    def has_daemon(self) -> bool:
        return any(
            kind == "daemon" and executor.alive(self.where, name)
            for name, (_, kind, _) in (self._living or self.store.executors()).items()
        )

    def daemons(self) -> list[Daemon]:
        found = []
        for name, (pid, kind, started) in sorted(looks.living(self.store).items(), key=lambda item: item[1][2]):
            if kind == "daemon":
                said, told = executor.complaints(self.where, name), executor.told(self.where, name)
                troubles = [Complaint(str(one["message"]), int(one["since"])) for one in said]
                files = told.get("files", [])
                certain = executor.lives(self.where, name) is not None
                found.append(Daemon(name, pid, started, troubles, files, told.get("definitions_problem"), certain))
        return found

    def wake_workers(self) -> None:
        from jobctl.engines.local.daemons import poke_daemons

        poke_daemons(self.store)

    def troubles(self) -> list[str]:
        return self.store.troubles()

    def damage(self) -> list[str]:
        return list(self.store.damage)

    def wrong(
        self, since: int, *, jobs: Collection[str] = (), tags: Collection[str] = (), tagged: Collection[str] = ()
    ) -> list[Trouble]:
        from jobctl.engines.local import news

        return news.troubles(self.store, since, self.host.now(), jobs=jobs, tags=tags, tagged=tagged)

    # -- schedules --

    def armed(self) -> list[Armed]:
        from jobctl.engines.values import Armed
        from jobctl.store import firings

        return [Armed(*row) for row in firings.active(self.store)]

    def paused(self) -> Mapping[str, Paused]:
        from jobctl.store import firings

        return {job: Paused(*about) for job, about in firings.paused(self.store).items()}

    def pause_schedules(self, job: str, *, at: int, reason: str | None, by: str) -> None:
        from jobctl.store import firings

        firings.pause(self.store, job, at=at, reason=reason, who=by)

    def resume_schedules(self, job: str, *, now: int) -> bool:
        from jobctl.store import firings

        return firings.unpause(self.store, job, now=now)

    def scheduled_jobs(self) -> Collection[str]:
        from jobctl.store import firings

        return firings.scheduled_jobs(self.store) | firings.paused(self.store).keys()

    def coming(self, job: Job, schedule: Schedule, now: int, limit: int) -> list[int]:
        from jobctl.core.model import encode_schedule
        from jobctl.engines.coming import coming
        from jobctl.store import firings

        found = firings.reached(self.store, job.name, encode_schedule(schedule, job))
        if found is None:
            return coming(job, schedule, now, limit)
        number, progress = found
        return coming(job, schedule, now, limit, progress, firings.beyond(self.store, number, min(progress, now)))

    def jobs_ahead(self, now: int) -> Collection[str]:
        from jobctl.store import firings

        return firings.jobs_ahead(self.store, now)

    def fires(self) -> Mapping[tuple[str, str], Fire]:
        from jobctl.engines.values import Fire
        from jobctl.store import firings

        return {place: Fire(*last) for place, last in firings.last(self.store).items()}

    def dropped(self, since: int) -> list[Dropped]:
        from jobctl.store.firings import lately_dropped

        return [Dropped(*one) for one in lately_dropped(self.store, since)]

    def dropped_by_schedule(self, since: int) -> Mapping[tuple[str, str], Mapping[str, int]]:
        from jobctl.store import firings

        return firings.dropped_by_schedule(self.store, since)

    # -- upkeep --

    def prune(self, keeps: Mapping[str, Keep], now: int, *, dry_run: bool = False) -> Pruned:
        from jobctl.engines.local import upkeep

        return upkeep.due(self.store, keeps, now) if dry_run else upkeep.prune(self.store, keeps, now)

    def expected_now(self, now: int) -> int:
        from jobctl.store import times

        boot = self.host.boottime()
        return times.read(self.store, boot_id()[:8], boot, now).expected(boot)

    def must_be_home(self, what: str) -> None:
        if self.store.copy is not None:
            raise self.store.copy.error(what)

    def adopt(self, *, as_copy: bool, by: str) -> Adopted:
        from jobctl.engines.local import adopt
        from jobctl.engines.values import Adopted

        if self.store.copy is None:
            raise JobctlError(
                f"the state folder {self.where} is no copy: there is nothing to adopt",
                hint="see how it stands: jobctl status",
            )
        of = self.store.copy.of.path
        if as_copy:
            return Adopted(of, adopt.as_copy(self.store, by, self.host), False)
        return Adopted(of, [], adopt.original_is_gone(self.store))

    # -- to work in this process --

    def foreground(
        self,
        observer: Observer,
        *,
        queues: Mapping[str, Queue],
        keeper: Any = None,
        remark: Callable[[str], None] = lambda _: None,
    ) -> Foreground:
        from jobctl.engines.local.foreground import LocalForeground

        return LocalForeground(self, observer, queues, keeper, remark)

    def resident(
        self, *, max_concurrent_runs: int | None = None, keeper: Any = None
    ) -> Callable[[Surroundings], Resident]:
        from jobctl.engines.local.worker.resident import hired

        return hired(self, max_concurrent_runs=max_concurrent_runs, keeper=keeper)

    def is_copy_still(self) -> bool:
        return self.store.is_copy()

    def at_home(self) -> None:
        from jobctl.engines.local import adopt

        adopt.at_home(self.store)

    def place(self, run: Run, queues: Mapping[str, Queue]) -> Place:
        from jobctl.engines.local.place import LocalPlace

        return LocalPlace(self, run.ref, queues)

    def give_up_when(self, told: Callable[[], bool] | None) -> None:
        self.store.give_up = told

    def _clock(self, now: int) -> looks.Clock:
        return looks.Clock(boot_id()[:8], self.host.boottime(), now)


def opened(
    state_dir: str, *, create: bool = False, asks: bool = False, told: Callable[[str], None] = lambda _: None
) -> LocalClient:
    """A client of the store in that folder, made with `create` if it is not there: NotFoundError otherwise.

    `asks`: nothing is to be written, not even an upgrade of the schema. `told` hears what people are to know.
    """
    host, before = Host(), None
    if not asks:
        from jobctl.engines.local.daemons import end_for_upgrade

        before = end_for_upgrade(state_dir, host)
    store = Store(state_dir, create=create, asks=asks, before_upgrade=before)
    if store.upgraded is not None:
        for sentence in _upgraded(store):
            told(sentence)
    return LocalClient(store, host)


def _upgraded(store: Store) -> Iterable[str]:
    done = store.upgraded
    assert done is not None
    if done.kept:
        yield f"the state store was brought to the schema of this jobctl; as it was it is in {done.kept}"
    for pid in done.ended:
        yield f"the daemon of the older jobctl (process {pid}) was asked to end; start it again: jobctl daemon"
