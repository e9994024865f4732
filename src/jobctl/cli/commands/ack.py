"""`jobctl ack RUN…`: somebody knows of a failed run. It is recorded, with who and why; the run stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.foreground import user
from jobctl.cli.stop import each
from jobctl.engines.local import news
from jobctl.host import clock

if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, runs: list[str], reason: str | None) -> int:
    """0 when it was recorded for all of them; 1 for a run that has not failed."""
    return each(settings, runs, news.acknowledge(reason, user(), clock.now()))
