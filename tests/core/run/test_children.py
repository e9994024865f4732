"""What a child's end is to the step that waits for it, and what a run's history makes of such an end."""

from __future__ import annotations

from typing import Any

import pytest
from situations import World, job

from jobctl.core.model import Job, RetryPolicy, RunStatus, Step, StepStatus, Timeouts, decode, encode, with_children
from jobctl.core.run import children as rules
from jobctl.core.run.history import Event, EventType, HistoryError, RunState, StepState, replay
from jobctl.core.run.resume import restore

E = EventType
WAITS = Event(E.WAIT_STARTED, 100, "kid", data={"kind": "child", "name": "y-1", "job": "y", "until": 900})
ENDED = Event(E.CHILD_ENDED, 200, "kid", data={"run": "y-1", "status": "succeeded", "outputs": {"k": "v"}})
OVER = Event(E.STEP_ENDED, 210, "kid", data={"status": "succeeded"})
BEGUN = [Event(E.RUN_CREATED, 0), Event(E.RUN_TAKEN, 1, data={"executor": "e"})]


def waiting(*events: Event) -> StepState:
    return replay([*BEGUN, WAITS, *events]).steps["kid"]


# -- the history -------------------------------------------------------------------------------------------------------


def test_a_step_waits_for_its_child_and_ends_with_its_outputs() -> None:
    step = waiting()
    assert (step.status, step.waits_for_child(), step.waits_for_child("y-1")) == (StepStatus.WAITING, True, True)
    assert step.child == {"run": "y-1", "job": "y"}
    step = waiting(ENDED)
    assert step.status is StepStatus.WAITING
    assert step.waiting is not None
    assert step.waiting["ended"]["at"] == 200
    assert "until" not in step.waiting
    step = waiting(ENDED, OVER)
    assert (step.status, step.outputs, step.waiting) == (StepStatus.SUCCEEDED, {"k": "v"}, None)


@pytest.mark.parametrize(
    "events",
    [
        [Event(E.CHILD_ENDED, 200, "kid", data={"run": "y-0", "status": "failed"})],  # of an older try
        [Event(E.CHILD_ENDED, 200, "other", data={"run": "y-1", "status": "failed"})],
        [Event(E.RUN_PAUSED, 150), Event(E.CHILD_ENDED, 200, "gone", data={"run": "y-1", "status": "failed"})],
    ],
)
def test_the_end_of_a_child_that_nobody_waits_for_is_nothing(events: list[Event]) -> None:
    step = waiting(*events)
    assert step.waiting == WAITS.data


def test_the_end_of_a_child_is_known_to_a_queued_run_and_not_to_one_that_is_over() -> None:
    assert replay([BEGUN[0], ENDED]).status is RunStatus.QUEUED
    with pytest.raises(HistoryError, match="child_ended cannot happen"):
        replay([*BEGUN, Event(E.RUN_ENDED, 9, data={"status": "failed"}), ENDED])


def test_another_child_after_a_failed_one() -> None:
    failed = ENDED._replace(data={"run": "y-1", "status": "failed"})
    retry = OVER._replace(data={"status": "failed", "error": "boom", "retry_at": 500})
    step = waiting(failed, retry)
    assert (step.status, step.retry_at, step.error, step.children) == (StepStatus.WAITING, 500, "boom", 1)
    again = WAITS._replace(at=500, data={**WAITS.data, "name": "y-2"})
    step = waiting(failed, retry, again)
    assert (step.retry_at, step.children, step.started_at) == (None, 2, 100)
    assert step.waits_for_child("y-2")
    assert not step.waits_for_child("y-1")


def test_a_wait_for_anything_else_does_not_begin_between_two_tries() -> None:
    failed = ENDED._replace(data={"run": "y-1", "status": "failed"})
    retry = OVER._replace(data={"status": "failed", "retry_at": 500})
    with pytest.raises(HistoryError, match="cannot begin to wait"):
        waiting(failed, retry, Event(E.WAIT_STARTED, 500, "kid", data={"kind": "sleep", "until": 900}))


@pytest.mark.parametrize(("status", "kept"), [("failed", {"run": "y-1", "job": "y"}), ("succeeded", None)])
def test_a_new_try_knows_the_child_of_unfinished_work_only(status: str, kept: dict[str, str] | None) -> None:
    step = waiting(
        ENDED._replace(data={"run": "y-1", "status": status}),
        OVER._replace(data={"status": status}),
        Event(E.RUN_ENDED, 300, data={"status": "failed"}),
        Event(E.RUN_REOPENED, 400, data={"redo": ["kid"]}),
    )
    assert (step.status, step.child, step.children) == (StepStatus.PENDING, kept, 0)


