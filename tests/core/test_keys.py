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


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("backup-0a1b2c", True),
        ("backup.notify-0a1b2c", True),
        ("7", True),
        ("order:4711/nightly", False),
        ("order:4711", True),
        ("nightly-2026-11-30T00:00:00Z", True),
        ("A_b.c:d-e", True),
        ("x" * 1000, True),
        ("", False),
        (".", False),
        ("..", False),
        ("-x", False),
        (":x", False),
        ("x y", False),
        ("x~2", False),
        ("x\n", False),
        ("x\0", False),
        ("naïve", False),
        ("x٣", False),
    ],
)
def test_what_a_run_can_be_called(text: str, is_one: bool) -> None:
    assert keys.is_id(text) is is_one


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("backup-0a1b2c", "backup-0a1b2c"),
        (f"{'j' * 63}.notify-0a1b2c", f"{'j' * 63}.notify-0a1b2c"),  # the longest that jobctl gives
        ("order:4711", "order%3A4711"),
        ("..", "%2E."),
        ("a/b", "a%2Fb"),
        ("%3A", "%253A"),
        ("", "%"),
        ("x\0", "x%00"),
        ("ü\ud800", "%C3%BC%ED%A0%80"),
    ],
)
def test_the_name_of_a_runs_folder(run: str, name: str) -> None:
    assert keys.file_name(run) == name


def test_a_folder_of_a_run_has_a_name_that_every_file_system_takes() -> None:
    runs = [f"{start}{'x' * length}{end}" for start in ("", "a:", ":") for length in (0, 150, 198, 200, 300, 1000)
            for end in ("", ":", "%", "%-", "y", "ü")]  # fmt: skip
    names = [keys.file_name(run) for run in runs]
    assert len(set(names)) == len(set(runs))
    for run, name in zip(runs, names, strict=True):
        assert name.isascii()
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert 0 < len(name) <= 200
        assert keys.run_in(name) == run or (keys.run_in(name) is None and len(run) not in range(1, 60))


@pytest.mark.parametrize("name", ["a b", ".x", "lost+found", "a%3ab", "a%2Gb", f"{'x' * 166}%-0123456789abcdef"])
def test_a_folder_that_is_no_runs(name: str) -> None:
    assert keys.run_in(name) is None
