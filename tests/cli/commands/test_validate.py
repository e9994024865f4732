"""Every problem at once, as text and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.host import clock

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
    assert (timeout.pop("column"), timeout.pop("source")) == (11, "timeout = 5")
    assert timeout == {"file": file, "line": 6, "job": "c", "step": None, "key": "timeout", "severity": "error"}


def _surprises(folder: Path, schedule: str, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int, str]]:
    """(key, line, message) of the warnings about that schedule."""
    (folder / "jobs.toml").write_text(
        f'[jobs.a]\ntimezone = "Europe/Berlin"\nschedule = {schedule}\ncommand = "true"\n'
    )
    assert main(["validate", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)
    assert {(problem["severity"], problem["job"]) for problem in problems} <= {("warning", "a")}
    return [(problem["key"], problem["line"], problem["message"]) for problem in problems]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ('"0 4 * * *"', []),
        ('{ every = "7m" }', []),
        ('"*/7 * * * *"', [("schedule", 3, "minute */7 starts again each hour")]),
        ('["0 4 * * *",\n"0 4 31 * *"]', [("schedule[1]", 4, "day-of-month 31: not in feb")]),
        ('"0 4 13 * fri"', [("schedule", 3, "day-of-month 13 and day-of-week fri")]),
        ('"30 2 * * *"', [("schedule", 3, "on 2027-03-28 in Europe/Berlin clocks go forward, 02:30 does not exist")]),
        ('{ cron = "30 2 * * *", timezone = "UTC" }', []),
        ('{ cron = "30 2 * * *", dst_gap = "skip" }', []),
        ('{ cron = "30 2 * * *", dst_gap = "after" }', []),
    ],
)
def test_schedules_that_may_surprise(
    schedule: str,
    expected: list[tuple[str, int, str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_790_000_000_000)  # 2026-09-21
    found = _surprises(folder, schedule, capsys)
    assert [(key, line) for key, line, _ in found] == [(key, line) for key, line, _ in expected]
    for (_, _, message), (_, _, beginning) in zip(found, expected, strict=True):
        assert message.startswith(beginning)


def test_a_surprise_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.a]\nschedule = "*/7 * * * *"\ncommand = "true"\n')
    assert main(["validate"]) == 0
    warning, line, carets, summary = capsys.readouterr().out.splitlines()
    assert (line, carets) == ('  2 | schedule = "*/7 * * * *"', "    | " + " " * 11 + "^" * 13)
    assert warning.startswith("warning: jobs.toml:2: job a, schedule: minute */7")
    assert summary == "1 job, 1 warning"


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
