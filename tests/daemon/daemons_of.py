"""Fixtures for daemons in a test: those of tests/daemon and of tests/engines/local/worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from loops import Loop
from places import Place

from jobctl.core.errors import JobctlError


@pytest.fixture
def new_place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Daemons on one folder, as many as are asked for."""
    made: list[Place] = []

    def make(*, maximum: int = 50) -> Place:
        made.append(Place(tmp_path, maximum=maximum))
        return made[-1]

    yield make
    for place in made:
        with suppress(JobctlError, OSError, ValueError):  # it has died before
            place.close()


@pytest.fixture
def place(new_place: Callable[..., Place]) -> Place:
    return new_place()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Loop]]:
    made: list[Loop] = []

    def make(text: str, **environ: str) -> Loop:
        made.append(Loop(tmp_path, text, **environ))
        return made[-1]

    yield make
    for one in reversed(made):  # each puts back the signal handlers that it found
        one.close()