def test_a_child_knows_its_parent_and_whether_it_was_resumed_alone() -> None:
    created = Event(E.RUN_CREATED, 0, data={"trigger": "child", "parent": {"run": "x-1", "step": "kid"}})
    state = replay([created, BEGUN[1]])
    assert (state.parent, state.alone) == ({"run": "x-1", "step": "kid"}, False)
    state.apply(Event(E.RUN_ENDED, 2, data={"status": "failed"}))
    state.apply(Event(E.RUN_REOPENED, 3, data={"redo": [], "alone": True}))
    assert state.alone
    state.apply(Event(E.RUN_ENDED, 4, data={"status": "failed"}))
    state.apply(Event(E.RUN_REOPENED, 5, data={"redo": []}))
    assert not state.alone


# -- the run -----------------------------------------------------------------------------------------------------------

_EVENTS = {
    "kid waits": WAITS,
    "kid told": ENDED,
    "kid over": OVER,
    "kid retries": OVER._replace(data={"status": "failed", "retry_at": 999}),
    "kid fails": OVER._replace(data={"status": "failed", "error": "boom"}),
    "kid canceled": OVER._replace(data={"status": "canceled"}),
}


@pytest.mark.parametrize(
    ("lines", "words", "decided"),
    [
        (["kid [job]", "b < kid"], ["take", "kid waits", "kid told", "kid over"], ["start b"]),
        (["kid [job]"], ["take", "kid waits", "kid retries"], []),
        (["kid [job]"], ["take", "kid waits", "kid fires"], []),  # it is asked to end, and ends by itself
        (["kid [job undo]"], ["take", "kid waits", "kid told", "kid fails"], ["undo kid"]),
        (["kid [job undo]"], ["take", "kid waits", "cancel"], ["cancel kid"]),
        (["kid [job undo]"], ["take", "kid waits", "cancel", "kid told", "kid canceled"], ["undo kid"]),
        (["kid [job]", "b"], ["take", "kid waits", "b fails"], ["drain kid"]),
        (["kid [job]", "b"], ["take", "kid waits", "b fails", "kid told", "kid over"], ["finish failed"]),
        (["kid [job always]"], ["take", "kid waits", "cancel"], ["drain kid"]),
        (["kid [job]"], ["take", "kid waits", "terminate"], ["kill kid"]),
        (["kid [job]", "b"], ["take", "pause", "kid waits", "kid told", "kid over"], []),
    ],
)
def test_what_is_decided(lines: list[str], words: list[str], decided: list[str]) -> None:
    world = World(job(*lines))
    told: list[str] = []
    for word in words:
        told = world._say(world.feed(_EVENTS[word])) if word in _EVENTS else world.tell(word)
    assert told == decided


def test_a_child_holds_no_place_among_the_steps() -> None:
    world = World(job("kid [job]", "a", "b", limit=1))
    assert world.tell("take") == ["start kid", "start a"]


# -- the step ----------------------------------------------------------------------------------------------------------


def ends(status: str, **more: Any) -> Event:
    return ENDED._replace(data={"run": "y-1", "status": status, **more})


RETRY = RetryPolicy(maximum_attempts=2, initial_interval=50)
FIRES = Event(E.TIMER_FIRED, 150, "kid")


@pytest.mark.parametrize(
    ("keys", "events", "stopped", "data"),
    [
        ({}, [ends("succeeded")], None, {"status": "succeeded"}),
        ({}, [ends("succeeded")], "cancel", {"status": "succeeded"}),  # it was faster
        (
            {"retry": RETRY},
            [ends("succeeded", too_large=5)],
            None,
            {"status": "failed", "error": "child run y-1 has 5 bytes of outputs, too many to hand on"},
        ),
        (
            {},
            [ends("failed", reason="step a: exit code 7")],
            None,
            {
                "status": "failed",
                "error": "child run y-1 failed: step a: exit code 7",
                "why": "it was the only attempt",
            },
        ),
        (
            {"retry": RETRY},
            [ends("failed")],
            None,
            {"status": "failed", "error": "child run y-1 failed", "retry_at": 250},
        ),
        (
            {"retry": RETRY, "timeouts": Timeouts(schedule_to_close=150)},
            [ends("failed")],
            None,
            {
                "status": "failed",
                "error": "child run y-1 failed",
                "why": "the next attempt could not start before schedule_to_close",
            },
        ),
        (
            {"retry": RETRY},
            [ends("timed_out", reason="slow")],
            None,
            {"status": "timed_out", "error": "child run y-1 timed out: slow", "retry_at": 250},
        ),
        (
            {"retry": RETRY},
            [ends("canceled", reason="enough")],
            None,
            {
                "status": "failed",
                "error": "child run y-1 was canceled: enough",
                "why": "the failure is marked as not retryable",
            },
        ),
        ({}, [ends("canceled")], "cancel", {"status": "canceled", "error": "the run was stopped"}),
        ({}, [ends("canceled")], "timeout", {"status": "timed_out", "error": "the run was stopped"}),
        (
            {},
            [ends("terminated")],
            "cancel",
            {
                "status": "failed",
                "error": "child run y-1 was terminated",
                "why": "the failure is marked as not retryable",
            },
        ),
        (
            {"retry": RETRY, "timeouts": Timeouts(schedule_to_close=50)},
            [FIRES, ends("canceled")],
            None,
            {
                "status": "timed_out",
                "error": "child run y-1 was stopped: the step's timeout of 50ms passed",
                "why": "schedule_to_close has passed",
            },
        ),
        (
            {"retry": RETRY, "timeouts": Timeouts(start_to_close=50, schedule_to_close=5_000)},
            [FIRES, ends("canceled")],
            None,
            {
                "status": "timed_out",
                "error": "child run y-1 was stopped: start_to_close of 50ms passed",
                "retry_at": 250,
            },
        ),
    ],
)
def test_what_the_end_of_a_child_is_to_its_step(
    keys: dict[str, Any], events: list[Event], stopped: str | None, data: dict[str, Any]
) -> None:
    assert rules.step_end(Step(name="kid", job="y", **keys), waiting(*events), stopped) == data


