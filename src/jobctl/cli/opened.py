"""The store of a command, opened; what is to be said of its folder is said here. What is in it is the command's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.settings import state_dir_ready
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.settings import Settings


def store_of(settings: Settings, *, create: bool = False, asks: bool = False) -> Store:
    """The store in the state folder, made with `create` if it is not there; NotFoundError otherwise. StoreError.

    `asks`: nothing is written by this command, not even an upgrade of the schema.
    """
    store = Store(state_dir_ready(settings.state_dir, create), create=create, asks=asks)
    if store.copy is not None:
        from jobctl.cli import output

        output.note(store.copy.sentence())
    return store
