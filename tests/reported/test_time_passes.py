"""The wall clock is trusted for no duration: it is set while commands run, beat and wait, and while nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from places import Place
from worlds import World

import looked
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher, rescuer
from jobctl.host import clock
from jobctl.host.host import Host

HOUR = 3_600_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the wall clock of jobctl, by so many milliseconds; files have the time of the kernel's, as after a step."""
    real, by = clock.now, [0]
    monkeypatch.setattr(clock, "now", lambda: real() + by[0])

    def step(ms: int) -> None:
        by[0] = ms

    return step


BEATS = 'command = "for i in 1 2 3 4 5 6 7 8; do echo $i >> $JOBCTL_HEARTBEAT; sleep 0.1; done"\n'
QUIET = 'command = "for i in 1 2 3; do echo $i >> $JOBCTL_HEARTBEAT; sleep 0.1; done; sleep 30"\n'
LISTEN = 'step_timeout = { heartbeat = "1s" }\nkill_grace = "100ms"\n'


@pytest.mark.parametrize("before", [0, HOUR, -HOUR], ids=["right", "ahead", "behind"])
@pytest.mark.parametrize("step", [0, HOUR, -HOUR], ids=["as it was", "forth", "back"])
@pytest.mark.parametrize(
    ("command", "status"), [(BEATS, "succeeded"), (QUIET, "timed_out")], ids=["beats", "is silent"]
)
def test_a_heartbeat_is_a_change(
    world: World, set_clock: Callable[[int], None], command: str, status: str, before: int, step: int
) -> None:
    """A beating command was stopped when the clock was set back, a silent one lived as long as it was ahead."""
    set_clock(before)
    run = world.start(command + LISTEN)
    world.until(lambda: world.step(run)["cursor"] == "2")
    set_clock(before + step)
    world.finish(run)
    assert world.step(run)["status"] == status
    if status == "timed_out":
        assert world.step(run)["error"] == "no heartbeat for 1s"


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forth", "back"])
def test_a_run_is_not_judged_by_a_clock_that_was_set(world: World, set_clock: Callable[[int], None], step: int) -> None:
    run = world.start(
        'command = "echo > begun; until [ -e go ]; do sleep 0.02; done"\ntimeout = "10m"\nstep_timeout = "10m"'
    )
    world.until((world.folder / "begun").exists)
    set_clock(step)
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"


# What it says -> how long its command takes -> how it ended when somebody looked again, after two and a half.
# (A keeper stops what is beyond a limit that is the executor's a second later.)
UNSEEN = {
    "run too long": ('timeout = "300ms"', 0.4, ("timed_out", "succeeded")),
    "run in time": ('timeout = "2s"', 0.2, ("succeeded", "succeeded")),
    "step too long": ('step_timeout = { schedule_to_close = "300ms" }', 0.4, ("failed", "timed_out")),
    "step in time": ('step_timeout = { schedule_to_close = "2s" }', 0.2, ("succeeded", "succeeded")),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_a_limit_that_passed_while_nobody_looked_has_passed(world: World, what: str) -> None:
    says, takes, (of_run, of_step) = UNSEEN[what]
    run = world.start(f"command = 'echo > begun; sleep {takes}; echo > ended'\n{says}")
    world.until((world.folder / "begun").exists)
    world.die()
    world.ended(run)
    time.sleep(max(0.0, 2.6 - takes))  # beyond every limit
    taken = world.take(run)
    world.finish(taken)
    assert (taken.state.status, world.step(taken)["status"]) == (of_run, of_step)


def test_a_run_whose_time_is_over_begins_nothing_more(world: World) -> None:
    text = '[jobs.x]\ntimeout = "300ms"\n' + "".join(
        f"[[jobs.x.steps]]\nname = '{n}'\ncommand = 'echo >> begun; sleep 0.4; echo {n} >> done'\n"
        f"compensate = 'echo {n} >> undone'\n"
        for n in "ab"
    )
    run = world.start(text)
    world.until((world.folder / "begun").exists)
    world.die()
    world.ended(run, "a")
    taken = world.take(run)
    world.finish(taken)
    assert taken.state.status == "timed_out"
    assert (world.folder / "done").read_text() == "a\n"
    assert (world.folder / "undone").read_text() == "a\n"


# How a run comes to wait, and for how long.
THEN = '[[jobs.x.steps]]\nname = "c"\ncommand = "echo >> tried; false"'
WAITS = {
    "a short back-off": ('command = "echo >> tried; false"\nretry = { initial_interval = "30s" }', 30_000),
    "a long back-off": ('command = "echo >> tried; false"\nretry = { initial_interval = "10m" }', 600_000),
    "a short sleep": ('[[jobs.x.steps]]\nname = "s"\nsleep = "20s"\n' + THEN, 20_000),
    "a long sleep": ('[[jobs.x.steps]]\nname = "s"\nsleep = "1h"\n' + THEN, 3_600_000),
}


@pytest.mark.parametrize("step", [2 * HOUR, -2 * HOUR], ids=["forth", "back"])
@pytest.mark.parametrize("restarted", [False, True], ids=["", "and another daemon goes on"])
@pytest.mark.parametrize("what", WAITS)
def test_a_wait_lasts_as_long_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, step: int, restarted: bool
) -> None:
    """Short and long ones follow one rule: two hours forth had ended a long one at once."""
    says, lasts = WAITS[what]
    wall, passed = [0], [0]
    now, mono, boot = clock.now, clock.monotonic, clock.boottime
    monkeypatch.setattr(clock, "now", lambda: now() + wall[0] + passed[0])
    monkeypatch.setattr(clock, "monotonic", lambda: mono() + passed[0])
    monkeypatch.setattr(clock, "boottime", lambda: boot() + passed[0])
    place = Place(tmp_path)
    try:
        place.path.write_text("[jobs.x]\n" + says + "\n")
        enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
        place.dispatch()
        before = 0 if "sleep" in what else 1
        place.until(lambda: _tried(tmp_path) == before and _waits(place))
        wall[0] = step
        shown = looked.run_document(place.store, place.runs()[0])["waiting_for"]["until"]
        ends = datetime.fromisoformat(shown).timestamp() * 1000
        assert abs(ends - clock.now() - lasts) < 5_000  # as it will be, by the clock that people look at
        assert "now" not in " ".join(
            reason.text for reason in looked.reasons(place.store, place.runs()[0], clock.now())
        )
        if restarted:
            place.die()
            place = Place(tmp_path)
            rescuer.once(place.store, place.engine, clock.now())
        place.store.wake_all(clock.now())
        _look(place)
        passed[0] = lasts - 5_000
        _look(place)
        assert _tried(tmp_path) == before
        passed[0] = lasts + 5_000
        place.until(lambda: _look(place) or _tried(tmp_path) == before + 1)
    finally:
        place.close()


def _tried(folder: Path) -> int:
    path = folder / "tried"
    return len(path.read_text().splitlines()) if path.exists() else 0


def _waits(place: Place) -> bool:
    return any(step.status == "waiting" for step in place.store.state(place.runs()[0]).steps.values())


def _look(place: Place) -> None:
    """What a daemon does in a turn."""
    while (wakes := place.store.next_wake()) is not None and wakes <= clock.now():
        assert dispatcher.wake(place.store, place.engine, clock.now()) == []
    place.engine.turn(0)
