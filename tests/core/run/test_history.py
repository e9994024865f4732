"""What may follow what, and the state that a history adds up to."""

from __future__ import annotations

from typing import Any

import pytest
from situations import World, job, picture
from tests.core.run.test_events import example

from jobctl.core.model import RunStatus, StepStatus
from jobctl.core.run.history import TRANSITIONS, AttemptState, Event, EventType, HistoryError, RunState, replay

E = EventType
S = RunStatus

# A history that leads to each status.
BEFORE: dict[RunStatus | None, list[Event]] = {
    None: [],
    S.QUEUED: [Event(E.RUN_CREATED, 1)],
    S.RUNNING: [Event(E.RUN_CREATED, 1), Event(E.RUN_TAKEN, 2)],
    S.PAUSED: [Event(E.RUN_CREATED, 1), Event(E.RUN_TAKEN, 2), Event(E.RUN_PAUSED, 3)],
}
BEFORE |= {
    status: [Event(E.RUN_CREATED, 1), Event(E.RUN_TAKEN, 2), Event(E.RUN_ENDED, 3, data={"status": str(status)})]
    for status in S
    if status.final
}

# What each kind of event needs to say.
DATA: dict[EventType, dict[str, Any]] = {
    **{kind: example(kind) for kind in E},
    E.RUN_REOPENED: {"redo": []},
    E.RUN_ENDED: {"status": "succeeded"},
}

ABOUT_STEPS = {E.ATTEMPT_STARTED, E.ATTEMPT_ENDED, E.STEP_ENDED, E.UNDO_STARTED, E.UNDO_ENDED}
ABOUT_STEPS |= {E.WAIT_STARTED, E.APPROVAL_ANSWERED, E.TIMER_FIRED, E.WAIT_ENDED, E.ITEMS_LISTED}
RUN_EVENTS = [kind for kind in E if kind not in ABOUT_STEPS and kind is not E.RUN_ENDED]
TAKEN = BEFORE[S.RUNNING]


def about(event: EventType, step: str = "a", number: int = 0, at: int = 9, **data: Any) -> Event:
    return Event(event, at, step, number, data)


A1 = about(E.ATTEMPT_STARTED, number=1)
A1_OK = about(E.ATTEMPT_ENDED, number=1)
A1_RETRIES = about(E.ATTEMPT_ENDED, number=1, status="failed", retry_at=99)
U1 = about(E.UNDO_STARTED, number=1)
WAITS = about(E.WAIT_STARTED, kind="signal", name="go", until=99)
ASKS = about(E.WAIT_STARTED, kind="approval", name="go on?")
SENT = Event(E.SIGNAL_RECEIVED, 9, data={"name": "go", "payload": 7})
LISTED = about(E.ITEMS_LISTED, count=2, items=["x", "y"])
CAME = about(E.STEP_ENDED, status="succeeded")
NAPS = about(E.ATTEMPT_ENDED, number=1, status="suspended", wait={"kind": "sleep", "call": 2, "until": 99})
LISTENS = about(E.ATTEMPT_ENDED, number=1, status="suspended", wait={"kind": "signal", "call": 2, "name": "go"})
HEARD = about(E.WAIT_ENDED, name="go", payload=7)


def test_every_status_has_a_history_here() -> None:
    assert set(BEFORE) == {None, *S}
    for status, events in BEFORE.items():
        assert replay(events).status == status


@pytest.mark.parametrize(("before", "kind"), TRANSITIONS, ids=str)
def test_what_may_follow(before: RunStatus | None, kind: EventType) -> None:
    state = replay(BEFORE[before])
    state.apply(Event(kind, 5, data=DATA.get(kind, {})))
    assert state.status is TRANSITIONS[before, kind]


@pytest.mark.parametrize(
    ("before", "kind"),
    [(before, kind) for before in BEFORE for kind in RUN_EVENTS if (before, kind) not in TRANSITIONS],
    ids=str,
)
def test_what_may_not_follow(before: RunStatus | None, kind: EventType) -> None:
    state = replay(BEFORE[before])
    untouched = picture(state)
    with pytest.raises(HistoryError, match=rf"{kind} cannot happen to a run that is {before or 'not created'}"):
        state.apply(Event(kind, 5, data=DATA.get(kind, {})))
    assert picture(state) == untouched


