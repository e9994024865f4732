"""Whoever reads what jobctl says, and stops reading, stops nothing else.

Sources: moby/moby#22502, #39369 (a log driver that does not read), d2iq-archive/marathon#2985 (a scheduler that stops
when its log does); Ctrl-S in the terminal.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import JOBCTL, PATIENCE, Daemons

from jobctl.daemon import log as journal
from jobctl.daemon.log import Journal
from jobctl.host.host import Host

TICKS = "[jobs.tick]\nschedule = { every = '1s' }\noverlap = 'allow_all'\ncommand = 'true'\n"


class Reader:
    """The other end of what jobctl writes to: full, so that not a byte is taken until it is read."""

    def __init__(self, kind: str) -> None:
        self.terminal = kind == "terminal"
        if kind == "pipe":
            self._ours, self.theirs = os.pipe()
        elif kind == "terminal":
            self._ours, self.theirs = os.openpty()
        else:
            one, other = socket.socketpair()
            self._ours, self.theirs = one.detach(), other.detach()
        if self.terminal:
            os.write(self._ours, b"\x13")  # Ctrl-S
        else:
            os.set_blocking(self.theirs, False)
            try:
                while os.write(self.theirs, b"." * 512):
                    pass
            except BlockingIOError:
                pass
            os.set_blocking(self.theirs, True)

    def hand_over(self) -> None:
        """It is somebody else's alone from here on."""
        os.close(self.theirs)

    def all(self) -> str:
        """Everything, until its writer is gone."""
        if self.terminal:
            os.write(self._ours, b"\x11")  # Ctrl-Q
        found = b""
        ready = select.poll()  # not select(): of more than 1,024 descriptors it knows nothing
        ready.register(self._ours, select.POLLIN)
        while ready.poll(PATIENCE * 1000):
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # a terminal that nobody has open any more
                break
            if not data:
                break
            found += data
        return found.decode(errors="replace").lstrip(".")

    def close(self) -> None:
        os.close(self._ours)


@pytest.fixture
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    made = Reader(request.param)
    yield made
    made.close()


