"""The way from argv to a command, and what must not be imported on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jobctl
from jobctl.cli import main


@pytest.mark.parametrize(
    ("args", "allowed"),
    [
        (["--version"], set()),
        (["--help"], set()),
        (["run", "--help"], set()),
        (["help", "schedule", "next"], set()),
        (["completion", "bash"], set()),
        (["__complete", "run", "--"], set()),
        (["list"], {"re", "enum", "dataclasses", "inspect", "json", "typing"}),
    ],
)
def test_a_call_imports_no_more_than_it_needs(args: list[str], allowed: set[str], tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text('[jobs.a]\ncommand = "true"\n')
    heavy = {"typer", "rich", "croniter", "sqlite_utils", "filelock", "subprocess", "asyncio", "sqlite3"}
    heavy |= {"re", "enum", "dataclasses", "inspect", "json", "typing"} - allowed
    code = (
        "import sys; before = set(sys.modules); from jobctl.cli.main import main; main(sys.argv[1:]);"
        " print(*(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout != ""
    assert heavy & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (["status"], {"dataclasses", "jobctl.core.model", "typing", "jobctl.engines.base"}),
        (["history"], {"dataclasses", "jobctl.core.model", "typing", "jobctl.engines.base"}),
        (["list"], {"typing"}),
        (["run", "a", "--detach"], {"rich"}),
    ],
    ids=lambda args: args[0] if isinstance(args, list) else "",
)
def test_a_second_call_loads_nothing_that_reads_definitions(args: list[str], more: set[str], tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text('[jobs.a]\nschedule = "0 3 * * *"\ncommand = "true"\n')
    heavy = {"typer", "tomllib", "hashlib", "jobctl.core.definition.jobs", "jobctl.core.definition.schema", *more}
    code = "import sys; from jobctl.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    environ = {**os.environ, "JOBCTL_STATE_DIR": str(tmp_path / "state")}
    assert subprocess.run([sys.executable, "-m", "jobctl", "run", "a"], cwd=tmp_path, env=environ).returncode == 0
    assert subprocess.run([sys.executable, "-m", "jobctl", "status"], cwd=tmp_path, env=environ).returncode == 0
    call = [sys.executable, "-c", code, *args]
    done = subprocess.run(call, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert heavy & set(done.stderr.split()) == set()


def test_python_m_jobctl_is_jobctl() -> None:
    done = subprocess.run([sys.executable, "-m", "jobctl", "--version"], capture_output=True, text=True)
    assert done.stdout == f"jobctl {jobctl.__version__}\n"
    assert done.returncode == 0


def test_a_folder_that_is_gone_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main.main(["schema"]) == 2
    assert capsys.readouterr().err.startswith("error: the current folder does not exist any more\nhint:")
