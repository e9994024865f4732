"""`jobctl sleep DURATION`: a durable script pauses, with no process that waits."""

from __future__ import annotations

from jobctl.cli.moments import span
from jobctl.host import clock
from jobctl.scripts.suspend import sleep


def main(*, duration: str) -> int:
    sleep("jobctl sleep", clock.now() + span(duration, "DURATION"))
    return 0
