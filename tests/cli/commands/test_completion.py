"""The scripts, in the shells that are here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.cli.commands import completion
from jobctl.cli.main import main


def _script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("shell", "file"), completion.FILES.items())
def test_the_files_for_packages_are_what_is_printed(shell: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    committed = Path(__file__).parents[3] / "completions" / file
    assert committed.read_text() == _script(shell, capsys), f"jobctl completion {shell} > completions/{file}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "script"
    file.write_text(_script(shell, capsys))
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], ["status"]),
        (["--color", "=", "a"], ["auto", "always"]),
        (["run", ""], ["a"]),
        (["history", "--status", "failed", "list"], []),
    ],
)
def test_bash_completes(
    words: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jobs.toml").write_text('[jobs.a]\n[jobs."b c"]\n')
    jobctl = tmp_path / "jobctl"
    jobctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobctl "$@"\n')
    jobctl.chmod(0o700)
    press_tab = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jobctl "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{_script('bash', capsys)}\n{press_tab}", "bash", str(jobctl), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.split("\n")[:-1] if expected else done.stdout.split()) == expected
    assert done.stderr == ""
