"""What is asked of the store, and what it says of what is damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from histories import CREATED, DEFINITION, ENDED, TAKEN, add, more

from jobctl.core.errors import NotFoundError, StoreError, StoreUnavailableError
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.store.append import Batch
from jobctl.store.queries import Line
from jobctl.store.store import Store


def _db(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "jobctl.db", isolation_level=None)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET type = 99 WHERE run = 1 AND seq = 2",
        "UPDATE events SET data = '{' WHERE run = 1 AND seq = 2",
        "UPDATE events SET data = '[]' WHERE run = 1 AND seq = 2",
        "UPDATE events SET at = 'noon' WHERE run = 1 AND seq = 2",
        "UPDATE events SET type = 14, data = '{}' WHERE run = 1 AND seq = 2",
        "DELETE FROM events WHERE run = 1 AND seq = 1",
    ],
)
def test_a_damaged_event_breaks_its_run_and_no_other(tmp_path: Path, store: Store, damage: str) -> None:
    one, two = add(store, "x-000001", [CREATED, TAKEN]), add(store, "x-000002", [CREATED, TAKEN])
    _db(tmp_path).execute(damage)
    for act in (
        lambda run: store.state(store.run(run)),
        lambda run: store.request(run, lambda *_: (Event(EventType.RUN_PAUSED, 5), None)),
        lambda run: store.take([run], "e2", "", 5, lambda _: False),
    ):
        with pytest.raises(StoreError) as caught:
            act(one)
        assert not isinstance(caught.value, StoreUnavailableError)
        assert caught.value.hint
        act(two)
    assert len(store.history()) == 2
    assert store.find("x-000002").id == two


def test_a_missing_definition_is_said(tmp_path: Path, store: Store) -> None:
    add(store, "x-000001")
    db = _db(tmp_path)
    db.execute("DELETE FROM definitions")
    with pytest.raises(StoreError, match="missing"):
        store.definition(store.find("x-000001").definition)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a-aaaaaa", "a-aaaaaa"),
        ("a-aaa", "a-aaaaaa"),
        ("a", "a-bbbbbb"),  # the job's latest, though its other run begins with it too
        ("a-b", "a-bbbbbb"),
        ("ab", "ab-aaaaaa"),
        ("ab-c", None),
        ("", None),
        ("a-", "beginning of several runs: a-aaaaaa, a-bbbbbb"),
        ("zz", None),
        ("%", None),
        ("a-\udcff", None),
        ("a\0", None),
    ],
)
def test_what_people_type_for_a_run(store: Store, text: str, found: str | None) -> None:
    for name, job in (("a-aaaaaa", "a"), ("a-bbbbbb", "a"), ("ab-aaaaaa", "ab")):
        add(store, name, job=job)
    if found is not None and " " not in found:
        assert store.find(text).name == found
        return
    with pytest.raises(NotFoundError) as caught:
        store.find(text)
    assert (found or "there is no run") in caught.value.message
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_the_history_and_its_filters(store: Store) -> None:
    tagged = DEFINITION[:-1] + ',"tags":["nightly","db"]}'
    for number, (job, definition, end) in enumerate(
        [("a", DEFINITION, ENDED), ("b", tagged, None), ("a", tagged, ENDED), ("b", DEFINITION, None)]
    ):
        events = [CREATED._replace(at=1_000 * number), TAKEN, *([end] if end else [])]
        add(store, f"{job}-{number}", events, job=job, definition=definition)

    def names(**how: object) -> list[str]:
        return [row.name for row in store.history(**how)]  # type: ignore[arg-type]

    assert names() == ["b-3", "a-2", "b-1", "a-0"]
    assert names(limit=2) == ["b-3", "a-2"]
    assert names(job="a") == ["a-2", "a-0"]
    assert names(statuses=["failed"]) == ["a-2", "a-0"]
    assert names(statuses=["running", "failed"], job="b") == ["b-3", "b-1"]
    assert names(since=1_000, until=3_000) == ["a-2", "b-1"]
    assert names(tag="nightly") == ["a-2", "b-1"]
    assert names(tag="night") == []
    assert names(job="a", statuses=["failed"], since=1, tag="db") == ["a-2"]
    assert store.jobs() == ["a", "b"]
    assert [row.name for row in store.alive()] == ["b-1", "b-3"]
    latest = store.latest("a")
    assert latest is not None
    assert latest.name == "a-2"
    assert store.latest("c") is None


def test_a_run_that_is_gone_is_said(store: Store) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        store.run(17)


def test_names_of_runs_can_be_read_aloud_and_do_not_repeat(store: Store) -> None:
    names: set[str] = set()
    for _ in range(2_000):  # drawn without a look, one in five hundred times two of so many would be the same
        names.add(store.unused_name("backup", names))
    assert len(names) == 2_000
    assert all(name.startswith("backup-") and len(name) == len("backup-") + 6 for name in names)
    assert not set("".join(name[7:] for name in names)) & set("ilou")


# -- the line, and places ----------------------------------------------------------------------------------------------


def _queue(store: Store, *runs: NewRun, begun: bool = False) -> list[int]:
    """Runs that wait in line, or have begun; their ids."""
    events = [CREATED, TAKEN] if begun else [CREATED]
    batches = [Batch(0, 0, events, replay(events), executor="e1", new=new) for new in runs]
    assert store.append(batches) == []
    return [batch.run_id for batch in batches]


def _new(name: str, job: str, *, queue: str | None = "q", priority: int = 0, trigger: str = "manual") -> NewRun:
    return NewRun(name, job, DEFINITION, queue=queue, priority=priority, trigger=trigger)


def test_who_is_the_first_in_line_of_each_job(store: Store) -> None:
    a1, a2, _, b1, c1 = _queue(
        store,
        _new("a-1", "a"),
        _new("a-2", "a", priority=5),
        _new("a-3", "a", queue="full", priority=9),
        _new("b-1", "b", trigger="schedule"),
        _new("c-1", "c", queue=None),
    )
    _queue(store, _new("d-1", "d"), begun=True)
    assert store.jobs_in_line() == ["a", "b", "c"]

    def first(job: str, *passed_over: int, definitions: tuple[int, ...] = ()) -> int | None:
        found = store.first_in_line(
            job, passed_over=passed_over, queues={"full"}, definitions=definitions, triggers=("schedule", "backfill")
        )
        return None if found is None else found.id

    assert (first("a"), first("a", a2), first("a", a1, a2)) == (a2, a1, None)
    assert (first("b"), first("c"), first("d")) == (b1, c1, None)
    definition = store.run(b1).definition
    assert (first("b", definitions=(definition,)), first("c", definitions=(definition,))) == (None, c1)


def test_what_waits_before_a_run(store: Store) -> None:
    runs = [_new("a-1", "a"), _new("b-1", "b"), _new("b-2", "b", priority=3), _new("b-3", "b", queue=None)]
    _queue(store, *runs, _new("a-2", "a"), _new("a-3", "a"))
    row = store.find("a-2")
    assert sorted(store.lines_before(row)) == [Line("a", 0, 3, 1), Line("b", 0, 1, 1), Line("b", 3, 1, 1)]
    assert [one.name for one in store.alive_before(row)] == ["a-1"]
    assert store.first_alive_before(row) == "a-1"
    assert store.first_alive_before(store.find("a-1")) is None


def test_who_has_places(store: Store) -> None:
    a, b = _queue(store, _new("a-1", "a"), _new("b-1", "b", queue=None), begun=True)
    _queue(store, _new("a-2", "a"))
    assert store.runs_with_places("q") == [a]
    assert sorted(store.under_way(), key=str) == [("q", "e1"), (None, "e1")]
    assert [row.id for row in store.awake_in_queue("q")] == [a]
    assert (store.has_begun("a"), store.has_begun("b"), store.has_begun("c")) == (True, True, False)
    started = Event(EventType.ATTEMPT_STARTED, 1_002, "main", 1, {"queue": "places"})
    assert store.append([more(store, b, [started])]) == []
    assert (store.in_queue("places"), store.runs_of_attempts_with_places("places")) == (1, [b])


def test_a_run_by_its_number_or_name(store: Store) -> None:
    one = add(store, "x-000001", [CREATED, TAKEN])
    child = NewRun("y-000001", "y", DEFINITION, parent=one, parent_step="main")
    (below,) = _queue(store, child)
    assert store.named("x-000001") == store.run(one)
    assert (store.named("x-00000"), store.status_of("nobody"), store.name_of(99)) == (None, None, None)
    assert (store.status_of("y-000001"), store.name_of(one)) == ("queued", "x-000001")
    assert (store.children(one), store.statuses_of_children(one)) == ([(below, "y-000001")], {"y-000001": "queued"})
    assert not store.is_over(one)
    assert not store.is_over(99)
    store.append([more(store, one, [ENDED])])
    assert store.is_over(one)
