"""How late commands start: many due at once, handed over, or beside a second daemon. And that each starts once."""

from __future__ import annotations

import heapq
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from bench.daemon import TELL_TIME, Firing, all_ended, daemon, firings, percentile, sleep_until, until
from bench.figure import Bench, Goal, Row
from bench.measure import JOBCTL, fresh, measured_environment
from jobctl.process import environment
from jobctl.process.attempt import AttemptFiles

_PERIOD = 6  # seconds between two firings of the same jobs; the bare loop's turn is in the middle
_SETTLED = 1.0  # seconds that a daemon's start or end may disturb


def lateness(bench: Bench) -> list[Row]:
    """Jobs due at the same second: from then to the first line of each command, against a bare heap-and-spawn loop."""
    folder = bench.folder
    jobs = bench.size.of(100, 100, 5)
    rounds = bench.size.of(15, 4, 1)
    period = bench.size.of(_PERIOD, _PERIOD, 2)
    schedule = f'schedule = {{ every = "{period}s" }}'
    (folder / "jobs.toml").write_text(
        "".join(f'[jobs.job-{i}]\n{schedule}\noverlap = "allow_all"\ncommand = "{TELL_TIME}"\n' for i in range(jobs))
    )
    bare = []
    with daemon(folder):
        begin = (int(time.time()) // period + 1) * period
        for number in range(rounds + 1):
            sleep_until(begin + number * period + period / 4)
            bare.append(_bare(folder / "bare", jobs, begin + number * period + period / 2))
        until(lambda: all_ended(folder), "the last runs to end")
    ours = [
        [firing.late for firing in firings(folder) if firing.fire_time == (begin + number * period) * 1000]
        for number in range(rounds + 1)
    ]
    if any(len(found) != jobs for found in ours):
        raise RuntimeError(f"{jobs} jobs are due each time; so many ran: {[len(found) for found in ours]}")
    # The first round compiles bytecode and fills caches.
    del ours[0], bare[0]
    what = f"{jobs} jobs due at once"
    return [
        Row(
            "lateness",
            f"{what}, {name}",
            "ms",
            [percentile(found, share) for found in ours],
            "bare loop",
            [percentile(found, share) for found in bare],
            goal,
        )
        for name, share, goal in (
            ("p50", 0.5, Goal("ratio", "<=", 1.5)),
            ("p99", 0.99, Goal("ratio", "<=", 1.5)),
            ("the first", 0.0, Goal("value", "<=", 15)),
        )
    ]


def detach(bench: Bench) -> list[Row]:
    """`run --detach`: from its exit to the first line of the command."""
    folder = bench.folder
    (folder / "jobs.toml").write_text(f'[jobs.job]\ncommand = "{TELL_TIME}"\n')
    found = []
    with daemon(folder):
        for number in range(bench.size.of(60, 20, 2) + 1):
            done = subprocess.run(
                [JOBCTL, "run", "job", "--detach"],
                cwd=folder,
                env=measured_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            exited = time.time_ns()
            log = folder / "state" / "runs" / done.stdout.strip() / "main.1.log"
            until(lambda log=log: log.exists() and log.read_text().endswith("\n"), f"{log} to be written")  # type: ignore[misc]
            if number:  # the first one fills caches
                found.append((int(log.read_text()) - exited) / 1e6)
    return [Row("detach", "run --detach: exit to first line", "ms", found, goal=Goal("value", "<=", 50))]


def two_daemons(bench: Bench) -> list[Row]:
    """Two daemons on one folder, 20 firings a second, against one of them alone: each fire time once, and not later."""
    folder = bench.folder
    jobs = bench.size.of(20, 20, 2)
    turns = bench.size.of(6, 2, 1)
    seconds = bench.size.of(10, 3, 1)  # of a turn: of one daemon alone, then of both
    (folder / "jobs.toml").write_text(
        "".join(
            f'[jobs.job-{i}]\nschedule = {{ every = "1s", offset = "{i * 1000 // jobs}ms" }}\n'
            f'overlap = "allow_all"\ncommand = "{TELL_TIME}"\n'
            for i in range(jobs)
        )
    )
    windows: list[tuple[float, float]] = []  # one alone, both, one alone, …
    with daemon(folder) as first:
        for _ in range(turns):
            windows.append(_window(seconds))
            with daemon(folder) as second:
                windows.append(_window(seconds))
                second.stop()
        ended = time.time()
        until(lambda: all_ended(folder), "the last runs to end")
        first.stop()
    found = firings(folder)
    wrong = _wrong(found, windows[0][0], ended)
    late = [
        [firing.late for firing in found if start * 1000 <= firing.fire_time < end * 1000] for start, end in windows
    ]
    what = f"two daemons, {jobs} firings a second, {turns * seconds} s"
    rows = [
        Row(
            "two_daemons",
            f"{what}, {name}",
            "ms",
            [percentile(times, share) for times in late[1::2]],
            "one daemon",
            [percentile(times, share) for times in late[0::2]],
            Goal("ratio", "<=", 2),
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
    return [*rows, Row("two_daemons", f"{what}: twice or missing", "firings", [wrong], goal=Goal("value", "<=", 0))]


def _window(seconds: float) -> tuple[float, float]:
    """Some seconds in which nothing is started or ended."""
    time.sleep(_SETTLED)
    start = time.time()
    time.sleep(seconds)
    return start, time.time()


def _wrong(found: list[Firing], start: float, end: float) -> int:
    """How many fire times of a job of one a second came twice, or not at all, within [start, end - 1 s)."""
    times: dict[str, list[int]] = defaultdict(list)
    for firing in found:
        if start * 1000 <= firing.fire_time < end * 1000 - 1000:
            times[firing.job].append(firing.fire_time)
    wrong = 0
    for fired in times.values():
        expected = set(range(fired[0], fired[-1] + 1, 1000))
        wrong += len(fired) - len(set(fired)) + len(expected.symmetric_difference(fired))
    return wrong


def _bare(folder: Path, count: int, due: float) -> list[float]:
    """How late so many commands are, in ms, when nothing is recorded, decided or kept."""
    fresh(folder)
    variables = environment.build(os.environ)
    heap = [(due, number) for number in range(count)]
    heapq.heapify(heap)
    files = [AttemptFiles(str(folder), "main", number) for number in range(count)]
    living = []
    while heap:
        moment, number = heapq.heappop(heap)
        sleep_until(moment)
        log = (os.POSIX_SPAWN_OPEN, 1, files[number].log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        command = ["/bin/sh", "-c", TELL_TIME]
        living.append(os.posix_spawn("/bin/sh", command, variables, file_actions=[log], setsid=True))
    for pid in living:
        os.waitpid(pid, 0)
    return [int(Path(file.log).read_text()) / 1e6 - due * 1000 for file in files]
