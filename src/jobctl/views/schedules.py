"""Schedules as a client knows them: when each fires next, what became of its last fire time. Values."""

from __future__ import annotations

from jobctl.core.model import encode_schedule
from jobctl.core.record import NamedTuple
from jobctl.core.schedule.words import in_words
from jobctl.engines.coming import coming, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobctl.core.model import Job, Schedule
    from jobctl.engines.base import Client
    from jobctl.engines.values import Fire, Paused

_DROPPED_SINCE = 7 * 86_400_000  # what was missed and skipped is counted for a week


class Line(NamedTuple):
    """A schedule of a job."""

    job: Job
    schedule: Schedule
    words: str
    zone: str
    next_fire: int | None
    last: Fire | None
    pause: Paused | None
    dropped: Mapping[str, int]  # outcome -> how many fire times


def lines(client: Client | None, jobs: Iterable[Job], now: int) -> list[Line]:
    """Every schedule of these jobs. Without a client nothing has run yet."""
    last = client.fires() if client is not None else {}
    paused = client.paused() if client is not None else {}
    dropped = client.dropped_by_schedule(now - _DROPPED_SINCE) if client is not None else {}
    found = []
    for job in jobs:
        for schedule in job.schedules:
            place = job.name, encode_schedule(schedule, job)
            next_fire = next(iter(to_come(client, job, schedule, now, 1)), None)
            found.append(
                Line(
                    job,
                    schedule,
                    in_words(schedule, job),
                    zone_of(schedule, job),
                    next_fire,
                    last.get(place),
                    paused.get(job.name),
                    dropped.get(place, {}),
                )
            )
    return found


def to_come(client: Client | None, job: Job, schedule: Schedule, now: int, limit: int) -> list[int]:
    """The nominal fire times that are still to start. Without a client nobody has followed it."""
    return coming(job, schedule, now, limit) if client is None else client.coming(job, schedule, now, limit)
