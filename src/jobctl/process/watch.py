"""Waiting for keepers to end, for a wake-up, or for a moment - whichever comes first. What it means is not known here.

By pidfd, which also works for processes that are not our children (adopted ones). Without pidfd - Unix other than
Linux - by looking every 50 ms.
"""

from __future__ import annotations

import os
import select

_LOOK_EVERY_MS = 50


class Watch:
    """A set of keepers' pids and of descriptors."""

    def __init__(self) -> None:
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._scale = 0.001 if hasattr(select, "epoll") else 1  # epoll takes seconds, poll milliseconds
        self._pids: dict[int, int] = {}  # descriptor -> pid
        self._looked_at: set[int] = set()
        self._descriptors: set[int] = set()

    def add(self, pid: int) -> None:
        """Watch a process. One that has already ended is reported at the next wait."""
        try:
            fd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._looked_at.add(pid)
            return
        self._poll.register(fd, select.POLLIN)
        self._pids[fd] = pid

    def add_descriptor(self, fd: int) -> None:
        self._poll.register(fd, select.POLLIN)
        self._descriptors.add(fd)

    def wait(self, timeout_ms: int | None) -> tuple[list[int], bool]:
        """(pids that have ended and are no longer watched, whether a descriptor has something to read)."""
        if self._looked_at:
            timeout_ms = _LOOK_EVERY_MS if timeout_ms is None else min(timeout_ms, _LOOK_EVERY_MS)
        # A day at most: longer waits overflow what the system call takes.
        wait = -1 if timeout_ms is None else min(max(timeout_ms, 0), 86_400_000) * self._scale
        ended = []
        woken = False
        for fd, _ in self._poll.poll(wait):
            if fd in self._descriptors:
                woken = True
                continue
            ended.append(self._pids.pop(fd))
            self._poll.unregister(fd)
            os.close(fd)
        for pid in [pid for pid in self._looked_at if _is_gone(pid)]:
            self._looked_at.discard(pid)
            ended.append(pid)
        return ended, woken

    def close(self) -> None:
        for fd in self._pids:
            os.close(fd)
        if isinstance(self._poll, select.epoll):
            self._poll.close()


def _is_gone(pid: int) -> bool:
    """Whether the process has ended: a child of ours that can be reaped, or nobody's any more."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
