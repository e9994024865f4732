"""What a long history costs: those who ask about it, and the firings while a part of it is removed."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from bench.daemon import TELL_TIME, daemon, firings, percentile, query, until
from bench.figure import Bench, Goal, Row
from bench.measure import JOBCTL, measured_environment, processes

_JOBS = 10
_STEP = 60_000  # ms between two copies of what has run: more than that took

# The first prune comes after a sixtieth of what lies between two: here after a time to see how it is without.
_PRUNING_SOON = """\
import sys
from jobctl.cli.main import main
from jobctl.engines.local.worker import duties
duties.PRUNE_MS = {ms}
sys.exit(main())
"""


def history(bench: Bench) -> list[Row]:
    """A million runs of history: `status`, `history --limit 20`, `schedule next` against the same with 100 runs."""
    folder = bench.folder
    runs = bench.size.of(1_000_000, 100_000, 1000)
    templates(folder)
    for name, count in (("many", runs), ("few", 100)):
        shutil.copytree(folder / "state", folder / name)
        multiply(folder / name, count)
    (folder / "jobs.toml").write_text(_jobs('schedule = "30 2 * * *"'))
    calls = (["status"], ["history", "--limit", "20"], ["schedule", "next"])
    found = processes(
        [[JOBCTL, *call, "--state-dir", str(folder / name)] for call in calls for name in ("many", "few")],
        bench.size.of(21, 11, 1),
        folder=folder,
        environment=measured_environment(folder),
    )
    times = [[process.ms for process in one] for one in found]
    goal = Goal("ratio", "<=", 1.5)
    return [
        Row("history", f"{runs:,} runs: {' '.join(call)}", "ms", of_many, "100 runs", of_few, goal)
        for call, of_many, of_few in zip(calls, times[0::2], times[1::2], strict=True)
    ]


def pruning(bench: Bench) -> list[Row]:
    """100,000 of a million runs are removed: how much later than in general the latest firing is meanwhile."""
    folder = bench.folder
    runs = bench.size.of(1_000_000, 100_000, 2000)
    removed = runs // 10
    quiet = bench.size.of(30, 10, 2)  # seconds of firings before it begins
    templates(folder)
    multiply(folder / "state", runs)
    oldest = query(folder, "SELECT id, name FROM runs ORDER BY id LIMIT ?", removed)
    for _, name in oldest:
        _files(folder / "state" / "runs" / name)
    last = oldest[-1][0]
    some = oldest[5 * _JOBS][0]  # up to here there are runs of every job
    kept = (runs - removed) // _JOBS
    (folder / "jobs.toml").write_text(_jobs(f"keep = {{ runs = {kept} }}") + _firing())
    code = _PRUNING_SOON.format(ms=quiet * 60_000)
    with daemon(folder, command=(sys.executable, "-c", code)) as living:
        until(lambda: _upto(folder, some) <= 5 * _JOBS, "the first runs to be removed", quiet + 60)
        begin = time.time() * 1000
        until(lambda: query(folder, "SELECT 1 FROM runs WHERE id <= ? LIMIT 1", last) == [], "the last to go", 600)
        end = time.time() * 1000
        living.stop()
    found = firings(folder, "firing-%")
    before = [firing.late for firing in found if firing.fire_time < begin - 1000]
    during = [firing.late for firing in found if begin <= firing.fire_time < end]
    usual = percentile(before, 0.5)
    what = f"{removed:,} of {runs:,} runs removed in {(end - begin) / 1000:.0f} s: most that a firing is delayed"
    return [
        Row(
            "pruning",
            what,
            "ms",
            [max(during) - usual],
            "without",
            [max(before) - usual],
            Goal("difference", "<=", 100),
        )
    ]


def _jobs(keys: str) -> str:
    """Jobs of which every tenth run has failed."""
    return "".join(
        f'[jobs.job-{i}]\n{keys}\ncommand = "{"true" if i else "false"}"\nparams = {{ day = "2026-01-01" }}\n'
        for i in range(_JOBS)
    )


def _firing() -> str:
    """Jobs that fire ten times a second together."""
    return "".join(
        f'[jobs.firing-{i}]\nschedule = {{ every = "1s", offset = "{i}00ms" }}\noverlap = "allow_all"\n'
        f'command = "{TELL_TIME}"\n'
        for i in range(10)
    )


def templates(folder: Path) -> None:
    """A store in which a daemon has fired each job some times."""
    (folder / "jobs.toml").write_text(_jobs('schedule = { every = "1s" }'))
    with daemon(folder) as living:
        until(
            lambda: query(folder, "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL")[0][0] >= 2 * _JOBS,
            "some runs",
        )
        living.stop()
    with closing(sqlite3.connect(folder / "state" / "jobctl.db")) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM firings WHERE run IN (SELECT id FROM runs WHERE finished_at IS NULL)")
        db.execute("DELETE FROM runs WHERE finished_at IS NULL")
        db.commit()
    shutil.rmtree(folder / "state" / "runs")


def multiply(state: Path, runs: int) -> None:
    """Put at least so many copies of the runs there are in their place, each some time before the next: every row of
    theirs, so that each history is what an engine would have written."""
    with closing(sqlite3.connect(state / "jobctl.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        last, there = db.execute("SELECT max(id), count(*) FROM runs").fetchone()
        copies = -(-runs // there)
        db.execute("CREATE TEMP TABLE copies (copy INTEGER PRIMARY KEY, first INTEGER, earlier INTEGER)")
        db.executemany(
            "INSERT INTO copies VALUES (?, ?, ?)",
            ((copy, copy * last, (copies - copy + 1) * _STEP) for copy in range(1, copies + 1)),
        )

        def fill(table: str, what: dict[str, str], condition: str) -> None:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(what.get(column, column) for column in columns)
            db.execute(f"INSERT INTO {table} SELECT {values} FROM copies CROSS JOIN {table} WHERE {condition}")

        times = {name: f"{name} - earlier" for name in ("created_at", "started_at", "finished_at", "fire_time")}
        fill("runs", {**times, "id": "first + id", "name": "printf('%s-%06x', job, first + id)"}, f"id <= {last}")
        told = "json_set(data, '$.fire_time', json_extract(data, '$.fire_time') - earlier)"
        moved = f"CASE WHEN json_extract(data, '$.fire_time') IS NULL THEN data ELSE {told} END"
        fill("events", {"run": "first + run", "at": "at - earlier", "data": moved}, f"run <= {last}")
        fill("attempts", {**times, "run": "first + run"}, f"run <= {last}")
        fill("firings", {**times, "run": "first + run"}, f"run <= {last}")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"DELETE FROM firings WHERE run <= {last}")
        db.execute(f"DELETE FROM runs WHERE id <= {last}")
        db.execute("PRAGMA journal_mode = WAL")


def _files(run: Path) -> None:
    """What a run's one attempt leaves."""
    run.mkdir(parents=True)
    for name, text in (("main.1.log", ""),):
        (run / name).write_text(text)


def _upto(folder: Path, run: int) -> int:
    """How many runs are left up to that one."""
    return int(query(folder, "SELECT count(*) FROM runs WHERE id <= ?", run)[0][0])
