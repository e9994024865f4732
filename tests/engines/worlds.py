"""A store, definitions and engines in one folder: what the engine's tests act in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kept
import looked
from jobctl.core.definition import parameters
from jobctl.core.model import Job, encode
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.definitions.files import env_file_of, read_file
from jobctl.definitions.masking import redact
from jobctl.engines.local import control
from jobctl.engines.local.commands import run_values
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.host.host import Host
from jobctl.process import descent
from jobctl.store.store import Store

PATIENCE = float(os.environ.get("JOBCTL_TEST_PATIENCE", "60"))  # seconds

Document = dict[str, Any]


class World:
    """`engine` is the living executor; `die` and `engine` again is what a crash looks like to the runs."""

    def __init__(self, folder: Path, state: Path | None = None) -> None:
        self.folder = folder
        self.state = str(state if state is not None else folder / "state")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.store = Store(self.state)
        self._engine: LocalEngine | None = None
        self.told: list[Event] = []

    @property
    def engine(self) -> LocalEngine:
        if self._engine is None:
            self._engine = LocalEngine(self.store, Executor(self.state, "foreground"), observer=self, host=Host())
        return self._engine

    def recorded(self, run: LiveRun, events: list[Event]) -> None:  # noqa: ARG002 - an Observer
        self.told += events

    def die(self) -> None:
        """The executor is gone; its commands run on."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def close(self) -> None:
        self.die()
        kept.end_all(self.state)
        self.store.close()

    def job(self, text: str, name: str = "x") -> Job:
        """The job `name` of a definitions file. A text without a table is the body of [jobs.x]."""
        if "[jobs." not in text.partition("[[")[0]:
            text = "[jobs.x]\n" + text
        path = self.folder / "jobs.toml"
        path.write_text(text)
        return read_file(str(path)).jobs[name]

    def start(self, text: str, params: Mapping[str, Any] | None = None) -> LiveRun:
        """A new run of the job x, recorded and begun."""
        job = self.job(text)
        values = parameters.values(job, params or {}, run_values(job, "x-000001", 0))
        new = NewRun(f"x-{len(self.store.history(limit=99)) + 1:06}", "x", encode(redact(job)))
        run = self.engine.submit(new, job, values, env_file=env_file_of(job))
        self.engine.turn(0)
        return run

    def take(self, run: LiveRun, job: Job | None = None) -> LiveRun:
        taken = self.engine.take(run.id, job or run.job, env_file=env_file_of(run.job))
        assert taken is not None
        return taken

    def again(self, run: LiveRun, from_step: str | None = None, updated: str | None = None) -> LiveRun:
        """`resume` of a run that is over, to its end."""
        job = run.job if updated is None else self.job(updated)
        text = None if updated is None else encode(redact(job))
        control.reopen(self.store, self.row(run), job, definition=text, from_step=from_step, by="me", host=Host())
        return self.finish(self.take(run, job))

    def until(self, holds: Callable[[], object]) -> None:
        """Turn the engine until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, [str(event.type) for event in self.told]
            self.engine.turn(20)

    def finish(self, run: LiveRun) -> LiveRun:
        self.until(lambda: not self.engine.busy)
        assert run.state.status is not None
        assert run.state.status.final
        return run

    def run(self, text: str, params: Mapping[str, Any] | None = None) -> LiveRun:
        return self.finish(self.start(text, params))

    def row(self, run: LiveRun) -> RunRow:
        return self.store.run(run.id)

    def document(self, run: LiveRun) -> Document:
        return looked.run_document(self.store, self.row(run))

    def step(self, run: LiveRun, name: str = "main") -> Document:
        return next(step for step in self.document(run)["steps"] if step["name"] == name)

    def events(self, run: LiveRun, kind: EventType | None = None) -> list[Event]:
        return [event for event in self.store.events(run.id) if kind is None or event.type is kind]

    def log(self, run: LiveRun, key: str = "main", number: int = 1) -> str:
        """What the attempt has written; "" before its keeper has begun it."""
        path = Path(self.state, "runs", run.name, f"{key}.{number}.log")
        return path.read_text() if path.exists() else ""

    def keeper(self) -> int:
        """The pid of the keeper of this executor."""
        own = self.engine.supervisor._own
        assert own is not None
        assert own.pid is not None
        return own.pid

    def process(self, run: LiveRun, key: str = "main", number: int = 1) -> int:
        """The pid of an attempt's first process, once there is one."""
        self.engine.flush()
        return kept.process(self.state, f"{run.name}/{key}.{number}")

    def ended(self, run: LiveRun, key: str = "main", number: int = 1) -> None:
        """Wait for the attempt's end, without hearing of it."""
        kept.end(self.state, f"{run.name}/{key}.{number}")

    def kill_keeper(self, pid: int) -> None:
        """And see that it is gone: until it is reaped it is a child of ours."""
        os.kill(descent.checked(pid), signal.SIGKILL)
        os.waitpid(pid, 0)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def alive(self, run: LiveRun) -> list[int]:
        """Processes of the run's attempts."""
        mark = f"JOBCTL_RUN={run.name}".encode()
        here = f"JOBCTL_STATE_DIR={self.state}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    entries = Path("/proc", name, "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if mark in entries and here in entries:
                    found.append(int(name))
        return found


def statuses(document: Document) -> dict[str, str]:
    return {step["name"]: step["status"] for step in document["steps"]}
