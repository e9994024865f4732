"""How things are measured: in turns, so that a busy minute hits all alike; processes by a small one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.figure import SkippedError

_STARTER = Path(__file__).with_name("starter.py")

JOBCTL = str(Path(sys.executable).with_name("jobctl"))


class Process(NamedTuple):
    """One process that was run to its end."""

    ms: float  # wall time from before its start until it is reaped
    rss: float  # MiB at its peak, or at that of a child it waited for


def in_turns(rounds: int, *candidates: Callable[[], float]) -> list[list[float]]:
    """What each candidate gives in each round: [its numbers, …]. Every other round goes backwards."""
    found: list[list[float]] = [[] for _ in candidates]
    for number in range(rounds):
        order = range(len(candidates))
        for index in order if number % 2 == 0 else reversed(order):
            os.sync()  # what the one before left to be written is not this one's load
            found[index].append(candidates[index]())
    return found


def processes(
    commands: Sequence[Sequence[str]], rounds: int, *, folder: Path, environment: Mapping[str, str], warm: int = 1
) -> list[list[Process]]:
    """Run the commands in turns, output thrown away: [those of the first command, …]. SkippedError when one fails.

    `warm` rounds more come first and do not count: they compile bytecode, fill caches, create the store.
    """
    request = json.dumps({"commands": commands, "rounds": rounds, "warm": warm})
    starter = subprocess.run(
        # Bare and isolated: a process starts with its parent's peak as its own (exec keeps ru_maxrss), and a process
        # as large as this one would be all that is seen.
        [sys.executable, "-I", "-S", str(_STARTER)],
        input=request,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=dict(environment),
        check=True,
    )
    answer = json.loads(starter.stdout)
    if "failed" in answer:
        raise SkippedError(answer["failed"])
    return [[Process(*numbers) for numbers in command] for command in answer["processes"]]


def measured_environment(folder: Path) -> dict[str, str]:
    """The environment of what is measured: bytecode is kept as anywhere else, jobctl's files are all in `folder`."""
    unwanted = ("PYTHON", "JOBCTL_", "XDG_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    return environment | {
        "JOBCTL_STATE_DIR": str(folder / "state"),
        "JOBCTL_FILE": str(folder / "jobs.toml"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


def jobctl(folder: Path, *args: str) -> None:
    """Run jobctl once, not measured. SkippedError when it fails."""
    done = subprocess.run(
        [JOBCTL, *args],
        cwd=folder,
        env=measured_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SkippedError(f"jobctl {' '.join(args)}: exit code {done.returncode}: {done.stderr.strip()[:200]}")


def fresh(folder: Path) -> Path:
    """The folder, empty. What was in it is put aside: to remove it now would make what comes next slower."""
    if folder.exists():
        folder.rename(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    folder.mkdir(mode=0o700, parents=True)
    return folder
