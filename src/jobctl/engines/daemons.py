"""Which daemons live on a store, and how they are woken. What they do is daemon/'s."""

from __future__ import annotations

from jobctl import executor
from jobctl.core.errors import JobctlError
from jobctl.store.store import Store


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


def poke_daemons(store: Store) -> None:
    """Have the living daemons look at the store now."""
    for name in daemons(store):
        executor.poke(store.state_dir, name)
