"""`jobctl cancel`: of runs that somebody has, that nobody has, and of several."""

from __future__ import annotations

import json
import os

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Compensation, RetryPolicy, Step
from jobctl.core.run.history import EventType

SLOW = Step("main", command="echo up; sleep 60")


def test_a_run_that_somebody_has_is_asked(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(SLOW))
    assert main(["cancel", run.name, "--reason", "lunch"]) == 0
    assert capsys.readouterr().out == f"{run.name}: canceling\n"
    runs.until(lambda: not runs.engine.busy)
    row = runs.store.find(run.name)
    assert (row.status, row.reason) == ("canceled", "lunch")
    asked = next(e for e in runs.store.events(row.id) if e.type is EventType.CANCEL_REQUESTED)
    assert asked.data["by"]


@pytest.mark.parametrize("flags", [[], ["--json"], ["-q"]])
def test_a_run_that_nobody_has_is_ended_here(runs: Runs, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    undo = Compensation("touch undone", RetryPolicy())
    run = runs.start(runs.job(Step("main", command=HELD, compensate=undo), kill_grace=100))
    runs.die()
    assert main(["cancel", run.name, *flags]) == 0
    told = capsys.readouterr()
    assert runs.store.find(run.name).status == "canceled"
    assert (runs.folder / "undone").exists()
    if flags == ["--json"]:
        assert json.loads(told.out) == [{"id": run.name, "result": "canceled"}]
    elif flags == ["-q"]:
        assert told.out == ""
    else:
        assert told.out.splitlines()[-1] == f"{run.name}: canceled"


def test_several_at_once_each_for_itself(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    over = runs.done(runs.job(Step("main", command="true")))
    first, second = runs.start(runs.job(SLOW)), runs.start(runs.job(SLOW))
    assert main(["cancel", first.name, "nobody", over, second.name, first.name, "--json"]) == 3
    told = capsys.readouterr()
    documents = json.loads(told.out)
    assert [document["id"] for document in documents] == [first.name, "nobody", over, second.name]
    assert ["error" in document for document in documents] == [False, True, True, False]
    assert "there is no run 'nobody'" in told.err
    assert "is over" in told.err
    runs.until(lambda: not runs.engine.busy)
    assert {runs.store.find(run.name).status for run in (first, second)} == {"canceled"}


@pytest.mark.parametrize(("name", "code", "says"), [("done", 1, "is over"), ("nobody", 3, "there is no run")])
def test_what_cannot_be_canceled(
    runs: Runs, capsys: pytest.CaptureFixture[str], name: str, code: int, says: str
) -> None:
    runs.done(runs.job(Step("main", command="true")), name="done")
    assert main(["cancel", name]) == code
    told = capsys.readouterr().err
    assert says in told
    assert "hint: " in told


def test_it_needs_no_secrets(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ})
    run = runs.start(
        runs.job(SLOW, env={"API_TOKEN": "hush"}, file=str(runs.folder / "gone.toml"), env_file="gone.env")
    )
    runs.die()
    assert main(["cancel", run.name]) == 0
    assert runs.store.find(run.name).status == "canceled"


@pytest.mark.parametrize("command", ["cancel", "terminate", "pause"])
def test_a_reason_is_text(runs: Runs, capsys: pytest.CaptureFixture[str], command: str) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    assert main([command, run.name, "--reason", "\udc80"]) == 2
    assert "the reason holds bytes that are no UTF-8" in capsys.readouterr().err
