"""One daemon at a time decides what begins: what it sees alive, and the places it counts, hold until it has recorded
what follows. A lock of the kernel's, free again when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone(state_dir: str) -> Iterator[None]:
    """Wait for the other daemons on this store to be done deciding. OSError when the lock cannot be had."""
    lock = os.open(os.path.join(state_dir, "daemon.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
