"""What no longer has to be kept: which runs that is, and their removal. When, how much at a time, and the files of the
runs are the pruner's (engines/local/worker/pruner.py)."""

from __future__ import annotations

from collections.abc import Sequence

from jobctl.core.model import Keep, Millis
from jobctl.store.store import Store

_PAGE = 500

# No child of a run that is kept, and none of its own descendants is under way.
_WHOLE = (
    "(parent IS NULL OR NOT EXISTS (SELECT 1 FROM runs p WHERE p.id = runs.parent)) AND NOT EXISTS ("
    "WITH RECURSIVE below (id) AS (SELECT runs.id UNION SELECT c.id FROM runs c JOIN below ON c.parent = below.id)"
    " SELECT 1 FROM below JOIN runs c ON c.parent = below.id WHERE c.finished_at IS NULL)"
)
_BOTTOM = "NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent = runs.id)"  # first its children go, then the run


def due(store: Store, job: str, keep: Keep, now: Millis, limit: int | None = None) -> list[tuple[int, str]]:
    """(id, name) of runs that are over and beyond what is kept of the job, oldest first, at most `limit`.

    A child run is kept as long as the run that started it, and goes with it: when all of them are over.
    """
    found: dict[int, str] = {}
    if keep.age is not None:
        found.update(_older(store, job, now - keep.age, limit))
    if keep.runs is not None:
        rows = store._rows(
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
        page = store._rows(
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


def family(store: Store, number: int, name: str) -> list[tuple[int, str]]:
    """(id, name) of a run and all runs that it has started, directly or not, the deepest first."""
    found = [(number, name)]
    seen = {number}
    at = 0
    while at < len(found):
        below = store.children(found[at][0])
        found += [row for row in below if row[0] not in seen]  # rows of a damaged store may go round
        seen.update(row[0] for row in below)
        at += 1
    return found[::-1]


def remove(store: Store, runs: Sequence[tuple[int, str]]) -> list[tuple[str, str, int]]:
    """Remove those of these runs (id, name) that are still over, with their histories, in one commit: one that was
    resumed in between is not touched. Returns (job, name, when it had ended) of what is gone."""
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
    return gone


def forget_definitions(store: Store) -> None:
    """Remove definitions that no run has any more. Looks at every run: for one who asked for it, not for a daemon."""
    with store.transaction() as db:
        db.execute("DELETE FROM definitions WHERE id NOT IN (SELECT definition FROM runs)")
