"""One daemon at a time decides what begins: what it sees alive, and the places it counts, hold until it has recorded
what follows. A lock of the kernel's, free again when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobctl.host.files import open_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.host import Host

PATIENCE_MS = 2_000  # one that decides for longer is stopped, or in trouble: the others see to what else they have
_ASK_EVERY_S = 0.001


@contextmanager
def alone(state_dir: str, host: Host) -> Iterator[None]:
    """Wait for the other daemons on this store to be done deciding. OSError when the lock cannot be had, TimeoutError
    when another one keeps it for long."""
    lock = open_own(os.path.join(state_dir, "daemon.lock"), os.O_CREAT | os.O_RDWR)
    try:
        until = host.monotonic() + PATIENCE_MS
        while not _taken(lock):
            if host.monotonic() >= until:
                raise TimeoutError(errno.ETIMEDOUT, "another daemon on this state folder keeps the others waiting")
            time.sleep(_ASK_EVERY_S)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
