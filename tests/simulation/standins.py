"""Where the world is put in the product's way: the clock, processes and waiting for them, chance, and SQLite's commits.

Everything else - core, store, engine, duties, files, locks - is the product's own.
"""

from __future__ import annotations

import os
import select
import signal
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from jobctl import clock, executor
from jobctl.daemon import loop
from jobctl.engines import local
from jobctl.process import launch
from jobctl.process.attempt import AttemptFiles, read_state
from jobctl.store import store

from .world import Actor, Child, World


class Instead:
    """A module with some of its names replaced, for one other module."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class Watch:
    """In place of process/watch.py: it never blocks, the world's time passes elsewhere."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pids: set[int] = set()
        self._poll = select.poll()
        world.after_end.append(self._told)
        assert world.actor is not None
        world.actor.watch = self  # type: ignore[attr-defined]
        self.ended = False

    def _told(self, pid: int) -> None:
        self.ended = self.ended or pid in self._pids

    def add(self, pid: int) -> None:
        self._pids.add(pid)
        process = self._world.processes.get(pid)
        self.ended = self.ended or process is None or not process.alive

    def add_descriptor(self, fd: int) -> None:
        self._poll.register(fd, select.POLLIN)

    @property
    def poked(self) -> bool:
        return bool(self._poll.poll(0))

    def wait(self, _: int | None) -> tuple[list[int], bool]:
        gone = [pid for pid in self._pids if not self._lives(pid)]
        gone.sort(key=lambda pid: self._world.processes[pid].ended if pid in self._world.processes else 0)
        self._pids.difference_update(gone)
        self.ended = False
        return gone, self.poked

    def _lives(self, pid: int) -> bool:
        process = self._world.processes.get(pid)
        return process is not None and process.alive

    def close(self) -> None:
        if self._told in self._world.after_end:
            self._world.after_end.remove(self._told)


def connection_class(world: World) -> type[sqlite3.Connection]:
    class Connection(sqlite3.Connection):
        """SQLite's, with the seams before and after what makes a transaction."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                world.seam("begin")
                if world.mono < world.outage_until:
                    full = sqlite3.OperationalError("database or disk is full")
                    full.sqlite_errorname = "SQLITE_FULL"
                    raise full
            elif sql == "COMMIT":
                world.seam("commit")
                found = super().execute(sql)
                if world.judge is not None:
                    world.judge.committed()  # type: ignore[attr-defined]
                world.seam("committed")
                return found
            return super().execute(sql, *values)

    return Connection


@contextmanager
def installed(world: World) -> Iterator[None]:
    """The product lives in this world."""

    def do_launch(
        files: AttemptFiles, argv: Sequence[str], environment: Mapping[str, str], *, cwd: str, only_if: str = "",
        shell: str = "/bin/sh",
    ) -> int:  # fmt: skip
        del argv, cwd, shell
        return world.launch(files, dict(environment), only_if)

    def find(files: AttemptFiles, token: str) -> int | None:
        state = read_state(files.state)
        if state is None or state.pid is None or state.status is not None:
            return None
        process = world.processes.get(state.pid)
        return state.pid if process is not None and process.alive and process.token == token else None

    def signal_group(pid: int, number: int) -> None:
        world.seam("signal")
        if pid in world.processes:
            world.signal(world.processes[pid], number)

    def members(token: str) -> list[int]:
        return [process.pid for process in world.living(token)]

    def signal_members(token: str, number: int, *, outside: int = 0) -> list[int]:
        sent = [process for process in world.living(token) if not outside or isinstance(process, Child)]
        for process in sent:
            world.signal(process, number)
        return [process.pid for process in sent]

    def sweep(token: str) -> int:
        return len(signal_members(token, signal.SIGKILL))

    def waitid(_: int, pid: int, __: int) -> SimpleNamespace | None:
        process = _child(world, pid)
        if process.alive:
            return None
        code = os.CLD_EXITED if process.status >= 0 else os.CLD_KILLED
        return SimpleNamespace(si_code=code, si_status=abs(process.status))

    def waitpid(pid: int, _: int) -> tuple[int, int]:
        process = _child(world, pid)
        if process.alive:
            raise AssertionError(f"waits for a process that lives: {pid}")
        process.parent = 0
        return pid, 0

    def unlink(path: str) -> None:
        world.seam("unlink")
        os.unlink(path)

    def boot() -> tuple[str, int]:
        return f"boot-{world.boots}", world.now()

    @contextmanager
    def alone(_: str) -> Iterator[None]:
        if world.deciding is not None:
            raise AssertionError("two daemons decide at once")
        world.deciding = world.actor
        try:
            yield
        finally:
            world.deciding = None

    def getpid() -> int:
        assert world.actor is not None
        return world.actor.pid

    class Executor(executor.Executor):
        def __init__(self, state_dir: str, kind: str) -> None:
            super().__init__(state_dir, kind)
            assert world.actor is not None
            world.actor.executor = self  # type: ignore[attr-defined]

    connection = connection_class(world)

    def connect(path: str, **how: Any) -> sqlite3.Connection:
        return sqlite3.connect(path, factory=connection, **how)

    world.executor_class = Executor
    replaced = [
        (clock, {"now": world.now, "monotonic": lambda: world.mono, "boot": boot}),
        (
            launch,
            {
                "launch": do_launch,
                "find": find,
                "signal_group": signal_group,
                "members": members,
                "signal_members": signal_members,
                "sweep": sweep,
                "private_files": lambda: None,
            },
        ),
        (local, {"Watch": lambda: Watch(world), "os": Instead(os, waitid=waitid, waitpid=waitpid, unlink=unlink)}),
        (loop, {"alone": alone, "Executor": Executor}),
        (executor, {"os": Instead(os, urandom=world.random_bytes, getpid=getpid)}),
        (store, {"os": Instead(os, urandom=world.random_bytes), "sqlite3": Instead(sqlite3, connect=connect)}),
    ]
    patches = [patch.multiple(module, create=True, **names) for module, names in replaced]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()


def _child(world: World, pid: int) -> Any:
    """The process, when the one that acts has started it and not reaped it."""
    actor: Actor | None = world.actor
    process = world.processes.get(pid)
    if process is None or actor is None or process.parent != actor.pid:
        raise ChildProcessError(pid)
    return process
