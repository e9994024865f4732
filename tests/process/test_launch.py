"""Real keepers with real commands: how they end, who stops them, what they leave, what they pass on."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from jobctl.core.attempts import Outcome
from jobctl.process import launch
from jobctl.process.attempt import AttemptFiles, outcome, read_failure, read_state

TOKEN = "test-store/x-1/main.1"


class Attempt:
    """One attempt in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = AttemptFiles(str(folder), "main", 1)
        # No token of two tests is the same, and none is found in pytest itself.
        self.token = f"{folder}/{TOKEN}"
        self.environment = {"PATH": os.environ["PATH"], launch.TOKEN: self.token}

    def start(self, *argv: str, cwd: str = "/", only_if: str = "", **environment: str) -> int:
        return launch.launch(self.files, argv, {**self.environment, **environment}, cwd=cwd, only_if=only_if)

    def sh(self, script: str, *, cwd: str = "/", only_if: str = "", **environment: str) -> int:
        return self.start("/bin/sh", "-c", script, cwd=cwd, only_if=only_if, **environment)

    def end(self) -> Outcome:
        state = read_state(self.files.state)
        assert state is not None
        return outcome(state, read_failure(self.files.failure))

    def log(self) -> bytes:
        return Path(self.files.log).read_bytes()

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, (self.log(), Path(self.files.state).read_bytes())
            time.sleep(0.005)


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    one = Attempt(tmp_path)
    yield one
    launch.sweep(one.token)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# -- how commands end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 2, 75, 126, 127, 128, 130, 137, 143, 255])
def test_an_exit_code_is_that_code_and_no_signal(attempt: Attempt, code: int) -> None:
    assert _wait(attempt.sh(f"exit {code}")) == 0
    ended = attempt.end()
    assert (ended.exit_code, ended.signal) == (code, None)
    assert ended.status == ("failed" if code else "succeeded")


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "ABRT", "HUP", "QUIT", "USR1", "ALRM", "XCPU"])
def test_death_by_a_signal_is_that_signal_and_no_code(attempt: Attempt, name: str) -> None:
    _wait(attempt.sh(f"kill -{name} $$; sleep 60"))
    ended = attempt.end()
    assert (ended.exit_code, ended.signal) == (None, getattr(signal, f"SIG{name}"))
    assert ended.error == f"killed by SIG{name}"


def test_a_signal_from_outside_to_the_whole_group_ends_the_command_and_not_its_keeper(attempt: Attempt) -> None:
    pid = attempt.sh("echo up; sleep 60")
    attempt.until(attempt.log)
    launch.signal_group(pid, signal.SIGTERM)
    assert _wait(pid) == 0
    assert attempt.end().signal == signal.SIGTERM


def test_a_command_that_minds_sigterm_ends_as_it_likes(attempt: Attempt) -> None:
    pid = attempt.sh("trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done")
    attempt.until(attempt.log)
    launch.signal_group(pid, signal.SIGTERM)
    _wait(pid)
    assert (attempt.end().exit_code, attempt.end().signal) == (7, None)


@pytest.mark.parametrize(
    ("argv", "code", "log"),
    [
        (["echo", "a\\nb"], 0, b"a\\nb\n"),  # the program, not the shell's own
        (["printf", "%s|", "", " ", "$HOME", "*", "a'b\"c", "-n"], 0, b"| |$HOME|*|a'b\"c|-n|"),
        (["nosuchprogram"], 127, b"not found"),
        (["/"], 126, b"ermission denied"),
        (["/etc/passwd"], 126, b"ermission denied"),
        (["env", "-i", "echo", "clean"], 0, b"clean\n"),
    ],
)
def test_a_list_command_is_run_as_it_stands(attempt: Attempt, argv: Sequence[str], code: int, log: bytes) -> None:
    _wait(attempt.start(*argv))
    assert attempt.end().exit_code == code
    assert log in attempt.log()


@pytest.mark.parametrize("cwd", ["/nowhere", "/etc/passwd", ""])
def test_a_working_folder_that_cannot_be_entered(attempt: Attempt, cwd: str) -> None:
    if cwd == "":
        cwd = str(attempt.folder / "gone")
    _wait(attempt.sh("echo ran", cwd=cwd))
    ended = attempt.end()
    assert (ended.status, ended.exit_code) == ("failed", 126)
    assert "cwd" in str(ended.error)
    assert cwd.encode() in attempt.log()
    assert b"ran" not in attempt.log()


