"""`jobctl cancel RUN…`: ask runs to end gracefully: what runs is stopped, then undone, then tidied up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.foreground import user
from jobctl.cli.stop import carry_out, each
from jobctl.engines.local import control as requests

if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when all were asked. A run that no living process has is ended here, before this returns."""

    def ask(store: Store, row: RunRow) -> str:
        now = requests.cancel(store, row, reason=reason, by=user())
        return "canceling" if requests.is_held(store, now) else carry_out(settings, store, now)

    return each(settings, runs, ask)