def _started(place: Daemons, reader: Reader, *words: str, only: str = "") -> subprocess.Popen[bytes]:
    """`only`: stdout or stderr, where not both of them go to that reader."""
    process = subprocess.Popen(
        [*JOBCTL, *words],
        cwd=place.folder,
        env={**place.environment, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if only == "stderr" else reader.theirs,
        stderr=subprocess.DEVNULL if only == "stdout" else reader.theirs,
    )
    reader.hand_over()
    place.running.append(process)  # type: ignore[arg-type]
    return process


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("reader", ["pipe", "terminal", "socket"], indirect=True)
def test_a_daemon_goes_on_and_hears(home: Callable[[str], Daemons], reader: Reader, style: str) -> None:
    place = home(TICKS)
    daemon = _started(place, reader, "daemon", "--log-format", style)
    place.until(lambda: sum(row.status == "succeeded" for row in place.rows()) >= 3)
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143


@pytest.mark.parametrize("reader", ["pipe", "socket", "terminal"], indirect=True)
def test_what_a_daemon_had_to_say_is_said_when_it_is_read_again(home: Callable[[str], Daemons], reader: Reader) -> None:
    place = home(TICKS)
    daemon = _started(place, reader, "daemon")
    place.until(lambda: len(place.rows()) >= 2)
    name = place.rows()[0].name
    daemon.terminate()
    said = reader.all()
    assert daemon.wait(PATIENCE) == 143
    assert "ready: " in said
    assert f"run {name}: started" in said
    assert "SIGTERM: stopping" in said


@pytest.mark.parametrize("style", ["text", "json"])
def test_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    monkeypatch.setattr(journal, "KEPT", 1_000)
    reader = Reader("pipe")
    with os.fdopen(reader.theirs, "w") as stream:
        said = Journal(style, stream, host=Host())
        for number in range(100):
            said.say(f"line {number}.")
        assert said.untold
        os.set_blocking(reader._ours, False)
        while said.untold:
            os.read(reader._ours, 1 << 16)
            said.flush()
        said.say("and so on")
        text = os.read(reader._ours, 1 << 16).decode()
    reader.close()
    lines = [line for line in text.lstrip(".").splitlines() if line]
    kept = sum("line " in line and "left out" not in line for line in lines)
    assert f"{100 - kept} lines were left out" in text
    assert "and so on" in lines[-1]


def test_nor_does_a_supervisor_that_does_not_listen(home: Callable[[str], Daemons]) -> None:
    place = home(TICKS)
    address = str(place.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as somebody:
            somebody.setblocking(False)
            try:
                while somebody.sendto(b"full", address):
                    pass
            except BlockingIOError:
                pass
        daemon = place.daemon(NOTIFY_SOCKET=address)
        place.until(lambda: len(place.rows()) >= 2)
        supervisor.settimeout(PATIENCE)
        while b"READY=1" not in supervisor.recv(1_000):  # it is told as soon as it listens
            pass
        daemon.terminate()
        assert daemon.wait(PATIENCE) == 143


# how it is shown, and to whom
VIEWS = {
    "plain lines": ((), "pipe", ""),
    "plain lines, stdout": ((), "pipe", "stdout"),
    "plain lines, stderr": ((), "pipe", "stderr"),
    "JSON": (("--json",), "pipe", ""),
    "JSON, into a socket": (("--json",), "socket", "stdout"),
    "a terminal": ((), "terminal", ""),
    "a terminal, all output": (("--verbose",), "terminal", ""),
}
OUTPUT = "seq 1 20000; echo up >> up; "


@pytest.mark.parametrize("view", VIEWS)
def test_a_run_goes_on_to_its_end(home: Callable[[str], Daemons], view: str) -> None:
    """The end is recorded though nobody reads; what reads on later gets all of it."""
    words, kind, only = VIEWS[view]
    place, reader = home(f"[jobs.x]\ncommand = '{OUTPUT} touch down'\n"), Reader(kind)
    process = _started(place, reader, "run", "x", *words, only=only)
    place.until(lambda: [row.status for row in place.rows()] == ["succeeded"])
    said = reader.all()
    assert process.wait(PATIENCE) == 0
    assert "succeeded" in said or only == "stdout"
    if not words and only != "stderr" and kind != "terminal":
        assert [line for line in said.splitlines() if line.isdigit()] == [str(n) for n in range(1, 20_001)]
    reader.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_signal_is_heard(home: Callable[[str], Daemons], view: str) -> None:
    number = signal.SIGINT if view == "JSON" else signal.SIGTERM
    words, kind, only = VIEWS[view]
    place, reader = home(f"[jobs.x]\ncommand = '{OUTPUT} exec sleep 600'\n"), Reader(kind)
    process = _started(place, reader, "run", "x", *words, only=only)
    place.until(lambda: place.lines("up"))
    process.send_signal(number)
    assert process.wait(PATIENCE) == 128 + number
    assert [row.status for row in place.rows()] == ["canceled"]
    reader.close()


@pytest.mark.parametrize("view", ["plain lines", "JSON", "a terminal"])
def test_whoever_waits_for_a_reader_at_the_end_need_not(home: Callable[[str], Daemons], view: str) -> None:
    words, kind, only = VIEWS[view]
    place, reader = home(f"[jobs.x]\ncommand = '{OUTPUT} true'\n"), Reader(kind)
    process = _started(place, reader, "run", "x", *words, only=only)
    place.until(lambda: [row.status for row in place.rows()] == ["succeeded"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) in (143, 0)  # 0: what nobody has taken was talk
    assert [row.status for row in place.rows()] == ["succeeded"]
    reader.close()


def test_in_a_line_too(home: Callable[[str], Daemons]) -> None:
    place, reader = home("[queues.q]\nconcurrency = 1\n[jobs.x]\nqueue = 'q'\ncommand = 'sleep 600'\n"), Reader("pipe")
    place.daemon()
    place.detach("x")
    place.until(lambda: [row.status for row in place.rows()] == ["running"])
    process = _started(place, reader, "run", "x")
    place.until(lambda: len(place.rows()) == 2)
    process.terminate()
    assert process.wait(PATIENCE) == 143
    assert [row.status for row in place.rows()] == ["running", "canceled"]
    reader.close()


def test_logs_that_are_followed_end_with_a_signal(home: Callable[[str], Daemons]) -> None:
    place, reader = home(f"[jobs.x]\ncommand = '{OUTPUT} sleep 600'\n"), Reader("pipe")
    place.daemon()
    place.detach("x")
    place.until(lambda: place.lines("up"))
    process = _started(place, reader, "logs", "-f", "x")
    place.until(lambda: "pipe_write" in Path(f"/proc/{process.pid}/wchan").read_text())
    process.terminate()
    assert process.wait(PATIENCE) == 143
    reader.close()
