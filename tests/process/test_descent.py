"""Whose a process is, and that nothing else is ever signalled."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hands import until

from jobctl.process import descent
from jobctl.process.descent import TOKEN, Claimant, NotAPidError


@pytest.fixture
def token(tmp_path: Path) -> Iterator[str]:
    one = f"{tmp_path}/x-1/main.1"
    yield one
    descent.sweep(one)


@pytest.mark.parametrize("pid", [-4711, -1, 0, 1])
@pytest.mark.parametrize(
    "send",
    [
        lambda pid: descent.signal_group(pid, signal.SIGKILL),
        lambda pid: descent.signal_process(pid, signal.SIGKILL),
        descent.checked,
    ],
)
def test_an_address_is_never_taken_for_a_process(
    monkeypatch: pytest.MonkeyPatch, pid: int, send: Callable[[int], object]
) -> None:
    for name in ("kill", "killpg", "pidfd_open"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("a signal was sent"))
    with pytest.raises(NotAPidError):
        send(pid)


def test_signals_are_sent_from_one_file_only() -> None:
    """And a pid is checked there: `kill(-1)` as root ends every process of the machine."""
    source = Path(descent.__file__).parents[1]
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        for call in ("os.kill(", "os.killpg(", "pidfd_send_signal(")
        if call in path.read_text()
    }
    assert found == {"process/descent.py", "cli/commands/step.py"}  # there a process sends itself what its part died of


def test_a_group_that_is_gone_is_no_error() -> None:
    descent.signal_group(4194304, 0)


def test_a_sweep_takes_nothing_that_only_looks_alike(token: str) -> None:
    others = [subprocess.Popen(["sleep", "60"], env={TOKEN: one}) for one in (token + "0", token[:-1], "x" + token)]
    others.append(subprocess.Popen(["sleep", "60"], env={"A": f"{TOKEN}={token}"}))
    try:
        assert descent.sweep(token) == 0
        assert [other.poll() for other in others] == [None] * 4
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.parametrize("size", [65_520, 65_530, 65_536, 65_600, 131_000])
def test_a_token_that_lies_across_two_reads_is_found(token: str, size: int) -> None:
    child = subprocess.Popen(["sleep", "60"], env={"A": "x" * (size // 2), "B": "x" * (size // 2), TOKEN: token})
    until(lambda: descent.members(token))  # in the middle of its exec it has no environment
    assert descent.sweep(token) == 1
    assert child.wait(10) == -signal.SIGKILL


def test_a_process_is_found_by_its_mark_alone(token: str) -> None:
    mark = descent.MARKED | 4711
    script = f"import os, resource; resource.setrlimit(10, ({mark}, -1)); os.execve('/bin/sleep', ['x', '60'], {{}})"
    child = subprocess.Popen(["python3", "-c", script])
    until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"x"))
    assert descent.mark_of(child.pid) == mark
    assert descent.members(token, mark) == [child.pid]
    assert descent.sweep(token, mark) == 1
    assert child.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("limit", ["-1", "0", "1024", str(1 << 60)])
def test_a_limit_that_a_person_has_set_is_no_mark(limit: str) -> None:
    script = f"import os, resource; resource.setrlimit(10, ({limit}, -1)); os.execv('/bin/sleep', ['x', '60'])"
    child = subprocess.Popen(["python3", "-c", script])
    until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"x"))
    assert descent.mark_of(child.pid) == 0
    child.kill()
    child.wait()


def test_nobody_is_taken_for_dead_for_want_of_a_descriptor(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: str, *how: int) -> int:
        if path.startswith("/proc/"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *how)

    monkeypatch.setattr(os, "open", full)
    for what in (lambda: descent.sweep(token), lambda: descent.look(os.getpid()), lambda: descent.mark_of(os.getpid())):
        with pytest.raises(OSError, match="Too many"):
            what()


def test_a_name_with_brackets_and_blanks_is_no_riddle(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 ("
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(odd), "60"])
    until(lambda: b"a) R" in Path(f"/proc/{child.pid}/stat").read_bytes())
    found = descent.look(child.pid)
    assert found is not None
    assert (found.pid, found.parent, found.alive) == (child.pid, os.getpid(), True)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = descent.look(child.pid)
    assert found is not None
    assert not found.alive
    child.wait()
    assert descent.look(child.pid) is None


SEEN = "seen below"


@pytest.mark.parametrize(
    ("has", "whose"),
    [
        ("mark", "a"),
        ("other mark", ""),
        ("token", "a"),
        ("other token", ""),
        ("session", "a"),
        (SEEN, "a"),
        ("alone", "a"),
        ("nothing", None),
    ],
)
def test_whose_an_orphan_is(token: str, has: str, whose: str | None) -> None:
    mark = descent.MARKED | 42
    variables = {TOKEN: {"token": token, "other token": token + "0"}[has]} if "token" in has else {}
    limit = {"mark": mark, "other mark": mark + 1}.get(has, -1)
    script = (
        f"import os, resource; resource.setrlimit(10, ({limit}, -1)); os.execve('/bin/sleep', ['x', '60'], {variables})"
    )
    child = subprocess.Popen(["python3", "-c", script], start_new_session=True)
    until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"x"))
    found = descent.look(child.pid)
    assert found is not None
    claimant = Claimant(
        "a",
        token,
        mark,
        found.session if has == "session" else 999_999,
        {child.pid: found.ticks} if has == SEEN else {child.pid: found.ticks + 1},
        found.ticks - 1 if has == "alone" else None,
    )
    try:
        assert descent.whose(found, [claimant]) == whose
    finally:
        child.kill()
        child.wait()
