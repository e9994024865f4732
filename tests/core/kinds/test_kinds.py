"""The table of step kinds: each kind is in every place that speaks of kinds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from tests.core.test_model import EVERYTHING
from tests.simulation import plan

from jobctl.core import kinds
from jobctl.core.definition.schema import STEP
from jobctl.core.kinds import Kind, Way
from jobctl.core.model import Step, StepKind, decode, encode

ROOT = Path(__file__).parents[3]
ROWS = list(kinds.KINDS.values())
EXAMPLES = (ROOT / "jobs.example.toml").read_text()


def _steps(row: Kind) -> list[Step]:
    return [step for step in EVERYTHING.steps if step.kind is row.kind]


def test_every_kind_has_a_row_of_its_own() -> None:
    assert set(kinds.KINDS) == set(StepKind)
    assert all(row.kind is kind for kind, row in kinds.KINDS.items())
    assert len(kinds.NAMES) == len({*kinds.NAMES})


@pytest.mark.parametrize("row", ROWS, ids=[row.kind for row in ROWS])
def test_a_kind_is_known_by_its_keys_as_a_step_and_as_a_table(row: Kind) -> None:
    assert _steps(row), "tests/core/test_model.py has a step of every kind"
    for step in _steps(row):
        assert kinds.of(step) is row
        assert sum(getattr(step, name) is not None for name in kinds.NAMES) == 1
        table: dict[str, Any] = {name: getattr(step, name) for name in row.names if getattr(step, name) is not None}
        assert kinds.of_table(table) is row
    assert {name for step in _steps(row) for name in row.names if getattr(step, name) is not None} == {*row.names}
    assert decode(encode(EVERYTHING)) == EVERYTHING


@pytest.mark.parametrize("row", ROWS, ids=[row.kind for row in ROWS])
def test_a_kind_is_part_of_what_a_definition_may_say(row: Kind) -> None:
    assert row.keys().keys() == {*row.names}
    assert {*row.names} <= {*STEP.one_of}
    for name in row.names:
        assert STEP.keys[name].about.endswith(".")
    for key in row.beside:
        assert {*row.names} <= {*STEP.keys[key].beside}, f"`{key}` means something next to it"
    assert row.beside >= {"timeout"} or not row.limits


@pytest.mark.parametrize("row", ROWS, ids=[row.kind for row in ROWS])
def test_a_kind_has_words_an_example_and_worlds_to_be_tried_in(row: Kind) -> None:
    for step in _steps(row):
        assert kinds.of(step).does(step)
        assert all(label and isinstance(value, str) for label, value in row.details(step))
    assert any(f"\n{name} = " in EXAMPLES or f".{name}]\n" in EXAMPLES for name in row.names), (
        "jobs.example.toml shows every kind"
    )
    assert (row.message is not None) == (row.way is Way.MESSAGE)
    drawn = {key for _, _, build, _ in plan.KINDS for key in kinds.NAMES if f'"{key}"' in _source_of(build)}
    assert drawn & {*row.names} or row.has_attempts, "tests/simulation/plan.py draws every way"


def _source_of(function: Any) -> str:
    tree = ast.parse(Path(plan.__file__).read_text())
    [found] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function.__name__]
    return ast.unparse(found).replace("'", '"')


def test_nobody_else_asks_what_kind_a_step_is() -> None:
    """Who compares a kind with one of its values has an `else` for all the others, which a new kind falls into."""
    found = set()
    for path in (ROOT / "src" / "jobctl").rglob("*.py"):
        name = str(path.relative_to(ROOT / "src" / "jobctl"))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("StepKind."):
                found.add(name)
    assert found - {"core/model.py"} == {f"core/kinds/{path.name}" for path in _rows()} | {"core/kinds/__init__.py"}


def _rows() -> list[Path]:
    folder = ROOT / "src" / "jobctl" / "core" / "kinds"
    return [path for path in folder.glob("*.py") if path.name not in ("__init__.py", "kind.py")]
