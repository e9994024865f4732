"""`jobctl retry-now`: what only waits for a time goes on, and the history says who wanted that."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Compensation, ForEach, Poll, RetryPolicy, Step, Timeouts
from jobctl.core.run.history import EventType

LONG = 3_600_000
RETRY = RetryPolicy(maximum_attempts=3, initial_interval=LONG)
SECOND_TIME = "[ -e again ] || { touch again; exit 1; }"  # fails once

# What the run waits in, and the key of it.
WAITS = {
    "a back-off": ((Step("a", command=SECOND_TIME, retry=RETRY),), "a"),
    "a sleep": ((Step("a", sleep=LONG),), "a"),
    "a poll": ((Step("a", command=SECOND_TIME, poll=Poll(LONG)),), "a"),
    "a poll whose time is over first": (
        (Step("a", command=SECOND_TIME, poll=Poll(LONG), timeouts=Timeouts(schedule_to_close=2 * LONG)),),
        "a",
    ),
    "a script's sleep": ((Step("a", command="jobctl sleep 1h && touch again"),), "a"),
    "a script's sleep whose step's time is over first": (
        (Step("a", command="jobctl sleep 2h && touch again", timeouts=Timeouts(schedule_to_close=LONG)),),
        "a",
    ),
    "an item's back-off": ((Step("a", command=SECOND_TIME, retry=RETRY, foreach=ForEach(("x",))),), "a[0]"),
    "an undo's back-off": (
        (
            Step("a", command="true", compensate=Compensation(command=SECOND_TIME, retry=RETRY)),
            Step("b", needs=("a",), command="exit 1"),
        ),
        "a!undo",
    ),
}


def _waits(runs: Runs, key: str) -> bool:
    (run,) = runs.engine.runs.values()
    step = run.step_state(key)
    attempt = run.attempts.get(key)
    return step.waits_for_a_time or (attempt is not None and attempt.between_probes)


@pytest.mark.parametrize("held", [True, False], ids=["held", "interrupted"])
@pytest.mark.parametrize("what", WAITS)
def test_it_goes_on_now(
    runs: Runs, capsys: pytest.CaptureFixture[str], what: str, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    steps, key = WAITS[what]
    run = runs.start(runs.job(*steps))
    runs.until(lambda: _waits(runs, key))
    if not held:
        runs.die()
    assert main(["retry-now", run.name, key.partition("!")[0], "--reason", "it is mended"]) == 0
    assert "now" in capsys.readouterr().out
    if held:
        runs.until(lambda: not runs.engine.runs)
    else:
        assert main(["resume", run.name, "--quiet"]) == int("undo" in key)
    (told,) = [e for e in runs.store.events(run.id) if e.type is EventType.WAKE_REQUESTED]
    assert (told.data["steps"], told.data["reason"]) == ([key], "it is mended")
    assert runs.store.find(run.name).status == ("failed" if "undo" in key else "succeeded")
    if "undo" in key:
        assert runs.store.state(runs.store.find(run.name)).undo["a"].status == "succeeded"
    assert (runs.folder / "again").exists() or what == "a sleep"
    capsys.readouterr()
    assert main(["history", run.name]) == 0
    assert f"to go on now: {key}: it is mended" in capsys.readouterr().out


def test_a_run_that_is_paused_goes_on_when_that_is_over(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command=SECOND_TIME, retry=RETRY)))
    runs.until(lambda: _waits(runs, "a"))
    assert main(["pause", run.name]) == 0
    assert main(["retry-now", run.name]) == 0
    assert f"first: jobctl resume {run.name}" in capsys.readouterr().out
    for _ in range(3):
        runs.engine.turn(10)
    assert len(run.state.step("a").attempts) == 1
    assert main(["resume", run.name]) == 0
    runs.until(lambda: not runs.engine.runs)
    assert runs.store.find(run.name).status == "succeeded"


@pytest.mark.parametrize(
    ("step", "args", "code", "says"),
    [
        (Step("a", signal="go"), [], 1, "waits for a time"),
        (Step("a", approval="sure?"), ["a"], 1, "waits for a time"),
        (Step("a", command="sleep 60"), ["a"], 1, "waits for a time"),
        (Step("a", command="sleep 60"), ["b"], 3, "no step 'b'"),
    ],
)
def test_what_waits_for_something_else_is_left_alone(
    runs: Runs, capsys: pytest.CaptureFixture[str], step: Step, args: list[str], code: int, says: str
) -> None:
    run = runs.start(runs.job(step))
    assert main(["retry-now", run.name, *args]) == code
    assert says in capsys.readouterr().err
    assert main(["terminate", run.name]) == 0
    runs.until(lambda: not runs.engine.runs)
    assert main(["retry-now", run.name]) == 1
    assert "is over" in capsys.readouterr().err


def test_a_poll_that_was_woken_waits_its_whole_time_again(runs: Runs) -> None:
    step = Step("a", command="echo >> asked; exit 1", poll=Poll(LONG))
    run = runs.start(runs.job(step))
    for times in (1, 2, 3):
        runs.until(lambda: _waits(runs, "a"))
        assert len((runs.folder / "asked").read_text()) == times
        assert main(["retry-now", run.name]) == 0
        runs.until(lambda n=times: len((runs.folder / "asked").read_text()) > n)  # type: ignore[misc]


def test_in_json(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", sleep=LONG)))
    assert main(["retry-now", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"id": run.name, "result": "step a goes on now"}]
    runs.until(lambda: not runs.engine.runs)
