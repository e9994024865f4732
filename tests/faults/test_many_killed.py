"""Two hundred runs under way, and those who advance them killed again and again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from homes import Daemons
from records import BEGIN, END, check_records, unfinished

pytestmark = pytest.mark.faults

QUEUED, FOREGROUND = 170, 30
# The first step waits until the test opens the gate, and costs nothing until then.
JOB = f"""
[jobs.x]
schedule = {{ every = "1s" }}
overlap = "allow_all"
[[jobs.x.steps]]
name = "a"
command = '{BEGIN}; : < gate; {END}'
[[jobs.x.steps]]
name = "b"
command = '{BEGIN}; sleep 0.5; {END}; [ $JOBCTL_ATTEMPT = 2 ]'
retry = {{ maximum_attempts = 2, initial_interval = "20ms" }}
[[jobs.x.steps]]
name = "c"
command = '{BEGIN}; sleep 0.2; {END}'
"""
# The schedule is there for the backfill alone.
PAST = ("--from", "2026-01-01T00:00:00Z", "--to", f"2026-01-01T00:{(QUEUED - 1) // 60:02}:{(QUEUED - 1) % 60:02}Z")


def test_nothing_is_lost_and_nothing_done_twice(home: Callable[..., Daemons]) -> None:
    place = home(JOB)
    os.mkfifo(place.folder / "gate")
    assert place.call("schedule", "pause", "x")[0] == 0
    code, output = place.call("schedule", "backfill", "x", *PAST, "--overlap", "allow_all", "-q")
    assert code == 0, output
    some = ("--max-concurrent-runs", str(QUEUED + 100))
    daemon = place.daemon(*some)
    foreground = [place.start("run", "x", "-q") for _ in range(FOREGROUND)]
    place.until(lambda: len(place.lines("marks")) == QUEUED + FOREGROUND)
    _kill(daemon, *foreground)
    assert unfinished(place) == QUEUED + FOREGROUND
    daemon = place.daemon(*some)
    _kill(daemon)  # in the middle of taking over
    gate = os.open(place.folder / "gate", os.O_RDWR)
    foreground = []
    try:
        for _ in range(7):
            daemon = place.daemon(*some)
            seen = len(place.lines("marks"))
            place.until(lambda seen=seen: len(place.lines("marks")) > seen + 150 or not unfinished(place))
            _kill(daemon, *foreground)
            foreground = [place.start("run", "x", "-q") for _ in range(4)]
        place.daemon(*some)
        _kill(*foreground)
        place.until(lambda: not unfinished(place))
    finally:
        os.close(gate)
    check_records(place)
    assert len(place.rows()) >= QUEUED + FOREGROUND


def _kill(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()