@pytest.mark.parametrize("before", BEFORE)
def test_a_run_ends_once(before: RunStatus | None) -> None:
    end = Event(E.RUN_ENDED, 7, data={"status": "failed", "reason": "why"})
    state = replay(BEFORE[before])
    if before in (S.QUEUED, S.RUNNING, S.PAUSED):
        state.apply(end)
        assert (state.status, state.reason, state.finished_at) == (S.FAILED, "why", 7)
    else:
        with pytest.raises(HistoryError, match="ends again"):
            state.apply(end)


@pytest.mark.parametrize("before", [status for status in BEFORE if status not in (S.RUNNING, S.PAUSED)])
@pytest.mark.parametrize("kind", sorted(ABOUT_STEPS))
def test_steps_move_only_in_a_run_that_lives(before: RunStatus | None, kind: EventType) -> None:
    with pytest.raises(HistoryError, match=f"{kind} in a run that is"):
        replay([*BEFORE[before], about(kind, number=1, status="succeeded")])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([about(E.ATTEMPT_STARTED, number=2)], "attempt 2 cannot start after 0"),
        ([A1, A1], "attempt 1 cannot start after 1"),
        ([A1, about(E.ATTEMPT_STARTED, number=2)], "attempt 2 cannot start after 1 when it is running"),
        ([A1, A1_OK, about(E.ATTEMPT_STARTED, number=2)], "attempt 2 cannot start after 1 when it is succeeded"),
        ([A1, A1_RETRIES, about(E.ATTEMPT_STARTED, number=3)], "attempt 3 cannot start after 1"),
        ([A1_OK], "attempt 1 ends, but it does not run"),
        ([A1, A1_OK, A1_OK], "attempt 1 ends, but it does not run"),
        ([A1, A1_RETRIES, A1_RETRIES], "attempt 1 ends, but it does not run"),
        ([A1, about(E.ATTEMPT_ENDED, number=2)], "attempt 2 ends, but it does not run"),
        ([A1, about(E.STEP_ENDED, status="canceled")], "outside of an attempt, but it is running"),
        ([A1, A1_OK, about(E.STEP_ENDED, status="canceled")], "outside of an attempt, but it is succeeded"),
        ([about(E.STEP_ENDED)], "step_ended is damaged: 'status'"),
        ([about(E.ITEMS_LISTED)], "items_listed is damaged: 'count'"),
        ([about(E.ITEMS_LISTED, count=1)], "1 items cannot be listed when it is pending"),
        ([about(E.ITEMS_LISTED, count=1, items=[])], "1 items cannot be listed when it is pending"),
        ([LISTED, LISTED], "2 items cannot be listed when it is running"),
        ([A1, LISTED], "2 items cannot be listed when it is running"),
        ([LISTED, A1], "attempt 1 cannot start after 0 when it is running"),
        ([LISTED, about(E.STEP_ENDED, status="failed"), CAME], "outside of an attempt, but it is failed"),
        ([about(E.STEP_ENDED, status="tired")], "step_ended is damaged: 'tired'"),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="tired")], "attempt_ended is damaged: 'tired'"),
        ([U1], "undo_started: step a has not run"),
        ([about(E.UNDO_ENDED, number=1)], "undo_ended: step a has not run"),
        ([A1, A1_OK, about(E.UNDO_ENDED, number=1)], "attempt 1 ends, but it does not run"),
        ([A1, A1_OK, U1, U1], "attempt 1 cannot start after 1"),
        ([A1, A1_OK, U1, about(E.UNDO_ENDED, status="canceled")], "outside of an attempt, but it is running"),
        ([A1, A1_OK, U1, about(E.UNDO_ENDED, number=1), U1], "attempt 1 cannot start after 1 when it is succeeded"),
        ([WAITS, WAITS], "cannot begin to wait when it is waiting"),
        ([A1, WAITS], "cannot begin to wait when it is running"),
        ([A1, A1_RETRIES, WAITS], "cannot begin to wait when it is waiting"),
        ([SENT, WAITS, CAME, WAITS], "cannot begin to wait when it is succeeded"),
        ([WAITS, A1, A1], "attempt 1 cannot start after 1"),
        ([about(E.APPROVAL_ANSWERED, approved=True)], "approval_answered, but it waits for nothing"),
        ([A1, A1_RETRIES, about(E.TIMER_FIRED)], "timer_fired, but it waits for nothing"),
        ([A1, LISTENS, HEARD], "had the signal go, but none was left"),
        ([SENT, A1, NAPS, HEARD], "it does not wait for the signal go"),
        ([SENT, A1, LISTENS, about(E.WAIT_ENDED, name="stop")], "it does not wait for the signal stop"),
        ([SENT, WAITS, HEARD], "it does not wait for the signal go"),
        ([SENT, A1, LISTENS, HEARD, HEARD], "it does not wait for the signal go"),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="suspended")], "attempt_ended is damaged: 'wait'"),
        ([ASKS, about(E.APPROVAL_ANSWERED, approved=False), about(E.TIMER_FIRED)], "timer_fired, but it waits"),
        (
            [ASKS, about(E.TIMER_FIRED), about(E.APPROVAL_ANSWERED, approved=True)],
            "approval_answered, but it waits for nothing",
        ),
        ([WAITS, CAME], "a step had the signal go, but none was left"),
        ([Event(E.SIGNAL_RECEIVED, 9)], "signal_received is damaged: 'name'"),
        ([Event(E.RUN_ENDED, 9)], "run_ended is damaged: 'status'"),
        ([Event(E.RUN_ENDED, 9, data={"status": "tired"})], "run_ended is damaged: 'tired'"),
        ([Event(E.RUN_ENDED, 9, data={"status": "paused"})], "a run cannot end as paused"),
        ([Event(E.RUN_ENDED, 9, data={"status": "failed"}), Event(E.RUN_REOPENED, 9)], "damaged: 'redo'"),
    ],
)
def test_what_is_no_history(events: list[Event], message: str) -> None:
    replay([*TAKEN, *events[:-1]])
    with pytest.raises(HistoryError, match=message):
        replay([*TAKEN, *events])


