"""One measurement in a process of its own, so that its peak memory is its own too.

python -m bench.probe KIND SIZE FOLDER; stdout: {"us": microseconds for each, "mib": peak memory}.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.steps import IN_FLIGHT, engine_rate
from jobctl.core.model import Job, Step
from jobctl.core.run.decide import Decider
from jobctl.core.run.history import Event, EventType, replay


def decide(steps: int, _: Path) -> float:
    """A run in which each step waits for the one above it: every event added to the state and decided about."""
    chain = tuple(Step(f"s{i}", needs=(f"s{i - 1}",) if i else (), command="true") for i in range(steps))
    job = Job("bench", "/", chain)
    state, decider = replay([Event(EventType.RUN_CREATED, 0)]), Decider(job)
    events = [Event(EventType.RUN_TAKEN, 0)]
    for step in chain:
        events.append(Event(EventType.ATTEMPT_STARTED, 0, step.name, 1))
        events.append(Event(EventType.ATTEMPT_ENDED, 0, step.name, 1, {"status": "succeeded"}))
    begin = time.perf_counter()
    for event in events:
        state.apply(event)
        decider.feed(event)
    seconds = time.perf_counter() - begin
    if decider.end().status != "succeeded" or len(state.steps) != steps:
        raise RuntimeError("the run did not come to its end")
    return seconds / steps


def runs(count: int, folder: Path) -> float:
    """Runs of one step, carried out."""
    return 1 / engine_rate(folder, count, 1, IN_FLIGHT)


def steps(count: int, folder: Path) -> float:
    """One run of so many steps, carried out."""
    return 1 / engine_rate(folder, 1, count, 1)


KINDS: dict[str, Callable[[int, Path], float]] = {"decide": decide, "runs": runs, "steps": steps}

if __name__ == "__main__":
    kind, size, folder = sys.argv[1:]
    seconds = KINDS[kind](int(size), Path(folder))
    # Not getrusage: what exec leaves there is the peak of the process that started this one.
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    if peak is None:
        raise RuntimeError("this system does not tell a process its peak memory")
    print(json.dumps({"us": seconds * 1e6, "mib": int(peak[1]) / 1024}))
