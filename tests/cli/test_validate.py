"""Every problem at once, as text and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.cli.main import main

OTHER = '[jobs.x]\ncommand = "true"\n'
GOOD = '[jobs.a]\ncommand = "true"\n'
BAD = '[jobs.b]\ncomand = "true"\n\n[jobs.c]\ncommand = "true"\ntimeout = 5\n'


@pytest.mark.parametrize(
    ("files", "args", "said"),
    [
        ({"jobs.toml": GOOD}, [], "1 job, no problems\n"),
        ({"jobs.toml": GOOD, "x.toml": OTHER}, ["jobs.toml", "x.toml"], "2 jobs, no problems\n"),
        ({"x.toml": GOOD}, ["--file", "x.toml"], "1 job, no problems\n"),
        ({"jobs.toml": GOOD}, ["-q"], ""),
        ({"jobs.toml": GOOD}, ["--json"], "[]\n"),
        ({"jobs.toml": GOOD}, ["jobs.toml", "./jobs.toml"], "1 job, no problems\n"),
    ],
)
def test_valid_files(
    files: dict[str, str], args: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    assert main(["validate", *args]) == 0
    assert capsys.readouterr().out == said


def test_every_problem_is_listed_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(BAD)
    assert main(["validate"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("error: ") and "jobs.toml:2: job b, comand" in line for line in lines)
    assert any(line.startswith("error: ") and "jobs.toml:6: job c, timeout" in line for line in lines)


def test_problems_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(BAD)
    assert main(["validate", "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)
    timeout = next(problem for problem in problems if problem["key"] == "timeout")
    assert timeout.pop("message")
    assert timeout.pop("hint")
    file = str(folder / "jobs.toml")
    assert timeout == {"file": file, "line": 6, "job": "c", "step": None, "key": "timeout", "severity": "error"}


def test_a_name_that_two_files_use_is_a_problem_that_names_both(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "one.toml").write_text(GOOD)
    (folder / "two.toml").write_text(GOOD)
    for args in (["validate", "one.toml", "two.toml"], ["-f", "one.toml", "-f", "two.toml", "list"]):
        assert main(args) == 2
        printed = "".join(capsys.readouterr())
        assert "two.toml" in printed
        assert f"also defined in {folder / 'one.toml'}" in printed


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [(GOOD, 0, "1 job, no problems\n"), ("[jobs", 2, "error: <stdin>:1"), ("\xff", 2, "error: <stdin>:1")],
)
def test_standard_input(text: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "validate", "-"], input=text.encode("latin-1"), capture_output=True
    )
    assert done.returncode == code
    assert done.stdout.decode().startswith(said)


@pytest.mark.parametrize("args", [["validate"], ["list"], ["show", "a"]])
def test_without_any_file_the_way_to_one_is_shown(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: there is no definitions file")
    assert "`jobctl init`" in said


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().out
