"""`jobctl reject`: no, and what follows. What both answers have in common is in test_approve.py."""

from __future__ import annotations

import json

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Compensation, RetryPolicy, Step
from jobctl.engines.local import control
from jobctl.host.host import Host

STEPS = (
    Step("work", command="true", compensate=Compensation("touch undone", RetryPolicy())),
    Step("ask", needs=("work",), approval="keep it?", retry=RetryPolicy(maximum_attempts=5)),
    Step("after", needs=("ask",), command="touch never"),
)


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ([], "step ask: rejected by anna"),
        (["--comment", "too dear"], "step ask: rejected by anna: too dear"),
    ],
)
def test_the_run_fails_without_retry_and_is_rolled_back(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, comment: list[str], reason: str
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    run = runs.start(runs.job(*STEPS))
    runs.until(lambda: run.state.step("ask").waiting is not None)
    assert main(["reject", run.name, *comment]) == 0
    assert capsys.readouterr().out == f"{run.name}: rejected\n"
    runs.until(lambda: not runs.engine.busy)
    row = runs.store.find(run.name)
    assert (row.status, row.reason) == ("failed", reason)
    assert (runs.folder / "undone").exists()
    assert not (runs.folder / "never").exists()
    assert main(["history", run.name]) == 0
    assert reason.replace("step ask: ", "step ask ") in capsys.readouterr().out
    assert main(["status", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][1]["error"] == reason.removeprefix("step ask: ")


def test_asked_again_it_can_be_approved(runs: Runs) -> None:
    run = runs.start(runs.job(Step("ask", approval="keep it?")))
    assert main(["reject", run.name]) == 0
    runs.until(lambda: not runs.engine.busy)
    control.reopen(
        runs.store, runs.store.find(run.name), run.job, definition=None, from_step=None, by="anna", host=Host()
    )
    assert runs.engine.take(run.id, run.job, env_file={}) is not None
    runs.engine.turn(0)
    assert main(["approve", run.name]) == 0
    runs.until(lambda: not runs.engine.busy)
    assert runs.store.find(run.name).status == "succeeded"
