"""`jobctl pause RUN…`: start no new attempt; what runs ends by itself, timers go on. `jobctl resume` takes it up."""

from __future__ import annotations

from jobctl.cli.stop import each
from jobctl.cli.user import user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when all were paused."""

    def ask(client: Client, run: Run) -> str:
        client.pause(run, reason=reason, by=user())
        return f"paused; go on with: jobctl resume {run.name}"

    return each(settings, runs, ask)
