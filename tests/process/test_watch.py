"""Waiting for processes, descriptors and moments: with pidfds, and without them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from jobctl.process.descent import NotAPidError
from jobctl.process.watch import Watch


@pytest.fixture(params=["pidfd", "none", "no room"])
def watch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    if request.param == "none":
        monkeypatch.delattr(os, "pidfd_open")
    elif request.param == "no room":

        def full(*_: int) -> int:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(os, "pidfd_open", full)
    opened = Watch()
    yield opened
    opened.close()


def _watched(watch: Watch, pid: int, ended: list[int]) -> None:
    watch.process(pid, lambda: ended.append(pid))


def _until_ended(watch: Watch, ended: list[int], count: int = 1) -> list[int]:
    deadline = time.monotonic() + 20
    while len(ended) < count:
        assert time.monotonic() < deadline
        _turn(watch, 1_000)
    return ended


def _turn(watch: Watch, timeout: int | None) -> int:
    """Call all that is to be called; how much that was."""
    acts = watch.wait(timeout)
    for act in acts:
        act()
    return len(acts)


def test_the_end_of_a_process_is_reported_once(watch: Watch) -> None:
    child, ended = subprocess.Popen(["cat"], stdin=subprocess.PIPE), list[int]()
    _watched(watch, child.pid, ended)
    assert _turn(watch, 60) == 0
    assert child.stdin is not None
    child.stdin.close()
    assert _until_ended(watch, ended) == [child.pid]
    assert _turn(watch, 60) == 0
    assert child.wait() == 0  # it was not reaped here


def test_a_process_that_has_ended_already_is_reported(watch: Watch) -> None:
    zombie, ended = subprocess.Popen(["true"]), list[int]()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    _watched(watch, zombie.pid, ended)
    _until_ended(watch, ended)
    zombie.wait()
    _watched(watch, zombie.pid, ended)  # gone for good: adopted, and then it ended
    assert _until_ended(watch, ended, 2) == [zombie.pid] * 2


def test_all_of_several_are_reported(watch: Watch) -> None:
    children, ended = [subprocess.Popen(["true"]) for _ in range(20)], list[int]()
    for child in children:
        _watched(watch, child.pid, ended)
    assert sorted(_until_ended(watch, ended, 20)) == sorted(child.pid for child in children)
    for child in children:
        child.wait()


def test_a_process_that_is_nobodys_child_is_watched(watch: Watch) -> None:
    body = "sleep 0.3 >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(subprocess.run(["sh", "-c", body], capture_output=True, text=True, check=True).stdout)
    ended = list[int]()
    _watched(watch, pid, ended)
    assert _until_ended(watch, ended) == [pid]


def test_a_descriptor_wakes_until_it_is_dropped(watch: Watch) -> None:
    read, write = os.pipe()
    calls = list[int]()
    watch.add(read, lambda: calls.append(1))
    assert _turn(watch, 0) == 0
    os.write(write, b"x")
    assert _turn(watch, None) == 1
    assert _turn(watch, 0) == 1  # until it is read
    watch.drop(read)
    assert _turn(watch, 0) == 0
    assert calls == [1, 1]
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("timeout", [-5, 0, 10**15])
def test_no_timeout_is_too_odd(watch: Watch, timeout: int) -> None:
    read, write = os.pipe()
    os.write(write, b"x")
    watch.add(read, lambda: None)
    assert _turn(watch, timeout) == 1
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_what_is_no_process_is_not_watched(watch: Watch, pid: int) -> None:
    with pytest.raises(NotAPidError):
        watch.process(pid, lambda: None)


def test_a_watch_leaves_no_descriptor_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    watch, ended = Watch(), list[int]()
    children = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(3)]
    for child in children:
        _watched(watch, child.pid, ended)
    children[0].communicate()
    _until_ended(watch, ended)
    watch.close()
    for child in children:
        child.communicate()
    assert len(os.listdir("/proc/self/fd")) == before
