"""`jobctl status`: what runs, each job's last run and next fire time; `status RUN`: one run in detail.

Called more often than anything else: what it imports is what it needs.
"""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.client import client_of
from jobctl.cli.codes import exit_code
from jobctl.cli.find_run import find
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.definitions import outline
from jobctl.host import clock
from jobctl.views.documents import Documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.core.model import Job
    from jobctl.core.run.why import Reason
    from jobctl.host.settings import Settings

_ASLEEP_SHOWN = 20  # runs that only wait
_QUEUED_SHOWN = 20  # runs that wait for a place: the first in line


def main(
    settings: Settings,
    *,
    target: str | None,
    exit_status: bool,
    check: bool,
    since: str | None,
    jobs: list[str],
    tags: list[str],
) -> int:
    """0; with `exit_status` the run's exit code, 75 while it is not over; with `check` 1 when anything is wrong.
    NotFoundError for an unknown run."""
    if check:
        if target is not None or exit_status:
            raise UsageError("--check is about everything here", hint="one job: jobctl status --check --job JOB")
        from jobctl.cli import status_check

        return status_check.main(settings, since=since, jobs=jobs, tags=tags)
    if since is not None or jobs or tags:
        raise UsageError("--since, --job and --tag belong to --check", hint="past runs: jobctl history --since 2h")
    if target is None:
        if exit_status:
            raise UsageError("--exit-status is about one run", hint="name it: jobctl status RUN --exit-status")
        return _overview(settings, now=clock.now())
    now = clock.now()
    with client_of(settings, asks=True) as client:
        run = find(settings, client, target, now=now)
        documents = Documents(client, printing.note)
        if settings.json:
            printing.print_json(documents.run(run, now))
        elif not (settings.quiet and exit_status):
            from jobctl.cli.show.detail import lines

            why = sentences(documents.reasons(run, now))
            for line in lines(documents.detail(run, now), client.folder(run), why, now=now):
                printing.say(line)
    return exit_code(run.status) if exit_status else 0


def _overview(settings: Settings, *, now: int) -> int:
    from jobctl.views import documents
    from jobctl.views.overview import nothing, overview

    defined, problems = outline.read(settings, now=now)
    shown = (None, None) if settings.json else (_QUEUED_SHOWN, _ASLEEP_SHOWN)
    try:
        client = client_of(settings, asks=True)
    except NotFoundError:
        seen, client = nothing(defined, problems), None
    try:
        if client is not None:

            def scheduled() -> Mapping[str, Job]:
                return outline.scheduled(settings, now=now)[0]

            seen = overview(client, defined, problems, scheduled, now, queued=shown[0], asleep=shown[1])
        if settings.json:
            printing.print_json(documents.overview(seen))
        else:
            from jobctl.cli.show.overview import show

            show(settings, client, seen, now)
    finally:
        if client is not None:
            client.close()
    return 0


def sentences(reasons: Sequence[Reason]) -> list[str]:
    """Why a run is where it is, a line for each reason; the run's deadline belongs to the only other one."""
    texts = [reason.text for reason in reasons]
    if len(reasons) == 2 and reasons[1].kind == "deadline":
        return ["; ".join(texts)]
    return texts
