"""Why a run is where it is: situations, and what is said of each."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.core.model import (
    Compensation,
    ForEach,
    Job,
    OnTimeout,
    Poll,
    RetryPolicy,
    Step,
    Timeouts,
    When,
)
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.resume import restore
from jobctl.core.run.why import Outside, Reason, Signs, explain, in_short

E = EventType
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOW = 10 * DAY

HERE = Outside("x-1", "x", holder="foreground")
ALONE = Outside("x-1", "x")
QUEUED = Outside("x-1", "x", waits_for="queue", daemon=True)

CREATED = Event(E.RUN_CREATED, NOW - 2 * MINUTE)
BY_THEN = Event(E.RUN_CREATED, NOW - 2 * MINUTE, data={"start_by": NOW + 5 * MINUTE})
TOO_LATE = Event(E.RUN_CREATED, NOW - 7 * MINUTE, data={"start_by": NOW - 5 * MINUTE})
BEGUN = [CREATED, Event(E.RUN_TAKEN, NOW - MINUTE)]


def job(*steps: Step, **fields: Any) -> Job:
    return Job("x", "/", steps, **fields)


def ago(what: EventType, before: int, step: str = "", number: int = 0, /, **data: Any) -> Event:
    return Event(what, NOW - before, step, number, data)


def told(what: Job, events: list[Event], seen: Outside) -> list[Reason]:
    state, decider = restore(what, events)
    return explain(what, state, decider, seen, NOW)


RUNS = ago(E.ATTEMPT_STARTED, 30 * SECOND, "a", 1)
OTHER_RUNS = ago(E.ATTEMPT_STARTED, 30 * SECOND, "b", 1)
PAY = Step("pay", command="./pay", retry=RetryPolicy(5))
FAILED_THRICE = [
    event
    for n in (1, 2, 3)
    for event in (
        ago(E.ATTEMPT_STARTED, 50 * SECOND - n, "pay", n),
        ago(
            E.ATTEMPT_ENDED, 50 * SECOND - n, "pay", n, status="failed", error="exit code 7", retry_at=NOW + 42 * SECOND
        ),
    )
]
UNDO = Compensation("./undo")
A_DONE = [RUNS, ago(E.ATTEMPT_ENDED, 20 * SECOND, "a", 1)]
B_FAILED = [OTHER_RUNS, ago(E.ATTEMPT_ENDED, 10 * SECOND, "b", 1, status="failed", error="exit code 1", why="no more")]
CANCELED = ago(E.CANCEL_REQUESTED, 3 * SECOND, by="bo", reason="enough")
DEAD_WAIT = ago(E.WAIT_STARTED, MINUTE, "a", kind="sleep", until=NOW + DAY)


def listed(count: int) -> Event:
    return ago(E.ITEMS_LISTED, MINUTE, "a", count=count, items=list(range(count)))


def waits(kind: str, **data: Any) -> Event:
    return ago(E.WAIT_STARTED, MINUTE, "a", kind=kind, **data)


A = Step("a", command="true")
SITUATIONS: dict[str, tuple[Job, list[Event], Outside, list[str]]] = {
    "queued behind others of its queue": (
        job(A),
        [CREATED],
        QUEUED._replace(queue="media", before=("x-0", "y-0"), ahead=3),
        ["it waits for a place in the queue media, taken by x-0, y-0; 3 runs before it wait too"],
    ),
    "queued, one before it": (
        job(A),
        [CREATED],
        QUEUED._replace(ahead=1),
        ["it waits for a place among the daemon's runs; 1 run before it waits too"],
    ),
    "queued, and no daemon": (
        job(A),
        [CREATED],
        QUEUED._replace(queue="media", daemon=False),
        [
            "it waits for a place in the queue media; no daemon runs here to begin it: jobctl daemon, or here and now:"
            " jobctl resume x-1"
        ],
    ),
    "queued for whoever begins it": (
        job(A),
        [CREATED],
        ALONE._replace(waits_for="executor"),
        [
            "it waits for a process to begin it; no daemon runs here to begin it: jobctl daemon, or here and now:"
            " jobctl resume x-1"
        ],
    ),
    "behind another run of its job": (
        job(A),
        [CREATED],
        QUEUED._replace(waits_for="overlap", before=[f"x-{n}" for n in range(7)]),
        ["it waits for x-0, x-1, x-2, x-3, x-4 and 2 more to end, as the overlap policy of its job says"],
    ),
    "queued, and to begin in time": (
        job(A),
        [BY_THEN],
        QUEUED._replace(queue="media"),
        ["it waits for a place in the queue media; it is canceled unless it begins within 5 min (start_within)"],
    ),
    "too late to begin, and a daemon is about to say so": (
        job(A),
        [TOO_LATE],
        QUEUED._replace(waits_for="executor"),
        [
            "nobody took it in time: until 5 min ago it could begin (start_within); it is canceled as soon as a daemon"
            " looks"
        ],
    ),
    "too late to begin, and nobody says so": (
        job(A),
        [TOO_LATE],
        ALONE._replace(waits_for="executor"),
        [
            "nobody took it in time: until 5 min ago it could begin (start_within); it is canceled as soon as a daemon"
            " looks, and none runs here: jobctl daemon; to do it all the same: jobctl resume x-1"
        ],
    ),
    "begun in time": (job(A), [BY_THEN, ago(E.RUN_TAKEN, MINUTE), RUNS], HERE, ["step a: attempt 1 has run for 30 s"]),
    "an attempt runs": (job(A), [*BEGUN, RUNS], HERE, ["step a: attempt 1 has run for 30 s"]),
    "an attempt with a heartbeat, the nearest deadline, and the run's": (
        job(Step("a", command="x", retry=RetryPolicy(3), timeouts=Timeouts(HOUR, DAY, 2 * MINUTE)), timeout=4 * HOUR),
        [*BEGUN, RUNS],
        HERE._replace(signs={"a": Signs(heartbeat_at=NOW - 10 * SECOND)}),
        [
            "step a: attempt 1 of 3 has run for 30 s; last heartbeat 10 s ago; its heartbeat passes in 1 min",
            "the run's deadline is in 3 h",
        ],
    ),
    "an attempt that has not shown a sign of life": (
        job(Step("a", command="x", timeouts=Timeouts(heartbeat=20 * SECOND))),
        [*BEGUN, RUNS],
        HERE,
        ["step a: attempt 1 has run for 30 s; no heartbeat yet; its heartbeat passed 10 s ago by the clock"],
    ),
    "between two attempts": (
        job(PAY, timeout=4 * HOUR),
        [*BEGUN, *FAILED_THRICE],
        HERE,
        [
            "step pay: attempt 3 failed (exit code 7); attempt 4 starts in 42 s; 2 attempts left",
            "the run's deadline is in 3 h",
        ],
    ),
    "between two attempts without limit, but with a last moment": (
        job(Step("pay", command="x", retry=RetryPolicy(0), timeouts=Timeouts(schedule_to_close=HOUR))),
        [*BEGUN, *FAILED_THRICE],
        HERE,
        [
            "step pay: attempt 3 failed (exit code 7); attempt 4 starts in 42 s; no limit of attempts;"
            " its schedule_to_close passes in 59 min"
        ],
    ),
    "a sleep": (
        job(Step("a", sleep=DAY)),
        [*BEGUN, waits("sleep", until=NOW + 6 * DAY)],
        HERE,
        ["step a: it sleeps for another 6 days"],
    ),
    "asleep, and nobody to wake it": (
        job(Step("a", sleep=DAY)),
        [*BEGUN, DEAD_WAIT],
        ALONE._replace(wake_at=NOW + DAY),
        [
            "step a: it sleeps for another 1 day (no daemon runs here to go on then: jobctl daemon, or here:"
            " jobctl resume x-1)"
        ],
    ),
    "asleep, and a daemon is there": (
        job(Step("a", sleep=DAY)),
        [*BEGUN, DEAD_WAIT],
        ALONE._replace(wake_at=NOW + DAY, daemon=True),
        ["step a: it sleeps for another 1 day"],
    ),
    "overslept": (
        job(Step("a", sleep=DAY)),
        [*BEGUN, waits("sleep", until=NOW - 1)],
        ALONE._replace(wake_at=NOW - 1),
        [
            "it was asleep and is due: no daemon runs here to wake it: jobctl daemon, or here: jobctl resume x-1",
            "step a: its sleep was over just now, and nobody is here to see to it",
        ],
    ),
    "a signal": (
        job(Step("a", signal="paid")),
        [*BEGUN, waits("signal", name="paid")],
        HERE,
        ["step a: it waits for the signal paid: jobctl signal x-1 paid"],
    ),
    "a signal that it does without in the end": (
        job(Step("a", signal="paid", on_timeout=OnTimeout.CONTINUE)),
        [*BEGUN, waits("signal", name="paid", until=NOW + HOUR)],
        HERE,
        ["step a: it waits for the signal paid: jobctl signal x-1 paid; it goes on without in 1 h"],
    ),
    "an approval": (
        job(Step("a", approval="go?")),
        [*BEGUN, waits("approval", name="go?", until=NOW + HOUR)],
        HERE,
        ["step a: it waits for an answer to 'go?': jobctl approve x-1, or jobctl reject x-1; given up in 1 h"],
    ),
    "two approvals": (
        job(Step("a", approval="go?"), Step("b", approval="sure?")),
        [*BEGUN, waits("approval", name="go?"), ago(E.WAIT_STARTED, MINUTE, "b", kind="approval", name="sure?")],
        HERE,
        [
            "step a: it waits for an answer to 'go?': jobctl approve x-1 a, or jobctl reject x-1 a",
            "step b: it waits for an answer to 'sure?': jobctl approve x-1 b, or jobctl reject x-1 b",
        ],
    ),
    "a child run": (
        job(Step("a", job="other")),
        [*BEGUN, waits("child", name="other-1", job="other")],
        HERE,
        ["step a: it waits for the run other-1 to end: jobctl why other-1"],
    ),
    "another child run after a failed one": (
        job(Step("a", job="other", retry=RetryPolicy(3))),
        [
            *BEGUN,
            waits("child", name="other-1", job="other"),
            ago(E.CHILD_ENDED, SECOND, "a", run="other-1", status="failed"),
            ago(
                E.STEP_ENDED, SECOND, "a", status="failed", error="child run other-1 failed", retry_at=NOW + 4 * SECOND
            ),
        ],
        HERE,
        ["step a: child run other-1 failed; another child run starts in 4 s; 2 child runs left"],
    ),
    "a command that has suspended itself": (
        job(Step("a", command="./script")),
        [*BEGUN, waits("signal", name="paid", until=NOW + HOUR)],
        HERE,
        ["step a: it waits for the signal paid: jobctl signal x-1 paid; given up in 1 h"],
    ),
    "a signal whose name a shell would take apart": (
        job(Step("a", command="./script")),
        [*BEGUN, waits("signal", name="a b")],
        HERE,
        ["step a: it waits for the signal a b: jobctl signal x-1 'a b'"],
    ),
    "items": (
        job(Step("a", command="x", foreach=ForEach(tuple(range(100))))),
        [
            *BEGUN,
            listed(100),
            ago(E.ATTEMPT_STARTED, MINUTE, "a[0]", 1),
            ago(E.ATTEMPT_ENDED, MINUTE, "a[0]", 1),
            ago(E.ATTEMPT_STARTED, MINUTE, "a[1]", 1),
            ago(E.ATTEMPT_ENDED, MINUTE, "a[1]", 1, status="failed"),
            ago(E.ATTEMPT_STARTED, MINUTE, "a[2]", 1),
        ],
        HERE,
        ["step a: 1 of 100 items done, 1 running, 1 failed"],
    ),
    "items of which none runs": (
        job(Step("a", command="x", foreach=ForEach("{{ params.all }}"))),
        [
            *BEGUN,
            listed(1),
            ago(E.ATTEMPT_STARTED, MINUTE, "a[0]", 1),
            ago(E.ATTEMPT_ENDED, MINUTE, "a[0]", 1, status="failed", retry_at=NOW + HOUR),
        ],
        HERE,
        ["step a: 0 of 1 item done, 1 waiting; the next attempt starts in 1 h"],
    ),
    "items of which none has begun": (
        job(Step("a", command="x", foreach=ForEach("{{ params.all }}"))),
        [*BEGUN, listed(2)],
        HERE,
        ["step a: 0 of 2 items done"],
    ),
    "items that wait for answers": (
        job(Step("a", approval="go on?", foreach=ForEach(("x", "y")))),
        [
            *BEGUN,
            listed(2),
            *(ago(E.WAIT_STARTED, MINUTE, f"a[{index}]", kind="approval", name="go on?") for index in range(2)),
        ],
        HERE,
        [
            "step a: 0 of 2 items done, 2 waiting; step a[0]: it waits for an answer to 'go on?':"
            " jobctl approve x-1 'a[0]', or jobctl reject x-1 'a[0]'"
        ],
    ),
    "canceling items": (
        job(Step("a", command="x", foreach=ForEach("{{ params.all }}"), compensate=UNDO)),
        [*BEGUN, listed(2), ago(E.ATTEMPT_STARTED, MINUTE, "a[1]", 1), CANCELED],
        HERE,
        [
            "it is being canceled, asked 3 s ago by bo (enough); step a[1] was asked to end and is killed in 7 s",
            "step a: 0 of 2 items done, 1 running",
        ],
    ),
    "it was rolled back item by item": (
        job(Step("a", command="x", foreach=ForEach("{{ params.all }}"), compensate=UNDO), Step("b", command="x")),
        [
            *BEGUN,
            listed(1),
            ago(E.ATTEMPT_STARTED, MINUTE, "a[0]", 1),
            ago(E.ATTEMPT_ENDED, MINUTE, "a[0]", 1),
            ago(E.STEP_ENDED, MINUTE, "a", status="succeeded"),
            *B_FAILED,
            ago(E.UNDO_STARTED, MINUTE, "a[0]", 1),
            ago(E.UNDO_ENDED, MINUTE, "a[0]", 1),
            ago(E.RUN_ENDED, HOUR, status="failed", reason="step b: exit code 1"),
        ],
        ALONE,
        [
            "it failed 1 h ago: step b: exit code 1 (no more); it was rolled back: jobctl resume x-1 --from a, or a new"
            " run: jobctl run x"
        ],
    ),
    "its keeper is stopped": (
        job(A),
        [*BEGUN, RUNS],
        HERE._replace(signs={"a": Signs(keeper="stopped", keeper_pid=12)}),
        [
            "step a: attempt 1 has run for 30 s; its keeper is stopped, and how it fares is not known until that goes"
            " on: kill -CONT 12"
        ],
    ),
    "its keeper was killed where nobody here can look": (
        job(Step("a", command="x", poll=Poll(5 * SECOND))),
        [*BEGUN, RUNS],
        HERE._replace(signs={"a": Signs(probe_at=NOW - 2 * SECOND, keeper="held", log="/st ate/a.1.log")}),
        [
            "step a: it is asked now, for 2 s; its keeper was killed in another container or PID namespace, where"
            " something of it may live: nothing begins in its place before that is ended there. Who it is: fuser -v"
            " '/st ate/a.1.log'"
        ],
    ),
    "a poll that is asked for the first time": (
        job(Step("a", command="x", poll=Poll(5 * SECOND))),
        [*BEGUN, RUNS],
        HERE._replace(signs={"a": Signs(probe_at=NOW - 2 * SECOND)}),
        ["step a: it is asked now, for 2 s"],
    ),
    "a poll between two times": (
        job(Step("a", command="x", poll=Poll(5 * SECOND, deadline=HOUR))),
        [*BEGUN, RUNS],
        HERE._replace(signs={"a": Signs(asked=12, next_at=NOW + 4 * SECOND)}),
        ["step a: asked 12 times, it does not hold yet; asked again in 4 s; given up in 59 min (deadline)"],
    ),
    "a poll of which nothing is known": (
        job(Step("a", command="x", poll=Poll(5 * SECOND))),
        [*BEGUN, RUNS],
        HERE,
        ["step a: asked about every 5s"],
    ),
    "paused, by whom and why": (
        job(A),
        [*BEGUN, RUNS, ago(E.RUN_PAUSED, 5 * SECOND, by="bo", reason="lunch")],
        HERE,
        [
            "it was paused 5 s ago by bo (lunch); no attempt starts until: jobctl resume x-1",
            "step a: attempt 1 has run for 30 s",
        ],
    ),
    "paused, and nobody is at it": (
        job(Step("a", command="x", poll=Poll(5 * SECOND))),
        [*BEGUN, RUNS, ago(E.RUN_PAUSED, 5 * SECOND, by="bo", reason="lunch")],
        ALONE._replace(signs={"a": Signs(asked=1, next_at=NOW - HOUR)}),
        [
            "it was paused 5 s ago by bo (lunch), and the process that ran it is gone; no attempt starts until:"
            " jobctl resume x-1",
            "step a: asked 1 time, it does not hold yet",
        ],
    ),
    "paused before it began": (
        job(A),
        [CREATED, ago(E.RUN_PAUSED, 5 * SECOND, by="bo")],
        ALONE,
        ["it was paused 5 s ago by bo; no attempt starts until: jobctl resume x-1"],
    ),
    "paused with an attempt that is due": (
        job(PAY),
        [
            *BEGUN,
            ago(E.ATTEMPT_STARTED, MINUTE, "pay", 1),
            ago(E.ATTEMPT_ENDED, MINUTE, "pay", 1, status="timed_out", error="too slow", retry_at=NOW - 1),
            ago(E.RUN_PAUSED, 5 * SECOND, by="bo"),
        ],
        HERE,
        [
            "it was paused 5 s ago by bo; no attempt starts until: jobctl resume x-1",
            "step pay: attempt 1 timed out (too slow); attempt 2 follows when the run goes on; 4 attempts left",
        ],
    ),
    "its process is gone": (
        job(A),
        [*BEGUN, RUNS],
        ALONE,
        [
            "it was interrupted: the process that ran it is gone; take it up here: jobctl resume x-1, or have a daemon"
            " do it: jobctl daemon",
            "step a: attempt 1 has run for 30 s",
        ],
    ),
    "its process is gone, a daemon is there": (
        job(A),
        BEGUN,
        ALONE._replace(daemon=True),
        ["it was interrupted: the process that ran it is gone; the daemon takes it up within some seconds"],
    ),
    "no place in a queue": (
        job(Step("a", command="x", queue="gpu")),
        BEGUN,
        HERE._replace(places={"gpu": 2}),
        ["step a: attempt 1 waits for a place in the queue gpu: 2 attempts have one"],
    ),
    "no place in a queue for the next attempt": (
        job(Step("a", command="x", queue="gpu", retry=RetryPolicy(2))),
        [*BEGUN, RUNS, ago(E.ATTEMPT_ENDED, 9, "a", 1, status="failed", error="exit code 1", retry_at=NOW - 1)],
        HERE._replace(places={"gpu": 1}),
        ["step a: attempt 1 failed (exit code 1); attempt 2 waits for a place in the queue gpu: 1 attempt has one"],
    ),
    "as many steps as may": (
        job(A, Step("b", command="x"), Step("c", sleep=1), max_parallel_steps=1),
        [*BEGUN, RUNS],
        HERE,
        [
            "step a: attempt 1 has run for 30 s",
            "step b: it could start, but max_parallel_steps = 1 is at work (a)",
        ],
    ),
    "what has needs waits for them in silence": (
        job(A, Step("b", command="x", needs=("a",)), Step("c", command="x", when=When.FAILURE)),
        [*BEGUN, RUNS],
        HERE,
        ["step a: attempt 1 has run for 30 s"],
    ),
    "between two events": (job(A), BEGUN, HERE, ["it is about to go on: look again"]),
    "a step failed for good, another one may end": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x"), Step("c", command="x"), timeout=HOUR),
        [*BEGUN, *A_DONE, ago(E.ATTEMPT_STARTED, SECOND, "c", 1), *B_FAILED],
        HERE,
        [
            "step b failed for good (exit code 1); nothing new starts, step c may end; then a is compensated",
            "step c: attempt 1 has run for 1 s",
        ],
    ),
    "compensating": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x")),
        [*BEGUN, *A_DONE, *B_FAILED, ago(E.UNDO_STARTED, 4 * SECOND, "a", 1)],
        HERE,
        ["step b failed for good (exit code 1)", "compensation of step a: attempt 1 has run for 4 s"],
    ),
    "a compensation between two attempts": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x")),
        [
            *BEGUN,
            *A_DONE,
            *B_FAILED,
            ago(E.UNDO_STARTED, 4 * SECOND, "a", 1),
            ago(E.UNDO_ENDED, 4 * SECOND, "a", 1, status="failed", error="exit code 9", retry_at=NOW + 9 * SECOND),
        ],
        HERE,
        [
            "step b failed for good (exit code 1)",
            "compensation of step a: attempt 1 failed (exit code 9); attempt 2 starts in 9 s; no limit of attempts",
        ],
    ),
    "canceled while it compensates, which stops nothing": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x")),
        [*BEGUN, *A_DONE, *B_FAILED, ago(E.UNDO_STARTED, 4 * SECOND, "a", 1), CANCELED],
        HERE,
        [
            "step b failed for good (exit code 1); a cancel was asked for 3 s ago, and the end is carried out all the"
            " same, but for: jobctl terminate x-1",
            "compensation of step a: attempt 1 has run for 4 s",
        ],
    ),
    "canceled when a step had failed": (
        job(A, Step("b", command="x")),
        [*BEGUN, *A_DONE, *B_FAILED, CANCELED, ago(E.RUN_ENDED, 0, status="failed", reason="step b: exit code 1")],
        ALONE,
        ["it failed just now: step b: exit code 1 (no more); go on where it stopped: jobctl resume x-1"],
    ),
    "terminated while it compensates": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x")),
        [
            *BEGUN,
            *A_DONE,
            *B_FAILED,
            ago(E.UNDO_STARTED, 4 * SECOND, "a", 1),
            ago(E.TERMINATE_REQUESTED, SECOND, by="al"),
        ],
        HERE,
        ["it is being terminated, asked 1 s ago by al", "compensation of step a: attempt 1 has run for 4 s"],
    ),
    "canceling: the grace": (
        job(A, timeout=HOUR),
        [*BEGUN, RUNS, CANCELED],
        HERE,
        [
            "it is being canceled, asked 3 s ago by bo (enough); step a was asked to end and is killed in 7 s",
            "step a: attempt 1 has run for 30 s",
        ],
    ),
    "canceling: the grace is over": (
        job(A, Step("b", command="x"), kill_grace=SECOND),
        [*BEGUN, RUNS, OTHER_RUNS, CANCELED],
        HERE,
        [
            "it is being canceled, asked 3 s ago by bo (enough); steps a, b were asked to end and are about to be"
            " killed",
            "step a: attempt 1 has run for 30 s",
            "step b: attempt 1 has run for 30 s",
        ],
    ),
    "canceling: compensating": (
        job(Step("a", command="x", compensate=UNDO)),
        [*BEGUN, *A_DONE, CANCELED, ago(E.UNDO_STARTED, SECOND, "a", 1)],
        HERE,
        [
            "it is being canceled, asked 3 s ago by bo (enough)",
            "compensation of step a: attempt 1 has run for 1 s",
        ],
    ),
    "timed out, and not yet over": (
        job(A, timeout=MINUTE),
        [*BEGUN, RUNS, ago(E.RUN_TIMED_OUT, 2 * SECOND, reason="the run's timeout of 1m passed")],
        HERE,
        [
            "it timed out 2 s ago (the run's timeout of 1m passed); step a was asked to end and is killed in 8 s",
            "step a: attempt 1 has run for 30 s",
        ],
    ),
    "terminating": (
        job(A),
        [*BEGUN, RUNS, CANCELED, ago(E.TERMINATE_REQUESTED, SECOND, by="al")],
        HERE,
        ["it is being terminated, asked 1 s ago by al", "step a: attempt 1 has run for 30 s"],
    ),
    "it succeeded": (
        job(A),
        [*BEGUN, *A_DONE, ago(E.RUN_ENDED, HOUR, status="succeeded")],
        ALONE,
        [
            "it succeeded 1 h ago: nothing is left to do; do it again from a step on: jobctl resume x-1 --from a,"
            " or start a new run: jobctl run x"
        ],
    ),
    "it failed": (
        job(A, Step("b", command="x")),
        [*BEGUN, *A_DONE, *B_FAILED, ago(E.RUN_ENDED, HOUR, status="failed", reason="step b: exit code 1")],
        ALONE,
        ["it failed 1 h ago: step b: exit code 1 (no more); go on where it stopped: jobctl resume x-1"],
    ),
    "it failed before it began": (
        job(A),
        [CREATED, ago(E.RUN_ENDED, HOUR, status="failed", reason="its env_file is gone")],
        ALONE,
        ["it failed 1 h ago: its env_file is gone; go on where it stopped: jobctl resume x-1"],
    ),
    "it failed and was rolled back, but for one": (
        job(
            Step("z", command="x"),
            Step("a", command="x", compensate=UNDO),
            Step("c", command="x", compensate=UNDO),
            Step("b", command="x"),
        ),
        [
            *BEGUN,
            *A_DONE,
            ago(E.ATTEMPT_STARTED, SECOND, "c", 1),
            ago(E.ATTEMPT_ENDED, SECOND, "c", 1),
            *B_FAILED,
            ago(E.UNDO_STARTED, SECOND, "c", 1),
            ago(E.UNDO_ENDED, SECOND, "c", 1, status="failed", error="exit code 2"),
            ago(E.UNDO_STARTED, SECOND, "a", 1),
            ago(E.UNDO_ENDED, SECOND, "a", 1),
            ago(E.RUN_ENDED, 0, status="failed", reason="step b: exit code 1"),
        ],
        ALONE,
        [
            "it failed just now: step b: exit code 1 (no more); NOT COMPENSATED: c; only a part of it was rolled back:"
            " jobctl resume x-1 --from a, or a new run: jobctl run x"
        ],
    ),
    "it failed, and so did its only compensation": (
        job(Step("a", command="x", compensate=UNDO), Step("b", command="x")),
        [
            *BEGUN,
            *A_DONE,
            *B_FAILED,
            ago(E.UNDO_STARTED, SECOND, "a", 1),
            ago(E.UNDO_ENDED, SECOND, "a", 1, status="failed", error="exit code 2"),
            ago(E.RUN_ENDED, 0, status="failed", reason="step b: exit code 1"),
        ],
        ALONE,
        [
            "it failed just now: step b: exit code 1 (no more); NOT COMPENSATED: a; nothing of it was rolled back:"
            " jobctl resume x-1 --from a, or a new run: jobctl run x"
        ],
    ),
    "it was canceled": (
        job(A),
        [*BEGUN, CANCELED, ago(E.RUN_ENDED, SECOND, status="canceled", reason="enough")],
        ALONE,
        ["it was canceled 1 s ago: enough (asked by bo); go on where it stopped: jobctl resume x-1"],
    ),
    "it was terminated without a word": (
        job(A),
        [*BEGUN, ago(E.TERMINATE_REQUESTED, 9), ago(E.RUN_ENDED, SECOND, status="terminated", reason="terminated")],
        ALONE,
        ["it was terminated 1 s ago; go on where it stopped: jobctl resume x-1"],
    ),
    "it was resumed: what ended it is of the past": (
        job(A),
        [
            *BEGUN,
            CANCELED,
            ago(E.RUN_ENDED, SECOND, status="canceled"),
            ago(E.RUN_REOPENED, SECOND, redo=["a"]),
            ago(E.RUN_TAKEN, 0),
            ago(E.ATTEMPT_STARTED, 0, "a", 1),
        ],
        HERE,
        ["step a: attempt 1 has run for 0 s"],
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_said(name: str) -> None:
    what, events, seen, expected = SITUATIONS[name]
    assert [reason.text for reason in told(what, events, seen)] == expected


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_command_that_is_said_is_a_field_too(name: str) -> None:
    what, events, seen, _ = SITUATIONS[name]
    for reason in told(what, events, seen):
        for command in reason.commands:
            # What a person can do about an attempt, or an end that comes, is no part of its sentence.
            assert command in reason.text or reason.kind in ("attempt", "stopping", "canceling", "timeout")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("an attempt runs", "step a"),
        ("between two attempts", SITUATIONS["between two attempts"][3][0]),
        ("as many steps as may", "step a"),
        ("canceling: the grace", SITUATIONS["canceling: the grace"][3][0]),
        ("compensating", SITUATIONS["compensating"][3][0]),
        ("paused, by whom and why", SITUATIONS["paused, by whom and why"][3][0]),
    ],
)
def test_in_a_line(name: str, short: str) -> None:
    what, events, seen, _ = SITUATIONS[name]
    assert in_short(told(what, events, seen)) == short


def test_in_a_line_what_runs_comes_before_what_waits() -> None:
    again = [
        ago(E.ATTEMPT_STARTED, 9, "pay", 1),
        ago(E.ATTEMPT_ENDED, 9, "pay", 1, status="failed", retry_at=NOW),
        ago(E.ATTEMPT_STARTED, 9, "pay", 2),
    ]
    events = [*BEGUN, waits("signal", name="go"), OTHER_RUNS, *again]
    found = told(job(Step("a", signal="go"), Step("b", command="x"), PAY), events, HERE)
    assert in_short(found) == "step b, step pay (attempt 2)"


def test_the_fields_behind_a_sentence() -> None:
    [reason, deadline] = told(job(PAY, timeout=4 * HOUR), [*BEGUN, *FAILED_THRICE], HERE)
    assert (reason.kind, reason.step, reason.until) == ("retry", "pay", NOW + 42 * SECOND)
    assert reason.fields == {"attempt": 3, "attempts_left": 2, "error": "exit code 7"}
    assert (deadline.kind, deadline.until) == ("deadline", NOW - MINUTE + 4 * HOUR)
