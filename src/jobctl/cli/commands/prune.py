"""`jobctl prune [JOB…]`: retention now, and what crashes left behind. How is the engine's."""

from __future__ import annotations

from jobctl.cli import load, moments, printing
from jobctl.cli.client import client_of
from jobctl.core import text
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.core.model import Keep
from jobctl.definitions import outline
from jobctl.engines.values import Can, Pruned, need, without_history
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.host.settings import Settings


def main(
    settings: Settings,
    *,
    jobs: list[str],
    keep_runs: int | None,
    older_than: str | None,
    dry_run: bool,
    trust_clock: bool,
) -> int:
    """0. `keep_runs` and `older_than` replace what the jobs' definitions keep. Age is measured by what is believed of
    the time, unless `trust_clock`. NotFoundError for an unknown job."""
    now = clock.now()
    age = None if older_than is None else moments.span(older_than, "--older-than")
    if keep_runs is not None and keep_runs < 0:
        raise UsageError("--keep-runs must not be negative", hint="0 removes every run that is over")
    try:
        client = client_of(settings, asks=dry_run)
    except NotFoundError:
        _tell(settings, Pruned({}, {}, (), 0, 0), dry_run=dry_run)
        return 0
    with client:
        need(client, Can.PRUNE)
        keeps = _keeps(settings, client, jobs, Keep(keep_runs, age), now)
        if not trust_clock and any(keep.age is not None for keep in keeps.values()):
            now = _believed(client, now)
        pruned = client.prune(keeps, now, dry_run=dry_run)
    if not settings.quiet:
        for job, (first, last) in pruned.ended.items():
            printing.note(f"{job}: what was removed had ended {text.local_time(first)} to {text.local_time(last)}")
    _tell(settings, pruned, dry_run=dry_run)
    return 0


def _believed(client: Client, now: int) -> int:
    """What time it is, as far as something may be deleted by its age: the wall clock, unless it is far ahead of what is
    recorded and nothing confirms it. Said then."""
    from jobctl.core.believed import JUMP_MS

    expected = client.expected_now(now)
    if now - expected <= JUMP_MS or clock.synchronised():
        return now
    printing.note(
        f"the clock here is {text.duration(now - expected)} ahead of what was last recorded, and not synchronised: age"
        f" is counted from {text.local_time(expected)}; if the clock is right, add --trust-clock"
    )
    return expected


def _keeps(settings: Settings, client: Client, names: list[str], given: Keep, now: int) -> dict[str, Keep]:
    """What is kept of which job. Definitions are needed only where nothing is `given`."""
    if given == Keep():
        defined = load.load(settings)
        keeps = {name: load.find_job(defined, name).keep for name in names or defined}
        if not settings.quiet and all(keep == Keep() for keep in keeps.values()):
            printing.note('every run is kept: no job has keep = { runs = 1000, for = "90d" }; or say --older-than 90d')
        return keeps
    ran = client.jobs()
    known = {*ran, *outline.read(settings, now=now)[0]} if names else set()
    for name in names:
        if name not in known:
            raise NotFoundError(f"there is no job {name!r}", hint=did_you_mean(name, sorted(known)))
    return dict.fromkeys(names or ran, given)


def _tell(settings: Settings, pruned: Pruned, *, dry_run: bool) -> None:
    removed, _, folders, executors, freed = pruned
    if settings.json:
        printing.print_json(
            {
                "dry_run": dry_run,
                "removed": removed,
                "folders": len(folders),
                "executors": executors,
                "bytes_freed": freed,
            }
        )
        return
    if settings.quiet:
        return
    would = "would be " if dry_run else ""
    for job, count in removed.items():
        printing.say(f"{job}: {count} {'run' if count == 1 else 'runs'} {would}removed")
    if folders:
        printing.say(f"{without_history(folders)}; they {would if dry_run else 'were '}removed")
    if executors:
        printing.say(f"what {executors} dead {'process' if executors == 1 else 'processes'} left was removed")
    if not (removed or folders or executors):
        printing.say(f"nothing {'is' if dry_run else 'was'} due")
    if freed:
        printing.say(f"{text.size(freed)} {'would come' if dry_run else 'came'} free")