@pytest.mark.parametrize(
    ("events", "status", "retry_at", "error"),
    [
        ([A1], "running", None, None),
        ([A1, A1_OK], "succeeded", None, None),
        ([A1, A1_RETRIES], "waiting", 99, None),
        ([A1, A1_RETRIES, about(E.ATTEMPT_STARTED, number=2)], "running", None, None),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="failed", error="no")], "failed", None, "no"),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="timed_out")], "timed_out", None, None),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="skipped")], "skipped", None, None),
        ([A1, about(E.ATTEMPT_ENDED, number=1, status="timed_out", step_status="succeeded")], "succeeded", None, None),
        ([about(E.STEP_ENDED, status="canceled", error="why")], "canceled", None, "why"),
        ([A1, A1_RETRIES, about(E.STEP_ENDED, status="failed", error="late")], "failed", None, "late"),
        ([A1, A1_OK, U1], "succeeded", None, None),
        ([A1, A1_OK, U1, about(E.UNDO_ENDED, number=1)], "compensated", None, None),
        ([A1, A1_OK, U1, about(E.UNDO_ENDED, number=1, status="failed")], "succeeded", None, None),
        ([A1, A1_OK, U1, about(E.UNDO_ENDED, number=1, status="failed", retry_at=99)], "succeeded", None, None),
        ([A1, A1_OK, about(E.UNDO_ENDED, status="canceled")], "succeeded", None, None),
        ([A1, A1_RETRIES, Event(E.RUN_ENDED, 9, data={"status": "failed"})], "canceled", None, None),
    ],
)
def test_where_a_step_stands(events: list[Event], status: str, retry_at: int | None, error: str | None) -> None:
    step = replay([*TAKEN, *events]).steps["a"]
    assert (step.status, step.retry_at, step.error) == (status, retry_at, error)


def test_every_attempt_is_kept_as_it_was() -> None:
    first: dict[str, Any] = {"status": "failed", "retry_at": 99, "exit_code": 3}
    state = replay(
        [
            *TAKEN,
            about(E.ATTEMPT_STARTED, number=1, at=10),
            about(E.ATTEMPT_ENDED, number=1, at=20, **first),
            about(E.ATTEMPT_STARTED, number=2, at=99),
        ]
    )
    seen = [(a.number, a.status, a.started_at, a.finished_at, a.data) for a in state.steps["a"].attempts]
    assert seen == [(1, "failed", 10, 20, first), (2, "running", 99, None, {})]
    assert state.steps["a"].started_at == 10
    assert isinstance(state.steps["a"].attempts[0], AttemptState)


