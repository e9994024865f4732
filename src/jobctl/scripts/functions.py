"""Durable scripts in Python: what `import jobctl` offers inside of a step's command. The record itself: record.py.

Loaded when the first of these names is used, and only the standard library with it.
"""

from __future__ import annotations

import os

from jobctl.core.errors import UsageError
from jobctl.scripts import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any, NoReturn, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")


class StepFailed(Exception):
    """A step's function raised an exception: now, its cause, or in an earlier attempt that went on after it."""


def step(name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args, **kwargs)`, run once: the attempts after this one get its recorded result.

    The result must be JSON (dicts, lists, texts, numbers, True, False, None) and comes back as JSON gives it: a tuple
    is a list. StepFailed when the function raised: it is run again by the next attempt, unless the script went on.
    """
    import json

    script = record.Script("jobctl.step")
    call = script.begin("function", name)
    try:
        if call.record is not None:
            text = str(call.record["value"])
            failed = call.record["status"] != 0
            call.close()
            if failed:
                raise StepFailed(f"step {name!r}: {text}")
            return json.loads(text)  # type: ignore[no-any-return]
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            call.write({"status": 1, "value": text[: record.MAX_RECORDED // 8]})
            call.close(failed=True)
            raise StepFailed(f"step {name!r}: {text}") from error
        try:
            text = json.dumps(result, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise script.refuse(
                f"step {name!r} returned what is no JSON: {error}", "return plain values, or a path to what is more"
            ) from None
        if len(text) > record.MAX_RECORDED:
            raise script.refuse(
                f"step {name!r} returned more than {record.MAX_RECORDED} bytes, which is what can be recorded",
                "write it into a file, and return its path",
            )
        call.write({"status": 0, "value": text})
        call.close()
        return json.loads(text)  # type: ignore[no-any-return]
    finally:
        call.leave()


def sleep(duration: float | str) -> None:
    """Pause for so many seconds, or for "1d": nothing runs meanwhile, and the script is run again when it is over.

    Nothing after the call runs in this process, `finally` and `atexit` included.
    """
    from jobctl.host import clock
    from jobctl.scripts import suspend

    suspend.sleep("jobctl.sleep", clock.now() + _milliseconds(duration))


def sleep_until(when: datetime | str) -> None:
    """Pause until an instant: a datetime that has a zone, or "2026-12-24T18:00:00+01:00"."""
    from jobctl.core.schedule.zones import parse_instant
    from jobctl.scripts import suspend

    if isinstance(when, str):
        at = parse_instant(when)
    elif when.tzinfo is None:
        raise ValueError(f"jobctl.sleep_until: {when} has no time zone")
    else:
        at = round(when.timestamp() * 1000)
    suspend.sleep("jobctl.sleep_until", at)


def wait_signal(name: str, timeout: float | str | None = None) -> Any:
    """The payload of a signal, which may have come before. TimeoutError when it does not come in time.

    `timeout` in seconds or as "1d", from when this call was first made. The script is run again when it is over.
    """
    from jobctl.scripts import suspend

    limit = None if timeout is None else _milliseconds(timeout)
    in_time, payload = suspend.wait_signal("jobctl.wait_signal", name, limit)
    if not in_time:
        raise TimeoutError(f"the signal {name} did not come in time")
    return payload


def heartbeat(cursor: object = None) -> None:
    """A sign of life; `cursor` is handed to the next attempt as text."""
    record.beat(record.inside("jobctl.heartbeat", "JOBCTL_HEARTBEAT"), None if cursor is None else str(cursor))


def cursor() -> str | None:
    """The cursor that the attempt before this one left, None in the first."""
    record.inside("jobctl.cursor", "JOBCTL_HEARTBEAT")
    return os.environ.get("JOBCTL_CURSOR")


def output(**values: object) -> None:
    """Hand values on to later steps, each as text."""
    path = record.inside("jobctl.output", "JOBCTL_OUTPUT")
    record.append(path, "".join(record.pair(key, str(value)) for key, value in values.items()))


def fail(
    message: str, *, type: str | None = None, non_retryable: bool = False, retry_delay: float | str | None = None
) -> NoReturn:
    """End the script as failed (SystemExit), with a reason, and with what follows from it."""
    path = record.inside("jobctl.fail", "JOBCTL_FAILURE")
    delay = None if retry_delay is None else f"{_milliseconds(retry_delay)}ms"
    record.write_failure(path, message, type=type, non_retryable=non_retryable, retry_delay=delay)
    raise SystemExit(1)


def _milliseconds(duration: float | str) -> int:
    from jobctl.core.durations import DurationError, parse

    if not isinstance(duration, str):
        return max(0, round(duration * 1000))
    try:
        return parse(duration)
    except DurationError as error:
        raise UsageError(error.message, hint=error.hint) from None
