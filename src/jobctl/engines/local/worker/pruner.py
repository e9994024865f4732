"""Retention: what `keep` no longer wants is removed, a little at a time, so that no firing waits for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from jobctl.core.model import Job, Keep, Millis
from jobctl.core.run.notices import is_notifier, name_of
from jobctl.store.soundness import is_file_name
from jobctl.store.store import Store
from jobctl.views.views import run_folder

# Runs removed in one transaction: some milliseconds, their files included.
_AT_A_TIME = 25
_PAGE = 500


# No child of a run that is kept, and none of its own descendants is under way.
_WHOLE = (
    "(parent IS NULL OR NOT EXISTS (SELECT 1 FROM runs p WHERE p.id = runs.parent)) AND NOT EXISTS ("
    "WITH RECURSIVE below (id) AS (SELECT runs.id UNION SELECT c.id FROM runs c JOIN below ON c.parent = below.id)"
    " SELECT 1 FROM below JOIN runs c ON c.parent = below.id WHERE c.finished_at IS NULL)"
)
_BOTTOM = "NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent = runs.id)"  # first its children go, then the run


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
            runs = [run for root in due(store, job, keep, now, room) for run in family(store, *root)]
            gone += _remove(store, runs[:room])
    return gone


def family(store: Store, number: int, name: str) -> list[tuple[int, str]]:
    """(id, name) of a run and all runs that it has started, directly or not, the deepest first."""
    found = [(number, name)]
    seen = {number}
    at = 0
    while at < len(found):
        below = store.rows("SELECT id, name FROM runs WHERE parent = ? ORDER BY id DESC", found[at][0])
        found += [row for row in below if row[0] not in seen]  # rows of a damaged store may go round
        seen.update(row[0] for row in below)
        at += 1
    return found[::-1]


def due(store: Store, job: str, keep: Keep, now: int, limit: int | None = None) -> list[tuple[int, str]]:
    """(id, name) of runs that are over and beyond what is kept of the job, oldest first, at most `limit`.

    A child run is kept as long as the run that started it, and goes with it: when all of them are over.
    """
    found: dict[int, str] = {}
    if keep.age is not None:
        found.update(_older(store, job, now - keep.age, limit))
    if keep.runs is not None:
        rows = store.rows(
            f"SELECT id, name FROM runs WHERE job = ? AND finished_at IS NOT NULL AND {_WHOLE} AND id <="
            " (SELECT id FROM runs WHERE job = ? AND parent IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?)"
            " ORDER BY id LIMIT ?",
            job,
            job,
            keep.runs,
            -1 if limit is None else limit,
        )
        found.update(rows)
    return sorted(found.items())[:limit]


def _older(store: Store, job: str, before: Millis, limit: int | None) -> list[tuple[int, str]]:
    """Runs that ended before then. Looks no further than to the first page of runs that were all made later: not
    through a whole history of which all is kept."""
    found: list[tuple[int, str]] = []
    after = 0
    while limit is None or len(found) < limit:
        page = store.rows(
            f"SELECT id, name, created_at, CASE WHEN {_WHOLE} THEN finished_at END FROM runs"
            " WHERE job = ? AND id > ? ORDER BY id LIMIT ?",
            job,
            after,
            _PAGE,
        )
        found += [row[:2] for row in page if isinstance(row[3], int) and row[3] < before]
        if len(page) < _PAGE or all(isinstance(row[2], int) and row[2] >= before for row in page):
            break
        after = page[-1][0]
    return found[:limit]


def _remove(store: Store, runs: list[tuple[int, str]]) -> list[Removed]:
    """Of these runs, those that are still over: one that was resumed in between is not touched."""
    if not runs:
        return []
    gone: list[tuple[str, str, int]] = []
    with store.transaction() as db:
        definitions = set()
        for number, name in runs:
            row = db.execute("SELECT job, definition, finished_at FROM runs WHERE id = ?", (number,)).fetchone()
            if row is None:
                continue
            if db.execute(
                f"DELETE FROM runs WHERE id = ? AND finished_at IS NOT NULL AND {_BOTTOM}", (number,)
            ).rowcount:
                definitions.add(row[:2])
                gone.append((row[0], name, row[2]))
        for job, definition in definitions:
            # The runs that are the next ones to go are the likeliest to have it: this seldom looks far.
            query = "SELECT 1 FROM runs WHERE job = ? AND definition = ? ORDER BY id LIMIT 1"
            if db.execute(query, (job, definition)).fetchone() is None:
                db.execute("DELETE FROM definitions WHERE id = ?", (definition,))
    # Folders that a crash leaves behind here are found by `leftovers`.
    return [Removed(job, name, remove_folder(store, name), ended) for job, name, ended in gone]


def forget_definitions(store: Store) -> None:
    """Remove definitions that no run has any more. Looks at every run: for one who asked for it, not for a daemon."""
    with store.transaction() as db:
        db.execute("DELETE FROM definitions WHERE id NOT IN (SELECT definition FROM runs)")


def remove_folder(store: Store, run: str) -> int:
    """Remove the files of a run that is gone. Returns how many bytes they had on the disk."""
    if not is_file_name(run):
        return 0  # a damaged row: whatever that is, it is no folder of a run
    size = size_of(store, run)
    folder = run_folder(store, run)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.unlink(folder)  # something else in its place, a link to it
    return size


def size_of(store: Store, run: str) -> int:
    """What the files of a run take on the disk, in bytes; 0 when it has none."""
    try:
        if not is_file_name(run):
            return 0
        with os.scandir(run_folder(store, run)) as entries:
            return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
    except OSError:
        return 0


def leftovers(store: Store) -> list[str]:
    """Folders of runs that the store does not know: a prune that was cut short left them."""
    folder = os.path.join(store.state_dir, "runs")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    # A run is recorded before it has a folder.
    return [name for name in names if store.row("SELECT 1 FROM runs WHERE name = ?", name) is None]
