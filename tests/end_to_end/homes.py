"""A folder with a jobs.toml and a state folder, real jobctl processes in it, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobctl import views
from jobctl.core.errors import NotFoundError
from jobctl.store.store import Store

PATIENCE = 30  # seconds until something that must happen counts as not happening

Document = dict[str, Any]


class Home:
    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        (folder / "jobs.toml").write_text(text)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JOBCTL_", "PYTHONDONTWRITE"))}
        self.environment = {**kept, "HOME": str(folder), "JOBCTL_STATE_DIR": str(self.state)}

    def start(self, *args: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "jobctl", *args],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *args: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
        """(exit code, output) of a jobctl process."""
        process = self.start(*args, before=before)
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"jobctl {args} does not end: {process.communicate()[0]}") from None
        return process.returncode, output

    def document(self) -> Document | None:
        """The latest run as `status --json` has it; None while there is none."""
        try:
            with Store(str(self.state), create=False) as store:
                rows = store.history(limit=1)
                return views.run_document(store, rows[0]) if rows else None
        except NotFoundError:
            return None

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.document()
            time.sleep(0.005)

    def processes(self) -> list[int]:
        """Processes of steps that live: all of them carry a token, and the state folder they belong to."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            ours = f"JOBCTL_STATE_DIR={self.state}".encode() in variables
            if ours and any(variable.startswith(b"JOBCTL_TOKEN=") for variable in variables):
                found.append(int(entry.name))
        return found

    def close(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
