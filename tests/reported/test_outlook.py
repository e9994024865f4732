"""What will fail at night is said by day: `validate` and `doctor` warn of what a definition names and nobody has, and
of what is legal and was hardly meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.core.definition import traps

# situation, the key that is named, what is said, the way out
WARNINGS = [
    # reported/daily-use F19
    ('env_file = "missing.env"\ncommand = "true"', "env_file", "there is no file", "make it"),
    ('env_file = "."\ncommand = "true"', "env_file", "is a folder", "name the file"),
    ('env_file = "broken.env"\ncommand = "true"', "env_file", "line 2 of it: is not NAME=value", "no blank"),
    ('env_file = "dollar.env"\ncommand = "true"', "env_file", "A holds a $", "the value itself"),
    ('cwd = "/srv/nowhere"\ncommand = "true"', "cwd", "there is no folder /srv/nowhere", "mkdir -p"),
    ('cwd = "plain"\ncommand = "true"', "cwd", "is not a folder", "name the folder"),
    ('shell = "/bin/bsh"\ncommand = "true"', "shell", "there is no program /bin/bsh", "correct the path"),
    ('shell = "bsh"\ncommand = "true"', "shell", "no program bsh on the PATH", "install it"),
    ('command = ["pg_dmup", "x"]', "command", "no program pg_dmup on the PATH", "did you mean pg_dump?"),
    ('command = ["./nowhere"]', "command", "there is no program", "correct the path"),
    ('command = ["./plain"]', "command", "may not be executed", "chmod +x"),
    ('command = ["./folder"]', "command", "is a folder", "name a file"),
    ('command = ["sh", "./nowhere.sh"]', "command", "there is no file", "correct the path"),
    ('command = "./nowhere --all | cat"', "command", "there is no program", "correct the path"),
    ('command = "pg_dmup app | gzip"', "command", "no program pg_dmup on the PATH", "did you mean pg_dump?"),
    ('command = "true"\nnotify = { command = ["mial", "x"] }', "notify.command", "no program mial", "install it"),
    # reported/schedulers F10.3, workflows F11
    ('command = "./dos.sh"', "command", "ends in a carriage return", "sed -i"),
    ('command = ["./dos.sh"]', "command", "ends in a carriage return", "sed -i"),
    ('command = ["./other.pl"]', "command", "wants /opt/none/perl", "first line of the file"),
    ('command = ["./other.py"]', "command", "wants pyhton9, which is not on the PATH", "PATH of its own"),
    # commands that go on after a failure
    ('command = """\ncd /nowhere\nrm -rf *\n"""', "command", "a line of it that fails does not end it", "set -eu"),
    ('shell = "/bin/bash"\ncommand = "a=1\\ncat x\\ncat y"', "command", "does not end it", "set -euo pipefail"),
    ('command = "cat x | tee y\\ncat z"', "command", "does not end it", "&&"),
    ('command = "if true; then\\n  cat x\\n  cat y\\nfi"', "command", "does not end it", "set -eu"),
    (
        'command = "#!/usr/bin/env python3\\nimport os\\n"',
        "command",
        "its first line is a comment",
        '"/usr/bin/python3"',
    ),
    # what nothing expands: reported/crontabs 8
    ('command = "true"\nenv = { X = "$HOME/bin" }', "env.X", "$HOME stands in the value", "the value itself"),
    ('command = "true"\nenv = { X = "${HOME}/bin" }', "env.X", "${HOME} stands in the value", "the value itself"),
    ('command = "true"\nenv = { X = "~/bin" }', "env.X", "~ stands in the value", "the value itself"),
    ('command = "true"\nenv = { X = "$(date)" }', "env.X", "$( ) stands in the value", "in the command"),
    ('command = "true"\nenv = { API_TOKEN = "ab$hunter2" }', "env.API_TOKEN", "a $ with a name", "the value itself"),
    # what became something else: reported/workflows F11
    ('command = "true"\nenv = { timeout = "30s" }', "env.timeout", "is a variable called timeout", "above the head"),
    ('command = "true"\nparams = { v = 1.10 }', "params.v", "1.1 to a command, not the text 1.10", '"1.10"'),
    ('command = "true"\nparams = { v = { default = 0o755 } }', "params.v.default", "493", '"0o755"'),
    ('command = "true"\nparams = { v = 1_000 }', "params.v", "1000", '"1_000"'),
    ('command = "true"\nschedule = { at = "2020-01-01T00:00:00Z" }', "schedule.at", "is over", "jobctl run"),
]

NOTHING_TO_SAY = [
    'command = "true"',
    'command = "echo $HOME ~/x"\nenv = { A = "100 $", B = "a~b", C = "5$ 6", D = "{{ run.id }}" }',
    'command = ["{{ params.p }}", "x"]\nparams = { p = "echo" }',
    'cwd = "{{ params.p }}"\ncommand = "./there"\nparams = { p = "x" }',
    'command = ["jobctl", "status"]',
    'command = "FOO=bar nowhere"',
    'command = "[ -e x ] && nowhere"',
    'command = "f() { echo; }; f"',
    'command = "set -eu\\ncat x\\ncat y"',
    'command = "set -o errexit\\ncat x\\ncat y"',
    'command = "cat x ||\\n exit 3\\ncat y"',
    'command = "cat x &&\\ncat y"',
    'command = "cat \\\\\\n x"',
    'command = "cat <<E\\none\\ntwo\\nE"',
    "command = \"awk '{\\n print\\n print\\n}' x\"",
    'command = "echo a\\nx=$((1 + 2))\\ny=2\\n# cat x\\ncat y"',
    'command = "(cat x\\n)"',
    'shell = "/usr/bin/env"\ncommand = "cat x\\ncat y"',
    'command = "#!/bin/sh\\ncat y"',
    'command = "true"\nparams = { n = 5, m = -3, f = 2.5, s = "1.10", b = true }',
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("pg_dump", "cat"):
        (programs / name).write_text("")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name, text, mode in (
        ("dos.sh", "#!/bin/sh\r\necho\r\n", 0o755),
        ("other.pl", "#!/opt/none/perl -w\n", 0o755),
        ("other.py", "#!/usr/bin/env pyhton9\n", 0o755),
        ("there", "#!/bin/sh\n", 0o755),
        ("plain", "x", 0o644),
        ("broken.env", "A=1\nB = 2\n", 0o644),
        ("dollar.env", "A=$HOME/x\n", 0o644),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("job", "key", "said", "way"), WARNINGS)
def test_it_is_a_warning(
    job: str, key: str, said: str, way: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "jobs.toml").write_text(f"[jobs.a]\n{job}\n")
    assert main(["validate", "--json"]) == 0
    [problem] = json.loads(capsys.readouterr().out)
    assert (problem["severity"], problem["job"], problem["key"]) == ("warning", "a", key), problem
    assert said in problem["message"]
    assert way in problem["hint"]
    assert problem["line"] >= 2
    assert "hunter2" not in json.dumps(problem)
    main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert any(check["status"] == "warn" and said in check["message"] for check in checks)


@pytest.mark.parametrize("job", NOTHING_TO_SAY)
def test_it_is_no_warning(job: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "jobs.toml").write_text(f"[jobs.a]\n{job}\n")
    assert main(["validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_an_earlier_step_may_make_is_not_missed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = '[[jobs.a.steps]]\nname = "{}"\n{}\n'
    (place / "jobs.toml").write_text(
        step.format("fetch", 'command = "echo"')
        + step.format("build", 'cwd = "build"\ncommand = ["./configure"]')
        + step.format("gone", 'cwd = "/srv/nowhere"\ncommand = "./configure"')
    )
    assert main(["validate", "--json"]) == 0
    [problem] = json.loads(capsys.readouterr().out)
    assert (problem["step"], problem["key"]) == ("gone", "cwd")


def test_a_path_of_the_defaults_that_nothing_expands_hides_every_program(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "jobs.toml").write_text('[defaults.env]\nPATH = "$PATH:/opt"\n[jobs.a]\ncommand = "cat x"\n')
    assert main(["validate", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["key"], first["line"]) == ("defaults.env.PATH", 2)
    assert second["message"] == "there is no program cat on the PATH of this machine"


def test_a_text_of_several_lines_is_one_command() -> None:
    assert len(traps.statements("echo \"a\nb\" 'c\nd'\n" * 200)) == 200
