"""`python -m tests.simulation`: live through worlds.

SEED [--drop 3,7-9]     that world once more, exactly, with a trace of all that happened
SEED --shrink           the smallest part of it that still fails
--seconds 60            fresh seeds for so long, on all processors; ends with 1 when one fails
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time
from multiprocessing import get_context
from queue import Empty
from types import FrameType

from .plan import VERSION
from .shrink import numbers, shrink, spelled
from .simulation import Result, simulate
from .world import DAY, Violation

_PATIENCE = 120  # seconds of a processor, whoever else has it: a world takes one or two
_UNTIL_LOST = 4 * _PATIENCE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("seed", nargs="?")
    parser.add_argument("--drop", default="", help="items of the world that are left out")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="without the trace")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, help="count seeds from this number on, instead of drawing them")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first failure")
    given = parser.parse_args()
    if given.seed is None:
        return _fresh(given.seconds, given.first, given.go_on)
    dropped = numbers(given.drop)
    if given.shrink:
        found = shrink(given.seed, dropped, say=lambda text: print(text, file=sys.stderr))
        if found is None:
            print(f"seed {given.seed} does not fail")
            return 0
        dropped = found
    result = simulate(given.seed, dropped, trace=None if given.quiet else print)
    for number, item in enumerate(result.items):
        if number not in dropped and not given.quiet:
            print(f"item {number}: {item}")
    _tell(result, dropped)
    return 0 if result.rule is None else 1


def _tell(result: Result, dropped: set[int]) -> None:
    if result.rule is not None:
        print(f"FAILED: {result.message}")
        drop = f" --drop {spelled(dropped)}" if dropped else ""
        print(f"again: python -m tests.simulation {result.seed}{drop}")
    print(
        f"{result.seed}: {result.milliseconds / DAY:.1f} days, {result.runs} runs, {result.commands} commands,"
        f" {result.events} events, {result.commits} commits, {result.deaths} deaths, digest {result.digest}"
    )


def _fresh(seconds: float, first: int | None, go_on: bool) -> int:
    context = get_context("fork")
    results = context.Queue()
    workers = os.cpu_count() or 1
    base = secrets.token_hex(4)
    until = time.time() + seconds
    started = [
        context.Process(target=_work, args=(results, base, first, i, workers, until), daemon=True)
        for i in range(workers)
    ]
    for one in started:
        one.start()
    under_way = [_seed(base, first, place) for place in range(workers)]

    def killed(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # `timeout` tells its child, and then the group that this is in
        print(f"{worlds} worlds, {len(failed)} failed; under way: {', '.join(under_way)}", flush=True)
        sys.exit(128 + number)

    worlds = days = runs = events = commits = deaths = 0
    done = [0] * workers
    failed: list[Result] = []
    signal.signal(signal.SIGTERM, killed)
    began = time.monotonic()
    left = workers
    while left and (go_on or not failed):
        try:
            result = results.get(timeout=_UNTIL_LOST)
        except Empty:
            print(f"no world came to its end within {_UNTIL_LOST} s", file=sys.stderr)
            left = -1
            break
        if result is None:
            left -= 1
            continue
        worlds += 1
        place = under_way.index(result.seed)
        done[place] += 1
        under_way[place] = _seed(base, first, place + done[place] * workers)
        days += result.milliseconds
        runs += result.runs
        events += result.events
        commits += result.commits
        deaths += result.deaths
        if result.rule is not None:
            failed.append(result)
            _tell(result, set())
    for one in started:
        one.terminate()
        one.join()
    took = time.monotonic() - began
    print(
        f"{worlds} worlds, {days / DAY:.0f} days, {runs} runs, {events} events, {commits} commits, {deaths} deaths in"
        f" {took:.0f} s: {days / DAY / took * 60:.0f} days a minute; {len(failed)} failed"
    )
    return 1 if failed or left < 0 or not worlds else 0


def _seed(base: str, first: int | None, i: int) -> str:
    return f"{VERSION}:" + (f"{base}-{i}" if first is None else str(first + i))


def _work(results, base: str, first: int | None, place: int, workers: int, until: float) -> None:  # type: ignore[no-untyped-def]
    signal.signal(signal.SIGPROF, _no_end)
    i = place
    while time.time() < until:
        seed = _seed(base, first, i)
        signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
        result = simulate(seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        results.put(result)
        i += workers
    results.put(None)


def _no_end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal's handler
    """A world that goes on and on fails like any other: its seed is told, and the place that it was in."""
    where = "?" if frame is None else frame.f_code.co_qualname
    raise Violation("the world comes to rest", f"not within {_PATIENCE} s of a processor; it is in {where}")


if __name__ == "__main__":
    sys.exit(main())
