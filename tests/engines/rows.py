"""The engines that the suite runs over, a row each: how a client is come by, and who works. Nothing else of an engine
is named by the suite."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.definitions.files import read_file
from jobctl.engines.connect import connect
from jobctl.host import clock
from jobctl.host.settings import resolve

if TYPE_CHECKING:
    from jobctl.core.model import Job
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run

PATIENCE = 60.0  # seconds until a test that waits for something gives up


class Engine:
    """One engine in one folder: a client, and a worker where a test has one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client: Client = self._connect()

    def _connect(self) -> Client:
        raise NotImplementedError

    def work(self) -> None:
        """Have somebody carry out what is asked."""
        raise NotImplementedError

    def close(self) -> None:
        self.client.close()

    # -- what tests do with any of them --

    def define(self, text: str) -> None:
        (self.folder / "jobs.toml").write_text(text)

    def job(self, name: str = "x") -> Job:
        return read_file(str(self.folder / "jobs.toml")).jobs[name]

    def until(self, holds: Callable[[], object], run: Run | None = None) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, run and [str(e.type) for e in self.client.events(self.client.run(run))]
            time.sleep(0.02)

    def over(self, run: Run) -> Run:
        """The run when it has ended."""
        self.until(lambda: self.client.run(run).over, run)
        return self.client.run(run)

    def waits(self, run: Run, kind: str, step: str) -> None:
        """Until a step waits: for a signal, an approval, a sleep, or (`retry`) for its next attempt."""

        def does() -> bool:
            one = self.client.state(self.client.run(run)).steps.get(step)
            if one is None:
                return False
            return one.retry_at is not None if kind == "retry" else one.waiting is not None

        self.until(does, run)

    def types(self, run: Run) -> list[str]:
        return [str(event.type) for event in self.client.events(self.client.run(run))]


class Local(Engine):
    """This machine: a state folder, and a daemon."""

    _daemon: subprocess.Popen[bytes] | None = None

    def _connect(self) -> Client:
        state = self.folder / "state"
        return connect(resolve({"state_dir": str(state), "file": []}, {}, str(self.folder)), create=True)

    def work(self) -> None:
        words = ["--state-dir", str(self.folder / "state"), "-f", str(self.folder / "jobs.toml"), "daemon", "--quiet"]
        self._daemon = subprocess.Popen([sys.executable, "-m", "jobctl", *words], cwd=self.folder)

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(60)
        super().close()


ENGINES: dict[str, type[Engine]] = {"local": Local}


def now() -> int:
    return clock.now()
