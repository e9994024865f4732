"""`jobctl wait-signal NAME`: a durable script waits for a message from outside, with no process that waits."""

from __future__ import annotations

import json

from jobctl.cli import printing
from jobctl.cli.moments import span
from jobctl.scripts.suspend import wait_signal

TIMED_OUT = 124


def main(*, name: str, timeout: str | None) -> int:
    """The payload goes to stdout as JSON. 124 when the signal did not come in time."""
    limit = span(timeout, "--timeout") if timeout is not None else None
    in_time, payload = wait_signal("jobctl wait-signal", name, limit)
    if not in_time:
        printing.note(f"the signal {name} did not come within {timeout}")
        return TIMED_OUT
    printing.say(json.dumps(payload))
    return 0
