"""Runs for fire times of the past: as many as asked for, in order, one after another unless told otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.main import main
from jobctl.core.run.rows import RunRow
from jobctl.core.schedule.zones import parse_instant
from jobctl.store import firings
from jobctl.store.store import Store

STRETCH = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z"]
DAYS = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"]


def _define(folder: Path, command: str = "true", **keys: str) -> None:
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    (folder / "jobs.toml").write_text(
        f"[jobs.daily]\nschedule = {{ every = \"1d\" }}\ncommand = '''{command}'''\n{more}"
        '[jobs.plain]\ncommand = "true"\n'
    )


@pytest.fixture(autouse=True)
def _zone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    _define(folder)


def _rows(folder: Path) -> list[RunRow]:
    """Oldest first."""
    with Store(str(folder / "state")) as store:
        return store.history(limit=100_000)[::-1]


def _backfill(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert main(["schedule", "backfill", "daily", *args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_queued_run_for_each_fire_time_oldest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "backfill", "daily", *STRETCH]) == 0
    said = capsys.readouterr()
    rows = _rows(folder)
    assert said.out.splitlines() == [row.name for row in rows]
    assert said.err.splitlines() == [
        "daily: 3 runs, one after another, for its fire times"
        " from 2026-01-01T00:00:00+00:00 to 2026-01-03T00:00:00+00:00",
        "no daemon runs here: they start when one does: jobctl daemon",
    ]
    assert [row.fire_time for row in rows] == [parse_instant(day) for day in DAYS]
    assert {(row.status, row.trigger) for row in rows} == {("queued", "backfill")}


@pytest.mark.parametrize(
    ("schedule", "stretch", "times"),
    [
        # Both ends belong to the stretch.
        ('"30 12 * * *"', ["--from", "2026-01-01T12:30:00Z", "--to", "2026-01-02T12:30:00Z"], 2),
        ('"30 12 * * *"', ["--from", "2026-01-01T12:30:01Z", "--to", "2026-01-02T12:29:59Z"], 0),
        # A day is its first moment.
        ('"0 0 * * *"', ["--from", "2026-01-01", "--to", "2026-01-31"], 31),
        # A fire time of two schedules is one.
        ('["0 0 * * *", "0 0,12 * * *"]', ["--from", "2026-01-01", "--to", "2026-01-02"], 3),
        ('{ every = "1d", start_at = "2026-01-02T00:00:00Z" }', STRETCH, 2),
    ],
)
def test_which_fire_times(
    schedule: str, stretch: list[str], times: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jobs.toml").write_text(f'[jobs.daily]\nschedule = {schedule}\ncommand = "true"\n')
    document = _backfill(capsys, *stretch)
    assert len(document["times"]) == len(set(document["times"])) == len(document["runs"]) == times
    assert document["times"] == sorted(document["times"])


def test_parameters_see_their_fire_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder, params='{ day = { type = "date", default = "{{ run.fire_date }}" }, how = "fast" }')
    _backfill(capsys, *STRETCH, "-p", "how=slow")
    with Store(str(folder / "state")) as store:
        params = [store.state(row).params for row in _rows(folder)]
    assert params == [{"day": day[:10], "how": "slow"} for day in DAYS]


def test_a_dry_run_only_prints_the_times(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "backfill", "daily", *STRETCH, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == DAYS
    document = _backfill(capsys, *STRETCH, "--dry-run")
    assert (document["dry_run"], document["times"], document["runs"]) == (True, DAYS, [])
    assert not (folder / "state" / "jobctl.db").exists()


def test_many_are_made_only_when_they_are_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "backfill", "daily", *STRETCH, "--limit", "2"]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: job daily has more than 2 fire times from 2026-01-01T00:00:00+00:00 to ")
    assert hint == "hint: end the stretch at 2026-01-02T00:00:00+00:00, or allow more with --limit"
    assert not (folder / "state" / "jobctl.db").exists()
    assert len(_backfill(capsys, *STRETCH, "--limit", "3")["runs"]) == 3


def test_thousands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They take several commits and stay in order."""
    (folder / "jobs.toml").write_text('[jobs.daily]\nschedule = { every = "1m" }\ncommand = "true"\n')
    document = _backfill(capsys, "--from", "2026-01-01", "--to", "2026-01-02")
    rows = _rows(folder)
    assert [row.name for row in rows] == document["runs"]
    assert [row.fire_time for row in rows] == [parse_instant(time) for time in document["times"]]
    assert len(rows) == 1441


# Whoever runs beside another one finds its mark.
ALONE = "mkdir mark && echo $JOBCTL_FIRE_TIME >> order && rmdir mark"
# Ends when three have begun.
TOGETHER = 'touch "begun-$JOBCTL_RUN"; until [ $(ls begun-* | wc -l) -eq 3 ]; do sleep 0.01; done'


@pytest.mark.parametrize(
    ("own", "asked", "command"),
    [
        ("skip", [], ALONE),
        ("cancel_other", [], ALONE),
        ("allow_all", [], ALONE),
        ("skip", ["--overlap", "buffer_all"], ALONE),
        ("skip", ["--overlap", "allow_all"], TOGETHER),
    ],
)
def test_one_after_another_unless_all_are_allowed(
    own: str, asked: list[str], command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _define(folder, command, overlap=f'"{own}"', timeout='"20s"')
    _backfill(capsys, *STRETCH, *asked)
    assert main(["daemon", "--once"]) == 0
    assert [row.status for row in _rows(folder)] == ["succeeded"] * 3
    if command is ALONE:
        assert [line[:10] for line in (folder / "order").read_text().splitlines()] == [day[:10] for day in DAYS]


def test_a_schedule_does_not_wait_for_a_backfill_that_waits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it end it, when its policy is to end others: what is queued is none of its business."""
    _backfill(capsys, *STRETCH)
    with Store(str(folder / "state")) as store:
        assert firings.alive_runs(store, "daily") == ([], [])


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["dayly", *STRETCH], 3, "there is no job 'dayly'"),
        (["plain", *STRETCH], 1, "job plain has no schedule"),
        (["daily"], 2, "--from is missing"),
        (["daily", "--from", "2026-01-02", "--to", "2026-01-01"], 2, "--from is later than --to"),
        (["daily", "--from", "2026-01-02", "--to", "2999-01-01"], 2, "--to lies in the future"),
        (["daily", *STRETCH, "--limit", "0"], 2, "--limit must be at least 1"),
        (["daily", *STRETCH, "-p", "x=1"], 2, "job daily has no parameter 'x'"),
        (["daily", *STRETCH, "--overlap", "skip"], 2, "invalid value for '--overlap'"),
    ],
)
def test_what_cannot_be(
    args: list[str], code: int, error: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", "backfill", *args]) == code
    said = capsys.readouterr().err
    assert f"error: {error}" in said
    assert "\nhint: " in said
    if (folder / "state" / "jobctl.db").exists():
        assert _rows(folder) == []


def test_no_fire_time_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stretch = ["--from", "2026-01-01T01:00:00Z", "--to", "2026-01-01T02:00:00Z"]
    assert main(["schedule", "backfill", "daily", *stretch]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("job daily has no fire time from ")
    assert not (folder / "state" / "jobctl.db").exists()
