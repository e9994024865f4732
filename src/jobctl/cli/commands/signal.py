"""`jobctl signal RUN NAME`: send a run the message that one of its steps waits for."""

from __future__ import annotations

import json

from jobctl.cli.stop import each
from jobctl.cli.user import user
from jobctl.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def main(settings: Settings, *, run: str, name: str, data: str | None) -> int:
    """0 when it was recorded: it is kept until a step waits for it. UsageError for data that is no JSON."""
    payload = None
    if data is not None:
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError) as error:
            hint = "an object gives outputs: --data '{\"amount\": 5}'; a text is quoted twice: --data '\"text\"'"
            raise UsageError(f"--data is not JSON: {error}", hint=hint) from error

    def ask(client: Client, found: Run) -> str:
        awaited = client.signal(found, name, payload, by=user())
        return f"signal {name} sent" + ("" if awaited else ", and kept: nothing waits for one of that name yet")

    return each(settings, [run], ask)
