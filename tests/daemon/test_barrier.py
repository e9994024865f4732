"""What goes wrong in one run is that run's affair: it is said once, put aside and tried again, and the others go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loops import Loop
from places import HELD, job

from jobctl.engines.local.attempts import Attempts
from jobctl.engines.local.commit import Commits
from jobctl.engines.local.ends import Ends
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import aside as aside_module
from jobctl.engines.local.worker import dispatcher, rescuer
from jobctl.engines.local.worker import duties as duties_module
from jobctl.engines.local.worker.aside import Aside
from jobctl.host.host import Host
from jobctl.process.supervisor import Supervisor

NEVER = '{ at = "2036-01-01T00:00:00Z" }'
TWO = job(NEVER, "echo x >> marks; " + HELD) + job(NEVER, name="y")


def queue(loop: Loop, name: str) -> None:
    enqueue(loop.store, loop.daemon.reloader.catalog.jobs[name], {}, trigger="manual", host=Host())
    loop.daemon.work.dispatch = True


def failing(patch: pytest.MonkeyPatch, owner: Any, name: str, job: str, error: Exception) -> list[int]:
    """Have something go wrong for the runs of one job. The list grows with each time; `.clear()` mends nothing: undo
    the patch for that."""
    real, times = getattr(owner, name), []

    def act(self: Any, *args: Any, **named: Any) -> Any:
        given = [getattr(one, "owner", one) for one in (self, *args, *named.values())]
        run = next((one for one in given if isinstance(one, LiveRun)), None)
        if run is not None and run.job.name == job:
            times.append(1)
            raise error
        return real(self, *args, **named)

    patch.setattr(owner, name, act)
    return times


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside_module, "FIRST_MS", 50)
    monkeypatch.setattr(aside_module, "LONGEST_MS", 200)
    monkeypatch.setattr(duties_module, "LOOK_MS", 50)


@pytest.mark.parametrize("error", [IndexError("no step"), KeyError("x"), AssertionError(), OSError(5, "I/O error")])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (LiveRun, "advance"),
        (Commits, "_act"),
        (Ends, "_ended"),
        (Attempts, "_attempt"),
        (Commits, "_wake_at"),
        (Supervisor, "_conclude"),
        (Supervisor, "_begin"),
    ],
)
def test_what_goes_wrong_in_one_run_stops_no_other(
    start: Callable[..., Loop], tmp_path: Path, owner: Any, name: str, error: Exception
) -> None:
    loop = start(TWO)
    (tmp_path / "go").touch()
    with pytest.MonkeyPatch.context() as patch:
        times = failing(patch, owner, name, "x", error)
        queue(loop, "x")
        loop.until(lambda: times)
        queue(loop, "y")
        loop.until(lambda: loop.statuses("y") == ["succeeded"])
        loop.until(lambda: len(times) > 2)  # it is tried again, and again
        assert len([m for m in loop.messages() if "to be tried again" in m or "cannot go on" in m]) <= 2
    assert loop.statuses("x")[0] in ("queued", "running", "failed")
    loop.until(lambda: loop.statuses("x")[0] in ("succeeded", "failed"))
    if name != "advance" or loop.statuses("x") == ["succeeded"]:
        assert (tmp_path / "marks").read_text() == "x\n"  # and its command did not run twice


def test_how_a_command_ends_whose_run_is_put_aside_is_not_lost(start: Callable[..., Loop], tmp_path: Path) -> None:
    loop = start(TWO)
    queue(loop, "x")
    loop.until(lambda: (tmp_path / "marks").exists())
    loop.until(lambda: loop.statuses("x") == ["running"])
    run = next(iter(loop.daemon.work.engine.runs.values()))
    loop.daemon.work.engine.put_aside(run, ValueError("never mind"))
    loop.daemon.work.aside.put(run.id, 1 << 40)
    (tmp_path / "go").touch()
    queue(loop, "y")
    loop.until(lambda: loop.statuses("y") == ["succeeded"])
    for _ in range(20):
        loop.daemon.turn(10)
    loop.daemon.work.aside = Aside()
    loop.daemon.work.rescue = True
    loop.until(lambda: loop.statuses("x") == ["succeeded"])
    assert (tmp_path / "marks").read_text() == "x\n"


@pytest.mark.parametrize("bad", [1 << 70, "\udcff"])
def test_events_of_one_run_that_cannot_be_written_stop_no_other(
    start: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch, bad: Any
) -> None:
    loop = start(TWO)
    real = LiveRun.outcome

    def outcome(run: LiveRun) -> Any:
        events, effects = real(run)
        if run.job.name == "x" and events:
            events = [event._replace(number=bad) for event in events]
        return events, effects

    monkeypatch.setattr(LiveRun, "outcome", outcome)
    queue(loop, "x")
    queue(loop, "y")
    loop.until(lambda: loop.statuses("y") == ["succeeded"])
    assert loop.statuses("x") == ["running"]
    loop.until(lambda: any("to be tried again" in message for message in loop.messages()))


@pytest.mark.parametrize("where", ["plan", "write"])
def test_a_fire_time_whose_run_cannot_begin_has_a_run_that_failed(
    start: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    real = LiveRun.outcome

    def outcome(run: LiveRun) -> Any:
        if run.job.name != "x":
            return real(run)
        if where == "plan":
            raise IndexError("no step")
        events, effects = real(run)
        return [event._replace(number=1 << 70) for event in events], effects

    monkeypatch.setattr(LiveRun, "outcome", outcome)
    loop = start(job('{ every = "1s" }', "true") + job('{ every = "1s" }', "true", name="y"))
    loop.until(lambda: loop.statuses("x")[:2] == ["failed"] * 2 and loop.statuses("y")[:2] == ["succeeded"] * 2)
    assert "something unexpected" in (loop.store.history(job="x")[0].reason or "") or where == "write"


def test_what_is_nobodys_in_particular_is_begun_anew(start: Callable[..., Loop], tmp_path: Path) -> None:
    loop = start(TWO)
    queue(loop, "x")
    loop.until(lambda: (tmp_path / "marks").exists())
    with pytest.MonkeyPatch.context() as patch:
        times = []

        def look(*_: object) -> None:
            times.append(1)
            raise RuntimeError("what is this")

        patch.setattr(LocalEngine, "_look", look)
        loop.daemon.work.executor.__class__.drain(loop.daemon.work.executor)
        loop.daemon.work.engine._woken = True
        loop.daemon.turn(0)
        assert times
        assert any("all runs are taken up anew" in message for message in loop.messages())
    queue(loop, "y")
    (tmp_path / "go").touch()
    loop.until(lambda: loop.statuses("x") == loop.statuses("y") == ["succeeded"])
    assert (tmp_path / "marks").read_text() == "x\n"


@pytest.mark.parametrize("duty", ["FollowClock", "Fire", "Look", "TakeOver", "EndLate", "BeginQueued", "Prune"])
def test_a_duty_that_goes_wrong_stops_no_other(start: Callable[..., Loop], duty: str) -> None:
    loop = start(TWO)

    def wrong(*_: object) -> None:
        raise TypeError("not like this")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(getattr(duties_module, duty), "due", wrong)
        queue(loop, "y")
        for _ in range(5):
            loop.daemon.work.not_before = 0
            loop.daemon.turn(5)
        assert len([m for m in loop.messages() if "not like this" in m]) == 1
    loop.until(lambda: loop.statuses("y") == ["succeeded"])


@pytest.mark.parametrize("who", [rescuer, dispatcher])
def test_one_run_that_cannot_be_taken_stops_no_other(start: Callable[..., Loop], who: Any) -> None:
    loop = start(TWO)
    real = who.take
    with pytest.MonkeyPatch.context() as patch:
        times = []

        def take(store: Any, engine: Any, run: int, *args: Any) -> bool:
            if store.run(run).job == "x":
                times.append(run)
                raise RecursionError("too deep")
            return bool(real(store, engine, run, *args))

        patch.setattr(who, "take", take)
        for name in ("x", "y"):
            queue(loop, name)
        if who is rescuer:
            with sqlite3.connect(loop.store.path) as db:
                db.execute("UPDATE runs SET status = 'running', started_at = 1, executor = 'gone'")
                loop.daemon.work.dispatch = False
        loop.until(lambda: loop.statuses("y") == ["succeeded"] and len(times) > 2)
        assert len([m for m in loop.messages() if "too deep" in m]) == 1


def test_the_pauses_grow_and_whoever_asks_something_of_it_is_followed() -> None:
    class Row:
        id, seq = 7, 3

    aside, row = Aside(), Row()
    pauses = [aside.put(7, 0) for _ in range(4)]
    assert pauses == [50, 100, 200, 200]
    assert aside.rests(row, 199)  # type: ignore[arg-type]
    assert not aside.rests(row, 200)  # type: ignore[arg-type]
    row.seq = 4
    assert not aside.rests(row, 1)  # type: ignore[arg-type]
