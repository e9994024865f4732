"""What is appended: by two writers, whole or not at all, with the rows that follow from it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from histories import CREATED, DEFINITION, ENDED, FAILED, STARTED, TAKEN, add, more

from jobctl.core.errors import StoreError, UnwritableError
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import NewRun
from jobctl.store.append import Batch
from jobctl.store.store import Store


def _db(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "jobctl.db", isolation_level=None)


def test_of_two_writers_one_reads_again(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    other = Store(str(tmp_path))
    mine, theirs = more(store, run, [STARTED]), more(other, run, [ENDED])
    assert other.append([theirs]) == []
    assert store.append([mine]) == [mine]
    assert [event.type for event in store.events(run)] == ["run_created", "run_taken", "run_ended"]
    assert store.run(run).seq == 3
    assert store.run(run).status == "failed"
    assert _db(tmp_path).execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    other.close()


def test_a_refused_run_does_not_hold_up_the_others_of_its_turn(store: Store) -> None:
    one, two = add(store, "x-000001", [CREATED, TAKEN]), add(store, "x-000002", [CREATED, TAKEN])
    stale, good = more(store, one, [ENDED], seq=1), more(store, two, [STARTED, FAILED, ENDED])
    assert store.append([stale, good]) == [stale]
    assert store.run(one).status == "running"
    assert store.run(two).status == "failed"


def test_a_turn_that_cannot_be_written_leaves_nothing_half_written(tmp_path: Path, store: Store) -> None:
    one = add(store, "x-000001", [CREATED, TAKEN])
    good, clash = more(store, one, [STARTED]), Batch(0, 0, [CREATED], more(store, one, []).state, executor=None)
    clash.new = NewRun("x-000001", "x", DEFINITION)  # a name that is taken
    with pytest.raises(StoreError):
        store.append([good, clash])
    assert store.run(one).seq == 2
    assert len(store.events(one)) == 2
    assert _db(tmp_path).execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    assert store.append([good]) == []


def test_many_writers_append_one_after_the_other(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    body = (
        "from jobctl.core.run.history import Event, EventType; from jobctl.store.store import Store;"
        f"store = Store({str(tmp_path)!r});"
        f"[store.request({run}, lambda row, state: (Event(EventType.RUN_PAUSED, 5), None)) for _ in range(25)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", body]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(store.events(run)) == 102
    assert store.run(run).seq == 102


def test_the_same_definition_is_kept_once(store: Store) -> None:
    rows = [store.run(add(store, f"x-{number}")) for number in range(3)]
    assert len({row.definition for row in rows}) == 1
    assert store.definition(rows[0].definition) == DEFINITION


def test_attempts_are_rows_that_queries_can_read(tmp_path: Path, store: Store) -> None:
    undo = [
        Event(EventType.UNDO_STARTED, 1_004, "main", 1),
        Event(EventType.UNDO_ENDED, 1_005, "main", 1),
    ]
    add(store, "x-000001", [CREATED, TAKEN, STARTED, FAILED, *undo, ENDED])
    rows = _db(tmp_path).execute("SELECT step, number, status, exit_code, started_at, finished_at FROM attempts")
    assert rows.fetchall() == [
        ("main", 1, "failed", 3, 1_002, 1_003),
        ("main!undo", 1, "succeeded", 0, 1_004, 1_005),
    ]


def test_an_executor_is_known_with_the_first_thing_it_writes(store: Store) -> None:
    store.register("e1", 17, "foreground", 5)
    assert store.executors() == {}
    add(store, "x-000001", [CREATED, TAKEN])
    assert store.executors() == {"e1": (17, "foreground", 5)}
    assert [run for run, _ in store.seqs("e1")] == [1]
    store.unregister("e1")
    assert store.executors() == {}


def test_a_run_that_is_over_belongs_to_nobody(store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    assert store.run(run).executor == "e1"
    store.append([more(store, run, [ENDED])])
    assert store.run(run).executor is None
    assert store.take([run], "e2", "", 5, lambda _: False) == []


@pytest.mark.parametrize("name", ["", "../x", "a b", "x~1", "-x", "naïve"])
def test_no_run_is_called_what_is_no_id(store: Store, name: str) -> None:
    with pytest.raises(UnwritableError, match="a run cannot be called"):
        add(store, name, [CREATED])
    assert store.history() == []
