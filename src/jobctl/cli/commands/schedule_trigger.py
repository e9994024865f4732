"""`jobctl schedule trigger JOB`: a run now, as if the job's schedule fired. The daemon runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import load, schedules
from jobctl.cli import printing as output
from jobctl.cli.commands.run import given_params, say_waits
from jobctl.cli.foreground import user
from jobctl.cli.moments import span
from jobctl.cli.opened import store_of
from jobctl.engines.local.daemons import daemons, need_daemon
from jobctl.engines.local.submit import trigger
from jobctl.host import clock

if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, job: str, params: list[str], require_daemon: bool, start_within: str | None) -> int:
    """0, and the run's id. JobctlError where the overlap policy says that no run starts, or a daemon is wanted and none
    is there."""
    limit = span(start_within, "--start-within") if start_within is not None else None
    definition = schedules.one(load.load(settings), job)
    given = given_params(params)
    with store_of(settings, create=True) as store:
        if require_daemon:
            need_daemon(store, f"start one with: jobctl daemon; or run it in the foreground: jobctl run {job}")
        name = trigger(store, definition, given, now=clock.now(), by=user(), start_within=limit)
        if not daemons(store):
            say_waits(name)
        if settings.json:
            from jobctl.views.views import run_document

            output.print_json(run_document(store, store.find(name)))
        else:
            output.say(name)
    return 0
