"""`jobctl history`: past runs, newest first; of one run its events. What a run looks like now is status.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import printing as output
from jobctl.cli.commands.status import damage_of, each, find, say_problems, short, standing
from jobctl.cli.moments import instant, past, took
from jobctl.cli.opened import store_of
from jobctl.cli.secrets import hidden
from jobctl.core import text
from jobctl.core.errors import NotFoundError, Problem, UsageError
from jobctl.host import clock
from jobctl.store.store import Store
from jobctl.views import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings
    from jobctl.views.views import Seen

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
        store = store_of(settings, asks=True)
    except NotFoundError as error:
        if target is not None and not _is_defined(settings, target, now):
            raise
        return _show_runs(settings, None, [], error.message, now)
    with store:
        if target is not None:
            try:
                row = find(settings, store, target, now=now)
            except NotFoundError:
                if not _is_defined(settings, target, now):
                    raise
                return _show_runs(settings, store, [], f"job {target} has not run yet", now)
            if row.name == target or row.job != target:
                if since or until or status or tag or limit != _DEFAULT_LIMIT:
                    raise UsageError(
                        f"{row.name} is a run: --limit, --since, --until, --status and --tag choose among runs",
                        hint=f"leave them out, or name the job: jobctl history {row.job}",
                    )
                return _show_events(settings, store, row)
        found = store.history(job=target, statuses=status, since=start, until=end, tag=tag, limit=limit)
        problems: list[Problem] = []
        living = store.executors() if found else {}
        rows = each(found, lambda row: views.look(store, row, living), problems)
        return _show_runs(settings, store, rows, "no run is like that" if target else "no runs", now, problems)


def _is_defined(settings: Settings, name: str, now: int) -> bool:
    from jobctl.definitions import outline

    return name in outline.read(settings, now=now)[0]


def _show_runs(
    settings: Settings,
    store: Store | None,
    rows: list[Seen],
    none: str,
    now: int,
    problems: Sequence[Problem] = (),
) -> int:
    troubles = list(problems)
    shown_rows = each(rows, lambda seen: (seen.row, views.summary(store, seen)), troubles) if store is not None else []
    if store is not None:
        say_problems([*troubles, *damage_of(store)])
    if settings.json:
        output.print_json([document for _, document in shown_rows])
        return 0
    if not rows:
        output.note(none)
        return 0
    lines = [
        (
            row.name,
            row.job,
            standing(document),
            past(row.started_at or row.created_at, now),
            took(row.started_at, row.finished_at, now),
            short(row.reason or "", _LONGEST_REASON),
        )
        for row, document in shown_rows
    ]
    header = ("RUN", "JOB", "STATUS", "STARTED", "TIME", "REASON")
    shown = output.table(header, lines, color=output.colored(settings.color))
    output.paged(shown.split("\n"), ask=not settings.no_input)
    return 0


def _show_events(settings: Settings, store: Store, row: RunRow) -> int:
    recorded = store.events(row.id, upto=row.seq)
    shown = hidden(store, row, [event.data for event in recorded])
    events = [event._replace(data=data) for event, data in zip(recorded, shown, strict=True)]
    if settings.json:
        output.print_json([views.event_document(event, number) for number, event in enumerate(events, 1)])
        return 0
    start = events[0].at
    lines = []
    for event in events:
        line = f"{text.local_time(event.at)}  +{text.duration(event.at - start):<8}  {views.describe(event)}"
        lines.append(output.safe(" ".join(line.split("\n"))))
    output.paged(lines, ask=not settings.no_input)
    return 0