@pytest.mark.parametrize(
    ("timeouts", "started_at", "until"),
    [
        (Timeouts(), None, None),
        (Timeouts(start_to_close=10), 400, 510),
        (Timeouts(schedule_to_close=200), None, 700),
        (Timeouts(schedule_to_close=200), 400, 600),
        (Timeouts(start_to_close=10, schedule_to_close=200), 400, 510),
        (Timeouts(start_to_close=150, schedule_to_close=200), 400, 600),
    ],
)
def test_until_when_a_child_may_take(timeouts: Timeouts, started_at: int | None, until: int | None) -> None:
    state = StepState("kid")
    state.started_at = started_at
    assert rules.until(Step(name="kid", job="y", timeouts=timeouts), state, 500) == until


@pytest.mark.parametrize(
    ("outputs", "data"),
    [
        ({}, {}),
        ({"k": "v"}, {"outputs": {"k": "v"}}),
        ({"k": "v" * 100}, {"too_large": 109}),
    ],
)
def test_what_a_parent_is_told(outputs: dict[str, str], data: dict[str, Any]) -> None:
    end = Event(E.RUN_ENDED, 7, data={"status": "failed", "reason": "so"})
    told = rules.child_ended("kid", "y-1", end, outputs, 50)
    assert told == Event(E.CHILD_ENDED, 7, "kid", data={"run": "y-1", "status": "failed", "reason": "so", **data})


def test_outputs_are_merged_in_the_order_of_the_job() -> None:
    state = RunState()
    state.step("b").outputs = {"k": "b", "b": "1"}
    state.step("a").outputs = {"k": "a", "a": "1"}
    assert rules.merged_outputs(state, ["a", "b", "c"]) == {"k": "b", "a": "1", "b": "1"}


def test_outputs_of_items_are_lists() -> None:
    state = RunState()
    state.step("a").items = ["x", "y", "z"]
    state.step("a[0]").outputs = {"k": "0"}
    state.step("a[2]").outputs = {"k": "2", "l": "2"}
    assert rules.merged_outputs(state, ["a"]) == {"k": ["0", None, "2"], "l": [None, None, "2"]}


# -- the definition ----------------------------------------------------------------------------------------------------


def _job(name: str, *starts: str) -> Job:
    steps = [Step(name=f"s{i}", job=child) for i, child in enumerate(starts)] or [Step(name="main", command="true")]
    return Job(name=name, folder="/", steps=tuple(steps))


def test_a_job_has_all_that_it_starts_and_a_child_has_its_own() -> None:
    jobs = {one.name: one for one in (_job("a", "b", "c"), _job("b", "d"), _job("c", "d"), _job("d"), _job("e", "a"))}
    found = with_children(jobs["a"], jobs)
    assert set(found.children) == {"b", "c", "d"}
    assert all(not child.children for child in found.children.values())
    assert set(found.child("b").children) == {"d"}
    assert with_children(jobs["d"], jobs) is jobs["d"]
    assert decode(encode(found)) == found
    with pytest.raises(KeyError):
        found.child("e")


def test_a_run_with_a_child_is_restored_as_it_was() -> None:
    state, decider = restore(job("kid [job]", "b < kid"), [*BEGUN, WAITS, ENDED])
    assert state.step("kid").waits_for_child("y-1")
    assert decider.active() == ["kid"]
