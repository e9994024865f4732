"""Starts processes in turns and tells time and peak memory of each. A script of its own, and small: see measure.py.

stdin: {"commands": [[argv …] …], "rounds": n, "warm": n}; stdout: {"processes": [[[ms, MiB] …] …]}, or {"failed": why}.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time


def run(argv: list[str], errors: int) -> tuple[float, float, int]:
    """Wall time in ms, peak memory in MiB, exit code."""
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    )
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024  # of ru_maxrss, to a MiB
    return wall * 1000, usage.ru_maxrss / unit, os.waitstatus_to_exitcode(status)


def main() -> dict[str, object]:
    asked = json.load(sys.stdin)
    commands: list[list[str]] = asked["commands"]
    found: list[list[tuple[float, float]]] = [[] for _ in commands]
    with tempfile.TemporaryFile() as errors:
        for number in range(-asked["warm"], asked["rounds"]):
            order = range(len(commands))
            for index in order if number % 2 == 0 else reversed(order):
                ms, rss, code = run(commands[index], errors.fileno())
                if code:
                    errors.seek(0)
                    said = errors.read().decode("utf-8", "backslashreplace").strip()
                    name = " ".join([os.path.basename(commands[index][0]), *commands[index][1:]])
                    return {"failed": f"{name[:200]}: exit code {code}: {said[-200:]}"}
                if number >= 0:
                    found[index].append((ms, rss))
    return {"processes": found}


json.dump(main(), sys.stdout)
