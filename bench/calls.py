"""What a call of jobctl takes: time and memory of whole processes, as a shell would start them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bench.figure import Bench, Goal, Row, SkippedError
from bench.measure import JOBCTL, Process, in_turns, jobctl, measured_environment, processes

_BARE = [sys.executable, "-c", "pass"]
_BARE_NAME = "python -c pass"

_ONE_STEP = '[jobs.hello]\ncommand = "true"\n'
_SCHEDULED = _ONE_STEP + 'schedule = "30 2 * * *"\n'


def startup(bench: Bench) -> list[Row]:
    """`--version`, `--help`, `status`, `run` of one step, and what scripts call in loops, against a bare Python."""
    folder = bench.folder
    (folder / "jobs.toml").write_text(_ONE_STEP)
    (folder / "nightly.toml").write_text(_SCHEDULED)
    jobctl(folder, "run", "hello")
    calls: list[tuple[str, list[str], float]] = [
        ("jobctl --version", ["--version"], 2),
        ("jobctl --help", ["--help"], 7),
        ("jobctl status", ["status"], 7),
        ("jobctl status, with a cron schedule", ["status", "--file", "nightly.toml"], 7),
        ("jobctl run, one step", ["run", "hello"], 10),
        ("jobctl step x -- true", ["step", "x", "--", "true"], 2.5),
        ("jobctl heartbeat 7", ["heartbeat", "7"], 2.5),
    ]
    bare, *found = processes(
        [_BARE, *([JOBCTL, *args] for _, args, _ in calls)],
        bench.size.of(21, 7, 1),
        folder=folder,
        environment=measured_environment(folder) | _inside(folder),
    )
    return [
        Row("startup", what, "ms", _ms(ours), _BARE_NAME, _ms(bare), Goal("ratio", "<=", limit))
        for (what, _, limit), ours in zip(calls, found, strict=True)
    ]


def _inside(folder: Path) -> dict[str, str]:
    """What makes a process one of an attempt's. Each call adds to the same record."""
    base = str(folder / "main.1")
    return {f"JOBCTL_{name.upper()}": f"{base}.{name}" for name in ("journal", "failure", "heartbeat", "waits")}


def memory(bench: Bench) -> list[Row]:
    """Peak memory of `jobctl run` of one step, against a bare Python."""
    folder = bench.folder
    (folder / "jobs.toml").write_text(_ONE_STEP)
    ours, bare = processes(
        [[JOBCTL, "run", "hello"], _BARE],
        bench.size.of(7, 3, 1),
        folder=folder,
        environment=measured_environment(folder),
    )
    goal = Goal("ratio", "<=", 3)
    return [Row("memory", "jobctl run, one step, peak RSS", "MiB", _rss(ours), _BARE_NAME, _rss(bare), goal)]


def logs(bench: Bench) -> list[Row]:
    """`logs --tail 20` of a large log against a small one."""
    folder = bench.folder
    large = bench.size.of(1_000_000_000, 200_000_000, 1_000_000)
    (folder / "jobs.toml").write_text(_writer("small", 1000) + _writer("large", large))
    jobctl(folder, "run", "small")
    jobctl(folder, "run", "large", "--quiet")
    of_large, of_small = processes(
        [[JOBCTL, "logs", name, "--tail", "20"] for name in ("large", "small")],
        bench.size.of(15, 7, 1),
        folder=folder,
        environment=measured_environment(folder),
    )
    what = f"logs --tail 20 of {large // 1_000_000:,} MB"
    return [
        Row("logs", what, "ms", _ms(of_large), "of 1 KB", _ms(of_small), Goal("ratio", "<=", 1.5)),
        Row("logs", f"{what}, peak RSS", "MiB", _rss(of_large), "of 1 KB", _rss(of_small), Goal("value", "<=", 60)),
    ]


