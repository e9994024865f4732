"""The fixture of all tests of examples: a copy of one of them, and nothing left running of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from test_examples import Example


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    here = Example(request.param, tmp_path)
    yield here
    for pid in here.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
