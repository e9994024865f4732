"""Cron expressions, references, durations and keys of any kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import inputs, properties
from tests.fuzz.effort import tries


@tries(150)
@given(inputs.expressions())
def test_expressions(text: str) -> None:
    properties.cron(text)


@tries(200)
@given(inputs.broken_expressions())
def test_expressions_that_are_broken(text: str) -> None:
    properties.cron(text)


@tries(300)
@given(inputs.reference_texts())
def test_references(text: str) -> None:
    properties.reference(text)


@tries(200)
@given(inputs.duration_texts())
def test_durations(text: str) -> None:
    properties.duration(text)


@tries(100)
@given(inputs.STEP_NAMES, st.integers(0, 10_000))
def test_keys(step: str, index: int) -> None:
    properties.key(step, index)
