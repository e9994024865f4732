"""A job as it is understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.cli.show import definition as words
from jobctl.core.model import Job, Poll, RetryPolicy, Schedule, Timeouts
from jobctl.core.schedule.words import in_words

JOBS = """\
[defaults]
retry = { maximum_attempts = 3 }

[jobs.trip]
params = { day = { type = "date", default = "{{ run.fire_date }}" } }
env = { API_TOKEN = "s3cret-value", MODE = "fast" }

[[jobs.trip.steps]]
name = "charge"
command = ["./charge", "--trip", "{{ params.day }}"]
compensate = "./refund"
timeout = "30s"

[[jobs.trip.steps]]
name = "pay"
command = "./pay"
retry = 1
"""


def test_what_is_merged_is_shown_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["show", "trip"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "retry up to 3 attempts, 1s between the first two, then 2 times as long each time, at most 1m40s" in lines
    assert "retry one attempt, no retry" in lines
    assert "timeouts an attempt 30s" in lines
    assert "compensate ./refund" in lines
    assert "needs charge" in lines
    assert "env MODE=fast" in lines


@pytest.mark.parametrize("args", [["show", "trip"], ["show", "trip", "--json"]])
def test_secrets_are_masked(args: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(args) == 0
    shown = capsys.readouterr().out
    assert "API_TOKEN" in shown
    assert "s3cret-value" not in shown


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["show", "trip", "--json"]) == 0
    job = json.loads(capsys.readouterr().out)
    assert job["steps"][0]["retry"]["maximum_attempts"] == 3
    assert job["steps"][0]["timeouts"]["start_to_close"] == 30_000
    assert job["steps"][1]["needs"] == ["charge"]
    assert job["file"] == str(folder / "jobs.toml")


def test_a_slip_of_the_finger_gets_a_suggestion(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["show", "tirp"]) == 3
    assert capsys.readouterr().err == "error: there is no job 'tirp'\nhint: did you mean `trip`?\n"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(), "one attempt, no retry"),
        (RetryPolicy(maximum_attempts=2), "up to 2 attempts, 1s between the first two"),
        (
            RetryPolicy(maximum_attempts=0, backoff_coefficient=1),
            "attempts without limit, 1s between the first two and all others",
        ),
        (
            RetryPolicy(5, 1_000, 2.5, 60_000, (2, 65), ("Bad",)),
            "up to 5 attempts, 1s between the first two, then 2.5 times as long each time, at most 1m;"
            " not after exit code 2, 65; not after failures of type Bad",
        ),
    ],
)
def test_retry_in_words(policy: RetryPolicy, expected: str) -> None:
    assert words.retry(policy) == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(cron="@daily"), "@daily (Europe/Berlin)"),
        (Schedule(every=900_000, offset=300_000), "every 15m, offset 5m"),
        (Schedule(at=1_000), "once at 1970-01-01T00:00:01+00:00"),
        (Schedule(boot=True), "at each start of the machine"),
        (
            Schedule(cron="0 3 * * *", timezone="UTC", jitter=60_000, end_at=0, exclude_dates=("2027-01-01",)),
            "0 3 * * * (UTC), jitter up to 1m, until 1970-01-01T00:00:00+00:00, except 2027-01-01",
        ),
    ],
)
def test_a_schedule_in_words(schedule: Schedule, expected: str) -> None:
    assert in_words(schedule, Job("a", "/", (), timezone="Europe/Berlin")) == expected


def test_limits_in_words() -> None:
    assert words.timeouts(Timeouts()) == ""
    assert words.timeouts(Timeouts(30_000, 600_000, 10_000)) == "an attempt 30s, all of it 10m, between heartbeats 10s"
    long = "every 10s, each wait 2 times as long, at most 1m, for at most 1h"
    assert words.poll(Poll(10_000, 2.0, 60_000, 3_600_000)) == long