def test_what_a_step_hands_on() -> None:
    state = replay([*TAKEN, A1, about(E.ATTEMPT_ENDED, number=1, outputs={"k": "v"}, stdout="last")])
    assert (state.steps["a"].outputs, state.steps["a"].stdout) == ({"k": "v"}, "last")


def test_a_retried_attempt_hands_nothing_on_but_its_cursor() -> None:
    ended = about(E.ATTEMPT_ENDED, number=1, status="failed", retry_at=99, outputs={"k": "v"}, cursor="7")
    step = replay([*TAKEN, A1, ended]).steps["a"]
    assert (step.outputs, step.stdout, step.cursor) == ({}, None, "7")


def test_an_attempt_that_says_nothing_of_its_cursor_leaves_it() -> None:
    second = [about(E.ATTEMPT_STARTED, number=2), about(E.ATTEMPT_ENDED, number=2, status="failed", retry_at=99)]
    ended = about(E.ATTEMPT_ENDED, number=1, status="failed", retry_at=99, cursor="7")
    assert replay([*TAKEN, A1, ended, *second]).steps["a"].cursor == "7"


def test_a_condition_is_asked_again_only_while_it_has_not_answered() -> None:
    unchecked = about(E.ATTEMPT_ENDED, number=1, status="failed", retry_at=99, unchecked=True)
    assert not replay([*TAKEN, A1, unchecked]).steps["a"].checked
    assert replay([*TAKEN, A1, A1_RETRIES]).steps["a"].checked
    later = [
        about(E.ATTEMPT_STARTED, number=2),
        about(E.ATTEMPT_ENDED, number=2, status="failed", retry_at=99, unchecked=True),
    ]
    assert replay([*TAKEN, A1, A1_RETRIES, *later]).steps["a"].checked


def test_what_a_run_was_created_with() -> None:
    state = replay([Event(E.RUN_CREATED, 5, data={"params": {"p": 1}, "trigger": "schedule", "fire_time": 3})])
    assert (state.params, state.trigger, state.fire_time, state.created_at) == ({"p": 1}, "schedule", 3, 5)
    assert (state.started_at, state.try_started_at, state.finished_at) == (None, None, None)


@pytest.mark.parametrize(
    ("events", "started_at", "try_started_at"),
    [
        ([Event(E.RUN_TAKEN, 5)], 5, 5),
        ([Event(E.RUN_TAKEN, 5), Event(E.RUN_TAKEN, 6)], 5, 5),
        ([Event(E.RUN_TAKEN, 5), Event(E.RUN_ENDED, 6, data={"status": "failed"})], 5, 5),
        (
            [
                Event(E.RUN_TAKEN, 5),
                Event(E.RUN_ENDED, 6, data={"status": "failed"}),
                Event(E.RUN_REOPENED, 7, data={"redo": []}),
                Event(E.RUN_TAKEN, 8),
            ],
            5,
            7,
        ),
        (
            [
                Event(E.CANCEL_REQUESTED, 5),
                Event(E.RUN_ENDED, 6, data={"status": "canceled"}),
                Event(E.RUN_REOPENED, 7, data={"redo": []}),
                Event(E.RUN_TAKEN, 8),
            ],
            8,
            8,
        ),
        (
            [
                Event(E.RUN_TAKEN, 5),
                Event(E.RUN_ENDED, 6, data={"status": "failed"}),
                Event(E.RUN_REOPENED, 7, data={"redo": [], "queued": True}),
                Event(E.RUN_TAKEN, 8),
                Event(E.RUN_TAKEN, 9),
            ],
            5,
            8,
        ),
    ],
    ids=["taken", "taken over", "ended", "reopened", "reopened before it was ever taken", "reopened into a queue"],
)
def test_from_when_the_timeout_counts(events: list[Event], started_at: int, try_started_at: int) -> None:
    state = replay([Event(E.RUN_CREATED, 1), *events])
    assert (state.started_at, state.try_started_at) == (started_at, try_started_at)


