"""When schedules fire, as it is shown: local time, UTC, and what clock changes have to do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.main import main
from jobctl.host import clock

JOBS = """\
[jobs.backup]
schedule = { cron = "30 2 * * *", timezone = "Europe/Berlin" }
command = "true"
[jobs.twice]
timezone = "America/New_York"
schedule = ["0 9 * * *", { every = "6h", offset = "5m" }]
command = "true"
[jobs.once]
schedule = { at = "2026-06-01T12:00:00+02:00" }
command = "true"
[jobs.late]
schedule = { every = "1h", jitter = "30m" }
command = "true"
[jobs.boot]
schedule = "@reboot"
command = "true"
[jobs.plain]
command = "true"
"""


@pytest.fixture(autouse=True)
def _jobs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    (folder / "jobs.toml").write_text(JOBS)


def _next(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert main(["schedule", "next", "--json", *args]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        # The day on which 02:30 does not exist: it runs at 03:00, which is 01:00 in UTC.
        (
            ["backup", "--from", "2026-03-28T00:00:00Z", "-n", "3"],
            [("backup", "30 2 * * * (Europe/Berlin)", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"])],
        ),
        # A fire time at the very moment that --from names is one of them.
        (
            ["backup", "--from", "2026-03-28T02:30:00+01:00", "-n", "1"],
            [("backup", "30 2 * * * (Europe/Berlin)", ["2026-03-28T01:30"])],
        ),
        (
            ["twice", "--from", "2026-01-01T00:00:00Z", "-n", "2"],
            [
                ("twice", "0 9 * * * (America/New_York)", ["2026-01-01T14:00", "2026-01-02T14:00"]),
                ("twice", "every 6h, offset 5m", ["2026-01-01T00:05", "2026-01-01T06:05"]),
            ],
        ),
        (
            ["once", "--from", "2026-01-01"],
            [("once", "once at 2026-06-01T10:00:00+00:00", ["2026-06-01T10:00"])],
        ),
        (["once", "--from", "2026-07-01"], [("once", "once at 2026-06-01T10:00:00+00:00", [])]),
        # Jitter is for the start: the fire time is the nominal one.
        (
            ["late", "--from", "2026-01-01", "-n", "1"],
            [("late", "every 1h, jitter up to 30m", ["2026-01-01T00:00"])],
        ),
        (["boot"], [("boot", "at each start of the machine", [])]),
    ],
)
def test_fire_times(
    args: list[str], expected: list[tuple[str, str, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _next(capsys, *args) == [
        {"job": job, "schedule": schedule, "times": [f"{time}:00+00:00" for time in times]}
        for job, schedule, times in expected
    ]


def test_without_names_all_that_have_a_schedule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _next(capsys)
    assert [schedule["job"] for schedule in found] == ["backup", "twice", "twice", "once", "late", "boot"]
    assert len(found[0]["times"]) == 10
    assert not (folder / "state").exists()


def test_what_was_remembered_of_the_file_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--from", "2026-03-28", "-n", "5"]
    fresh = _next(capsys, *args)
    (folder / "state").mkdir(0o700)
    assert _next(capsys, *args) == fresh
    assert list((folder / "state" / "cache").iterdir())
    assert _next(capsys, *args) == fresh


def test_for_people(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_774_659_600_000)  # 2026-03-28T01:00:00Z
    assert main(["schedule", "next", "backup", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "backup: 30 2 * * * (Europe/Berlin)",
        "  LOCAL TIME                 UTC                  WHEN       REMARK",
        "  2026-03-28 02:30:00+01:00  2026-03-28 01:30:00  in 30 min",
        "  2026-03-29 03:00:00+02:00  2026-03-29 01:00:00  in 1 day "
        "  clocks go forward: 02:30 does not exist, runs at 03:00",
    ]
    assert main(["schedule", "next", "late", "boot", "once", "--from", "2026-06-02", "-n", "1"]) == 0
    late, boot, once = capsys.readouterr().out.split("\n\n")
    assert late.splitlines()[1].split("  ")[-1] == "JITTER"
    assert "  + " in late.splitlines()[2]
    assert boot.splitlines()[1] == "  when the machine starts"
    assert once.splitlines()[1] == "  never again"


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (["bakup"], 3, "there is no job 'bakup'", "did you mean `backup`?"),
        (["backup", "plain"], 1, "job plain has no schedule", "jobctl run plain"),
        (["-n", "0"], 2, "-n must be at least 1", "-n 20"),
        (["--from", "soon"], 2, "--from: 'soon' is not a time", "how long ago"),
    ],
)
def test_what_cannot_be(
    args: list[str], code: int, message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", "next", *args]) == code
    error, way_out = capsys.readouterr().err.splitlines()
    assert error == f"error: {message}"
    assert hint in way_out


def test_an_invalid_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS + 'shedule = "0 3 * * *"\n')
    assert main(["schedule", "next"]) == 2
    assert "jobs.toml:19: job plain, shedule" in capsys.readouterr().err
