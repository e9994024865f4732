"""Killed at the n-th commit and at the n-th start of a process, for every n up to sixty: somebody else goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from homes import PATIENCE, Daemons, strace
from records import BEGIN, END, check_records, unfinished

pytestmark = pytest.mark.faults

INSTANTS = range(1, 61)
COMMIT = "/^(fdatasync|fsync)$"
START = "epoll_wait"  # once a turn: what was decided in it is with the keeper
SCHEDULE = 'schedule = { every = "1s" }\noverlap = "allow_all"\n'


@pytest.mark.parametrize(("call", "queued"), [(COMMIT, 420), (START, 620)], ids=["commit", "start"])
def test_the_daemon_is_killed_at_its_nth(home: Callable[..., Daemons], call: str, queued: int) -> None:
    """Sixty daemons one after the other on one pile of runs, each killed later or sooner than the one before it: not
    in order, or the first ten would die in taking over, and what they take would count as what kills them."""
    place = home(
        f"""
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
    )
    _backfill(place, queued)
    instants = list(INSTANTS)
    random.Random(1).shuffle(instants)
    for instant in instants:
        daemon = place.daemon("--max-concurrent-runs", "4", before=strace(call, instant))
        assert daemon.wait(PATIENCE) in (-9, 137), (instant, place.said())
    assert unfinished(place)
    place.daemon()
    place.until(lambda: not unfinished(place))
    check_records(place, runs=queued)


# Sleeps are commits without a process.
COMMITS = "".join(f'[[jobs.x.steps]]\nname = "s{n}"\nsleep = "1ms"\n' for n in range(64))
STARTS = "".join(f"[[jobs.x.steps]]\nname = 's{n}'\nneeds = []\ncommand = '{BEGIN}; {END}'\n" for n in range(62))


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


def _backfill(place: Daemons, runs: int) -> None:
    assert place.call("schedule", "pause", "x")[0] == 0
    last = f"2026-01-01T00:{(runs - 1) // 60:02}:{(runs - 1) % 60:02}Z"
    arguments = ("x", "--from", "2026-01-01T00:00:00Z", "--to", last, "--overlap", "allow_all", "-q")
    code, output = place.call("schedule", "backfill", *arguments)
    assert code == 0, output
