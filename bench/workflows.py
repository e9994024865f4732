"""What the parts of a workflow cost beside plain steps: compensation, and very many runs that sleep."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.daemon import PATIENCE, TELL_TIME, cpu_seconds, daemon, query, rss, until
from bench.figure import Bench, Goal, Row
from bench.measure import fresh, in_turns, jobctl
from bench.steps import IN_FLIGHT, carry_out
from jobctl.core.model import Compensation, Job, Step
from jobctl.store.store import Store

_SAGA_STEPS = 3
_DUE_TOGETHER = 1000


def saga(bench: Bench) -> list[Row]:
    """Three steps of which the last fails, the two before it undone, against three steps that succeed. Only the steps
    are counted, not what undoes them."""
    runs = bench.size.of(200, 40, 2)
    ours, plain = in_turns(
        bench.size.of(5, 3, 1),
        partial(_rate, bench.folder / "saga", runs, fails=True),
        partial(_rate, bench.folder / "plain", runs, fails=False),
    )
    what = f"{runs} runs x {_SAGA_STEPS} steps, one fails, two compensations"
    return [Row("saga", what, "steps/s", ours, "plain steps", plain, Goal("ratio", ">=", 0.5))]


def _rate(folder: Path, runs: int, *, fails: bool) -> float:
    undo = Compensation("true") if fails else None
    steps = (
        Step("charge", command="true", compensate=undo),
        Step("pay", needs=("charge",), command="true", compensate=undo),
        Step("report", needs=("pay",), command="false" if fails else "true"),
    )
    with Store(str(fresh(folder))) as store:
        job = Job("trip", store.state_dir, steps)
        seconds = carry_out(store, job, runs, IN_FLIGHT, "trip")
    with closing(sqlite3.connect(folder / "jobctl.db")) as db:
        ends = dict(db.execute("SELECT status, count(*) FROM runs GROUP BY status"))
        undone = db.execute(
            "SELECT count(*) FROM attempts WHERE step LIKE '%!undo' AND status = 'succeeded'"
        ).fetchone()[0]
    if (ends, undone) != (({"failed": runs}, 2 * runs) if fails else ({"succeeded": runs}, 0)):
        raise RuntimeError(f"runs ended as {ends}, with {undone} compensations")
    return runs * _SAGA_STEPS / seconds


def sleepers(bench: Bench) -> list[Row]:
    """A million runs that sleep: what the daemon holds and uses against one with none, and how soon 1,000 that are due
    in the same second have started."""
    folder = bench.folder
    many = bench.size.of(1_000_000, 100_000, 1000)
    together = bench.size.of(_DUE_TOGETHER, _DUE_TOGETHER, 10)
    seconds = bench.size.of(60, 20, 1)
    (folder / "jobs.toml").write_text(
        '[[jobs.nap.steps]]\nname = "nap"\nsleep = "30d"\n'
        f'[[jobs.nap.steps]]\nname = "after"\ncommand = "{TELL_TIME}"\n'
    )
    with daemon(folder):
        jobctl(folder, "run", "--detach", "nap")
        until(lambda: query(folder, "SELECT wake_at FROM runs")[0][0] is not None, "a run that sleeps")
    none = folder / "none"
    none.mkdir()
    shutil.copy(folder / "jobs.toml", none)
    with daemon(none):
        pass  # what makes the store is loaded once
    _multiply(folder / "state" / "jobctl.db", many)
    with daemon(folder) as ours, daemon(none) as bare:
        pids = (ours.process.pid, bare.process.pid)
        time.sleep(bench.size.of(5.0, 5.0, 0.2))
        used = [cpu_seconds(pid) for pid in pids]
        time.sleep(seconds)
        used = [(cpu_seconds(pid) - before) / seconds * 100 for pid, before in zip(pids, used, strict=True)]
        memory = [rss(pid) for pid in pids]
    due = time.time_ns() // 1_000_000 // 1000 * 1000 + bench.size.of(10_000, 5_000, 2_000)
    chosen = "SELECT id FROM runs ORDER BY id LIMIT ?"
    with closing(sqlite3.connect(folder / "state" / "jobctl.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute(f"UPDATE runs SET wake_at = ? WHERE id IN ({chosen})", (due, together))
        db.execute(
            f"UPDATE events SET data = json_set(data, '$.until', ?) WHERE json_extract(data, '$.until') IS NOT NULL"
            f" AND run IN ({chosen})",
            (due, together),
        )
        db.execute("COMMIT")
    with daemon(folder):
        until(
            lambda: (
                query(folder, f"SELECT count(*) FROM runs WHERE status = 'succeeded' AND id IN ({chosen})", together)
                == [(together,)]
            ),
            "all that are due to be over",
            PATIENCE,
        )
    names = query(folder, "SELECT name FROM runs WHERE status = 'succeeded'")
    started = [int((folder / "state" / "runs" / name / "after.1.log").read_text()) / 1e6 - due for (name,) in names]
    what, name = f"{many:,} runs sleep", "none"
    return [
        Row("sleepers", f"{what}: RSS", "MiB", memory[:1], name, memory[1:], Goal("ratio", "<=", 1.1)),
        Row("sleepers", f"{what}: processor time", "%", used[:1], goal=Goal("value", "<=", 0.1)),
        Row(
            "sleepers",
            f"{what}, {together:,} due at once: the last starts after",
            "s",
            [max(started) / 1000],
            goal=Goal("value", "<=", 3),
        ),
    ]


def _multiply(path: Path, count: int) -> None:
    """So many copies of the one run there is, with all its rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TEMP TABLE copies (copy INTEGER PRIMARY KEY)")
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO copies SELECT i FROM n",
            (count,),
        )
        for table, what in (
            ("runs", {"id": "copy", "name": "printf('nap-x%06x', copy)", "executor": "NULL"}),
            ("events", {"run": "copy"}),
        ):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(what.get(column, column) for column in columns)
            condition = "id = 1" if table == "runs" else "run = 1"
            db.execute(f"INSERT INTO {table} SELECT {values} FROM copies CROSS JOIN {table} WHERE {condition}")
        db.execute("PRAGMA journal_mode = WAL")
