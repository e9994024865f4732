"""Keepers in the world: the product's own (process/keeper.py, journal.py) on a system that is none, in virtual time.

They die at any seam, are stopped and go on, answer late, and are claimed by others. What commands do is behaviour.py's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from jobctl.process import frames, keepers
from jobctl.process.descent import Claimant, Proc
from jobctl.process.frames import Message
from jobctl.process.journal import Header, Journal
from jobctl.process.keeper import Keeper

from .world import Command, Crash, Process, World

if TYPE_CHECKING:
    from .actors import Body


class SimLink(keepers.Link):
    """An executor's end of a keeper's pipes, or of its socket."""

    def __init__(self, world: World, keeper: KeeperProcess, *, maker: bool) -> None:
        world.links += 1
        self.read = self.write = -world.links
        self.pid = keeper.pid if maker else None
        self.name = ""
        self._bases, self._made = {}, 0
        self.closed = False
        self.keeper = keeper
        self.world = world
        self.gone = False  # the keeper has died
        self.out: list[Message] = []
        self.inbox: list[Message] = []
        self.peer = Peer(self)
        keeper.accept(self.peer, maker)

    def send(self, message: Message) -> None:
        self.out.append(b"\0".join(message).split(b"\0"))

    def flush(self) -> bool:
        out, self.out = self.out, []
        for message in out:
            if self.closed or self.gone:
                return True
            if message[0] == b"start":
                self.world.seam("launch")
                told = frames.fields(message)
                if self.world.judge is not None:
                    run, key, number, _ = parts_of(told["id"])
                    self.world.judge.launched(run, key, number)
            self.peer.inbox.append(message)
            self.keeper.wake()
            if message[0] == b"start":
                self.world.seam("launched")
        return True

    def receive(self) -> tuple[list[Message], bool]:
        found, self.inbox = self.inbox, []
        return found, self.gone and not self.closed

    @property
    def has_news(self) -> bool:
        return not self.closed and (bool(self.inbox) or self.gone)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.keeper.wake()


class Peer:
    """The keeper's end."""

    def __init__(self, link: SimLink) -> None:
        self.link = link
        self.inbox: list[Message] = []
        self.out: list[Message] = []

    def send(self, message: Message) -> None:
        self.out.append(message)

    def flush(self) -> None:
        out, self.out = self.out, []
        if not self.link.closed:
            self.link.inbox += out


class SimJournal(Journal):
    """On real files, with a seam before each record, and no room while the disk is full."""

    world: World

    def write(self, kind: str, id: str, *values: object, wall: int, boot: int) -> None:
        self.world.seam("journal")
        super().write(kind, id, *values, wall=wall, boot=boot)

    def reserve(self, attempts: int) -> None:
        if self.world.mono < self.world.outage_until:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().reserve(attempts)


class KeeperProcess(Process):
    """A keeper: an actor, as far as seams are concerned."""

    def __init__(self, world: World, maker: Body) -> None:
        super().__init__(world.new_pid(), parent=maker.pid)
        self.world = world
        self.maker = maker
        self.name = "k?"
        self.dead = False
        self.core: Keeper | None = None
        self.peers: list[Peer] = []
        self.makers: Peer | None = None
        self.commands: list[Command] = []  # that it has made and not reaped
        self.ended: list[Command] = []  # children that it has not reaped
        self.stopped_until = 0
        self.base = ""
        self._due: int | None = None
        self._in_act = False
        world.add(self)

    def accept(self, peer: Peer, maker: bool) -> None:
        self.peers.append(peer)
        if maker:
            self.makers = peer
        elif self.core is not None:
            self.core.connected(peer)

    def wake(self, delay: int | None = None) -> None:
        """It will find out, in its own time."""
        moment = self.world.mono + (self.world.keeper_delay() if delay is None else delay)
        moment = max(moment, self.stopped_until)
        if self._due is None or moment < self._due:
            self._due = moment
            self.world.at(moment, lambda: self._act(moment))

    def _act(self, moment: int) -> None:
        if not self.alive or self._due != moment:
            return
        if self.world.mono < self.stopped_until:
            self._due = None
            self.wake()
            return
        self._due = None
        before, self.world.actor = self.world.actor, self
        self._in_act = True
        try:
            self._turn()
        except Crash:
            if not self.dead:
                raise
        finally:
            self.world.actor = before
            self._in_act = False
            if self.dead:
                self._buried()

    def _turn(self) -> None:
        if self.core is None and not self._begin():
            return
        core = self.core
        assert core is not None
        for peer in list(self.peers):
            self._read(peer)
        while core.queue:
            core.begin()
        while self.ended:
            process = self.ended.pop(0)
            self.world.seam("keeper")
            core.exited(process.pid, _raw(process.status))
        core.due()
        for peer in list(self.peers):
            peer.flush()
            if peer.link.closed and not peer.inbox:
                core.dropped(peer)
                self.peers.remove(peer)
                if peer is self.makers:
                    self.makers = None
        if self.makers is None and not core.runs_left() and not (core.ends and self.peers):
            self._leave()
            return
        due = self._next_due(core)
        if due is not None:
            self.wake(max(0, due - self.world.mono))

    def _next_due(self, core: Keeper) -> int | None:
        """Without what only looks: a day of looks in vain is 86,400 turns of nothing."""
        looks = (core._look, core._look_at_sizes)
        times = [at for at, _, act, _ in core._timers if act not in looks]
        return min(times) if times else None

    def _begin(self) -> bool:
        """Its first message tells it what it is."""
        maker = self.makers
        assert maker is not None
        if not maker.inbox:
            if maker.link.closed:
                self._leave()
            return False
        told = frames.fields(maker.inbox.pop(0))
        self.name = told["keeper"]
        self.base = os.path.join(told["folder"], self.name)
        if self.maker.dead or self.maker.over:
            self._leave()  # too late: somebody else begins what it was asked for
            return False
        os.close(os.open(self.base + ".keeper", os.O_CREAT | os.O_EXCL, 0o600))
        header = Header(self.name, told.get("boot", ""), "sim", self.pid)
        self.world.keepers[self.base] = self
        journal = SimJournal(self.base, header)
        journal.world = self.world
        self.core = Keeper(_System(self), journal, seed=self.pid & 0xFFFFFF)
        self.core.drain = lambda: self._read(self.makers) if self.makers is not None else None
        self.core.connected(maker)
        self.world.note(f"keeper {self.name} begins as {self.pid}")
        return True

    def _read(self, peer: Peer) -> None:
        assert self.core is not None
        while peer.inbox:
            message = peer.inbox.pop(0)
            if message[0] != b"hello":
                self.core.receive(peer, message)

    def child_ended(self, process: Command) -> None:
        self.ended.append(process)
        self.wake()

    def _leave(self) -> None:
        core = self.core
        if core is not None:
            if not core.ends:
                core._journal.remove()
                _unlink(self.base + ".keeper")
        self.world.note(f"keeper {self.name} leaves")
        self.dead = True
        if not self._in_act:
            self._buried()

    def die(self) -> None:
        if self.alive and not self.dead:
            self.world.note(f"keeper {self.name} dies")
            self.dead = True
            self.world.disturbed += 1
            self.world.changes += 1
            if not self._in_act:
                self._buried()

    def _buried(self) -> None:
        """The kernel closes what it had open, and hands its children on."""
        if not self.alive:
            return
        heir = self.maker if not self.maker.dead and not self.maker.over else None
        for process in [*self.commands, *self.world.strays]:
            if process.parent == self.pid:
                process.parent = heir.pid if heir is not None else 0
                process.keeper = None
        self.world.end(self, 0)
        for peer in self.peers:
            peer.link.gone = True
        self.world.changes += 1


