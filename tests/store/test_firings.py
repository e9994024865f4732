"""Schedules and fire times in the store: what is armed, how far it has come, and that a fire time is given once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize

import pytest
from histories import CREATED, DEFINITION, ENDED

from jobctl.core.run.history import Event, replay
from jobctl.core.run.rows import NewRun
from jobctl.core.schedule.rows import Dropped
from jobctl.store import firings
from jobctl.store.append import Batch
from jobctl.store.store import Store

NOW = 1_800_000_000_000
A, B = "/etc/a.toml", "/etc/b.toml"


def fire(store: Store, schedule: int, fire_time: int, name: str, *events: Event) -> bool:
    """Whether a run for that fire time was written."""
    history = list(events or (CREATED,))
    new = NewRun(name, "x", DEFINITION, "schedule", fire_time, schedule=schedule)
    return not store.append([Batch(0, 0, history, replay(history), executor=None, new=new)])


def armed(store: Store, *keys: str, now: int = NOW, file: str = A) -> list[int]:
    """The schedules of the job x with these keys; their ids."""
    return [entry.id for entry in firings.sync(store, [("x", key, file) for key in keys], [file], now)]


def progress(store: Store, *numbers: int) -> list[int | None]:
    found = firings.progress(store, numbers)
    return [found.get(number) for number in numbers]


# -- sync --------------------------------------------------------------------------------------------------------------


def test_a_new_schedule_starts_from_now_and_a_known_one_from_where_it_is(store: Store) -> None:
    (old,) = armed(store, "old")
    assert armed(store, "old", "new", now=NOW + 5)[0] == old
    assert [e.progress for e in firings.sync(store, [("x", "old", A), ("x", "new", A)], [A], NOW + 9)] == [NOW, NOW + 5]


def test_what_was_removed_fires_no_more_and_starts_anew_when_it_comes_back(store: Store) -> None:
    (number,) = armed(store, "k")
    assert armed(store) == []
    assert progress(store, number) == [None]
    assert armed(store, "k", now=NOW + 1_000) == [number]
    assert progress(store, number) == [NOW + 1_000]


def test_what_comes_back_after_the_clock_was_set_back_does_not_fire_again(store: Store) -> None:
    (number,) = armed(store, "k")
    armed(store)
    armed(store, "k", now=NOW - 1_000)
    assert progress(store, number) == [NOW]


def test_files_of_other_daemons_are_left_alone(store: Store) -> None:
    (ours,) = armed(store, "a", file=A)
    (theirs,) = armed(store, "b", file=B)
    assert progress(store, ours, theirs) == [NOW, NOW]


def test_a_job_that_moved_to_another_file_is_removed_with_that_file(store: Store) -> None:
    (number,) = armed(store, "k", file=A)
    assert armed(store, "k", file=B, now=NOW + 5) == [number]
    assert progress(store, number) == [NOW]  # it is the same schedule
    armed(store, file=B)
    assert progress(store, number) == [None]


# -- fire times --------------------------------------------------------------------------------------------------------


def test_a_fire_time_starts_one_run_and_moves_the_progress_with_it(store: Store) -> None:
    (number,) = armed(store, "k")
    assert fire(store, number, NOW + 10, "x-1")
    assert not fire(store, number, NOW + 10, "x-2")
    assert [row.name for row in store.history()] == ["x-1"]
    assert progress(store, number) == [NOW + 10]


def test_the_progress_does_not_go_back_for_an_older_fire_time(store: Store) -> None:
    (number,) = armed(store, "k")
    assert fire(store, number, NOW + 20, "x-1")
    assert fire(store, number, NOW + 10, "x-2")
    assert progress(store, number) == [NOW + 20]


def test_a_batch_of_runs_is_written_but_for_the_one_whose_time_is_taken(store: Store) -> None:
    (number,) = armed(store, "k")
    fire(store, number, NOW + 1, "x-1")
    batches = [
        Batch(0, 0, [CREATED], replay([CREATED]), executor=None, new=NewRun(f"x-{at}", "x", DEFINITION, "schedule",
              NOW + at, schedule=number))
        for at in (1, 2, 3)
    ]  # fmt: skip
    assert store.append(batches) == [batches[0]]
    assert {row.fire_time for row in store.history()} == {NOW + 1, NOW + 2, NOW + 3}


def test_a_dropped_fire_time_moves_the_progress(store: Store) -> None:
    (number,) = armed(store, "k")
    with store.transaction() as db:
        firings.drop(store, db, [Dropped(number, "skipped", NOW + 1, NOW + 9, 9, "busy")], NOW + 10)
    assert progress(store, number) == [NOW + 9]


def test_what_has_started_is_not_recorded_as_dropped_afterwards(store: Store) -> None:
    (number,) = armed(store, "k")
    fire(store, number, NOW + 1, "x-1")
    with store.transaction() as db:
        firings.drop(store, db, [Dropped(number, "skipped", NOW + 1, NOW + 1, 1, "busy")], NOW + 10)
    assert firings.lately_dropped(store, 0) == []


@pytest.mark.parametrize(
    ("first", "last", "dropped_at", "shown"),
    [
        (NOW - 5, NOW - 1, NOW, True),
        # What was missed lies further back than the catch-up window, and is news all the same.
        (NOW - 800_000_000, NOW - 700_000_000, NOW, True),
        (NOW - 5, NOW - 1, NOW - 100, False),
    ],
)
def test_what_was_dropped_lately(store: Store, first: int, last: int, dropped_at: int, shown: bool) -> None:
    (number,) = armed(store, "k")
    with store.transaction() as db:
        firings.drop(store, db, [Dropped(number, "missed", first, last, 7, "no daemon ran")], dropped_at)
    assert firings.lately_dropped(store, NOW - 10) == ([("x", "missed", 7, last, "no daemon ran")] if shown else [])


def test_rewind_where_what_was_dealt_with_counts(store: Store) -> None:
    fixed, other = armed(store, "fixed", "other")
    for number in (fixed, other):
        fire(store, number, NOW + 10, f"x-{number}")
    with store.transaction() as db:
        gone = [
            Dropped(fixed, "skipped", NOW + 5, NOW + 9, 2, "busy"),
            Dropped(fixed, "missed", NOW + 3, NOW + 4, 2, "late"),
        ]
        firings.drop(store, db, gone, NOW + 10)
    firings.rewind(store, {fixed: True}, NOW + 1)
    assert progress(store, fixed, other) == [NOW + 1, NOW + 10]
    assert firings.beyond(store, fixed, NOW + 1) == [(NOW + 5, NOW + 9), (NOW + 10, NOW + 10)]
    assert firings.ahead(store) == {fixed: NOW + 10}
    assert not fire(store, fixed, NOW + 10, "x-again")
    assert fire(store, fixed, NOW + 3, "x-now")


def test_rewind_where_it_does_not(store: Store) -> None:
    (number,) = armed(store, "k")
    fire(store, number, NOW + 1, "x-before")
    fire(store, number, NOW + 10, "x-first")
    firings.rewind(store, {number: False}, NOW + 1)
    assert firings.ahead(store) == {}
    assert fire(store, number, NOW + 10, "x-again")
    assert not fire(store, number, NOW + 1, "x-before-again")


def test_rewind_cuts_what_was_missed_in_between(store: Store) -> None:
    (number,) = armed(store, "k")
    with store.transaction() as db:
        firings.drop(store, db, [Dropped(number, "missed", NOW + 10, NOW + 100, 10, "late")], NOW + 100)
    firings.rewind(store, {number: True}, NOW + 39)
    assert store._rows("SELECT fire_time, last, count FROM firings") == [(NOW + 10, NOW + 39, 3)]


def test_rewind_takes_nothing_back_that_does_not_lie_ahead(store: Store) -> None:
    """Another daemon has done it, and fired since."""
    (number,) = armed(store, "k")
    fire(store, number, NOW + 10, "x-first")
    firings.rewind(store, {number: False}, NOW + 10)
    assert progress(store, number) == [NOW + 10]
    assert not fire(store, number, NOW + 10, "x-again")


# -- paused ------------------------------------------------------------------------------------------------------------


def test_the_first_pause_counts_and_unpausing_starts_from_then(store: Store) -> None:
    (number,) = armed(store, "k")
    firings.pause(store, "x", at=1, reason="first", who="me")
    firings.pause(store, "x", at=2, reason="second", who="you")
    assert firings.paused(store) == {"x": (1, "first", "me")}
    assert firings.unpause(store, "x", now=NOW + 50)
    assert progress(store, number) == [NOW + 50]
    assert firings.paused(store) == {}
    assert not firings.unpause(store, "x", now=NOW + 60)
    assert progress(store, number) == [NOW + 50]


def test_alive_runs_are_told_apart(store: Store) -> None:
    (number,) = armed(store, "k")
    fire(store, number, NOW + 1, "x-1")
    fire(store, number, NOW + 2, "x-2", CREATED, ENDED)
    assert [len(part) for part in firings.alive_runs(store, "x")] == [0, 1]
    assert firings.alive_runs(store, "y") == ([], [])


# -- several processes -------------------------------------------------------------------------------------------------


def _race(folder: str, number: int, me: int, ready: multiprocessing.synchronize.Barrier) -> None:
    with Store(folder) as store:
        ready.wait()
        for at in range(60):
            fire(store, number, NOW + 1 + at, f"x-{me}-{at}")


def test_processes_that_race_for_fire_times_get_each_once_and_lose_none(store: Store) -> None:
    (number,) = armed(store, "k")
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(3)
    racers = [spawn.Process(target=_race, args=(store.state_dir, number, me, ready)) for me in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    assert sorted(row.fire_time or 0 for row in store.history(limit=1_000)) == [NOW + 1 + at for at in range(60)]
    assert progress(store, number) == [NOW + 60]


def test_what_is_forgotten_is_old_and_without_a_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO schedules (id, job, key, file, active, progress) VALUES (1, 'a', 'k', 'f', 1, 900)")
        db.execute("INSERT INTO definitions (id, digest, job, body) VALUES (1, 'd', 'a', '{}')")
        db.execute(
            "INSERT INTO runs (id, name, job, definition, status, seq, trigger, created_at, priority)"
            " VALUES (7, 'a-1', 'a', 1, 'succeeded', 1, 'schedule', 0, 0)"
        )
        db.executemany(
            "INSERT INTO firings (schedule, fire_time, outcome, run) VALUES (1, ?, ?, ?)",
            [(100, "started", 7), (200, "started", 8), (300, "missed", None), (800, "started", 9)],
        )
    monkeypatch.setattr(firings, "_PAGE", 3)
    behind = firings.forget(store, 500)
    assert behind == (1, 300)
    assert firings.forget(store, 500, behind) is None
    assert [row[0] for row in store._rows("SELECT fire_time FROM firings ORDER BY 1")] == [100, 800]
