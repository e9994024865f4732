"""`jobctl pause RUN…`: start no new attempt; what runs ends by itself, timers go on. `jobctl resume` takes it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.foreground import user
from jobctl.cli.stop import each
from jobctl.engines.local import control as requests

if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when all were paused."""

    def ask(store: Store, row: RunRow) -> str:
        requests.pause(store, row, reason=reason, by=user())
        return f"paused; go on with: jobctl resume {row.name}"

    return each(settings, runs, ask)
