"""`jobctl ack`: somebody knows of a failed run, and its history says who and why."""

from __future__ import annotations

import json

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import EventType


def _events(runs: Runs, name: str) -> list[EventType]:
    return [event.type for event in runs.store.events(runs.store.find(name).id)]


@pytest.mark.parametrize("command", ["exit 3", "true"])
def test_only_what_has_failed_is_acknowledged(runs: Runs, capsys: pytest.CaptureFixture[str], command: str) -> None:
    name = runs.done(runs.job(Step("a", command=command)))
    failed = command != "true"
    assert main(["ack", name, "--reason", "the disk"]) == (0 if failed else 1)
    output, errors = capsys.readouterr()
    if not failed:
        assert "has not failed: it is succeeded" in errors
        assert EventType.RUN_ACKNOWLEDGED not in _events(runs, name)
        return
    assert output == f"{name}: acknowledged\n"
    assert main(["ack", name]) == 0  # who asks again is told so, and nothing is recorded
    assert capsys.readouterr().out == f"{name}: somebody knew already\n"
    assert _events(runs, name).count(EventType.RUN_ACKNOWLEDGED) == 1
    assert main(["history", name]) == 0
    assert "acknowledged: the disk by " in capsys.readouterr().out
    row = runs.store.find(name)
    assert (row.status, runs.store.state(row).status) == ("failed", "failed")


def test_one_that_is_under_way_is_none(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command=HELD)))
    assert main(["ack", run.name]) == 1
    assert "is not over" in capsys.readouterr().err


def test_one_that_was_acknowledged_can_be_resumed_and_fails_anew(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    name = runs.done(runs.job(Step("a", command="exit 3")))
    assert main(["ack", name]) == 0
    assert main(["resume", name]) == 1
    assert main(["status", "--check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out.partition('{\n  "ok"')[2].join(['{"ok"', ""]))
    assert [one["run"] for one in found["problems"] if one["kind"] == "failed"] == [name]
    assert main(["ack", name]) == 0
