"""Runs as a store has them, made without an engine."""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.store.append import Batch
from jobctl.store.store import Store

DEFINITION = '{"folder":"/","name":"x","steps":[{"command":"true","name":"main"}]}'

CREATED = Event(EventType.RUN_CREATED, 1_000)
TAKEN = Event(EventType.RUN_TAKEN, 1_001, data={"executor": "e1"})
STARTED = Event(EventType.ATTEMPT_STARTED, 1_002, "main", 1)
FAILED = Event(EventType.ATTEMPT_ENDED, 1_003, "main", 1, {"status": "failed", "exit_code": 3})
ENDED = Event(EventType.RUN_ENDED, 1_004, data={"status": "failed"})


def add(
    store: Store, name: str, events: Iterable[Event] = (CREATED,), *, job: str = "x", definition: str = DEFINITION
) -> int:
    """A new run with these events, under executor e1; its id."""
    events = list(events)
    batch = Batch(0, 0, events, replay(events), executor="e1", new=NewRun(name, job, definition))
    assert store.append([batch]) == []
    return batch.run_id


def more(store: Store, run_id: int, events: Iterable[Event], *, seq: int | None = None) -> Batch:
    """What another turn learned: `events` after number `seq`, by default the last."""
    events = list(events)
    seen = store.events(run_id)
    state = replay([*(seen if seq is None else seen[:seq]), *events])
    return Batch(run_id, len(seen) if seq is None else seq, events, state, executor="e1")
