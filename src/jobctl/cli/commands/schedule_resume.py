"""`jobctl schedule resume JOB…`: paused schedules fire again, from now on. What they passed over is not caught up."""

from __future__ import annotations

from jobctl.cli.client import client_of
from jobctl.cli.commands.schedule_pause import known, say
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, jobs: list[str]) -> int:
    """0, also for what was not paused. NotFoundError, or JobctlError for a job without a schedule."""
    now = clock.now()
    with client_of(settings, create=True) as client:
        names = known(settings, client, jobs, now=now)
        results = {name: "resumed" if client.resume_schedules(name, now=now) else "was not paused" for name in names}
        client.wake_workers()
    say(settings, results)
    return 0
