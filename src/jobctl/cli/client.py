"""The client of a command; what is to be said of whom it asks is said here. What it is asked is the command's."""

from __future__ import annotations

from jobctl.engines.connect import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.host.settings import Settings


def client_of(settings: Settings, *, create: bool = False, asks: bool = False) -> Client:
    """As `connect`. What people are to know is said."""
    from jobctl.cli.printing import note

    return connect(settings, create=create, asks=asks, told=note)
