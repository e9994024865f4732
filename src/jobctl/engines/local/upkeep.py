"""Retention at once, because somebody asked: what a worker's pruner does a little at a time, and space given back."""

from __future__ import annotations

import os
from collections import Counter

from jobctl.engines.local.worker import pruner, rescuer
from jobctl.engines.values import Pruned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.core.model import Keep
    from jobctl.store.store import Store

_PAGES = 500  # taken out of the database at a time: some milliseconds in which nobody else can write


def due(store: Store, keeps: Mapping[str, Keep], now: int) -> Pruned:
    """What `prune` would remove."""
    found = {job: pruner.beyond(store, job, keep, now) for job, keep in pruner.with_notices(keeps).items()}
    folders = pruner.leftovers(store)
    names = [name for runs in found.values() for name in runs] + folders
    freed = sum(pruner.size_of(store, name) for name in names)
    return Pruned({job: len(runs) for job, runs in found.items() if runs}, {}, folders, 0, freed)


def prune(store: Store, keeps: Mapping[str, Keep], now: int) -> Pruned:
    """Remove it, and what crashes left behind."""
    keeps = pruner.with_notices(keeps)
    before = _size(store)
    removed: Counter[str] = Counter()
    ended: dict[str, tuple[int, int]] = {}
    freed = 0
    while gone := pruner.remove(store, keeps, now):
        removed.update(run.job for run in gone)
        for run in gone:
            first, last = ended.get(run.job, (run.ended, run.ended))
            ended[run.job] = min(first, run.ended), max(last, run.ended)
        freed += sum(run.bytes for run in gone)
    folders = pruner.leftovers(store)
    freed += sum(pruner.remove_folder(store, name) for name in folders)
    pruner.forget_definitions(store)
    executors = len(store.executors())
    rescuer.forget_dead(store)
    executors -= len(store.executors())
    _shrink(store)
    freed += max(0, before - _size(store))
    return Pruned(removed, ended, folders, executors, freed)


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
