"""Events as rows and back, and rows that no jobctl of today has written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.run.test_events import example

from jobctl.core.errors import UnwritableError
from jobctl.core.run.history import Event, EventType
from jobctl.store import codec, schema

# schema -> the highest number of an event that its versions can read. Never changed, only added to.
READ = {6: 22, 7: 23}


def test_a_new_type_of_event_is_a_new_schema() -> None:
    """A daemon of before, on the same store, could not read it: a higher schema has it end in order. So a new number
    here takes a migration, and with it a new line above, and the folder of the schema before under released/."""
    assert max(codec._CODES.values()) == READ[schema.VERSION]
    assert sorted(codec._CODES.values()) == list(range(1, READ[schema.VERSION] + 1))


@pytest.mark.parametrize("kind", list(EventType))
def test_every_type_of_event_can_be_stored(kind: EventType) -> None:
    event = Event(kind, 17, "dump", 3, {**example(kind), "a": [1, {"b": None}], "ü": "é"})
    assert codec.from_row(codec.to_row(event)) == event


@pytest.mark.parametrize(
    "event",
    [
        Event(EventType.RUN_UNPAUSED, 0),
        Event(EventType.STEP_ENDED, 1, "dump", 0, {"status": "skipped"}),
        Event(EventType.SIGNAL_RECEIVED, 1, data={"name": "go", "payload": [1, None, {"a": "\ud800"}], "by": "me"}),
        Event(EventType.RUN_CREATED, 1, data={"params": {"bytes of the command line": "\udcff\udc80"}}),
        Event(EventType.RUN_CREATED, 1, data={"params": {"quote": "a\n\"'\\ \u2028"}}),
    ],
)
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    row = codec.to_row(event)
    for value in row:
        if isinstance(value, str):
            value.encode()
    assert codec.from_row(row) == event


@pytest.mark.parametrize(
    "row",
    [
        (1, 99, None, None, None),
        (1, None, None, None, None),
        (1, "run", None, None, None),
        ("noon", 1, None, None, None),
        (1, 3, 5, 1, None),
        (1, 3, "dump", "one", None),
        (1, 1, None, None, "{"),
        (1, 1, None, None, "[1]"),
        (1, 1, None, None, "5"),
        (1, 1, None, None, b"\xff\xfe"),
        (1, 1, None, None, 5),
        (1, 1, None, None, '{"a":' * 20_000),  # more than Python can count
        # Instants that no clock shows.
        (-1, 1, None, None, None),
        (1 << 62, 1, None, None, None),
        (1, 4, "dump", 1, '{"retry_at":4611686018427387904}'),
        # Values that whoever reads them could not take.
        (1, 15, "dump", None, '{"kind":"sleep","until":"noon"}'),
        (1, 15, "dump", None, "{}"),
        (1, 5, "dump", None, '{"status":["failed"]}'),
        (1, 13, None, None, '{"redo":5}'),
        (1, 13, None, None, '{"redo":[[]]}'),
        (1, 16, None, None, '{"name":[]}'),
        (1, 17, "dump", None, '{"by":"me"}'),
    ],
)
def test_a_damaged_row_is_a_value_error_and_nothing_else(row: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec.from_row(row)


WRONG: list[Any] = ["x", 5, 1.5, True, b"x", ["x"], [5], {"a": 1}, object()]


@pytest.mark.parametrize("kind", list(EventType))
def test_what_the_reader_would_refuse_is_never_written(kind: EventType) -> None:
    """Each key that may be checked, with a value of each type: what is written can be read, all else is refused."""
    refused = 0
    for key, check in codec._VALUES.items():
        for value in WRONG:
            event = Event(kind, 1, data={**example(kind), key: value})
            if check(value):
                assert codec.from_row(codec.to_row(event)) == event
                continue
            with pytest.raises(UnwritableError, match=f"an event {kind} whose {key} is of the wrong type"):
                codec.to_row(event)
            refused += 1
    assert refused > len(codec._VALUES) * 5
    for key in codec._NEEDED.get(kind, ()):
        with pytest.raises(UnwritableError, match=f"an event {kind} that does not say its {key}"):
            codec.to_row(Event(kind, 1, data={**example(kind), key: None}))


@pytest.mark.parametrize(
    "values", [{"at": -1}, {"at": "noon"}, {"at": 1 << 62}, {"at": 1, "step": 5}, {"at": 1, "number": "one"}]
)
def test_nor_an_event_whose_own_values_are_of_the_wrong_type(values: dict[str, Any]) -> None:
    with pytest.raises(UnwritableError, match="with values of the wrong type"):
        codec.to_row(Event(EventType.RUN_UNPAUSED, **values))


@pytest.mark.parametrize("payload", [object(), {1, 2}, b"x"])
def test_nor_what_is_no_json(payload: Any) -> None:
    with pytest.raises(UnwritableError, match="an event signal_received"):
        codec.to_row(Event(EventType.SIGNAL_RECEIVED, 1, data={"name": "go", "payload": payload}))


def test_a_number_that_has_stood_in_a_database_keeps_its_meaning() -> None:
    now = {code: str(kind) for kind, code in codec._CODES.items()}
    assert len(now) == len(codec._CODES)
    assert (
        now
        | {
            1: "run_created",
            2: "run_taken",
            3: "attempt_started",
            4: "attempt_ended",
            5: "step_ended",
            6: "undo_started",
            7: "undo_ended",
            8: "run_paused",
            9: "run_unpaused",
            10: "cancel_requested",
            11: "terminate_requested",
            12: "run_timed_out",
            13: "run_reopened",
            14: "run_ended",
            15: "wait_started",
            16: "signal_received",
            17: "approval_answered",
            18: "timer_fired",
        }
        == now
    )
