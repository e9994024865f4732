"""Waiting for processes, descriptors and moments: with pidfds, and without them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

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


def _until_ended(watch: Watch, count: int = 1) -> list[int]:
    ended: list[int] = []
    deadline = time.monotonic() + 20
    while len(ended) < count:
        assert time.monotonic() < deadline
        ended += watch.wait(1_000)[0]
    return ended


def test_the_end_of_a_process_is_reported_once(watch: Watch) -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    watch.add(child.pid)
    assert watch.wait(0) == ([], False)
    assert child.stdin is not None
    child.stdin.close()
    assert _until_ended(watch) == [child.pid]
    assert watch.wait(60) == ([], False)
    assert child.wait() == 0  # it was not reaped here


def test_a_process_that_has_ended_already_is_reported(watch: Watch) -> None:
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    watch.add(zombie.pid)
    assert _until_ended(watch) == [zombie.pid]
    zombie.wait()
    watch.add(zombie.pid)  # gone for good: adopted, and then it ended
    assert _until_ended(watch) == [zombie.pid]


def test_all_of_several_are_reported(watch: Watch) -> None:
    children = [subprocess.Popen(["true"]) for _ in range(20)]
    for child in children:
        watch.add(child.pid)
    assert sorted(_until_ended(watch, 20)) == sorted(child.pid for child in children)
    for child in children:
        child.wait()


def test_a_process_that_is_nobodys_child_is_watched(watch: Watch) -> None:
    body = "sleep 0.3 >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(subprocess.run(["sh", "-c", body], capture_output=True, text=True, check=True).stdout)
    watch.add(pid)
    assert _until_ended(watch) == [pid]


def test_a_descriptor_wakes(watch: Watch) -> None:
    read, write = os.pipe()
    watch.add_descriptor(read)
    assert watch.wait(0) == ([], False)
    os.write(write, b"x")
    assert watch.wait(None) == ([], True)
    assert watch.wait(0) == ([], True)  # until it is read
    os.read(read, 1)
    assert watch.wait(0) == ([], False)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("timeout", [-5, 0, 10**15])
def test_no_timeout_is_too_odd(watch: Watch, timeout: int) -> None:
    read, write = os.pipe()
    os.write(write, b"x")
    watch.add_descriptor(read)
    assert watch.wait(timeout) == ([], True)
    os.close(read)
    os.close(write)


def test_a_watch_leaves_no_descriptor_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    watch = Watch()
    children = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(3)]
    for child in children:
        watch.add(child.pid)
    children[0].communicate()
    _until_ended(watch)
    watch.close()
    for child in children:
        child.communicate()
    assert len(os.listdir("/proc/self/fd")) == before
