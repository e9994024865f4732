"""`jobctl reject RUN [STEP]`: answer no to the question that a run has for a person."""

from __future__ import annotations

from jobctl.cli.stop import each
from jobctl.cli.user import user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def main(settings: Settings, *, run: str, step: str | None, comment: str | None) -> int:
    """0 when it was recorded; 1 when the run does not wait for an answer now."""

    def ask(client: Client, found: Run) -> str:
        client.answer(found, step, approved=False, comment=comment, by=user())
        return "rejected"

    return each(settings, [run], ask)
