"""A crontab on the command line: the file on stdout, the report on stderr, and jobs that run as under cron."""

from __future__ import annotations

import io
import json
import pwd
import sys
from pathlib import Path

import pytest

from jobctl.cli.main import main

CRONTAB = """\
# Tells its folder and what it reads
PASSWORD=hunter2
30 2 * * * /usr/bin/env sh -c 'pwd; cat; echo "$PASSWORD"'%one%two
0 0 31 2 * never
nonsense
"""

REPORT = """\
line 2: PASSWORD: in `env` of the jobs below
line 3: job pwd: what follows the % is the command's input
line 4: job never, without a schedule: day-of-month "31": no month of "2" has that day, it would never fire; write \
"0 0 L 2 *" for the last day of the month
line 5: not imported, cron refuses it: bad minute
"""

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def crontab(folder: Path) -> Path:
    file = folder / "crontab"
    file.write_text(CRONTAB)
    return file


def test_the_file_goes_to_stdout_and_the_report_to_stderr(folder: Path, capsys: Output) -> None:
    assert main(["import", "crontab", "crontab"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(REPORT)
    assert all(line.startswith("note: ") for line in err.removeprefix(REPORT).splitlines())
    (folder / "jobs.toml").write_text(out)
    assert main(["validate"]) == 0
    assert "error: " not in capsys.readouterr().out


def test_the_jobs_run_in_the_home_folder_and_read_their_input(folder: Path, capsys: Output) -> None:
    (folder / "home").mkdir()
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("wrote jobs.toml; next: jobctl validate\n")
    assert (folder / "jobs.toml").stat().st_mode & 0o777 == 0o600
    assert main(["run", "pwd"]) == 0
    capsys.readouterr()
    assert main(["logs", "pwd", "--raw"]) == 0
    assert capsys.readouterr().out == f"{folder}/home\none\ntwo\nhunter2\n"


def test_a_file_is_overwritten_only_when_asked(folder: Path, capsys: Output) -> None:
    target = folder / "jobs.toml"
    target.write_text("mine")
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml"]) == 1
    assert capsys.readouterr().err.startswith("error: jobs.toml exists already\nhint: ")
    assert target.read_text() == "mine"
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml", "--force"]) == 0
    assert "[jobs.pwd]" in target.read_text()


@pytest.mark.parametrize(
    ("flag", "lines"),
    [("--quiet", REPORT.splitlines()[2:]), ("--verbose", ["line 1: a comment", *REPORT.splitlines()])],
)
def test_how_much_is_said(flag: str, lines: list[str], capsys: Output) -> None:
    assert main(["import", "crontab", "crontab", flag]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if not line.startswith("note: ")] == lines
    assert any(line.startswith("note: ") for line in said) == (flag == "--verbose")


def test_in_json_without_the_values_of_variables(folder: Path, capsys: Output) -> None:
    assert main(["import", "crontab", "crontab", "--json", "-o", "jobs.toml"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "hunter2" not in out
    assert "hunter2" in (folder / "jobs.toml").read_text()
    document = json.loads(out)
    assert list(document) == ["file", "jobs", "report", "notes"]
    assert document["file"] == str(folder / "jobs.toml")
    assert document["jobs"]["pwd"]["schedule"] == "30 2 * * *"
    assert document["jobs"]["pwd"]["env"] == {"PASSWORD": "***"}
    assert "schedule" not in document["jobs"]["never"]
    assert [(line["line"], line["became"], line["job"]) for line in document["report"]] == [
        (1, "comment", None),
        (2, "variable", None),
        (3, "job", "pwd"),
        (4, "disabled", "never"),
        (5, "refused", None),
    ]
    assert document["report"][1]["text"] == "PASSWORD"
    assert document["report"][3]["text"] == "0 0 31 2 * never"


def test_a_crontab_without_any_job_is_an_error_in_json_too(crontab: Path, capsys: Output) -> None:
    crontab.write_text("nonsense\n")
    assert main(["import", "crontab", "crontab", "--json", "-o", "jobs.toml"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: no line of it became a job\nhint: ")
    document = json.loads(out)
    assert (document["file"], document["jobs"]) == (None, {})
    assert [line["became"] for line in document["report"]] == ["refused"]
    assert not (crontab.parent / "jobs.toml").exists()


def _stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_from_standard_input_whatever_its_bytes(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    _stdin(monkeypatch, b"0 5 * * * a\n0 6 * * * \xff\n0 7 * * * b")
    assert main(["import", "crontab", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.count("[jobs.") == 2
    assert "line 2: not imported: holds a NUL or bytes that are not UTF-8" in err


@pytest.mark.parametrize(
    ("options", "schedule"),
    [([], None), (["--dialect", "debian"], None), (["--dialect", "cronie"], "0 0 * * 5-7")],
)
def test_the_dialect(options: list[str], schedule: str | None, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    _stdin(monkeypatch, b"0 0 * * fri-sun a\n")
    assert main(["import", "crontab", "-", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["a"].get("schedule") == schedule


def test_the_user_field(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    me = pwd.getpwuid(Path().stat().st_uid).pw_name
    _stdin(monkeypatch, f"@daily {me} a\n@daily not-{me} b\n".encode())
    assert main(["import", "crontab", "-", "--json", "--user-field"]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    assert (jobs["a"]["schedule"], jobs["a"]["command"]) == ("@daily", "a")
    assert "schedule" not in jobs["b"]


CRONTAB_COMMAND = """\
#!/bin/sh
[ "$*" = -l ] || exit 9
case $MODE in
full) echo '@daily mine';;
empty) ;;
none) echo 'no crontab for ann' >&2; exit 1;;
esac
"""


@pytest.mark.parametrize(
    ("mode", "code", "out", "err"),
    [
        ("full", 0, "[jobs.mine]", "line 1: job mine\n"),
        ("empty", 0, "", "nothing to import: there is no entry in it\n"),
        ("none", 1, "", "error: `crontab -l` says: no crontab for ann\nhint: name a file"),
    ],
)
def test_without_a_file_it_is_ones_own_crontab(
    mode: str, code: int, out: str, err: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/crontab").write_text(CRONTAB_COMMAND)
    (folder / "bin/crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    monkeypatch.setenv("MODE", mode)
    assert main(["import", "crontab"]) == code
    said = capsys.readouterr()
    assert out in said.out
    assert said.err.startswith(err)


def test_a_machine_without_cron_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["import", "crontab"]) == 1
    assert capsys.readouterr().err.startswith("error: there is no `crontab` command here")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nowhere"], 1, "error: nowhere: No such file or directory\nhint: "),
        (["crontab", "--force"], 2, "error: --force means nothing without -o\nhint: "),
        (["crontab", "--dialect", "fcron"], 2, "error: "),
        (["crontab", "-o", "nowhere/jobs.toml"], 1, "error: nowhere/jobs.toml: No such"),
    ],
)
def test_what_cannot_be_done(args: list[str], code: int, says: str, capsys: Output) -> None:
    assert main(["import", "crontab", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)
    assert "error: " in err
    assert "hint: " in err
