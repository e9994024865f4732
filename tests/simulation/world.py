"""The world that the product is put into: virtual time, processes that are none, and the faults that strike it.

Attempt files and the database are real files in a folder of memory: what survives a crash is what was written. What
commands do is behaviour.py's; who acts in the world actors.py's; where it is put in the product's way standins.py's.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import signal
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from jobctl.core.clocks import Boottime, Mono
from jobctl.core.keys import is_undo
from jobctl.host.host import Host
from jobctl.process.attempt import AttemptFiles
from jobctl.process.descent import tick

from .behaviour import behave, waits_of

if TYPE_CHECKING:
    from .keeping import KeeperProcess, SimLink

START = 1_803_000_000_000  # the wall clock at the beginning: 2027-02-18
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Crash(BaseException):
    """The process dies here. No handler of the product's sees it through."""


class Violation(BaseException):
    """Something that must hold does not. `rule` names it, for telling one failure from another. No handler of the
    product's sees it either: what goes on after an error would hide it."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class Actor(Protocol):
    """A process of jobctl's: a daemon, a `jobctl run`, or somebody's `jobctl cancel`."""

    name: str
    pid: int
    dead: bool


class Judge(Protocol):
    """Who is shown what happens (referee.py)."""

    def launched(self, run: str, key: str, number: int) -> None: ...

    def command_starts(self, keeper: Command) -> None: ...

    def script_begins(self, keeper: Command) -> None: ...

    def told(self, keeper: Command, call: int, what: dict[str, Any]) -> None: ...

    def followed(self, schedules: Collection[int]) -> None: ...


class Fault:
    """Strikes at the `skip`-th seam of its kind after it was armed."""

    def __init__(self, where: tuple[str, ...], skip: int, strike: Callable[[], None]) -> None:
        self.where = where
        self.skip = skip
        self.strike = strike


class Process:
    """Something that has a pid and may end."""

    def __init__(self, pid: int, token: str = "", parent: int = 0) -> None:
        self.pid = pid
        self.token = token
        self.parent = parent
        self.born = 0  # tick
        self.alive = True
        self.ended = 0  # the how many-th end of a process this was
        self.status = 0  # what it exited with; -n: killed by signal n

    def asked(self, number: int) -> None:
        """A signal that is not SIGKILL."""

    def killed(self) -> None:
        """SIGKILL."""

    def settle(self) -> None:
        """No faults any more."""

    def has_ended(self) -> None:
        """Whoever waits for it is told."""


class Machine(Host):
    """What its clocks show, as the product is handed it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> int:
        return self._world.now()

    def monotonic(self) -> Mono:
        return Mono(self._world.mono)

    def boottime(self) -> Boottime:
        return Boottime(self._world.mono)

    def boot(self) -> tuple[str, int]:
        return f"boot-{self._world.boots}", self._world.now()

    def synchronised(self) -> bool:
        return True


