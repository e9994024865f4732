"""Keys: what stands in them, and what is read back."""

from __future__ import annotations

import pytest

from jobctl.core import keys


@pytest.mark.parametrize(
    ("key", "step", "index", "undo", "undone"),
    [
        ("pay", "pay", None, False, "pay"),
        ("pay!undo", "pay", None, True, "pay"),
        ("pay[0]", "pay", 0, False, "pay[0]"),
        ("pay-2[9999]", "pay-2", 9999, False, "pay-2[9999]"),
        ("pay[12]!undo", "pay", 12, True, "pay[12]"),
    ],
)
def test_a_key(key: str, step: str, index: int | None, undo: bool, undone: str) -> None:
    assert keys.step_name(key) == step
    assert keys.item_index(key) == index
    assert keys.is_undo(key) is undo
    assert keys.undone_key(key) == undone
    if index is not None:
        assert keys.item_key(step, index) == undone
