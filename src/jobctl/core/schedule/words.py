"""A schedule in plain words. When it fires: schedule.py; what its cron expression says: cron.py."""

from __future__ import annotations

from jobctl.core.durations import format as duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job, Millis, Schedule


def in_words(schedule: Schedule, job: Job) -> str:
    """`30 2 * * * (Europe/Berlin)`, `every 15m`, `once at 2026-12-24T17:00:00+00:00`, and what limits it."""
    zone = schedule.timezone or job.timezone
    if schedule.cron is not None:
        text = schedule.cron + (f" ({zone})" if zone else "")
    elif schedule.every is not None:
        text = f"every {duration(schedule.every)}"
        text += f", offset {duration(schedule.offset)}" if schedule.offset else ""
    elif schedule.boot:
        text = "at each start of the machine"
    else:
        text = f"once at {instant(schedule.at or 0)}"
    if schedule.jitter:
        text += f", jitter up to {duration(schedule.jitter)}"
    if schedule.start_at is not None:
        text += f", from {instant(schedule.start_at)}"
    if schedule.end_at is not None:
        text += f", until {instant(schedule.end_at)}"
    left_out = [*schedule.exclude, *schedule.exclude_dates]
    return text + (f", except {', '.join(left_out)}" if left_out else "")


def all_in_words(job: Job) -> str:
    """All schedules of a job; "" for one that has none."""
    return "; ".join(in_words(schedule, job) for schedule in job.schedules)


def instant(ms: Millis) -> str:
    """RFC 3339, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
