"""Where the world is put in the product's way: processes and waiting for them, chance, and SQLite's commits. Its clocks
the product is handed: `World.host`.

Everything else - core, store, engine, duties, files, locks - is the product's own.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from jobctl.engines.local import executor
from jobctl.engines.local import loop as local
from jobctl.engines.local.worker import duties, resident
from jobctl.process import bare, descent, keepers, kernel, supervisor
from jobctl.process.descent import Proc
from jobctl.store import database, queries

from .keeping import KeeperProcess, SimLink
from .world import Child, World


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
        self._pids: dict[int, Callable[[], object]] = {}
        self._acts: dict[int, Callable[[], object]] = {}  # real descriptors, and links, which are below 0
        assert world.actor is not None
        self._actor = world.actor
        world.actor.watch = self  # type: ignore[attr-defined]
        self.links: dict[int, SimLink] = {}

    @property
    def ended(self) -> bool:
        """Whether something is to be heard: of a keeper, or the end of a process."""
        return any(link.has_news for link in self.links.values()) or any(not self._lives(pid) for pid in self._pids)

    def add(self, fd: int, act: Callable[[], object]) -> None:
        self._acts[fd] = act
        if fd < 0:
            self.links[fd] = self._world.link(fd)  # type: ignore[assignment]

    def drop(self, fd: int) -> None:
        self._acts.pop(fd, None)
        self.links.pop(fd, None)

    def process(self, pid: int, act: Callable[[], object]) -> None:
        self._pids[pid] = act

    @property
    def poked(self) -> bool:
        poll = select.poll()
        for fd in self._acts:
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, _: int | None) -> list[Callable[[], object]]:
        found = [act for fd, act in self._acts.items() if (fd >= 0 and self.poked) or self._has_news(fd)]
        gone = [pid for pid in self._pids if not self._lives(pid)]
        gone.sort(key=lambda pid: self._world.processes[pid].ended if pid in self._world.processes else 0)
        return found + [self._pids.pop(pid) for pid in gone]

    def _has_news(self, fd: int) -> bool:
        return fd in self.links and self.links[fd].has_news

    def _lives(self, pid: int) -> bool:
        process = self._world.processes.get(pid)
        return process is not None and process.alive

    def close(self) -> None:
        for link in list(self.links.values()):
            link.close()


def connection_class(world: World) -> type[sqlite3.Connection]:
    class Connection(sqlite3.Connection):
        """SQLite's, with the seams before and after what makes a transaction."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                world.seam("begin")
                if world.mono < world.outage_until:
                    full = sqlite3.OperationalError("database or disk is full")
                    full.sqlite_errorname, full.sqlite_errorcode = "SQLITE_FULL", sqlite3.SQLITE_FULL
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

    def make(*, fork: bool = False) -> SimLink:
        del fork
        world.seam("make")
        actor = world.actor
        link = SimLink(world, KeeperProcess(world, actor), maker=True)  # type: ignore[arg-type]
        world.add_link(link)
        return link

    def connect(folder: str, name: str) -> SimLink | None:
        keeper = world.keepers.get(os.path.join(folder, name))
        if keeper is None or not keeper.alive or keeper.makers is not None or world.mono < keeper.stopped_until:
            return None
        link = SimLink(world, keeper, maker=False)
        link.name = name
        world.add_link(link)
        return link

    def lives(folder: str, name: str) -> bool:
        keeper = world.keepers.get(os.path.join(folder, name))
        return keeper is not None and keeper.alive

    def look(pid: int) -> Proc | None:
        process = world.processes.get(pid)
        if process is None or not (process.alive or process.parent):
            return None
        return Proc(pid, "S" if process.alive else "Z", process.parent, pid, pid, process.born)

    def carries(pid: int, token: str) -> bool:
        process = world.processes.get(pid)
        return process is not None and process.alive and process.token == token

    def children(_: int) -> list[int]:
        """Of whoever acts: those that have ended and are not reaped, too."""
        assert world.actor is not None
        return [pid for pid, process in world.processes.items() if process.parent == world.actor.pid]

    def is_locked(path: str) -> bool:
        return any(process.alive for process in world.log_holders.get(path, ()))

    def signal_group(pid: int, number: int) -> None:
        world.seam("signal")
        if pid in world.processes:
            world.signal(world.processes[pid], number)

    def members(token: str, _: int = 0) -> list[int]:
        return [process.pid for process in world.living(token)]

    def signal_members(token: str, number: int, *, outside: int = 0, mark: int = 0) -> list[int]:
        del mark
        sent = [process for process in world.living(token) if not outside or isinstance(process, Child)]
        for process in sent:
            world.signal(process, number)
        return [process.pid for process in sent]

    def sweep(token: str, _: int = 0) -> int:
        return len(signal_members(token, signal.SIGKILL))

    def waitpid(pid: int, _: int) -> tuple[int, int]:
        process = world.processes.get(pid)
        if process is None or world.actor is None or process.parent != world.actor.pid:
            raise ChildProcessError(pid)
        if process.alive:
            return 0, 0
        process.parent = 0
        return pid, process.status << 8 if process.status >= 0 else -process.status

    def pidfd_open(_: int) -> int:
        raise OSError(errno.ENOSYS, "not here")

    def unlink(path: str) -> None:
        world.seam("unlink")
        os.unlink(path)

    @contextmanager
    def alone(*_: object) -> Iterator[None]:
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

    def open_store(path: str, **how: Any) -> sqlite3.Connection:
        return sqlite3.connect(path, factory=connection, **how)

    world.executor_class = Executor
    replaced = [
        (keepers, {"make": make, "connect": connect, "lives": lives, "reap": lambda: None, "reap_one": lambda _: True}),
        (
            descent,
            {
                "look": look,
                "carries": carries,
                "mark_of": lambda pid: getattr(world.processes.get(pid), "mark", 0),
                "children": children,
                "signal_group": signal_group,
                "members": members,
                "signal_members": signal_members,
                "sweep": sweep,
            },
        ),
        (kernel, {"become_subreaper": lambda: True, "namespace": lambda: "sim", "is_locked": is_locked}),
        (supervisor, {"os": Instead(os, waitpid=waitpid, unlink=unlink, pidfd_open=pidfd_open)}),
        (bare, {"os": Instead(os, pidfd_open=pidfd_open)}),
        (local, {"Watch": lambda: Watch(world), "private_files": lambda: None}),
        (duties, {"alone": alone}),
        (resident, {"Executor": Executor}),
        (executor, {"os": Instead(os, urandom=world.random_bytes, getpid=getpid)}),
        (queries, {"os": Instead(os, urandom=world.random_bytes)}),
        (database, {"sqlite3": Instead(sqlite3, connect=open_store)}),
    ]
    patches = [patch.multiple(module, create=True, **names) for module, names in replaced]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
