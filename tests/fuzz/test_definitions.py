"""Definitions files of any kind: jobs, or problems that can be acted on."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import inputs, properties
from tests.fuzz.effort import tries

from jobctl.cli.main import main
from jobctl.core.definition import jobs
from jobctl.core.definition.doubts import Here
from jobctl.views.documents import problem as problem_document


@tries(100)
@given(inputs.valid_definitions())
def test_files_by_the_grammar(data: bytes) -> None:
    properties.definitions(data)


@tries(150)
@given(inputs.wrong_definitions())
def test_files_with_wrong_values(data: bytes) -> None:
    properties.definitions(data)


@tries(150)
@given(inputs.broken_definitions())
def test_files_that_are_broken(data: bytes) -> None:
    properties.definitions(data)


@tries(50)
@given(st.binary(max_size=100))
def test_bytes(data: bytes) -> None:
    properties.definitions(data)


@pytest.mark.parametrize("data", inputs.FILES)
def test_the_files_that_are_changed_are_valid(data: bytes) -> None:
    assert properties.definitions(data) is not None


@tries(40)
@given(data=inputs.wrong_definitions() | inputs.broken_definitions())
def test_validate_prints_every_problem_as_json(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = folder / "jobs.toml"
    file.write_bytes(data)
    printed = io.StringIO()
    arguments = ["validate", str(file), "--json", "--state-dir", str(folder / "state")]
    with redirect_stdout(printed), redirect_stderr(io.StringIO()):
        code = main(arguments)
    documents = json.loads(printed.getvalue())
    _, problems = jobs.parse(data, file=str(file), folder=str(folder), here=Here(properties.NOW, "UTC"))
    errors = [problem_document(problem) for problem in problems if not problem.warning]
    assert [document for document in documents if document["severity"] == "error"] == errors
    assert code == (2 if errors else 0)
