"""Which runs no longer have to be kept, and their removal. When that is done: worker/test_pruner.py, of the engine."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from histories import CREATED, DEFINITION, ENDED, TAKEN, add, more

from jobctl.core.model import Keep
from jobctl.core.run.history import replay
from jobctl.core.run.rows import NewRun
from jobctl.store import retention
from jobctl.store.append import Batch
from jobctl.store.store import Store

OVER = (CREATED, TAKEN, ENDED)


def _child(store: Store, name: str, parent: int, *, over: bool = True) -> int:
    events = list(OVER if over else OVER[:2])
    new = NewRun(name, "child", DEFINITION, parent=parent, parent_step="main")
    batch = Batch(0, 0, events, replay(events), executor="e1", new=new)
    assert store.append([batch]) == []
    return batch.run_id


def test_a_run_goes_with_all_that_it_has_started_and_not_before_they_are_over(store: Store) -> None:
    root = add(store, "x-1", OVER)
    child = _child(store, "c-1", root)
    below = _child(store, "g-1", child, over=False)
    assert retention.due(store, "x", Keep(runs=0), 5_000) == []
    store.append([more(store, below, [ENDED])])
    assert retention.due(store, "x", Keep(runs=0), 5_000) == [(root, "x-1")]
    assert retention.due(store, "child", Keep(runs=0), 5_000) == []  # it is kept as long as its parent
    family = retention.family(store, root, "x-1")
    assert [name for _, name in family] == ["g-1", "c-1", "x-1"]
    assert retention.remove(store, family[1:]) == []  # what has children goes after them
    gone = retention.remove(store, family)
    assert gone == [("child", "g-1", 1_004), ("child", "c-1", 1_004), ("x", "x-1", 1_004)]
    assert (store.history(), store.events(root)) == ([], [])


def test_a_definition_goes_with_the_last_run_that_has_it(store: Store) -> None:
    first, second = add(store, "x-1", OVER), add(store, "x-2", OVER)
    definition = store.run(second).definition
    retention.remove(store, [(first, "x-1")])
    assert store.definition(definition) == DEFINITION
    retention.remove(store, [(second, "x-2")])
    assert store._row("SELECT 1 FROM definitions") is None


def test_parents_that_go_round_in_a_damaged_store(tmp_path: Path, store: Store) -> None:
    one = add(store, "x-1", OVER)
    two = _child(store, "x-2", one)
    sqlite3.connect(tmp_path / "jobctl.db", isolation_level=None).execute(
        "UPDATE runs SET parent = ? WHERE id = ?", (two, one)
    )
    assert {name for _, name in retention.family(store, one, "x-1")} == {"x-1", "x-2"}
