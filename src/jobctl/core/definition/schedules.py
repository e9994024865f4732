"""The schedules of a job: their tables -> Schedules, and what is wrong with them or may surprise.

When a schedule fires is core/schedule's.
"""

from __future__ import annotations

from jobctl.core.definition.doubts import Here
from jobctl.core.definition.findings import Findings, Raw, look_up
from jobctl.core.definition.positions import Path
from jobctl.core.model import Schedule
from jobctl.core.schedule.cron import parse_cron

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(
    job: str, tables: tuple[dict[str, Any], ...], timezone: str | None, raw: Raw, findings: Findings, here: Here | None
) -> tuple[Schedule, ...]:
    """`tables` hold what is valid of what `raw` says. `timezone`: the job's."""
    many = isinstance(look_up(raw, ("jobs", job, "schedule")), list)
    schedules: list[Schedule] = []
    for i, table in enumerate(tables):
        path: Path = ("jobs", job, "schedule", *([i] if many else []))
        schedule = Schedule(**table)
        if schedule.every is not None and schedule.offset >= schedule.every:
            findings.error((*path, "offset"), "must be less than `every`", "it only shifts the fire times")
        if schedule.start_at is not None and schedule.end_at is not None and schedule.start_at >= schedule.end_at:
            findings.error((*path, "end_at"), "is not after `start_at`: it would never fire", "exchange the two")
        if schedule in schedules:
            findings.error(path, "is in the list twice", "one schedule fires once: remove one of them")
        schedules.append(schedule)
        if here is not None and here.schedules and schedule.cron is not None:
            _warn_of_surprises(schedule, timezone, path, raw, findings, here)
    return tuple(schedules)


def _warn_of_surprises(
    schedule: Schedule, timezone: str | None, path: Path, raw: Raw, findings: Findings, here: Here
) -> None:
    from jobctl.core.definition.remarks import surprises

    said = look_up(raw, path)
    asked = isinstance(said, dict) and "dst_gap" in said
    zone = schedule.timezone or timezone or here.zone
    for sentence in surprises(parse_cron(schedule.cron or ""), zone, now=here.now, gaps=not asked):
        findings.warning(path, sentence, "")
