"""`jobctl step NAME -- CMD…`: a part of a durable script, run once. Runs in loops: imports next to nothing."""

from __future__ import annotations

import errno
import os
import select

from jobctl.core.errors import JobctlError
from jobctl.scripts.record import MAX_RECORDED, Call, Script

_SIGNALS = (13, 25)  # SIGPIPE, SIGXFSZ: Python ignores them, its commands shall not
_CHUNK = 64 * 1024


def main(*, name: str, command: list[str]) -> int:
    """The command's exit code, now or when it was run. JobctlError when that is not to be had, OSError when its output
    cannot be passed on, which does not keep it from being recorded."""
    script = Script("jobctl step")
    call = script.begin("step", name)
    out = _Stdout()
    if call.record is not None:
        out.pass_on(str(call.record["stdout"]).encode("utf-8", "surrogateescape"))
        status = int(call.record["status"])
        call.close()
    else:
        output = bytearray()
        status = _run(script, call, command, output, out)
        call.write({"status": status, "stdout": output.decode("utf-8", "surrogateescape")})
        call.close(failed=status != 0)
    if out.error is not None:
        raise out.error
    return status


def _run(script: Script, call: Call, command: list[str], output: bytearray, out: _Stdout) -> int:
    """Run it, its output passed on and kept in `output`. The exit code, as a shell says it."""
    read, write = os.pipe()
    try:
        pid = os.posix_spawnp(
            command[0], command, os.environ, file_actions=((os.POSIX_SPAWN_DUP2, write, 1),), setsigdef=_SIGNALS
        )
    except OSError as error:
        os.close(read)
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR):
            raise JobctlError(f"step {call.name!r} could not be started: {error.strerror}") from error
        os.write(2, f"error: step {call.name!r}: {command[0]}: {error.strerror}\n".encode("utf-8", "replace"))
        return 127 if error.errno == errno.ENOENT else 126
    except ValueError as error:
        raise script.refuse(f"step {call.name!r} could not be started: {error}", "see its command") from error
    finally:
        os.close(write)
    if not _copy(read, pid, output, out):
        os.close(read)
        os.kill(pid, 15)
        os.waitpid(pid, 0)
        raise script.refuse(
            f"step {call.name!r} wrote more than {MAX_RECORDED} bytes to stdout, which is what can be recorded",
            "let it write into a file, and its path to stdout",
        )
    os.close(read)
    return _exit_code(os.waitpid(pid, 0)[1])


def _copy(read: int, pid: int, output: bytearray, out: _Stdout) -> bool:
    """Pass on what the command writes, until it has ended: not until the last process has that it leaves behind.
    False when it is too much."""
    poll = select.poll()
    poll.register(read, select.POLLIN)
    ended = -1
    if hasattr(os, "pidfd_open"):
        ended = os.pidfd_open(pid)
        poll.register(ended, select.POLLIN)
    try:
        while True:
            ready = [fd for fd, _ in poll.poll()]
            over = ended in ready
            if over:
                os.set_blocking(read, False)
            while over or read in ready:
                try:
                    chunk = os.read(read, _CHUNK)
                except BlockingIOError:
                    return True
                if not chunk:
                    return True
                output += chunk
                if len(output) > MAX_RECORDED:
                    return False
                out.pass_on(chunk)
                ready.clear()
    finally:
        if ended >= 0:
            os.close(ended)


class _Stdout:
    """Ours. That nothing more can be written there does not stop the command, which is to be recorded."""

    __slots__ = ("broken", "error")

    def __init__(self) -> None:
        self.broken = False
        self.error: OSError | None = None  # the disk is full: not that nobody reads on

    def pass_on(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest and not self.broken:
                rest = rest[os.write(1, rest) :]
        except BrokenPipeError:
            self.broken = True
        except OSError as error:
            self.broken, self.error = True, error


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
