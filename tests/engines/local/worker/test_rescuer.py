"""Runs with nobody at them: taken over, left alone, or ended when they kill whoever takes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from places import HELD, NOW, SECOND, Place, job

import kept
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import control, executor
from jobctl.engines.local.worker import rescuer
from jobctl.host import clock
from jobctl.host.host import Host

TEXT = job('{ at = "2036-01-01T00:00:00Z" }', HELD, name="x")


def start(place: Place, count: int = 1) -> list[RunRow]:
    place.arm(TEXT)
    for _ in range(count):
        place.starter.start(place.job(), NOW, trigger="manual")
    place.starter.flush()
    return place.runs()


def rescue(place: Place, now: int | None = None) -> list[tuple[str, str]]:
    return rescuer.once(place.store, place.engine, clock.now() if now is None else now)


def takes(place: Place, row: RunRow, times: list[int]) -> None:
    for at in times:
        event = Event(EventType.RUN_TAKEN, at, data={"executor": "dead"})
        place.store.request(row.id, lambda *_, event=event: (event, None))


def test_runs_of_a_dead_executor_are_taken_over_and_their_attempts_adopted(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    rows = start(first, 3)
    first.engine.close()
    assert rescue(second) == [(row.name, rescuer.TAKEN_OVER) for row in rows]
    assert second.engine.attempts_running == 3
    assert rescue(second) == []
    second.let_go()
    second.settle()
    assert second.statuses() == ["succeeded"] * 3
    assert all(len(second.store.events(row.id)) == 6 for row in rows)  # created, taken, started, taken, ended, over


def test_runs_of_a_living_executor_are_left_to_it(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    start(first)
    assert rescue(second) == []


def test_a_run_of_our_own_that_is_not_here_is_taken_up(place: Place) -> None:
    (row,) = start(place)
    run = place.engine.runs.pop(row.id)  # its taking was recorded, and then the store could not be read
    assert rescue(place) == [(run.name, rescuer.TAKEN_OVER)]
    place.let_go()
    place.settle()
    assert place.statuses() == ["succeeded"]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, False),
        (2 * SECOND, False),
        (4 * SECOND, True),
        (-2 * 3600 * SECOND, True),  # the clock was set back: it is not fresh for two hours
    ],
)
def test_what_was_just_reopened_is_left_to_whoever_did_that(place: Place, age: int, expected: bool) -> None:
    (row,) = start(place)
    control.terminate(place.store, row, reason=None, by="me", host=Host())
    place.until(lambda: (place.engine.turn(0), place.runs()[0].finished_at)[1])
    control.reopen(place.store, place.runs()[0], place.job(), definition=None, from_step=None, by="me", host=Host())
    assert bool(rescue(place, clock.now() + age)) is expected


@pytest.mark.parametrize(
    ("times", "poison"),
    [
        ([NOW + n * SECOND for n in range(10)], True),
        ([NOW + n * SECOND for n in range(9)], False),  # an attempt was started between the first take and these
        # Each of those executors lived with it for two minutes: it was not the run that killed them.
        ([NOW + n * 120 * SECOND for n in range(10)], False),
    ],
)
def test_poison(new_place: Callable[..., Place], times: list[int], poison: bool) -> None:
    first, second = new_place(), new_place()
    rows = start(first, 2)
    first.until(lambda: first.engine.attempts_running == 2)
    ids = [attempt.id for run in first.engine.runs.values() for attempt in run.attempts.values()]
    pids = [kept.process(first.state, id) for id in ids]
    takes(first, rows[0], times)
    first.engine.close()
    found = dict(rescue(second))
    assert found[rows[1].name] == rescuer.TAKEN_OVER  # the others go on
    assert ("10 times" in found[rows[0].name]) is poison
    if poison:
        assert second.runs()[0].status == "failed"
        assert "10 times" in (second.runs()[0].reason or "")
        second.until(lambda: not _lives(pids[0]))
        assert _lives(pids[1])


def test_a_run_that_cannot_be_read_keeps_no_other_from_being_rescued(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    rows = start(first, 3)
    first.engine.close()
    db = second.store._db
    db.execute("UPDATE events SET type = 9999 WHERE run = ? AND seq = 3", (rows[0].id,))
    db.execute("DELETE FROM events WHERE run = ?", (rows[1].id,))
    db.execute("UPDATE runs SET executor = NULL WHERE id = ?", (rows[1].id,))
    found = dict(rescue(second))
    assert "cannot go on" in found[rows[0].name]
    assert "cannot go on" in found[rows[1].name]
    assert found[rows[2].name] == rescuer.TAKEN_OVER


def test_what_a_dead_executor_left_is_removed_when_none_of_its_runs_is_left(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    (row,) = start(first)
    second.store.record_executor()
    name = first.engine.executor.id
    lock = Path(first.state, "executors", name + ".lock")
    # Killed: the lock is free, and nothing was tidied up.
    os.close(first.engine.executor._lock)
    # The keeper has just been spawned: it may still be closing what it was started with (close-on-exec).
    second.until(lambda: not executor.alive(str(first.state), name))
    rescuer.forget_dead(second.store)
    assert lock.exists()
    assert rescue(second) == [(row.name, rescuer.TAKEN_OVER)]
    rescuer.forget_dead(second.store)
    assert not lock.exists()
    assert set(second.store.executors()) == {second.engine.executor.id}
    first.engine.executor._lock = os.open(os.devnull, os.O_RDONLY)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_was_paused_in_the_queue_is_not_begun_by_taking_it(place: Place) -> None:
    keys = {"queue": '"q"', "overlap": '"buffer_all"'}
    place.arm(job('{ at = "2036-01-01T00:00:00Z" }', HELD, **keys) + "[queues.q]\nconcurrency = 1\n")
    for _ in range(2):
        place.starter.start(place.job(), NOW, trigger="schedule", hold=True)
    place.starter.flush()
    control.pause(place.store, place.runs()[0], reason=None, by="me", host=Host())
    assert rescue(place) == []
    assert place.runs()[0].started_at is None
    place.dispatch()  # it keeps no other from beginning: neither its job's overlap policy nor its queue counts it
    assert place.statuses() == ["paused", "running"]
    control.unpause(place.store, place.runs()[0], by="me", host=Host())
    assert rescue(place) == []
    place.dispatch()
    assert place.statuses() == ["queued", "running"]
    place.let_go()
