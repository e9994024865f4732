"""Accepted means recorded: what jobctl takes for a daemon is there, daemon or not; what nobody takes in time ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from homes import Daemons

JOBS = """
[jobs.a]
command = "echo a >> ran"
[jobs.s]
schedule = "0 0 1 1 *"
command = "echo s >> ran"
[jobs.b]
[[jobs.b.steps]]
name = "fails"
command = "test -e mended && echo b >> ran"
"""

# what is called while no daemon lives -> its exit code, what of it runs once a daemon comes
# (a restart of the daemon loses a submission: temporalio/temporal#680, prefecthq/prefect#7277 and their like)
ACCEPTED = {
    "run a --detach": (0, "a"),
    "run a --detach --json": (0, "a"),
    "run a --detach --quiet": (0, "a"),
    "run a --wait 100ms": (75, "a"),
    "schedule trigger s": (0, "s"),
    "resume b --detach": (0, "b"),
    "resume b --detach --from fails": (0, "b"),
}


@pytest.mark.parametrize("call", ACCEPTED)
def test_what_is_accepted_while_no_daemon_lives_runs_when_one_comes(home: Callable[[str], Daemons], call: str) -> None:
    code, ran = ACCEPTED[call]
    place = home(JOBS)
    if ran == "b":
        assert place.call("run", "b")[0] == 1
        (place.folder / "mended").touch()
    ended, output = place.call(*call.split())
    assert (ended, "no daemon runs here" in output) == (code, True), output
    [row] = place.rows(ran)
    assert row.status == "queued"
    assert row.name in output
    assert place.call("why", row.name)[1].startswith("it waits for a process to begin it; no daemon runs here")
    assert f"{row.name}  queued" in place.call("status")[1]
    assert place.call("daemon", "--once")[0] == 0
    assert place.rows(ran)[0].status == "succeeded"
    assert place.lines("ran") == [ran]


@pytest.mark.parametrize("call", [call for call in ACCEPTED if "--json" not in call and "--quiet" not in call])
def test_who_wants_the_refusal_gets_it_and_nothing_is_recorded(home: Callable[[str], Daemons], call: str) -> None:
    place = home(JOBS)
    if ACCEPTED[call][1] == "b":
        assert place.call("run", "b")[0] == 1
    before = [(row.name, row.seq) for row in place.rows()]
    code, output = place.call(*call.split(), "--require-daemon")
    assert (code, "error: no daemon runs on" in output) == (1, True), output
    assert [(row.name, row.seq) for row in place.rows()] == before


@pytest.mark.parametrize("call", ["run a --require-daemon", "resume a --require-daemon"])
def test_a_daemon_is_required_only_where_one_is_to_do_it(home: Callable[[str], Daemons], call: str) -> None:
    place = home(JOBS)
    place.call("run", "a")
    code, output = place.call(*call.split())
    assert (code, "add --detach" in output) == (2, True), output


@pytest.mark.parametrize("call", ["cancel", "terminate"])
def test_a_run_that_waits_for_a_daemon_can_be_ended_without_one(home: Callable[[str], Daemons], call: str) -> None:
    place = home(JOBS)
    place.call("run", "a", "--detach")
    code, output = place.call(call, "a")
    assert code == 0, output
    assert place.rows()[0].status == {"cancel": "canceled", "terminate": "terminated"}[call]
    place.call("daemon", "--once")
    assert place.lines("ran") == []


LATE = "nobody took it in time"
IN_A_QUEUE = """
[queues.q]
concurrency = 1
[jobs.hold]
queue = "q"
command = "touch holding; until [ -e go ]; do sleep 0.05; done"
[jobs.x]
queue = "q"
command = "echo x >> ran"
[jobs.parent]
[[jobs.parent.steps]]
name = "c"
job = "x"
[jobs.tick]
schedule = { every = "1s" }
overlap = "buffer_one"
command = "touch holding; until [ -e go ]; do sleep 0.05; done"
"""


def _within(limit: str) -> str:
    return IN_A_QUEUE.replace("[jobs.x]\n", f'[jobs.x]\nstart_within = "{limit}"\n').replace(
        "[jobs.tick]\n", f'[jobs.tick]\nstart_within = "{limit}"\n'
    )


# how the run comes to wait -> what is called, whether a daemon lives; which job's run it is
WAITS = {
    "for a daemon, as the job says": (["run", "x", "--detach"], False, "x"),
    "for a daemon, as the call says": (["run", "hold", "--detach", "--start-within", "300ms"], False, "hold"),
    "for a daemon, triggered": (["schedule", "trigger", "tick", "--start-within", "300ms"], False, "tick"),
    "for a place, in a daemon": (["run", "x", "--detach"], True, "x"),
    "for a place, in the foreground": (["run", "x"], False, "x"),
    "for a place, as a child of a foreground run": (["run", "parent"], False, "x"),
    "for a place, as a child in a daemon": (["run", "parent", "--detach"], True, "x"),
}


@pytest.mark.parametrize("waits", WAITS)
def test_what_has_not_begun_in_time_is_canceled_and_never_runs(home: Callable[[str], Daemons], waits: str) -> None:
    call, daemon, job = WAITS[waits]
    place = home(_within("300ms").replace('schedule = { every = "1s" }', 'schedule = "0 0 1 1 *"'))
    if daemon:
        place.daemon()
        place.detach("hold")
        place.until(lambda: place.lines("holding") == [] and (place.folder / "holding").exists())
    holder: subprocess.Popen[str] | None = None
    if "foreground" in waits:
        holder = place.start("run", "hold")
        place.until(lambda: (place.folder / "holding").exists())
    code, output = place.call(*call)
    if not daemon and "--detach" in call:
        place.call("wait", job)  # a waiter sees to it, too
    if "triggered" in waits:
        place.call("wait", "tick")
    place.until(lambda: place.rows(job) and place.rows(job)[0].finished_at is not None)
    [row] = place.rows(job)
    assert (row.status, row.reason, row.started_at) == ("canceled", LATE, None)
    if waits == "for a place, in the foreground":
        assert code == 130, output
    if waits == "for a place, as a child of a foreground run":
        assert code == 1, output
        assert LATE in output
    assert LATE in place.call("why", row.name)[1]
    (place.folder / "go").touch()
    if holder is not None:
        holder.communicate()
    place.call("daemon", "--once")
    assert place.lines("ran") == []
    code, output = place.call("resume", row.name)  # whoever wants it all the same
    assert code == 0, output


def test_a_paused_run_in_the_queue_is_not_waited_for_either(home: Callable[[str], Daemons]) -> None:
    place = home(_within("400ms"))
    place.call("run", "x", "--detach")
    place.call("pause", "x")
    place.call("wait", "x")
    assert place.rows("x")[0].reason == LATE


def test_a_fire_time_that_waits_too_long_behind_another_run_is_recorded(home: Callable[[str], Daemons]) -> None:
    place = home(_within("1500ms"))
    place.daemon()
    place.until(lambda: any(row.reason == LATE for row in place.rows("tick")))
    late = next(row for row in place.rows("tick") if row.reason == LATE)
    assert (late.trigger, late.status, late.started_at) == ("schedule", "canceled", None)
    assert "canceled" in place.said()
    assert LATE in place.said()
    (place.folder / "go").touch()


def test_who_resumes_a_run_that_is_too_late_and_not_yet_ended_begins_another_try(
    home: Callable[[str], Daemons],
) -> None:
    place = home(_within("1ms"))
    place.call("run", "x", "--detach")
    said = place.call("why", "x")[1]
    assert said.startswith(f"{LATE}: "), said
    assert "resume" in said
    assert place.call("resume", "x")[0] == 0
    assert place.lines("ran") == ["x"]
    assert place.call("history", place.rows("x")[0].name)[1].count(LATE) == 1


def test_who_is_told_of_canceled_runs_is_told_of_it(home: Callable[[str], Daemons]) -> None:
    tells = "notify = { on = ['canceled'], command = 'echo \"$JOBCTL_REASON\" >> told' }\n"
    place = home(_within("1ms").replace("[jobs.x]\n", "[jobs.x]\n" + tells))
    place.call("run", "x", "--detach")
    place.call("daemon", "--once")
    assert place.lines("told") == [LATE]


def test_one_that_was_begun_in_time_may_take_as_long_as_it_takes(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS.replace('command = "echo a >> ran"', 'start_within = "1s"\ncommand = "sleep 1.2; echo a >> ran"'))
    daemon = place.daemon()
    assert place.call("run", "a", "--wait", "20s")[0] == 0
    os.kill(daemon.pid, signal.SIGTERM)
    assert place.lines("ran") == ["a"]
