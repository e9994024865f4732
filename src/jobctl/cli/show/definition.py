"""Parts of a definition in plain words, for `show`. Schedules have theirs in core/schedule/words.py."""

from __future__ import annotations

from jobctl.core import kinds
from jobctl.core.durations import format as duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Poll, RetryPolicy, Step, Timeouts


def action(step: Step) -> str:
    """What the step does: `run ./pay`, `sleep 2h`, `wait for the signal paid` …"""
    return kinds.of(step).does(step)


def retry(policy: RetryPolicy) -> str:
    """`up to 3 attempts, 1s between the first two, then 2 times as long each time, at most 1m40s`."""
    if policy.maximum_attempts == 1:
        return "one attempt, no retry"
    text = f"up to {policy.maximum_attempts} attempts" if policy.maximum_attempts else "attempts without limit"
    text += f", {duration(policy.initial_interval)} between the first two"
    longest = policy.maximum_interval
    if longest is None:
        longest = 100 * policy.initial_interval
    if policy.backoff_coefficient == 1 or longest <= policy.initial_interval:
        text += " and all others"
    elif policy.maximum_attempts != 2:
        text += f", then {policy.backoff_coefficient:g} times as long each time, at most {duration(longest)}"
    if policy.non_retryable_exit_codes:
        text += f"; not after exit code {', '.join(map(str, policy.non_retryable_exit_codes))}"
    if policy.non_retryable_types:
        text += f"; not after failures of type {', '.join(policy.non_retryable_types)}"
    return text


def timeouts(timeouts: Timeouts) -> str:
    """`an attempt 30s, all of them 10m, between heartbeats 10s`; "" where there are none."""
    named = (
        ("an attempt", timeouts.start_to_close),
        ("all of it", timeouts.schedule_to_close),
        ("between heartbeats", timeouts.heartbeat),
    )
    return ", ".join(f"{what} {duration(ms)}" for what, ms in named if ms is not None)


def poll(poll: Poll) -> str:
    """`every 10s, each wait 2 times as long, at most 1m, for at most 1h`."""
    text = f"every {duration(poll.interval)}"
    if poll.backoff_coefficient != 1:
        text += f", each wait {poll.backoff_coefficient:g} times as long"
    if poll.maximum_interval is not None:
        text += f", at most {duration(poll.maximum_interval)}"
    return text + (f", for at most {duration(poll.deadline)}" if poll.deadline is not None else "")
