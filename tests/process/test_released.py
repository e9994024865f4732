"""Keepers of every version that was released: what they said and wrote, and a supervisor of today that takes over.

`released/N/adopted.jsonl` is a conversation with a keeper of protocol N as it was, `e.1.1.journal` what it wrote.
Never changed, only added to: an attempt of three days outlives upgrades.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hands import PATIENCE

from jobctl.core.model import Timeouts
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.process import descent, journal
from jobctl.process.attempt import AttemptFiles
from jobctl.process.held import Attempt, Command, Ended, Report
from jobctl.process.supervisor import Supervisor
from jobctl.process.timers import Timers
from jobctl.process.watch import Watch

RELEASED = Path(__file__).with_name("released")
VERSIONS = sorted(folder.name for folder in RELEASED.iterdir())
NUMBERS = (1, 2, 3, 4)


class Player(threading.Thread):
    """A keeper that says what one has said: to each order what followed on that order then."""

    def __init__(self, place: Path, conversation: list[dict[str, list[str]]]) -> None:
        super().__init__(daemon=True)
        self.answers: dict[tuple[str, ...], list[list[str]]] = {}
        said: list[list[str]] = []
        for line in conversation:
            if "told" in line:
                said = self.answers[_which(line["told"])] = []
            else:
                said.append(line["says"])
        self.told: list[list[str]] = []
        self._lock = os.open(place / "e.1.keeper", os.O_CREAT | os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place / "e.1.sock"))
        self._listener.listen()
        self.start()

    def run(self) -> None:
        peer, _ = self._listener.accept()
        rest = b""
        while data := peer.recv(65536):
            rest += data
            while len(rest) >= 4 and len(rest) >= 4 + (size := int.from_bytes(rest[:4], "big")):
                order = rest[4 : 4 + size].decode().split("\0")
                rest = rest[4 + size :]
                self.told.append(order)
                for fact in self.answers.get(_which(order), []):
                    body = "\0".join(fact).encode()
                    peer.sendall(len(body).to_bytes(4, "big") + body)
        peer.close()

    def end(self) -> None:
        self._listener.close()
        os.close(self._lock)


def _which(order: list[str]) -> tuple[str, ...]:
    return (order[0], *(word for word in order[1:] if word.startswith(("id=", "run=", "n="))))


class Heir:
    """A supervisor of today, and what it tells."""

    def __init__(self, place: Path, boot: str) -> None:
        self.watch, self.timers = Watch(), Timers(Host())
        self.told: dict[int, Report] = {}
        self.folder = place.parent
        self.supervisor: Supervisor[None] = Supervisor(
            str(place), "heir", boot, self.watch, self.timers, self._told, stays=True
        )
        self.attempts = {number: self._attempt(number) for number in NUMBERS}
        for attempt in self.attempts.values():
            self.supervisor.attach(attempt, ["e"], stop=None, may_start=False)

    def _attempt(self, number: int) -> Attempt[None]:
        return Attempt(
            None,
            "main",
            number,
            run="x-1",
            take=3,
            files=AttemptFiles(str(self.folder), "main", number),
            token=f"token/x-1/main.{number}",
            timeouts=Timeouts(),
            host=Host(),
            started_at=clock.now(),
            step_started_at=clock.now(),
            command=lambda _: Command(["true"], {}, "/"),
            has_condition=number == 3,
        )

    def _told(self, attempt: Attempt[None], report: Report) -> None:
        self.told[attempt.number] = report
        self.supervisor.recorded(attempt.id)

    def until(self, holds: Any) -> None:
        deadline = clock.monotonic() + PATIENCE * 1000
        while not holds():
            assert clock.monotonic() < deadline, self.told
            self.supervisor.flush()
            for act in self.watch.wait(20):
                self.timers.do(act)
            self.timers.due(clock.monotonic())

    def outcome(self, number: int) -> tuple[str, int | None, int | None]:
        report = self.told[number]
        assert isinstance(report, Ended)
        return report.outcome.status, report.outcome.exit_code, report.outcome.signal

    def close(self) -> None:
        self.supervisor.close()
        self.watch.close()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Path:
    return RELEASED / str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "executors"
    found.mkdir()
    return found


@pytest.fixture
def player(version: Path, place: Path) -> Iterator[Player]:
    lines = (version / "adopted.jsonl").read_text().splitlines()
    one = Player(place, [json.loads(line) for line in lines])
    yield one
    one.end()


def test_attempts_under_a_keeper_of_that_version_are_adopted_stopped_and_acknowledged(
    player: Player, place: Path
) -> None:
    heir = Heir(place, "boot1")
    heir.until(lambda: {1, 4} <= heir.told.keys() and heir.attempts[2].running and heir.attempts[3].running)
    assert heir.outcome(1) == ("failed", 7, None)
    assert heir.outcome(4)[0] == "failed"
    heir.supervisor.stop(heir.attempts[2], "cancel")
    heir.supervisor.stop(heir.attempts[3], "kill")
    heir.until(lambda: len(heir.told) == 4)
    assert heir.outcome(2) == ("canceled", None, 15)
    assert heir.outcome(3) == ("canceled", None, 9)
    heir.until(lambda: len([word for order in player.told if order[0] == "ack" for word in order[1:]]) == 4)
    heir.close()


def test_what_a_dead_keeper_of_that_version_has_written_is_known(version: Path, place: Path) -> None:
    (place / "e.1.1.journal").write_bytes((version / "e.1.1.journal").read_bytes())
    (place / "e.1.keeper").touch()
    found = journal.read(journal.files(str(place), "e.1"))
    assert found.header is not None
    assert found.header.boot == "boot1"
    assert [id for id, entry in found.entries.items() if entry.end is None] == ["x-1/main.2", "x-1/main.3"]
    assert found.entries["x-1/main.3"].ran
    assert found.entries["x-1/main.3"].pid not in (None, found.entries["x-1/main.2"].pid)
    heir = Heir(place, "boot2")  # another boot: what ran is lost, whichever process has that pid now
    heir.until(lambda: len(heir.told) == 4)
    assert heir.outcome(1) == ("failed", 7, None)
    assert heir.outcome(4)[0] == "failed"
    for number in (2, 3):
        report = heir.told[number]
        assert isinstance(report, Ended)
        assert str(report.outcome.error).startswith("lost")
    heir.close()


def test_the_processes_of_that_version_are_told_by_their_beginnings(version: Path) -> None:
    """A pid alone is nobody."""
    entries = journal.read([str(version / "e.1.1.journal")]).entries
    for entry in entries.values():
        if entry.pid is not None:
            found = descent.look(entry.pid)
            assert found is None or not found.born_between(*entry.born)


def test_a_keeper_of_today_speaks_the_latest_of_them() -> None:
    from jobctl.process import frames

    assert str(frames.VERSION) == VERSIONS[-1]
