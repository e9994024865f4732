"""A place in a queue that a dead run holds is given back by whoever waits for it, also where no daemon lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from homes import PATIENCE, Daemons

from jobctl.core.run.history import EventType

JOBS = """
[queues.q]
concurrency = 1
[jobs.hold]
queue = "q"
command = "echo $$ > pid; until [ -e go ]; do sleep 0.02; done; echo held >> ran"
[jobs.next]
queue = "q"
command = "echo next >> ran"
[jobs.parent]
[[jobs.parent.steps]]
name = "child"
job = "next"
[jobs.hold-a-step]
[[jobs.hold-a-step.steps]]
name = "main"
queue = "q"
command = "echo $$ > pid; until [ -e go ]; do sleep 0.02; done; echo held >> ran"
[jobs.next-step]
[[jobs.next-step.steps]]
name = "main"
queue = "q"
command = "echo next >> ran"
"""

# who waits for a place -> who has it
# (PrefectHQ/prefect#9895, #8566, #17415, kestra-io/kestra#14356, rails/solid_queue#546)
WAITS = {
    "next": "hold",
    "parent": "hold",
    "next-step": "hold-a-step",
}


def _killed(place: Daemons, job: str, *, command_too: bool) -> int:
    """`jobctl run` of a job, killed while its command runs; the command's pid."""
    run = place.start("run", job)
    place.until(lambda: place.lines("pid"))
    pid = int(place.lines("pid")[0])
    assert pid > 1
    run.kill()
    run.wait(PATIENCE)
    if command_too:
        os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("waits", WAITS)
def test_who_waits_gets_the_place_of_one_that_has_died(home: Callable[[str], Daemons], waits: str) -> None:
    place = home(JOBS)
    _killed(place, WAITS[waits], command_too=True)
    code, output = place.call("run", waits)
    assert code == 0, output
    [held] = place.rows(WAITS[waits])
    assert f"the place is taken by {held.name}, which was interrupted: it is taken up here" in output
    assert held.status == "failed"
    assert place.lines("ran") == ["next"]


@pytest.mark.parametrize("waits", WAITS)
def test_one_whose_command_lives_keeps_it_until_that_ends(home: Callable[[str], Daemons], waits: str) -> None:
    place = home(JOBS)
    _killed(place, WAITS[waits], command_too=False)
    waiting = place.start("run", waits)
    [held] = place.rows(WAITS[waits])
    place.until(lambda: place.events(held, EventType.RUN_TAKEN) == 2)
    assert place.lines("ran") == []
    place.go()
    output, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0, output
    assert place.lines("ran") == ["held", "next"]  # nothing twice
    assert place.rows(WAITS[waits])[0].status == "succeeded"


def test_one_that_is_not_over_when_the_place_is_had_is_left_as_it_was(home: Callable[[str], Daemons]) -> None:
    """Whoever waits for a place has nothing else to do with it."""
    place = home(JOBS.replace("concurrency = 1", "concurrency = 2"))
    _killed(place, "hold", command_too=False)
    code, output = place.call("run", "next")
    assert code == 0, output
    assert place.rows("hold")[0].status == "running"
    place.go()
    code, output = place.call("resume", "hold")
    assert code == 0, output
    assert place.lines("ran") == ["next", "held"]


# what keeps the holder from being taken up -> what is said of it
CANNOT = {
    "it was paused": "which is paused, and no process has it: jobctl resume",
    "it lacks a secret": "which is interrupted, and cannot go on here",
}


@pytest.mark.parametrize("why", CANNOT)
def test_where_it_cannot_be_taken_up_who_has_it_is_said(home: Callable[[str], Daemons], why: str) -> None:
    secret = 'env = { API_TOKEN = "hush-hush" }\n'
    place = home(JOBS.replace("[jobs.hold]\n", "[jobs.hold]\n" + secret))
    _killed(place, "hold", command_too=True)
    if why == "it was paused":
        assert place.call("pause", "hold")[0] == 0
    else:
        (place.folder / "jobs.toml").write_text(JOBS)
    waiting = place.start("run", "next")
    said = ""
    assert waiting.stdout is not None
    while CANNOT[why] not in said:
        line = waiting.stdout.readline()
        assert line, said
        said += line
    waiting.send_signal(signal.SIGTERM)
    output, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 128 + signal.SIGTERM, output
    [next_run] = place.rows("next")
    assert next_run.status == "canceled"
    assert said.count("the place is taken by") == 1


def test_who_is_canceled_while_it_waits_ends_at_once_whatever_it_has_taken_up(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS)
    pid = _killed(place, "hold", command_too=False)
    waiting = place.start("run", "next")
    [held] = place.rows("hold")
    place.until(lambda: place.events(held, EventType.RUN_TAKEN) == 2)
    waiting.send_signal(signal.SIGINT)
    output, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130, output
    os.kill(pid, 0)  # it runs on, for whoever comes next
    assert place.rows("hold")[0].status == "running"
    place.go()
    assert place.call("resume", "hold")[0] == 0
    assert place.lines("ran") == ["held"]
