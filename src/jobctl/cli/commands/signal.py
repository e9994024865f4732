"""`jobctl signal RUN NAME`: send a run the message that one of its steps waits for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobctl.cli.foreground import user
from jobctl.cli.stop import each
from jobctl.core.errors import UsageError
from jobctl.engines.local import control as requests

if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store


def main(settings: Settings, *, run: str, name: str, data: str | None) -> int:
    """0 when it was recorded: it is kept until a step waits for it. UsageError for data that is no JSON."""
    payload = None
    if data is not None:
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError) as error:
            hint = "an object gives outputs: --data '{\"amount\": 5}'; a text is quoted twice: --data '\"text\"'"
            raise UsageError(f"--data is not JSON: {error}", hint=hint) from error

    def ask(store: Store, row: RunRow) -> str:
        awaited = requests.is_waited_for(store, row, name)
        requests.send_signal(store, row, name, payload, by=user())
        return f"signal {name} sent" + ("" if awaited else ", and kept: nothing waits for one of that name yet")

    return each(settings, [run], ask)