PAUSED = Event(E.RUN_PAUSED, 6, data={"reason": "lunch"})


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([PAUSED], "lunch"),
        ([PAUSED, Event(E.RUN_UNPAUSED, 7)], None),
        ([PAUSED, Event(E.CANCEL_REQUESTED, 7, data={"reason": "enough"})], "enough"),
        ([PAUSED, Event(E.RUN_ENDED, 7, data={"status": "failed"})], None),
        ([PAUSED, Event(E.RUN_ENDED, 7, data={"status": "failed", "reason": "step a"})], "step a"),
    ],
    ids=["paused", "unpaused", "canceled", "ended without one", "ended with one"],
)
def test_the_reason_is_that_of_the_present_status(events: list[Event], reason: str | None) -> None:
    assert replay([*TAKEN, *events]).reason == reason


BO = {"by": "bo"}
CANCEL, KILL = Event(E.CANCEL_REQUESTED, 4, data=BO), Event(E.TERMINATE_REQUESTED, 5, data=BO)
LATE, PAUSE = Event(E.RUN_TIMED_OUT, 6), Event(E.RUN_PAUSED, 7, data=BO)
OVER, AGAIN = Event(E.RUN_ENDED, 8, data={"status": "canceled"}), Event(E.RUN_REOPENED, 9, data={"redo": []})


@pytest.mark.parametrize(
    ("events", "pause", "ending"),
    [
        ([], None, None),
        ([PAUSE], PAUSE, None),
        ([PAUSE, Event(E.RUN_UNPAUSED, 9)], None, None),
        ([PAUSE, CANCEL], None, CANCEL),
        ([CANCEL, PAUSE], PAUSE, CANCEL),
        ([CANCEL, LATE], None, CANCEL),
        ([LATE, CANCEL], None, LATE),
        ([CANCEL, KILL], None, KILL),
        ([CANCEL, OVER], None, CANCEL),
        ([CANCEL, OVER, AGAIN], None, None),
    ],
)
def test_who_holds_it_back_and_who_ends_it(events: list[Event], pause: Event | None, ending: Event | None) -> None:
    state = replay([*TAKEN, *events])
    assert (state.pause, state.ending) == (pause, ending)


def test_results_of_another_run() -> None:
    reused = {
        "a": {"outputs": {"k": "v"}, "stdout": "last"},
        "b": {"status": "failed", "error": "exit code 1"},
        "c": {"status": "skipped"},
    }
    state = replay([Event(E.RUN_CREATED, 1, data={"like": "x-1", "reused": reused})])
    assert (state.like, state.status) == ("x-1", S.QUEUED)
    found = [(s.name, str(s.status), s.outputs, s.stdout, s.error, s.reused) for s in state.steps.values()]
    assert found == [
        ("a", "succeeded", {"k": "v"}, "last", None, "x-1"),
        ("b", "failed", {}, None, "exit code 1", "x-1"),
        ("c", "skipped", {}, None, None, "x-1"),
    ]
    with pytest.raises(HistoryError, match="it cannot be reused, it is running"):
        replay([Event(E.RUN_CREATED, 1, data={"like": "x-1", "reused": {"a": {"status": "running"}}})])


def test_a_run_unpaused_in_the_queue_is_queued() -> None:
    created = Event(E.RUN_CREATED, 1)
    assert replay([created, Event(E.RUN_PAUSED, 2), Event(E.RUN_UNPAUSED, 3)]).status is S.QUEUED
    taken = Event(E.RUN_TAKEN, 3)
    assert replay([created, Event(E.RUN_PAUSED, 2), taken, Event(E.RUN_UNPAUSED, 4)]).status is S.RUNNING


