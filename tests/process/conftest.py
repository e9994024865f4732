"""A keeper for each test, made in both ways: forked, and as a fresh interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hands import Hands


@pytest.fixture(params=["forked", "spawned"])
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    one = Hands(tmp_path, request.param).make()
    yield one
    one.close()
