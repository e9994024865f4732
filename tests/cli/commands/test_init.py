"""A first jobs.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from jobctl.cli.main import main


def test_writes_a_file_and_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "wrote jobs.toml; next: jobctl run hello\n"
    assert set(tomllib.loads((tmp_path / "jobs.toml").read_text())["jobs"]) == {"hello", "flaky"}


@pytest.mark.parametrize("args", [[], ["--json"], ["-q"]])
def test_what_it_writes_is_valid(args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    assert main(["init", "folder", *args]) == 0
    assert main(["--file", "folder/jobs.toml", "validate"]) == 0
    assert capsys.readouterr().out.endswith("2 jobs, no problems\n")


def test_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text("mine")
    assert main(["init"]) == 1
    assert capsys.readouterr().err.startswith("error: jobs.toml exists already\nhint:")
    assert file.read_text() == "mine"
    assert main(["init", "--force"]) == 0
    assert file.read_text() != "mine"


def test_a_place_that_cannot_be_written_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "nowhere/jobs.toml"]) == 1
    assert capsys.readouterr().err.startswith("error: nowhere/jobs.toml: No such file or directory\nhint: ")
