"""Places: in all on this daemon, and in each queue on this store."""

from __future__ import annotations

import pytest
from histories import CREATED, DEFINITION, ENDED, TAKEN

from jobctl.core.model import Queue
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.store.append import Batch
from jobctl.store.store import Store

PAUSED = Event(EventType.RUN_PAUSED, 1_005)


@pytest.fixture
def store(tmp_path: object) -> Store:
    return Store(str(tmp_path))


def add(store: Store, name: str, *events: Event, executor: str = "me", queue: str | None = None) -> None:
    history = [CREATED, *events]
    new = NewRun(name, "x", DEFINITION, queue=queue)
    store.append([Batch(0, 0, history, replay(history), executor=executor, new=new)])


def capacity(store: Store, maximum: int = 9) -> Capacity:
    one = Capacity(store, "me", maximum)
    one.set_queues({"two": Queue("two", 2), "any": Queue("any"), "first": Queue("first", priority=3)})
    one.refresh()
    return one


@pytest.mark.parametrize(
    ("there", "free"),
    [
        ([], 2),
        ([("me", TAKEN)], 1),
        ([("me", TAKEN), ("me", TAKEN, PAUSED)], 0),  # one that is paused keeps its place
        ([("me", TAKEN, ENDED), ("me",)], 2),  # over, and queued
        ([("other", TAKEN), ("other", TAKEN)], 2),  # each daemon has its own places
    ],
)
def test_the_places_of_a_daemon(store: Store, there: list[tuple[str, Event]], free: int) -> None:
    for number, (executor, *events) in enumerate(there):
        add(store, f"x-{number}", *events, executor=executor)
    one = capacity(store, maximum=2)
    assert [one.take_place(None) for _ in range(3)] == [True] * free + [False] * (3 - free)
    assert one.full


@pytest.mark.parametrize(("queue", "free"), [("two", 1), ("any", 5), ("unknown", 5), (None, 5)])
def test_the_places_of_a_queue_are_those_of_all_daemons(store: Store, queue: str | None, free: int) -> None:
    add(store, "x-1", TAKEN, executor="other", queue="two")
    add(store, "x-2", queue="two")  # it waits for a place, it has none
    one = capacity(store)
    assert sum(one.take_place(queue) for _ in range(5)) == free


def test_what_was_not_used_is_there_again(store: Store) -> None:
    one = capacity(store, maximum=2)
    assert [one.take_place("two"), one.take_place("two"), one.take_place("two")] == [True, True, False]
    one.give_back("two")
    assert not one.full
    assert one.take_place("two")


def test_a_full_queue_costs_no_place_of_the_daemon(store: Store) -> None:
    one = capacity(store, maximum=3)
    assert [one.take_place("two") for _ in range(5)].count(True) == 2
    assert one.take_place(None)


def test_priorities(store: Store) -> None:
    assert capacity(store).priorities() == {"first": 3}
