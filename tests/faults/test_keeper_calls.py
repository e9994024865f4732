"""Keepers killed at their n-th system call, whichever it is - alone, with their maker, and while others take over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence

import pytest
from homes import PATIENCE, Daemons
from records import BEGIN, END, backfill, check_records, unfinished

pytestmark = pytest.mark.faults

# What a keeper does for one attempt, from the order to the acknowledgement, is some forty calls.
CALLS = (*range(1, 46), *range(46, 200, 7))
ENOUGH = 60  # runs that wait
FEW = ("--max-concurrent-runs", "4")

RETRY = 'retry = { maximum_attempts = 9, initial_interval = "1ms" }'
JOB = f"""
[jobs.x]
schedule = {{ every = "1s" }}
overlap = "allow_all"
[[jobs.x.steps]]
name = "a"
{RETRY}
command = '{BEGIN}; {END}'
[[jobs.x.steps]]
name = "b"
only_if = "true"
{RETRY}
command = '{BEGIN}; {END}; [ $JOBCTL_ATTEMPT -ge 2 ]'
[[jobs.x.steps]]
name = "c"
needs = ["a"]
{RETRY}
command = '{BEGIN}; sleep 0.01; {END}'
"""


def test_a_keeper_is_killed_and_its_daemon_goes_on(home: Callable[..., Daemons]) -> None:
    """One daemon outlives them all, and knows how everything ended: what a keeper has had comes to its maker."""
    place = home(JOB)
    queued = backfill(place, ENOUGH)
    daemon = place.daemon(*FEW)
    for call in CALLS:
        if unfinished(place) < ENOUGH:
            queued += backfill(place, ENOUGH, queued)
        place.until(lambda: keepers(daemon.pid))
        killed_at(call, keepers(daemon.pid)[-1:])
    assert daemon.poll() is None, place.said()
    place.until(lambda: not unfinished(place))
    check_records(place, runs=queued)


def test_a_keeper_and_its_daemon_are_killed_and_others_go_on(home: Callable[..., Daemons]) -> None:
    """Nobody may be left who knows how a command ended: that attempt is lost then, and nothing runs twice."""
    place = home(JOB)
    queued = backfill(place, ENOUGH)
    place.daemon(*FEW)
    for call in CALLS:
        if unfinished(place) < ENOUGH:
            queued += backfill(place, ENOUGH, queued)
        daemon = place.daemon(*FEW)
        place.until(lambda pid=daemon.pid: keepers(pid))
        killed_at(call, [daemon.pid, *keepers(daemon.pid)])
        daemon.wait(PATIENCE)
    place.until(lambda: not unfinished(place))
    check_records(place, runs=queued, may_be_lost=True)


HELD = f"""
[jobs.x]
schedule = {{ every = "1s" }}
overlap = "allow_all"
[[jobs.x.steps]]
name = "a"
{RETRY}
command = '{BEGIN}; sleep 0.05; {END}'
[[jobs.x.steps]]
name = "b"
{RETRY}
command = '{BEGIN}; {END}'
"""


def test_two_daemons_adopt_from_a_keeper_that_is_killed(home: Callable[..., Daemons]) -> None:
    """The maker is dead, two others have taken its runs and talk to its keeper, which dies in the middle of it."""
    place = home(HELD)
    queued = backfill(place, ENOUGH)
    heirs: list[subprocess.Popen[str]] = []
    for call in CALLS[::2]:
        if unfinished(place) < ENOUGH:
            queued += backfill(place, ENOUGH, queued)
        for one in heirs:
            one.kill()
        maker = place.daemon("--max-concurrent-runs", "16")
        place.until(lambda pid=maker.pid: keepers(pid))
        kept = keepers(maker.pid)
        seen = len(place.lines("marks"))
        place.until(lambda seen=seen: len(place.lines("marks")) > seen + 8)
        maker.kill()
        heirs = [place.daemon(*FEW), place.daemon(*FEW)]
        killed_at(call, kept)
    place.until(lambda: not unfinished(place))
    check_records(place, runs=queued, may_be_lost=True)


def keepers(maker: int) -> list[int]:
    """The living keepers of a daemon, the one last made at the end."""
    try:
        with open(f"/proc/{maker}/task/{maker}/children") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return [pid for pid in children if _title(pid).startswith("jobctl-keeper")]


def _title(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""


def killed_at(call: int, pids: Sequence[int]) -> None:
    """Each of these processes is killed at its so manieth system call from now on. Those that make no more are killed
    when their time is over."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    which = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-qq", "-o", "/dev/null", *which, "-e", f"inject=all:signal=KILL:when={call}"],
        stderr=subprocess.DEVNULL,
    )
    try:
        tracer.wait(2)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.wait()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
