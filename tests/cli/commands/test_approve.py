"""`jobctl approve`: yes to the question a run has, by whom and with which words; also what `reject` has in common."""

from __future__ import annotations

import json

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import EventType

ASK = Step("ask", approval="deploy to production?")
WORK = Step("work", needs=("ask",), command="touch done")


def test_it_is_recorded_with_who_said_so_and_the_run_goes_on(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    run = runs.start(runs.job(ASK, WORK))
    assert main(["status", run.name]) == 0
    assert (
        f"an answer to 'deploy to production?': jobctl approve {run.name}, or jobctl reject" in capsys.readouterr().out
    )
    assert main(["approve", run.name, "--comment", "after lunch"]) == 0
    assert capsys.readouterr().out == f"{run.name}: approved\n"
    runs.until(lambda: not runs.engine.busy)
    assert (runs.folder / "done").exists()
    (answer,) = [e for e in runs.store.events(run.id) if e.type is EventType.APPROVAL_ANSWERED]
    assert (answer.step, dict(answer.data)) == ("ask", {"approved": True, "by": "anna", "comment": "after lunch"})
    assert main(["history", run.name]) == 0
    told = capsys.readouterr().out
    assert "step ask waits for an answer to: deploy to production?" in told
    assert "step ask approved by anna: after lunch" in told
    assert main(["--json", "status", run.name]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["outputs"] == {"by": "anna", "comment": "after lunch"}


def test_json(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(ASK))
    assert main(["approve", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"id": run.name, "result": "approved"}]


def test_of_several_questions_one_is_named(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(ASK, Step("tell", approval="tell everybody?")))
    assert main(["approve", run.name]) == 1
    told = capsys.readouterr().err
    assert "waits for several approvals: ask, tell" in told
    assert f"jobctl approve {run.name} ask" in told
    assert main(["status", run.name]) == 0
    assert f"jobctl approve {run.name} ask, or jobctl reject" in capsys.readouterr().out
    assert main(["approve", run.name, "tell"]) == 0
    assert main(["approve", run.name]) == 0
    runs.until(lambda: not runs.engine.busy)
    assert run.state.status == "succeeded"


@pytest.mark.parametrize("command", ["approve", "reject"])
@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["nobody"], 3, "there is no run 'nobody'", "jobctl history"),
        (["job-000001", "aks"], 3, "has no step 'aks'", "did you mean `ask`?"),
        (["job-000001", "work"], 1, "step work of run job-000001 does not wait for an approval now", "jobctl status"),
        (["job-000002"], 1, "run job-000002 does not wait for an approval now", "jobctl status"),
        (["job-000003"], 1, "run job-000003 is over: it has succeeded", "jobctl status"),
    ],
)
def test_what_cannot_be_answered(
    runs: Runs,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: list[str],
    code: int,
    error: str,
    hint: str,
) -> None:
    asking = runs.start(runs.job(ASK, WORK), name="job-000001")
    runs.start(runs.job(Step("a", sleep=60_000)), name="job-000002")
    runs.done(runs.job(Step("main", command="true")), name="job-000003")
    assert main([command, *arguments]) == code
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert (error in first, hint in second) == (True, True)
    assert all(event.type is not EventType.APPROVAL_ANSWERED for event in runs.store.events(asking.id))


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_an_answer_is_given_once(runs: Runs, capsys: pytest.CaptureFixture[str], command: str) -> None:
    run = runs.start(runs.job(ASK))
    runs.die()
    assert main([command, run.name]) == 0
    assert main(["approve", run.name]) == 1
    assert main(["reject", run.name]) == 1
    assert "does not wait for an approval now" in capsys.readouterr().err
    assert main(["resume", run.name]) == (0 if command == "approve" else 1)
