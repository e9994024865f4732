"""The same work in other tools: steps of /bin/true a second. Each lives in a virtual environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.figure import Bench, Goal, Row, SkippedError
from bench.measure import fresh, in_turns, measured_environment
from bench.steps import IN_FLIGHT, STEPS, engine_rate

_COMMAND = "/bin/true"
_INSTALL_SECONDS = 300
_RUN_SECONDS = 300


class Peer(NamedTuple):
    """Another tool, carried by peers/<script>.py: what it does there, and what is promised against it."""

    name: str
    script: str
    packages: tuple[str, ...]
    goal: Goal | None


# Pinned: a figure is compared with the one of last month.
PEERS = (
    Peer("DBOS on SQLite", "dbos_steps.py", ("dbos==3.4.0",), Goal("ratio", ">=", 4)),
    Peer("Huey, fsync", "huey_steps.py", ("huey==3.5.4",), Goal("ratio", ">=", 1)),
    Peer("APScheduler", "apscheduler_steps.py", ("apscheduler==3.11.3", "sqlalchemy==2.1.9"), None),
    Peer("doit -n 2", "doit_steps.py", ("doit==0.37.0",), None),
)


def others(bench: Bench) -> list[Row]:
    """jobctl, 8 runs of 10 steps in flight, against each of the others, as well configured as we know how."""
    runs = bench.size.of(40, 10, 1)
    steps = runs * STEPS
    what = f"{steps} steps of {_COMMAND}, {IN_FLIGHT} in flight"
    # As a list, without a shell: Huey, APScheduler and DBOS start it without one too.
    ours = partial(engine_rate, bench.folder / "ours", runs, STEPS, IN_FLIGHT, (_COMMAND,))

    def beside(name: str, goal: Goal | None, find: Callable[[], Callable[[], float]]) -> Row:
        try:
            theirs = find()
            # Each has its own turns with jobctl: some take seconds to start, and the machine's mood changes meanwhile.
            measured, compared = in_turns(bench.size.of(5, 2, 1), ours, theirs)
        except SkippedError as reason:
            return Row("others", what, reference=name, goal=goal, skipped=str(reason))
        return Row("others", what, "steps/s", measured, name, compared, goal)

    return [
        *(beside(peer.name, peer.goal, partial(_peer, bench, peer, steps)) for peer in PEERS),
        beside("make -j2, through sh", Goal("ratio", ">=", 0.5), partial(_make, bench, steps)),
    ]


def _peer(bench: Bench, peer: Peer, steps: int) -> Callable[[], float]:
    """What measures the peer. SkippedError when it is not there, or does not work here."""
    script = str(Path(__file__).parent / "peers" / peer.script)
    rate = partial(_peer_rate, bench.folder / "peer", [_installed(bench, peer), script, str(steps)], steps)
    rate()  # compiles its bytecode, and shows whether it works
    return rate


def _make(bench: Bench, steps: int) -> Callable[[], float]:
    if not shutil.which("make"):
        raise SkippedError("there is no make here")
    return partial(_make_rate, bench.folder / "make", steps)


def _installed(bench: Bench, peer: Peer) -> str:
    """The Python that has the peer's packages. SkippedError when there is none and none can be made."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = bench.cache / "-".join([*peer.packages, version])
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if complete.exists():
        return str(python)
    if not bench.install:
        raise SkippedError("not installed")
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *peer.packages],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            raise SkippedError(f"not installed within {_INSTALL_SECONDS} s") from None
        if done.returncode:
            raise SkippedError(f"cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    complete.touch()
    return str(python)


def _peer_rate(folder: Path, command: list[str], steps: int) -> float:
    """Steps a second as the script itself has timed them: importing and setting up the tool do not count."""
    fresh(folder)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=measured_environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"not done within {_RUN_SECONDS} s") from None
    told = done.stdout.split()
    if done.returncode or not told:
        raise SkippedError(f"exit code {done.returncode}: {done.stderr.strip()[-200:]}")
    return steps / float(told[-1])


def _make_rate(folder: Path, steps: int) -> float:
    folder.mkdir(exist_ok=True)
    names = " ".join(f"s{number}" for number in range(steps))
    # The semicolon keeps make from starting the command without a shell.
    (folder / "Makefile").write_text(f".PHONY: all {names}\nall: {names}\n{names}:\n\t@{_COMMAND};\n")
    begin = time.perf_counter()
    subprocess.run(["make", "-s", "-r", "-j2"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return steps / (time.perf_counter() - begin)
