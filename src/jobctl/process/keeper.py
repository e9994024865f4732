"""The keeper: one small process that starts an executor's commands, waits for them, and outlives it. Here is what it
does with what it is told and what happens; the loop around it is keeper_process.py, the system kernel.py.

It knows no store, no run but a name, and no definition. Whoever takes a run over connects and claims it; an attempt is
begun for its maker alone. What it does is in its journal before anybody is told.

Told:   start  id run take token log argv… env…  [base] [again] [cond shell] cwd grace cap [disk] [limit=NAME:MS]…
                                                                      [given] [keep=NAME]… [lease]
        base   n env…                     what the environments of many starts have in common
        stop   id by grace | kill id by   ask its processes to end, kill what is left after the grace; or at once
        sweep  id                         of an attempt that has ended: kill what it left
        claim  run take                   from here on its attempts are this connection's
        ack    id…                        the end stands where it is not lost
        lease  id until                   the instant (CLOCK_BOOTTIME) until which it may live
        ping   n
Says:   ended  id how status by what ran pid began wall boot strays files
        refused id errno                  not begun, for want of something that may pass: try again
        claimed run, after live id pid first last began… and ended… for what there is of it
        live    id pid first last began   unasked: its condition has said yes, and this is the command
        stale  run                        somebody with a later claim has it
        swept  id killed | pong n | trouble text
"""

from __future__ import annotations

import errno
import heapq
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from jobctl.process import frames
from jobctl.process.descent import MARKED, Claimant, Proc, tick
from jobctl.process.end import End
from jobctl.process.frames import Message
from jobctl.process.journal import Journal, end_values
from jobctl.process.kernel import NotMadeError

LOOK_MS = 1_000  # files, what is below whom, what could not be written: looked at so often while commands run
FIRST_SIZES_MS = 50  # after its beginning the files of an attempt are looked at, and then ever more seldom
SOONEST_SIZES_MS = 20  # or more often, while its log grows fast
MOST_DISK_MS = 250  # or so often, where what its run's folder takes is limited
LEFTOVER_MS = 50  # while a stopped attempt's other processes use their grace
AGAIN_MS = 5  # between two looks for what makes the next and is gone
LOOKS = 6  # so often in a row none must be seen, once there were any
_MOST_LOOKS = 400
LEASE_MARGIN_MS = 250  # what a SIGKILL and a sweep may take
RETRY_MS = 1_000
INTERLEAVE = 4  # while so few starts wait, ends are looked for between them
INTERLEAVE_MS = 20


class Connection(Protocol):
    """Somebody who gives orders and is told what became of them."""

    def send(self, message: Message) -> None: ...


class Kernel(Protocol):
    """kernel.System, or what stands in for it."""

    def wall(self) -> int: ...
    def boot(self) -> int: ...
    def open_log(self, path: str, *, again: bool) -> int: ...
    def remark(self, log: int, text: str) -> None: ...
    def close(self, fd: int) -> None: ...
    def unlink(self, path: str) -> None: ...
    def cap(self, base: str, limit: int) -> tuple[int, str]: ...
    def taken(self, folder: str) -> int: ...
    def spawn(
        self,
        argv: list[bytes],
        environment: Mapping[bytes, bytes],
        cwd: bytes,
        log: int,
        mark: int,
        given: bytes | None,
    ) -> int: ...
    def members(self, mark: int) -> list[Proc] | None: ...
    def kill_all(self, mark: int) -> bool: ...
    def over(self, mark: int) -> None: ...
    def tidy(self) -> None: ...
    def reap(self, pid: int) -> None: ...
    def signal_group(self, pid: int, number: int) -> None: ...
    def signal_process(self, pid: int, ticks: int, number: int) -> None: ...
    def below(self, pid: int) -> list[Proc]: ...
    def orphans(self, leaders: Mapping[int, object]) -> list[Proc]: ...
    def whose(self, found: Proc, claimants: Iterable[Claimant]) -> str | None: ...


class Pending:
    """There is no process yet, and so no number that could be taken for one."""


class Running:
    """The process of an attempt, or of its condition: not reaped, so that its pid is nobody else's."""

    __slots__ = ("first", "last", "pid")

    def __init__(self, pid: int, first: int, last: int) -> None:
        self.pid = pid
        # Ticks, between which it began. To look it up would cost a tenth of its life: it runs already.
        self.first = first
        self.last = last


