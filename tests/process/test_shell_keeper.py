"""Attempts that jobctl 0.1 left under shell keepers: their state files, and finding one that lives."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.process import descent
from jobctl.process.attempt import AttemptFiles
from jobctl.process.end import End
from jobctl.process.shell_keeper import State, find, state

# What that version ran, as it stood: an attempt of three days outlives upgrades.
KEEPER = """\
set -C
command exec 2>"$1" || exit 75
set +C
trap JOBCTL_ASKED=1 HUP INT QUIT TERM
trap : USR1 USR2 ALRM
echo $$ >&2 || { rm -f -- "$1"; exit 75; }
umask "$5"
cd -- "$2" 2>&1 || { echo nofolder >&2; exit; }
unset OLDPWD
if [ -n "$3" ]; then
  (exec "$4" -c "$3") 2>&1 || { echo "skip $?" >&2; exit; }
  echo run >&2
fi
shift 5
[ -z "$JOBCTL_ASKED" ] || { echo "exit 143" >&2; exit; }
(exec "$@") 2>&1
echo "exit $?" >&2
"""


def _end(how: str, status: int, **more: object) -> End:
    return End("a", how, status, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        (b"", State(None, False, None)),
        (b"12", State(None, False, None)),  # half a pid: 12 of 1234
        (b"1234\n", State(1234, False, None)),
        (b"1234\nexit 0\n", State(1234, False, _end("exit", 0, ran=True))),
        (b"1234\nexit 1", State(1234, False, None)),  # half: 137 may come
        (b"1234\nexit 137\n", State(1234, False, _end("exit", 137 << 8, ran=True))),
        (b"1234\nKilled\nexit 137\n", State(1234, False, _end("exit", 9, ran=True))),
        (b"1234\nSegmentation fault (core dumped)\nexit 139\n", State(1234, False, _end("exit", 11, ran=True))),
        (b"1234\nrun\n", State(1234, True, None)),
        (b"1234\nrun\nexit 3\n", State(1234, True, _end("exit", 3 << 8, ran=True))),
        (b"1234\nskip 1\n", State(1234, False, _end("condition", 1 << 8))),
        (b"1234\nskip 2\n", State(1234, False, _end("condition", 2 << 8))),
        (b"1234\nnofolder\n", State(1234, False, _end("not_made", errno.ENOENT, what="folder"))),
        (b"not a pid\n", State(None, False, None)),
        # Numbers that no keeper writes, and that are addresses or nothing.
        (b"0\n", State(None, False, None)),
        (b"1\n", State(None, False, None)),
        (b"-1\n", State(None, False, None)),
        (b"9" * 30 + b"\nexit 0\n", State(None, False, _end("exit", 0, ran=True))),
        (b"1234\nexit " + b"9" * 30 + b"\n", State(1234, False, None)),
        (b"1234\nexit 256\n", State(1234, False, None)),
        (bytes(range(256)), State(None, False, None)),
    ],
)
def test_what_a_state_file_says(tmp_path: Path, text: bytes | None, found: State | None) -> None:
    path = tmp_path / "main.1.state"
    if text is not None:
        path.write_bytes(text)
    assert state(str(path), "a") == found


@pytest.mark.parametrize("make", ["mkfifo", "mkdir"])
def test_what_is_no_file_says_nothing(tmp_path: Path, make: str) -> None:
    subprocess.run([make, str(tmp_path / "main.1.state")], check=True)
    assert state(str(tmp_path / "main.1.state"), "a") == State(None, False, None)


class Old:
    """An attempt under such a keeper."""

    def __init__(self, folder: Path) -> None:
        self.files = AttemptFiles(str(folder), "main", 1)
        self.token = f"{folder}/x-1/main.1"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, script: str) -> int:
        argv = ["sh", "-c", KEEPER, "jobctl-keeper", self.files.state, "/", "", "/bin/sh", "0022", "sh", "-c", script]
        variables = {"PATH": os.environ["PATH"], descent.TOKEN: self.token}
        with open(self.files.log, "wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=variables, start_new_session=True)
        deadline = time.monotonic() + 20
        while (found := state(self.files.state, "a")) is None or found.pid is None:
            assert time.monotonic() < deadline
        return self.process.pid


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    one = Old(tmp_path)
    yield one
    descent.sweep(one.token)
    if one.process is not None:
        one.process.wait()


def test_a_living_one_is_found_and_an_ended_one_is_not(old: Old) -> None:
    assert find(old.files.state, "a", old.token) is None
    pid = old.start("sleep 60")
    assert find(old.files.state, "a", old.token) == pid
    assert old.process is not None
    old.process.kill()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert find(old.files.state, "a", old.token) is None  # a zombie
    old.process.wait()
    assert find(old.files.state, "a", old.token) is None


@pytest.mark.parametrize("pid", ["self", "other", "1", "4194304"])
def test_a_pid_that_became_somebody_elses_is_not_ours(old: Old, pid: str) -> None:
    stranger = subprocess.Popen(
        ["sleep", "60"], start_new_session=True, env={**os.environ, descent.TOKEN: old.token + "0"}
    )
    number = {"self": str(os.getpid()), "other": str(stranger.pid)}.get(pid, pid)
    Path(old.files.state).write_text(f"{number}\n")
    try:
        assert find(old.files.state, "a", old.token) is None
    finally:
        stranger.kill()
        stranger.wait()
