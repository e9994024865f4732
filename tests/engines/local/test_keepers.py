"""Keepers that die, are stopped, or are those of an earlier version: what becomes of the attempts that they have."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from worlds import World

from jobctl.core.errors import StoreUnavailableError
from jobctl.core.run.history import EventType
from jobctl.process import descent, links, shell_keeper, supervisor

HELD = "echo up; while [ ! -e go ]; do sleep 0.01; done; "


def _go(world: World) -> None:
    (world.folder / "go").touch()


@pytest.mark.parametrize(
    ("end", "status", "code", "number"),
    [("exit 0", "succeeded", 0, None), ("exit 7", "failed", 7, None), ("kill -9 $$", "failed", None, "SIGKILL")],
)
def test_a_keeper_that_dies_costs_nothing_while_its_executor_lives(
    world: World, end: str, status: str, code: int | None, number: str | None
) -> None:
    run = world.start(f"command = '{HELD}echo k=v > $JOBCTL_OUTPUT; {end}'")
    world.engine.supervisor._adopt_orphans()
    world.until(lambda: world.log(run) == "up\n")
    os.kill(descent.checked(world.keeper()), signal.SIGKILL)
    world.until(lambda: run.attempts["main"].held_by == "pid")
    _go(world)
    world.finish(run)
    (attempt,) = world.step(run)["attempts"]
    assert (attempt["status"], attempt["exit_code"], attempt["signal"]) == (status, code, number)
    assert world.log(run) == "up\n"


def test_what_a_dead_keeper_had_can_be_stopped_with_all_that_it_started(world: World) -> None:
    run = world.start(f"command = 'setsid sleep 60 & {HELD}'\nkill_grace = \"100ms\"")
    world.until(lambda: world.log(run) == "up\n")
    os.kill(descent.checked(world.keeper()), signal.SIGKILL)
    world.until(lambda: run.attempts["main"].held_by == "pid")
    world.engine.request(run, EventType.CANCEL_REQUESTED, reason="r", by="me")
    world.finish(run)
    assert run.state.status == "canceled"
    assert world.alive(run) == []


def test_deadlines_hold_without_a_keeper(world: World) -> None:
    run = world.start(f"command = '{HELD}'\nstep_timeout = \"600ms\"")
    world.until(lambda: world.log(run) == "up\n")
    os.kill(descent.checked(world.keeper()), signal.SIGKILL)
    world.finish(run)
    assert world.step(run)["status"] == "timed_out"
    assert world.alive(run) == []


def test_the_next_attempt_is_begun_by_another_keeper(world: World) -> None:
    world.engine.supervisor._adopt_orphans()
    run = world.start("command = 'kill -9 $PPID; exit 3'\nretry = { maximum_attempts = 3, initial_interval = \"1ms\" }")
    world.finish(run)
    names = [event.data["keeper"].rpartition(".")[2] for event in world.events(run, EventType.ATTEMPT_STARTED)]
    assert len(set(names)) == 3
    assert [attempt["exit_code"] for attempt in world.step(run)["attempts"]] == [3, 3, 3]


def test_killed_in_its_condition_the_command_is_begun_by_another_keeper(world: World) -> None:
    world.engine.supervisor._adopt_orphans()
    step = '[[jobs.x.steps]]\nname = "main"\n'
    run = world.start(f"{step}command = 'echo ran >> order'\nonly_if = 'kill -9 $PPID; exit 0'")
    world.finish(run)
    assert (run.state.status, world.read("order")) == ("succeeded", "ran\n")


def test_a_keeper_that_dies_after_its_executor(world: World) -> None:
    run = world.start(f"command = '{HELD}exit 7'")
    world.until(lambda: world.log(run) == "up\n")
    keeper = world.keeper()
    world.die()
    run = world.take(run)
    world.until(lambda: run.attempts["main"].running)
    os.kill(descent.checked(keeper), signal.SIGKILL)
    world.until(lambda: run.attempts["main"].held_by == "pid")
    _go(world)
    world.finish(run)
    (attempt,) = world.step(run)["attempts"]
    assert attempt["exit_code"] == 7 or attempt["error"].startswith("lost")
    assert world.log(run) == "up\n"


def test_a_stopped_keeper_is_waited_for_and_others_begin_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PING_MS", 50)
    monkeypatch.setattr(links, "SLOW_MS", 200)
    run = world.start(f"command = '{HELD}exit 7'")
    world.until(lambda: world.log(run) == "up\n")
    keeper = world.keeper()
    os.kill(descent.checked(keeper), signal.SIGSTOP)
    try:
        world.until(lambda: world.engine.supervisor.trouble)
        assert "does not answer" in world.engine.supervisor.trouble
        beside = world.start("command = 'echo fine'")
        world.until(lambda: beside.state.status == "succeeded")
        _go(world)
    finally:
        os.kill(descent.checked(keeper), signal.SIGCONT)
    world.finish(run)
    assert world.step(run)["attempts"][0]["exit_code"] == 7
    assert world.engine.supervisor.trouble == ""


def test_an_end_that_could_not_be_recorded_leaves_its_journal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keeper is dead, the disk is full, and then its executor ends in order: it is not begun a second time."""
    world.engine.supervisor._adopt_orphans()
    run = world.start(f"command = '{HELD}echo ran >> order'")
    world.until(lambda: world.log(run) == "up\n")
    os.kill(descent.checked(world.keeper()), signal.SIGKILL)
    world.until(lambda: run.attempts["main"].held_by == "pid")

    def full(*_: object) -> None:
        raise StoreUnavailableError("full")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "append", full)
        _go(world)
        world.until(lambda: world.engine.trouble is not None)
        world.die()
    world.finish(world.take(run))
    assert world.read("order") == "ran\n"
    assert len(world.events(run, EventType.ATTEMPT_STARTED)) == 1


OLD_KEEPER = """set -C; command exec 2>"$1" || exit 75; set +C; trap : TERM; echo $$ >&2; cd -- "$2"; shift 2
(exec "$@") 2>&1; echo "exit $?" >&2"""


@pytest.mark.parametrize("when", ["runs", "has ended"])
def test_an_attempt_under_a_shell_of_an_earlier_version_is_adopted(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(supervisor.Supervisor, "start", lambda *_: None)
        patch.setattr(supervisor.Supervisor, "current", lambda _: None)  # its events name no keeper
        run = world.start("command = 'never this way'")
    attempt = run.attempts["main"]
    world.die()
    folder = Path(world.state, "runs", run.name)
    folder.mkdir(parents=True)
    if when == "has ended":
        _go(world)
    argv = ["sh", "-c", OLD_KEEPER, "keeper", attempt.files.state, str(world.folder), "sh", "-c", f"{HELD}exit 7"]
    variables = {"PATH": os.environ["PATH"], descent.TOKEN: attempt.token, "JOBCTL_RUN": run.name}
    with open(attempt.files.log, "wb") as log:
        shell = subprocess.Popen(argv, stdout=log, start_new_session=True, env=variables)
    world.until(lambda: (found := shell_keeper.state(attempt.files.state, attempt.id)) and found.pid)
    world.die()
    if when == "has ended":
        shell.wait(20)
    run = world.take(run)
    world.until(lambda: world.log(run) == "up\n")
    _go(world)
    world.finish(run)
    shell.wait(20)
    assert [one["exit_code"] for one in world.step(run)["attempts"]] == [7]
    assert world.log(run) == "up\n"
