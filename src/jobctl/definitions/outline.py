"""Names, schedules and next fire times of the defined jobs, for those who want no more of them: `status`, `schedule`.
They come from kept.py, which reads no definitions file twice; what is worked out here is kept there too."""

from __future__ import annotations

import os

from jobctl.core.errors import DefinitionError, Problem
from jobctl.core.record import NamedTuple
from jobctl.definitions import kept
from jobctl.host import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.model import Job, Schedule
    from jobctl.host.settings import Settings


class Outline(NamedTuple):
    """A job as far as `status` asks about it."""

    job: str
    file: str
    schedule: str | None  # in words
    next_fire: int | None  # after `now`, before jitter
    jitter: bool = False  # whether one that came before now may still be to start


def read(settings: Settings, *, now: int) -> tuple[dict[str, Outline], list[Problem]]:
    """The jobs of all the definitions files, by name, and what is wrong with files that could not be read."""
    jobs, problems = _read(settings, now)
    return {
        name: Outline(name, file, job["schedule"], job["next"], any(one["jitter"] for one in job["schedules"]))
        for name, (file, job) in jobs.items()
    }, problems


def scheduled(settings: Settings, *, now: int) -> tuple[dict[str, Job], list[Problem]]:
    """Like `read`, but jobs that hold their name, file, zone and schedules, and of all the rest nothing."""
    from jobctl.core.model import Job

    jobs, problems = _read(settings, now)
    return {
        name: Job(
            name,
            os.path.dirname(file),
            (),
            file=file,
            timezone=job["zone"],
            schedules=tuple(_schedule(schedule) for schedule in job["schedules"]),
        )
        for name, (file, job) in jobs.items()
    }, problems


def _read(settings: Settings, now: int) -> tuple[dict[str, tuple[str, dict[str, Any]]], list[Problem]]:
    """name -> (file, what is kept of the job)."""
    jobs: dict[str, tuple[str, dict[str, Any]]] = {}
    problems: list[Problem] = []
    for file in dict.fromkeys(settings.files):
        try:
            found = _read_file(file, settings.state_dir, now)
        except DefinitionError as error:
            problems += [problem for problem in error.problems if not problem.warning]
            continue
        for job in found:
            known, _ = jobs.setdefault(job["job"], (file, job))
            if known != file:
                problems.append(
                    Problem(
                        f"a job of this name is also defined in {known}",
                        hint="rename one of them, or name only one of the files with --file",
                        file=file,
                        job=job["job"],
                    )
                )
    return jobs, problems


def _read_file(file: str, state_dir: str, now: int) -> list[dict[str, Any]]:
    entry, was_kept = kept.entry(file, state_dir)
    stale = [job for job in entry.jobs if entry.at is None or not _holds(job["next"], entry.at, now)]
    if stale:
        zone = machine.zone()
        for job in stale:
            job["next"] = _next_fire(job, now, zone)
    if stale or not was_kept:
        entry.keep(at=now)
    return entry.jobs


def _holds(next_fire: int | None, asked_at: int, now: int) -> bool:
    """Whether what was the next fire time after `asked_at` still is the next one."""
    return asked_at <= now and (next_fire is None or now < next_fire)


def _next_fire(job: dict[str, Any], now: int, machine_zone: str) -> int | None:
    if not job["schedules"]:
        return None
    from jobctl.core.schedule.schedule import next_fire

    zone = job["zone"] or machine_zone
    found = [next_fire(_schedule(schedule), now, zone=zone) for schedule in job["schedules"]]
    return min((at for at in found if at is not None), default=None)


def _schedule(kept: dict[str, Any]) -> Schedule:
    from jobctl.core.model import Schedule

    # JSON has lists where the model has tuples, and they would not compare as equal.
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}
    return Schedule(**fields)
