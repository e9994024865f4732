"""Waiting for runs: how it ends, and what it says of runs that cannot end by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from live_runs import HELD, Runs

import looked
from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import EventType

GOOD = Step("main", command="true")


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (["good"], 0),
        (["bad"], 1),
        (["good", "bad", "canceled"], 1),
        (["good", "canceled", "bad"], 130),
        (["canceled", "canceled"], 130),
    ],
)
def test_the_first_that_did_not_succeed_counts(
    order: list[str], code: int, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.done(runs.job(GOOD), name="good")
    runs.done(runs.job(Step("main", command="exit 3")), name="bad")
    run = runs.start(runs.job(Step("main", command="sleep 60"), kill_grace=100), name="canceled")
    runs.ask(run, EventType.CANCEL_REQUESTED)
    runs.until(lambda: not runs.engine.busy)
    assert main(["wait", *order]) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(set(order))
    for line, name in zip(sorted(lines), sorted(set(order)), strict=True):
        assert line.startswith(f"{name}: ")


def test_the_end_is_said_with_its_reason(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    name = runs.done(runs.job(Step("main", command="exit 3")))
    assert main(["wait", name]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: failed after ")
    assert out.endswith("s: step main: exit code 3\n")


def test_as_json(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    names = [runs.done(runs.job(GOOD)) for _ in range(2)]
    documents = [looked.run_document(runs.store, runs.store.find(name)) for name in names]
    assert main(["wait", names[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == documents[0]
    assert main(["wait", *names, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == documents


@pytest.mark.parametrize("timeout", ["0s", "50ms"])
def test_a_timeout(timeout: str, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    done = runs.done(runs.job(Step("main", command="exit 3")))
    held = runs.start(runs.job(Step("main", command=HELD))).name
    assert main(["wait", done, held, "--timeout", timeout]) == 75
    out, err = capsys.readouterr()
    assert out.startswith(f"{done}: failed")
    assert err == f"{timeout} have passed, not over: {held}\n"


def test_an_interrupted_run_is_said_once(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    runs.die()
    assert main(["wait", run.name, "--timeout", "1500ms"]) == 75  # it looks twice at who is alive
    assert capsys.readouterr().err.splitlines() == [
        f"{run.name} is interrupted and waits to be taken up: jobctl resume {run.name}",
        f"1500ms have passed, not over: {run.name}",
    ]


def test_a_run_that_ends_meanwhile(folder: Path, runs: Runs) -> None:
    held = runs.start(runs.job(Step("main", command=HELD)))
    other = runs.done(runs.job(GOOD))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open(folder / "out", "wb") as out:
        waiting = subprocess.Popen([sys.executable, "-m", "jobctl", "wait", other, held.name], stdout=out, env=env)
    runs.until(lambda: (folder / "out").read_text().startswith(f"{other}: succeeded"))  # it has begun to wait
    runs.let_go()
    runs.until(lambda: waiting.poll() is not None)
    assert waiting.returncode == 0
    assert (folder / "out").read_text().splitlines()[1].startswith(f"{held.name}: succeeded")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nope"], 3, "there is no run 'nope'"),
        (["x", "nope"], 3, "there is no run 'nope'"),
        (["x", "--timeout", "5"], 2, "--timeout: '5' is not a duration\nhint: write \"5s\""),
    ],
)
def test_what_is_refused(
    args: list[str], code: int, message: str, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.done(runs.job(GOOD), name="x")
    assert main(["wait", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
