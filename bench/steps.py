"""Steps a second of the local engine, and what the database takes for a run. The engine runs in this process."""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial
from pathlib import Path

from bench.figure import Bench, Goal, Row
from bench.measure import fresh, in_turns
from jobctl.core.model import ForEach, Job, Step, encode
from jobctl.core.run.rows import NewRun
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.loop import LocalEngine
from jobctl.host.host import Host
from jobctl.process import environment, keepers
from jobctl.process.keepers import Link
from jobctl.store.store import Store

IN_FLIGHT = 8
STEPS = 10


def parallel(bench: Bench) -> list[Row]:
    """Runs of 10 steps, 8 in flight, against the same commands made by a bare loop."""
    runs = bench.size.of(80, 20, 2)
    ours, bare = in_turns(
        bench.size.of(5, 3, 1),
        partial(engine_rate, bench.folder / "ours", runs, STEPS, IN_FLIGHT),
        partial(bare_rate, bench.folder / "bare", runs * STEPS, IN_FLIGHT),
    )
    what = f"{runs} runs x {STEPS} steps, {IN_FLIGHT} runs in flight"
    return [Row("parallel", what, "steps/s", ours, "bare loop", bare, Goal("ratio", ">=", 0.35))]


def chain(bench: Bench) -> list[Row]:
    """One run, each step after the one before, against the same loop, one command at a time."""
    steps = bench.size.of(1000, 200, 5)
    ours, bare = in_turns(
        bench.size.of(5, 3, 1),
        partial(engine_rate, bench.folder / "ours", 1, steps, 1),
        partial(bare_rate, bench.folder / "bare", steps, 1),
    )
    return [Row("chain", f"one run of {steps} steps", "steps/s", ours, "bare loop", bare, Goal("ratio", ">=", 0.25))]


def items(bench: Bench) -> list[Row]:
    """One run of a step for each item of a list, against as many runs of one step; 8 at a time of both."""
    count = bench.size.of(10_000, 1_000, 20)
    ours, single = in_turns(
        bench.size.of(3, 3, 1),
        partial(items_rate, bench.folder / "ours", count, IN_FLIGHT),
        partial(engine_rate, bench.folder / "single", count, 1, IN_FLIGHT),
    )
    what = f"{count:,} foreach items, {IN_FLIGHT} in flight"
    return [Row("items", what, "items/s", ours, "single-step runs", single, Goal("ratio", ">=", 0.7))]


def database(bench: Bench) -> list[Row]:
    """By how much the database grows for a run of 10 steps, once it holds some."""
    folder = fresh(bench.folder / "database")
    runs = bench.size.of(500, 100, 20)
    sizes = []
    for name, count in (("before", runs // 5), ("measured", runs)):
        with Store(str(folder)) as store:
            _carry_out(store, count, STEPS, IN_FLIGHT, "true", name)
        # The write-ahead log is in it: the last one to close a database sees to that.
        sizes.append((folder / "jobctl.db").stat().st_size)
    grown = (sizes[1] - sizes[0]) / runs
    return [Row("database", f"a run of {STEPS} steps", "bytes", [grown], goal=Goal("value", "<=", 3 * 1024))]


def engine_rate(folder: Path, runs: int, steps: int, in_flight: int, command: str | tuple[str, ...] = "true") -> float:
    """Steps a second, from handing in the first run to the end of the last. The store exists before the clock runs, and
    so does the keeper: forked before anything else, as `run` and `daemon` do."""
    keeper = keepers.make(fork=True)
    with Store(str(fresh(folder))) as store:
        return runs * steps / _carry_out(store, runs, steps, in_flight, command, "run", keeper)


def items_rate(folder: Path, count: int, in_flight: int) -> float:
    """Items a second of one run, from handing it in to its end."""
    step = Step("each", command="true", foreach=ForEach(tuple(range(count))))
    keeper = keepers.make(fork=True)
    with Store(str(fresh(folder))) as store:
        job = Job("bench", store.state_dir, (step,), max_parallel_steps=in_flight)
        return count / _checked(store, job, 1, 1, count, "run", keeper)


def bare_rate(folder: Path, steps: int, in_flight: int) -> float:
    """Commands a second when nothing is recorded, decided or kept: a process is all there is."""
    fresh(folder)
    variables = environment.build(os.environ)
    keepers.reap()
    started = 0
    living: set[int] = set()
    begin = time.perf_counter()
    while started < steps or living:
        while len(living) < in_flight and started < steps:
            living.add(os.posix_spawn("/bin/sh", ["/bin/sh", "-c", "true"], variables, setsid=True))
            started += 1
        living.discard(os.waitpid(-1, 0)[0])  # a keeper of before may end, too
    return steps / (time.perf_counter() - begin)


def _carry_out(
    store: Store,
    runs: int,
    steps: int,
    in_flight: int,
    command: str | tuple[str, ...],
    name: str,
    keeper: Link | None = None,
) -> float:
    """Seconds for so many runs of so many steps, one after another."""
    chain = tuple(Step(f"s{i}", needs=(f"s{i - 1}",) if i else (), command=command) for i in range(steps))
    return _checked(store, Job("bench", store.state_dir, chain), runs, in_flight, runs * steps, name, keeper)


def _checked(
    store: Store, job: Job, runs: int, in_flight: int, attempts: int, name: str, keeper: Link | None = None
) -> float:
    """Seconds for so many runs. RuntimeError unless all their attempts succeeded: a fast failure is no figure."""
    seconds = carry_out(store, job, runs, in_flight, name, keeper)
    with sqlite3.connect(os.path.join(store.state_dir, "jobctl.db")) as db:
        done = db.execute(
            "SELECT count(*) FROM runs JOIN attempts ON run = id"
            " WHERE runs.status = 'succeeded' AND attempts.status = 'succeeded' AND name LIKE ? || '-%'",
            (name,),
        ).fetchone()[0]
    db.close()
    if done != attempts:
        raise RuntimeError(f"{done} of {attempts} attempts succeeded")
    return seconds


def carry_out(store: Store, job: Job, runs: int, in_flight: int, name: str, keeper: Link | None = None) -> float:
    """Seconds for so many runs of a job, however they end."""
    kept = encode(job)
    engine = LocalEngine(store, Executor(store.state_dir, "foreground"), keeper=keeper, host=Host())
    submitted = 0
    begin = time.perf_counter()
    while submitted < runs or engine.busy:
        for _ in range(min(in_flight - len(engine.runs), runs - submitted)):
            engine.submit(NewRun(f"{name}-{submitted:06d}", job.name, kept), job, {}, env_file={})
            submitted += 1
        engine.turn()
        if engine.trouble is not None:
            raise engine.trouble
    seconds = time.perf_counter() - begin
    engine.close()
    return seconds
