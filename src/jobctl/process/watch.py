"""Waiting for descriptors, for processes to end, for a moment - whichever comes first. What it means is not known here.

Processes by pidfd, which also works for those that are not our children. Without pidfd - Unix other than Linux - by
looking every 50 ms.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from jobctl.process.descent import checked, is_there, look

_LOOK_EVERY_MS = 50


class Watch:
    """What is waited for, each with what is to be called then."""

    def __init__(self) -> None:
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._scale = 0.001 if hasattr(select, "epoll") else 1  # epoll takes seconds, poll milliseconds
        self._acts: dict[int, Callable[[], object]] = {}  # descriptor -> what to call
        self._pidfds: set[int] = set()
        self._looked_at: dict[int, Callable[[], object]] = {}

    def add(self, fd: int, act: Callable[[], object]) -> None:
        """Call whenever there is something to read, until it is dropped."""
        self._poll.register(fd, select.POLLIN)
        self._acts[fd] = act

    def drop(self, fd: int) -> None:
        """Before it is closed."""
        if self._acts.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def process(self, pid: int, act: Callable[[], object]) -> None:
        """Call once when a process has ended; at the next wait when it already has."""
        checked(pid)
        try:
            fd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._looked_at[pid] = act
            return
        self._pidfds.add(fd)
        self.add(fd, act)

    def wait(self, timeout_ms: int | None) -> list[Callable[[], object]]:
        """What is to be called now."""
        if self._looked_at:
            timeout_ms = _LOOK_EVERY_MS if timeout_ms is None else min(timeout_ms, _LOOK_EVERY_MS)
        # A day at most: longer waits overflow what the system call takes.
        wait = -1 if timeout_ms is None else min(max(timeout_ms, 0), 86_400_000) * self._scale
        found = []
        for fd, _ in self._poll.poll(wait):
            found.append(self._acts[fd])
            if fd in self._pidfds:
                self._pidfds.discard(fd)
                self.drop(fd)
                os.close(fd)
        for pid in [pid for pid in self._looked_at if _is_gone(pid)]:
            found.append(self._looked_at.pop(pid))
        return found

    def close(self) -> None:
        for fd in self._pidfds:
            os.close(fd)
        if isinstance(self._poll, select.epoll):
            self._poll.close()


def _is_gone(pid: int) -> bool:
    """Whether the process has ended: a child of ours that can be reaped, or nobody's any more."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        pass
    if os.path.exists("/proc/self/stat"):
        found = look(pid)
        return found is None or not found.alive  # one that nobody reaps has ended, too
    return not is_there(pid)
