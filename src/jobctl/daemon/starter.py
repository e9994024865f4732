"""Brings a run of a job into being: begun at once where there is room, else queued. When a schedule fires is not known
here, nor when a queued run's turn comes (dispatcher.py)."""

from __future__ import annotations

from typing import Any

from jobctl import clock
from jobctl.core import parameters
from jobctl.core.errors import JobctlError
from jobctl.core.history import Event, EventType
from jobctl.core.model import Job, encode
from jobctl.daemon.capacity import Capacity
from jobctl.definitions import env_file_of
from jobctl.engines.commands import run_values
from jobctl.engines.local import LocalEngine, check_supported, created
from jobctl.engines.submit import record
from jobctl.masking import redact
from jobctl.store.store import NewRun, Store, new_name


class Starter:
    """Makes runs on one engine, within one capacity."""

    def __init__(self, store: Store, engine: LocalEngine, capacity: Capacity) -> None:
        self._store = store
        self._engine = engine
        self._capacity = capacity
        self._texts: dict[int, tuple[Job, str]] = {}  # id(job) -> its canonical text, made once a definition

    def submitted(self, job: str) -> int:
        """Runs of a job that were begun in this turn and do not stand in the store yet."""
        return sum(1 for run in self._engine.unborn() if run.job.name == job)

    def start(
        self,
        job: Job,
        *,
        trigger: str,
        fire_time: int | None = None,
        schedule: int | None = None,
        given: dict[str, Any] | None = None,
        hold: bool = False,
    ) -> bool:
        """A new run: begun (True), or queued because it is to be held or there is no room. A run that cannot begin at
        all - a missing parameter, an unreadable env_file - is recorded as failed, with why."""
        new = NewRun(
            new_name(job.name), job.name, self._text(job), trigger, fire_time, job.queue, job.priority, schedule
        )
        now = clock.now()
        try:
            check_supported(job)
            at = fire_time if fire_time is not None else now
            params = parameters.values(job, given or {}, run_values(job, new.name, at))
            env_file = env_file_of(job)
        except JobctlError as error:
            failed = Event(EventType.RUN_ENDED, now, data={"status": "failed", "reason": error.message})
            record(self._store, new, [created(new, given or {}, now), failed])
            return True
        if hold or not self._capacity.take_place(job.queue):
            record(self._store, new, [created(new, params, now)])
            return False
        self._engine.submit(new, job, params, env_file=env_file)
        return True

    def _text(self, job: Job) -> str:
        found = self._texts.get(id(job))
        if found is None or found[0] is not job:
            found = self._texts[id(job)] = (job, encode(redact(job)))
        return found[1]