class Gone:
    """The process has ended and is reaped: its pid may be anybody's."""


class Child:
    """An attempt, from when it is asked for until its end is told."""

    __slots__ = (
        "again", "argv", "base", "began", "began_boot", "by", "cap", "condition", "cwd", "disk", "empty",
        "end", "environment", "given", "grace", "id", "keeps", "kill_at", "killed", "lease", "limits", "log", "looks",
        "mark", "only_if", "pid", "process", "ran", "run", "seen", "shell", "sweeping", "take", "token",
    )  # fmt: skip

    def __init__(self, message: Message, bases: Mapping[str, dict[bytes, bytes]]) -> None:
        """ValueError, KeyError for a message that lacks something."""
        self.argv: list[bytes] = []
        self.environment: dict[bytes, bytes] = {}
        self.limits: list[tuple[int, str]] = []  # milliseconds from its beginning, name
        self.keeps: set[bytes] = set()  # of the environment; none: all of it
        told: dict[str, bytes] = {}
        for part in message[1:]:
            name, _, value = part.partition(b"=")
            if name == b"e":
                key, _, value = value.partition(b"=")
                self.environment[key] = value
            elif name == b"a":
                self.argv.append(value)
            elif name == b"keep":
                self.keeps.add(value)
            elif name == b"limit":
                label, _, ms = value.decode().partition(":")
                self.limits.append((int(ms), label))
            elif name == b"base":
                self.environment = {**bases[value.decode()], **self.environment}
            else:
                told[name.decode()] = value
        self.id = os.fsdecode(told["id"])
        self.run = os.fsdecode(told["run"])
        self.take = int(told["take"])
        self.token = os.fsdecode(told["token"])
        self.base = os.fsdecode(told["base_path"])  # of its files
        self.log = self.base + ".log"
        self.cwd = told["cwd"]
        self.only_if = told.get("cond", b"")
        self.shell = told.get("shell", b"/bin/sh")
        self.again = told.get("again") == b"1"
        self.grace = int(told.get("grace", b"10000"))
        self.cap = int(told.get("cap", b"0"))
        self.given = told.get("given")  # what the command reads; a condition reads nothing
        self.disk = int(told.get("disk", b"0"))  # what the folder of its run may take; 0: whatever it likes
        self.lease: int | None = int(told["lease"]) if "lease" in told else None
        if not self.argv:
            raise ValueError("no command")
        self.mark = 0
        self.process: Pending | Running | Gone = Pending()
        self.pid = 0  # to be told, never to be signalled: `process` is
        self.condition = False  # what runs is its condition
        self.ran = not self.only_if
        self.by = ""  # what it is stopped for
        self.kill_at: int | None = None  # boot
        self.sweeping = False
        self.looks = self.empty = self.killed = 0
        self.end: End | None = None
        self.began = self.began_boot = 0
        self.seen: dict[int, int] = {}


class _Owner:
    __slots__ = ("connection", "holds", "take")

    def __init__(self, take: int, connection: Connection | None, holds: int = 0) -> None:
        self.take = take
        self.connection = connection
        self.holds = holds  # attempts of the run that are here: asked for, under way, or not acknowledged


