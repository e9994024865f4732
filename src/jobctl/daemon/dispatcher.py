"""Whose turn it is: begins queued runs, the highest priority first and then the oldest, as far as there is room."""

from __future__ import annotations

from jobctl.core.errors import JobctlError
from jobctl.core.model import OverlapPolicy
from jobctl.core.overlap import may_leave_buffer
from jobctl.daemon.capacity import Capacity
from jobctl.daemon.take import take
from jobctl.engines.local import LocalEngine
from jobctl.store.store import Store

_AT_A_TIME = 200


def once(store: Store, engine: LocalEngine, capacity: Capacity) -> int:
    """Begin what may begin. Returns how many runs that were."""
    capacity.refresh()
    queued = store.rows(
        "SELECT id, job, queue, trigger, definition FROM runs WHERE finished_at IS NULL AND status = 'queued'"
        " ORDER BY priority DESC, id LIMIT ?",
        _AT_A_TIME,
    )
    if not queued:
        return 0
    begun: dict[str, int] = dict(
        store.rows("SELECT job, count(*) FROM runs WHERE finished_at IS NULL AND status != 'queued' GROUP BY job")
    )
    started = 0
    for number, job, queue, trigger, definition in queued:
        if trigger == "schedule" and not may_leave_buffer(_policy(store, definition), running=begun.get(job, 0)):
            continue
        if not capacity.take_place(queue):
            continue
        if take(store, engine, number):
            begun[job] = begun.get(job, 0) + 1
            started += 1
        else:
            capacity.give_back(queue)
    return started


def _policy(store: Store, definition: int) -> OverlapPolicy:
    import json

    try:
        return OverlapPolicy(json.loads(store.definition(definition)).get("overlap", OverlapPolicy.SKIP))
    except (JobctlError, ValueError):
        return OverlapPolicy.SKIP
