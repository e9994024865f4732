"""`jobctl schedule backfill JOB`: a run for each fire time of a stretch of the past. The daemon runs them."""

from __future__ import annotations

from dataclasses import replace

from jobctl.cli import load, moments, printing, schedules
from jobctl.cli.client import client_of
from jobctl.cli.starting import given_params
from jobctl.core.errors import JobctlError, UsageError
from jobctl.core.model import OverlapPolicy
from jobctl.core.schedule.schedule import fires
from jobctl.core.schedule.zones import format_instant
from jobctl.engines.coming import zone_of
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job
    from jobctl.host.settings import Settings


def main(
    settings: Settings,
    *,
    job: str,
    start: str | None,
    end: str | None,
    overlap: str,
    params: list[str],
    limit: int,
    dry_run: bool,
) -> int:
    """0. UsageError for times and parameters that do not fit; JobctlError for more than `limit` fire times."""
    now = clock.now()
    definition = schedules.one(load.load(settings), job)
    given = given_params(params)
    if limit < 1:
        raise UsageError("--limit must be at least 1", hint="for example: --limit 20000")
    if start is None:
        raise UsageError("--from is missing", hint="say where to begin: --from 2026-01-01, or --from 7d for a week ago")
    first = moments.instant(start, "--from", now=now)
    last = now if end is None else moments.instant(end, "--to", now=now)
    if first > last:
        raise UsageError("--from is later than --to", hint="exchange the two")
    if last > now:
        raise UsageError(
            "--to lies in the future", hint="a backfill is for fire times that have passed; leave --to out for now"
        )
    zone = zone_of(definition.schedules[0], definition)
    stretch = f"from {_shown(first, zone)} to {_shown(last, zone)}"
    times = _times(definition, first, last, limit)
    if len(times) > limit:
        raise JobctlError(
            f"job {job} has more than {limit} fire times {stretch}: nothing was queued",
            hint=f"end the stretch at {_shown(times[limit - 1], zone)}, or allow more with --limit",
        )
    one_by_one = overlap != OverlapPolicy.ALLOW_ALL
    runs: list[str] = []
    if times and not dry_run:
        how = "one after another" if one_by_one else "as many at once as there is room for"
        if not settings.quiet:
            printing.note(f"{job}: {len(times)} runs, {how}, for its fire times {stretch}")
        # The choice stands in the definition that is kept with the runs: there the daemon looks for it.
        chosen = replace(definition, overlap=OverlapPolicy(overlap))
        with client_of(settings, create=True) as client:
            runs = client.backfill(chosen, given, times)
            if not client.has_daemon():
                printing.note("no daemon runs here: they start when one does: jobctl daemon")
    if settings.json:
        printing.print_json(
            {
                "job": job,
                "from": format_instant(first, zone),
                "to": format_instant(last, zone),
                "overlap": overlap,
                "dry_run": dry_run,
                "times": [format_instant(at) for at in times],
                "runs": runs,
            }
        )
    elif not times:
        printing.note(f"job {job} has no fire time {stretch}")
    elif dry_run:
        for at in times:
            printing.say(_shown(at, zone))
    else:
        for name in runs:
            printing.say(name)
    return 0


def _times(job: Job, first: int, last: int, limit: int) -> list[int]:
    """The fire times of all its schedules in [first, last], oldest first, each once; some more than `limit` at most."""
    found: set[int] = set()
    for schedule in job.schedules:
        found.update(fires(schedule, first - 1, last, zone_of(schedule, job), limit + 1))
    return sorted(found)


def _shown(at: int, zone: str) -> str:
    return format_instant(at - at % 1000, zone)
