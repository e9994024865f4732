"""`jobctl sleep-until TIME`: a durable script pauses until an instant, with no process that waits."""

from __future__ import annotations

from jobctl.core.errors import UsageError
from jobctl.core.schedule.zones import parse_instant
from jobctl.scripts.suspend import sleep


def main(*, time: str) -> int:
    """UsageError for what is no instant: a time without its offset is none."""
    try:
        at = parse_instant(time)
    except ValueError:
        raise UsageError(f"TIME: {time!r} is not a time", hint='write "2026-12-24T18:00:00+01:00"') from None
    sleep("jobctl sleep-until", at)
    return 0
