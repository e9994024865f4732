"""`jobctl schedule list [JOB…]`: every schedule, when it fires next, what became of its last fire time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from jobctl.cli import moments, schedules
from jobctl.cli import printing as output
from jobctl.cli.commands.status import damage_of, say_problems
from jobctl.cli.opened import store_of
from jobctl.core import text
from jobctl.core.errors import NotFoundError
from jobctl.core.model import encode_schedule
from jobctl.core.schedule.words import in_words
from jobctl.host import clock
from jobctl.store import firings
from jobctl.views import views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.core.model import Job, Schedule
    from jobctl.core.schedule.rows import Last, Pause
    from jobctl.host.settings import Settings

_DROPPED_SINCE = 7 * 86_400_000  # what was missed and skipped is counted for a week


class _Line(NamedTuple):
    job: Job
    schedule: Schedule
    next_fire: int | None
    last: Last | None
    pause: Pause | None
    dropped: Mapping[str, int]  # outcome -> how many fire times


def main(settings: Settings, *, jobs: list[str]) -> int:
    """0. NotFoundError for an unknown job, JobctlError for one without a schedule."""
    now = clock.now()
    chosen = schedules.chosen(schedules.read(settings, now=now), jobs)
    last: dict[tuple[str, str], Last] = {}
    dropped: dict[tuple[str, str], dict[str, int]] = {}
    paused: dict[str, Pause] = {}
    daemon = False
    entries = [(job, schedule) for job in chosen for schedule in job.schedules]
    try:
        with store_of(settings, asks=True) as store:
            last, paused = firings.last(store), firings.paused(store)
            dropped = firings.dropped_by_schedule(store, now - _DROPPED_SINCE)
            daemon = bool(views.daemons(store))
            say_problems(damage_of(store))
            fires = [_first(schedules.coming(store, *entry, now, 1)) for entry in entries]
    except NotFoundError:  # nothing has run here yet
        fires = [_first(schedules.coming(None, *entry, now, 1)) for entry in entries]
    lines = []
    for (job, schedule), fire in zip(entries, fires, strict=True):
        place = job.name, encode_schedule(schedule, job)
        lines.append(_Line(job, schedule, fire, last.get(place), paused.get(job.name), dropped.get(place, {})))
    if settings.json:
        output.print_json([_document(line) for line in lines])
        return 0
    if not lines:
        output.note("no job has a schedule")
        return 0
    header = ("JOB", "SCHEDULE", "ZONE", "NEXT", "LAST", "WHAT BECAME OF IT")
    print(output.table(header, [_row(line, now) for line in lines], color=output.colored(settings.color)))
    for name, pause in {line.job.name: line.pause for line in lines if line.pause is not None}.items():
        output.say(f"{name}: paused {told(pause, now)}; jobctl schedule resume {name}")
    for line in lines:
        for outcome, count in line.dropped.items():
            times = "fire time was" if count == 1 else "fire times were"
            output.say(f"{line.job.name}: {count} {times} {outcome} within a week ({_expression(line)})")
    if not daemon:
        output.note("no daemon runs here: schedules do not start runs by themselves; start one with: jobctl daemon")
    return 0


def _first(times: list[int]) -> int | None:
    return times[0] if times else None


def told(pause: Pause, now: int) -> str:
    """Since when, by whom and why schedules are paused, in words."""
    by = f" by {pause.who}" if pause.who else ""
    return f"since {moments.past(pause.at, now)}{by}" + (f": {pause.reason}" if pause.reason else "")


def _row(line: _Line, now: int) -> tuple[str, ...]:
    if line.pause is not None:
        coming = "paused"
    elif line.schedule.boot:
        coming = "when the machine starts"
    else:
        coming = "never again" if line.next_fire is None else moments.coming(line.next_fire, now)
    last = line.last
    return (
        line.job.name,
        _expression(line),
        schedules.zone_of(line.schedule, line.job),
        coming,
        "-" if last is None else moments.past(last.fire_time, now),
        "-" if last is None else _became(last),
    )


def _expression(line: _Line) -> str:
    """The schedule in words, without the zone, which stands beside it."""
    return in_words(replace(line.schedule, timezone=None), replace(line.job, timezone=None))


def _became(last: Last) -> str:
    if last.outcome in ("missed", "skipped"):
        return last.outcome + (f": {last.reason}" if last.reason else "")
    if last.run is None or last.status is None:
        return "a run, which was pruned"
    return f"{last.run} {last.status.replace('_', ' ')}"


def _document(line: _Line) -> dict[str, object]:
    last, pause = line.last, line.pause
    return {
        "job": line.job.name,
        "schedule": in_words(line.schedule, line.job),
        "timezone": schedules.zone_of(line.schedule, line.job),
        "next_fire_at": None if line.next_fire is None else text.rfc3339(line.next_fire),
        "last_fire": None
        if last is None
        else {
            "fire_time": text.rfc3339(last.fire_time),
            "outcome": last.outcome,
            "run": last.run,
            "status": last.status,
            "reason": last.reason,
        },
        "paused": None if pause is None else {"at": text.rfc3339(pause.at), "reason": pause.reason, "by": pause.who},
        "dropped": {"missed": line.dropped.get("missed", 0), "skipped": line.dropped.get("skipped", 0)},
    }
