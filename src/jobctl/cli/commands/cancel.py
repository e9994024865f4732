"""`jobctl cancel RUN…`: ask runs to end gracefully: what runs is stopped, then undone, then tidied up."""

from __future__ import annotations

from jobctl.cli.stop import each
from jobctl.cli.user import user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when all were asked. A run that no living process has is ended here, before this returns."""

    def ask(client: Client, run: Run) -> str:
        run = client.cancel(run, reason=reason, by=user())
        if run.over or client.held(run):
            return "canceling"
        from jobctl.cli.foreground import carry_out

        return carry_out(settings, client, run)

    return each(settings, runs, ask)
