"""`jobctl history`: past runs, newest first; of one run its events. What a run looks like now is status.py's."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.client import client_of
from jobctl.cli.find_run import find
from jobctl.cli.moments import instant, past, took
from jobctl.cli.problems import say_problems
from jobctl.cli.show.texts import short, standing
from jobctl.core import text
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.host import clock
from jobctl.views.documents import Documents, event_document, summary
from jobctl.views.events import describe
from jobctl.views.overview import damage, problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.core.errors import Problem
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings

_DEFAULT_LIMIT = 20
_LONGEST_REASON = 300  # characters; `history RUN` and --json have all of it


def main(
    settings: Settings,
    *,
    target: str | None,
    limit: int,
    since: str | None,
    until: str | None,
    status: list[str],
    tag: str | None,
) -> int:
    """0. A name that is a run's and a job's means the run; NotFoundError for one that is neither."""
    now = clock.now()
    if limit < 1:
        raise UsageError("--limit is below 1", hint="give how many runs to show: --limit 100")
    start = instant(since, "--since", now=now) if since is not None else None
    end = instant(until, "--until", now=now) if until is not None else None
    if start is not None and end is not None and start >= end:
        raise UsageError("--since is not before --until: there is nothing between them", hint="exchange them")
    try:
        client = client_of(settings, asks=True)
    except NotFoundError as error:
        if target is not None and not _is_defined(settings, target, now):
            raise
        return _show_runs(settings, [], error.message, now)
    with client:
        if target is not None:
            try:
                run = find(settings, client, target, now=now)
            except NotFoundError:
                if not _is_defined(settings, target, now):
                    raise
                return _show_runs(settings, [], f"job {target} has not run yet", now, damage(client))
            if run.name == target or run.job != target:
                if since or until or status or tag or limit != _DEFAULT_LIMIT:
                    raise UsageError(
                        f"{run.name} is a run: --limit, --since, --until, --status and --tag choose among runs",
                        hint=f"leave them out, or name the job: jobctl history {run.job}",
                    )
                return _show_events(settings, client, run)
        found = client.runs(job=target, statuses=status, since=start, until=end, tag=tag, limit=limit)
        problems = [*map(problem, found.troubles), *damage(client)]
    return _show_runs(settings, found.found, "no run is like that" if target else "no runs", now, problems)


def _is_defined(settings: Settings, name: str, now: int) -> bool:
    from jobctl.definitions import outline

    return name in outline.read(settings, now=now)[0]


def _show_runs(settings: Settings, runs: list[Run], none: str, now: int, problems: Sequence[Problem] = ()) -> int:
    say_problems(problems)
    if settings.json:
        printing.print_json([summary(run) for run in runs])
        return 0
    if not runs:
        printing.note(none)
        return 0
    lines = [
        (
            run.name,
            run.job,
            standing(run),
            past(run.started_at or run.created_at, now),
            took(run.started_at, run.finished_at, now),
            short(run.reason or "", _LONGEST_REASON),
        )
        for run in runs
    ]
    header = ("RUN", "JOB", "STATUS", "STARTED", "TIME", "REASON")
    shown = printing.table(header, lines, color=printing.colored(settings.color))
    printing.paged(shown.split("\n"), ask=not settings.no_input)
    return 0


def _show_events(settings: Settings, client: Client, run: Run) -> int:
    events = Documents(client, printing.note).events(run)
    if settings.json:
        printing.print_json([event_document(event, number) for number, event in enumerate(events, 1)])
        return 0
    start = events[0].at
    lines = []
    for event in events:
        line = f"{text.local_time(event.at)}  +{text.duration(event.at - start):<8}  {describe(event)}"
        lines.append(printing.safe(" ".join(line.split("\n"))))
    printing.paged(lines, ask=not settings.no_input)
    return 0
