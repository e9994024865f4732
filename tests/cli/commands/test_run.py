"""`jobctl run`: from what was typed to an exit code and a recorded run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import looked
from jobctl.cli.main import main
from jobctl.store import database
from jobctl.store.store import Store

JOBCTL = [sys.executable, "-m", "jobctl"]
UNLIMITED = 30  # seconds: more than any of these takes


def _define(folder: Path, text: str) -> None:
    (folder / "jobs.toml").write_text(text)


def _documents(folder: Path) -> list[dict[str, Any]]:
    with Store(str(folder / "state"), create=False) as store:
        return [looked.run_document(store, row) for row in store.history()]


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ('command = "true"', 0, "succeeded"),
        ('command = "exit 3"', 1, "failed"),
        ('command = "exit 0"\nretry = 3', 0, "succeeded"),
        ('command = "sleep 60"\nstep_timeout = "50ms"', 1, "failed"),
        ('command = "sleep 60"\ntimeout = "50ms"', 124, "timed_out"),
        ('command = "exit 1"\n[[jobs.y.steps]]\nname = "a"\ncommand = "true"', 1, "failed"),
        ('steps = [{ name = "a", command = "false", allow_failure = true }]', 0, "succeeded"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--json"], ["-q"]])
def test_the_exit_code_is_the_runs(folder: Path, body: str, code: int, status: str, flags: list[str]) -> None:
    _define(folder, f"[jobs.x]\n{body}\n")
    assert main(["run", "x", *flags]) == code
    (document,) = _documents(folder)
    assert document["status"] == status
    assert document["trigger"] == "manual"
    assert document["executor"] is None
    assert not (folder / "state" / "executors").exists() or list((folder / "state" / "executors").iterdir()) == []


def test_json_is_one_object_a_line_and_the_last_is_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder, '[jobs.x]\ncommand = "echo out; echo k=v > $JOBCTL_OUTPUT"\n')
    assert main(["run", "x", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (document,) = _documents(folder)
    assert lines[-1] == document
    assert [line["type"] for line in lines[:-1]] == [
        "run_created",
        "run_taken",
        "attempt_started",
        "attempt_ended",
        "run_ended",
    ]
    assert [line["seq"] for line in lines[:-1]] == [1, 2, 3, 4, 5]


TYPED = """
[jobs.x]
command = 'echo "$JOBCTL_PARAM_S|$JOBCTL_PARAM_I|$JOBCTL_PARAM_N|$JOBCTL_PARAM_B|$JOBCTL_PARAM_D|$JOBCTL_PARAM_L" > got'
[jobs.x.params]
s = "default"
i = { type = "integer", default = 1 }
n = { type = "number", default = 1.5 }
b = { type = "boolean", default = false }
d = { type = "date", default = "{{ run.fire_date }}" }
l = { type = "list", default = [] }
c = { default = "one", choices = ["one", "two"] }
"""


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (["s=a b=c", "i=-7", "n=2", "b=yes", "d=2026-02-03", 'l=["x", 1]'], 'a b=c|-7|2|true|2026-02-03|["x",1]'),
        (["s=", "d=2026-02-03"], "|1|1.5|false|2026-02-03|[]"),
        (["s=$(id) `id` \"';", "d=2026-02-03"], "$(id) `id` \"';|1|1.5|false|2026-02-03|[]"),
        (["s={{ run.id }}", "d=2026-02-03"], "{{ run.id }}|1|1.5|false|2026-02-03|[]"),
    ],
)
def test_parameters_are_typed_and_handed_on(folder: Path, given: list[str], got: str) -> None:
    _define(folder, TYPED)
    assert main(["run", "x", *(f"-p{text}" for text in given)]) == 0
    assert (folder / "got").read_text() == got + "\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["i=x"], "parameter i is 'x', which is not a whole number"),
        (["i=1.5"], "not a whole number"),
        (["i=" + "x" * 30], "not a whole number"),
        (["i=" + "9" * 21], "more than 20 digits"),
        (["n=nan"], "not a number"),
        (["b=maybe"], "not true or false"),
        (["d=2026-02-30"], "not a date"),
        (["l={}"], "not a JSON list"),
        (["c=three"], "parameter c is 'three'"),
        (["S=1"], "no parameter 'S'"),
        (["s"], "is not KEY=VALUE"),
        (["=1"], "is not KEY=VALUE"),
        (["s=1", "s=2"], "given twice"),
    ],
)
def test_wrong_parameters_are_said_before_anything_is_recorded(
    folder: Path, capsys: pytest.CaptureFixture[str], given: list[str], says: str
) -> None:
    _define(folder, TYPED)
    assert main(["run", "x", *(f"-p{text}" for text in given)]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "\nhint: " in told.err
    assert told.out == ""
    assert not (folder / "state" / "jobctl.db").exists()


@pytest.mark.parametrize(
    ("text", "args", "code", "says"),
    [
        ('[jobs.x]\ncommand = "true"\n', ["y"], 3, "there is no job 'y'"),
        ('[jobs.x]\ncommand = "true"\nparams = { p = { type = "string" } }\n', ["x"], 2, "needs the parameter 'p'"),
        ('[jobs.x]\ncomand = "true"\n', ["x"], 2, "comand"),
        ('[jobs.x]\ncommand = "true"\nenv_file = "missing.env"\n', ["x"], 2, "job x, env_file: there is no file"),
        ("", ["x"], 3, "there is no job 'x'"),
    ],
)
def test_what_cannot_run_is_said_with_a_way_out(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, args: list[str], code: int, says: str
) -> None:
    _define(folder, text)
    assert main(["run", *args]) == code
    told = capsys.readouterr()
    assert says in told.err
    assert "hint: " in told.err
    assert main(["run", *args, "--json"]) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert says in str([error["message"], error.get("problems")])


@pytest.mark.parametrize("harm", ["garbage", "newer", "empty", "not a folder", "others can write"])
def test_a_store_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str], harm: str) -> None:
    _define(folder, '[jobs.x]\ncommand = "touch ran"\n')
    state = folder / "state"
    state.mkdir(mode=0o700)
    if harm == "garbage":
        (state / "jobctl.db").write_bytes(os.urandom(8192))
    elif harm == "newer":
        with Store(str(state)) as store:
            store._db.execute("PRAGMA user_version = 4711")
    elif harm == "empty":
        (state / "jobctl.db").touch()
    elif harm == "not a folder":
        state.rmdir()
        state.touch()
    else:
        state.chmod(0o777)
    for args in (["run", "x"], ["history"], ["status", "x"], ["cancel", "x"], ["resume", "x"]):
        assert main(args) == 4, args
        told = capsys.readouterr()
        assert told.err.startswith("error: the state folder" if "folder" in harm or "others" in harm else "error: ")
        assert "state" in told.err
        assert "hint: " in told.err
    assert not (folder / "ran").exists()


def test_on_a_full_disk_a_new_run_is_refused(small_disk: Path, folder: Path) -> None:
    _define(folder, '[jobs.x]\ncommand = "echo ran >> ran"\n')
    environment = {**os.environ, "JOBCTL_STATE_DIR": str(small_disk / "state")}
    call = [*JOBCTL, "run", "x"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=UNLIMITED, check=False)
    assert done.returncode == 0, done.stderr
    with open(small_disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            pass
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=UNLIMITED, check=False)
    assert done.returncode == 4
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "ran").read_text() == "ran\n"
    (small_disk / "filler").unlink()
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=UNLIMITED, check=False)
    assert done.returncode == 0, done.stderr


def test_while_the_store_is_locked_a_new_run_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _define(folder, '[jobs.x]\ncommand = "echo ran >> ran"\n')
    assert main(["run", "x"]) == 0
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(folder / "state" / "jobctl.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert main(["run", "x"]) == 4
    told = capsys.readouterr().err
    assert "is locked by another process" in told
    assert "hint: " in told
    holder.execute("COMMIT")
    assert len(_documents(folder)) == 1
    assert (folder / "ran").read_text() == "ran\n"


def test_what_is_not_utf_8_reaches_the_command_as_it_was_typed(folder: Path) -> None:
    _define(folder, "[jobs.x]\nparams = { p = { type = 'string' } }\ncommand = 'printf %s \"$JOBCTL_PARAM_P\" > got'\n")
    call = [*(part.encode() for part in JOBCTL), b"run", b"x", b"-p", b"p=\xff\xfe"]
    done = subprocess.run(call, capture_output=True, timeout=UNLIMITED, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "got").read_bytes() == b"\xff\xfe"


def test_many_at_once_in_one_store(folder: Path) -> None:
    _define(folder, '[jobs.x]\ncommand = "echo ran >> ran"\n')
    calls = [subprocess.Popen([*JOBCTL, "run", "x", "-q"], stderr=subprocess.PIPE, text=True) for _ in range(8)]
    told = [call.communicate(timeout=60)[1] for call in calls]
    assert [call.returncode for call in calls] == [0] * 8, told
    documents = _documents(folder)
    assert len({document["id"] for document in documents}) == 8
    assert {document["status"] for document in documents} == {"succeeded"}
    assert (folder / "ran").read_text() == "ran\n" * 8
