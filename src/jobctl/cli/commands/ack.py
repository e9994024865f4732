"""`jobctl ack RUN…`: somebody knows of a failed run. It is recorded, with who and why; the run stays as it is."""

from __future__ import annotations

from jobctl.cli.stop import each
from jobctl.cli.user import user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when it was recorded for all of them; 1 for a run that has not failed."""

    def ask(client: Client, run: Run) -> str:
        new = client.acknowledge(run, reason=reason, by=user())
        return "acknowledged" if new else "somebody knew already"

    return each(settings, runs, ask)
