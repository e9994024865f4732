"""Brings a run of a job into being: begun at once where there is room, else queued. When a schedule fires is not known
here, nor when a queued run's turn comes (dispatcher.py)."""

from __future__ import annotations

from collections.abc import Sequence

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import Job, RunStatus, encode
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.newrun import created, described, made
from jobctl.core.run.payloads import carries
from jobctl.core.run.rows import NewRun
from jobctl.core.run.values import run_values
from jobctl.core.schedule.rows import Dropped
from jobctl.definitions.files import env_file_of
from jobctl.definitions.masking import redact
from jobctl.engines.local.live import Company
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.submit import batches_of
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.take import Failed, OnFailed, end, ignore
from jobctl.store import firings
from jobctl.store.append import Batch, Beside
from jobctl.store.database import Transaction
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Starter:
    """Makes runs on one engine, within one capacity. What it has made stands in the store after `flush`."""

    def __init__(self, store: Store, engine: LocalEngine, capacity: Capacity, on_failed: OnFailed = ignore) -> None:
        self._store = store
        self._engine = engine
        self._capacity = capacity
        self._on_failed = on_failed
        self._made: list[tuple[NewRun, list[Event]]] = []  # runs that are queued or have failed, not recorded yet
        self._failed: list[Failed] = []  # those of them that have failed
        self._notices: dict[str, list[Batch]] = {}  # by id of one that has failed: what tells of it
        self._beside: list[Beside] = []  # what else is to be recorded with them
        self._texts: dict[str, tuple[Job, str]] = {}  # by name: a job, and its canonical text, made once

    def begun(self, job: str) -> int:
        """Runs of a job that were begun and are not recorded yet."""
        return sum(1 for run in self._engine.unborn() if run.job.name == job)

    def held(self, job: str) -> int:
        """Runs of a job that were queued and are not recorded yet."""
        return sum(1 for new, events in self._made if new.job == job and len(events) == 1)

    def start(
        self,
        job: Job,
        now: int,
        *,
        trigger: str,
        fire_time: int | None = None,
        schedule: int | None = None,
        given: dict[str, Any] | None = None,
        hold: bool = False,
        due: int | None = None,
        again: bool = False,
    ) -> RunStatus:
        """A new run: running, or queued because it is to be held or there is no room. A run that cannot begin at all -
        a missing parameter, an unreadable env_file - is recorded as failed, with why. `due`: from when on
        `start_within` counts, where that is not now. `again`: its fire time may have come before."""
        name = self._store.unused_name(job.name)
        new = described(job, self._text(job), name, now if due is None else due)
        new = new._replace(trigger=trigger, fire_time=fire_time, schedule=schedule, again=again)
        try:
            values = run_values(job, name, fire_time if fire_time is not None else now)
            run = made(job, new, given or {}, values, now)
            new = run.new
            env_file = env_file_of(job)
        except JobctlError as error:
            unable = carries(EventType.RUN_ENDED, {"status": "failed", "reason": error.message})
            failed = Event(EventType.RUN_ENDED, now, data=unable)
            first = created(new, given or {}, now)
            if job.notify:
                from jobctl.engines.local.notifications import queued

                failed, self._notices[new.name] = queued(self._store, new.name, job, failed, replay([first]))
            self._made.append((new, [first, failed]))
            self._failed.append(Failed(new.name, job.name, trigger, error.message))
            return RunStatus.FAILED
        if hold or not self._capacity.take_place(job.queue):
            self._made.append((new, [run.first]))
            return RunStatus.QUEUED
        self._capacity.had_turn(job.name)
        self._engine.submit(new, job, run.params, env_file=env_file)
        return RunStatus.RUNNING

    def end(self, job: str, *, terminate: bool) -> None:
        """Ask the job's runs to end, those that run and those that only wait, also what was made just now."""
        self.flush()
        begun, queued = firings.alive_runs(self._store, job)
        for number, _ in [*begun, *queued]:
            try:
                end(self._store, self._engine, number, terminate=terminate, reason="a later fire time took its place")
            except StoreUnavailableError:
                raise
            except JobctlError:
                continue  # it ended in between

    def drop(self, gone: Dropped, now: int, told: Sequence[Batch]) -> None:
        """Fire times that get no run; `told`: the runs that tell of it. Recorded with the runs that were made."""
        self._beside.append(lambda db: firings.drop(self._store, db, [gone], now, {gone: told}))

    def pass_over(self, schedule: int, instant: int) -> None:
        """Its fire times up to then get neither a run nor a record. Recorded with the others."""
        self._beside.append(lambda db: firings.advance(db, [(schedule, instant)]))

    def flush(self) -> None:
        """Record what was made, begun or not, and what was dropped: all of it in one commit, or nothing. StoreError
        when that fails; with runs that have begun all of it is kept then, and recorded when it can be."""
        made, self._made = self._made, []
        failed, self._failed = self._failed, []
        notices, self._notices = self._notices, {}
        others, self._beside = self._beside, []

        def beside(db: Transaction) -> None:
            for write in others:
                write(db)

        def done(refused: set[str]) -> None:
            for one in failed:
                if one.run not in refused:
                    self._on_failed(one)

        if made or others:
            self._engine.record_beside(Company(batches_of(made, notices), beside, done))
        self._engine.flush()
        if self._engine.trouble is not None:
            raise self._engine.trouble

    def _text(self, job: Job) -> str:
        found = self._texts.get(job.name)
        if found is None or found[0] is not job:
            found = self._texts[job.name] = (job, encode(redact(job)))
        return found[1]
