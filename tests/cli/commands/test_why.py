"""`jobctl why`: the sentences and the fields behind them. Every situation is in core/test_why.py."""

from __future__ import annotations

import json
import re

import pytest
from daemons import waiting_daemon
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Compensation, Poll, RetryPolicy, Step, Timeouts, encode
from jobctl.core.run.history import EventType
from jobctl.core.run.newrun import created
from jobctl.core.run.rows import NewRun
from jobctl.engines.local.submit import record

HOUR = 3_600_000
LONG = 5_400_000  # told as 1 h, however long the test takes
WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def why(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    assert main(["why", *args]) == 0
    return capsys.readouterr().out


def test_the_sentence_and_the_runs_deadline(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    step = Step("pay", command="exit 7", retry=RetryPolicy(3, LONG))
    run = runs.start(runs.job(step, timeout=4 * HOUR))
    runs.until(lambda: run.state.step("pay").retry_at is not None)
    sentence = (
        r"step pay: attempt 1 failed \(exit code 7\); attempt 2 starts in 1 h; 2 attempts left;"
        r" the run's deadline is in 3 h"
    )
    assert re.fullmatch(sentence + "\n", why(capsys, run.name))
    document = json.loads(why(capsys, run.name, "--json"))
    assert {key: document[key] for key in ("id", "job", "status", "interrupted")} == {
        "id": run.name,
        "job": "job",
        "status": "running",
        "interrupted": False,
    }
    assert re.fullmatch(sentence, document["why"])
    retry, deadline = document["reasons"]
    assert {**retry, "text": "", "until": ""} == {
        "kind": "retry",
        "step": "pay",
        "until": "",
        "text": "",
        "commands": [],
        "attempt": 1,
        "attempts_left": 2,
        "error": "exit code 7",
    }
    assert re.fullmatch(WHEN, retry["until"])
    assert (deadline["kind"], deadline["step"]) == ("deadline", None)


def test_status_says_the_same(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", signal="go"), Step("b", approval="sure?")))
    runs.until(lambda: len(run.state.steps) == 2)
    sentences = why(capsys, run.name).splitlines()
    assert len(sentences) == 2
    assert main(["status", run.name]) == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("  why  ")] == [
        f"  why        {sentence}" for sentence in sentences
    ]


def test_of_many_reasons_status_shows_some_and_names_the_command(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.start(runs.job(*(Step(f"s{i}", signal="go") for i in range(12))))
    runs.until(lambda: len(run.state.steps) == 12)
    assert len(why(capsys, run.name).splitlines()) == 12
    assert main(["status", run.name]) == 0
    assert f"             and 2 more: jobctl why {run.name}\n" in capsys.readouterr().out


def test_signs_of_life_come_from_the_attempts_files(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    beats = Step("a", command=f"echo 1 >> $JOBCTL_HEARTBEAT; {HELD}", timeouts=Timeouts(heartbeat=LONG))
    poll = Step("b", command="exit 1", poll=Poll(LONG, deadline=2 * LONG))
    run = runs.start(runs.job(beats, poll))
    runs.until(lambda: "b" in run.attempts and run.attempts["b"].between_probes and _beats(runs, run.name))
    [first, second] = why(capsys, run.name).splitlines()
    assert re.fullmatch(
        r"step a: attempt 1 has run for \d s; last heartbeat just now; its heartbeat passes in 1 h", first
    )
    assert second == ("step b: asked 1 time, it does not hold yet; asked again in 1 h; given up in 2 h (deadline)")
    document = json.loads(why(capsys, run.name, "--json"))
    assert document["reasons"][1]["asked"] == 1
    assert re.fullmatch(WHEN, document["reasons"][1]["next_at"])


def _beats(runs: Runs, name: str) -> bool:
    return (runs.folder / "state" / "runs" / name / "a.1.heartbeat").exists()


def test_how_often_a_poll_was_asked_outlives_who_asked(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command="exit 1", poll=Poll(1, backoff_coefficient=10_000.0))))
    runs.until(lambda: "a" in run.attempts and run.attempts["a"].probes == 2)
    runs.die()
    taken = runs.engine.take(run.id, run.job, env_file={})
    assert taken is not None
    runs.until(lambda: taken.attempts["a"].between_probes)
    assert "asked 3 times, it does not hold yet; asked again in 1 day" in why(capsys, run.name)


def test_interrupted_with_and_without_a_daemon(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    runs.die()
    assert f"take it up here: jobctl resume {run.name}, or have a daemon do it: jobctl daemon\n" in why(
        capsys, run.name
    )
    with waiting_daemon(runs.store):
        assert "; the daemon takes it up within some seconds\n" in why(capsys, run.name)


@pytest.mark.parametrize("daemon", [True, False])
def test_queued_runs_say_what_is_before_them(runs: Runs, capsys: pytest.CaptureFixture[str], daemon: bool) -> None:
    job = runs.job(Step("main", command="true"), queue="media")
    for number, priority in enumerate((0, 5, 0, 0)):
        new = NewRun(f"job-{number}", "job", encode(job), queue="media", priority=priority)
        record(runs.store, new, [created(new, {}, 0)])
    with runs.store.transaction() as db:
        db.execute("UPDATE runs SET status = 'running', wake_at = NULL WHERE name = 'job-0'")
    try:
        expected = "it waits for a place in the queue media, taken by job-0; 2 runs before it wait too"
        if daemon:
            with waiting_daemon(runs.store):
                assert why(capsys, "job-3") == expected + "\n"
        else:
            assert why(capsys, "job-3") == (
                f"{expected}; no daemon runs here to begin it: jobctl daemon, or here and now: jobctl resume job-3\n"
            )
    finally:
        with runs.store.transaction() as db:
            db.execute("UPDATE runs SET status = 'queued' WHERE name = 'job-0'")


def test_behind_a_run_of_its_job(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    job = runs.job(Step("main", command="true"))
    for number in range(2):
        new = NewRun(f"job-{number}", "job", encode(job), trigger="schedule")
        record(runs.store, new, [created(new, {}, 0)])
    assert why(capsys, "job-1").startswith(
        "it waits for job-0 to end, as the overlap policy of its job says; no daemon"
    )


def test_an_end_says_why_and_what_can_be_done(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    name = runs.done(
        runs.job(Step("a", command="true", compensate=Compensation("true")), Step("b", command="exit 3", needs=("a",)))
    )
    assert why(capsys, name) == (
        "it failed just now: step b: exit code 3 (it was the only attempt); it was rolled back:"
        f" jobctl resume {name} --from a, or a new run: jobctl run job\n"
    )


def test_who_paused_it(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    runs.ask(run, EventType.RUN_PAUSED, "lunch")
    assert why(capsys, run.name).startswith(
        f"it was paused just now by me (lunch); no attempt starts until: jobctl resume {run.name}\n"
    )


@pytest.mark.parametrize(("args", "code"), [(["nothing"], 3), ([], 2), (["a", "b"], 2)])
def test_what_there_is_not(runs: Runs, args: list[str], code: int) -> None:
    runs.done(runs.job(Step("main", command="true")))
    assert main(["why", *args]) == code
