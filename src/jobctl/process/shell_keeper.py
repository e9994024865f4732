"""Attempts that jobctl 0.1 left: each under a `/bin/sh` of its own, which wrote a state file. Found, read, never made.

<step>.<n>.state: its pid; `run` or `skip N` where there is a condition; the shell's own words where a signal ended the
command; `exit N` at the end. An attempt of three days outlives upgrades, so this stays as long as one may be left.
"""

from __future__ import annotations

import os

from jobctl.core.record import NamedTuple
from jobctl.process import descent
from jobctl.process.attempt import FileError, read
from jobctl.process.end import End

_MAX_PID = 2**22  # what Linux goes up to


class State(NamedTuple):
    """What a state file says. `pid` is None while the keeper has not got that far; `end` while it runs."""

    pid: int | None
    ran: bool
    end: End | None


def state(path: str, id: str) -> State | None:
    """None when there is no file: no shell keeper has had it. What cannot be read says nothing: it is lost."""
    try:
        text = read(path, 4096)
    except FileError:
        return State(None, False, None)
    if text is None:
        return None
    pid: int | None = None
    ran = by_signal = False
    end: End | None = None
    for number, line in enumerate(text.split(b"\n")[:-1]):  # what comes after the last newline is not complete
        word, _, rest = line.partition(b" ")
        value = _number(rest, 255)
        if number == 0:
            pid = _number(line, _MAX_PID) or None
            pid = None if pid is not None and pid < 2 else pid
        elif word == b"exit" and value is not None:
            end = End(id, "exit", value - 128 if by_signal and 128 < value < 193 else value << 8, ran=True)
        elif word == b"run":
            ran = True
        elif word == b"skip" and value is not None:
            end = End(id, "condition", value << 8)
        elif line == b"nofolder":
            end = End(id, "not_made", 2, what="folder")
        elif line:
            by_signal = True  # the shell's own words: Killed, Terminated (core dumped) …
    return State(pid, ran, end)


def _number(text: bytes, most: int) -> int | None:
    """A number that a keeper can have written. None for others: a command can reach the file, too."""
    return int(text) if text.isdigit() and len(text) <= len(str(most)) and int(text) <= most else None


def find(path: str, id: str, token: str) -> int | None:
    """The pid of the living shell keeper of an attempt; None when it does not live.

    A pid alone proves nothing: the process must lead its session and carry the attempt's token.
    """
    found = state(path, id)
    if found is None or found.pid is None or found.end is not None:
        return None
    try:
        if os.getsid(found.pid) != found.pid or not descent.carries(found.pid, token):
            return None
    except (ProcessLookupError, PermissionError):
        return None
    return found.pid
