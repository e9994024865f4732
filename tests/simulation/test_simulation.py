"""Some worlds, those that have failed once, and what the simulator promises of itself. Fresh ones: .ci/run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.simulation.plan import VERSION, make
from tests.simulation.shrink import numbers, shrink, spelled
from tests.simulation.simulation import simulate

from jobctl.core.run import attempts

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
    several_keepers = "8:1f00aa11-7"  # of one daemon: what goes round them in the order of a set is found here
    assert len({simulate(several_keepers).digest for _ in range(3)}) == 1
    assert simulate("3").digest != simulate("4").digest


def test_a_defect_is_found_and_its_world_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    real = attempts.verdict

    def one_too_many(*values: object, attempt: int, **others: object) -> attempts.Verdict:
        return real(*values, attempt=max(1, attempt - 1), **others)  # type: ignore[arg-type]

    monkeypatch.setattr(attempts, "verdict", one_too_many)
    # The first is a world that fails early and is soon made small; the others are for when its days are over.
    seeds = ("2:34", "2:38", *map(str, range(1, 20)))
    result = next(found for found in map(simulate, seeds) if found.rule == "retries are counted")
    dropped = shrink(result.seed, say=lambda _: None)
    assert dropped is not None
    assert len(dropped) > len(result.items) / 2
    assert simulate(result.seed, dropped).rule == result.rule


def test_a_seed_of_an_earlier_version_keeps_its_meaning() -> None:
    plan = make("1:40")
    steps = {name: " ".join(s["name"] for s in job.get("steps", ())) for name, job in plan.definitions["jobs"].items()}
    assert steps == {"j0": "s0 p1", "j1": "c0 c1 c2 c3", "j2": "w0 c1 c2 c3", "j3": "c0 w1 w2 p3", "idle": ""}
    assert len(plan.items) == 100
    assert [deed.what for deed in plan.deeds[:4]] == ["signal", "detach", "turn", "stop_daemon"]
    assert make("40") == make(f"{VERSION}:40") != plan


@pytest.mark.parametrize(
    ("text", "items"),
    [("", set()), ("3", {3}), ("3,7-9", {3, 7, 8, 9}), ("0-2,4", {0, 1, 2, 4})],
)
def test_items_are_spelled_as_ranges(text: str, items: set[int]) -> None:
    assert numbers(text) == items
    assert spelled(items) == text