@pytest.mark.parametrize("cwd", ["a b", "-P", "$HOME", "é"])
def test_a_working_folder_with_any_name(attempt: Attempt, cwd: str) -> None:
    (attempt.folder / cwd).mkdir()
    _wait(attempt.start("pwd", cwd=str(attempt.folder / cwd)))
    assert attempt.log().decode() == f"{attempt.folder / cwd}\n"


@pytest.mark.parametrize(
    ("condition", "status", "code", "ran"),
    [
        ("true", "succeeded", 0, True),
        ("exit 0", "succeeded", 0, True),
        ("exit 1", "skipped", 1, False),
        ("exit 2", "failed", 2, False),
        ("nosuchprogram", "failed", 127, False),
        ("kill -9 $$", "failed", 137, False),
        ("test -d /", "succeeded", 0, True),
        ("exec false", "skipped", 1, False),
    ],
)
def test_a_condition(attempt: Attempt, condition: str, status: str, code: int, ran: bool) -> None:
    _wait(attempt.sh("echo ran", only_if=condition))
    ended = attempt.end()
    assert (ended.status, ended.exit_code) == (status, code)
    assert (b"ran" in attempt.log()) is ran
    state = read_state(attempt.files.state)
    assert state is not None
    assert state.checked is ran


# -- what commands get -----------------------------------------------------------------------------------------------


def test_output_is_kept_to_the_byte(attempt: Attempt) -> None:
    data = bytes(range(256)) * 300
    (attempt.folder / "data").write_bytes(data)
    _wait(attempt.sh(f"cat {attempt.folder}/data; cat {attempt.folder}/data >&2"))
    assert attempt.log() == data * 2


def test_stdin_is_at_its_end(attempt: Attempt) -> None:
    _wait(attempt.sh("readlink /proc/self/fd/0; cat; echo after"))
    assert attempt.log() == b"/dev/null\nafter\n"


@pytest.mark.parametrize("only_if", ["", "true"])
def test_the_environment_is_the_given_one_and_the_working_folder(attempt: Attempt, only_if: str) -> None:
    given = {"s": "mine", "EMPTY": "", "LINES2": "a\nb", "PWD": "/wrong", "OPTS": "-e", "U": "ü"}
    _wait(attempt.start("env", "-0", cwd="/usr", only_if=only_if, **given))
    seen = dict(entry.split("=", 1) for entry in attempt.log().decode().split("\0") if entry)
    assert seen == {**attempt.environment, **given, "PWD": "/usr"}


SIGNALS = """
import os, signal
wrong = [n for n in signal.valid_signals() if n not in (9, 19, 2, 13, 25) and signal.getsignal(n) != signal.SIG_DFL]
status = open('/proc/self/status').read()
print(wrong, status.split('SigBlk:')[1].split()[0], 0 if signal.getsignal(2) is signal.default_int_handler else 'INT')
"""


