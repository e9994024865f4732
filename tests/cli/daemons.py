"""A daemon as other processes see it: it lives, and it can be woken. It does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jobctl.engines.local.executor import Executor
from jobctl.store.store import Store


class Waiting:
    """A daemon that waits to be woken."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def woken(self) -> bool:
        """Whether it was since the last time that this was asked."""
        try:
            return bool(os.read(self._executor.wake_fd, 4096))
        except BlockingIOError:
            return False


@contextmanager
def waiting_daemon(store: Store) -> Iterator[Waiting]:
    executor = Executor(store.state_dir, "daemon")
    try:
        store.register(executor.id, executor.pid, executor.kind, 0)
        store.record_executor()
        yield Waiting(executor)
    finally:
        executor.close()
