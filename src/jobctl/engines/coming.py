"""When schedules fire next, as whoever works would say: it asks the same function. Fires nothing."""

from __future__ import annotations

from jobctl.core.model import encode_schedule
from jobctl.core.schedule import schedule as rules
from jobctl.host import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.core.model import Job, Schedule


def zone_of(schedule: Schedule, job: Job) -> str:
    """The zone that the schedule's local times are in."""
    return schedule.timezone or job.timezone or machine.zone()


def coming(
    job: Job,
    schedule: Schedule,
    now: int,
    limit: int,
    progress: int | None = None,
    dealt: Sequence[tuple[int, int]] = (),
) -> list[int]:
    """The nominal fire times that are still to start. `progress` and `dealt`: how far it was followed, where anybody
    has followed it."""
    key = encode_schedule(schedule, job)

    def starts_at(nominal: int) -> int:
        wait = rules.jitter(job.name, key, nominal, schedule.jitter) if schedule.jitter else 0
        return nominal + wait

    return rules.coming(schedule, progress, dealt, now, zone_of(schedule, job), starts_at, limit)
