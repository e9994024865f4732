"""Names, schedules and next fire times of the defined jobs, remembered between calls: `status` and `schedule` read no
definitions file twice.

What was read is kept in the state folder, under `cache/`, for as long as the file is the same (size, inode, time of its
last change) and so are jobctl's version and the machine's zone. A cache that cannot be used is not missed.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import jobctl
from jobctl.core.errors import DefinitionError, Problem
from jobctl.host import machine
from jobctl.host.files import open_regular

if TYPE_CHECKING:
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
    try:
        info = os.stat(file)
        stamp = [info.st_mtime_ns, info.st_size, info.st_ino]
        key = [jobctl.__version__, file, *stamp, *machine.zone_marks()] if state_dir else []
    except OSError:
        key = []  # the one who reads it says what is wrong
    path = _cache_path(state_dir, file)
    kept = _load(path, key)
    if kept is not None and kept["rules"] != machine.rule_marks(kept["rules"]):
        kept = None  # tzdata has changed
    jobs: list[dict[str, Any]] = _jobs(file) if kept is None else kept["jobs"]
    stale = [job for job in jobs if kept is None or not _holds(job["next"], kept["at"], now)]
    if stale:
        zone = machine.zone()
        for job in stale:
            job["next"] = _next_fire(job, now, zone)
    if stale or kept is None:
        zones = {schedule["timezone"] or job["zone"] for job in jobs for schedule in job["schedules"]} - {None}
        _save(path, {"key": key, "rules": machine.rule_marks(sorted(zones)), "at": now, "jobs": jobs})
    return jobs


def _holds(next_fire: int | None, asked_at: int, now: int) -> bool:
    """Whether what was the next fire time after `asked_at` still is the next one."""
    return asked_at <= now and (next_fire is None or now < next_fire)


def _jobs(file: str) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from jobctl.cli import words
    from jobctl.definitions.files import read_file

    return [
        {
            "job": job.name,
            "schedule": "; ".join(words.schedule(schedule, job) for schedule in job.schedules) or None,
            "schedules": [asdict(schedule) for schedule in job.schedules],
            "zone": job.timezone,
            "next": None,
        }
        for job in read_file(file).jobs.values()
    ]


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


def _cache_path(state_dir: str, file: str) -> str:
    from zlib import crc32

    # Two files of one name in here only forget each other: which file it is about stands in the key.
    return os.path.join(state_dir, "cache", f"outline-{crc32(os.fsencode(file)):08x}.json")


def _load(path: str, key: list[Any]) -> Any:
    """What was kept under that key; None when there is nothing that can be used."""
    try:
        with os.fdopen(open_regular(path), encoding="utf-8") as source:
            kept = json.load(source)
        return kept if key and kept["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _save(path: str, document: dict[str, Any]) -> None:
    """Keep it, for the user's eyes only. Where that cannot be, or nothing has run yet: not."""
    if not document["key"] or not os.path.isdir(os.path.dirname(os.path.dirname(path))):
        return
    new = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as target:
            json.dump(document, target, separators=(",", ":"))
        os.replace(new, path)
    except OSError:
        pass
