"""Bytes to a stream that somebody else reads, without ever waiting for that one. Whether what is not taken is kept or
left out is the business of whoever writes.

A stream's flags are everybody's who has it: made non-blocking, stdout would be so for the shell behind it, too. So a
pipe or a terminal is opened a second time, for ourselves.
"""

from __future__ import annotations

import os
import select
import stat
import time

from jobctl.host import clock

_PIECE = 4096  # a pipe that is ready takes so much at once (PIPE_BUF)
_LITTLE = 64  # a terminal that is ready takes something
_MSG_DONTWAIT = 0x40
_A_MOMENT = 0.002


class Outflow:
    """A descriptor to write to."""

    def __init__(self, fd: int) -> None:
        """The descriptor stays the caller's. OSError for one that is closed."""
        self._fd = fd
        self._own = -1
        mode = os.fstat(fd).st_mode
        self._waits_for_nobody = stat.S_ISREG(mode)
        self._is_socket = stat.S_ISSOCK(mode)
        self._piece = _PIECE if stat.S_ISFIFO(mode) else _LITTLE
        if not self._waits_for_nobody and not self._is_socket:
            try:
                self._own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                pass  # somebody else's, or nobody reads any more
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, data: bytes | memoryview) -> int:
        """How much of it was taken just now: 0 when nothing can be. OSError when nobody reads, or there is no room."""
        try:
            if self._waits_for_nobody:
                return os.write(self._fd, data)
            if self._own >= 0:
                return os.write(self._own, data)
            if self._is_socket:
                import _socket

                sock = _socket.socket(fileno=os.dup(self._fd))
                try:
                    return sock.send(data, _MSG_DONTWAIT)
                finally:
                    sock.close()
            return os.write(self._fd, data[: self._piece]) if self._poll.poll(0) else 0
        except BlockingIOError:
            return 0

    def wait(self, timeout_ms: int) -> None:
        """At most so long, until it may take something."""
        if self._poll.poll(timeout_ms):
            time.sleep(_A_MOMENT)  # some say so that take nothing

    def close(self) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1


def put(fd: int, data: bytes, patience_ms: int) -> bool:
    """All of it, unless whoever reads takes nothing for so long. Whether all was taken. OSError as `write`."""
    out, left = Outflow(fd), memoryview(data)
    until = clock.monotonic() + patience_ms
    try:
        while left:
            taken = out.write(left)
            left = left[taken:]
            now = clock.monotonic()
            if taken:
                until = now + patience_ms
            elif now >= until:
                return False
            else:
                out.wait(until - now)
    finally:
        out.close()
    return True
