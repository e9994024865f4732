"""What runs, what ran, one run in detail, and the exit codes of --exit-status."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from live_runs import HELD, Runs

import looked
from jobctl.cli.main import main
from jobctl.core.model import Compensation, RetryPolicy, Step, Timeouts, When
from jobctl.core.run.history import EventType

JOBS = """\
[jobs.backup]
schedule = { every = "1000d" }
command = "true"
[jobs.trip]
command = "true"
"""

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(.+?\)"
TOOK = r"[\dms. ]+s"


def status(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["status", *args]) == code
    return capsys.readouterr().out


def test_before_anything_has_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    lines = status(capsys).splitlines()
    assert lines[0] == "nothing has run here yet; no daemon runs here"
    assert re.fullmatch(rf"backup  -         -       -        -     {TIME}", lines[3])
    assert lines[4] == "trip    -         -       -        -     -"
    document = json.loads(status(capsys, "--json"))
    assert document["runs"] == document["problems"] == []
    assert [job["job"] for job in document["jobs"]] == ["backup", "trip"]
    assert not (folder / "state").exists()


def test_without_definitions_it_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    assert "jobctl init" in capsys.readouterr().err


def test_the_overview(folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    failed = runs.done(runs.job(Step("main", command="exit 3"), name="trip"))
    gone = runs.done(runs.job(Step("main", command="true"), name="undefined"))
    lines = status(capsys).splitlines()
    assert lines[:2] == ["no daemon runs here: schedules do not start runs by themselves", ""]
    assert lines[2].split() == ["JOB", "LAST", "RUN", "STATUS", "STARTED", "TIME", "NEXT"]
    assert re.fullmatch(rf"backup +- +- +- +- +{TIME}", lines[3])
    assert re.fullmatch(rf"trip +{failed} +failed +{TIME} +{TOOK} +-", lines[4])
    assert re.fullmatch(rf"undefined +{gone} +succeeded +{TIME} +{TOOK} +-", lines[5])

    document = json.loads(status(capsys, "--json"))
    assert document["daemon"] is None
    assert document["runs"] == []
    assert [(job["job"], job["schedule"]) for job in document["jobs"]] == [
        ("backup", "every 1000d"),
        ("trip", None),
        ("undefined", None),
    ]
    assert document["jobs"][0]["next_fire_at"]
    assert document["jobs"][1]["last_run"] == looked.summary(runs.store, runs.store.find(failed))


def test_what_runs_now(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    held = runs.start(runs.job(Step("a", command=HELD), Step("b", command=HELD), name="two"))
    once = RetryPolicy(3, 100_000)
    waiting = runs.start(runs.job(Step("main", command="false", retry=once), name="again"))
    paused = runs.start(runs.job(Step("main", command=HELD), name="slow"))
    runs.ask(paused, EventType.RUN_PAUSED)
    runs.until(lambda: waiting.state.step("main").retry_at is not None)
    table = status(capsys).split("\n\n")[1].splitlines()
    assert table[0].split() == ["RUN", "STATUS", "TIME", "NOW"]
    expected = [
        rf"{held.name} +running +{TOOK} so far +step a, step b",
        rf"{waiting.name} +running +{TOOK} so far +step main: attempt 1 failed \(exit code 1\);"
        r" attempt 2 starts in 1 min; 2 attempts left",
        rf"{paused.name} +paused +{TOOK} so far +it was paused just now by me \(because\); no attempt starts until:"
        rf" jobctl resume {paused.name}",
    ]
    for line, pattern in zip(table[1:], expected, strict=True):
        assert re.fullmatch(pattern, line)
    document = json.loads(status(capsys, "--json"))
    assert [run["id"] for run in document["runs"]] == [held.name, waiting.name, paused.name]
    assert document["runs"][0]["executor"]["kind"] == "foreground"


def test_an_interrupted_run(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    runs.die()
    table = status(capsys).split("\n\n")[1]
    assert re.search(rf"{run.name}  interrupted .*jobctl resume {run.name}", table)
    detail = status(capsys, run.name)
    assert detail.startswith(f"{run.name}: interrupted\n")
    assert "the process that ran it is gone" in detail
    assert f"  go on      jobctl resume {run.name}; to stop it: jobctl cancel {run.name}\n" in detail


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_invalid_definitions_are_said_in_one_line(
    args: list[str], folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    name = runs.done(runs.job(Step("main", command="true")))
    (folder / "jobs.toml").write_text('[jobs.a]\ncomand = "true"\n[jobs.b]\n')
    assert main(["status", *args]) == 0
    out, err = capsys.readouterr()
    assert name in out
    if args:
        assert [problem["job"] for problem in json.loads(out)["problems"]] == ["a", "b"]
        assert [problem["line"] for problem in json.loads(out)["problems"]] == [2, 3]
    else:
        assert err.startswith("warning: jobs.toml:2: job a, comand: there is no key")
        assert err.endswith("(and 1 more: jobctl validate)\n")


def test_a_damaged_history_does_not_hide_the_others(
    folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = runs.start(runs.job(Step("main", command=HELD), name="damaged"))
    sound = runs.start(runs.job(Step("main", command=HELD), name="sound"))
    with sqlite3.connect(folder / "state" / "jobctl.db") as db:
        db.execute("UPDATE events SET type = 99 WHERE run = ? AND seq = 2", (damaged.id,))
    db.close()
    assert main(["status"]) == 0
    out, err = capsys.readouterr()
    assert re.search(rf"{sound.name} +running .* step main", out)
    assert re.search(rf"{damaged.name} +running .* cannot be read: jobctl doctor --deep", out)
    assert f"the history of run {damaged.name} cannot be read: an event of the unknown type '99'" in err
    assert main(["terminate", damaged.name]) != 0
    assert "this one cannot be ended, either; see: jobctl doctor --deep" in capsys.readouterr().err
    with sqlite3.connect(folder / "state" / "jobctl.db") as db:
        db.execute("UPDATE events SET type = 2 WHERE run = ? AND seq = 2", (damaged.id,))
    db.close()


def test_a_run_in_detail(folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    first = Step(
        "load",
        command='echo 41 >> "$JOBCTL_HEARTBEAT"; echo rows=5 >> "$JOBCTL_OUTPUT"; test "$JOBCTL_ATTEMPT" = 2',
        retry=RetryPolicy(2, 1),
        compensate=Compensation("true"),
    )
    job = runs.job(
        first,
        Step("check", command="exit 7", needs=("load",)),
        Step("tell", command="true", needs=("check",)),
    )
    name = runs.done(job, params={"day": "monday\nnight"})
    expected = [
        rf"{name}: failed",
        r"  because    step check: exit code 7",
        r"  job        job",
        rf"  started    {TIME}",
        rf"  time       {TOOK}",
        r"  params     day=monday night",
        r"  steps",
        rf"    load   compensated, {TOOK}",
        rf"           attempt 1 failed, {TOOK}: exit code 1",
        rf"           attempt 2 succeeded, {TOOK}",
        r"           cursor 41",
        r"           output rows=5",
        r"           compensation succeeded",
        rf"             attempt 1 succeeded, {TOOK}",
        rf"    check  failed, {TOOK}: exit code 7",
        r"    tell   skipped",
        rf"  output     jobctl logs {name}",
        rf"  files      {folder}/state/runs/{name}",
        rf"  go on      it was rolled back: jobctl resume {name} --from STEP, or a new run: jobctl run job",
    ]
    for line, pattern in zip(status(capsys, name).splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, line)
    assert json.loads(status(capsys, "job", "--json")) == looked.run_document(runs.store, runs.store.find(name))


def test_a_compensation_that_is_tried_again(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    undone = Compensation("exit 3", retry=RetryPolicy(0, 600_000))
    steps = Step("load", command="true", compensate=undone), Step("check", command="exit 7", needs=("load",))
    run = runs.start(runs.job(*steps))
    runs.until(lambda: run.state.undo["load"].status == "waiting" if "load" in run.state.undo else False)
    said = status(capsys, run.name)
    assert re.search(r"compensation waiting for attempt 2, in \d+ \w+: exit code 3", said)
    waits = json.loads(status(capsys, run.name, "--json"))["waiting_for"]
    assert (waits["kind"], waits["name"]) == ("retry", "load")


def test_why_a_step_has_not_begun(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(
        runs.job(
            Step("a", command=HELD),
            Step("b", command="true", needs=("a",)),
            Step("c", command="true", when=When.FAILURE),
            Step("d", command="false", retry=RetryPolicy(2, 100_000)),
        )
    )
    runs.until(lambda: run.state.step("d").retry_at is not None)
    out = status(capsys, run.name)
    assert "    b  pending, needs a\n" in out
    assert "    c  pending, for when the run fails\n" in out
    assert re.search(r"    d  waiting, [\dms. ]+s: exit code 1\n", out)
    assert "  why        step d: attempt 1 failed (exit code 1); attempt 2 starts in 1 min; 1 attempt left\n" in out
    assert re.search(rf"    a  running, {TOOK} so far\n", out)
    assert f"  go on      jobctl logs -f {run.name}; to stop it: jobctl cancel {run.name}\n" in out


@pytest.mark.parametrize(
    ("step", "then", "code"),
    [
        (Step("main", command="true"), None, 0),
        (Step("main", command="exit 3"), None, 1),
        (Step("main", command="sleep 60", timeouts=Timeouts(start_to_close=10)), None, 1),
        (Step("main", command="sleep 60"), EventType.RUN_TIMED_OUT, 124),
        (Step("main", command="sleep 60"), EventType.CANCEL_REQUESTED, 130),
        (Step("main", command="sleep 60"), EventType.TERMINATE_REQUESTED, 137),
    ],
)
def test_exit_status(
    step: Step, then: EventType | None, code: int, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.start(runs.job(step, kill_grace=100))
    if then is not None:
        runs.ask(run, then)
    runs.until(lambda: not runs.engine.busy)
    assert status(capsys, run.name, "--exit-status", "-q", code=code) == ""
    assert status(capsys, run.name) != ""


def test_exit_status_of_a_run_that_goes_on(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    assert json.loads(status(capsys, run.name, "--exit-status", "--json", code=75))["status"] == "running"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--exit-status"], 2, "--exit-status is about one run"),
        (["backup"], 3, "job backup has not run yet\nhint: start it: jobctl run backup"),
        (["backpu"], 3, "there is no run 'backpu'\nhint: did you mean backup?"),
        (["zzz"], 3, "there is no run 'zzz'\nhint: see what has run with"),
    ],
)
def test_what_there_is_not(
    args: list[str], code: int, message: str, folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    runs.done(runs.job(Step("main", command="true")))
    assert main(["status", *args]) == code
    assert message in capsys.readouterr().err


def test_the_ordinary_call_loads_little(folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    runs.done(runs.job(Step("main", command="true"), name="trip"))
    status(capsys)  # from here on the definitions are remembered
    code = "import sys; from jobctl.cli.main import main; main(['status']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "jobctl.views.overview" in loaded
    heavy = {"dataclasses", "inspect", "tomllib", "zoneinfo", "rich", "typer", "sqlite_utils", "subprocess"}
    assert loaded & {*heavy, "jobctl.core.model", "jobctl.core.definition.jobs", "jobctl.engines.local.loop"} == set()


def test_of_very_many_runs_that_only_wait_those_that_wake_first_are_shown(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.start(runs.job(Step("nap", sleep=7_200_000)), name="job-000000")
    runs.die()
    with runs.store.transaction() as db:
        kept = "job, definition, status, seq, trigger, created_at, started_at, priority"
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            f" INSERT INTO runs (name, wake_at, {kept})"
            f" SELECT printf('job-%06d', i), 0, {kept} FROM n, runs WHERE id = 1"
        )
        copied = "e.seq, e.at, e.type, e.step, e.number, e.data"
        db.execute(f"INSERT INTO events SELECT r.id, {copied} FROM events e, runs r WHERE r.id > 1")
        db.execute("UPDATE runs SET wake_at = 9000000000000 + id, executor = NULL")
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert [f"job-{i:06}  running" in told for i in (0, 1, 19, 20)] == [True, True, True, False]
    assert "and 1,981 more that only wait: jobctl history --status running" in told
    assert main(["status", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2_001
