"""Events in words, whatever is recorded of them. What documents hold: tests/cli."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.core.history import Event, EventType
from jobctl.views import describe

DAMAGED: list[dict[str, Any]] = [
    {},
    {"run": None, "status": 7, "kind": [], "until": "soon", "count": "x"},
    {"wait": 3, "parent": 1, "about": "", "retry_at": "later", "signal": "x", "outputs": 1},
    {"until": 1 << 60, "retry_at": 1 << 60, "wait": {"until": 1 << 60, "kind": "sleep"}, "fire_time": 1 << 60},
]


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("kind", EventType)
def test_a_damaged_event_is_a_line_and_no_error(kind: EventType, data: dict[str, Any]) -> None:
    for step, number in (("a", 1), ("", 0)):
        assert describe(Event(kind, 1_000, step, number, data)).strip()
