"""`jobctl signal`: what it sends, to which runs, and what it says of those it cannot reach."""

from __future__ import annotations

import json

import pytest
from daemons import waiting_daemon
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import EventType

PAYMENT = Step("a", signal="payment")


def sent(runs: Runs, name: str) -> list[dict[str, object]]:
    events = runs.store.events(runs.store.find(name).id)
    return [dict(event.data) for event in events if event.type is EventType.SIGNAL_RECEIVED]


@pytest.mark.parametrize(
    ("data", "payload", "outputs"),
    [
        ([], None, {}),
        (["--data", '{"amount": 5}'], {"amount": 5}, {"amount": 5}),
        (["--data", '"text"'], "text", {"value": "text"}),
        (["--data", "[1, null]"], [1, None], {"value": [1, None]}),
        (["--data", "0"], 0, {"value": 0}),
    ],
)
def test_it_is_recorded_with_who_sent_it_and_ends_the_wait(
    runs: Runs,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    data: list[str],
    payload: object,
    outputs: dict[str, object],
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    run = runs.start(runs.job(PAYMENT))
    assert main(["signal", run.name, "payment", *data]) == 0
    assert capsys.readouterr().out == f"{run.name}: signal payment sent\n"
    (found,) = sent(runs, run.name)
    assert found == {"name": "payment", "by": "anna"} | ({} if payload is None else {"payload": payload})
    runs.until(lambda: not runs.engine.busy)
    assert run.state.step("a").outputs == outputs
    assert main(["history", run.name]) == 0
    told = capsys.readouterr().out
    assert "step a waits for the signal payment" in told
    assert "signal payment sent by anna" in told


def test_json(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(PAYMENT))
    assert main(["--json", "signal", run.name, "payment"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"id": run.name, "result": "signal payment sent"}]


def test_one_that_comes_early_is_kept_also_by_an_interrupted_run(runs: Runs) -> None:
    held = Step("first", command="until [ -e go ]; do sleep 0.01; done")
    run = runs.start(runs.job(held, Step("a", needs=("first",), signal="payment")))
    runs.die()
    assert main(["signal", run.name, "payment", "--data", "7"]) == 0
    runs.let_go()
    assert main(["resume", run.name]) == 0
    assert runs.store.state(runs.store.find(run.name)).steps["a"].outputs == {"value": 7}


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["nobody", "payment"], 3, "there is no run 'nobody'", "jobctl history"),
        (["job-000001", "paymnt"], 3, "has no step that waits for a signal 'paymnt'", "did you mean `payment`?"),
        (["job-000001", "x"], 3, "has no step that waits for a signal 'x'", "known: payment"),
        (["job-000001", "payment", "--data", "{"], 2, "--data is not JSON", "--data '{\"amount\": 5}'"),
        (["job-000001", "payment", "--data", "text"], 2, "--data is not JSON", "a text is quoted twice"),
        (["job-000001", "payment", "--data", ""], 2, "--data is not JSON", "a text is quoted twice"),
        (["job-000001", "payment", "--data", "[" * 50_000], 2, "--data is not JSON", "a text is quoted twice"),
        (["job-000001", "payment", "--data", "9" * 5_000], 2, "--data is not JSON", "a text is quoted twice"),
        (["job-000001", "payment", "--data", "NaN"], 2, "cannot be kept", "plain JSON"),
        (["job-000001", "payment", "--data", '"\\ud800"'], 2, "cannot be kept", "plain JSON"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_sent(
    runs: Runs, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, error: str, hint: str
) -> None:
    run = runs.start(runs.job(PAYMENT), name="job-000001")
    assert main(["signal", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()[:2]
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert sent(runs, run.name) == []


def test_a_job_that_waits_for_no_signal_at_all(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", sleep=60_000)))
    assert main(["signal", run.name, "payment"]) == 3
    assert "hint: there are none" in capsys.readouterr().err


def test_a_run_that_is_over(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(PAYMENT))
    assert main(["signal", run.name, "payment"]) == 0
    runs.until(lambda: not runs.engine.busy)
    assert main(["signal", run.name, "payment"]) == 1
    assert f"run {run.name} is over: it has succeeded" in capsys.readouterr().err


def test_a_daemon_is_woken_for_a_run_that_is_asleep(runs: Runs) -> None:
    run = runs.start(runs.job(PAYMENT))
    runs.die()
    runs.store._db.execute("UPDATE runs SET executor = NULL, wake_at = ?", (1 << 62,))
    with waiting_daemon(runs.store) as daemon:
        assert main(["signal", run.name, "payment"]) == 0
        assert daemon.woken()
    row = runs.store.find(run.name)
    assert row.wake_at == runs.store.events(row.id)[-1].at