class _System:
    """kernel.System for a keeper of this world."""

    def __init__(self, keeper: KeeperProcess) -> None:
        self._keeper = keeper
        self._world = keeper.world
        self._logs: dict[int, str] = {}
        self._count = 0

    def wall(self) -> int:
        return self._world.now()

    def boot(self) -> int:
        return self._world.mono

    def open_log(self, path: str, *, again: bool) -> int:
        self._world.seam("claim")
        holders = [one for one in self._world.log_holders.get(path, []) if one.alive]
        if os.path.exists(path) and not again and (holders or os.path.getsize(path)):
            raise FileExistsError(errno.EEXIST, "it is there", path)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600))
        self._count += 1
        self._logs[self._count] = path
        return self._count

    def remark(self, log: int, text: str) -> None:
        self._world.write(self._logs[log], f"jobctl: {text}\n")

    def close(self, fd: int) -> None:
        del self._logs[fd]

    def unlink(self, path: str) -> None:
        _unlink(path)

    def cap(self, base: str, limit: int) -> tuple[int, str]:
        from jobctl.process import sizes

        return sizes.keep(base, limit)

    def taken(self, folder: str) -> int:
        del folder
        return 0

    def spawn(
        self,
        argv: list[bytes],
        environment: Mapping[bytes, bytes],
        cwd: bytes,
        log: int,
        mark: int,
        given: bytes | None,
    ) -> int:
        del cwd, given
        self._world.seam("spawn")
        variables = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
        process = Command(self._world, self._logs[log], variables, argv[-1] == b"ask", mark, self._keeper)
        self._world.add(process)
        self._keeper.commands.append(process)
        self._world.log_holders.setdefault(self._logs[log], []).append(process)
        self._world.seam("spawned")
        return process.pid

    def members(self, mark: int) -> None:
        del mark  # no cgroup is delegated

    def kill_all(self, mark: int) -> bool:
        del mark
        return False

    def over(self, mark: int) -> None:
        del mark

    def tidy(self) -> None:
        """None is left."""

    def reap(self, pid: int) -> None:
        self._world.seam("reap")
        process = self._world.processes[pid]
        process.parent = 0
        self._keeper.commands = [one for one in self._keeper.commands if one is not process]

    def signal_group(self, pid: int, number: int) -> None:
        self._world.seam("keeper")
        self._world.signal(self._world.processes[pid], number)

    def signal_process(self, pid: int, ticks: int, number: int) -> None:
        del ticks
        self._world.signal(self._world.processes[pid], number)

    def below(self, pid: int) -> list[Proc]:
        del pid
        return []

    def orphans(self, leaders: Mapping[int, object]) -> list[Proc]:
        del leaders
        mine = self._keeper.pid
        found = [one for one in self._world.strays if one.parent == mine]
        return [Proc(p.pid, "S", mine, p.pid, p.pid, p.born) for p in found]

    def whose(self, found: Proc, claimants: Iterable[Claimant]) -> str | None:
        token = self._world.processes[found.pid].token
        return next((one.id for one in claimants if one.token == token), "")


def parts_of(id: str) -> tuple[str, str, int, int]:
    """run, key, number, probe of RUN/KEY.NUMBER~PROBE."""
    run, _, rest = id.partition("/")
    rest, _, probe = rest.partition("~")
    key, _, number = rest.rpartition(".")
    return run, key, int(number), int(probe or 0)


def _raw(status: int) -> int:
    return status << 8 if status >= 0 else -status


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
