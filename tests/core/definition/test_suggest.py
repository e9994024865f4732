from __future__ import annotations

import pytest

from jobctl.core.definition import suggest

STEPS = [f"load-{i}" for i in range(5_000)]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("bakcup", ["backup", "trip"], "did you mean `backup`?"),
        ("x", ["backup", "trip"], "known: backup, trip"),
        ("x", [], "there are none"),
        ("x", list("abcdefghij"), "known: a, b, c, d, e, f, g, h, …"),
        ("load-4x", STEPS, "did you mean `load-4`?"),
        ("zzz", STEPS, "known: load-0, load-1, load-2, load-3, load-4, load-5, load-6, load-7, …"),
    ],
)
def test_did_you_mean(name: str, known: list[str], hint: str) -> None:
    assert suggest.did_you_mean(name, known) == hint


@pytest.mark.parametrize(
    ("name", "shown"), [("a", "`a`"), ("a\x1b[0m\n", "`a\\x1b[0m\\n`"), ("x" * 99, "`" + "x" * 57 + "...`")]
)
def test_names_from_a_file_are_shown_harmless_and_short(name: str, shown: str) -> None:
    assert suggest.quoted(name) == shown
