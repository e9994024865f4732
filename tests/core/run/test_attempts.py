"""When the next attempt of a step starts, why none does, and which deadline passes first."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.core.model import Poll, RetryPolicy, Timeouts
from jobctl.core.run.attempts import (
    Deadline,
    Outcome,
    Verdict,
    event_data,
    first_deadline,
    next_probe,
    pauses,
    poll_wait,
    retry_wait,
    verdict,
)

CENTURY = 100 * 365 * 86_400_000


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ({}, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 100_000]),
        ({"initial_interval": 10}, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]),
        ({"backoff_coefficient": 1.0}, [1_000, 1_000, 1_000]),
        ({"backoff_coefficient": 1}, [1_000, 1_000, 1_000]),
        ({"backoff_coefficient": 1.5}, [1_000, 1_500, 2_250, 3_375, 5_062]),
        ({"backoff_coefficient": 10.0}, [1_000, 10_000, 100_000, 100_000]),
        ({"maximum_interval": 3_000}, [1_000, 2_000, 3_000, 3_000]),
        ({"maximum_interval": 300_000, "initial_interval": 100_000}, [100_000, 200_000, 300_000]),
        ({"maximum_interval": 500}, [500, 500]),
        ({"maximum_interval": 0}, [0, 0]),
        ({"initial_interval": 0}, [0, 0]),
        ({"initial_interval": 0, "maximum_interval": 5_000}, [0, 0]),
    ],
    ids=str,
)
def test_the_wait_after_each_attempt(policy: dict[str, Any], waits: list[int]) -> None:
    found = [retry_wait(RetryPolicy(**policy), attempt) for attempt in range(1, len(waits) + 1)]
    assert found == waits
    assert all(type(wait) is int for wait in found)


@pytest.mark.parametrize(
    ("policy", "wait"),
    [
        ({}, 100_000),
        ({"backoff_coefficient": 2}, 100_000),
        ({"backoff_coefficient": 1e300}, 100_000),
        ({"backoff_coefficient": 1.0}, 1_000),
        ({"maximum_interval": 300_000}, 300_000),
        ({"maximum_interval": 10**30}, CENTURY),
        ({"initial_interval": 0, "maximum_interval": 5_000}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("attempt", [1_100, 1_000_000])
def test_the_wait_after_very_many_attempts(policy: dict[str, Any], wait: int, attempt: int) -> None:
    assert retry_wait(RetryPolicy(**policy), attempt) == wait


ALWAYS = RetryPolicy(maximum_attempts=0)
FAILED = Outcome("failed", exit_code=1)

# policy, timeouts, outcome, attempt -> verdict; the attempt ends at 10,000, the step began at 1,000.
VERDICTS: dict[str, tuple[RetryPolicy, Timeouts, Outcome, int, Verdict]] = {
    "success": (ALWAYS, Timeouts(), Outcome("succeeded", exit_code=0), 1, Verdict(None)),
    "skipped": (ALWAYS, Timeouts(), Outcome("skipped"), 1, Verdict(None)),
    "canceled": (ALWAYS, Timeouts(), Outcome("canceled", signal=15), 1, Verdict(None)),
    "failed": (ALWAYS, Timeouts(), FAILED, 1, Verdict(11_000)),
    "failed again": (ALWAYS, Timeouts(), FAILED, 3, Verdict(14_000)),
    "no retry table": (RetryPolicy(), Timeouts(), FAILED, 1, Verdict(None, "it was the only attempt")),
    "attempts left": (RetryPolicy(maximum_attempts=3), Timeouts(), FAILED, 2, Verdict(12_000)),
    "none left": (RetryPolicy(maximum_attempts=3), Timeouts(), FAILED, 3, Verdict(None, "all 3 attempts are used")),
    "fewer allowed than were made": (
        RetryPolicy(maximum_attempts=2),
        Timeouts(),
        FAILED,
        5,
        Verdict(None, "all 5 attempts are used"),
    ),
    "unlimited": (ALWAYS, Timeouts(), FAILED, 1_000_000, Verdict(110_000)),
    "start_to_close": (ALWAYS, Timeouts(), Outcome("timed_out", timeout="start_to_close"), 1, Verdict(11_000)),
    "heartbeat": (ALWAYS, Timeouts(), Outcome("timed_out", timeout="heartbeat"), 1, Verdict(11_000)),
    "signal": (ALWAYS, Timeouts(), Outcome("failed", signal=9), 1, Verdict(11_000)),
    "lost": (ALWAYS, Timeouts(), Outcome("failed", error="lost"), 1, Verdict(11_000)),
    "schedule_to_close": (
        ALWAYS,
        Timeouts(),
        Outcome("timed_out", timeout="schedule_to_close"),
        1,
        Verdict(None, "schedule_to_close has passed"),
    ),
    "the run's timeout": (
        ALWAYS,
        Timeouts(),
        Outcome("timed_out", timeout="run"),
        1,
        Verdict(None, "run has passed"),
    ),
    "non_retryable": (
        ALWAYS,
        Timeouts(),
        Outcome("failed", exit_code=1, non_retryable=True, next_retry_delay=5),
        1,
        Verdict(None, "the failure is marked as not retryable"),
    ),
    "an exit code": (
        RetryPolicy(maximum_attempts=0, non_retryable_exit_codes=(2, 65)),
        Timeouts(),
        Outcome("failed", exit_code=65),
        1,
        Verdict(None, "exit code 65 is not retryable"),
    ),
    "another exit code": (
        RetryPolicy(maximum_attempts=0, non_retryable_exit_codes=(2, 65)),
        Timeouts(),
        FAILED,
        1,
        Verdict(11_000),
    ),
    "no exit code": (
        RetryPolicy(maximum_attempts=0, non_retryable_exit_codes=(15,), non_retryable_types=("",)),
        Timeouts(),
        Outcome("failed", signal=15),
        1,
        Verdict(11_000),
    ),
    "a type": (
        RetryPolicy(maximum_attempts=0, non_retryable_types=("BadPassword",)),
        Timeouts(),
        Outcome("failed", exit_code=1, error_type="BadPassword"),
        1,
        Verdict(None, "errors of type BadPassword are not retryable"),
    ),
    "another type": (
        RetryPolicy(maximum_attempts=0, non_retryable_types=("BadPassword",)),
        Timeouts(),
        Outcome("failed", exit_code=1, error_type="Connection"),
        1,
        Verdict(11_000),
    ),
    "next_retry_delay": (ALWAYS, Timeouts(), FAILED._replace(next_retry_delay=90_000), 1, Verdict(100_000)),
    "next_retry_delay of nothing": (ALWAYS, Timeouts(), FAILED._replace(next_retry_delay=0), 4, Verdict(10_000)),
    "next_retry_delay is not capped by maximum_interval": (
        RetryPolicy(maximum_attempts=0, maximum_interval=1_000),
        Timeouts(),
        FAILED._replace(next_retry_delay=90_000),
        1,
        Verdict(100_000),
    ),
    "next_retry_delay gives no attempt more": (
        RetryPolicy(maximum_attempts=2),
        Timeouts(),
        FAILED._replace(next_retry_delay=5),
        2,
        Verdict(None, "all 2 attempts are used"),
    ),
    "next_retry_delay beyond all times": (
        ALWAYS,
        Timeouts(),
        FAILED._replace(next_retry_delay=10**30),
        1,
        Verdict(10_000 + CENTURY),
    ),
    "just before schedule_to_close": (ALWAYS, Timeouts(schedule_to_close=10_001), FAILED, 1, Verdict(11_000)),
    "just at schedule_to_close": (
        ALWAYS,
        Timeouts(schedule_to_close=10_000),
        FAILED,
        1,
        Verdict(None, "the next attempt could not start before schedule_to_close"),
    ),
    "next_retry_delay against schedule_to_close": (
        ALWAYS,
        Timeouts(schedule_to_close=30_000),
        FAILED._replace(next_retry_delay=90_000),
        1,
        Verdict(None, "the next attempt could not start before schedule_to_close"),
    ),
    "the other timeouts do not limit retries": (
        ALWAYS,
        Timeouts(start_to_close=1, heartbeat=1),
        FAILED,
        1,
        Verdict(11_000),
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_whether_another_attempt_follows(name: str) -> None:
    policy, timeouts, outcome, attempt, expected = VERDICTS[name]
    assert verdict(policy, timeouts, outcome, attempt=attempt, ended_at=10_000, step_started_at=1_000) == expected


# The step began at 1,000, the attempt at 5,000, the last heartbeat was at 7,000.
@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        (Timeouts(), None),
        (Timeouts(start_to_close=100), Deadline(5_100, "start_to_close")),
        (Timeouts(schedule_to_close=9_000), Deadline(10_000, "schedule_to_close")),
        (Timeouts(heartbeat=100), Deadline(7_100, "heartbeat")),
        (Timeouts(start_to_close=2_000, heartbeat=100), Deadline(7_000, "start_to_close")),
        (Timeouts(start_to_close=3_000, heartbeat=100), Deadline(7_100, "heartbeat")),
        (Timeouts(start_to_close=3_000, schedule_to_close=6_000), Deadline(7_000, "schedule_to_close")),
        (Timeouts(5_000, 8_000, 4_000), Deadline(9_000, "schedule_to_close")),
        (Timeouts(4_000, 8_000, 4_000), Deadline(9_000, "schedule_to_close")),
        (Timeouts(start_to_close=0), Deadline(5_000, "start_to_close")),
    ],
    ids=str,
)
def test_which_deadline_passes_first(timeouts: Timeouts, expected: Deadline | None) -> None:
    found = first_deadline(timeouts, attempt_started_at=5_000, step_started_at=1_000, last_heartbeat_at=7_000)
    assert found == expected


@pytest.mark.parametrize(
    ("deadline", "timeouts", "expected"),
    [
        (9_000, Timeouts(), Deadline(10_000, "deadline")),
        (9_000, Timeouts(start_to_close=2_000), Deadline(7_000, "start_to_close")),
        (5_000, Timeouts(start_to_close=2_000), Deadline(6_000, "deadline")),
        (9_000, Timeouts(schedule_to_close=8_000), Deadline(9_000, "schedule_to_close")),
        (None, Timeouts(), None),
    ],
    ids=str,
)
def test_the_deadline_of_a_poll(deadline: int | None, timeouts: Timeouts, expected: Deadline | None) -> None:
    found = first_deadline(
        timeouts,
        attempt_started_at=5_000,
        step_started_at=1_000,
        last_heartbeat_at=5_000,
        poll_deadline=deadline,
    )
    assert found == expected


@pytest.mark.parametrize(
    ("poll", "waits"),
    [
        (Poll(1_000), [1_000, 1_000, 1_000, 1_000]),
        (Poll(1_000, 2.0), [1_000, 2_000, 4_000, 8_000]),
        (Poll(1_000, 2.0, 3_000), [1_000, 2_000, 3_000, 3_000]),
        (Poll(1_000, 1.5), [1_000, 1_500, 2_250, 3_375]),
    ],
    ids=str,
)
def test_the_wait_after_each_not_yet(poll: Poll, waits: list[int]) -> None:
    assert [poll_wait(poll, probe) for probe in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize("probe", [1_100, 1_000_000])
def test_the_wait_after_very_many_not_yets(probe: int) -> None:
    assert poll_wait(Poll(1_000, 2.0), probe) == CENTURY
    assert poll_wait(Poll(1_000, 2.0, 60_000), probe) == 60_000
    assert poll_wait(Poll(1_000), probe) == 1_000


# The step began at 1,000; a probe ends at 10,000 and says "not yet"; the next one would come at 13,000.
@pytest.mark.parametrize(
    ("poll", "timeouts", "expected"),
    [
        (Poll(3_000), Timeouts(), Verdict(13_000)),
        (Poll(3_000), Timeouts(start_to_close=1), Verdict(13_000)),
        (Poll(3_000, deadline=12_001), Timeouts(), Verdict(13_000)),
        (Poll(3_000, deadline=12_000), Timeouts(), Verdict(None, "deadline")),
        (Poll(3_000, deadline=5), Timeouts(), Verdict(None, "deadline")),
        (Poll(3_000), Timeouts(schedule_to_close=12_001), Verdict(13_000)),
        (Poll(3_000), Timeouts(schedule_to_close=12_000), Verdict(None, "schedule_to_close")),
        (Poll(3_000, deadline=99_000), Timeouts(schedule_to_close=12_000), Verdict(None, "schedule_to_close")),
        (Poll(1_500, 2.0), Timeouts(), Verdict(13_000)),
    ],
    ids=str,
)
def test_when_a_poll_is_asked_again(poll: Poll, timeouts: Timeouts, expected: Verdict) -> None:
    assert next_probe(poll, timeouts, probe=2, ended_at=10_000, step_started_at=1_000) == expected


@pytest.mark.parametrize(
    ("outcome", "follows", "extra", "data"),
    [
        (Outcome("succeeded", exit_code=0), Verdict(None), {}, {}),
        (Outcome("succeeded"), Verdict(None), {"cursor": None, "outputs": {}, "stdout": ""}, {}),
        (
            Outcome("succeeded"),
            Verdict(None),
            {"cursor": "7", "outputs": {"k": "v"}},
            {"cursor": "7", "outputs": {"k": "v"}},
        ),
        (Outcome("skipped"), Verdict(None), {}, {"status": "skipped"}),
        (
            Outcome("failed", 3, error="no", error_type="Type", next_retry_delay=5),
            Verdict(77),
            {},
            {"status": "failed", "exit_code": 3, "error": "no", "error_type": "Type", "retry_at": 77},
        ),
        (
            Outcome("failed", signal=9, non_retryable=True),
            Verdict(None, "why not"),
            {},
            {"status": "failed", "signal": 9, "why": "why not"},
        ),
        (
            Outcome("timed_out", timeout="heartbeat"),
            Verdict(0),
            {"unchecked": True},
            {"status": "timed_out", "timeout": "heartbeat", "retry_at": 0, "unchecked": True},
        ),
    ],
)
def test_an_event_says_only_what_is_no_plain_success(
    outcome: Outcome, follows: Verdict, extra: dict[str, Any], data: dict[str, Any]
) -> None:
    assert event_data(outcome, follows, **extra) == data


@pytest.mark.parametrize("policy", [RetryPolicy(maximum_attempts=1), RetryPolicy(maximum_attempts=2), RetryPolicy()])
@pytest.mark.parametrize("attempt", [1, 2, 9])
def test_after_an_attempt_that_was_stopped_with_its_daemon_another_follows(policy: RetryPolicy, attempt: int) -> None:
    timeouts = Timeouts(schedule_to_close=1)
    stopped = Outcome("stopped", exit_code=7, error="the daemon ended")
    assert verdict(policy, timeouts, stopped, attempt=attempt, ended_at=9_000, step_started_at=1) == Verdict(9_000)


@pytest.mark.parametrize(
    ("after_stop", "maximum_attempts", "waits"),
    [("", 1, True), ("", 2, False), ("", 0, False), ("pause", 5, True), ("retry", 1, False)],
)
def test_whether_a_person_is_to_say_so(after_stop: str, maximum_attempts: int, waits: bool) -> None:
    assert pauses(after_stop, RetryPolicy(maximum_attempts=maximum_attempts)) == waits
