"""`jobctl schedule pause JOB…`: the jobs' schedules start no runs until they are resumed. Runs are not concerned."""

from __future__ import annotations

from jobctl.cli import printing, schedules
from jobctl.cli.client import client_of
from jobctl.cli.commands.schedule_list import told
from jobctl.cli.user import user
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.errors import NotFoundError
from jobctl.definitions import outline
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.host.settings import Settings


def main(settings: Settings, *, jobs: list[str], reason: str | None) -> int:
    """0, also for what was paused already. NotFoundError, or JobctlError for a job without a schedule: then nothing is
    paused."""
    now = clock.now()
    results = {}
    with client_of(settings, create=True) as client:
        names = known(settings, client, jobs, now=now)
        before = client.paused()
        for name in names:
            client.pause_schedules(name, at=now, reason=reason, by=user())
            results[name] = f"was paused already, {told(before[name], now)}" if name in before else "paused"
        client.wake_workers()
    say(settings, results)
    return 0


def known(settings: Settings, client: Client, names: list[str], *, now: int) -> list[str]:
    """These names, once each, if every one is of a job with schedules - also one that only the daemon knows, because
    the file has become invalid, or it reads other files. NotFoundError, or JobctlError for a job without a schedule.
    """
    defined, _ = outline.read(settings, now=now)
    scheduled = {name for name, job in defined.items() if job.schedule is not None}
    scheduled |= set(client.scheduled_jobs())
    for name in names:
        if name in scheduled:
            continue
        if name in defined:
            raise schedules.without_schedule(name)
        raise NotFoundError(f"there is no job {name!r}", hint=did_you_mean(name, sorted(scheduled)))
    return list(dict.fromkeys(names))


def say(settings: Settings, results: dict[str, str]) -> None:
    """What became of each job: for people, or as JSON."""
    if settings.json:
        printing.print_json([{"job": name, "result": result} for name, result in results.items()])
    elif not settings.quiet:
        for name, result in results.items():
            printing.say(f"{name}: {result}")
