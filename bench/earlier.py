"""Against an earlier jobctl: a checkout with a .venv of its own, `--earlier FOLDER`. Each round runs both, in turns.

Both sides are measured by their own bench, in a process of their own that waits for whatever it leaves: keepers too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.figure import Bench, Goal, Row, SkippedError
from bench.measure import fresh, in_turns

HERE = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")

# Whatever the measured process leaves comes to this one, so that the processor time of all of it is known.
_ALL = """
import ctypes, json, os, resource, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": done.returncode, "said": done.stdout, "cpu": used.ru_utime + used.ru_stime}))
"""
_RATE = """
import sys, time
from pathlib import Path
from bench.steps import engine_rate
begun = time.process_time()
print(engine_rate(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])), begun)
"""


def earlier(bench: Bench) -> list[Row]:
    """Steps a second and processor time of a step, on a disk and in memory."""
    if bench.earlier is None:
        raise SkippedError("--earlier FOLDER names a checkout of an earlier version, with its .venv")
    rows = []
    runs, steps = bench.size.of(200, 100, 2), bench.size.of(500, 300, 5)
    for where, folder in (("on a disk", bench.folder), ("in memory", MEMORY)):
        with tempfile.TemporaryDirectory(dir=folder, prefix="jobctl-bench-") as name:
            place = Path(name)
            for what, load, goal in (
                ("parallel", (runs, 10, 8), 1.6 if folder == MEMORY else 1.5),
                ("chain", (1, steps, 1), 1.4),
            ):
                (ours, our_cpu), (theirs, their_cpu) = _both(bench, bench.earlier, place, load)
                rows.append(
                    Row("earlier", f"{what}, {where}", "steps/s", ours, "earlier", theirs, Goal("ratio", ">=", goal))
                )
                if what == "parallel":
                    label = f"CPU of a step, {where}"
                    rows.append(Row("earlier", label, "ms", our_cpu, "earlier", their_cpu, Goal("ratio", "<=", 0.65)))
    return rows


def _both(bench: Bench, other: Path, place: Path, load: tuple[int, int, int]) -> list[tuple[list[float], list[float]]]:
    """(steps a second, CPU milliseconds of a step) of each round, ours and theirs."""
    cpu: list[list[float]] = [[], []]

    def one(index: int, checkout: Path) -> float:
        folder = fresh(place / f"state{index}")
        rate, seconds = _measured(checkout, folder, load)
        cpu[index].append(seconds * 1000 / (load[0] * load[1]))
        return rate

    rates = in_turns(bench.size.of(10, 4, 1), partial(one, 0, HERE), partial(one, 1, other))
    return list(zip(rates, cpu, strict=True))


def _measured(checkout: Path, folder: Path, load: tuple[int, int, int]) -> tuple[float, float]:
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise SkippedError(f"{python} is not there")
    done = subprocess.run(
        [sys.executable, "-c", _ALL, str(python), "-c", _RATE, str(folder), *map(str, load)],
        cwd=checkout,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "JOBCTL_"))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    if answer["code"]:
        raise SkippedError(f"{checkout} cannot be measured: exit code {answer['code']}")
    rate, begun = (float(word) for word in answer["said"].split())
    return rate, answer["cpu"] - begun  # what imports cost is no step's
