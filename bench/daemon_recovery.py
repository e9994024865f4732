"""How soon what runs is watched again after the daemon was killed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bench.daemon import Daemon, daemon, descriptors, query, until
from bench.figure import Bench, Goal, Row
from jobctl.core.model import Job
from jobctl.definitions.files import read_file
from jobctl.engines.local.submit import enqueue
from jobctl.host.host import Host
from jobctl.store.store import Store

# Tells that it lives, then waits for somebody to open the pipe.
COMMAND = "echo $$ >> started; read _ < go || true"


def adoption(bench: Bench) -> list[Row]:
    """Attempts that run when the daemon is killed: from the new one's start until it watches all of them."""
    folder = bench.folder
    count = bench.size.of(200, 200, 5)
    rounds = bench.size.of(5, 3, 1)
    limit = ("--max-concurrent-runs", str(count))
    (folder / "jobs.toml").write_text(f'[jobs.job]\ncommand = "{COMMAND}"\n')
    job = read_file(str(folder / "jobs.toml")).jobs["job"]
    os.mkfifo(folder / "go")
    try:
        with daemon(folder, *limit):
            hand_over(folder, job, count)
            until(lambda: len(started(folder)) == count, f"{count} commands to start")
        before = _attempts(folder)
        times = [_adopt(folder, limit, count) for _ in range(rounds)]
        with daemon(folder, *limit):
            let_go(folder)
            until(lambda: _succeeded(folder) == count, f"{count} runs to succeed")
    finally:
        let_go(folder)
    if len(set(started(folder))) != count or _attempts(folder) != before:
        raise RuntimeError("commands were started again")
    what = f"{count} attempts that run: start to all watched"
    after = f"{count} attempts that run: ready to all watched"
    return [
        Row("adoption", what, "s", [whole for whole, _ in times], goal=Goal("value", "<=", 1)),
        Row("adoption", after, "s", [late for _, late in times], goal=Goal("value", "<=", 0.25)),
    ]


def hand_over(folder: Path, job: Job, count: int) -> None:
    with Store(str(folder / "state")) as store:
        for _ in range(count):
            enqueue(store, job, {}, trigger="manual", host=Host())


def _adopt(folder: Path, limit: tuple[str, ...], count: int) -> tuple[float, float]:
    """Seconds from the start of a daemon, and from when it says that it is ready, until it watches all; then it is
    killed."""
    living = Daemon(folder, *limit)
    try:
        ready = living.until_ready()
        seconds = living.until_it_says(" taken over", count)
        until(lambda: descriptors(living.process.pid, "pidfd") >= count, f"{count} attempts to be watched")
        seconds = max(seconds, time.monotonic() - living.started)
    finally:
        living.kill()
    return seconds, max(0.0, seconds - ready)


def started(folder: Path) -> list[str]:
    path = folder / "started"
    return path.read_text().split() if path.exists() else []


def _attempts(folder: Path) -> list[tuple[Any, ...]]:
    return query(folder, "SELECT run, step, number, started_at FROM attempts ORDER BY run")


def _succeeded(folder: Path) -> int:
    return len(query(folder, "SELECT 1 FROM runs WHERE status = 'succeeded'"))


def let_go(folder: Path) -> None:
    """Let every command end that waits for the pipe."""
    os.close(os.open(folder / "go", os.O_RDWR))
