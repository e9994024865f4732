"""One attempt's files: what its command wrote, and how it ended. Started and stopped in supervisor.py.

<step>.<n>.log        the command's stdout and stderr; made by the keeper
<step>.<n>.heartbeat  by the command: a line is a sign of life, the last complete one the cursor
<step>.<n>.output     by the command: key=value, or key<<END … END
<step>.<n>.failure    by the command: message=, type=, non_retryable=, next_retry_delay=
<step>.<n>.poll       by jobctl: how often a poll has said "not yet", and when it is asked again
<step>.<n>.suspend    by a durable script: what it waits for, having ended itself. Written in scripts/suspend.py
<step>.<n>.calls      by a durable script: where it is in its journal. scripts/record.py's alone
<step>.<m>.journal    by a durable script: what it has done, since attempt m. scripts/record.py's alone
<step>.<m>.waits      by the engine: what its waits have come to, since attempt m
<step>.<n>.state      of an attempt under a keeper of jobctl 0.1, see shell_keeper.py
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from jobctl.core.record import NamedTuple
from jobctl.core.run.attempts import CANCELED, FAILED, SKIPPED, SUCCEEDED, Outcome
from jobctl.host.files import PASSING, open_own, open_regular, replace_own
from jobctl.process.end import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_OUTPUT = 1024 * 1024  # bytes of an output file; a payload on a Temporal cluster may have 2 MB
MAX_CURSOR = 64 * 1024  # bytes; the next attempt gets it in an environment variable, where 128 KiB is the end


class AttemptFiles:
    """Paths of one attempt's files. `folder` is the run's; `key` the step, or `STEP!undo`."""

    __slots__ = ("base", "calls", "failure", "heartbeat", "log", "output", "poll", "state", "suspend")

    def __init__(self, folder: str, key: str, number: int) -> None:
        self.base = base = f"{folder}/{key}.{number}"
        self.state = base + ".state"
        self.log = base + ".log"
        self.heartbeat = base + ".heartbeat"
        self.output = base + ".output"
        self.failure = base + ".failure"
        self.poll = base + ".poll"
        self.suspend = base + ".suspend"
        self.calls = base + ".calls"


class Failure(NamedTuple):
    """What a command says of its own failure."""

    message: str | None = None
    type: str | None = None
    non_retryable: bool = False
    next_retry_delay: int | None = None
    unfinished: bool = False  # a durable script was refused a call: whatever its exit code, it has not done its work


class FileError(ValueError):
    """A file of an attempt that does not say what it must. The message names the line."""


def outcome(end: End, failure: Failure) -> Outcome:
    """How an attempt ended by itself, out of how its process did and what it says of that."""
    if end.how == "not_made":
        return _not_made(end)
    if end.how == "unbegun":
        return Outcome(CANCELED, error="it was asked to end before it began")
    killed = os.WIFSIGNALED(end.status)
    code = None if killed else os.WEXITSTATUS(end.status)
    number = os.WTERMSIG(end.status) if killed else None
    how = f"killed by {signal_name(number)}" if number is not None else f"exit code {code}"
    if end.how == "condition":
        if code == 1:
            return Outcome(SKIPPED, 1)
        ended = f"was {how}" if killed else f"ended with {how}, not 0 or 1"
        return Outcome(FAILED, code, number, error=f"its condition (only_if) {ended}")
    if code == 0 and not failure.unfinished:
        return Outcome(SUCCEEDED, 0)
    message = failure.message
    if message is None:
        message = how
        if code in (126, 127):
            message += " (command not found)" if code == 127 else " (command cannot be executed)"
    return Outcome(
        FAILED,
        exit_code=code,
        signal=number,
        error=message,
        error_type=failure.type,
        non_retryable=failure.non_retryable,
        next_retry_delay=failure.next_retry_delay,
    )


def _not_made(end: End) -> Outcome:
    """There was no process: with the exit codes that a shell has for it."""
    if end.what == "folder":
        return Outcome(FAILED, 126, error="its working folder (cwd) cannot be entered")
    if end.what == "arguments" and end.status == errno.E2BIG:
        return Outcome(FAILED, error="its command and environment are too long for the system (E2BIG)")
    if end.what == "interpreter":
        code = 127 if end.status == errno.ENOENT else 126
        error = f"exit code {code} (the interpreter that its first line names: {os.strerror(end.status)})"
        return Outcome(FAILED, code, error=error)
    if end.what == "program":
        missing = end.status in (errno.ENOENT, errno.ENOTDIR)
        code, why = (127, "command not found") if missing else (126, "command cannot be executed")
        return Outcome(FAILED, code, error=f"exit code {code} ({why})")
    return Outcome(FAILED, error=f"it could not be started: {end.what}: {os.strerror(end.status)}")


def signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def read_failure(path: str) -> Failure:
    """What the command says of its failure; empty when it says nothing. FileError for what cannot be read."""
    text = read(path, 64 * 1024)
    if text is None:
        return Failure()
    values = _key_values(text, "failure file")
    delay = None
    if "next_retry_delay" in values:
        from jobctl.core import durations

        try:
            delay = durations.parse(values["next_retry_delay"])
        except ValueError as error:
            raise FileError(f"the failure file's next_retry_delay: {error}") from error
    flag = values.get("non_retryable", "false").strip().lower()
    if flag not in ("true", "false", "1", "0", "yes", "no"):
        raise FileError("the failure file's non_retryable is neither true nor false")
    non_retryable, unfinished = flag in ("true", "1", "yes"), "unfinished" in values
    return Failure(values.get("message"), values.get("type"), non_retryable, delay, unfinished)


def read_outputs(path: str) -> dict[str, str]:
    """What the command hands on, the last value of each key; empty when it made no file. FileError as above."""
    text = read(path, MAX_OUTPUT + 1)
    if text is not None and len(text) > MAX_OUTPUT:
        raise FileError(f"the output file has more than {MAX_OUTPUT} bytes, the limit: hand on a path instead")
    return _key_values(text or b"", "output file")


def read_cursor(path: str) -> str | None:
    """The last complete line of the heartbeat file: how far the command has come. Only the file's end is read."""
    try:
        fd = _open(path)
    except (FileNotFoundError, FileError):
        return None
    try:
        size = os.fstat(fd).st_size
        start = max(0, size - MAX_CURSOR - 2)
        text = os.pread(fd, size - start, start)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return None
    finally:
        os.close(fd)
    end = text.rfind(b"\n")
    if end < 0:
        return None
    begin = text.rfind(b"\n", 0, end)
    if begin < 0 and start > 0:
        return None  # longer than a cursor may be
    cursor = _text(text[begin + 1 : end].removesuffix(b"\r"))
    # Bytes that are no text take more room when they are written as such.
    return cursor if len(cursor.encode()) <= MAX_CURSOR else None


