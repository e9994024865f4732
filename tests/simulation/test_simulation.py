"""Some worlds, those that have failed once, and what the simulator promises of itself. Fresh ones: .ci/run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.simulation.shrink import numbers, shrink, spelled
from tests.simulation.simulation import simulate

from jobctl.core import attempts

FAILED_ONCE = [
    line.split()[0]
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", [*FAILED_ONCE, *map(str, range(1, 9))])
def test_all_that_must_hold_holds(seed: str) -> None:
    result = simulate(seed)
    assert result.rule is None, f"{result.message}; with a trace: python -m tests.simulation {seed}"
    assert result.commits


def test_a_seed_is_the_same_world_every_time() -> None:
    assert simulate("3") == simulate("3")
    assert simulate("3").digest != simulate("4").digest


def test_a_defect_is_found_and_its_world_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    real = attempts.verdict

    def one_too_many(*values: object, attempt: int, **others: object) -> attempts.Verdict:
        return real(*values, attempt=max(1, attempt - 1), **others)  # type: ignore[arg-type]

    monkeypatch.setattr(attempts, "verdict", one_too_many)
    result = next(found for found in map(simulate, map(str, range(1, 20))) if found.rule is not None)
    assert result.rule == "retries are counted"
    dropped = shrink(result.seed, say=lambda _: None)
    assert dropped is not None
    assert len(dropped) > len(result.items) / 2
    assert simulate(result.seed, dropped).rule == result.rule


@pytest.mark.parametrize(
    ("text", "items"),
    [("", set()), ("3", {3}), ("3,7-9", {3, 7, 8, 9}), ("0-2,4", {0, 1, 2, 4})],
)
def test_items_are_spelled_as_ranges(text: str, items: set[int]) -> None:
    assert numbers(text) == items
    assert spelled(items) == text