def test_signals_are_at_their_defaults_whatever_jobctl_was_started_with(attempt: Attempt) -> None:
    # As under nohup, as a background job of a script, with everything blocked.
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGPIPE]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = attempt.start(sys.executable, "-c", SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _wait(pid)
    assert attempt.log().decode() == "[] 0000000000000000 0\n"


def test_a_step_has_a_session_of_its_own(attempt: Attempt) -> None:
    pid = attempt.sh("cut -d' ' -f5,6 /proc/self/stat")
    _wait(pid)
    assert attempt.log().decode() == f"{pid} {pid}\n"


UMASK = """
import os, sys
os.umask(int(sys.argv[2], 8))
from jobctl.process import launch
from jobctl.process.attempt import AttemptFiles
launch.private_files(); launch.private_files()
files = AttemptFiles(sys.argv[1], "main", 1)
os.waitpid(launch.launch(files, ["sh", "-c", "umask"], dict(os.environ), cwd="/"), 0)
"""


@pytest.mark.parametrize("umask", ["0022", "0002", "0000", "0077", "0027"])
def test_commands_have_the_umask_that_jobctl_was_started_with(attempt: Attempt, umask: str) -> None:
    subprocess.run([sys.executable, "-c", UMASK, str(attempt.folder), umask], check=True)
    assert attempt.log().decode() == f"{umask}\n"
    for path in (attempt.files.state, attempt.files.log):
        assert os.stat(path).st_mode & 0o777 == 0o600


def test_no_descriptor_is_passed_on_be_it_ours_or_of_who_started_us(attempt: Attempt) -> None:
    read, write = os.pipe()
    body = UMASK.replace('"umask"', '"ls /proc/self/fd"')
    subprocess.run([sys.executable, "-c", body, str(attempt.folder), "0022"], check=True, pass_fds=[write], timeout=20)
    os.close(read)
    os.close(write)
    assert set(attempt.log().split()) == {b"0", b"1", b"2", b"3"}  # 3: the folder that ls reads


# -- two keepers, no room --------------------------------------------------------------------------------------------


def test_of_two_keepers_for_one_attempt_the_second_goes_away(attempt: Attempt) -> None:
    first = attempt.sh("echo ran; while [ ! -e end ]; do sleep 0.01; done", cwd=str(attempt.folder))
    attempt.until(attempt.log)
    assert _wait(attempt.sh("echo ran twice")) == launch.WENT_AWAY
    assert launch.find(attempt.files, attempt.token) == first
    (attempt.folder / "end").touch()
    assert _wait(first) == 0
    assert attempt.log() == b"ran\n"
    assert _wait(attempt.sh("echo ran again")) == launch.WENT_AWAY
    assert attempt.log() == b"ran\n"


def test_of_many_keepers_at_once_one_runs(attempt: Attempt) -> None:
    pids = [attempt.sh("echo ran") for _ in range(12)]
    assert sorted(_wait(pid) for pid in pids) == [0] + [launch.WENT_AWAY] * 11
    assert attempt.log() == b"ran\n"


def test_on_a_full_disk_nothing_starts_and_nothing_stays(small_disk: Path) -> None:
    attempt = Attempt(small_disk)
    Path(attempt.files.log).touch()
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    assert _wait(attempt.sh("echo ran")) == launch.WENT_AWAY
    assert not os.path.exists(attempt.files.state)
    (small_disk / "filler").unlink()
    assert _wait(attempt.sh("echo ran")) == 0
    assert attempt.log() == b"ran\n"


@pytest.mark.parametrize(
    ("argv", "environment", "says", "passing"),
    [
        (["true", "x" * 200_000], {}, "E2BIG", False),
        (["true"], {"BIG": "x" * 200_000}, "E2BIG", False),
        (["true", "a\0b"], {}, "null", False),
        (["true"], {"A": "a\0b"}, "null", False),
    ],
)
def test_what_cannot_be_started(
    attempt: Attempt, argv: Sequence[str], environment: dict[str, str], says: str, passing: bool
) -> None:
    with pytest.raises(launch.LaunchError, match=says) as caught:
        attempt.start(*argv, **environment)
    assert caught.value.passing is passing


def test_a_folder_that_is_gone_is_no_passing_matter(tmp_path: Path) -> None:
    with pytest.raises(launch.LaunchError) as caught:
        Attempt(tmp_path / "gone").sh("true")
    assert not caught.value.passing


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.ENFILE])
def test_want_of_something_may_pass(attempt: Attempt, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def spawn(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_spawn", spawn)
    with pytest.raises(launch.LaunchError) as caught:
        attempt.sh("true")
    assert caught.value.passing


# -- found again -----------------------------------------------------------------------------------------------------


def test_a_living_keeper_is_found_and_an_ended_one_is_not(attempt: Attempt) -> None:
    assert launch.find(attempt.files, attempt.token) is None
    pid = attempt.sh("echo up; sleep 60")
    attempt.until(attempt.log)
    assert launch.find(attempt.files, attempt.token) == pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert launch.find(attempt.files, attempt.token) is None  # a zombie
    _wait(pid)
    assert launch.find(attempt.files, attempt.token) is None


@pytest.mark.parametrize(
    ("pid", "token"),
    [
        ("self", "ours"),  # a process that has the pid now, in another session's lead or none
        ("other keeper", "other"),
        ("1", "ours"),
        ("4194304", "ours"),
    ],
)
def test_a_pid_that_became_somebody_elses_is_not_ours(attempt: Attempt, pid: str, token: str) -> None:
    stranger = subprocess.Popen(
        ["sleep", "60"], start_new_session=True, env={**os.environ, launch.TOKEN: attempt.token + token}
    )
    number = {"self": str(os.getpid()), "other keeper": str(stranger.pid)}.get(pid, pid)
    Path(attempt.files.state).write_text(f"{number}\n")
    try:
        assert launch.find(attempt.files, attempt.token) is None
        assert launch.sweep(attempt.token) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_carries_the_token_is_not_the_keeper(attempt: Attempt) -> None:
    child = subprocess.Popen(["sleep", "60"], env=attempt.environment)
    Path(attempt.files.state).write_text(f"{child.pid}\n")
    assert launch.find(attempt.files, attempt.token) is None
    assert launch.members(attempt.token) == [child.pid]
    assert launch.sweep(attempt.token) == 1
    assert child.wait(10) == -signal.SIGKILL


def test_nobody_is_taken_for_dead_for_want_of_a_descriptor(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt.sh("echo up; sleep 60")
    attempt.until(attempt.log)
    real = os.open

    def full(path: str, *how: int) -> int:
        if path.startswith("/proc/"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *how)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="Too many"):
        launch.find(attempt.files, attempt.token)
    with pytest.raises(OSError, match="Too many"):
        launch.sweep(attempt.token)
    monkeypatch.undo()


# -- stopped for certain ---------------------------------------------------------------------------------------------

DAEMON = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); os.read(os.pipe()[0], 1)"
ESCAPES = [
    "sleep 60 &",
    "(sleep 60 &) &",
    "setsid sleep 60 &",
    "setsid sh -c 'setsid sleep 60 & exit' &",
    "nohup sh -c 'trap \"\" TERM HUP INT; sleep 60' &",
    f"{sys.executable} -c '{DAEMON}' &",
]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("lives", [True, False])
def test_no_child_escapes_a_sweep(attempt: Attempt, escape: str, lives: bool) -> None:
    pid = attempt.sh(f"{escape} echo up; {'sleep 60' if lives else 'sleep 0.1'}")
    attempt.until(attempt.log)
    if not lives:
        _wait(pid)
    attempt.until(lambda: len(launch.members(attempt.token)) >= 1)
    assert launch.sweep(attempt.token) >= 1
    assert launch.members(attempt.token) == []


def test_a_sweep_takes_nothing_that_only_looks_alike(attempt: Attempt) -> None:
    tokens = [attempt.token + "0", attempt.token[:-1], "x" + attempt.token]
    others = [subprocess.Popen(["sleep", "60"], env={launch.TOKEN: token}) for token in tokens]
    others.append(subprocess.Popen(["sleep", "60"], env={"A": f"{launch.TOKEN}={attempt.token}"}))
    try:
        assert launch.sweep(attempt.token) == 0
        assert [other.poll() for other in others] == [None] * 4
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_token_that_lies_across_two_reads_is_found(attempt: Attempt) -> None:
    for size in (65_520, 65_530, 65_536, 65_600, 131_000):
        child = subprocess.Popen(
            ["sleep", "60"], env={"A": "x" * (size // 2), "B": "x" * (size // 2), launch.TOKEN: attempt.token}
        )
        assert launch.sweep(attempt.token) == 1
        assert child.wait(10) == -signal.SIGKILL


def test_a_request_to_end_reaches_those_outside_the_group_too(attempt: Attempt) -> None:
    pid = attempt.sh("setsid sleep 60 & echo up; sleep 60")
    attempt.until(lambda: len(launch.members(attempt.token)) >= 3)
    attempt.until(lambda: any(os.getsid(member) != pid for member in launch.members(attempt.token)))
    sent = launch.signal_members(attempt.token, signal.SIGTERM, outside=pid)
    assert len(sent) == 1
    attempt.until(lambda: sent[0] not in launch.members(attempt.token))
    assert launch.find(attempt.files, attempt.token) == pid


@pytest.mark.parametrize("pid", [4194304, 1])
def test_a_group_that_is_gone_is_no_error(pid: int) -> None:
    launch.signal_group(pid if pid != 1 else 4194303, 0)
