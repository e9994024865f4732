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
            due = _due(store, job, now, _AT_A_TIME - removed)
            removed += _remove(store, due) if due else 0
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
    removed = []
    definitions = set()
    with store.transaction() as db:
        for number, name in runs:
            # It may have been taken up again since it was found.
            gone = db.execute(
                "DELETE FROM runs WHERE id = ? AND finished_at IS NOT NULL RETURNING definition", (number,)
            ).fetchall()
            if gone:
                removed.append(name)
                definitions.add(gone[0][0])
        db.executemany(
            "DELETE FROM definitions WHERE id = ? AND NOT EXISTS"
            " (SELECT 1 FROM runs WHERE runs.job = definitions.job AND definition = definitions.id)",
            [(number,) for number in definitions],
        )
    # The files last: what lives needs them. Those that a crash leaves behind are found by `leftovers`.
    for name in removed:
        shutil.rmtree(run_folder(store, name), ignore_errors=True)
    return len(removed)


def leftovers(store: Store) -> list[str]:
    """Folders of runs that the store does not know: a prune that was cut short left them."""
    folder = os.path.join(store.state_dir, "runs")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [name for name in names if store.row("SELECT 1 FROM runs WHERE name = ?", name) is None]
