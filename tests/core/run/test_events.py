"""What each event carries is a type: the codec's checks, the table in docs/architecture.md and what other tests build
are held to it."""

from __future__ import annotations

import ast
import inspect
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import pytest

from jobctl.core.run import events, history
from jobctl.core.run.events import PAYLOADS
from jobctl.core.run.history import EventType
from jobctl.store import codec

DOCS = Path(__file__).parents[3] / "docs" / "architecture.md"


def keys_of(payload: type) -> dict[str, tuple[Any, bool]]:
    """Key -> (the type of its value; whether it is always there)."""
    found = {}
    for key, hint in get_type_hints(payload, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        found[key] = (get_args(hint)[0] if optional else hint, getattr(payload, "__total__", True) and not optional)
    return found


def required(kind: EventType) -> set[str]:
    return {key for key, (_, always) in keys_of(PAYLOADS[kind]).items() if always}


def example(kind: EventType) -> dict[str, Any]:
    """What an event of a type carries at least."""
    values: dict[Any, Any] = {str: "x", int: 1, bool: True, list[str]: [], list[Any]: []}
    data = {key: values[hint] for key, (hint, always) in keys_of(PAYLOADS[kind]).items() if always}
    return data | ({"kind": "sleep"} if kind is EventType.WAIT_STARTED else {})


def test_each_event_has_a_payload() -> None:
    assert PAYLOADS.keys() == set(EventType)


@pytest.mark.parametrize("kind", EventType)
def test_the_codec_wants_what_is_always_there(kind: EventType) -> None:
    assert set(codec._NEEDED.get(kind, ())) == required(kind)
    data = example(kind)
    assert codec.from_row(codec.to_row(history.Event(kind, 1, data=data))).data == data
    for key in data:
        with pytest.raises(ValueError, match=key):
            codec.from_row((1, codec._CODES[kind], None, None, json.dumps({**data, key: None})))


@pytest.mark.parametrize("kind", EventType)
def test_the_codec_checks_the_values_that_a_payload_has(kind: EventType) -> None:
    """Each text, number, list of names and table, wherever its key stands."""
    good: dict[Any, Any] = {str: "x", int: 1, list[str]: ["x"], Mapping[str, Any]: {}}
    for key, (hint, _) in keys_of(PAYLOADS[kind]).items():
        plain = next((part for part in get_args(hint) if part is not type(None)), hint) if _is_union(hint) else hint
        if key == "about" or plain not in good:
            continue  # core/run/notices.py; or it may hold anything
        check = codec._VALUES[key]
        assert check(good[plain]), key
        assert not any(check(value) for of, value in good.items() if of != plain), key


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (typing.Union, type(int | None))


def comments(source: str) -> dict[str, dict[str, str]]:
    """Class -> name -> the comment beside it."""
    lines = source.split("\n")
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {}
            for line in node.body:
                target = line.target if isinstance(line, ast.AnnAssign) else None
                target = line.targets[0] if isinstance(line, ast.Assign) else target
                if isinstance(target, ast.Name):
                    text = lines[line.lineno - 1].partition("  # ")[2]
                    found[node.name][target.id] = text
    return found


def table() -> str:
    """The table of the events, as the documentation has it."""
    of_keys, of_events = comments(inspect.getsource(events)), comments(inspect.getsource(history))["EventType"]
    rows = ["| event | is | carries |", "| --- | --- | --- |"]
    for kind in EventType:
        payload = PAYLOADS[kind]
        said = of_keys[payload.__name__]
        keys = [f"`{key}`" + (f": {said[key]}" if said.get(key) else "") for key in keys_of(payload)]
        rows.append(f"| `{kind}` | {of_events[kind.name]} | {'; '.join(keys)} |")
    return "\n".join(rows)


def test_the_table_in_the_documentation_is_that_of_the_types() -> None:
    assert table() in DOCS.read_text(), f"put this there:\n{table()}"
