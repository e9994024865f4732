"""The store of a command, opened; what is to be said of its folder is said here. What is in it is the command's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.host.settings import state_dir_ready
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.host.settings import Settings
    from jobctl.store.schema import Before, Upgraded


def _before_upgrade(state_dir: str) -> Before:
    def before(known: list[tuple[str, int]]) -> list[int]:
        from jobctl.engines.local.daemons import end_for_upgrade

        return end_for_upgrade(state_dir)(known)

    return before


def say_upgraded(done: Upgraded) -> None:
    from jobctl.cli import printing as output

    if done.kept:
        output.note(f"the state store was brought to the schema of this jobctl; as it was it is in {done.kept}")
    for pid in done.ended:
        output.note(f"the daemon of the older jobctl (process {pid}) was asked to end; start it again: jobctl daemon")


def store_of(settings: Settings, *, create: bool = False, asks: bool = False) -> Store:
    """The store in the state folder, made with `create` if it is not there; NotFoundError otherwise. StoreError.

    `asks`: nothing is written by this command, not even an upgrade of the schema.
    """
    state_dir = state_dir_ready(settings.state_dir, create)
    store = Store(state_dir, create=create, asks=asks, before_upgrade=None if asks else _before_upgrade(state_dir))
    if store.upgraded is not None:
        say_upgraded(store.upgraded)
    if store.copy is not None:
        from jobctl.cli import printing as output

        output.note(store.copy.sentence())
    return store
