"""What a durable script has done: the record of its calls, from attempt to attempt. For the commands and functions.py.

A script's calls are numbered from 0, and must come in the same order in each attempt. The journal of a piece of work
holds what they came to, a line of flat JSON each; where the present attempt is in it stands in its calls file, which
is locked while a call is under way. Loaded by commands that run in loops: neither json nor re nor enum is imported.
"""

from __future__ import annotations

import fcntl
import os

from jobctl.core.errors import JobctlError, UsageError
from jobctl.host.files import open_named, open_own

try:  # what json is made of; json itself would cost as much as a start of Python
    from _json import encode_basestring_ascii as _quoted
    from _json import scanstring as _scan
except ImportError:
    from json.decoder import scanstring as _scan  # type: ignore[attr-defined,no-redef]
    from json.encoder import encode_basestring_ascii as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, str | int]

MAX_RECORDED = 1024 * 1024  # bytes that one call may leave in the record
_MAX_NAME = 200  # characters
_CHUNK = 64 * 1024

_ENDED, _FAILED, _UNDER_WAY, _BROKEN = ".", "!", "?", "x"


class Script:
    """The attempt that this process belongs to."""

    __slots__ = ("attempt", "base", "failure", "journal", "key", "waits")

    def __init__(self, command: str) -> None:
        """UsageError when it belongs to none; `command` is what was called, for the message."""
        self.journal = inside(command, "JOBCTL_JOURNAL")
        self.failure = inside(command, "JOBCTL_FAILURE")
        self.base = self.failure.removesuffix(".failure")
        self.key, _, number = os.path.basename(self.base).rpartition(".")
        self.attempt = int(number)
        self.waits = os.environ.get("JOBCTL_WAITS")  # unset where an attempt cannot be suspended

    def refuse(self, message: str, hint: str, *, unfinished: bool = True) -> JobctlError:
        """The error for what another attempt would do just the same: this one is not retried.

        `unfinished`: what was asked for has not been done, and a script that goes on all the same has not succeeded.
        """
        write_failure(self.failure, message, non_retryable=True, unfinished=unfinished)
        error = JobctlError(message, hint=hint)
        error.add_note(f"hint: {hint}")  # of a Python script
        if self.waits is None:
            error.exit_code = 2  # of a poll, 1 would say "not yet"
        return error

    def begin(self, kind: str, name: str = "") -> Call:
        """The attempt's next call. JobctlError when the record has another one in this place, when one is under way
        already, or when nothing can follow the one before it."""
        if len(name) > _MAX_NAME or not name.isprintable() or (kind != "sleep" and not name):
            raise self.refuse(
                f"{name[:40]!r} is no name for a step or a signal",
                f"a name is printable and has up to {_MAX_NAME} characters",
            )
        calls = open_own(self.base + ".calls", os.O_RDWR | os.O_CREAT)
        try:
            return self._begin(calls, kind, name)
        except BaseException:
            os.close(calls)
            raise

    def _begin(self, calls: int, kind: str, name: str) -> Call:
        what = named(kind, name)
        try:
            fcntl.flock(calls, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _, _, _, other = _position(calls)
            raise self.refuse(
                f"the script asked for {what} while {other or 'another call'} was under way",
                "calls of a durable script come one after another: neither side by side nor inside one another",
            ) from None
        number, offset, state, before = _position(calls)
        if state == _BROKEN:
            raise JobctlError(before, hint="the script went on after this error: let it end there (set -e)")
        if state == _UNDER_WAY:
            message = f"{before} was killed: what it came to is not known, so {what} cannot follow it in this attempt"
            write_failure(self.failure, message, unfinished=True)
            raise JobctlError(
                message, hint="let the script end when a call fails (set -e): the next attempt does it again"
            )
        if os.path.exists(self.base + ".suspend"):
            raise JobctlError(f"the attempt has been suspended: {what} is for the next one")
        journal = open_own(self.journal, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        call = Call(self, calls, journal, number, kind, name)
        try:
            record, call.end, followed = self._recorded(journal, number, offset)
            if record is not None:
                done = named(str(record.get("kind", "")), str(record.get("name", "")))
                if done != what:
                    message = (
                        f"the script asked for {what} where the attempt before it did {done} (call {number + 1}):"
                        " a durable script must make its calls in the same order"
                    )
                    _note(calls, number, offset, _BROKEN, message)
                    run = os.environ.get("JOBCTL_RUN", "RUN")
                    step = os.environ.get("JOBCTL_STEP", "STEP")
                    raise self.refuse(message, f"to start anew: jobctl resume {run} --from {step}")
                status = record.get("status")
                # What failed is done again, if the attempt came to nothing more after it.
                if kind == "sleep" or kind == "signal" or status == 0 or (status is not None and followed):
                    call.record = record
            if call.record is None and state == _FAILED and kind in ("step", "function"):
                call.write({})  # the script goes on: the failure of the call before this one is final
            _note(calls, number, offset, _UNDER_WAY, what)
        except BaseException:
            os.close(journal)
            raise
        return call

    def _recorded(self, journal: int, number: int, offset: int) -> tuple[Record | None, int, bool]:
        """(the last record of that call, where it ends, whether a later call's follows). What the end of the file
        holds of a line that was not written whole is cut off."""
        found: Record | None = None
        end, rest = offset, b""
        while chunk := os.pread(journal, _CHUNK, end + len(rest)):
            rest += chunk
            while b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                try:
                    record = _load(line.decode())
                    other = int(record["n"]) != number
                except (ValueError, KeyError, StopIteration, IndexError) as error:
                    raise self.refuse(
                        f"the script's record is damaged: {self.journal}, byte {end}",
                        "to start anew, without it: jobctl resume RUN --from STEP",
                    ) from error
                if other:
                    return found, end, True
                found = record
                end += len(line) + 1
        if rest:
            os.ftruncate(journal, end)
        return found, end, False


class Call:
    """One call of a script, under way until `close`. `record` is what it came to before, None when it is to be done."""

    __slots__ = ("_calls", "_journal", "end", "kind", "name", "number", "record", "script")

    def __init__(self, script: Script, calls: int, journal: int, number: int, kind: str, name: str) -> None:
        self.script = script
        self.number = number
        self.kind = kind
        self.name = name
        self.record: Record | None = None
        self.end = 0
        self._calls = calls
        self._journal = journal

    def write(self, values: Record) -> Record:
        """Add to the record, and have it on the disk. JobctlError when there is no room."""
        record: Record = {"n": self.number, "kind": self.kind, "name": self.name, "attempt": self.script.attempt}
        record.update(values)
        line = (_dump(record) + "\n").encode()
        try:
            if self.end == 0:  # a new file: its name must last, too
                folder = os.open(os.path.dirname(self.script.journal), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
            rest = line
            while rest:
                rest = rest[os.write(self._journal, rest) :]
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._journal)
        except OSError as error:
            os.ftruncate(self._journal, self.end)
            raise JobctlError(
                f"{named(self.kind, self.name)} was not recorded: {error.strerror}",
                hint="the next attempt does it again; make room in the state folder",
            ) from error
        self.end += len(line)
        return record

    def close(self, *, failed: bool = False) -> None:
        """The call is over and the script may go on. `failed`: just now, not in an earlier attempt."""
        _note(self._calls, self.number + 1, self.end, _FAILED if failed else _ENDED, "")
        self.leave()

    def leave(self) -> None:
        """Without an end: nothing can follow it in this attempt."""
        for fd in (self._journal, self._calls):
            if fd >= 0:
                os.close(fd)
        self._journal = self._calls = -1


def inside(command: str, variable: str) -> str:
    """What a variable of an attempt's environment says. UsageError outside of an attempt."""
    value = os.environ.get(variable)
    if not value:
        raise UsageError(
            f"{command} works inside a step's command",
            hint="put it into the command of a step in jobs.toml, or into a script that the command calls",
        )
    return value


def named(kind: str, name: str) -> str:
    if kind == "step":
        return f"step {name!r}"
    if kind == "function":
        return f"step {name!r} (a function)"
    return f"a wait for the signal {name!r}" if kind == "signal" else "a sleep"


def append(path: str, text: str) -> None:
    """Add to one of the attempt's files, in one piece."""
    fd = open_named(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)


def write_failure(
    path: str,
    message: str,
    *,
    type: str | None = None,
    non_retryable: bool = False,
    retry_delay: str | None = None,
    unfinished: bool = False,
) -> None:
    """What the attempt's failure file says from now on: the last word of each key counts. `unfinished`: the attempt has
    failed whatever its exit code is."""
    text = pair("message", message)
    if type is not None:
        text += pair("type", type)
    if non_retryable:
        text += "non_retryable=true\n"
    if retry_delay is not None:
        text += pair("next_retry_delay", retry_delay)
    if unfinished:
        text += "unfinished=true\n"
    append(path, text)


def pair(key: str, value: str) -> str:
    """A key and its value as an output or failure file has them."""
    if "\n" not in value:
        return f"{key}={value}\n"
    end, lines = "END", {line.strip() for line in value.split("\n")}
    while end in lines:
        end += "_"
    return f"{key}<<{end}\n{value}\n{end}\n"


def beat(path: str, cursor: str | None) -> None:
    """A sign of life; without a cursor the last one stays. ValueError for a cursor of several lines, or too long."""
    if cursor is None:
        os.close(open_named(path, os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(path)
        return
    if "\n" in cursor or "\0" in cursor or len(cursor.encode("utf-8", "surrogateescape")) > _CHUNK:
        raise ValueError(f"a cursor is one line of up to {_CHUNK} bytes")
    append(path, cursor + "\n")


def _position(calls: int) -> tuple[int, int, str, str]:
    """(number of the next call, where its record begins, how the last one stands, what is said of it)."""
    place, _, text = os.pread(calls, 8192, 0).decode("utf-8", "replace").partition("\n")
    if not place:
        return 0, 0, _ENDED, ""
    number, offset, state = place.split(" ")
    return int(number), int(offset), state, text


def _note(calls: int, number: int, offset: int, state: str, text: str) -> None:
    data = f"{number} {offset} {state}\n{text}".encode("utf-8", "backslashreplace")
    os.pwrite(calls, data, 0)
    os.ftruncate(calls, len(data))


def _dump(record: Record) -> str:
    pairs = (f'"{key}":{_quoted(value) if isinstance(value, str) else value}' for key, value in record.items())
    return "{" + ",".join(pairs) + "}"


def _load(line: str) -> Record:
    """One object of texts and whole numbers, as `_dump` writes it. ValueError, IndexError for anything else."""
    record: dict[str, Any] = {}
    if line[0] != "{" or line[-1] != "}":
        raise ValueError(line[:40])
    at = 0
    while at < len(line) - 1:
        if line[at] not in "{," or line[at + 1] != '"':
            raise ValueError(line[at : at + 40])
        key, at = _scan(line, at + 2)
        if line[at] != ":":
            raise ValueError(line[at : at + 40])
        if line[at + 1] == '"':
            record[key], at = _scan(line, at + 2)
        else:
            end = line.find(",", at)
            end = len(line) - 1 if end < 0 else end
            record[key], at = int(line[at + 1 : end]), end
    return record