class Keeper:
    """What is asked for, what runs, what has ended and is not acknowledged."""

    def __init__(self, kernel: Kernel, journal: Journal, *, seed: int = 0) -> None:
        """`seed`: 24 bits that no other keeper of this boot has, for the marks."""
        self._kernel = kernel
        self._journal = journal
        self._seed = seed
        self._marks = 0
        self.children: dict[str, Child] = {}
        self.queue: deque[Child] = deque()
        self.ends: dict[str, tuple[str, End, dict[str, Any]]] = {}  # id -> run, end, what else is told
        self._by_pid: dict[int, Child] = {}
        self._owners: dict[str, _Owner] = {}
        self._bases: dict[str, dict[bytes, bytes]] = {}
        self._timers: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._looking = False
        self._strays = 0
        self._folders: dict[str, tuple[int, int]] = {}  # of runs: until when it is not counted again, what it takes
        self._crowded_until = 0  # ticks: before that, others may have made what is found
        self._trouble = ""
        self._connections: list[Connection] = []
        self.drain: Callable[[], None] = lambda: None  # reads what other connections have sent; set by the loop

    # -- what is told ----------------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        self._connections.append(connection)

    def dropped(self, connection: Connection) -> None:
        """It has gone. What runs runs on; what ends is kept for whoever claims it."""
        self._connections = [one for one in self._connections if one is not connection]
        for owner in self._owners.values():
            if owner.connection is connection:
                owner.connection = None

    def receive(self, connection: Connection, message: Message) -> None:
        """Carry out an order. One that is not known, or not whole, is passed over."""
        verb = message[0]
        try:
            if verb == b"start":
                self._ask(connection, message)
            elif verb == b"ack":
                for id in frames.values(message, "id"):
                    self._acknowledge(os.fsdecode(id))
            else:
                self._order(connection, verb, frames.fields(message), message)
        except (KeyError, ValueError, IndexError) as error:
            connection.send(frames.message("trouble", text=f"an order is not understood: {verb!r}: {error}"))

    def _order(self, connection: Connection, verb: bytes, told: dict[str, str], message: Message) -> None:
        child = self.children.get(told.get("id", ""))
        if verb in (b"stop", b"kill"):
            if child is not None and self._may(connection, child.run):
                self.stop(child, told["by"], 0 if verb == b"kill" else int(told["grace"]), hard=verb == b"kill")
        elif verb == b"claim":
            self._claim(connection, told["run"], int(told["take"]))
        elif verb == b"base":
            pairs = [pair.partition(b"=") for pair in frames.values(message, "e")]
            self._bases[told["n"]] = {name: value for name, _, value in pairs}
        elif verb == b"forget":
            self._bases.pop(told["n"], None)
        elif verb == b"lease":
            if child is not None and self._may(connection, child.run):
                child.lease = int(told["until"])
                self._watch_lease(child)
        elif verb == b"sweep":
            self._sweep_ended(connection, told["id"], told["token"], int(told.get("mark", "0")))
        elif verb == b"ping":
            connection.send(frames.message("pong", n=told["n"]))

    def _may(self, connection: Connection, run: str) -> bool:
        owner = self._owners.get(run)
        return owner is not None and owner.connection is connection

    def _ask(self, connection: Connection, message: Message) -> None:
        child = Child(message, self._bases)
        owner, take = self._owners.get(child.run), child.take
        if owner is not None and owner.take > take:
            connection.send(frames.message("stale", run=child.run))
            return
        if child.id in self.children or child.id in self.ends:
            connection.send(frames.message("refused", id=child.id, errno=errno.EEXIST))
            return
        self._owners[child.run] = _Owner(take, connection, 1 + (owner.holds if owner is not None else 0))
        self.children[child.id] = child
        self.queue.append(child)

    def _claim(self, connection: Connection, run: str, take: int) -> None:
        owner = self._owners.get(run)
        if owner is not None and (
            owner.take > take or (owner.take == take and owner.connection not in (None, connection))
        ):
            connection.send(frames.message("stale", run=run))
            return
        # What the last one has asked for and nobody has read yet: it runs, or it never will, before the next is told.
        self.drain()
        while self.queue:
            self.begin()
        if owner is not None and owner.connection not in (None, connection):
            assert owner.connection is not None
            owner.connection.send(frames.message("stale", run=run))
        owner = self._owners.get(run)  # what was begun just now counts
        self._owners[run] = _Owner(take, connection, owner.holds if owner is not None else 0)
        for child in self.children.values():
            if child.run == run:
                connection.send(_live(child))
        for id, (of, end, more) in list(self.ends.items()):
            if of == run:
                connection.send(_ended(id, end, more))
        connection.send(frames.message("claimed", run=run))

    def _acknowledge(self, id: str) -> None:
        found = self.ends.pop(id, None)
        self._journal.acknowledged(id)
        if found is not None:
            self._let_go(found[0])

    def _let_go(self, run: str) -> None:
        """An attempt of the run is not here any more. A run of which nothing is here needs no owner: a daemon's keeper
        sees very many."""
        owner = self._owners.get(run)
        if owner is not None:
            owner.holds -= 1
            if owner.holds <= 0:
                del self._owners[run]

    # -- begin -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the attempt that has waited longest."""
        child = self.queue.popleft()
        if self.children.get(child.id) is not child or child.by:
            return
        kernel = self._kernel
        try:
            self._journal.reserve(len(self.children) + 1)
            log = kernel.open_log(child.log, again=child.again)
        except FileExistsError:
            self._refuse(child, errno.EEXIST)
            return
        except OSError as error:
            made = NotMadeError("log", error.errno or errno.EIO, child.log)
            if made.passing:
                self._refuse(child, made.number)
            else:
                self._not_made(child, made, None)
            return
        self._marks += 1
        child.mark = MARKED | (self._seed & 0xFFFFFF) << 36 | (self._marks & 0xFFFFFFFFF)
        child.began, child.began_boot = kernel.wall(), kernel.boot()
        self._write("I", child.id, child.mark)
        if self._spawn(child, log):
            for ms, name in child.limits:
                self._at(child.began_boot + ms, self._limit, child, name)
            if child.lease is not None:
                self._watch_lease(child)

    def _spawn(self, child: Child, log: int) -> bool:
        kernel = self._kernel
        child.condition = bool(child.only_if) and not child.ran
        argv, environment, given = child.argv, child.environment, child.given
        if child.condition:
            argv, given = [child.shell, b"-c", child.only_if], None
        elif child.keeps:
            environment = {name: value for name, value in environment.items() if name in child.keeps}
        first = tick(kernel.boot())
        try:
            pid = kernel.spawn(argv, environment, child.cwd, log, child.mark, given)
        except NotMadeError as error:
            if error.passing and not (child.only_if and child.ran):
                self._write("U", child.id)
                if not child.again:
                    kernel.unlink(child.log)
                kernel.close(log)
                self._refuse(child, error.number)
            elif error.passing:  # its condition was asked already
                kernel.close(log)
                self._at(kernel.boot() + RETRY_MS, self._command, child)
            else:
                self._not_made(child, error, log)
            return False
        kernel.close(log)
        last = tick(kernel.boot() + 1)
        child.process, child.pid = Running(pid, first, last), pid
        self._by_pid[pid] = child
        self._write("S", child.id, pid, first, last)
        if child.only_if and child.ran:
            self._tell(child.run, _live(child))  # whoever watches its process: this is another one
        self._crowd()
        if not self._looking:
            self._looking = True
            self._at(kernel.boot() + LOOK_MS, self._look)
        self._at(kernel.boot() + FIRST_SIZES_MS, self._look_at_sizes, child, pid, FIRST_SIZES_MS, 0)
        return True

    def _command(self, child: Child) -> None:
        """The condition has said yes: the command itself."""
        if child.end is not None:
            return
        if child.by:
            self._ended(child, "unbegun", 0)
            return
        try:
            log = self._kernel.open_log(child.log, again=True)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN):
                self._at(self._kernel.boot() + RETRY_MS, self._command, child)
            else:
                self._not_made(child, NotMadeError("log", error.errno or errno.EIO, child.log), None)
            return
        self._spawn(child, log)

    def _refuse(self, child: Child, number: int) -> None:
        """It was not begun, and may be asked for again."""
        del self.children[child.id]
        self._kernel.over(child.mark)
        self._journal.acknowledged(child.id)
        self._tell(child.run, frames.message("refused", id=child.id, errno=number))
        self._let_go(child.run)

    def _not_made(self, child: Child, error: NotMadeError, log: int | None) -> None:
        if log is not None:
            self._kernel.remark(log, f"{error.path}: {os.strerror(error.number)}" + _interpreter(error.what))
            self._kernel.close(log)
        self._ended(child, "not_made", error.number, error.what)

    # -- end -------------------------------------------------------------------------------------------------------

    def exited(self, pid: int, status: int) -> None:
        """A child of this process has ended and is not reaped yet. Looked at, written down, then reaped: whoever dies
        in between, the status is in one place or the other."""
        kernel = self._kernel
        child = self._by_pid.get(pid)
        if child is None:
            kernel.reap(pid)  # an orphan that came to us
            return
        if child.condition and status == 0 and not child.by:
            self._write("R", child.id)
            self._reaped(child, pid)
            child.ran = True
            self._command(child)
            return
        how = "condition" if child.condition else "exit"
        if status and not child.by:
            kernel.signal_group(pid, signal.SIGKILL)  # until it is reaped, its group is nobody else's
        self._record(child, how, status)
        self._reaped(child, pid)
        if status or child.by:
            child.sweeping = True
            self._sweep(child)
        else:
            self._over(child)

    def _reaped(self, child: Child, pid: int) -> None:
        self._kernel.reap(pid)
        del self._by_pid[pid]
        child.process = Gone()

    def _ended(self, child: Child, how: str, status: int, what: str = "") -> None:
        """It has ended with no process of it that could have left others."""
        self._record(child, how, status, what)
        self._over(child)

    def _record(self, child: Child, how: str, status: int, what: str = "") -> None:
        end = End(
            child.id, how, status, child.by, what, child.ran, child.began, self._kernel.wall(), self._kernel.boot()
        )
        child.end = end
        self._write("E", child.id, *end_values(end))

    def _over(self, child: Child) -> None:
        """Nothing of it is left that should not be: tell."""
        kernel = self._kernel
        assert child.end is not None
        # What was written since the last look, or all of it: nobody looks again.
        _, files = kernel.cap(child.base, child.cap)
        del self.children[child.id]
        kernel.over(child.mark)
        self._crowd()
        more: dict[str, Any] = {"pid": child.pid or None, "mark": child.mark, "files": files or None}
        if self._strays:
            more["strays"] = self._strays
        self.ends[child.id] = (child.run, child.end, more)
        self._tell(child.run, _ended(child.id, child.end, more))

    # -- stop ------------------------------------------------------------------------------------------------------

    def stop(self, child: Child, by: str, grace: int, *, hard: bool = False) -> None:
        """Ask its processes to end, and kill what is left after `grace` ms; a second, harder request replaces the
        first. What has ended by itself is not stopped any more."""
        if child.by and not hard:
            return
        if child.end is not None and not child.sweeping:
            return
        if child.end is None or child.by:
            child.by = by
        now = self._kernel.boot()
        process = child.process
        if not isinstance(process, Running):
            if child.sweeping:
                child.kill_at = now
                self._sweep(child)
            elif child.end is None:
                if child in self.queue:
                    self.queue.remove(child)
                self._ended(child, "unbegun", 0)
            return
        if hard:
            child.kill_at = now
            if not self._kernel.kill_all(child.mark):
                self._freeze(child)
            self._kernel.signal_group(process.pid, signal.SIGKILL)
            for one in self._others(child):
                self._kernel.signal_process(one.pid, one.ticks, signal.SIGKILL)
            return
        child.kill_at = now + grace
        others = self._others(child)
        for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process cannot end
            self._kernel.signal_group(process.pid, number)
            for one in others:
                if one.group != process.pid:
                    self._kernel.signal_process(one.pid, one.ticks, number)
        self._at(child.kill_at, self._grace_over, child)

    def _grace_over(self, child: Child) -> None:
        if child.end is None and self.children.get(child.id) is child:
            self.stop(child, child.by, 0, hard=True)

    def _limit(self, child: Child, name: str) -> None:
        if child.end is None and self.children.get(child.id) is child:
            self.stop(child, name, child.grace)

    def _watch_lease(self, child: Child) -> None:
        """It is over at that instant: the asking begins so much earlier."""
        assert child.lease is not None
        grace = min(child.grace, max(0, child.lease - self._kernel.boot() - LEASE_MARGIN_MS))
        self._at(child.lease - grace - LEASE_MARGIN_MS, self._lease_over, child, child.lease)

    def _lease_over(self, child: Child, lease: int) -> None:
        if child.lease == lease and child.end is None and self.children.get(child.id) is child:
            self.stop(child, "lease", max(0, lease - LEASE_MARGIN_MS - self._kernel.boot()))

    # -- the whole tree --------------------------------------------------------------------------------------------

    def _sweep(self, child: Child) -> None:
        """Its first process has ended: the others use what is left of the grace, then they are killed."""
        if self.children.get(child.id) is not child:
            return
        now = self._kernel.boot()
        others = self._others(child)
        child.looks += 1
        if others:
            child.empty = 0
            if child.by and child.kill_at is not None and now < child.kill_at:
                child.looks = 0
                self._at(now + LEFTOVER_MS, self._sweep, child)
                return
            self._kernel.kill_all(child.mark)
            for one in others:
                self._kernel.signal_process(one.pid, one.ticks, signal.SIGKILL)
            child.killed += len(others)
        else:
            child.empty += 1
        # One that makes the next and is gone may do so between the list and the look: where there were any, look again.
        if child.empty >= (LOOKS if child.killed else 1) or child.looks >= _MOST_LOOKS:
            self._over(child)
        else:
            self._at(now + (AGAIN_MS if others or child.empty else 0), self._sweep, child)

    def _freeze(self, child: Child) -> None:
        """Stop what is there of it until nothing new is found: what is killed then makes no more."""
        stopped: set[int] = set()
        for _ in range(5):
            fresh = [one for one in self._others(child) if one.pid not in stopped]
            if not fresh:
                return
            for one in fresh:
                stopped.add(one.pid)
                self._kernel.signal_process(one.pid, one.ticks, signal.SIGSTOP)

    def _others(self, child: Child) -> list[Proc]:
        """The living processes of an attempt but its first one."""
        inside = self._kernel.members(child.mark)
        if inside is not None:  # nothing gets out of its cgroup
            first = child.process.pid if isinstance(child.process, Running) else 0
            return [one for one in inside if one.pid != first]
        found: list[Proc] = []
        if isinstance(child.process, Running):
            found += self._kernel.below(child.process.pid)
            child.seen.update((one.pid, one.ticks) for one in found)
        found += [one for one, of in self._orphans() if of == child.id]
        return found

    def _orphans(self) -> list[tuple[Proc, str | None]]:
        """Processes that came to this one, and whose they are: "" of an attempt that has ended well, None unknown."""
        try:
            orphans = self._kernel.orphans(self._by_pid)
        except OSError:
            return []  # no descriptor just now; or a system that does not tell: the executor sweeps by the token
        if not orphans:
            self._count_strays(0)
            return []
        living = [one for one in self.children.values() if one.began]
        claimants = [Claimant(one.id, one.token, one.mark, one.pid, one.seen, None) for one in living]
        found = [(one, self._kernel.whose(one, claimants)) for one in orphans]
        if len(living) == 1 and not any(of == "" for _, of in found):
            # Nobody else is there that could have made what is not known.
            alone = [claimants[0]._replace(alone_since=self._crowded_until)]
            found = [(one, of if of is not None else self._kernel.whose(one, alone)) for one, of in found]
        self._count_strays(sum(of is None for _, of in found))
        return found

    def _count_strays(self, count: int) -> None:
        if count != self._strays:
            self._strays = count
            self._write("O", "-", count)

    def _crowd(self) -> None:
        """Another attempt begins or ends: what is born up to now may be either's."""
        self._crowded_until = tick(self._kernel.boot())

    def _sweep_ended(self, connection: Connection, id: str, token: str, mark: int) -> None:
        """An attempt that has ended well as far as its exit code says, and has failed all the same."""
        self._sweep_left(connection, Claimant(id, token, mark, 0, {}, None), 0, 0)

    def _sweep_left(self, connection: Connection, claimant: Claimant, killed: int, looks: int) -> None:
        try:
            orphans = self._kernel.orphans(self._by_pid)
        except OSError:
            orphans = []  # the executor sweeps by the token, too, should it have to
        found = [one for one in orphans if self._kernel.whose(one, [claimant]) == claimant.id]
        for one in found:
            self._kernel.signal_process(one.pid, one.ticks, signal.SIGKILL)
        if found and looks < _MOST_LOOKS:  # until they are seen to be gone
            again = self._kernel.boot() + AGAIN_MS
            self._at(again, self._sweep_left, connection, claimant, killed + len(found), looks + 1)
        else:
            connection.send(frames.message("swept", id=claimant.id, killed=killed))

    # -- time ------------------------------------------------------------------------------------------------------

    def due(self) -> None:
        """Whatever has come due."""
        now = self._kernel.boot()
        while self._timers and self._timers[0][0] <= now:
            _, _, act, values = heapq.heappop(self._timers)
            act(*values)

    def next_due(self) -> int | None:
        """When, on the boot's clock."""
        return self._timers[0][0] if self._timers else None

    def _at(self, boot: int, act: Callable[..., None], *values: Any) -> None:
        self._count += 1
        heapq.heappush(self._timers, (boot, self._count, act, values))

    def _look_at_sizes(self, child: Child, pid: int, pace: int, before: int) -> None:
        """Its files within their limits. The faster its log grows, the sooner it is looked at again: soon at first, for
        a command may write gigabytes in a second."""
        if self._by_pid.get(pid) is not child:
            return
        size, _ = self._kernel.cap(child.base, child.cap)
        much = child.cap and (size - before) * 4 > child.cap
        pace = max(SOONEST_SIZES_MS, pace // 4) if much else min(LOOK_MS, pace * 2)
        left = child.cap // 2 if child.cap and size > child.cap else size
        if child.disk:
            pace = min(pace, MOST_DISK_MS)
            if self._taken(os.path.dirname(child.base)) > child.disk:
                self.stop(child, "disk_limit", child.grace)
        self._at(self._kernel.boot() + pace, self._look_at_sizes, child, pid, pace, left)

    def _taken(self, folder: str) -> int:
        """What the folder of a run takes. Counted once for all its attempts, and the more seldom the longer that takes:
        the starts and ends of all others wait meanwhile."""
        begun = self._kernel.boot()
        again_at, size = self._folders.get(folder, (0, 0))
        if begun < again_at:
            return size
        size = self._kernel.taken(folder)
        now = self._kernel.boot()
        self._folders = {name: known for name, known in self._folders.items() if now < known[0] + LOOK_MS}
        self._folders[folder] = now + max(SOONEST_SIZES_MS, 50 * (now - begun)), size
        return size

    def _look(self) -> None:
        """Who is below whom, what could not be written."""
        begun = self._kernel.boot()
        self._kernel.tidy()
        if not self._journal.retry():
            self._say_trouble()
        try:
            for child in list(self._by_pid.values()):
                if isinstance(child.process, Running):
                    child.seen.update((one.pid, one.ticks) for one in self._kernel.below(child.process.pid))
        except OSError:
            pass
        self._orphans()
        self._looking = bool(self._by_pid)
        if self._looking:
            # Where very much runs, what the look costs is a small part of the time between two.
            now = self._kernel.boot()
            self._at(now + max(LOOK_MS, 50 * (now - begun)), self._look)
        if len(self._timers) > 4 * len(self.children) + 100:
            self._timers = [one for one in self._timers if not self._is_over(one[3])]
            heapq.heapify(self._timers)

    def _is_over(self, values: tuple[Any, ...]) -> bool:
        return bool(values) and isinstance(values[0], Child) and values[0].id not in self.children

    # -- tell ------------------------------------------------------------------------------------------------------

    def _write(self, kind: str, id: str, *values: object) -> None:
        self._journal.write(kind, id, *values, wall=self._kernel.wall(), boot=self._kernel.boot())
        self._say_trouble()

    def _say_trouble(self) -> None:
        if self._journal.trouble != self._trouble:
            self._trouble = self._journal.trouble
            for one in self._connections:
                one.send(frames.message("trouble", text=self._trouble))

    def _tell(self, run: str, message: Message) -> None:
        owner = self._owners.get(run)
        if owner is not None and owner.connection is not None:
            owner.connection.send(message)

    def runs_left(self) -> bool:
        """Whether anything is under way: asked for, running, or ending."""
        return bool(self.children)


def _ended(id: str, end: End, more: Mapping[str, Any]) -> Message:
    return frames.message(
        "ended", id=id, how=end.how, status=end.status, by=end.by or None, what=end.what or None,
        ran=1 if end.ran else None, began=end.began, wall=end.wall, boot=end.boot, **more,
    )  # fmt: skip


def _live(child: Child) -> Message:
    process = child.process
    first, last = (process.first, process.last) if isinstance(process, Running) else (0, 0)
    return frames.message(
        "live", id=child.id, pid=child.pid, first=first, last=last, began=child.began, by=child.by or None
    )


def _interpreter(what: str) -> str:
    return " (its interpreter, which its first line names)" if what == "interpreter" else ""
