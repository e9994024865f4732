"""A folder with a jobs.toml and a state folder, real jobctl processes in it, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import looked
from jobctl.core.errors import NotFoundError
from jobctl.core.run.history import EventType
from jobctl.core.run.rows import RunRow
from jobctl.store.store import Store

JOBCTL = (sys.executable, "-m", "jobctl")
PATIENCE = 60  # seconds until something that must happen counts as not happening

Document = dict[str, Any]


class Home:
    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        (folder / "jobs.toml").write_text(text)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JOBCTL_", "PYTHONDONTWRITE"))}
        self.environment = {**kept, "HOME": str(folder)}
        self.put_state(self.state)

    def put_state(self, folder: Path) -> None:
        """Have the state somewhere else."""
        self.state = folder
        self.environment["JOBCTL_STATE_DIR"] = str(folder)

    def start(
        self, *args: str, before: tuple[str, ...] = (), program: tuple[str, ...] = JOBCTL
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*before, *program, *args],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *args: str, before: tuple[str, ...] = (), program: tuple[str, ...] = JOBCTL) -> tuple[int, str]:
        """(exit code, output) of a jobctl process."""
        process = self.start(*args, before=before, program=program)
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
                return looked.run_document(store, rows[0]) if rows else None
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

    def processes(self, *, steps_only: bool = True) -> list[int]:
        """Processes of steps that live: all of them carry a token, and the state folder they belong to. Else also
        jobctl's own."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            ours = f"JOBCTL_STATE_DIR={self.state}".encode() in variables
            is_step = any(variable.startswith(b"JOBCTL_TOKEN=") for variable in variables)
            if ours and (is_step or not steps_only):
                found.append(int(entry.name))
        return found

    def close(self) -> None:
        self.end_all()

    def end_all(self) -> None:
        """Kill all that works on this state folder, jobctl's own processes too."""
        # A killed strace leaves behind what it traced.
        while living := self.processes(steps_only=False):
            for pid in living:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


class Daemons(Home):
    """A home with daemons in it. What they say goes to a file each."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(folder, text)
        self.running: list[subprocess.Popen[str]] = []

    def daemon(
        self,
        *args: str,
        before: tuple[str, ...] = (),
        program: tuple[str, ...] = JOBCTL,
        clock: Path | None = None,
        **environment: str,
    ) -> subprocess.Popen[str]:
        """One that is ready, or has ended before it was."""
        log = self.folder / f"daemon.{len(self.running)}"
        more = {"LD_PRELOAD": str(clock), **environment} if clock is not None else environment
        with log.open("w") as file:
            process = subprocess.Popen(
                [*before, *program, "daemon", *args],
                cwd=self.folder,
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                text=True,
            )
        self.running.append(process)
        self.until(lambda: "ready" in log.read_text() or process.poll() is not None)
        return process

    def daemon_that(self, says: str, *args: str) -> subprocess.Popen[str]:
        """One that has said something of that, before it is ready."""
        log = self.folder / f"daemon.{len(self.running)}"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*JOBCTL, "daemon", *args],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                text=True,
            )
        self.running.append(process)
        self.until(lambda: says in log.read_text())
        return process

    def said(self, number: int = -1) -> str:
        number = number if number >= 0 else len(self.running) + number
        return (self.folder / f"daemon.{number}").read_text()

    def rows(self, job: str | None = None) -> list[RunRow]:
        """Oldest first."""
        try:
            with Store(str(self.state), create=False) as store:
                return list(reversed(store.history(job=job, limit=100_000)))
        except NotFoundError:
            return []

    def run_document(self, name: str) -> dict[str, Any]:
        with Store(str(self.state), create=False) as store:
            return looked.run_document(store, store.find(name))

    def events(self, row: RunRow, kind: EventType) -> int:
        with Store(str(self.state), create=False) as store:
            return sum(1 for event in store.events(row.id) if event.type is kind)

    def executor_of(self, row: RunRow) -> str | None:
        with Store(str(self.state), create=False) as store:
            return store.run(row.id).executor

    def detach(self, job: str) -> str:
        code, output = self.call("run", "--detach", job)
        assert code == 0, output
        return output.strip().splitlines()[-1]

    def go(self) -> None:
        (self.folder / "go").touch()

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        super().close()


def strace(call: str, instant: int) -> tuple[str, ...]:
    """What to begin a command line with, so that the process is killed at its so manieth call of that name."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return (
        *("strace", "-qq", "-o", "/dev/null"),
        *("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={instant}"),
    )


@contextmanager
def interfered(pid: int, calls: str, how: str) -> Iterator[None]:
    """A process, and what it starts, in which these system calls are answered otherwise (strace's inject=)."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={calls}:{how}"],
        stderr=subprocess.PIPE,
    )
    try:
        assert tracer.stderr is not None
        assert b"attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.kill()  # asked to end, it would wait for a process that is in a vfork, and that for what it holds
        tracer.communicate()


def built(source: Path, folder: Path) -> Path:
    """A library to preload, compiled from that file."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = folder / source.with_suffix(".so").name
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source)], check=True)
    return library


CLOCK = Path(__file__).with_name("clock.c")


def set_clock(place: Daemons, offset: int) -> None:
    """Whole or not at all, as a real clock is set."""
    draft = place.folder / "offset.new"
    draft.write_text(f"{offset}\n")
    draft.rename(place.folder / "offset")
