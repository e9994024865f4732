"""How cost grows: the same measured with ten, a thousand, … a million jobs, runs, steps and runs of history."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.daemon_history import multiply, templates
from bench.figure import Bench, Row
from bench.measure import JOBCTL, fresh, in_turns, measured_environment, processes
from bench.steps import IN_FLIGHT, bare_rate
from jobctl.core.model import Job, Step, encode
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.store.append import Batch
from jobctl.store.store import Store

_ROOT = Path(__file__).parents[1]
_SIZES = (10, 1_000, 10_000, 100_000, 1_000_000)
_TINY = (5, 10)
_COMMITS = 50  # of a turn

_BARE_READING = "import sys, tomllib\nwith open(sys.argv[1], 'rb') as file: tomllib.load(file)"


class _Dimension(NamedTuple):
    """What grows. `measure` gives the rows of one size, `what` is the beginning of their names."""

    what: str
    measure: Callable[[Bench, int], list[Row]]
    full: int  # the largest size that is measured
    quick: int
    beyond: str = ""  # why nothing larger is


def growth(bench: Bench) -> list[Row]:
    """Jobs, runs, steps and history from ten to a million: what each of them costs, and the memory of all."""
    rows = []
    for dimension in _DIMENSIONS:
        limit = bench.size.of(dimension.full, dimension.quick, _TINY[-1])
        found: list[Row] = []
        for size in bench.size.of(_SIZES, _SIZES, _TINY):
            if size <= limit:
                found += dimension.measure(bench._replace(folder=fresh(bench.folder / "size")), size)
            else:
                reason = dimension.beyond if size > dimension.full else "only at full size"
                found.append(Row("growth", dimension.what, at=size, skipped=reason))
        order = list({row.what: None for row in found})
        rows += sorted(_beside_the_smallest(found), key=lambda row: order.index(row.what))
    return rows


def _beside_the_smallest(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows; those without a reference have what the smallest size took (median) as theirs: not in turns with it."""
    smallest: dict[str, Row] = {}
    for row in rows:
        first = smallest.setdefault(row.what, row)
        if row.skipped or row.reference or first.value is None:
            yield row
        else:
            yield replace(row, reference=f"of {first.at:,}", compared=[first.value] * len(row.measured))


def _jobs(bench: Bench, count: int) -> list[Row]:
    """`validate` of a file, beside a Python that only reads it as TOML."""
    file = bench.folder / "jobs.toml"
    file.write_text(
        "".join(f'[jobs.j{number}]\nschedule = "{number % 60} 3 * * *"\ncommand = "true"\n' for number in range(count))
    )
    ours, bare = processes(
        [[JOBCTL, "validate", str(file)], [sys.executable, "-c", _BARE_READING, str(file)]],
        bench.size.of(3, 1, 1),
        folder=bench.folder,
        environment=measured_environment(bench.folder),
        warm=1 if count < 10_000 else 0,
    )
    each = 1000 / count
    name = "bare tomllib"
    return [
        Row(
            "growth",
            "jobs: validate, each",
            "us",
            [p.ms * each for p in ours],
            name,
            [p.ms * each for p in bare],
            at=count,
        ),
        Row("growth", "jobs: validate, memory", "MiB", [p.rss for p in ours], name, [p.rss for p in bare], at=count),
    ]


def _decided(bench: Bench, count: int) -> list[Row]:
    """Deciding about the steps of one run, without carrying anything out."""
    found = [_probe("decide", count, bench.folder) for _ in range(bench.size.of(3, 2, 1))]
    return [
        Row("growth", "steps of a run: decide, each", "us", [us for us, _ in found], at=count),
        Row("growth", "steps of a run: decide, memory", "MiB", [mib for _, mib in found], at=count),
    ]


def _carried_out(kind: str, what: str, in_flight: int) -> Callable[[Bench, int], list[Row]]:
    def measure(bench: Bench, count: int) -> list[Row]:
        memory = []

        def ours() -> float:
            us, mib = _probe(kind, count, bench.folder / "ours")
            memory.append(mib)
            return us / 1000

        def bare() -> float:
            return 1000 / bare_rate(bench.folder / "bare", count, in_flight)

        found, compared = in_turns(1 if count >= bench.size.of(10_000, 1_000, 1) else 3, ours, bare)
        return [
            Row("growth", f"{what}: carry out, each", "ms", found, "bare loop", compared, at=count),
            Row("growth", f"{what}: carry out, memory", "MiB", memory, at=count),
        ]

    return measure


def _history(bench: Bench, count: int) -> list[Row]:
    """`status`, and one more event, with so many runs in the store."""
    folder = bench.folder
    templates(folder)
    multiply(folder / "state", count)
    status = processes(
        [[JOBCTL, "status"]], bench.size.of(11, 7, 1), folder=folder, environment=measured_environment(folder)
    )[0]
    with Store(str(folder / "state")) as store, closing(_bare_store(folder / "bare.db")) as bare:
        rounds = bench.size.of(9, 5, 1)
        ours, theirs = in_turns(rounds, partial(_commits, store), partial(_bare_commits, bare))
    return [
        Row("growth", "runs of history: status", "ms", [p.ms for p in status], at=count),
        Row("growth", "runs of history: status, memory", "MiB", [p.rss for p in status], at=count),
        Row("growth", "runs of history: record an event", "ms", ours, "bare SQLite", theirs, at=count),
    ]


_BEYOND = "a quarter of an hour to hours of starting processes"

_DIMENSIONS = (
    _Dimension("jobs", _jobs, 10_000, 10_000, "more jobs than a file may have"),
    _Dimension("runs", _carried_out("runs", "runs", IN_FLIGHT), 10_000, 1_000, _BEYOND),
    _Dimension("steps of a run: decide", _decided, 100_000, 100_000, "more steps than a file can define"),
    _Dimension("steps of a run: carry out", _carried_out("steps", "steps of a run", 1), 10_000, 1_000, _BEYOND),
    _Dimension("runs of history", _history, 1_000_000, 100_000),
)


def _probe(kind: str, count: int, folder: Path) -> tuple[float, float]:
    """Microseconds for each, and MiB at its peak, of a process that does nothing else."""
    command = [sys.executable, "-m", "bench.probe", kind, str(count), str(folder)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    return told["us"], told["mib"]


def _commits(store: Store) -> float:
    """Milliseconds for one event of a run that exists, recorded by itself."""
    job = Job("growing", "/", (Step("main", command="true"),))
    events = [Event(EventType.RUN_CREATED, 1)]
    state = replay(events)
    first = Batch(0, 0, events, state, executor=None, new=NewRun(store.unused_name(job.name), job.name, encode(job)))
    store.append([first])
    begin = time.perf_counter()
    for number in range(_COMMITS):
        event = Event(EventType.SIGNAL_RECEIVED, 2, data={"name": "go", "payload": number})
        state.apply(event)
        if store.append([Batch(first.run_id, state.events - 1, [event], state, executor=None)]):
            raise RuntimeError("an event was not appended")
    return (time.perf_counter() - begin) / _COMMITS * 1000


def _bare_store(path: Path) -> sqlite3.Connection:
    """What is left of a store without jobctl: one table, the same promises to the disk."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE events (at INTEGER, data TEXT)")
    return db


def _bare_commits(db: sqlite3.Connection) -> float:
    begin = time.perf_counter()
    for number in range(_COMMITS):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO events VALUES (2, ?)", (json.dumps({"name": "go", "payload": number}),))
        db.execute("COMMIT")
    return (time.perf_counter() - begin) / _COMMITS * 1000
