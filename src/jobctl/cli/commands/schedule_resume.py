"""`jobctl schedule resume JOB…`: paused schedules fire again, from now on. What they passed over is not caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.commands.schedule_pause import known, say
from jobctl.cli.opened import store_of
from jobctl.engines.local.daemons import poke_daemons
from jobctl.host import clock
from jobctl.store import firings

if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, jobs: list[str]) -> int:
    """0, also for what was not paused. NotFoundError, or JobctlError for a job without a schedule."""
    now = clock.now()
    with store_of(settings, create=True) as store:
        names = known(settings, store, jobs, now=now)
        results = {name: "resumed" if firings.unpause(store, name, now=now) else "was not paused" for name in names}
        poke_daemons(store)
    say(settings, results)
    return 0
