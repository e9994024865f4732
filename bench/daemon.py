"""A daemon as a process of its own, as a service manager would start it, and what its runs left. Measures nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import JOBCTL, measured_environment

PATIENCE = 60.0  # seconds until something that must happen counts as not happening
_LOOK_EVERY = 0.005

# A command whose whole output is the moment it came to life, in ns since the epoch.
TELL_TIME = "date +%s%N"


class Daemon:
    """One `jobctl daemon` on the store and the definitions in `folder`."""

    def __init__(self, folder: Path, *args: str, command: Sequence[str] = (JOBCTL,)) -> None:
        self.log = folder / f"daemon-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                [*command, "daemon", *args],
                cwd=folder,
                env=measured_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def until_it_says(self, words: str, times: int = 1, patience: float = PATIENCE) -> float:
        """Seconds from its start until its journal holds the words so many times. RuntimeError when it never does."""
        until(lambda: self._living() and self.log.read_text().count(words) >= times, f"{words!r} x {times}", patience)
        return time.monotonic() - self.started

    def until_ready(self) -> float:
        """Seconds from its start. RuntimeError when it does not get there."""
        return self.until_it_says("ready: ")

    def rss(self) -> float:
        """MiB that it holds now."""
        return rss(self.process.pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """In order, and wait for it. RuntimeError unless it ends as it should."""
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        if code != 128 + signal.SIGTERM:
            raise RuntimeError(f"the daemon ended with exit code {code}: {self._last_words()}")

    def _living(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended with exit code {self.process.returncode}: {self._last_words()}")
        return True

    def _last_words(self) -> str:
        return self.log.read_text(errors="backslashreplace").strip()[-300:]


@contextmanager
def daemon(folder: Path, *args: str, command: Sequence[str] = (JOBCTL,)) -> Iterator[Daemon]:
    """A daemon that is ready; gone at the end, whatever happens."""
    living = Daemon(folder, *args, command=command)
    try:
        living.until_ready()
        yield living
    finally:
        living.kill()


def until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for it. RuntimeError that names it when it does not come."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {patience:.0f} s for: {what}")
        time.sleep(_LOOK_EVERY)


def sleep_until(wall: float) -> None:
    """Until that second of the wall clock."""
    time.sleep(max(0.0, wall - time.time()))


def rss(pid: int) -> float:
    """MiB that a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory: it has ended")


class Firing(NamedTuple):
    """A fire time that became a run, and that run's command."""

    job: str
    fire_time: int  # ms
    late: float  # ms, from the fire time to the command's first line


def firings(folder: Path, jobs: str = "%") -> list[Firing]:
    """What all scheduled runs of TELL_TIME say, oldest first. RuntimeError when a command ran twice, or not at all.

    `jobs`: of jobs of such names, as SQL's LIKE has it.
    """
    found = []
    for job, name, fire_time in query(
        folder,
        "SELECT job, name, fire_time FROM runs WHERE trigger = 'schedule' AND job LIKE ? ORDER BY fire_time, id",
        jobs,
    ):
        log = folder / "state" / "runs" / name / "main.1.log"
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) != 1:
            raise RuntimeError(f"the command of {name} ran {len(lines)} times")
        found.append(Firing(job, fire_time, int(lines[0]) / 1e6 - fire_time))
    return found


def query(folder: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of the store in `folder`."""
    with closing(sqlite3.connect(folder / "state" / "jobctl.db", timeout=PATIENCE)) as db:
        return db.execute(sql, values).fetchall()


def all_ended(folder: Path) -> bool:
    """Whether no run of the store is under way."""
    return query(folder, "SELECT 1 FROM runs WHERE finished_at IS NULL LIMIT 1") == []


def percentile(values: Sequence[float], share: float) -> float:
    """The value below or at which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, to the ns."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def wake_ups(pid: int) -> int:
    """How often a process has gone to sleep and come back."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])
    raise RuntimeError(f"this system does not count the wake-ups of process {pid}")


def descriptors(pid: int, kind: str) -> int:
    """How many open descriptors of a process are of a kind, such as `pidfd`."""
    count = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            count += kind in os.readlink(entry.path)
        except OSError:
            continue  # closed in between
    return count
