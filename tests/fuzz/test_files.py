"""Files of an attempt of any kind: what commands and keepers write, whole, torn, and with any bytes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import inputs, properties
from tests.fuzz.effort import tries


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attempt") / "file"


@tries(200)
@given(data=inputs.journals() | st.binary(max_size=200))
def test_journals(path: Path, data: bytes) -> None:
    properties.journal_file(path, data)


@given(data=inputs.state_files() | st.binary(max_size=60))
def test_state_files(path: Path, data: bytes) -> None:
    properties.state_file(path, data)


@tries(200)
@given(data=inputs.output_files() | st.binary(max_size=60))
def test_output_and_failure_files(path: Path, data: bytes) -> None:
    properties.output_file(path, data)


@tries(150)
@given(data=inputs.heartbeat_files() | st.binary(max_size=60))
def test_heartbeat_files(path: Path, data: bytes) -> None:
    properties.heartbeat_file(path, data)
