"""What an attempt has come to, out of how its process ended, why it was stopped, and what it says in its files."""

from __future__ import annotations

import os
from contextlib import suppress

from jobctl.core.clocks import Mono
from jobctl.core.model import Poll, Timeouts
from jobctl.core.run import attempts as rules
from jobctl.core.run.attempts import Outcome
from jobctl.core.run.children import RUN_STOPPED
from jobctl.core.text import size
from jobctl.host.host import Host
from jobctl.process import attempt as files_of
from jobctl.process.attempt import FileError
from jobctl.process.end import End
from jobctl.process.held import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_FAILURE = files_of.Failure()
_LOST = "lost: its process ended and nobody saw how"


def when(end: End | None, host: Host) -> Mono:
    """When it ended, on the clock that does not step: by the boot's clock, in another boot by the wall clock."""
    mono = host.monotonic()
    if end is None or not (end.boot or end.wall):
        return mono
    ago = host.boottime() - end.boot if end.boot else host.now() - end.wall
    return Mono(mono - max(0, ago))


def has(attempt: Attempt[Any], letter: str) -> bool:
    return attempt.what is None or letter in attempt.what


def left_behind(attempt: Attempt[Any]) -> dict[str, Any]:
    """What a command that has not succeeded has left: its cursor, and outputs that its undo may need."""
    extra: dict[str, Any] = {}
    cursor = files_of.read_cursor(attempt.files.heartbeat) if has(attempt, "h") else None
    if cursor:
        extra["cursor"] = cursor
    if has(attempt, "o"):
        with suppress(FileError):  # that it cannot be read is no second failure
            extra["outputs"] = files_of.read_outputs(attempt.files.output)
    return extra


def result(attempt: Attempt[Any], end: End | None) -> tuple[Outcome, dict[str, Any]]:
    files = attempt.files
    unchecked = attempt.has_condition and not attempt.checked and not (end is not None and _skipped(end))
    try:
        outcome = _outcome(attempt, end)
        if outcome.status == rules.SUCCEEDED:
            extra: dict[str, Any] = {}
            cursor = files_of.read_cursor(files.heartbeat) if has(attempt, "h") else None
            if cursor:
                extra["cursor"] = cursor
            extra["outputs"] = files_of.read_outputs(files.output) if has(attempt, "o") else {}
            if attempt.wants_stdout:
                extra["stdout"] = files_of.read_stdout(files.log)
        else:
            extra = left_behind(attempt)
    except FileError as error:
        outcome, extra = Outcome(rules.FAILED, error=str(error)), left_behind(attempt)
    if unchecked:
        extra["unchecked"] = True
    if attempt.strays:
        extra["strays"] = attempt.strays
    return outcome, extra


def _outcome(attempt: Attempt[Any], end: End | None) -> Outcome:
    if attempt.kind_of_stop is not None:
        known = files_of.outcome(end, _NO_FAILURE) if end is not None and end.status else Outcome("")
        return stopped(attempt, known)
    try:
        failure = files_of.read_failure(attempt.files.failure) if has(attempt, "f") else _NO_FAILURE
    except FileError as error:
        known = files_of.outcome(end, _NO_FAILURE) if end is not None else Outcome(rules.FAILED, error=_LOST)
        return known if known.error is None else known._replace(error=f"{known.error}; {error}")
    if end is not None:
        return files_of.outcome(end, failure)
    # What it has said of its failure stands, whoever saw it end.
    return Outcome(
        rules.FAILED,
        error=_LOST,
        error_type=failure.type,
        non_retryable=failure.non_retryable,
        next_retry_delay=failure.next_retry_delay,
    )


def _skipped(end: End) -> bool:
    return end.how == "condition" and end.status == 1 << 8


def stopped(attempt: Attempt[Any], known: Outcome) -> Outcome:
    """The outcome of an attempt that was stopped, whatever its command made of the signal."""
    kind = attempt.kind_of_stop
    assert kind is not None
    error = {"cancel": "canceled", "kill": "terminated", "drain": RUN_STOPPED}.get(kind)
    if error is not None:
        return Outcome(rules.CANCELED, known.exit_code, known.signal, error=error)
    if kind == "daemon":
        return Outcome(rules.STOPPED, known.exit_code, known.signal, error="the daemon ended")
    if kind == "disk_limit":  # what it has written is still there: another attempt would not come further
        room = f"make room in {os.path.dirname(attempt.files.base)} before it is taken up again, or raise the limit"
        error = f"stopped: the files of the run take more than its disk_limit of {size(attempt.disk_limit)}; {room}"
        return Outcome(rules.FAILED, known.exit_code, known.signal, error=error, non_retryable=True)
    from jobctl.core.durations import format

    if kind == "run":
        error = "stopped: the run's timeout passed"
    elif kind == "lease":
        error = "stopped: its lease was not renewed"
    elif kind == "deadline":
        assert attempt.poll is not None
        error = did_not_hold(attempt.poll, attempt.timeouts, kind)
    else:
        limit = getattr(attempt.timeouts, kind, None)
        after = format(limit) if limit is not None else "its limit"
        error = f"no heartbeat for {after}" if kind == "heartbeat" else f"{kind} of {after} passed"
    return Outcome(rules.TIMED_OUT, known.exit_code, known.signal, error=error, timeout=kind)


def did_not_hold(poll: Poll, timeouts: Timeouts, which: str) -> str:
    from jobctl.core.durations import format

    limit = poll.deadline if which == "deadline" else timeouts.schedule_to_close
    assert limit is not None
    return f"the condition did not hold within {format(limit)}"
