"""Jobs as far as their schedules go, for the commands about schedules: cli/commands/schedule_list.py and the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import load
from jobctl.core.errors import DefinitionError, JobctlError
from jobctl.definitions import outline
from jobctl.host import machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.core.model import Job, Schedule
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store


def read(settings: Settings, *, now: int) -> dict[str, Job]:
    """All jobs by name, with their schedules, without their steps. DefinitionError with the problems of all files."""
    load.existing(settings)
    jobs, problems = outline.scheduled(settings, now=now)
    if problems:
        raise DefinitionError(problems)
    return jobs


def chosen(jobs: Mapping[str, Job], names: Sequence[str]) -> list[Job]:
    """The jobs of these names; without names, all that have a schedule. NotFoundError; JobctlError as in `one`."""
    if not names:
        return [job for job in jobs.values() if job.schedules]
    return [one(jobs, name) for name in dict.fromkeys(names)]


def one(jobs: Mapping[str, Job], name: str) -> Job:
    """The job of that name. NotFoundError suggests the nearest; JobctlError when it has no schedule."""
    job = load.find_job(jobs, name)
    if not job.schedules:
        raise without_schedule(name)
    return job


def coming(store: Store | None, job: Job, schedule: Schedule, now: int, limit: int) -> list[int]:
    """The nominal fire times that are still to start, as a daemon would say: it asks the same function."""
    from jobctl.core.model import encode_schedule
    from jobctl.core.schedule.schedule import coming, jitter

    key = encode_schedule(schedule, job)
    progress, dealt = None, []
    if store is not None:
        from jobctl.store import firings

        found = firings.reached(store, job.name, key)
        if found is not None:
            number, progress = found
            dealt = firings.beyond(store, number, min(progress, now))

    def starts_at(nominal: int) -> int:
        wait = jitter(job.name, key, nominal, schedule.jitter) if schedule.jitter else 0
        return nominal + wait

    return coming(schedule, progress, dealt, now, zone_of(schedule, job), starts_at, limit)


def next_of(store: Store, job: Job, now: int) -> int | None:
    """The first that comes of all schedules of a job."""
    found = [at for schedule in job.schedules for at in coming(store, job, schedule, now, 1)]
    return min(found, default=None)


def without_schedule(name: str) -> JobctlError:
    return JobctlError(
        f"job {name} has no schedule", hint=f"give it one in its definition, or start a run now: jobctl run {name}"
    )


def zone_of(schedule: Schedule, job: Job) -> str:
    """The zone that the schedule's local times are in."""
    return schedule.timezone or job.timezone or machine.zone()
