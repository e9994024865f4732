"""Runs that are under way with nobody at them: those of dead executors are taken over, and what makes executors die
again and again is ended."""

from __future__ import annotations

from jobctl.core.errors import StoreUnavailableError
from jobctl.core.run.history import EventType
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import executor
from jobctl.engines.local.commands import token
from jobctl.engines.local.holders import is_fresh
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker.aside import Aside
from jobctl.engines.local.worker.take import OnFailed, fail, ignore, take
from jobctl.engines.run_files import attempt_files
from jobctl.engines.trouble import in_a_sentence
from jobctl.host.host import Host
from jobctl.process import descent, journal, keepers
from jobctl.store.store import Store

# So often may a run be taken over without anything happening in it in between, and within this time: an executor that
# lived with a run for long was not killed by it.
POISON = 10
_POISON_MS = 600_000

TAKEN_OVER = "taken over"


def once(
    store: Store, engine: LocalEngine, now: int, on_failed: OnFailed = ignore, aside: Aside | None = None
) -> list[tuple[str, str]]:
    """Take over what has lost its executor. Returns (run, what became of it), for the daemon's log.

    `aside`: those that went wrong before, with pauses that grow.
    """
    found = []
    aside = aside if aside is not None else Aside()
    mono = engine.host.monotonic()
    living = {engine.executor.id: False}  # what stands under our own name and is not here was lost on its way here
    for row in store.awake():
        if row.id in engine.runs or row.status == "queued":
            continue
        if row.status == "paused" and row.started_at is None:
            continue  # paused in the queue, where it will be again: to take it would be to begin it
        if row.executor is not None and row.executor not in living:
            living[row.executor] = executor.alive(store.state_dir, row.executor)
        if row.executor is not None and living[row.executor]:
            continue
        if aside.rests(row, mono):
            continue
        try:
            if row.executor is None and is_fresh(store, row, now):
                continue
            if _is_poison(store, row):
                _end(store, engine, row)
                found.append((row.name, f"ended: it was recovered {POISON} times without progress"))
            elif take(store, engine, row.id, on_failed):
                found.append((row.name, TAKEN_OVER))
        except StoreUnavailableError:
            raise
        except Exception as error:  # one run does not keep the others from being taken over
            aside.put(row.id, mono)
            found.append((row.name, f"cannot go on: {in_a_sentence(error)}"))
    return found


def orphans(store: Store, known: set[tuple[int, int | None]], host: Host) -> list[tuple[str, str]]:
    """Ask child runs to end whose parents are over, where a crash kept their executors from it. Returns (run, what).

    `known`: what an earlier call has looked at.
    """
    if not known and not store.ended_parents():  # most stores have none, and most code is not needed for it
        return []
    from jobctl.engines.local.child_runs import close_orphans

    return [(row.name, "asked to end: the run that started it is over") for row in close_orphans(store, known, host)]


def forget_dead(store: Store) -> None:
    """Remove what executors left that did not end in order, once none of their runs is left."""
    holders = {row.executor for row in store.awake()}
    for name in store.executors():
        if name not in holders and not executor.alive(store.state_dir, name):
            store.unregister(name)
            executor.forget(store.state_dir, name)
    _forget_keepers(store)


def _forget_keepers(store: Store) -> None:
    """Remove the journals of dead keepers that no attempt waits to be found in."""
    folder = executor.folder(store.state_dir)
    dead = [
        name
        for name in keepers.left_behind(folder)
        if not executor.alive(store.state_dir, name.partition(".")[0]) and not keepers.lives(folder, name)
    ]
    if not dead:
        return
    # Asked when all of them are dead: what one begins between the question and its death would not be in the answer.
    under_way = store.attempts_under_way()
    for name in dead:
        known = journal.read(journal.files(folder, name)).entries
        if not any(id.partition("~")[0] in under_way for id in known):
            keepers.forget(folder, name)


def _is_poison(store: Store, row: RunRow) -> bool:
    last = store.events(row.id, after=max(0, row.seq - POISON))
    if len(last) < POISON or any(event.type is not EventType.RUN_TAKEN for event in last):
        return False
    return last[-1].at - last[0].at < _POISON_MS


def _end(store: Store, engine: LocalEngine, row: RunRow) -> None:
    identity = store.identity()
    for key, number, attempt, _ in attempt_files(store.state_dir, row.name, store.state(row)):
        if attempt.status == "running":
            descent.sweep(token(identity, row.name, key, number))
    fail(store, engine, row, f"it was recovered {POISON} times without progress")
