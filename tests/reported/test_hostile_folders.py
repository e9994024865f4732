"""Completion in a folder that somebody else has filled: real shells, at a terminal. Nothing of it is run, expanded or
shown to the terminal, and what is a name is completed all the same."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.cli.commands.completion import SCRIPTS

NAMES = [
    "x$(touch${IFS}pwned)",
    "x`touch pwned`",
    "x;touch pwned",
    "x|touch pwned",
    "x\\ntouch pwned\\n",
    "x\\u001b]0;evil\\u0007",
    "x\\u001b[2Jevil",
    "x\\tpwned",
    "x*",
    "*",
    "x{pwned,pwned}",
    "x <(touch pwned)",
    "$(touch pwned)",
    ":files",
    ":folders",
    "-x",
    "~root",
    "x!!",
]
FILES = ["$(touch pwned)", "`touch pwned`", "*", "x\ntouch pwned\n", "a b", "x;touch pwned", "-rf"]

START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "--interactive"],
}
BEFORE = {
    "bash": "PS1='> '; source {script}",
    "zsh": "PS1='> '; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source {script}",
    "fish": "function fish_prompt; printf '> '; end; set -g fish_autosuggestion_enabled 0; source {script}",
}


class Terminal:
    """A shell that somebody sits at."""

    def __init__(self, shell: str, folder: Path, env: dict[str, str]) -> None:
        self.screen = b""
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [shell, *START[shell]],
            cwd=folder,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text.encode() not in self.screen:
            ready, _, _ = select.select([self._ours], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} never came: {self.screen[-2000:]!r}"
            data = os.read(self._ours, 65536)
            self.screen += data
            if b"\x1b[c" in data or b"\x1b[0c" in data:  # what terminal is this? fish waits for the answer
                self.type("\x1b[?62;c")
            if b"\x1b[6n" in data:
                self.type("\x1b[1;1R")

    def close(self) -> None:
        os.close(self._ours)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture
def terminal(shell: str, tmp_path: Path) -> Iterator[Terminal]:
    programs, folder, home = tmp_path / "bin", tmp_path / "clone", tmp_path / "home"
    for made in (programs, folder, home):
        made.mkdir()
    jobctl = programs / "jobctl"
    # What is completed is known by what is asked, and no line that is entered runs anything.
    jobctl.write_text(
        '#!/bin/sh\n[ "$1" = __complete ] || { printf "entered <%s>\\n" "$*"; exit; }\n'
        f'exec {sys.executable} -m jobctl "$@"\n'
    )
    jobctl.chmod(0o755)
    jobs = [f'[jobs."{name}"]\ncommand = "true"\n' for name in NAMES]
    (folder / "jobs.toml").write_text("".join(jobs) + '[jobs.harmless]\ncommand = "true"\n')
    for name in FILES:
        (folder / name).write_text("")
    here = folder / "jobctl"  # a program of the folder, which nobody has started
    here.write_text("#!/bin/sh\ntouch pwned\n")
    here.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    env = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(home),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "XDG_STATE_HOME": str(home),
    }
    made = Terminal(shell, folder, env)
    made.type(BEFORE[shell].format(script=shlex.quote(str(script))) + "; echo ready-$(echo yes)\r")
    made.until("ready-yes")
    yield made
    made.close()


def test_nothing_of_it_is_run(terminal: Terminal, tmp_path: Path) -> None:
    for number, line in enumerate(
        ["run x", "run ", "show :", "run '$", "status x\\$", "-f ", "-f x", "--state-dir ", "logs "]
    ):
        terminal.type(f"jobctl {line}\t\t")
        terminal.type("\x15")  # whatever is in the line now is thrown away; the shell answers when it has done so
        terminal.type(f"echo after-$(echo {number}-yes)\r")
        terminal.until(f"after-{number}-yes")
    terminal.type("./jobctl run \t\t\x15")
    terminal.type("echo last-$(echo yes)\r")
    terminal.until("last-yes")
    assert not list(tmp_path.rglob("pwned"))
    assert b"evil" not in terminal.screen


def test_what_was_completed_may_be_entered(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("jobctl run x\t\r")
    terminal.until("entered <run x>")
    terminal.type("jobctl show harml\t\r")
    terminal.until("entered <show harmless>")
    assert not list(tmp_path.rglob("pwned"))
