"""Retention: what `keep` no longer wants is removed, a little at a time, so that no firing waits for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from jobctl.core.model import Job, Keep
from jobctl.store.store import Store
from jobctl.views import run_folder

# Runs removed in one transaction: some milliseconds.
_AT_A_TIME = 100


def once(store: Store, jobs: Mapping[str, Job], now: int) -> int:
    """Remove one portion of what is due, of all jobs together. Returns how many runs that were: 0 = nothing is due."""
    removed = 0
    for job in jobs.values():
        if removed < _AT_A_TIME and job.keep != Keep():
            removed += _remove(store, _due(store, job, now, _AT_A_TIME - removed))
    return removed


def _due(store: Store, job: Job, now: int, limit: int) -> list[tuple[int, str]]:
    """(id, name) of runs that are over and beyond what the job keeps, oldest first."""
    found: dict[int, str] = {}
    if job.keep.age is not None:
        rows = store.rows(
            "SELECT id, name FROM runs WHERE job = ? AND finished_at < ? ORDER BY id LIMIT ?",
            job.name,
            now - job.keep.age,
            limit,
        )
        found.update(rows)
    if job.keep.runs is not None:
        rows = store.rows(
            "SELECT id, name FROM runs WHERE job = ? AND finished_at IS NOT NULL AND id <="
            " (SELECT id FROM runs WHERE job = ? ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?",
            job.name,
            job.name,
            job.keep.runs,
            limit,
        )
        found.update(rows)
    return sorted(found.items())[:limit]


def _remove(store: Store, runs: list[tuple[int, str]]) -> int:
    if not runs:
        return 0
    # The files first: a folder without a run would never be found again, a run without a folder is only emptier.
    for _, name in runs:
        shutil.rmtree(run_folder(store, name), ignore_errors=True)
    with store.transaction() as db:
        db.executemany("DELETE FROM runs WHERE id = ?", [(number,) for number, _ in runs])
        db.execute("DELETE FROM definitions WHERE id NOT IN (SELECT definition FROM runs)")
    return len(runs)


def leftovers(store: Store) -> list[str]:
    """Folders of runs that the store does not know: a prune that was cut short left them."""
    folder = os.path.join(store.state_dir, "runs")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [name for name in names if store.row("SELECT 1 FROM runs WHERE name = ?", name) is None]
