"""Whose turn it is: begins queued runs, the highest priority first and then the oldest, as far as there is room."""

from __future__ import annotations

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import OverlapPolicy
from jobctl.core.overlap import may_leave_buffer
from jobctl.daemon.capacity import Capacity
from jobctl.daemon.take import OnFailed, ignore, take
from jobctl.engines.local import LocalEngine
from jobctl.store.store import Store

_SNOOZE_MS = 60_000


def wake(store: Store, engine: LocalEngine, now: int) -> list[tuple[str, str]]:
    """Take up the runs that were asleep and are due. They have begun: no place is asked for. Returns (run, why) of
    those that cannot go on now; they are looked at again in a minute."""
    troubles = []
    for number in store.due_to_wake(now):
        try:
            take(store, engine, number)
        except StoreUnavailableError:
            raise
        except JobctlError as error:
            troubles.append((store.run(number).name, error.message))
            store.snooze(number, now + _SNOOZE_MS)
    return troubles


def once(store: Store, engine: LocalEngine, capacity: Capacity, on_failed: OnFailed = ignore) -> list[tuple[str, str]]:
    """Begin what may begin. Returns (run, why) of those whose turn it is and that cannot be read."""
    capacity.refresh()
    if capacity.full:
        return []
    queued = _queued(store, capacity)
    if not queued:
        return []
    begun: dict[str, int] = {}
    policies: dict[int, OverlapPolicy] = {}
    troubles = []
    for number, name, job, queue, trigger, definition in queued:
        if capacity.full:
            break
        if trigger in ("schedule", "backfill"):
            if definition not in policies:
                policies[definition] = _policy(store, definition)
            if job not in begun:
                begun[job] = _begun(store, job)
            if not may_leave_buffer(policies[definition], running=begun[job]):
                continue
        if not capacity.take_place(queue):
            continue
        try:
            taken = take(store, engine, number, on_failed)
        except StoreUnavailableError:
            raise
        except JobctlError as error:
            taken = False
            troubles.append((name, error.message))
        if taken:
            begun[job] = begun.get(job, 0) + 1
        else:
            capacity.give_back(queue)
    return troubles


def _queued(store: Store, capacity: Capacity) -> list[tuple[int, str, str, str | None, str, int]]:
    """Queued runs in the order of their turn: by their queue's priority, then their own, then age."""
    priorities = capacity.priorities()
    cases = " ".join("WHEN ? THEN ?" for _ in priorities)
    values = [value for item in priorities.items() for value in item]
    order = f"CASE queue {cases} ELSE 0 END DESC, " if priorities else ""
    return store.rows(
        "SELECT id, name, job, queue, trigger, definition FROM runs"
        " WHERE finished_at IS NULL AND wake_at IS NULL AND status = 'queued'"
        f" ORDER BY {order} priority DESC, id",
        *values,
    )


def _begun(store: Store, job: str) -> int:
    """1 when a run of the job has begun and is not over, else 0: a hundred thousand that sleep are not counted."""
    found = store.row(
        "SELECT 1 FROM runs INDEXED BY runs_alive_by_job"
        " WHERE job = ? AND finished_at IS NULL AND status != 'queued' LIMIT 1",
        job,
    )
    return 0 if found is None else 1


def _policy(store: Store, definition: int) -> OverlapPolicy:
    import json

    try:
        return OverlapPolicy(json.loads(store.definition(definition)).get("overlap", OverlapPolicy.SKIP))
    except (JobctlError, ValueError):
        return OverlapPolicy.SKIP
