"""Whether an executor lives, and waking it: in real processes, some of them killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.engines.local.executor import Executor, alive, forget, poke

BODY = """
import sys
from jobctl.engines.local.executor import Executor
executor = Executor(sys.argv[1], "foreground")
print(executor.id, flush=True)
sys.stdin.readline()
executor.close()
"""


def _elsewhere(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", BODY, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("end", ["in order", signal.SIGTERM, signal.SIGKILL])
def test_an_executor_lives_until_its_process_ends_and_no_longer(tmp_path: Path, end: str | int) -> None:
    process, name = _elsewhere(tmp_path)
    for _ in range(3):  # asking changes nothing
        assert alive(str(tmp_path), name)
    if isinstance(end, int):
        process.send_signal(end)
        process.wait(10)
    else:
        process.communicate("\n", timeout=10)
    assert not alive(str(tmp_path), name)
    assert not poke(str(tmp_path), name)
    left = sorted(path.suffix for path in (tmp_path / "executors").iterdir())
    assert left == ([] if end == "in order" else [".lock", ".wake"])
    forget(str(tmp_path), name)
    forget(str(tmp_path), name)
    assert list((tmp_path / "executors").iterdir()) == []


def test_a_stopped_executor_is_slow_and_not_dead(tmp_path: Path) -> None:
    process, name = _elsewhere(tmp_path)
    process.send_signal(signal.SIGSTOP)
    assert alive(str(tmp_path), name)
    process.kill()
    process.wait(10)
    assert not alive(str(tmp_path), name)


def test_what_an_executor_starts_does_not_hold_its_lock(tmp_path: Path) -> None:
    executor = Executor(str(tmp_path), "foreground")
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    executor.close()
    try:
        assert not alive(str(tmp_path), executor.id)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("times", [1, 3, 100_000])
def test_a_poke_wakes_and_never_blocks(tmp_path: Path, times: int) -> None:
    executor = Executor(str(tmp_path), "foreground")
    for _ in range(times):
        assert poke(str(tmp_path), executor.id)
    assert select.select([executor.wake_fd], [], [], 5)[0]
    executor.drain()
    assert not select.select([executor.wake_fd], [], [], 0)[0]
    executor.drain()  # with nothing to read
    executor.close()


@pytest.mark.parametrize("name", ["", "0000", "nobody"])
def test_nobody_is_not_alive(tmp_path: Path, name: str) -> None:
    assert not alive(str(tmp_path), name)
    assert not poke(str(tmp_path), name)


def test_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        executor = Executor(str(tmp_path), "foreground")
    finally:
        os.umask(before)
    folder = tmp_path / "executors"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    executor.close()


def test_two_executors_of_one_process_are_two(tmp_path: Path) -> None:
    one, two = Executor(str(tmp_path), "foreground"), Executor(str(tmp_path), "daemon")
    assert one.id != two.id
    one.close()
    assert not alive(str(tmp_path), one.id)
    assert alive(str(tmp_path), two.id)
    two.close()
