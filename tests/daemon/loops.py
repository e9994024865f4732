"""A daemon in this process, turned by the test, with a real store, real commands, and what it says."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from places import PATIENCE

import kept
from jobctl.daemon.log import Journal
from jobctl.daemon.loop import Daemon
from jobctl.daemon.systemd import Notifier
from jobctl.engines.local.client import LocalClient
from jobctl.engines.local.worker.resident import hired
from jobctl.host.host import Host
from jobctl.store.store import Store


class Loop:
    def __init__(self, folder: Path, text: str, **environ: str) -> None:
        self.path = folder / "jobs.toml"
        self.path.write_text(text)
        self.folder = folder
        state = folder / "state"
        state.mkdir(0o700, exist_ok=True)
        self.store = Store(str(state))
        self.stream = io.StringIO()
        self.daemon = Daemon(
            hired(LocalClient(self.store), max_concurrent_runs=10, keeper=None),
            [str(self.path)],
            journal=Journal("json", self.stream, host=Host()),
            notifier=Notifier(environ),
            host=Host(),
        )
        self.daemon.start()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.said()]

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.messages()
            self.daemon.turn(10)

    def statuses(self, job: str = "x") -> list[str]:
        return [row.status for row in reversed(self.store.history(job=job))]

    def close(self) -> None:
        self.daemon.close()
        self.store.close()
        kept.end_all(self.store.state_dir)
