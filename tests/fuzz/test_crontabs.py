"""Crontabs of any kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import inputs, properties
from tests.fuzz.effort import tries

from jobctl.crontab import Dialect


@tries(150)
@given(inputs.crontabs(), st.sampled_from(list(Dialect)), st.booleans())
def test_crontabs(text: str, dialect: Dialect, user_field: bool) -> None:
    properties.crontab(text, dialect, user_field)
