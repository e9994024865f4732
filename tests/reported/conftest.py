"""Homes for situations that strangers reported; nothing of them is left at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import Daemons


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Callable[[str], Daemons]]:
    made: list[Daemons] = []

    def make(text: str) -> Daemons:
        made.append(Daemons(tmp_path / f"home{len(made)}", text))
        return made[-1]

    yield make
    for one in made:
        one.close()
