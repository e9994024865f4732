"""What the tests of real faults share: a home with daemons in it, nothing of which is left at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import Daemons


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Callable[..., Daemons]]:
    made: list[Daemons] = []

    def make(text: str, folder: Path | None = None) -> Daemons:
        """With that jobs.toml, and its state in `folder/state` or in a folder of its own."""
        made.append(Daemons(tmp_path / f"home{len(made)}", text))
        if folder is not None:
            made[-1].put_state(folder / "state")
        return made[-1]

    yield make
    for one in made:
        one.close()