def validate(bench: Bench) -> list[Row]:
    """`validate` of many jobs in one file; a job of the tenth part of them must not cost less."""
    folder = bench.folder
    many = bench.size.of(10_000, 10_000, 100)
    few = many // 10
    for count in (1, few, many):
        (folder / f"{count}.toml").write_text("".join(map(_job, range(count))))
    one, of_few, of_many = (
        _ms(found)
        for found in processes(
            [[JOBCTL, "validate", f"{count}.toml"] for count in (1, few, many)],
            bench.size.of(5, 1, 1),
            folder=folder,
            environment=measured_environment(folder),
        )
    )
    per_job_of_few = [(ms - start) / (few - 1) for ms, start in zip(of_few, one, strict=True)]
    per_job_of_many = [(ms - start) / (many - 1) for ms, start in zip(of_many, one, strict=True)]
    return [
        Row("validate", f"{many:,} jobs", "s", [ms / 1000 for ms in of_many], goal=Goal("value", "<=", 5)),
        Row(
            "validate",
            f"each of {many:,} jobs",
            "ms",
            per_job_of_many,
            f"each of {few:,}",
            per_job_of_few,
            Goal("ratio", "<=", 1.25),
        ),
    ]


def heartbeats(bench: Bench) -> list[Row]:
    """A shell loop that beats, in a real attempt, against the same loop into a plain file; and what it records."""
    count = bench.size.of(55_000, 55_000, 500)
    # The engine looks at heartbeats only where there is something to miss.
    definition = "[jobs.beat]\ntimeout = '1h'\nstep_timeout = {{ heartbeat = '10s' }}\ncommand = '''{}'''\n"
    folder = bench.folder
    (folder / "jobs.toml").write_text(definition.format(_beating(count, "JOBCTL_HEARTBEAT")))

    ours, plain = in_turns(
        bench.size.of(7, 3, 1),
        partial(_beat_in_an_attempt, folder),
        partial(_beat_outside, folder, count),
    )
    with_beats = _events(folder)
    (folder / "jobs.toml").write_text(definition.format(_beating(0, "JOBCTL_HEARTBEAT")))
    _beat_in_an_attempt(folder)
    added = with_beats - _events(folder)
    return [
        Row("heartbeats", f"{count:,} of a shell loop", "ms", ours, "to a plain file", plain, Goal("ratio", "<=", 1.1)),
        Row("heartbeats", f"events that {count:,} add", "rows", [added], goal=Goal("value", "<=", 0)),
    ]


def _beating(count: int, variable: str) -> str:
    """Shell: tells the time before and after, in ns."""
    loop = f'i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i >> "${variable}"; done'
    return f"date +%s%N; {loop}; date +%s%N"


def _beat_in_an_attempt(folder: Path) -> float:
    """Milliseconds of the loop. The store is a new one: it holds this run and nothing else."""
    state = folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    jobctl(folder, "run", "beat", "--quiet")
    written = list(state.glob("runs/*/*.log"))
    if len(written) != 1:
        raise SkippedError(f"one log was expected in {state}/runs, {len(written)} were found")
    return _between(written[0].read_text())


def _beat_outside(folder: Path, count: int) -> float:
    plain = folder / "plain"
    plain.unlink(missing_ok=True)
    script = _beating(count, "PLAIN")
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env=dict(os.environ, PLAIN=str(plain)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return _between(done.stdout)


def _between(told: str) -> float:
    begin, end = map(int, told.split())
    return (end - begin) / 1_000_000


def _events(folder: Path) -> int:
    with sqlite3.connect(folder / "state" / "jobctl.db") as db:
        count: int = db.execute("SELECT count(*) FROM events").fetchone()[0]
    db.close()
    return count


def _writer(name: str, size: int) -> str:
    command = f"yes 'one line of output like any other, some sixty bytes long' | head -c {size}"
    return f'[jobs.{name}]\nlog_limit = "2GiB"\ncommand = "{command}"\n'


def _job(number: int) -> str:
    """A job of an ordinary kind: a schedule, a retry policy, two steps, a reference."""
    return f"""\
[jobs.job-{number}]
description = "Job number {number}"
schedule = "{number % 60} {number % 24} * * *"
timezone = "Europe/Berlin"
timeout = "1h"
params = {{ day = {{ type = "date", default = "{{{{ run.fire_date }}}}" }} }}

[[jobs.job-{number}.steps]]
name = "load"
command = ["./load", "--day", "{{{{ params.day }}}}"]
retry = {{ maximum_attempts = 5, initial_interval = "1s" }}

[[jobs.job-{number}.steps]]
name = "publish"
command = "./publish"
timeout = "30s"

"""


def _ms(found: Iterable[Process]) -> list[float]:
    return [process.ms for process in found]


def _rss(found: Iterable[Process]) -> list[float]:
    return [process.rss for process in found]
