"""Paused schedules go on from now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.host import clock
from jobctl.store import firings

HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _jobs(folder: Path) -> None:
    (folder / "jobs.toml").write_text(
        "".join(f'[jobs.{job}]\nschedule = "30 2 * * *"\ncommand = "true"\n' for job in ("backup", "tick"))
    )


def test_resume(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    main(["schedule", "pause", "tick"])
    capsys.readouterr()
    assert main(["schedule", "resume", "tick", "backup", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"job": "tick", "result": "resumed"},
        {"job": "backup", "result": "was not paused"},
    ]
    assert firings.paused(runs.store) == {}


def test_what_came_meanwhile_is_not_caught_up(runs: Runs) -> None:
    """The daemon passes fire times over while they come; those that no daemon saw are behind as well."""
    before = clock.now()
    (entry,) = firings.sync(runs.store, [("tick", "k", "f")], ["f"], before - 10 * HOUR)
    main(["schedule", "pause", "tick"])
    main(["schedule", "resume", "tick"])
    assert firings.progress(runs.store, [entry.id])[entry.id] >= before
