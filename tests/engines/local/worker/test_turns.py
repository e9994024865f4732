"""One daemon at a time decides what begins; one that is killed while it does blocks nobody."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.engines.local.worker.turns import alone
from jobctl.host.host import Host

HOLDER = """
import sys, time
from jobctl.engines.local.worker.turns import alone
from jobctl.host.host import Host
with alone(sys.argv[1], Host()):
    print("mine", flush=True)
    time.sleep(60)
"""


def _free(folder: Path) -> bool:
    with (folder / "daemon.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_it_is_held_for_as_long_as_it_is_decided(tmp_path: Path) -> None:
    with alone(str(tmp_path), Host()):
        assert not _free(tmp_path)
    assert _free(tmp_path)
    with pytest.raises(KeyError), alone(str(tmp_path), Host()):
        raise KeyError
    assert _free(tmp_path)


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    assert not _free(tmp_path)
    holder.kill()
    holder.communicate()
    with alone(str(tmp_path), Host()):
        assert not _free(tmp_path)


def test_one_that_does_not_let_go_does_not_stop_the_others_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.engines.local.worker.turns.PATIENCE_MS", 20)
    with (
        alone(str(tmp_path), Host()),
        pytest.raises(TimeoutError, match="another daemon on this state folder"),
        alone(str(tmp_path), Host()),
    ):
        pass
    with alone(str(tmp_path), Host()):
        assert not _free(tmp_path)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), alone(str(tmp_path / "gone"), Host()):
        pass
