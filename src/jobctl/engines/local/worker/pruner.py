"""Retention: what `keep` no longer wants is removed, a little at a time, so that no firing waits for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress

from jobctl.core.keys import is_id, run_in
from jobctl.core.model import Job, Keep
from jobctl.core.record import NamedTuple
from jobctl.core.run.notices import is_notifier, name_of
from jobctl.engines.run_files import FOLDER, run_folder
from jobctl.store import retention
from jobctl.store.store import Store

# Runs removed in one transaction: some milliseconds, their files included.
_AT_A_TIME = 25


class Removed(NamedTuple):
    """A run that is gone, how many bytes its files had on the disk, and when it had ended."""

    job: str
    run: str
    bytes: int
    ended: int


def once(store: Store, jobs: Mapping[str, Job], now: int) -> list[Removed]:
    """Remove one portion of what is due, of all jobs together; [] when nothing is due. `now` is what is believed of the
    time (core/believed.py): what is gone does not come back when the clock is set right."""
    return remove(store, with_notices({job.name: job.keep for job in jobs.values()}), now)


def with_notices(keeps: Mapping[str, Keep]) -> dict[str, Keep]:
    """What is kept of jobs is kept of their notifications, too."""
    return {**keeps, **{name_of(job): keep for job, keep in keeps.items() if not is_notifier(job)}}


def remove(store: Store, keeps: Mapping[str, Keep], now: int) -> list[Removed]:
    """Remove one portion of the runs that are over and beyond what is kept of their jobs; [] when nothing is due."""
    gone: list[Removed] = []
    for job, keep in keeps.items():
        if len(gone) < _AT_A_TIME:
            room = _AT_A_TIME - len(gone)
            roots = retention.due(store, job, keep, now, room)
            runs = [run for root in roots for run in retention.family(store, *root)]
            gone += _remove(store, runs[:room])
    return gone


def beyond(store: Store, job: str, keep: Keep, now: int) -> list[str]:
    """The names of all runs that `remove` would remove of a job, those that they have started before them."""
    return [name for root in retention.due(store, job, keep, now) for _, name in retention.family(store, *root)]


def _remove(store: Store, runs: list[tuple[int, str]]) -> list[Removed]:
    if not runs:
        return []
    # Folders that a crash leaves behind here are found by `leftovers`.
    return [Removed(job, name, remove_folder(store, name), ended) for job, name, ended in retention.remove(store, runs)]


def forget_definitions(store: Store) -> None:
    """Remove definitions that no run has any more: for one who asked for it, not for a daemon."""
    retention.forget_definitions(store)


def remove_folder(store: Store, run: str) -> int:
    """Remove the files of a run that is gone. Returns how many bytes they had on the disk."""
    if not is_id(run):
        return 0  # a damaged row: whatever that is, it is no folder of a run
    size = size_of(store, run)
    folder = run_folder(store.state_dir, run)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.unlink(folder)  # something else in its place, a link to it
    return size


def size_of(store: Store, run: str) -> int:
    """What the files of a run take on the disk, in bytes; 0 when it has none."""
    try:
        if not is_id(run):
            return 0
        with os.scandir(run_folder(store.state_dir, run)) as entries:
            return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
    except OSError:
        return 0


def leftovers(store: Store) -> list[str]:
    """Runs that have a folder and that the store does not know: a prune that was cut short left them."""
    folder = os.path.join(store.state_dir, FOLDER)
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    # A run is recorded before it has a folder.
    runs = (run for name in names if (run := run_in(name)) is not None)
    return [run for run in runs if is_id(run) and not store.is_taken(run)]
