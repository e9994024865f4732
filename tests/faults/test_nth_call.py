"""Killed at the n-th commit and at the n-th start of a process, for every n up to sixty: somebody else goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from homes import PATIENCE, Daemons, strace
from records import BEGIN, END, backfill, check_records, unfinished

pytestmark = pytest.mark.faults

INSTANTS = range(1, 61)
ENOUGH = 60  # runs that wait: none is in want of work before its instant
COMMIT = "/^(fdatasync|fsync)$"
START = "write"  # to its keeper, once in each turn that begins something or has recorded an end
SCHEDULE = 'schedule = { every = "1s" }\noverlap = "allow_all"\n'

JOB = f"""
[jobs.x]
{SCHEDULE}
[[jobs.x.steps]]
name = "a"
command = '{BEGIN}; {END}'
[[jobs.x.steps]]
name = "b"
command = '{BEGIN}; {END}; [ $JOBCTL_ATTEMPT = 2 ]'
retry = {{ maximum_attempts = 2, initial_interval = "1ms" }}
[[jobs.x.steps]]
name = "c"
needs = ["a"]
command = '{BEGIN}; {END}'
"""


@pytest.mark.parametrize("call", [COMMIT, START], ids=["commit", "start"])
def test_the_daemon_is_killed_at_its_nth(home: Callable[..., Daemons], call: str) -> None:
    """Sixty daemons one after the other on one pile of runs, each killed later or sooner than the one before it: not
    in order, or the first ten would die in taking over, and what they take would count as what kills them."""
    place = home(JOB)
    queued = 0
    instants = list(INSTANTS)
    random.Random(1).shuffle(instants)
    for instant in instants:
        if not queued or unfinished(place) < ENOUGH:
            queued += backfill(place, ENOUGH, queued)
        daemon = place.daemon("--max-concurrent-runs", "4", before=strace(call, instant))
        assert daemon.wait(PATIENCE) in (-9, 137), (instant, place.said())
    assert unfinished(place)
    place.daemon()
    place.until(lambda: not unfinished(place))
    check_records(place, runs=queued)


# Sleeps are commits without a process.
COMMITS = "".join(f'[[jobs.x.steps]]\nname = "s{n}"\nsleep = "1ms"\n' for n in range(64))
STARTS = "".join(f"[[jobs.x.steps]]\nname = 's{n}'\ncommand = '{BEGIN}; {END}'\n" for n in range(62))


@pytest.mark.parametrize(("call", "steps"), [(COMMIT, COMMITS), (START, STARTS)], ids=["commit", "start"])
def test_run_is_killed_at_its_nth_and_a_daemon_goes_on(home: Callable[..., Daemons], call: str, steps: str) -> None:
    place = home(f"{steps}[[jobs.x.steps]]\nname = 'last'\ncommand = '{BEGIN}; {END}'\n")
    place.daemon()

    def killed(instant: int) -> tuple[int, str]:
        return place.call("run", "x", "-q", before=strace(call, instant))

    with ThreadPoolExecutor(2) as pool:
        for instant, (code, output) in zip(INSTANTS, pool.map(killed, INSTANTS), strict=True):
            assert code in (-9, 137), (instant, output)
    place.until(lambda: not unfinished(place))
    check_records(place)
    assert len(place.rows()) >= len(INSTANTS) - 3  # the first die before anything is recorded
