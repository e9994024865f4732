"""An event <-> a row of the events table. The one place that knows the numbers event types are stored as."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from jobctl.core.errors import UnwritableError
from jobctl.core.run.history import Event, EventType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Append-only: a number that has stood in a database keeps its meaning for ever. A new one takes a new schema, too: a
# daemon of before cannot read it, and is asked to end by nothing else.
_CODES: dict[EventType, int] = {
    EventType.RUN_CREATED: 1,
    EventType.RUN_TAKEN: 2,
    EventType.ATTEMPT_STARTED: 3,
    EventType.ATTEMPT_ENDED: 4,
    EventType.STEP_ENDED: 5,
    EventType.UNDO_STARTED: 6,
    EventType.UNDO_ENDED: 7,
    EventType.RUN_PAUSED: 8,
    EventType.RUN_UNPAUSED: 9,
    EventType.CANCEL_REQUESTED: 10,
    EventType.TERMINATE_REQUESTED: 11,
    EventType.RUN_TIMED_OUT: 12,
    EventType.RUN_REOPENED: 13,
    EventType.RUN_ENDED: 14,
    EventType.WAIT_STARTED: 15,
    EventType.SIGNAL_RECEIVED: 16,
    EventType.APPROVAL_ANSWERED: 17,
    EventType.TIMER_FIRED: 18,
    EventType.ITEMS_LISTED: 19,
    EventType.CHILD_ENDED: 20,
    EventType.WAIT_ENDED: 21,
    EventType.WAKE_REQUESTED: 22,
    EventType.RUN_ACKNOWLEDGED: 23,
}
YEAR_9999 = 253_370_764_800_000  # ms; what lies beyond, Python cannot write in every zone
_TYPES = {code: kind for kind, code in _CODES.items()}

Row = tuple[int, int, str | None, int | None, str | None]  # at, type, step, number, data

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _dumps(data: Mapping[str, Any]) -> str:
    text = _encode(data)
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8: JSON can write them, SQLite cannot
        return json.dumps(data, separators=(",", ":"))
    return text


def to_row(event: Event) -> Row:
    """UnwritableError for what `from_row` would refuse: once it is written, nothing of its run can be read again."""
    kind, at, step, number, data = event
    wrong = _wrong(kind, at, step, number, data)
    if wrong is not None:
        raise UnwritableError(f"it cannot be recorded: {wrong}", hint="nothing was written")
    try:
        text = _dumps(data) if data else None
    except (TypeError, ValueError, RecursionError) as error:
        raise UnwritableError(f"it cannot be recorded: an event {kind}: {error}", hint="nothing was written") from error
    return at, _CODES[kind], step or None, number or None, text


def from_row(row: Any) -> Event:
    """The event of a row (at, type, step, number, data). ValueError for a type of a newer version, for broken
    JSON, and for values that whoever reads the event could not take."""
    at, code, step, number, data = row
    kind = _TYPES.get(code)
    if kind is None:
        raise ValueError(f"an event of the unknown type {str(code)[:20]!r}")
    try:
        values = json.loads(data) if data else {}
    except (TypeError, RecursionError):  # a number; more brackets than Python can count
        raise ValueError(f"an event {kind} whose data is no JSON") from None
    wrong = _wrong(kind, at, step, number, values)
    if wrong is not None:
        raise ValueError(wrong)
    return Event(kind, at, step or "", number or 0, values)


def _wrong(kind: EventType, at: Any, step: Any, number: Any, values: Any) -> str | None:
    """What whoever reads the event could not take. Asked before it is written, and after it was read."""
    if (
        not isinstance(at, int)
        or not 0 <= at < YEAR_9999
        or not (number is None or isinstance(number, int))
        or not (step is None or isinstance(step, str))
    ):
        return f"an event {kind} with values of the wrong type"
    if not isinstance(values, dict):
        return f"an event {kind} whose data is no table"
    for key, value in values.items():
        if value is None or key not in _VALUES:
            continue
        # Most are of a plain type. No call is spent on them: each event that is written comes here.
        plain = _PLAIN.get(key)
        if not (isinstance(value, plain) if plain is not None else _VALUES[key](value)):
            return f"an event {kind} whose {key} is of the wrong type"
    for key in _NEEDED.get(kind, ()):
        if values.get(key) is None:
            return f"an event {kind} that does not say its {key}"
    return None


def _is_instant(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < YEAR_9999


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _are_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_about(value: Any) -> bool:
    from jobctl.core.run.notices import is_about

    return is_about(value)


# What whoever reads an event relies on, as core/run/events.py has it; tests/core/run/test_events.py compares the two.
_VALUES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("retry_at", "until", "fire_time", "start_by"), _is_instant),
    **dict.fromkeys(("status", "step_status", "error", "error_type", "reason", "why", "timeout", "limit"), _is_text),
    **dict.fromkeys(("kind", "name", "run", "job", "step", "queue", "key", "cursor", "stdout", "comment"), _is_text),
    **dict.fromkeys(("by", "trigger", "executor", "boot", "keeper", "like"), _is_text),
    **dict.fromkeys(("exit_code", "signal", "count", "call", "strays", "too_large", "clock"), _is_integer),
    **dict.fromkeys(("params", "outputs", "reused"), _is_table),
    **dict.fromkeys(("redo", "anew", "notifications", "steps"), _are_texts),
    "about": _is_about,
}
_PLAIN: dict[str, type] = {
    key: {_is_text: str, _is_integer: int, _is_table: dict}[check]
    for key, check in _VALUES.items()
    if check in (_is_text, _is_integer, _is_table)
}
_NEEDED: dict[EventType, tuple[str, ...]] = {
    EventType.WAIT_STARTED: ("kind",),
    EventType.APPROVAL_ANSWERED: ("approved",),
    EventType.SIGNAL_RECEIVED: ("name",),
    EventType.WAIT_ENDED: ("name",),
    EventType.ITEMS_LISTED: ("count",),
    EventType.CHILD_ENDED: ("run", "status"),
    EventType.STEP_ENDED: ("status",),
    EventType.WAKE_REQUESTED: ("steps",),
    EventType.RUN_REOPENED: ("redo",),
    EventType.RUN_ENDED: ("status",),
}
