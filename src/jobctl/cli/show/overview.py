"""`jobctl status`, for people: what runs, the jobs, and what anybody should know of."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.moments import coming, past, took
from jobctl.cli.problems import say_problems
from jobctl.cli.show.texts import short, standing
from jobctl.core.errors import UNREADABLE, JobctlError, StoreUnavailableError, unreadable
from jobctl.core.run.notices import origin, sentence
from jobctl.views.documents import Documents
from jobctl.views.overview import damage, problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobctl.core.errors import Problem
    from jobctl.engines.base import Client
    from jobctl.host.settings import Settings
    from jobctl.views.overview import JobLine, Overview

_UNREADABLE = "what is recorded of it cannot be read: jobctl doctor --deep"
_LONGEST_LINE = 300  # of a reason beside others; of the one that is asked for there is more


def show(settings: Settings, client: Client | None, seen: Overview, now: int) -> None:
    """Print it. `client` says what each run is at; without one nothing has run yet."""
    troubles: list[Problem] = []
    if client is None:
        printing.say("nothing has run here yet; no daemon runs here")
    else:
        for line in _workers(seen, now):
            printing.say(line)
        troubles = _runs(settings, client, seen, now)
    _jobs(settings, seen.jobs, now)
    for line in _beside(seen, now):
        printing.say(line)
    say_problems([problem for problem in (*seen.problems, *troubles) if problem.file not in seen.used_files])


def _workers(seen: Overview, now: int) -> Iterator[str]:
    """Who works here, and what from."""
    for file in seen.gone:
        yield f"{file} is gone: what it defined fires no more"
    if not seen.daemons:
        fires = any(job.next_fire is not None for job in seen.jobs)
        yield "no daemon runs here" + (": schedules do not start runs by themselves" if fires else "")
    for daemon in seen.daemons:
        if not daemon.certain:
            yield f"whether a daemon runs (pid {daemon.pid}) cannot be told: its lock in executors/ may not be read"
            continue
        yield f"a daemon runs (pid {daemon.pid}), started {past(daemon.started_at, now)}"
        for one in daemon.troubles:
            yield f"  it has trouble: {one.message}, since {past(one.since, now)}"
    yield from seen.troubles
    yield from seen.used


def _runs(settings: Settings, client: Client, seen: Overview, now: int) -> list[Problem]:
    """The runs that are not over, and what could not be read of them."""
    from jobctl.core.run.why import in_short

    shown = {run.name for run in seen.runs}
    # The runs that wait for them say so.
    children = [run for run in seen.runs if run.parent is not None and run.parent[0] in shown]
    roots = [run for run in seen.runs if run.parent is None or run.parent[0] not in shown]
    documents = Documents(client)
    rows, troubles = [], []
    for run in roots:
        try:
            at = short(in_short(documents.reasons(run, now)), _LONGEST_LINE)
        except StoreUnavailableError:
            raise
        except JobctlError as error:
            troubles.append(problem(error))
            at = _UNREADABLE
        except UNREADABLE as error:
            troubles.append(problem(unreadable(run.name, error)))
            at = _UNREADABLE
        rows.append((run.name, standing(run), took(run.started_at, None, now), at))
    if rows:
        print()
        print(_table(settings, ("RUN", "STATUS", "TIME", "NOW"), rows))
    if children:
        printing.say(f"and {len(children):,} child {'run' if len(children) == 1 else 'runs'} of these")
    if seen.queued:
        printing.say(f"and {seen.queued:,} more that are queued: jobctl history --status queued")
    if seen.asleep:
        printing.say(f"and {seen.asleep:,} more that only wait: jobctl history --status running")
    return [*troubles, *damage(client)]


def _jobs(settings: Settings, jobs: Sequence[JobLine], now: int) -> None:
    rows = []
    for job in jobs:
        fire = coming(job.next_fire, now) if job.next_fire is not None else "-"
        if job.last is None:
            rows.append((job.name, "-", "-", "-", "-", fire))
        else:
            run = job.last
            when, time = past(run.started_at or run.created_at, now), took(run.started_at, run.finished_at, now)
            rows.append((job.name, run.name, standing(run), when, time, fire))
    if not rows:
        printing.note("no jobs are defined here; `jobctl init` writes a jobs.toml to start from")
        return
    print()
    print(_table(settings, ("JOB", "LAST RUN", "STATUS", "STARTED", "TIME", "NEXT"), rows))


def _beside(seen: Overview, now: int) -> Iterator[str]:
    """What anybody should know of."""
    for gone in seen.dropped:
        times = "fire time was" if gone.fires == 1 else "fire times were"
        yield f"{gone.job}: {gone.fires} {times} {gone.outcome}, the last {past(gone.last, now)}: {gone.reason}"
    for one in seen.untold:
        why = f": {short(one.run.reason, _LONGEST_LINE)}" if one.run.reason else ""
        what = sentence(one.about) if one.about is not None else f"something of {origin(one.run.job)}"
        when = past(one.run.finished_at or now, now)
        yield f"nobody was told that {what}{why}, {when}; jobctl logs {one.run.name}"
    for job, pause in seen.paused.items():
        why = f": {pause.reason}" if pause.reason else ""
        yield f"{job}: its schedules are paused{why}; jobctl schedule resume {job}"


def _table(settings: Settings, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return printing.table(header, rows, color=printing.colored(settings.color))
