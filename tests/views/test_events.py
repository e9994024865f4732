"""Events in words, whatever is recorded of them. What documents hold: tests/cli."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jobctl.core.run.history import Event, EventType
from jobctl.views.events import describe

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


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            Event(EventType.WAIT_STARTED, 0, "nap", 0, {"kind": "sleep", "until": 90_000}),
            "step nap sleeps until 1970-01-01 02:01:30 (in 1 min)",
        ),
        (
            Event(EventType.WAIT_STARTED, 0, "ask", 0, {"kind": "approval", "name": "Ship?", "until": 86_400_000}),
            "step ask waits for an answer to: Ship? until 1970-01-02 02:00:00 (in 1 day)",
        ),
        (
            Event(EventType.ATTEMPT_ENDED, 0, "s", 1, {"wait": {"kind": "sleep", "until": 5_250}}),
            "step s, attempt 1 suspended until 1970-01-01 02:00:05 (in 5 s)",
        ),
    ],
)
def test_people_are_told_the_time_on_their_wall(event: Event, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """reported/daily-use F34: `until 2026-12-31T23:00:00.000+00:00`."""
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        assert describe(event) == said
    finally:
        monkeypatch.undo()
        time.tzset()
