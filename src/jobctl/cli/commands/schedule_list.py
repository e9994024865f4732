"""`jobctl schedule list [JOB…]`: every schedule, when it fires next, what became of its last fire time."""

from __future__ import annotations

from dataclasses import replace

from jobctl.cli import moments, printing, schedules
from jobctl.cli.client import client_of
from jobctl.cli.problems import say_problems
from jobctl.core.errors import NotFoundError
from jobctl.core.schedule.words import in_words
from jobctl.host import clock
from jobctl.views import documents
from jobctl.views.overview import damage
from jobctl.views.schedules import lines as lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.values import Fire, Paused
    from jobctl.host.settings import Settings
    from jobctl.views.schedules import Line


def main(settings: Settings, *, jobs: list[str]) -> int:
    """0. NotFoundError for an unknown job, JobctlError for one without a schedule."""
    now = clock.now()
    chosen = schedules.chosen(schedules.read(settings, now=now), jobs)
    daemon = False
    try:
        with client_of(settings, asks=True) as client:
            lines = lines_of(client, chosen, now)
            daemon = client.has_daemon()
            say_problems(damage(client))
    except NotFoundError:  # nothing has run here yet
        lines = lines_of(None, chosen, now)
    if settings.json:
        printing.print_json([documents.schedule(line) for line in lines])
        return 0
    if not lines:
        printing.note("no job has a schedule")
        return 0
    header = ("JOB", "SCHEDULE", "ZONE", "NEXT", "LAST", "WHAT BECAME OF IT")
    print(printing.table(header, [_row(line, now) for line in lines], color=printing.colored(settings.color)))
    for name, pause in {line.job.name: line.pause for line in lines if line.pause is not None}.items():
        printing.say(f"{name}: paused {told(pause, now)}; jobctl schedule resume {name}")
    for line in lines:
        for outcome, count in line.dropped.items():
            times = "fire time was" if count == 1 else "fire times were"
            printing.say(f"{line.job.name}: {count} {times} {outcome} within a week ({_expression(line)})")
    if not daemon:
        printing.note("no daemon runs here: schedules do not start runs by themselves; start one with: jobctl daemon")
    return 0


def told(pause: Paused, now: int) -> str:
    """Since when, by whom and why schedules are paused, in words."""
    by = f" by {pause.by}" if pause.by else ""
    return f"since {moments.past(pause.at, now)}{by}" + (f": {pause.reason}" if pause.reason else "")


def _row(line: Line, now: int) -> tuple[str, ...]:
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
        line.zone,
        coming,
        "-" if last is None else moments.past(last.fire_time, now),
        "-" if last is None else _became(last),
    )


def _expression(line: Line) -> str:
    """The schedule in words, without the zone, which stands beside it."""
    return in_words(replace(line.schedule, timezone=None), replace(line.job, timezone=None))


def _became(last: Fire) -> str:
    if last.outcome in ("missed", "skipped"):
        return last.outcome + (f": {last.reason}" if last.reason else "")
    if last.run is None or last.status is None:
        return "a run, which was pruned"
    return f"{last.run} {last.status.replace('_', ' ')}"