# -- waits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "status", "waits", "outputs"),
    [
        ([WAITS], "waiting", True, {}),
        ([WAITS, SENT], "waiting", True, {}),
        ([SENT, WAITS, about(E.STEP_ENDED, status="succeeded", outputs={"k": 1})], "succeeded", False, {"k": 1}),
        ([WAITS, about(E.TIMER_FIRED)], "waiting", False, {}),
        ([WAITS, about(E.TIMER_FIRED), about(E.STEP_ENDED, status="timed_out", error="late")], "timed_out", False, {}),
        ([ASKS, about(E.APPROVAL_ANSWERED, approved=True)], "waiting", False, {}),
        ([WAITS, about(E.STEP_ENDED, status="canceled", error="stopped")], "canceled", False, {}),
        ([WAITS, Event(E.RUN_ENDED, 9, data={"status": "failed"})], "canceled", False, {}),
        ([A1, about(E.ATTEMPT_ENDED, number=1, step_status="pending")], "pending", False, {}),
        ([A1, about(E.ATTEMPT_ENDED, number=1, step_status="pending"), WAITS], "waiting", True, {}),
    ],
)
def test_where_a_wait_stands(events: list[Event], status: str, waits: bool, outputs: dict[str, Any]) -> None:
    step = replay([*TAKEN, *events]).steps["a"]
    assert (step.status, step.waiting is not None, step.outputs) == (status, waits, outputs)


def test_a_wait_begins_when_it_begins_and_its_condition_is_asked_before() -> None:
    asked = [about(E.ATTEMPT_STARTED, number=1, at=10), about(E.ATTEMPT_ENDED, number=1, at=20, step_status="pending")]
    step = replay([*TAKEN, *asked, WAITS._replace(at=30)]).steps["a"]
    assert (step.began, step.ended, step.started_at, step.checked) == (2, None, 10, True)
    assert step.waiting == {"kind": "signal", "name": "go", "until": 99}
    step = replay([*TAKEN, WAITS._replace(at=30)]).steps["a"]
    assert (step.began, step.ended, step.started_at, step.checked) == (2, None, 30, False)


def sent(payload: object, name: str = "go") -> Event:
    return Event(E.SIGNAL_RECEIVED, 9, data={"name": name, "payload": payload})


OVER = Event(E.RUN_ENDED, 20, data={"status": "failed"})
AGAIN = Event(E.RUN_REOPENED, 30, data={"redo": ["a"]})


@pytest.mark.parametrize(
    ("events", "untaken"),
    [
        ([], {}),
        ([sent(1), sent(2), sent(3, "other")], {"go": [1, 2], "other": [3]}),
        ([Event(E.SIGNAL_RECEIVED, 9, data={"name": "go"})], {"go": [None]}),
        ([WAITS, sent(1), sent(2)], {"go": [1, 2]}),
        ([WAITS, sent(1), sent(2), CAME], {"go": [2]}),
        ([sent(1), WAITS, CAME], {}),
        ([sent(1), WAITS, about(E.STEP_ENDED, status="canceled")], {"go": [1]}),
        ([WAITS, about(E.TIMER_FIRED), CAME, sent(1)], {"go": [1]}),  # on_timeout = "continue"
        ([ASKS, sent(1), about(E.APPROVAL_ANSWERED, approved=True), CAME], {"go": [1]}),
        ([sent(1), about(E.WAIT_STARTED, kind="sleep", until=9), about(E.TIMER_FIRED), CAME], {"go": [1]}),
        ([sent(1), OVER, AGAIN, sent(2)], {"go": [1, 2]}),
        ([sent(1), sent(2), WAITS, CAME, OVER, AGAIN, WAITS], {"go": [2]}),
    ],
)
def test_signals_that_no_step_has_had(events: list[Event], untaken: dict[str, list[Any]]) -> None:
    assert replay([*TAKEN, *events]).untaken == untaken


# -- suspended -----------------------------------------------------------------------------------------------------

A2 = about(E.ATTEMPT_STARTED, number=2)
A2_RETRIES = about(E.ATTEMPT_ENDED, number=2, status="failed", retry_at=99)


@pytest.mark.parametrize(
    ("events", "delivered"),
    [
        ([NAPS, about(E.TIMER_FIRED)], [{"call": 2}]),
        ([LISTENS, SENT, HEARD], [{"call": 2, "name": "go", "payload": 7}]),
        ([SENT, LISTENS, about(E.WAIT_ENDED, name="go")], [{"call": 2, "name": "go"}]),
        ([LISTENS, about(E.TIMER_FIRED)], [{"call": 2, "name": "go", "timed_out": True}]),
    ],
)
def test_what_a_suspended_step_waited_for_is_kept_for_its_next_attempts(
    events: list[Event], delivered: list[dict[str, Any]]
) -> None:
    state = replay([*TAKEN, A1, *events])
    step = state.steps["a"]
    assert (step.status, step.waiting, step.retry_at, step.suspended) == (StepStatus.WAITING, None, 9, True)
    assert step.delivered == delivered
    for event in (A2, A2_RETRIES):
        state.apply(event)
    assert step.delivered == delivered
    assert not step.suspended


