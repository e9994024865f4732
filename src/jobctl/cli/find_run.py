"""A run by what a person calls it, with a better answer for a job that is defined and has not run."""

from __future__ import annotations

from jobctl.core.errors import NotFoundError
from jobctl.definitions import outline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def find(settings: Settings, client: Client, target: str, *, now: int) -> Run:
    """`client.find`. NotFoundError suggests what was meant."""
    try:
        return client.find(target)
    except NotFoundError as error:
        defined, _ = outline.read(settings, now=now)
        if target in defined:
            raise NotFoundError(f"job {target} has not run yet", hint=f"start it: jobctl run {target}") from None
        from jobctl.core.definition.suggest import closest

        if near := closest(target, {*defined, *client.jobs()}):
            error.hint = f"did you mean {near}? {error.hint}"
        raise
