"""`jobctl sleep DURATION`: a durable script pauses, with no process that waits."""

from __future__ import annotations

from jobctl import clock
from jobctl.cli.moments import span
from jobctl.suspension import sleep


def main(*, duration: str) -> int:
    sleep("jobctl sleep", clock.now() + span(duration, "DURATION"))
    return 0
