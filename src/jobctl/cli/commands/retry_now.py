"""`jobctl retry-now RUN [STEP]`: what only waits for a time - the next attempt, a sleep, a poll - goes on now."""

from __future__ import annotations

from jobctl.cli.stop import each
from jobctl.cli.user import user
from jobctl.core.keys import is_undo, undone_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings

_NAMED = 5


def main(settings: Settings, *, run: str, step: str | None, reason: str | None) -> int:
    """0 when it was recorded; 1 when nothing of the run waits for a time."""

    def ask(client: Client, found: Run) -> str:
        keys = client.wake(found, step, reason=reason, by=user())
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        text = f"{', '.join(map(_named, keys[:_NAMED]))}{more} {'go' if len(keys) > 1 else 'goes'} on now"
        paused = found.status == "paused"
        return f"{text}; it is paused, so first: jobctl resume {found.name}" if paused else text

    return each(settings, [run], ask)


def _named(key: str) -> str:
    return f"the compensation of step {undone_key(key)}" if is_undo(key) else f"step {key}"
