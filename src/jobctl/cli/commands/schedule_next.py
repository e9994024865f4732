"""`jobctl schedule next [JOB…]`: when schedules will fire. Needs no daemon and no store; where there is one, what has
been dealt with already does not come again."""

from __future__ import annotations

from jobctl.cli import moments, printing, schedules
from jobctl.core import text
from jobctl.core.definition.remarks import explain
from jobctl.core.errors import JobctlError, UsageError
from jobctl.core.model import encode_schedule
from jobctl.core.schedule.schedule import fires, jitter
from jobctl.core.schedule.words import in_words
from jobctl.core.schedule.zones import LAST_INSTANT, format_instant
from jobctl.engines.coming import zone_of
from jobctl.host import clock
from jobctl.views.schedules import to_come

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job, Schedule
    from jobctl.host.settings import Settings

HEADER = ("LOCAL TIME", "UTC", "WHEN", "JITTER", "REMARK")


def main(settings: Settings, *, jobs: list[str], count: int, start: str | None) -> int:
    """0. The nominal fire times of every schedule from `start` on, at most `count` each; without it, those that are
    still to start.

    NotFoundError for an unknown job, JobctlError for one without a schedule.
    """
    now = clock.now()
    if count < 1:
        raise UsageError("-n must be at least 1", hint="for example: -n 20")
    after = None if start is None else moments.instant(start, "--from", now=now) - 1
    entries = [
        (job, schedule)
        for job in schedules.chosen(schedules.read(settings, now=now), jobs)
        for schedule in job.schedules
    ]
    if after is None:
        found = [(job, schedule, times) for (job, schedule), times in _to_come(settings, entries, now, count)]
    else:
        found = [
            (job, schedule, fires(schedule, after, LAST_INSTANT, zone_of(schedule, job), count))
            for job, schedule in entries
        ]
    if settings.json:
        printing.print_json(
            [
                {
                    "job": job.name,
                    "schedule": in_words(schedule, job),
                    "times": [format_instant(at) for at in times],
                }
                for job, schedule, times in found
            ]
        )
        return 0
    color = printing.colored(settings.color)
    for i, (job, schedule, times) in enumerate(found):
        title = printing.safe(f"{job.name}: {in_words(schedule, job)}")
        print(("\n" if i else "") + printing.paint(title, "bold", on=color))
        if not times:
            printing.say("  when the machine starts" if schedule.boot else "  never again")
            continue
        rows = [_row(job, schedule, at, now) for at in times]
        kept = [i for i in range(len(HEADER)) if any(row[i] for row in rows)]
        table = printing.table([HEADER[i] for i in kept], [[row[i] for i in kept] for row in rows], color=color)
        print("\n".join(f"  {line}" for line in table.split("\n")))
    if not found:
        printing.note("no job has a schedule")
    return 0


def _to_come(
    settings: Settings, entries: list[tuple[Job, Schedule]], now: int, count: int
) -> list[tuple[tuple[Job, Schedule], list[int]]]:
    """As the daemon will fire them. A store that cannot be read, or is not there, has nothing to add."""
    from jobctl.cli.client import client_of

    try:
        with client_of(settings, asks=True) as client:
            return [(entry, to_come(client, *entry, now, count)) for entry in entries]
    except JobctlError:
        return [(entry, to_come(None, *entry, now, count)) for entry in entries]


def _row(job: Job, schedule: Schedule, at: int, now: int) -> tuple[str, ...]:
    zone = zone_of(schedule, job)
    wait = jitter(job.name, encode_schedule(schedule, job), at, schedule.jitter) if schedule.jitter else 0
    return (
        format_instant(at, zone).replace("T", " "),
        format_instant(at).replace("T", " ").removesuffix("+00:00"),
        text.in_(at, now) if at >= now else text.ago(at, now),
        f"+ {text.duration(wait)}" if schedule.jitter else "",
        explain(schedule, at, zone),
    )
