"""A durable script waits: it says what for and ends itself, to be run again when that has come. The record: record.py.

Whether a wait is over is the executor's to say, by the waits file: what its clock says, and which signals came.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

from jobctl.core.errors import JobctlError
from jobctl.host import clock
from jobctl.host.files import read_regular, replace_own
from jobctl.process import descent
from jobctl.scripts.record import Call, Script

GRACE_SECONDS = 2.0  # what the attempt's other processes have between SIGTERM and SIGKILL
_LOOK_SECONDS = 0.01

_UNTIL_EVER = 1 << 53
_MAX_WAITS = 64 * 1024 * 1024  # bytes: what came in for some thousand waits


def sleep(command: str, until: int) -> None:
    """Return when an instant has come: the one that was said when this call was first made."""
    script = _suspendable(command)
    call = script.begin("sleep")
    if call.record is None:
        call.record = call.write({"until": min(until, _UNTIL_EVER)})
    at = int(call.record["until"])
    if clock.now() < at and _ended(script, call) is None:
        _suspend(script, {"kind": "sleep", "call": call.number, "until": at})
    call.close()


def wait_signal(command: str, name: str, timeout: int | None) -> tuple[bool, Any]:
    """(whether the signal came in time, its payload). `timeout` counts from when this call was first made."""
    script = _suspendable(command)
    call = script.begin("signal", name)
    if call.record is None:
        call.record = call.write({} if timeout is None else {"until": clock.now() + timeout})
    ended = _ended(script, call)
    if ended is None:
        until = {"until": call.record["until"]} if "until" in call.record else {}
        _suspend(script, {"kind": "signal", "call": call.number, "name": name, **until})
    call.close()
    return not ended.get("timed_out"), ended.get("payload")


def _suspendable(command: str) -> Script:
    script = Script(command)
    if script.waits is None:
        raise script.refuse(
            f"{command} cannot be used in a compensation or in the command of a poll: they are not suspended",
            "wait in a step of its own, or in a command that is neither",
            unfinished=False,  # `jobctl sleep 5s || sleep 5` has waited
        )
    return script


def _ended(script: Script, call: Call) -> dict[str, Any] | None:
    """What the executor says that this wait has come to."""
    assert script.waits is not None
    try:
        waits: list[dict[str, Any]] = json.loads(read_regular(script.waits, _MAX_WAITS))
    except FileNotFoundError:
        return None
    except ValueError:
        raise JobctlError(
            "what the waits before have come to cannot be read: its file is damaged",
            hint="something but jobctl has written into the run's folder",
        ) from None
    return next((wait for wait in waits if wait["call"] == call.number), None)


def _suspend(script: Script, wait: dict[str, Any]) -> NoReturn:
    """Leave word what is waited for, then end every process of the attempt, this one last. The keeper writes down
    that the first one ended; if it cannot, the word is enough."""
    with suppress(ValueError):  # in a thread
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _leave_word(script.base + ".suspend", json.dumps(wait))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # of a Python script: what it has printed so far
    token = os.environ.get(descent.TOKEN, "")
    leader = os.getsid(0)
    if leader < 2 or not descent.carries(leader, token):
        leader = 0  # in another session than the attempt's: its members are found one by one
    for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process cannot end
        if leader:
            descent.signal_group(leader, number)
        descent.signal_members(token, number, outside=leader)
    give_up = time.monotonic() + GRACE_SECONDS
    quiet = 0
    while quiet < 2:  # in the middle of an exec a process shows no environment: look again
        try:
            others = [pid for pid in descent.members(token) if pid != os.getpid()]
        except OSError:
            continue  # no descriptor just now
        quiet = 0 if others else quiet + 1
        if time.monotonic() > give_up:
            for pid in others:
                descent.signal_process(pid, signal.SIGKILL, lambda pid=pid: descent.carries(pid, token))  # type: ignore[misc]
        time.sleep(_LOOK_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _leave_word(path: str, text: str) -> None:
    """Whole and on the disk, or not at all."""
    replace_own(path, (text + "\n").encode(), flush=True)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
