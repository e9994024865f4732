"""`jobctl approve RUN [STEP]`: answer yes to the question that a run has for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.foreground import user
from jobctl.cli.stop import each
from jobctl.engines.local import control as requests

if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store


def main(settings: Settings, *, run: str, step: str | None, comment: str | None) -> int:
    """0 when it was recorded; 1 when the run does not wait for an answer now."""

    def ask(store: Store, row: RunRow) -> str:
        requests.answer(store, row, step, approved=True, comment=comment, by=user())
        return "approved"

    return each(settings, [run], ask)
