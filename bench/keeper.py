"""A daemon's keeper: what it holds, and what its death costs with attempts under it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from bench.daemon import Daemon, daemon, descriptors, until
from bench.daemon_recovery import COMMAND, hand_over, let_go, started
from bench.figure import Bench, Goal, Row
from jobctl.core.model import Job
from jobctl.definitions.files import read_file
from jobctl.process.descent import checked

_QUIET = 0.3  # seconds without another one that is known: those were all


def keeper(bench: Bench) -> list[Row]:
    """Memory of a daemon's keeper, idle and for each attempt; the keeper killed with attempts under it."""
    folder = bench.folder
    count = bench.size.of(200, 200, 5)
    rounds = bench.size.of(5, 3, 1)
    (folder / "jobs.toml").write_text(f'[jobs.job]\ncommand = "{COMMAND}"\n')
    job = read_file(str(folder / "jobs.toml")).jobs["job"]
    os.mkfifo(folder / "go")
    known, begun = [], []
    try:
        with daemon(folder, "--max-concurrent-runs", str(count + rounds + 1)) as living:
            hand_over(folder, job, 1)
            until(lambda: len(started(folder)) == 1, "a command to start")
            idle = _pss(_keeper(living))
            hand_over(folder, job, count - 1)
            until(lambda: len(started(folder)) == count, f"{count} commands to start")
            full = _pss(_keeper(living))
            for number in range(rounds):
                seconds, next_start = _kill(folder, living, job, count + number)
                known.append(seconds)
                begun.append(next_start)
            let_go(folder)
    finally:
        let_go(folder)
    return [
        Row("keeper", "memory (PSS) with one attempt", "MiB", [idle / 1024], goal=Goal("value", "<=", 3)),
        Row("keeper", "memory of an attempt", "KiB", [(full - idle) / max(1, count - 1)], goal=Goal("value", "<=", 50)),
        Row("keeper", f"killed with {count} attempts: all known", "s", known, goal=Goal("value", "<=", 0.2)),
        Row("keeper", f"killed with {count} attempts: the next starts", "s", begun, goal=Goal("value", "<=", 0.3)),
    ]


def _kill(folder: Path, living: Daemon, job: Job, count: int) -> tuple[float, float]:
    """Seconds until the daemon holds all by their pids, and until the next command has started."""
    held = descriptors(living.process.pid, "pidfd")
    begin = time.monotonic()
    os.kill(checked(_keeper(living)), signal.SIGKILL)
    hand_over(folder, job, 1)
    known = begun = 0.0

    def quiet() -> bool:
        """What it holds by a pidfd grows no more."""
        nonlocal held, known, begun
        now = time.monotonic() - begin
        if (found := descriptors(living.process.pid, "pidfd")) > held:
            held, known = found, now
        if not begun and len(started(folder)) > count:
            begun = now
        return bool(known and begun) and now - known > _QUIET

    until(quiet, "the keeper's attempts to be known, and the next one to start")
    if held < count:
        raise RuntimeError(f"{held} of {count} attempts are held")
    return known, begun


def _keeper(living: Daemon) -> int:
    """The pid of the keeper last made."""
    children = Path(f"/proc/{living.process.pid}/task/{living.process.pid}/children").read_text().split()
    found = [int(pid) for pid in children if _title(int(pid)).startswith("jobctl-keeper")]
    if not found:
        raise RuntimeError("the daemon has no keeper")
    return found[-1]


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _pss(pid: int) -> float:
    """KiB: what it has of its own, and its part of what it shares."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return float(next(line.split()[1] for line in file if line.startswith("Pss:")))
