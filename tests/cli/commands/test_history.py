"""Past runs and how they are chosen; the events of one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from live_runs import HELD, Runs

import looked
from jobctl.cli.main import main
from jobctl.core.model import RetryPolicy, Step
from jobctl.views.documents import event_document

GOOD = Step("main", command="true")
BAD = Step("main", command="exit 3")
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
TOOK = r"[\dms. ]+s"


def history(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["history", *args]) == 0
    return capsys.readouterr().out


def ids(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    return [run["id"] for run in json.loads(history(capsys, *args, "--json"))]


def test_newest_first(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    first = runs.done(runs.job(BAD, name="a"))
    second = runs.start(runs.job(Step("main", command=HELD), name="b")).name
    lines = history(capsys).splitlines()
    assert lines[0].split() == ["RUN", "JOB", "STATUS", "STARTED", "TIME", "REASON"]
    assert re.fullmatch(rf"{second} +b +running +{TIME} \(.*\) +{TOOK} so far", lines[1])
    assert re.fullmatch(rf"{first} +a +failed +{TIME} \(.*\) +{TOOK} +step main: exit code 3", lines[2])
    assert json.loads(history(capsys, "--json")) == [
        looked.summary(runs.store, runs.store.find(name)) for name in (second, first)
    ]


def test_a_run_that_nobody_is_at_is_called_so(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs.start(runs.job(Step("main", command=HELD)))
    runs.die()
    assert " interrupted " in history(capsys)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ["b2", "b1", "a2", "a1"]),
        (["--limit", "2"], ["b2", "b1"]),
        (["a"], ["a2", "a1"]),
        (["--status", "failed"], ["b1", "a1"]),
        (["a", "--status", "failed"], ["a1"]),
        (["--status", "failed", "--status", "succeeded", "--limit", "3"], ["b2", "b1", "a2"]),
        (["--status", "paused"], []),
        (["--tag", "night"], ["b2"]),
        (["--since", "1h"], ["b2", "b1", "a2", "a1"]),
        (["--until", "1h"], []),
        (["--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z"], []),
    ],
)
def test_what_is_chosen(args: list[str], expected: list[str], runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    for job, number, step, tags in (
        ("a", 1, BAD, ()),
        ("a", 2, GOOD, ()),
        ("b", 1, BAD, ()),
        ("b", 2, GOOD, ("night",)),
    ):
        runs.done(runs.job(step, name=job, tags=tags), name=f"{job}{number}")
    assert ids(capsys, *args) == expected


def test_nothing_to_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.backup]\ncommand = "true"\n')
    for args in ([], ["backup"]):
        assert main(["history", *args]) == 0
        assert capsys.readouterr() == ("", "nothing has run here yet\n")
    assert json.loads(history(capsys, "--json")) == []


def test_a_job_that_has_not_run_is_no_error(folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.backup]\ncommand = "true"\n')
    runs.done(runs.job(GOOD))
    assert main(["history", "backup"]) == 0
    assert capsys.readouterr() == ("", "job backup has not run yet\n")


def test_the_events_of_a_run(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    name = runs.done(runs.job(Step("main", command="exit 3", retry=RetryPolicy(2, 40))))
    expected = [
        "run created",
        "taken by executor [0-9a-f]+",
        "step main, attempt 1 started",
        "step main, attempt 1 failed: exit code 3; next attempt in 40ms",
        "step main, attempt 2 started",
        r"step main, attempt 2 failed: exit code 3; no retry: .*",
        "run failed: step main: exit code 3",
    ]
    for line, pattern in zip(history(capsys, name).splitlines(), expected, strict=True):
        assert re.fullmatch(rf"{TIME}  \+[\dms.]+ +{pattern}", line)
    documents = json.loads(history(capsys, name, "--json"))
    assert [document["seq"] for document in documents] == [1, 2, 3, 4, 5, 6, 7]
    assert documents[2]["type"] == "attempt_started"
    assert documents[2]["attempt"] == 1
    assert documents == [
        event_document(event, number) for number, event in enumerate(runs.store.events(runs.store.find(name).id), 1)
    ]


@pytest.mark.parametrize(("target", "is_run"), [("both", True), ("other", False), ("other-1", True), ("other-", True)])
def test_a_name_means_a_run_then_a_job_then_the_beginning_of_a_run(
    target: str, is_run: bool, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.done(runs.job(GOOD, name="other"), name="both")
    runs.done(runs.job(GOOD, name="both"), name="x")
    runs.done(runs.job(GOOD, name="other"), name="other-1")
    assert ("run created" in history(capsys, target)) is is_run


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--limit", "0"], 2, "--limit is below 1"),
        (["--since", "1h", "--until", "2h"], 2, "--since is not before --until"),
        (["--since", "soon"], 2, "--since: 'soon' is not a time"),
        (["x", "--since", "1h"], 2, "x is a run: --limit, --since"),
        (["x", "--limit", "5"], 2, "x is a run: --limit, --since"),
        (["nope"], 3, "there is no run 'nope'"),
    ],
)
def test_what_is_refused(
    args: list[str], code: int, message: str, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.done(runs.job(GOOD), name="x")
    assert main(["history", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
