"""The schema for editors."""

from __future__ import annotations

import json

import jsonschema
import pytest

from jobctl.cli.main import main


def test_prints_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid({"jobs": {"a": {"command": "true"}}})
    assert not jsonschema.Draft202012Validator(schema).is_valid({"jobs": {"a": {"comand": "true"}}})
