"""A state folder with definitions and the duties of one daemon on it, called with a hand-set clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import kept
from jobctl.core.model import Job
from jobctl.core.run.history import Event
from jobctl.core.run.rows import RunRow
from jobctl.definitions.files import Catalog, read_files
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker import dispatcher
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.scheduler import Scheduler
from jobctl.engines.local.worker.starter import Starter
from jobctl.engines.local.worker.take import Failed
from jobctl.host.host import Host
from jobctl.store.store import Store

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
PATIENCE = float(os.environ.get("JOBCTL_TEST_PATIENCE", "60"))  # seconds

# A command that goes on until `let_go`.
HELD = "until [ -e go ]; do sleep 0.01; done"


def job(schedule: str, command: str = "true", name: str = "x", **keys: object) -> str:
    """A job of a definitions file; `keys` are further ones, as TOML values."""
    lines = [f"[jobs.{name}]", f"schedule = {schedule}", f"command = '{command}'"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in keys.items())]) + "\n"


class Place:
    """One daemon's store, engine and duties. Several on one folder are several daemons."""

    def __init__(self, folder: Path, *, maximum: int = 50) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(0o700, exist_ok=True)
        self.store = Store(str(self.state))
        self.failed: list[Failed] = []
        self.told: list[Event] = []
        self.engine = LocalEngine(self.store, Executor(str(self.state), "daemon"), observer=self, host=Host())
        self.capacity = Capacity(self.store, self.engine.executor.id, maximum)
        self.starter = Starter(self.store, self.engine, self.capacity, self.failed.append)
        self.scheduler = Scheduler(self.store, self.starter)
        self.path = folder / "jobs.toml"

    def recorded(self, run: LiveRun, events: list[Event]) -> None:  # noqa: ARG002 - an Observer
        self.told += events

    def catalog(self) -> Catalog:
        return read_files([str(self.path)])

    def arm(self, text: str | None = None, now: int = NOW) -> None:
        """Have the scheduler take what the file says, or this."""
        if text is not None:
            self.path.write_text(text)
        catalog = self.catalog()
        self.capacity.set_queues(catalog.queues)
        self.scheduler.arm(catalog.jobs, [str(self.path)], now)
        if self.scheduler.is_ahead(now):
            self.scheduler.resync(now)

    def job(self, name: str = "x") -> Job:
        return self.catalog().jobs[name]

    def fire(self, now: int) -> None:
        """All that has come, in as many turns as it takes."""
        self.capacity.refresh()
        while (due := self.scheduler.next_due()) is not None and due <= now:
            self.scheduler.once(now)

    def dispatch(self) -> list[tuple[str, str]]:
        return dispatcher.once(self.store, self.engine, self.capacity, self.failed.append)

    def runs(self, job: str = "x") -> list[RunRow]:
        """Oldest first."""
        return list(reversed(self.store.history(job=job, limit=10_000)))

    def fired(self, job: str = "x") -> list[int]:
        """Fire times that got a run, in milliseconds after NOW, in the order of the runs."""
        return [row.fire_time - NOW for row in self.runs(job) if row.fire_time is not None]

    def statuses(self, job: str = "x") -> list[str]:
        return [row.status for row in self.runs(job)]

    def dropped(self, job: str = "x") -> list[tuple[str, int, int, int]]:
        """(outcome, first, last, how many) of fire times without a run, in milliseconds after NOW."""
        return [
            (outcome, first - NOW, last - NOW, count)
            for outcome, first, last, count in self.store._rows(
                "SELECT outcome, fire_time, last, count FROM firings f JOIN schedules s ON s.id = f.schedule"
                " WHERE run IS NULL AND job = ? ORDER BY fire_time",
                job,
            )
        ]

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, [str(event.type) for event in self.told]
            self.engine.turn(20)

    def settle(self) -> None:
        """Until nothing is under way any more."""
        self.until(lambda: not self.engine.busy)

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def die(self) -> None:
        """The daemon is gone; its commands run on."""
        self.engine.close()
        self.store.close()

    def close(self) -> None:
        self.die()
        kept.end_all(self.state)

    def log(self, run: RunRow) -> str:
        return Path(self.state, "runs", run.name, "main.1.log").read_text()
