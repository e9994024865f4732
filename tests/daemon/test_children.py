"""Child runs on a daemon: asleep, taken over, begun in their turn, ended by a sweep, removed with their parents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from places import DAY, HELD, HOUR, Place

from jobctl.core.model import Keep
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import control
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher, pruner, rescuer
from jobctl.engines.local.worker.take import take
from jobctl.engines.run_files import run_folder
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.store import firings

KID = '[[jobs.x.steps]]\nname = "{}"\nneeds = []\njob = "y"\n'


def begin(place: Place, text: str, children: int = 1) -> RunRow:
    """A run of the job x that the daemon has begun, with so many child runs."""
    place.arm(text)
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.dispatch()
    place.until(lambda: len(place.runs("y")) == children)
    return row(place)


def row(place: Place) -> RunRow:
    return place.runs("x")[-1]


def asleep(place: Place, job: str) -> list[bool]:
    return [one.wake_at is not None and one.executor is None for one in place.runs(job)]


def wake(place: Place) -> None:
    place.until(lambda: place.store.due_to_wake(clock.now(), 1))
    assert dispatcher.wake(place.store, place.engine, clock.now()) == []


def end_all(place: Place) -> None:
    """The daemon's turns until nothing is under way, asleep or queued."""

    def over() -> bool:
        place.dispatch()
        dispatcher.wake(place.store, place.engine, clock.now())
        return not place.store.alive()

    place.until(over)


def test_a_family_that_only_waits_sleeps_and_wakes_together(place: Place) -> None:
    text = f"[jobs.x]\n{KID.format('a')}{KID.format('b')}[[jobs.y.steps]]\nname = 'ask'\napproval = 'ok?'"
    run = begin(place, text, 2)
    place.until(lambda: not place.engine.runs)
    assert asleep(place, "y") == [True, True]
    assert asleep(place, "x") == [True]
    for child in place.runs("y"):
        control.answer(place.store, place.store.run(child.id), None, approved=True, comment=None, by="me", host=Host())
        wake(place)
        place.until(lambda child=child: place.store.run(child.id).finished_at is not None)
    end_all(place)
    assert row(place).status == "succeeded"
    assert [e.data["status"] for e in place.store.events(run.id) if e.type is EventType.CHILD_ENDED] == [
        "succeeded"
    ] * 2


def test_a_parent_stays_while_a_child_of_it_works_here(place: Place) -> None:
    text = f"[jobs.x]\n{KID.format('a')}[jobs.y]\ncommand = '{HELD}'"
    begin(place, text)
    place.until(lambda: place.engine.attempts_running == 1)
    assert len(place.engine.runs) == 2
    assert asleep(place, "x") == [False]
    place.let_go()
    place.settle()
    assert row(place).status == "succeeded"


def test_a_cancel_wakes_a_sleeping_family(place: Place) -> None:
    text = f"[jobs.x]\n{KID.format('a')}[[jobs.y.steps]]\nname = 'nap'\nsleep = '30d'"
    run = begin(place, text)
    place.until(lambda: not place.engine.runs)
    control.cancel(place.store, row(place), reason=None, by="me", host=Host())
    end_all(place)
    assert (row(place).status, place.statuses("y")) == ("canceled", ["canceled"])
    assert run.name in (place.runs("y")[0].reason or "")


def test_a_queued_child_begins_in_its_turn(place: Place) -> None:
    text = (
        f"[queues.q]\nconcurrency = 1\n[jobs.x]\n{KID.format('a')}{KID.format('b')}"
        "[jobs.y]\nqueue = 'q'\ncommand = 'echo up >> now; sleep 0.05; echo down >> now'"
    )
    place.engine.queues = {}
    place.arm(text)
    place.engine.queues = place.catalog().queues
    begin(place, text, 2)
    assert place.statuses("y") == ["queued", "queued"]
    end_all(place)
    assert row(place).status == "succeeded"
    assert (place.folder / "now").read_text().split() == ["up", "down"] * 2


