"""Real runs for the tests of commands, made by an engine in the test's own process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobctl.core.model import Job, Step, encode
from jobctl.core.run.history import EventType
from jobctl.core.run.rows import NewRun
from jobctl.definitions import masking
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.host.host import Host
from jobctl.store.queries import new_name
from jobctl.store.store import Store

PATIENCE = 60.0  # seconds until a test that waits for something gives up

# A command that goes on until `Runs.let_go` says so.
HELD = "until [ -e go ]; do sleep 0.01; done"


class Runs:
    """Runs of an engine in this process, and their store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        state = folder / "state"
        state.mkdir(0o700, exist_ok=True)
        self.store = Store(str(state))
        self._engine: LocalEngine | None = None

    @property
    def engine(self) -> LocalEngine:
        if self._engine is None:
            self._engine = LocalEngine(self.store, Executor(self.store.state_dir, "foreground"), host=Host())
        return self._engine

    def job(self, *steps: Step, name: str = "job", **fields: Any) -> Job:
        return Job(name, str(self.folder), steps, **fields)

    def start(self, job: Job, *, name: str = "", params: dict[str, Any] | None = None) -> LiveRun:
        """A run that the engine has begun."""
        new = NewRun(name or new_name(job.name), job.name, encode(masking.redact(job)))
        run = self.engine.submit(new, job, params or {}, env_file={})
        self.engine.turn(0)
        return run

    def done(self, job: Job, *, name: str = "", params: dict[str, Any] | None = None) -> str:
        """A run to its end; its name."""
        run = self.start(job, name=name, params=params)
        self.until(lambda: run.state.status is not None and run.state.status.final)
        return run.name

    def until(self, reached: Callable[[], bool]) -> None:
        """Drive the engine until then."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline, "it never came to this"
            self.engine.turn(10)

    def ask(self, run: LiveRun, kind: EventType, reason: str = "because") -> None:
        self.engine.request(run, kind, reason=reason, by="me")
        self.engine.turn(0)

    def die(self) -> None:
        """The executor is gone; what it ran is interrupted, and its attempts go on."""
        self.engine.close()
        self._engine = None

    def let_go(self) -> None:
        """HELD commands end."""
        (self.folder / "go").touch()
