"""Retention: how many, how old, and that what lives is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from histories import CREATED, TAKEN

from jobctl.core.model import Job, Keep, Step, encode
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.engines.local.worker import pruner
from jobctl.engines.run_files import run_folder
from jobctl.store.append import Batch
from jobctl.store.store import Store

DAY = 86_400_000
NOW = 1_800_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def job(keep: Keep, name: str = "x") -> Job:
    return Job(name, "/", (Step("main", command="true"),), keep=keep)


def add(store: Store, name: str, ended: int | None, of: str = "x", description: str = "") -> None:
    """A run with a log, over at that time or not at all."""
    events = [CREATED._replace(at=NOW - 90 * DAY), TAKEN]
    if ended is not None:
        events.append(Event(EventType.RUN_ENDED, ended, data={"status": "succeeded"}))
    body = encode(Job(of, "/", (Step("main", command="true"),), description=description))
    store.append([Batch(0, 0, events, replay(events), executor="e1", new=NewRun(name, of, body))])
    folder = Path(run_folder(store.state_dir, name))
    folder.mkdir(parents=True)
    (folder / "main.1.log").write_text("x")


def left(store: Store) -> list[str]:
    names = sorted(row.name for row in store.history(limit=1_000))
    folders = Path(store.state_dir, "runs")
    assert sorted(path.name for path in folders.iterdir()) == names
    return names


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Keep(), ["a", "b", "c", "d", "e"]),
        (Keep(runs=2), ["b", "d", "e"]),
        (Keep(runs=0), ["b"]),
        (Keep(age=5 * DAY), ["b", "d", "e"]),
        (Keep(age=4 * DAY), ["b", "d", "e"]),  # kept for four days: not yet older
        (Keep(runs=1, age=30 * DAY), ["b", "e"]),
        (Keep(runs=9, age=2 * DAY), ["b", "e"]),
    ],
)
def test_what_is_kept(store: Store, keep: Keep, expected: list[str]) -> None:
    for name, ended in (("a", 40), ("b", None), ("c", 10), ("d", 4), ("e", 1)):
        add(store, name, None if ended is None else NOW - ended * DAY)
    while pruner.once(store, {"x": job(keep)}, NOW):
        pass
    assert left(store) == expected


def test_a_run_that_is_resumed_meanwhile_is_not_touched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "a", NOW - 40 * DAY)
    number = store.find("a").id
    real = store._rows

    def resumed(sql: str, *values: object, strict: bool = False) -> list[object]:
        found = real(sql, *values, strict=strict)
        if found and "WHERE job" in sql and store.run(number).finished_at is not None:
            reopened = Event(EventType.RUN_REOPENED, NOW, data={"redo": [], "by": "me"})
            store.request(number, lambda *_: (reopened, None))
        return found

    monkeypatch.setattr(store, "_rows", resumed)
    pruner.once(store, {"x": job(Keep(runs=0))}, NOW)
    monkeypatch.undo()
    assert left(store) == ["a"]


def test_a_portion_at_a_time(store: Store) -> None:
    for number in range(150):
        add(store, f"a{number:03}", NOW - DAY)
    portions = []
    while removed := pruner.once(store, {"x": job(Keep(runs=10))}, NOW):
        portions.append(removed)
    assert sum(map(len, portions)) == 140
    assert len(portions) > 1
    assert left(store) == [f"a{number:03}" for number in range(140, 150)]


def test_definitions_go_with_the_last_of_their_runs(store: Store) -> None:
    add(store, "a", NOW - 3 * DAY, description="old")
    add(store, "b", NOW - 2 * DAY, description="both")
    add(store, "c", NOW - 1 * DAY, description="both")
    pruner.once(store, {"x": job(Keep(runs=1))}, NOW)
    assert left(store) == ["c"]
    assert len(store._rows("SELECT id FROM definitions")) == 1
    assert store._rows("SELECT 1 FROM events e LEFT JOIN runs r ON r.id = e.run WHERE r.id IS NULL") == []


def test_other_jobs_are_not_touched(store: Store) -> None:
    add(store, "a", NOW - 40 * DAY)
    add(store, "b", NOW - 40 * DAY, of="y")
    pruner.once(store, {"x": job(Keep(runs=0)), "y": job(Keep(), "y")}, NOW)
    assert left(store) == ["b"]


def test_folders_that_no_run_has_are_found(store: Store) -> None:
    assert pruner.leftovers(store) == []
    add(store, "a", NOW)
    Path(run_folder(store.state_dir, "gone")).mkdir()
    assert pruner.leftovers(store) == ["gone"]
