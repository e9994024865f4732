"""`jobctl pause`: nothing new starts, wherever the run is, until it is taken up again."""

from __future__ import annotations

import json

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Step

STEPS = (Step("a", command=HELD), Step("b", needs=("a",), command="touch later"))


@pytest.mark.parametrize("held", [True, False])
def test_what_runs_ends_and_nothing_new_starts(runs: Runs, capsys: pytest.CaptureFixture[str], held: bool) -> None:
    run = runs.start(runs.job(*STEPS))
    if not held:
        runs.die()
    assert main(["pause", run.name, "--reason", "lunch"]) == 0
    assert capsys.readouterr().out == f"{run.name}: paused; go on with: jobctl resume {run.name}\n"
    runs.let_go()
    if held:
        runs.until(lambda: run.state.step("a").status == "succeeded")
        for _ in range(5):
            runs.engine.turn(10)
    row = runs.store.find(run.name)
    assert (row.status, row.reason) == ("paused", "lunch")
    assert not (runs.folder / "later").exists()
    capsys.readouterr()
    assert main(["status", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waiting_for"]["kind"] == "pause"
    assert main(["resume", run.name]) == 0
    if held:
        runs.until(lambda: not runs.engine.busy)
    assert runs.store.find(run.name).status == "succeeded"
    assert (runs.folder / "later").exists()


def test_twice_is_no_error_and_over_is(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(*STEPS))
    assert main(["pause", run.name]) == 0
    assert main(["pause", run.name]) == 0
    over = runs.done(runs.job(Step("main", command="true")))
    capsys.readouterr()
    assert main(["pause", over]) == 1
    assert "is over" in capsys.readouterr().err
    assert main(["resume", run.name]) == 0