class World:
    """One simulated machine. Every choice comes from the seed; nothing here asks the real clock or chance."""

    def __init__(self, version: int, chance: str, folder: str, *, trace: Callable[[str], None] | None = None) -> None:
        self.version = version  # of what worlds are like
        self.chance = chance
        self.folder = folder
        self.state_dir = os.path.join(folder, "state")
        self.host = Machine(self)
        self.mono = 1_000_000
        self.offset = START - self.mono
        self.boots = 1
        self.actor: Actor | None = None
        self.deciding: Actor | None = None  # who holds the lock of engines/local/worker/turns.py
        self.armed: list[Fault] = []
        self.outage_until = 0  # monotonic: the store cannot be written until then
        self.processes: dict[int, Process] = {}
        self.by_token: dict[str, list[Process]] = {}
        self.changes = 0  # counts what an executor would only find by looking
        self.places = 0  # counts what may have freed a place in a queue of runs
        self.disturbed = 0  # counts crashes, clock steps, outages: timing is not judged across them
        self.clock_steps = 0
        self.steps: list[tuple[int, int]] = []  # of the wall clock: when (monotonic), by how much
        self.settling = False  # no faults any more, and commands do what they should
        self.temper = 0.0  # how likely commands misbehave
        self.scale = SECOND  # how long commands take, about
        self.judge: Judge | None = None
        self.executor_class: Any = None
        self.after_end: list[Callable[[int], None]] = []  # told of every process that ends
        self.probes: dict[str, int] = {}  # token -> how often a poll was asked
        self.final_words: set[str] = set()  # tokens of attempts whose failure file forbids another
        self.left_word: set[str] = set()  # tokens of attempts that have said what they wait for
        self.ordinal: dict[str, str] = {}  # run -> what its commands' behaviour is drawn for
        self.digest = blake2b(digest_size=16)
        self._trace = trace
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._pids = 1000
        self._ends = 0
        self.strays: list[Child] = []  # alive
        self.links = 0
        self._links: dict[int, SimLink] = {}
        self.keepers: dict[str, KeeperProcess] = {}  # by the path that their files begin with
        self.log_holders: dict[str, list[Process]] = {}  # log -> processes that have it open, and locked
        self._bytes = random.Random(f"{chance}/bytes")
        self._delays = random.Random(f"{chance}/delays")

    # -- time ------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        return self.mono + self.offset

    def at(self, mono: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (mono, self._count, act))

    def next_event(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def happen(self) -> None:
        """What is due by now happens."""
        while self._heap and self._heap[0][0] <= self.mono:
            heapq.heappop(self._heap)[2]()

    def random_bytes(self, count: int) -> bytes:
        return self._bytes.randbytes(count)

    def note(self, text: str) -> None:
        text = text.replace(self.folder, "")  # another one each time
        line = f"{self.mono - 1_000_000:>11} {self.actor.name if self.actor else '-':>4} {text}"
        self.digest.update(line.encode())
        if self._trace is not None:
            self._trace(line)

    # -- faults ----------------------------------------------------------------------------------------------------

    def seam(self, where: str) -> None:
        """A place where the process that acts may die, and where others may act in between."""
        if self.actor is None:
            return
        if self.actor.dead:
            raise Crash
        for fault in self.armed:
            if where in fault.where:
                fault.skip -= 1
                if fault.skip < 0:
                    self.armed.remove(fault)
                    fault.strike()
                    break
        if self.actor.dead:
            raise Crash

    # -- processes -------------------------------------------------------------------------------------------------

    def add_link(self, link: SimLink) -> None:
        self._links[link.read] = link

    def link(self, fd: int) -> SimLink:
        return self._links[fd]

    def new_pid(self) -> int:
        self._pids += 1
        return self._pids

    def add(self, process: Process) -> None:
        self.processes[process.pid] = process
        if process.token:
            self.by_token.setdefault(process.token, []).append(process)

    def end(self, process: Process, status: int) -> None:
        if not process.alive:
            return
        process.alive = False
        process.status = status
        self._ends += 1
        process.ended = self._ends
        if process.token:
            self.by_token[process.token].remove(process)
        process.has_ended()
        for told in self.after_end:
            told(process.pid)

    def living(self, token: str) -> list[Process]:
        return list(self.by_token.get(token, ()))

    def signal(self, process: Process, number: int) -> None:
        if not process.alive:
            return
        if number == signal.SIGKILL:
            self.note(f"kill {process.pid}")
            process.killed()
        elif number == signal.SIGTERM:
            process.asked(number)

    def reboot(self) -> None:
        """Every process is gone. The caller ends the executors."""
        self.boots += 1
        for process in list(self.processes.values()):
            self.signal(process, signal.SIGKILL)

    def settle(self) -> None:
        """From here on commands end, and well."""
        self.settling = True
        for process in list(self.processes.values()):
            if process.alive:
                process.settle()

    def write(self, path: str, text: str, *, exclusive: bool = False) -> bool:
        """Append to an attempt's file; its time is that of this world. False when it may not be made."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_EXCL if exclusive else 0), 0o600)
        except FileExistsError:
            return False
        os.write(fd, text.encode())
        os.utime(fd, ns=(self.now() * 1_000_000,) * 2)
        os.close(fd)
        return True

    def keeper_delay(self) -> int:
        """How long a keeper takes for a line of its script: mostly nothing, sometimes a busy machine's time."""
        draw = self._delays.random()
        return 0 if draw < 0.3 else 1 + int(draw * 20) if draw < 0.97 else int(draw * 1500)


class Child(Process):
    """What a command has left behind in a session of its own."""

    def __init__(self, world: World, token: str, stubborn: bool, parent: int) -> None:
        super().__init__(world.new_pid(), token, parent)
        self.born = tick(world.mono)
        self._world = world
        self._stubborn = stubborn
        self.keeper: KeeperProcess | None = None

    def asked(self, number: int) -> None:
        if not self._stubborn:
            self._world.end(self, -number)

    def killed(self) -> None:
        self._world.end(self, -signal.SIGKILL)

    def has_ended(self) -> None:
        self._world.strays.remove(self)


_KEEPER_TOO = 30  # of `dies_after`: any of its values would do


class DurableScript:
    """What a script does that calls `jobctl sleep` and `jobctl wait-signal` one after another: scripts/record.py and
    scripts/suspend.py. Its record is the product's to keep, and a list of waits here: a JSON value a line."""

    def __init__(self, keeper: Command, journal: str, waits: str) -> None:
        self.journal = journal
        self._keeper = keeper
        self._waits = waits

    def suspends(self) -> bool:
        """Make all calls that return at once. Whether the one after them has suspended the attempt."""
        keeper, world = self._keeper, self._keeper.world
        begun = self._begun()
        for call, (kind, name, span) in enumerate(waits_of(world, keeper.run, keeper.key)):
            if call == len(begun):
                wait: dict[str, Any] = {"kind": kind, "call": call, **({"name": name} if name else {})}
                if span is not None:
                    wait["until"] = world.now() + span
                world.write(self.journal, json.dumps(wait) + "\n")
                begun.append(wait)
            came = next((one for one in self._came() if one["call"] == call), None)
            if came is not None:
                if world.judge is not None:
                    world.judge.told(keeper, call, came)
            elif kind == "signal" or begun[call]["until"] > world.now():
                world.note(f"{keeper.run} {keeper.key}.{keeper.number} waits: {begun[call]}")
                world.write(keeper.files.suspend, json.dumps(begun[call]) + "\n")
                world.left_word.add(keeper.token)
                return True
        return False

    def _begun(self) -> list[dict[str, Any]]:
        if not os.path.exists(self.journal):
            return []
        with open(self.journal) as file:
            return [json.loads(line) for line in file]

    def _came(self) -> list[dict[str, Any]]:
        if not os.path.exists(self._waits):
            return []
        with open(self._waits) as file:
            found: list[dict[str, Any]] = json.load(file)
            return found


class Command(Process):
    """The process of an attempt - its condition's (only_if), or its command's - each thing at its own moment."""

    def __init__(
        self, world: World, log: str, variables: dict[str, str], condition: bool, mark: int, keeper: KeeperProcess
    ) -> None:
        token = variables["JOBCTL_TOKEN"]
        super().__init__(world.new_pid(), token, keeper.pid)
        self.born = tick(world.mono)
        self.world = world
        self.keeper: KeeperProcess | None = keeper
        _, self.run, rest = token.split("/")
        self.key, _, number = rest.rpartition(".")
        self.number = int(number)
        self.mark = mark
        self.files = AttemptFiles(os.path.dirname(log), self.key, self.number)
        self.script: DurableScript | None = None
        self.command = not condition  # whether the command runs
        self._asked = False
        self._condition = condition
        self.does = behave(world, self.run, self.key, self.number, world.probes.get(token, 0))
        if condition:
            self._next(self._condition_ends, self.does.condition_ms)
            return
        if self.key.startswith("d") and not is_undo(self.key):
            self.script = DurableScript(self, variables["JOBCTL_JOURNAL"], variables["JOBCTL_WAITS"])
        self._begin()

    def _next(self, act: Callable[[], None], delay: int | None = None) -> None:
        def when_alive() -> None:
            if self.alive:
                act()

        self.world.at(self.world.mono + (self.world.keeper_delay() if delay is None else delay), when_alive)

    def has_ended(self) -> None:
        self.command = False
        if self.keeper is not None and self.keeper.alive:
            self.keeper.child_ended(self)

    def _condition_ends(self) -> None:
        self.world.end(self, self.does.condition)

    def _begin(self) -> None:
        does = self.does
        self.world.note(f"command {self.run} {self.key}.{self.number} begins: {does}")
        if self.world.judge is not None:
            self.world.judge.command_starts(self)
        if self.script is not None and self.world.judge is not None:
            self.world.judge.script_begins(self)
        self.world.probes[self.token] = self.world.probes.get(self.token, 0) + 1
        for i in range(does.heartbeats):
            self._next(self._beat(i), does.duration * (i + 1) // (does.heartbeats + 1))
        self._next(self._command_ends, does.duration)

    def _beat(self, i: int) -> Callable[[], None]:
        return lambda: self.world.write(self.files.heartbeat, f"{self.number}.{i}\n") and None

    def _command_ends(self) -> None:
        does = self.does
        keeper = self.keeper
        if does.leaves_child:
            parent = keeper.pid if keeper is not None and keeper.alive else self.parent
            child = Child(self.world, self.token, does.stubborn, parent)
            self.world.add(child)
            self.world.strays.append(child)
            self.world.at(self.world.mono + does.leaves_child, lambda: self.world.end(child, 0))
        if does.silent:  # the keeper, too
            self.world.note(f"command {self.run} {self.key}.{self.number} dies without a word")
            self._takes_keeper(-signal.SIGKILL)
            return
        if does.output:
            self.world.write(self.files.output, does.output)
        if does.failure:
            self.world.write(self.files.failure, does.failure)
            if "non_retryable=true" in does.failure:
                self.world.final_words.add(self.token)
        if does.log:
            self.world.write(self.files.log, does.log)
        if self.script is not None and not does.exit_code and self.script.suspends():
            self._next(self._suspended)
            return
        self._exit(-signal.SIGKILL if does.by_signal else does.exit_code)

    def _suspended(self) -> None:
        """It has left word, and ends itself; now and then it takes its keeper with it."""
        if self.does.dies_after == _KEEPER_TOO:
            self._takes_keeper(-signal.SIGTERM)
        else:
            self._exit(-signal.SIGTERM)

    def _takes_keeper(self, status: int) -> None:
        keeper = self.keeper
        self.world.end(self, status)
        if keeper is not None and not self.world.settling:
            keeper.die()

    def _exit(self, status: int) -> None:
        self.world.note(f"{self.run} {self.key}.{self.number} ends: {status}")
        self.world.end(self, status)

    def asked(self, _: int) -> None:
        if self._condition:
            self._next(self._ended_by_signal, 0)
        elif self.command and not self.does.stubborn:
            self._next(self._ended_by_signal, self.does.dies_after)

    def _ended_by_signal(self) -> None:
        self._exit(-signal.SIGTERM)

    def killed(self) -> None:
        self.world.end(self, -signal.SIGKILL)

    def settle(self) -> None:
        if self.command:
            self.does = self.does._replace(exit_code=0, by_signal=False, silent=False, failure="")
            self._next(self._command_ends, MINUTE)
        else:
            self.does = self.does._replace(condition=0, duration=min(self.does.duration, MINUTE), exit_code=0)