def test_parents_that_wait_for_queued_children_leave_room_for_them(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    text = f"[queues.q]\nconcurrency = 1\n[jobs.x]\n{KID.format('a')}[jobs.y]\nqueue = 'q'\ncommand = 'true'"
    place.arm(text)
    place.engine.queues = place.catalog().queues
    begin(place, text)
    end_all(place)
    assert row(place).status == "succeeded"


def test_a_queued_child_that_cannot_begin_fails_its_parent_step(place: Place) -> None:
    text = (
        f"[queues.q]\nconcurrency = 1\n[jobs.x]\n{KID.format('a')}"
        "[jobs.y]\nqueue = 'q'\nenv_file = 'env'\ncommand = 'true'"
    )
    (place.folder / "env").write_text("A=1\n")
    place.arm(text)
    place.engine.queues = place.catalog().queues
    begin(place, text)
    (place.folder / "env").unlink()
    end_all(place)
    assert row(place).status == "failed"
    assert "there is no file" in (row(place).reason or "")


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_family_of_a_dead_daemon_is_taken_over_and_ends_as_if_nothing_had_been(
    new_place: Callable[..., Place], first: str
) -> None:
    one, two = new_place(), new_place()
    text = f"[jobs.x]\n{KID.format('a')}[jobs.y]\ncommand = 'echo >> worked; {HELD}'"
    run = begin(one, text)
    one.until(lambda: (one.folder / "worked").exists())
    one.die()
    if first == "child":
        take(two.store, two.engine, two.runs("y")[0].id)
    rescuer.once(two.store, two.engine, clock.now())
    if first == "child":
        parent = two.engine.runs[run.id]
        assert list(parent.children) == ["a"]
        assert parent.family is parent.children["a"].family
    two.let_go()
    end_all(two)
    assert (two.statuses("x"), two.statuses("y")) == (["succeeded"], ["succeeded"])
    assert len((two.folder / "worked").read_text().splitlines()) == 1


def test_a_child_that_ends_elsewhere_is_told_to_its_parent(new_place: Callable[..., Place]) -> None:
    one, two = new_place(), new_place()
    text = f"[queues.q]\nconcurrency = 1\n[jobs.x]\n{KID.format('a')}[jobs.y]\nqueue = 'q'\ncommand = '{HELD}'"
    one.arm(text)
    one.engine.queues = one.catalog().queues
    begin(one, text)
    two.dispatch()  # the other daemon was faster
    assert len(two.engine.runs) == 1
    two.let_go()
    two.settle()
    end_all(one)
    assert row(one).status == "succeeded"


# -- a sweep -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "status"), [("terminate", "terminated"), ("cancel", "canceled"), ("abandon", "running")]
)
def test_children_of_a_run_that_ended_without_asking_them_are_asked_by_a_sweep(
    new_place: Callable[..., Place], policy: str, status: str
) -> None:
    one, two = new_place(), new_place()
    text = f"[jobs.x]\n{KID.format('a')}on_parent_close = '{policy}'\n[jobs.y]\ncommand = '{HELD}'"
    run = begin(one, text)
    one.until(lambda: one.engine.attempts_running == 1)
    one.die()
    over = Event(EventType.RUN_ENDED, clock.now(), data={"status": "failed", "reason": "poison"})
    two.store.request(run.id, lambda *_: (over, None))
    known: set[tuple[int, int | None]] = set()
    [child] = two.runs("y")
    asked = rescuer.orphans(two.store, known, Host())
    assert [name for name, _ in asked] == ([] if policy == "abandon" else [child.name])
    assert rescuer.orphans(two.store, known, Host()) == []
    rescuer.once(two.store, two.engine, clock.now())
    if policy == "abandon":
        assert two.statuses("y") == ["running"]
        two.let_go()
    two.settle()
    assert two.statuses("y") == ["succeeded" if policy == "abandon" else status]
    assert two.store.ended_parents() == []


# -- schedules and retention -------------------------------------------------------------------------------------------


def test_children_are_nothing_to_the_schedules_of_their_job(place: Place) -> None:
    begin(place, f"[jobs.x]\n{KID.format('a')}[jobs.y]\ncommand = '{HELD}'")
    assert firings.alive_runs(place.store, "y") == ([], [])
    place.let_go()
    place.settle()


def test_children_are_kept_as_long_as_their_parent_and_go_with_it(place: Place) -> None:
    text = f"[jobs.x]\n{KID.format('a')}[[jobs.y.steps]]\nname = 'b'\njob = 'z'\n[jobs.z]\ncommand = 'true'"
    begin(place, text)
    place.settle()
    later = clock.now() + DAY
    keeps = {"y": Keep(runs=0), "z": Keep(age=HOUR)}
    assert pruner.remove(place.store, keeps, later) == []
    gone = pruner.remove(place.store, {**keeps, "x": Keep(runs=0)}, later)
    assert [one.job for one in gone] == ["z", "y", "x"]
    assert not any(Path(run_folder(place.store.state_dir, one.run)).exists() for one in gone)
    assert place.store._rows("SELECT count(*) FROM definitions") == [(0,)]
    assert place.store._rows("SELECT count(*) FROM events") == [(0,)]


def test_a_run_is_kept_while_a_run_that_it_started_goes_on(place: Place) -> None:
    text = f"[jobs.x]\n{KID.format('a')}on_parent_close = 'abandon'\n[jobs.y]\ncommand = '{HELD}'"
    begin(place, text)
    place.until(lambda: place.engine.attempts_running == 1)
    control.cancel(place.store, row(place), reason=None, by="me", host=Host())
    place.until(lambda: row(place).finished_at is not None)
    for keep in (Keep(runs=0), Keep(age=HOUR)):
        assert pruner.remove(place.store, {"x": keep, "y": keep}, clock.now() + DAY) == []
    place.let_go()
    place.settle()
    assert len(pruner.remove(place.store, {"x": Keep(runs=0)}, clock.now())) == 2


def test_many_children_go_in_portions_and_their_parent_last(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "_AT_A_TIME", 2)
    text = f"[jobs.x]\n{''.join(KID.format(f'k{i}') for i in range(5))}[jobs.y]\ncommand = 'true'"
    begin(place, text, 5)
    place.settle()
    portions = []
    while gone := pruner.remove(place.store, {"x": Keep(runs=0)}, clock.now()):
        portions.append([one.job for one in gone])
    assert portions == [["y", "y"], ["y", "y"], ["y", "x"]]
