"""What tells one thing that is attempted from another: a step, an item of a `foreach` step, the compensation of either.

A key is `STEP`, `STEP[3]` (the item at index 3), `STEP!undo` or `STEP[3]!undo`; no step's name has a `[` or a `!`.
Events and states are kept under it, attempts' files are named after it. The name before the marks is the step's in the
definition.
"""

from __future__ import annotations

UNDO = "!undo"
ITEMS = "[]"  # behind the name of a step that is redone: only those of its items that are not finished


def item_key(step: str, index: int) -> str:
    return f"{step}[{index}]"


def step_name(key: str) -> str:
    """The step's name in the definition."""
    return key.partition("[")[0].removesuffix(UNDO)


def item_index(key: str) -> int | None:
    """Which item of its step a key names, None when it names none."""
    _, bracket, rest = key.partition("[")
    return int(rest.partition("]")[0]) if bracket else None


def is_undo(key: str) -> bool:
    return key.endswith(UNDO)


def undone_key(key: str) -> str:
    """What a compensation undoes; any other key is given back as it is."""
    return key.removesuffix(UNDO)