def test_a_suspended_attempt_is_none_of_those_that_retries_are_counted_by() -> None:
    state = replay([*TAKEN, A1, NAPS])
    step = state.steps["a"]
    assert (step.attempts_in_try, step.suspensions, step.attempts[0].status) == (0, 1, "suspended")
    assert step.waiting == {"kind": "sleep", "call": 2, "until": 99}
    for event in (about(E.TIMER_FIRED), A2):
        state.apply(event)
    assert step.attempts_in_try == 1


def test_nor_is_one_that_was_stopped_with_its_daemon() -> None:
    ended = about(E.ATTEMPT_ENDED, number=1, status="stopped", exit_code=7, cursor="3", retry_at=9)
    state = replay([*TAKEN, A1, ended])
    step = state.steps["a"]
    assert (step.attempts_in_try, step.stops, step.attempts[0].status) == (0, 1, "stopped")
    assert (step.status, step.retry_at, step.cursor) == (StepStatus.WAITING, 9, "3")
    state.apply(A2)
    assert step.attempts_in_try == 1


def test_a_pause_names_its_notifications() -> None:
    state = replay([*TAKEN, about(E.RUN_PAUSED, stopped=True, notifications=["a.notify-1"])])
    assert state.notifications == ["a.notify-1"]
    state.apply(about(E.RUN_UNPAUSED))
    state.apply(about(E.RUN_PAUSED))
    assert state.notifications == ["a.notify-1"]  # of somebody's own pause nobody is told


def test_the_limit_of_a_step_ends_no_wait_of_it() -> None:
    wait = {"kind": "signal", "call": 2, "name": "go", "until": 99, "limit": "schedule_to_close"}
    ended = about(E.ATTEMPT_ENDED, number=1, status="suspended", wait=wait)
    step = replay([*TAKEN, A1, ended, about(E.TIMER_FIRED)]).steps["a"]
    assert (step.delivered, step.waiting, step.retry_at) == ([], None, None)


def test_the_undo_of_a_suspended_step_has_what_it_handed_on() -> None:
    ended = NAPS._replace(data={**NAPS.data, "outputs": {"k": "v"}})
    step = replay([*TAKEN, A1, ended, about(E.STEP_ENDED, status="canceled")]).steps["a"]
    assert (step.status, step.outputs) == (StepStatus.CANCELED, {"k": "v"})


@pytest.mark.parametrize(
    ("how", "reopened", "first", "kept"),
    [
        ({"status": "failed"}, {}, 1, True),
        ({"status": "canceled"}, {}, 1, True),
        ({"status": "failed"}, {"anew": ["a"]}, 3, False),
        ({}, {}, 3, False),
    ],
    ids=["failed", "canceled", "named: from its beginning", "finished: asked for again from its beginning"],
)
def test_unfinished_work_goes_on_with_its_record(
    how: dict[str, Any], reopened: dict[str, Any], first: int, kept: bool
) -> None:
    state = replay([*TAKEN, A1, NAPS, about(E.TIMER_FIRED), A2, about(E.ATTEMPT_ENDED, number=2, **how)])
    for event in (
        Event(E.RUN_ENDED, 20, data={"status": "failed"}),
        Event(E.RUN_REOPENED, 30, data={"redo": ["a"], **reopened}),
    ):
        state.apply(event)
    step = state.steps["a"]
    assert (step.first, bool(step.delivered), step.suspensions) == (first, kept, 0)


@pytest.mark.parametrize(("redo", "first"), [(["b"], 1), (["a", "b"], 2)])
def test_an_undo_goes_on_with_its_record_unless_there_is_more_to_undo(redo: list[str], first: int) -> None:
    undo = about(E.UNDO_ENDED, number=1, status="failed")
    end = Event(E.RUN_ENDED, 20, data={"status": "failed"})
    state = replay([*TAKEN, A1, A1_OK, U1, undo, end, Event(E.RUN_REOPENED, 30, data={"redo": redo})])
    assert state.undo["a"].first == first


