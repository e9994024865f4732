"""`jobctl schedule trigger JOB`: a run now, as if the job's schedule fired. The daemon runs it."""

from __future__ import annotations

from jobctl.cli import load, printing, schedules
from jobctl.cli.client import client_of
from jobctl.cli.moments import span
from jobctl.cli.starting import given_params, need_daemon, say_waits
from jobctl.cli.user import user
from jobctl.host import clock
from jobctl.views.documents import Documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, job: str, params: list[str], require_daemon: bool, start_within: str | None) -> int:
    """0, and the run's id. JobctlError where the overlap policy says that no run starts, or a daemon is wanted and none
    is there."""
    limit = span(start_within, "--start-within") if start_within is not None else None
    definition = schedules.one(load.load(settings), job)
    given = given_params(params)
    with client_of(settings, create=True) as client:
        if require_daemon:
            need_daemon(client, f"start one with: jobctl daemon; or run it in the foreground: jobctl run {job}")
        run = client.trigger(definition, given, by=user(), start_within=limit)
        if not client.has_daemon():
            say_waits(run.name)
        if settings.json:
            printing.print_json(Documents(client, printing.note).run(run, clock.now()))
        else:
            printing.say(run.name)
    return 0
