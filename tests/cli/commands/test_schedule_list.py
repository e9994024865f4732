"""Every schedule with its next and last fire time, what is paused and what was dropped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.core.model import Job, Schedule, Step, encode, encode_schedule
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.rows import NewRun
from jobctl.core.schedule.rows import Dropped
from jobctl.host import clock
from jobctl.store import firings
from jobctl.store.append import Batch
from jobctl.store.store import Store

JOBS = """\
[jobs.backup]
schedule = ["30 2 * * *", { every = "1000d" }]
timezone = "Europe/Berlin"
command = "true"
[jobs.plain]
command = "true"
"""
HOUR, DAY = 3_600_000, 86_400_000
SCHEDULES = (Schedule(cron="30 2 * * *"), Schedule(every=1000 * DAY))
BACKUP = Job("backup", "/", (Step("main", command="true"),), timezone="Europe/Berlin", schedules=SCHEDULES)
HEADER = ["JOB", "SCHEDULE", "ZONE", "NEXT", "LAST", "WHAT", "BECAME", "OF", "IT"]


@pytest.fixture(autouse=True)
def _jobs(folder: Path) -> None:
    (folder / "jobs.toml").write_text(JOBS)


def _entries(store: Store, now: int) -> list[int]:
    """The numbers that a daemon has given to the schedules."""
    keys = [encode_schedule(schedule, BACKUP) for schedule in SCHEDULES]
    return [entry.id for entry in firings.sync(store, [("backup", key, "f") for key in keys], ["f"], now)]


def _fire(store: Store, schedule: int, fire_time: int, status: str) -> None:
    events = [
        Event(EventType.RUN_CREATED, fire_time, data={"trigger": "schedule", "fire_time": fire_time}),
        Event(EventType.RUN_ENDED, fire_time + 5, data={"status": status}),
    ]
    state = RunState()
    for event in events:
        state.apply(event)
    new = NewRun(f"backup-{fire_time % 1000000:06}", "backup", encode(BACKUP), "schedule", fire_time, schedule=schedule)
    assert store.append([Batch(0, 0, events, state, executor=None, new=new)]) == []


def _list(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert main(["schedule", "list", "--json", *args]) == 0
    return json.loads(capsys.readouterr().out)


def test_before_anything_has_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cron, every = _list(capsys)
    assert cron.pop("next_fire_at")
    assert every.pop("next_fire_at")
    same = {"job": "backup", "timezone": "Europe/Berlin", "last_fire": None, "paused": None}
    assert cron == {**same, "schedule": "30 2 * * * (Europe/Berlin)", "dropped": {"missed": 0, "skipped": 0}}
    assert every == {**same, "schedule": "every 1000d", "dropped": {"missed": 0, "skipped": 0}}
    assert not (folder / "state").exists()
    assert main(["schedule", "list"]) == 0
    printed = capsys.readouterr()
    table = printed.out.splitlines()
    assert table[0].split() == HEADER
    assert re.fullmatch(r"backup  30 2 \* \* \*   Europe/Berlin  \S+ \S+ \(.+\) +-     -", table[1])
    assert "jobctl daemon" in printed.err


def test_what_became_of_the_last_fire_time(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    now = clock.now()
    cron, every = _entries(runs.store, now - 30 * DAY)
    _fire(runs.store, cron, now - 3 * HOUR, "failed")
    _fire(runs.store, cron, now - 2 * HOUR, "succeeded")
    with runs.store.transaction() as db:
        firings.drop(runs.store, db, [Dropped(every, "missed", now - 20 * DAY, now - HOUR, 20, "no daemon ran")], now)
    first, second = _list(capsys, "backup")
    name = runs.store.history(limit=1)[0].name
    assert {**first["last_fire"], "fire_time": ""} == {
        "fire_time": "",
        "outcome": "started",
        "run": name,
        "status": "succeeded",
        "reason": None,
    }
    assert first["dropped"] == {"missed": 0, "skipped": 0}
    assert second["last_fire"]["outcome"] == "missed"
    assert second["last_fire"]["reason"] == "no daemon ran"
    assert second["dropped"] == {"missed": 20, "skipped": 0}
    assert main(["schedule", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith(f"(2 h ago)  {name} succeeded")
    assert lines[2].endswith("(1 h ago)  missed: no daemon ran")
    assert lines[3:] == ["backup: 20 fire times were missed within a week (every 1000d)"]


def test_what_was_dropped_long_ago_is_not_counted(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    now = clock.now()
    cron, _ = _entries(runs.store, now - 30 * DAY)
    with runs.store.transaction() as db:
        firings.drop(runs.store, db, [Dropped(cron, "skipped", now - 9 * DAY, now - 9 * DAY, 1, "x")], now - 8 * DAY)
    with runs.store.transaction() as db:
        firings.drop(runs.store, db, [Dropped(cron, "skipped", now - DAY, now - DAY, 1, "y")], now - DAY)
    first, _ = _list(capsys)
    assert first["dropped"] == {"missed": 0, "skipped": 1}
    assert first["last_fire"]["reason"] == "y"


def test_a_last_run_that_was_pruned(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Its number may be another run's by now."""
    now = clock.now()
    cron, _ = _entries(runs.store, now - 30 * DAY)
    _fire(runs.store, cron, now - 2 * HOUR, "succeeded")
    assert main(["prune", "--keep-runs", "0"]) == 0
    runs.done(runs.job(Step("main", command="true"), name="backup"))
    capsys.readouterr()
    first, _ = _list(capsys)
    assert (first["last_fire"]["outcome"], first["last_fire"]["run"]) == ("started", None)
    assert main(["schedule", "list"]) == 0
    assert "a run, which was pruned" in capsys.readouterr().out


def test_a_paused_schedule(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    firings.pause(runs.store, "backup", at=clock.now() - HOUR, reason="too loud", who="me")
    first, _ = _list(capsys)
    assert first["paused"]["reason"] == "too loud"
    assert first["paused"]["by"] == "me"
    assert main(["schedule", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " paused " in lines[1]
    assert re.fullmatch(r"backup: paused since .* \(1 h ago\) by me: too loud; jobctl schedule resume backup", lines[3])


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [(["bakup"], 3, "did you mean `backup`?"), (["plain"], 1, "job plain has no schedule")],
)
def test_what_cannot_be(args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "list", *args]) == code
    assert said in capsys.readouterr().err


def test_no_schedules_at_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.plain]\ncommand = "true"\n')
    assert main(["schedule", "list"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "no job has a schedule\n")
