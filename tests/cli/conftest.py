"""A folder of its own for every call, with a state folder inside and nothing of the user's around; real runs in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_runs import Runs

from jobctl.core.run.history import EventType


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, which is the user's home too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JOBCTL_STATE_DIR", str(tmp_path / "state"))
    for name in ("JOBCTL_FILE", "JOBCTL_DEBUG", "NO_COLOR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def runs(folder: Path) -> Iterator[Runs]:
    umask = os.umask(0o077)
    made = Runs(folder)
    try:
        yield made
    finally:
        made.let_go()
        for run in list(made.engine.runs.values()):
            made.ask(run, EventType.TERMINATE_REQUESTED)
        made.until(lambda: not made.engine.busy)
        made.engine.close()
        made.store.close()
        os.umask(umask)
