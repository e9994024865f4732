"""Which daemons live on a store, and how they are woken. What they do is daemon/'s."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from jobctl.core.errors import JobctlError
from jobctl.engines.local import executor
from jobctl.host import locks
from jobctl.process import descent
from jobctl.store.schema import Before
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.host import Host

_ENDING_MS = 10_000


def daemons(store: Store) -> list[str]:
    """The ids of the living daemons on this store."""
    return [
        name
        for name, (_, kind, _) in store.executors().items()
        if kind == "daemon" and executor.alive(store.state_dir, name)
    ]


def need_daemon(store: Store, hint: str) -> None:
    """JobctlError with that way out when no daemon lives here, for who wants nothing to wait for the next one."""
    if not daemons(store):
        raise JobctlError(f"no daemon runs on {store.state_dir}", hint=hint)


def end_for_upgrade(state_dir: str, host: Host) -> Before:
    """What has the living daemons of an older version end in order, before the store is changed under them: their
    commands run on, and whoever supervises them starts the new program. One that does not end in time - it may be
    stopped - finds the store changed at its next commit, and ends then."""

    def before(known: list[tuple[str, int]]) -> list[int]:
        asked = []
        for name, pid in known:
            if not executor.alive(state_dir, name):
                continue
            # A pid of another namespace is somebody else's here: the kernel says who has the lock.
            has_it = partial(locks.holds, executor.lock_file(state_dir, name), pid)
            if descent.signal_process(pid, signal.SIGTERM, _unless_denied(has_it)):
                asked.append((name, pid))
        until = host.monotonic() + _ENDING_MS
        while any(executor.alive(state_dir, name) for name, _ in asked) and host.monotonic() < until:
            time.sleep(0.01)
        return [pid for _, pid in asked]

    return before


def _unless_denied(holds: Callable[[], bool | None]) -> Callable[[], bool]:
    return lambda: holds() is not False


def poke_daemons(store: Store) -> None:
    """Have the living daemons look at the store now."""
    for name in daemons(store):
        executor.poke(store.state_dir, name)
