"""A keeper in the hands of a test: orders given, facts heard, made in both ways."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jobctl.core.run.attempts import Outcome
from jobctl.process import descent, frames, journal, keepers, kernel, orders
from jobctl.process.attempt import AttemptFiles, outcome, read_failure
from jobctl.process.descent import TOKEN
from jobctl.process.end import End
from jobctl.process.frames import Message
from jobctl.process.keepers import Link

PATIENCE = float(os.environ.get("JOBCTL_TEST_PATIENCE", "60"))  # seconds
BOOT = "boot1"

# Forks only where nothing else is: this process has threads.
FORKER = """
import os, sys
from jobctl.process import keepers
link = keepers.make(fork=True)
os.set_inheritable(link.read, True); os.set_inheritable(link.write, True)
print(link.read, link.write, link.pid, flush=True)
sys.stdin.read()
"""


class Hands:
    """One executor's folder, its keeper, and one connection to it. Attempts are those of a run `x-1`."""

    def __init__(self, folder: Path, how: str = "spawned", name: str = "e.1") -> None:
        self.folder = folder
        self.place = folder / "executors"
        self.place.mkdir(exist_ok=True)
        # Its maker's lock.
        self.executor: int | None = os.open(
            self.place / (name.rpartition(".")[0] + ".lock"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC
        )
        os.fchmod(self.executor, 0o600)
        with suppress(BlockingIOError):  # another Hands has it
            fcntl.flock(self.executor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.name = name
        self.how = how
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.maker: subprocess.Popen[str] | None = None
        self.link: Link
        self.links: list[Link] = []

    def make(self) -> Hands:
        if self.how == "forked":
            self.link = self._forked()
        else:
            self.link = keepers.make()
        self.links.append(self.link)
        self.link.greet(str(self.place), self.name, BOOT, 0o022)
        self.link.flush()
        return self

    def _forked(self) -> Link:
        """By a process of its own, whose pipes we take over: descriptors come through /proc."""
        self.maker = subprocess.Popen(
            [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.maker.stdout is not None
        read, write, pid = (int(word) for word in self.maker.stdout.readline().split())
        fds = [
            os.open(f"/proc/{self.maker.pid}/fd/{fd}", how | os.O_CLOEXEC)
            for fd, how in ((read, os.O_RDONLY), (write, os.O_WRONLY))
        ]
        self._end_maker()  # the keeper is nobody's child now, and these are the only ends of its pipes
        return Link(fds[0], fds[1], pid)

    def _end_maker(self) -> None:
        if self.maker is not None and self.maker.stdin is not None:
            self.maker.stdin.close()
            self.maker.wait(10)

    def connect(self) -> Link:
        """Another one, once its maker is gone."""
        found: list[Link] = []

        def connected() -> bool:
            link = keepers.connect(str(self.place), self.name)
            found.extend([link] if link is not None else [])
            return bool(found)

        until(connected)
        self.links.append(found[0])
        return found[0]

    @property
    def keeper(self) -> int:
        """Its pid."""
        if self.link.pid is not None:
            return self.link.pid
        raise AssertionError

    # -- orders ----------------------------------------------------------------------------------------------------

    def files(self, number: int = 1) -> AttemptFiles:
        return AttemptFiles(str(self.folder), "main", number)

    def token(self, number: int = 1) -> str:
        return f"{self.folder}/x-1/main.{number}"

    def start(
        self,
        *argv: str,
        number: int = 1,
        cwd: str = "/",
        only_if: str = "",
        environment: dict[str, str] | None = None,
        link: Link | None = None,
        limits: dict[str, int] | None = None,
        **more: object,
    ) -> str:
        """Ask for an attempt; its id. `more`: fields of the order."""
        id = f"x-1/main.{number}"
        variables = {"PATH": os.environ["PATH"], TOKEN: self.token(number), **(environment or {})}
        fields = {"run": "x-1", "take": 2, "grace": 10_000, **more}
        order = frames.message(
            "start", id=id, token=self.token(number), base_path=self.files(number).base, cwd=cwd,
            cond=only_if or None, **fields,
        )  # fmt: skip
        order += [b"limit=%b:%d" % (name.encode(), ms) for name, ms in (limits or {}).items()]
        order += [b"a=" + os.fsencode(part) for part in argv]
        order += (link or self.link).environment(variables)
        self.say(order, link)
        return id

    def sh(self, script: str, **how: object) -> str:
        return self.start("/bin/sh", "-c", script, **how)  # type: ignore[arg-type]

    def order(self, verb: str, link: Link | None = None, **fields: object) -> None:
        self.say(frames.message(verb, **fields), link)

    def say(self, message: Message, link: Link | None = None) -> None:
        one = link or self.link
        one.send(message)
        deadline = time.monotonic() + PATIENCE
        while not one.flush():
            assert time.monotonic() < deadline
            self.listen(one)

    # -- facts -----------------------------------------------------------------------------------------------------

    def listen(self, link: Link | None = None, ms: int = 50) -> bool:
        """Hear what it says now. Whether it is gone."""
        one = link or self.link
        poll = select.poll()
        poll.register(one.read, select.POLLIN)
        if not poll.poll(ms):
            return False
        found, gone = one.receive()
        self.heard += [(message[0].decode(), frames.fields(message)) for message in found]
        return gone

    def fact(self, verb: str, link: Link | None = None, **fields: str) -> dict[str, str]:
        """The first such fact, waited for; it is taken."""

        def found() -> bool:
            self.listen(link, 0 if self._find(verb, fields) else 50)
            return self._find(verb, fields) is not None

        until(found, self.heard)
        place = self._find(verb, fields)
        assert place is not None
        return self.heard.pop(place)[1]

    def _find(self, verb: str, fields: dict[str, str]) -> int | None:
        for place, (said, told) in enumerate(self.heard):
            if said == verb and all(told.get(name) == value for name, value in fields.items()):
                return place
        return None

    def end(self, id: str = "x-1/main.1", link: Link | None = None) -> End:
        return orders.end(self.fact("ended", link, id=id))

    def outcome(self, id: str = "x-1/main.1") -> Outcome:
        return outcome(self.end(id), read_failure(self.files(int(id.rpartition(".")[2])).failure))

    def log(self, number: int = 1) -> bytes:
        path = Path(self.files(number).log)
        return path.read_bytes() if path.exists() else b""

    def entry(self, id: str = "x-1/main.1") -> journal.Entry | None:
        return journal.read(journal.files(str(self.place), self.name)).entries.get(id)

    def process(self, id: str = "x-1/main.1") -> int:
        """The pid of an attempt's first process."""
        until(lambda: (one := self.entry(id)) is not None and one.pid is not None)
        one = self.entry(id)
        assert one is not None
        assert one.pid is not None
        return one.pid

    def is_gone(self) -> bool:
        return not keepers.lives(str(self.place), self.name)

    def close(self) -> None:
        for link in self.links:
            link.close()
        for number in range(1, 30):
            descent.sweep(self.token(number))
        until(self.is_gone)
        keepers.reap()
        self._end_maker()
        self.end_executor()

    def end_executor(self) -> None:
        """Its lock is free from here on."""
        if self.executor is not None:
            os.close(self.executor)
            self.executor = None


def until(holds: Callable[[], object], about: object = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, about
        time.sleep(0.002)


def alive(pid: int) -> bool:
    found = descent.look(pid)
    return found is not None and found.alive


def locked(path: str) -> bool:
    return kernel.is_locked(path)
