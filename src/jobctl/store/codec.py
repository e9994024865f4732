"""An event <-> a row of the events table. The one place that knows the numbers event types are stored as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobctl.core.history import Event, EventType

# Append-only: a number that has stood in a database keeps its meaning for ever.
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
    EventType.WAIT_ENDED: 21,
}
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
    return (
        event.at,
        _CODES[event.type],
        event.step or None,
        event.number or None,
        _dumps(event.data) if event.data else None,
    )


def from_row(row: Any) -> Event:
    """The event of a row (at, type, step, number, data). ValueError for a type of a newer version or broken JSON."""
    at, code, step, number, data = row
    kind = _TYPES.get(code)
    if kind is None:
        raise ValueError(f"an event of the unknown type {code}")
    if not isinstance(at, int) or not isinstance(number or 0, int) or not isinstance(step or "", str):
        raise ValueError(f"an event {kind} with values of the wrong type")
    values = json.loads(data) if data else {}
    if not isinstance(values, dict):
        raise ValueError(f"an event {kind} whose data is no table")
    return Event(kind, at, step or "", number or 0, values)
