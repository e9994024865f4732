"""Very many at once: runs that are queued, jobs that are defined, runs that are history. How long it takes: bench/."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from homes import PATIENCE, Daemons

from jobctl.core.run.history import EventType

pytestmark = pytest.mark.faults

HISTORY = 1_000_000


def test_ten_thousand_queued_runs(home: Callable[..., Daemons]) -> None:
    place = home(
        """
[queues.narrow]
concurrency = 3
[jobs.crowd]
schedule = { every = "1s" }
queue = "narrow"
command = 'echo "$JOBCTL_FIRE_TIME" >> marks'
[jobs.urgent]
queue = "narrow"
priority = 10
command = 'touch urgent'
[jobs.other]
command = 'touch other'
"""
    )
    assert place.call("schedule", "pause", "crowd")[0] == 0
    dates = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T02:46:39Z", "--limit", "10000")
    code, output = place.call("schedule", "backfill", "crowd", *dates, "--overlap", "allow_all", "-q")
    assert code == 0, output
    assert _count(place, "SELECT count(*) FROM runs WHERE status = 'queued'") == 10_000
    first = place.daemon()
    place.until(lambda: len(place.lines("marks")) > 100)
    place.detach("other")
    place.until((place.folder / "other").exists)
    place.detach("urgent")  # the last to come, the next to begin
    place.until((place.folder / "urgent").exists)
    first.kill()
    first.wait()
    begun = "SELECT count(*) FROM runs WHERE status = 'running'"
    assert _count(place, begun) <= 3
    second = place.daemon()
    seen = len(place.lines("marks"))
    place.until(lambda: len(place.lines("marks")) > seen + 50)
    code, output = place.call("status", "--json")
    assert code == 0
    assert len(place.call("history", "--status", "queued", "--limit", "20", "--json")[1]) > 1000
    second.terminate()
    assert second.wait(PATIENCE) == 143
    times = place.lines("marks")
    assert len(set(times)) == len(times)
    # The oldest first.
    oldest = "SELECT min(fire_time) FROM runs WHERE status = 'queued'"
    assert _count(place, f"SELECT count(*) FROM runs WHERE status != 'queued' AND fire_time > ({oldest})") == 0


def test_ten_thousand_jobs(home: Callable[..., Daemons]) -> None:
    schedules = "".join(
        f"[jobs.j{n}]\nschedule = '{n % 60} {n // 60 % 24} 1 1 *'\ncommand = 'touch j{n}'\n" for n in range(9_999)
    )
    place = home(f'{schedules}[jobs.tick]\nschedule = {{ every = "1s" }}\ncommand = "echo . >> ticks"\n')
    daemon = place.daemon()
    assert "10000 jobs, 10000 schedules" in place.said()
    place.until(lambda: len(place.lines("ticks")) >= 2)
    place.detach("j9998")
    place.until((place.folder / "j9998").exists)
    code, output = place.call("list", "--json")
    assert code == 0
    assert len(json.loads(output)) == 10_000
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143


def test_a_long_history(home: Callable[..., Daemons]) -> None:
    place = home(
        """
[jobs.x]
command = 'echo . >> marks; [ -e go ]'
keep = { runs = 999000 }
[jobs.hold]
command = 'echo begin >> holds; until [ -e go ]; do sleep 0.1; done'
"""
    )
    assert place.call("run", "x")[0] == 1
    (row,) = place.rows("x")
    with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
        db.execute("PRAGMA synchronous = OFF")
        numbers = f"WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY})"
        for table, what in {
            "runs": {"id": "i", "name": "'x-h' || i", "executor": "NULL"},
            "events": {"run": "i"},
            "attempts": {"run": "i"},
        }.items():
            columns = [found[1] for found in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(what.get(column, column) for column in columns)
            of_it = f"{'id' if table == 'runs' else 'run'} = {row.id}"
            db.execute(f"INSERT INTO {table} {numbers} SELECT {values} FROM n CROSS JOIN {table} WHERE {of_it}")
        db.commit()
    first = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("holds"))
    first.kill()
    first.wait()
    place.daemon()
    (holder,) = place.rows("hold")
    place.until(lambda: place.events(holder, EventType.RUN_TAKEN) == 2)
    (place.folder / "go").touch()
    place.until(lambda: place.run_document(name)["status"] == "succeeded")
    assert place.lines("holds") == ["begin"]
    for call in (["status"], ["history", "--limit", "5"], ["status", "x-h777"], ["resume", "x-h888"], ["doctor"]):
        code, output = place.call(*call)
        assert code == 0, (call, output)
    assert place.call("prune")[0] == 0
    assert _count(place, "SELECT count(*) FROM runs WHERE job = 'x'") == 999_000


def _count(place: Daemons, sql: str) -> int:
    with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
        return int(db.execute(sql).fetchone()[0])
