"""`jobctl prune [JOB…]`: retention now, and what crashes left behind. How: engines/local/worker/pruner.py."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from jobctl.cli import load, moments
from jobctl.cli import printing as output
from jobctl.cli.opened import store_of
from jobctl.core import text
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.core.model import Keep
from jobctl.definitions import outline
from jobctl.host import clock
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.host.settings import Settings

_PAGES = 500  # taken out of the database at a time: some milliseconds in which nobody else can write


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
    from jobctl.engines.local.worker import pruner, rescuer

    now = clock.now()
    age = None if older_than is None else moments.span(older_than, "--older-than")
    if keep_runs is not None and keep_runs < 0:
        raise UsageError("--keep-runs must not be negative", hint="0 removes every run that is over")
    try:
        store = store_of(settings, asks=dry_run)
    except NotFoundError:
        _tell(settings, {}, folders=0, executors=0, freed=0, dry_run=dry_run)
        return 0
    with store:
        keeps = _keeps(settings, store, jobs, Keep(keep_runs, age), now)
        if not trust_clock and any(keep.age is not None for keep in keeps.values()):
            now = _believed(store, now)
        if dry_run:
            due = {job: pruner.beyond(store, job, keep, now) for job, keep in keeps.items()}
            folders = pruner.leftovers(store)
            names = [name for found in due.values() for name in found] + folders
            freed = sum(pruner.size_of(store, name) for name in names)
            counts = {job: len(found) for job, found in due.items() if found}
            _tell(settings, counts, folders=len(folders), executors=0, freed=freed, dry_run=True)
            return 0
        before = _size(store)
        removed: Counter[str] = Counter()
        ended: dict[str, list[int]] = {}
        freed = 0
        while gone := pruner.remove(store, keeps, now):
            removed.update(run.job for run in gone)
            for run in gone:
                ended.setdefault(run.job, []).append(run.ended)
            freed += sum(run.bytes for run in gone)
        folders = pruner.leftovers(store)
        freed += sum(pruner.remove_folder(store, name) for name in folders)
        pruner.forget_definitions(store)
        executors = len(store.executors())
        rescuer.forget_dead(store)
        executors -= len(store.executors())
        _shrink(store)
        freed += max(0, before - _size(store))
    if not settings.quiet:
        for job, at in ended.items():
            output.note(f"{job}: what was removed had ended {text.local_time(min(at))} to {text.local_time(max(at))}")
    _tell(settings, removed, folders=len(folders), executors=executors, freed=freed, dry_run=False)
    return 0


def _believed(store: Store, now: int) -> int:
    """What time it is, as far as something may be deleted by its age: the wall clock, unless it is far ahead of what is
    recorded and nothing confirms it. Said then."""
    from jobctl.core.believed import JUMP_MS
    from jobctl.store import times

    boot = clock.boottime()
    expected = times.read(store, clock.boot_id()[:8], boot, now).expected(boot)
    if now - expected <= JUMP_MS or clock.synchronised():
        return now
    output.note(
        f"the clock here is {text.duration(now - expected)} ahead of what was last recorded, and not synchronised: age"
        f" is counted from {text.local_time(expected)}; if the clock is right, add --trust-clock"
    )
    return expected


def _keeps(settings: Settings, store: Store, names: list[str], given: Keep, now: int) -> dict[str, Keep]:
    """What is kept of which job. Definitions are needed only where nothing is `given`."""
    from jobctl.engines.local.worker import pruner

    if given == Keep():
        defined = load.load(settings)
        keeps = {name: load.find_job(defined, name).keep for name in names or defined}
        if not settings.quiet and all(keep == Keep() for keep in keeps.values()):
            output.note('every run is kept: no job has keep = { runs = 1000, for = "90d" }; or say --older-than 90d')
        return pruner.with_notices(keeps)
    ran = store.jobs()
    known = {*ran, *outline.read(settings, now=now)[0]} if names else set()
    for name in names:
        if name not in known:
            raise NotFoundError(f"there is no job {name!r}", hint=did_you_mean(name, sorted(known)))
    return pruner.with_notices(dict.fromkeys(names or ran, given))


def _shrink(store: Store) -> None:
    """Give the database's unused pages back, in small portions."""
    left = store.vacuum(_PAGES)
    while left:
        store.checkpoint()
        before, left = left, store.vacuum(_PAGES)
        if left >= before:
            break  # others write faster than this, or the file was made without the possibility
    store.checkpoint(whole=True)


def _size(store: Store) -> int:
    """What the database takes on the disk, in bytes."""
    found = 0
    for suffix in ("", "-wal"):
        try:
            found += os.stat(store.path + suffix).st_blocks * 512
        except FileNotFoundError:
            pass
    return found


def _tell(
    settings: Settings,
    removed: dict[str, int],
    *,
    folders: int,
    executors: int,
    freed: int,
    dry_run: bool,
) -> None:
    if settings.json:
        output.print_json(
            {
                "dry_run": dry_run,
                "removed": removed,
                "folders": folders,
                "executors": executors,
                "bytes_freed": freed,
            }
        )
        return
    if settings.quiet:
        return
    would = "would be " if dry_run else ""
    for job, count in removed.items():
        output.say(f"{job}: {count} {'run' if count == 1 else 'runs'} {would}removed")
    if folders:
        output.say(f"{folders} {'folder' if folders == 1 else 'folders'} of runs that are gone {would}removed")
    if executors:
        output.say(f"what {executors} dead {'process' if executors == 1 else 'processes'} left was removed")
    if not (removed or folders or executors):
        output.say(f"nothing {'is' if dry_run else 'was'} due")
    if freed:
        output.say(f"{text.size(freed)} {'would come' if dry_run else 'came'} free")