# -- reopened ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "cursor"),
    [
        ({"status": "failed", "cursor": "7"}, "7"),
        ({"status": "canceled", "cursor": "7"}, "7"),
        ({"status": "timed_out", "cursor": "7"}, "7"),
        ({"cursor": "7"}, None),
    ],
    ids=["failed", "canceled", "timed out", "finished: asked for again from its beginning"],
)
def test_unfinished_work_goes_on_from_its_cursor(how: dict[str, Any], cursor: str | None) -> None:
    state = replay(
        [
            *TAKEN,
            A1,
            about(E.ATTEMPT_ENDED, number=1, outputs={"k": "v"}, stdout="last", error="no", **how),
            Event(E.RUN_ENDED, 20, data={"status": "failed", "reason": "why"}),
            Event(E.RUN_REOPENED, 30, data={"redo": ["a", "never-seen"]}),
        ]
    )
    step = state.steps["a"]
    assert step.cursor == cursor
    assert (step.status, step.attempts_in_try, len(step.attempts)) == (StepStatus.PENDING, 0, 1)
    assert (step.started_at, step.retry_at, step.error, step.stdout, step.outputs) == (None, None, None, None, {})
    assert not step.checked
    assert (state.status, state.reason, state.finished_at) == (S.RUNNING, None, None)
    assert list(state.steps) == ["a"]


def test_what_is_not_redone_stays_as_it_is() -> None:
    ended = about(E.ATTEMPT_ENDED, number=1, outputs={"k": "v"}, cursor="7")
    before = [*TAKEN, A1, ended, Event(E.RUN_ENDED, 20, data={"status": "failed"})]
    after = [*before, Event(E.RUN_REOPENED, 30, data={"redo": ["b"]})]
    assert picture(replay(after))["steps"] == picture(replay(before))["steps"]


@pytest.mark.parametrize(
    ("words", "undone"),
    [
        ("take, a ok, b fails", False),
        ("take, a ok, b fails, a undoing", True),
        ("take, a ok, b fails, a undone", True),
        ("take, a ok, b fails, a undo-fails", True),
        ("take, a ok, b fails, a undone, reopen from a", False),
        ("take, a ok, b fails, a undo-fails, reopen from b", False),
    ],
)
def test_whether_steps_stand_undone(words: str, undone: bool) -> None:
    world = World(job("a [undo]", "b < a"))
    for word in words.split(", "):
        world.tell(word)
    assert world.state.undone is undone


def test_an_undo_starts_afresh_in_each_try() -> None:
    world = World(job("a [undo]", "b < a"))
    for words in ("take", "a ok", "b fails", "a undo-retries", "a undo-fails", "reopen from b", "take", "b fails"):
        world.tell(words)
    assert world.state.undo["a"].attempts_in_try == 0
    world.tell("a undoing")
    undo = world.state.undo["a"]
    assert ([attempt.number for attempt in undo.attempts], undo.attempts_in_try) == ([1, 2, 3], 1)
    assert undo.started_at == world.events[-1].at


def test_a_run_ended_between_two_attempts_of_an_undo_leaves_none_waiting() -> None:
    world = World(job("a [undo]"))
    for words in ("take", "a fails", "a undo-retries"):
        world.tell(words)
    world.state.apply(Event(E.RUN_ENDED, world.now(), data={"status": "terminated"}))
    undo = world.state.undo["a"]
    assert (undo.status, undo.retry_at) == (StepStatus.CANCELED, None)


def test_an_empty_history_is_a_run_not_yet_created() -> None:
    assert picture(replay([])) == picture(RunState())
    assert RunState().status is None


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 0"):
        RunState.restore(RunState().snapshot() | {"version": 0})


def test_a_snapshot_is_not_changed_by_what_comes_later() -> None:
    state = RunState()
    for event in (*TAKEN, A1):
        state.apply(event)
    before = state.snapshot()
    state.apply(LISTENS)
    state.apply(SENT)
    assert before["untaken"] == {}
    assert before["steps"][0]["attempts"][0]["status"] == "running"