def read_stdout(path: str) -> str:
    """The last line that the command has printed. FileError as above."""
    from jobctl.process.logs import last_line

    try:
        return last_line(path)
    except OSError as error:
        raise _not_readable(path, error) from error


def journal_path(folder: str, key: str, first: int) -> str:
    """Of a piece of work that began with attempt `first`."""
    return f"{folder}/{key}.{first}.journal"


def waits_path(folder: str, key: str, first: int) -> str:
    return f"{folder}/{key}.{first}.waits"


def write_waits(path: str, ended: Sequence[Mapping[str, Any]]) -> None:
    """What the waits of a piece of work have come to, whole or not at all. Each names its call."""
    import json

    replace_own(path, json.dumps(list(ended)).encode())


def read_suspension(path: str) -> dict[str, Any] | None:
    """What an attempt that has suspended itself waits for: kind, call, name of a signal, until. None when it has not.

    FileError for a file that does not say it.
    """
    text = read(path, 64 * 1024)
    if text is None:
        return None
    import json

    try:
        wait = json.loads(text)
        kind, call, until, name = (wait.get(key) for key in ("kind", "call", "until", "name"))
    except (ValueError, AttributeError, RecursionError) as error:
        raise FileError("the suspend file is damaged") from error
    known = (kind == "sleep" and until is not None) or (kind == "signal" and isinstance(name, str) and name)
    if not known or type(call) is not int or (until is not None and (type(until) is not int or abs(until) > 1 << 53)):
        raise FileError("the suspend file does not say what is waited for")
    return {key: wait[key] for key in ("kind", "call", "name", "until") if wait.get(key) is not None}


def heartbeat_mark(path: str) -> tuple[int, int] | None:
    """(time of the last write in ms, size): changes with every heartbeat. None when there was none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns // 1_000_000, found.st_size


def write_poll(path: str, asked: int, next_at: int) -> None:
    """Note that a poll has said "not yet" so many times and is asked again then. Only to be told: a note that cannot be
    written is not missed."""
    try:
        fd = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError:
        return
    try:
        os.write(fd, b"%d %d\n" % (asked, next_at))
    except OSError:
        pass
    finally:
        os.close(fd)


def read_poll(path: str) -> tuple[int, int] | None:
    """(how often it has said "not yet", when it is asked again); None before the first time."""
    try:
        words = (read(path, 64) or b"").split()
    except FileError:
        return None
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    return int(words[0]), int(words[1])


def _key_values(text: bytes, what: str) -> dict[str, str]:
    values: dict[str, str] = {}
    lines = [line.removesuffix("\r") for line in _text(text).split("\n")]
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip():
            continue
        # Without the blanks before the key: what is nothing but blanks is no key.
        line = line.lstrip()
        equals, block = line.find("="), line.find("<<")
        if block > 0 and (equals < 0 or block < equals):
            key, end = line[:block].strip(), line[block + 2 :].strip()
            try:
                stop = lines.index(end, at) if end else -1
            except ValueError:
                stop = -1
            if stop < 0:
                raise FileError(f"line {at} of the {what} opens a block that nothing ends")
            values[key] = "\n".join(lines[at:stop])
            at = stop + 1
        elif equals > 0:
            values[line[:equals].strip()] = line[equals + 1 :]
        else:
            raise FileError(f"line {at} of the {what} is not key=value")
    return values


def _text(data: bytes) -> str:
    """As text that a variable can hold: without NUL, whatever the bytes are."""
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _open(path: str) -> int:
    """The file for reading. FileNotFoundError; FileError when it is none: whatever a command puts there, nobody waits
    for it, and it is no more than this attempt's failure. OSError for what passes by itself."""
    try:
        return open_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    except OSError as error:
        raise _not_readable(path, error) from error


def _not_readable(path: str, error: OSError) -> Exception:
    if error.errno in PASSING:
        return error
    what = "it is a folder, not a file" if isinstance(error, IsADirectoryError) else error.strerror
    return FileError(f"{os.path.basename(path)} cannot be read: {what}")


def read(path: str, limit: int) -> bytes | None:
    """At most `limit` bytes of a regular file, None when it is not there. FileError for anything else."""
    try:
        fd = _open(path)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, limit)
    except OSError as error:
        raise _not_readable(path, error) from error
    finally:
        os.close(fd)
