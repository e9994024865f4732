"""A run now, as if the schedule fired: the overlap policy counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from daemons import waiting_daemon
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Step


def _define(folder: Path, overlap: str = "skip") -> None:
    (folder / "jobs.toml").write_text(
        f'[jobs.tick]\nschedule = {{ every = "1000d" }}\noverlap = "{overlap}"\ncommand = "true"\n'
        'params = { day = "monday" }\n[jobs.plain]\ncommand = "true"\n'
    )


def test_a_run_is_queued_and_the_daemon_woken(runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    with waiting_daemon(runs.store) as daemon:
        assert main(["schedule", "trigger", "tick", "-p", "day=friday"]) == 0
        assert daemon.woken()
    name = capsys.readouterr().out.strip()
    row = runs.store.find(name)
    assert (row.job, row.status, row.trigger) == ("tick", "queued", "schedule")
    assert row.fire_time is not None
    assert 0 <= row.created_at - row.fire_time < 1_000
    assert runs.store.state(row).params == {"day": "friday"}


def test_as_json(runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    with waiting_daemon(runs.store):
        assert main(["schedule", "trigger", "tick", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert (run["job"], run["status"], run["trigger"]) == ("tick", "queued", "schedule")


@pytest.mark.parametrize(
    ("overlap", "code", "asked"),
    [
        ("skip", 1, None),
        ("buffer_one", 0, None),
        ("buffer_all", 0, None),
        ("allow_all", 0, None),
        ("cancel_other", 0, "cancel_requested"),
        ("terminate_other", 0, "terminate_requested"),
    ],
)
def test_while_a_run_is_alive(
    overlap: str, code: int, asked: str | None, runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _define(folder, overlap)
    other = runs.start(runs.job(Step("main", command=HELD), name="tick"))
    with waiting_daemon(runs.store):
        assert main(["schedule", "trigger", "tick"]) == code
    said = capsys.readouterr()
    assert len(runs.store.history(job="tick")) == 2 - code
    if code:
        assert said.err.startswith("error: no run of tick was started: a run was still alive (overlap = skip)\nhint: ")
    history = [str(event.type) for event in runs.store.events(other.id)]
    assert [kind for kind in history if kind.endswith("requested")] == ([asked] if asked else [])


def test_one_buffered_run_is_enough(runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder, "buffer_one")
    runs.start(runs.job(Step("main", command=HELD), name="tick"))
    with waiting_daemon(runs.store):
        assert main(["schedule", "trigger", "tick"]) == 0
        assert main(["schedule", "trigger", "tick"]) == 1
    assert "one run was waiting already (overlap = buffer_one)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["tack"], 3, "there is no job 'tack'"),
        (["plain"], 1, "job plain has no schedule"),
        (["tick", "-p", "week=1"], 2, "job tick has no parameter 'week'"),
        (["tick", "-p", "day"], 2, "-p 'day' is not KEY=VALUE"),
    ],
)
def test_what_cannot_be(
    args: list[str], code: int, error: str, runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And then no other run is ended for it."""
    _define(folder, "cancel_other")
    other = runs.start(runs.job(Step("main", command=HELD), name="tick"))
    with waiting_daemon(runs.store):
        assert main(["schedule", "trigger", *args]) == code
    assert capsys.readouterr().err.startswith(f"error: {error}")
    assert runs.store.run(other.id).seq == other.seq


def test_who_wants_a_daemon_is_told_that_there_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    assert main(["schedule", "trigger", "tick", "--require-daemon"]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: no daemon runs on ")
    assert hint == "hint: start one with: jobctl daemon; or run it in the foreground: jobctl run tick"
