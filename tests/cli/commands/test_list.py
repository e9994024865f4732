"""The jobs that are defined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobctl.cli.main import main

JOBS = """\
[jobs.backup]
description = "Nightly"
schedule = { cron = "30 2 * * *", timezone = "Europe/Berlin" }
command = "true"
tags = ["db", "night"]

[jobs.trip]
[[jobs.trip.steps]]
name = "a"
command = "true"
[[jobs.trip.steps]]
name = "b"
command = "true"
"""


def test_as_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "JOB     STEPS  SCHEDULE                    TAGS       DESCRIPTION",
        "backup  1      30 2 * * * (Europe/Berlin)  db, night  Nightly",
        "trip    2      -                           -",
    ]


def test_columns_that_say_nothing_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.a]\ncommand = "true"\n')
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "JOB  STEPS\na    1\n"


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "backup",
        "description": "Nightly",
        "schedules": ["30 2 * * * (Europe/Berlin)"],
        "steps": 1,
        "tags": ["db", "night"],
        "file": str(folder / "jobs.toml"),
    }
