"""The six overlap policies, each beside whatever is alive."""

from __future__ import annotations

import pytest

from jobctl.core.model import OverlapPolicy
from jobctl.core.schedule.overlap import BUFFER_LIMIT, Fire, decide, may_leave_buffer

START, BUFFER, SKIP = Fire.START, Fire.BUFFER, Fire.SKIP
CANCEL, TERMINATE = Fire.CANCEL_OTHER, Fire.TERMINATE_OTHER


@pytest.mark.parametrize(
    ("policy", "idle", "one_runs", "one_waits", "both", "many_wait"),
    [
        (OverlapPolicy.SKIP, START, SKIP, SKIP, SKIP, SKIP),
        (OverlapPolicy.BUFFER_ONE, START, BUFFER, SKIP, SKIP, SKIP),
        (OverlapPolicy.BUFFER_ALL, START, BUFFER, BUFFER, BUFFER, SKIP),
        (OverlapPolicy.CANCEL_OTHER, START, CANCEL, CANCEL, CANCEL, CANCEL),
        (OverlapPolicy.TERMINATE_OTHER, START, TERMINATE, TERMINATE, TERMINATE, TERMINATE),
        (OverlapPolicy.ALLOW_ALL, START, START, START, START, START),
    ],
)
def test_what_a_fire_does(
    policy: OverlapPolicy, idle: Fire, one_runs: Fire, one_waits: Fire, both: Fire, many_wait: Fire
) -> None:
    found = [
        decide(policy, running=running, buffered=buffered)
        for running, buffered in ((0, 0), (1, 0), (0, 1), (1, 1), (1, BUFFER_LIMIT))
    ]
    assert [decision.fire for decision in found] == [idle, one_runs, one_waits, both, many_wait]
    # What gets no run says why; what does needs no words.
    assert [decision.reason is not None for decision in found] == [decision.fire is SKIP for decision in found]


def test_the_last_place_of_the_buffer_is_taken() -> None:
    assert decide(OverlapPolicy.BUFFER_ALL, running=1, buffered=BUFFER_LIMIT - 1).fire is BUFFER


@pytest.mark.parametrize("policy", OverlapPolicy)
@pytest.mark.parametrize("running", [0, 1, 2])
def test_a_buffered_run_starts_when_the_others_are_over(policy: OverlapPolicy, running: int) -> None:
    assert may_leave_buffer(policy, running=running) is (running == 0 or policy is OverlapPolicy.ALLOW_ALL)
