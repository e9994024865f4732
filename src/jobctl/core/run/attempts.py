"""One step: when its next attempt starts, why none does, and which deadline passes first. Knows nothing of the run."""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.core.record import NamedTuple
from jobctl.core.status import AttemptStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.model import Millis, Poll, RetryPolicy, Timeouts

# Plain texts, as they are recorded: what each means is said by AttemptStatus.
SUCCEEDED = AttemptStatus.SUCCEEDED.value
FAILED = AttemptStatus.FAILED.value
TIMED_OUT = AttemptStatus.TIMED_OUT.value
CANCELED = AttemptStatus.CANCELED.value
SKIPPED = AttemptStatus.SKIPPED.value
STOPPED = AttemptStatus.STOPPED.value
SUSPENDED = AttemptStatus.SUSPENDED.value

_MAXIMUM_WAIT = 100 * 365 * 86_400_000  # a century: what a coefficient or a delay without limit runs into


class Outcome(NamedTuple):
    """How one attempt ended, as its process and files say."""

    status: str
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    error_type: str | None = None
    non_retryable: bool = False
    next_retry_delay: Millis | None = None
    timeout: str | None = None  # which deadline passed: start_to_close, heartbeat, schedule_to_close, deadline, run


class Verdict(NamedTuple):
    """What follows an attempt: another one at `retry_at`, or none, and `why` not."""

    retry_at: int | None
    why: str | None = None


class Deadline(NamedTuple):
    at: int
    kind: str  # start_to_close | schedule_to_close | heartbeat | deadline


def retry_wait(policy: RetryPolicy, attempt: int) -> Millis:
    """The wait after attempt n: min(initial_interval * backoff_coefficient ** (n-1), maximum_interval). No jitter.

    The rule and the default cap of 100 x initial_interval are Temporal's.
    """
    limit = policy.maximum_interval
    if limit is None:
        limit = 100 * policy.initial_interval
    return _backoff(policy.initial_interval, policy.backoff_coefficient, limit, attempt)


def poll_wait(poll: Poll, probe: int) -> Millis:
    """The wait after probe n of a poll that said "not yet": as retry_wait, and without a cap unless one is named."""
    limit = poll.maximum_interval if poll.maximum_interval is not None else _MAXIMUM_WAIT
    return _backoff(poll.interval, poll.backoff_coefficient, limit, probe)


def _backoff(first: Millis, coefficient: float, limit: Millis, n: int) -> Millis:
    if not first:
        return 0
    try:
        wait = first * float(coefficient) ** (n - 1)
    except OverflowError:
        wait = _MAXIMUM_WAIT
    return int(min(wait, limit, _MAXIMUM_WAIT))


def verdict(
    policy: RetryPolicy, timeouts: Timeouts, outcome: Outcome, *, attempt: int, ended_at: int, step_started_at: int
) -> Verdict:
    """Whether another attempt follows. `attempt` counts within this try of the run, from 1."""
    if outcome.status == STOPPED:
        return Verdict(ended_at)  # as soon as somebody is there for it; deadlines are the next attempt's
    if outcome.status in (SUCCEEDED, SKIPPED, CANCELED):
        return Verdict(None)
    if outcome.timeout in ("schedule_to_close", "run", "deadline"):
        return Verdict(None, f"{outcome.timeout} has passed")
    if outcome.non_retryable:
        return Verdict(None, "the failure is marked as not retryable")
    if outcome.exit_code is not None and outcome.exit_code in policy.non_retryable_exit_codes:
        return Verdict(None, f"exit code {outcome.exit_code} is not retryable")
    if outcome.error_type is not None and outcome.error_type in policy.non_retryable_types:
        return Verdict(None, f"errors of type {outcome.error_type} are not retryable")
    if policy.maximum_attempts and attempt >= policy.maximum_attempts:
        return Verdict(None, "it was the only attempt" if attempt == 1 else f"all {attempt} attempts are used")
    wait = outcome.next_retry_delay if outcome.next_retry_delay is not None else retry_wait(policy, attempt)
    retry_at = ended_at + min(wait, _MAXIMUM_WAIT)
    if timeouts.schedule_to_close is not None and retry_at >= step_started_at + timeouts.schedule_to_close:
        return Verdict(None, "the next attempt could not start before schedule_to_close")
    return Verdict(retry_at)


def pauses(after_stop: str, policy: RetryPolicy) -> bool:
    """Whether a run waits for a person when an attempt of it was stopped. `after_stop`: what its job says, "" nothing;
    then what is never tried again by itself is not tried again for this either."""
    return after_stop == "pause" or (not after_stop and policy.maximum_attempts == 1)


def next_probe(poll: Poll, timeouts: Timeouts, *, probe: int, ended_at: int, step_started_at: int) -> Verdict:
    """When a poll is asked again after probe n said "not yet" - or which limit the next one could not start before."""
    asked_at = ended_at + poll_wait(poll, probe)
    for limit, name in ((poll.deadline, "deadline"), (timeouts.schedule_to_close, "schedule_to_close")):
        if limit is not None and asked_at >= step_started_at + limit:
            return Verdict(None, name)
    return Verdict(asked_at)


def suspension(wait: Mapping[str, Any], timeouts: Timeouts, *, step_started_at: int) -> dict[str, Any]:
    """A suspended attempt's wait as it is recorded: where schedule_to_close passes first, that is what it ends with."""
    limit = timeouts.schedule_to_close
    if limit is None or step_started_at + limit > wait.get("until", step_started_at + limit):
        return dict(wait)
    return {**wait, "until": step_started_at + limit, "limit": "schedule_to_close"}


def first_deadline(
    timeouts: Timeouts,
    *,
    attempt_started_at: int,
    step_started_at: int,
    last_heartbeat_at: int,
    poll_deadline: Millis | None = None,
) -> Deadline | None:
    """The deadline that passes first if nothing happens, or None. All three instants are recorded ones.

    Of a poll, the attempt's start is that of its present probe.
    """
    deadlines = []
    if timeouts.start_to_close is not None:
        deadlines.append(Deadline(attempt_started_at + timeouts.start_to_close, "start_to_close"))
    if timeouts.schedule_to_close is not None:
        deadlines.append(Deadline(step_started_at + timeouts.schedule_to_close, "schedule_to_close"))
    if timeouts.heartbeat is not None:
        deadlines.append(Deadline(last_heartbeat_at + timeouts.heartbeat, "heartbeat"))
    if poll_deadline is not None:
        deadlines.append(Deadline(step_started_at + poll_deadline, "deadline"))
    return min(deadlines) if deadlines else None


def event_data(outcome: Outcome, verdict: Verdict, **extra: Any) -> dict[str, Any]:
    """What ATTEMPT_ENDED carries: only what differs from a plain success."""
    data: dict[str, Any] = {}
    if outcome.status != SUCCEEDED:
        data["status"] = outcome.status
    if outcome.exit_code:
        data["exit_code"] = outcome.exit_code
    for key in ("signal", "error", "error_type", "timeout"):
        value = getattr(outcome, key)
        if value is not None:
            data[key] = value
    if verdict.retry_at is not None:
        data["retry_at"] = verdict.retry_at
    elif verdict.why is not None:
        data["why"] = verdict.why
    data.update((key, value) for key, value in extra.items() if value)
    return data
