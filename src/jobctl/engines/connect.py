"""Which engine is asked, and how it is come by. The one place that names an engine to the faces."""

from __future__ import annotations

from jobctl.host.settings import state_dir_ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.engines.base import Client
    from jobctl.host.settings import Settings


def connect(
    settings: Settings,
    *,
    create: bool = False,
    asks: bool = False,
    told: Callable[[str], None] = lambda _: None,
    told_of_copy: bool = True,
) -> Client:
    """A client of the engine that the settings name. NotFoundError where nothing has run yet and `create` does not say
    that something is to. `asks`: nothing is recorded by this call, not even an upgrade; `told` hears what people are to
    know."""
    from jobctl.engines.local.client import opened

    client = opened(state_dir_ready(settings.state_dir, create), create=create, asks=asks, told=told)
    if told_of_copy and client.copy_sentence:
        told(client.copy_sentence)
    return client
