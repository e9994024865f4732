"""What a daemon takes that has nothing to do, and what many schedules make of that."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from bench.daemon import Daemon, cpu_seconds, daemon, rss, wake_ups
from bench.figure import Bench, Goal, Row
from bench.measure import in_turns
from jobctl.core.model import Schedule
from jobctl.core.schedule.schedule import next_fire
from jobctl.definitions.files import read_file

_ZONE = "Europe/Berlin"

_HEAP = """\
import heapq, sys, time
heap = [(time.time() + 86_400 + number, number) for number in range(int(sys.argv[1]))]
heapq.heapify(heap)
while heap:
    time.sleep(heap[0][0] - time.time())
"""


def idle(bench: Bench) -> list[Row]:
    """A daemon with 1,000 schedules, none due: memory, wake-ups, processor time, against bare Python with a heap."""
    folder = bench.folder
    count = bench.size.of(1000, 1000, 10)
    seconds = bench.size.of(120, 20, 1)
    (folder / "jobs.toml").write_text(definitions(count))
    with daemon(folder) as ours, subprocess.Popen([sys.executable, "-c", _HEAP, str(count)]) as bare:
        time.sleep(_settled(bench))
        pids = (ours.process.pid, bare.pid)
        try:
            woken, used = [wake_ups(pid) for pid in pids], [cpu_seconds(pid) for pid in pids]
            time.sleep(seconds)
            woken = [wake_ups(pid) - before for pid, before in zip(pids, woken, strict=True)]
            used = [cpu_seconds(pid) - before for pid, before in zip(pids, used, strict=True)]
            memory = [rss(pid) for pid in pids]
        finally:
            bare.kill()
    what = f"{count:,} schedules, none due"
    name = "bare heap"
    return [
        Row("idle", f"{what}: RSS", "MiB", memory[:1], name, memory[1:], Goal("value", "<=", 45)),
        Row("idle", f"{what}: wake-ups", "/s", [woken[0] / seconds], goal=Goal("value", "<=", 0.3)),
        Row("idle", f"{what}: processor time", "%", [used[0] / seconds * 100], goal=Goal("value", "<=", 0.1)),
    ]


def schedules(bench: Bench) -> list[Row]:
    """10,000 schedules against 1,000: until a daemon on a new store is ready, its memory, each next fire time."""
    many = bench.size.of(10_000, 10_000, 100)
    few = many // 10
    folders = {count: bench.folder / str(count) for count in (many, few)}
    for count, folder in folders.items():
        folder.mkdir()
        (folder / "jobs.toml").write_text(definitions(count))
    memory: dict[int, list[float]] = {many: [], few: []}

    def start(count: int) -> float:
        shutil.rmtree(folders[count] / "state", ignore_errors=True)
        living = Daemon(folders[count])
        try:
            ready = living.until_ready()
            time.sleep(_settled(bench))
            memory[count].append(living.rss())
        finally:
            living.kill()
        return ready

    def ask(count: int) -> float:
        """us for a next fire time."""
        now = time.time_ns() // 1_000_000
        begin = time.perf_counter()
        for schedule in kept[count]:
            next_fire(schedule, now, zone=_ZONE)
        return (time.perf_counter() - begin) / count * 1e6

    kept: dict[int, list[Schedule]] = {}
    for count, folder in folders.items():
        kept[count] = [s for job in read_file(str(folder / "jobs.toml")).jobs.values() for s in job.schedules]
    rounds = bench.size.of(5, 1, 1)
    ready = in_turns(rounds, partial(start, many), partial(start, few))
    ask(few)  # reads the zones
    each = in_turns(rounds, partial(ask, many), partial(ask, few))
    what, name = f"{many:,} schedules", f"{few:,}"
    return [
        Row("schedules", f"{what}: start to ready", "s", ready[0], name, ready[1], Goal("value", "<=", 5)),
        Row("schedules", f"{what}: RSS", "MiB", memory[many], name, memory[few], Goal("value", "<=", 90)),
        Row("schedules", f"{what}: each next fire time", "us", each[0], name, each[1], Goal("value", "<=", 150)),
    ]


def _settled(bench: Bench) -> float:
    """Seconds after which a daemon that is ready has done what a start brings."""
    return bench.size.of(2.0, 2.0, 0.1)


def definitions(count: int) -> str:
    """Jobs with schedules of ordinary kinds in a zone with summer time, none due within the next hour."""
    hour = datetime.now(ZoneInfo(_ZONE)).hour + 2
    kinds = ("{m} {h} * * *", "{m} {h} * * mon-fri", "{m} {h} 1 * *", "{m},30 {h} * 1-6 *")
    return "".join(
        f"[jobs.job-{number}]\n"
        f'schedule = "{kinds[number % 4].format(m=number % 29, h=(hour + number % 20) % 24)}"\n'
        f'timezone = "{_ZONE}"\ncommand = "true"\n'
        for number in range(count)
    )
