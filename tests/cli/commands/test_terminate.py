"""`jobctl terminate`: killed at once, and nothing of the run after it."""

from __future__ import annotations

import json

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Compensation, Step, When

STEPS = (
    Step("a", command="touch ran", compensate=Compensation("touch undone")),
    Step("b", needs=("a",), command="trap '' TERM; touch up; while :; do sleep 0.02; done"),
    Step("c", needs=("b",), command="touch always", when=When.ALWAYS),
)


@pytest.mark.parametrize("held", [True, False])
def test_nothing_runs_after_it(runs: Runs, capsys: pytest.CaptureFixture[str], held: bool) -> None:
    run = runs.start(runs.job(*STEPS, kill_grace=60_000))
    runs.until(lambda: (runs.folder / "up").exists())
    if not held:
        runs.die()
    assert main(["terminate", run.name, "--json", "--reason", "now"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == [{"id": run.name, "result": "terminating" if held else "terminated"}]
    if held:
        runs.until(lambda: not runs.engine.busy)
    row = runs.store.find(run.name)
    assert (row.status, row.reason) == ("terminated", "now")
    assert not (runs.folder / "undone").exists()
    assert not (runs.folder / "always").exists()


def test_a_run_that_is_over_stays_as_it_is(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    name = runs.done(runs.job(Step("main", command="true")))
    assert main(["terminate", name]) == 1
    assert "is over: it has succeeded" in capsys.readouterr().err
    assert runs.store.find(name).status == "succeeded"
