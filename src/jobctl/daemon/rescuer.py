"""Runs that are under way with nobody at them: those of dead executors are taken over, and what makes executors die
again and again is ended."""

from __future__ import annotations

from jobctl import executor
from jobctl.core.errors import JobctlError
from jobctl.core.history import EventType
from jobctl.daemon.take import fail, take
from jobctl.engines.local import LocalEngine
from jobctl.process import launch
from jobctl.store.store import RunRow, Store
from jobctl.views import attempt_files, history_of

# So often may a run be taken over without anything happening in it in between.
POISON = 10


TAKEN_OVER = "taken over"

# A run that was reopened or unpaused has no executor until whoever did that takes it, in milliseconds.
_LEFT_ALONE_MS = 3_000


def once(store: Store, engine: LocalEngine, now: int) -> list[tuple[str, str]]:
    """Take over what has lost its executor. Returns (run, what became of it), for the daemon's log."""
    found = []
    for row in store.alive():
        if row.id in engine.runs or row.status == "queued":
            continue
        if row.executor is None:
            if store.events(row.id, after=row.seq - 1)[0].at > now - _LEFT_ALONE_MS:
                continue
        elif executor.alive(store.state_dir, row.executor):
            continue
        try:
            if _is_poison(store, row):
                _end(store, row)
                found.append((row.name, f"ended: it was recovered {POISON} times without progress"))
            elif take(store, engine, row.id):
                found.append((row.name, TAKEN_OVER))
        except JobctlError as error:
            found.append((row.name, f"cannot go on: {error.message}"))
    return found


def forget_dead(store: Store) -> None:
    """Remove what executors left that did not end in order, once none of their runs is left."""
    holders = {row.executor for row in store.alive()}
    for name in store.executors():
        if name not in holders and not executor.alive(store.state_dir, name):
            store.unregister(name)
            executor.forget(store.state_dir, name)


def _is_poison(store: Store, row: RunRow) -> bool:
    last = store.events(row.id, after=max(0, row.seq - POISON))
    return len(last) == POISON and all(event.type is EventType.RUN_TAKEN for event in last)


def _end(store: Store, row: RunRow) -> None:
    identity = store.identity()
    for key, number, attempt, _ in attempt_files(store, row, history_of(store, row)):
        if attempt.status == "running":
            launch.sweep(launch.token(identity, row.name, key, number))
    fail(store, row, f"it was recovered {POISON} times without progress")
