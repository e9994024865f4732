"""What a run's end is as an exit code. Loaded by every call: imports nothing."""

from __future__ import annotations

# A run's end as the exit code of whatever waited for it.
EXIT_CODES = {"succeeded": 0, "failed": 1, "timed_out": 124, "canceled": 130, "terminated": 137}
STILL_RUNNING = 75


def exit_code(status: str) -> int:
    """A run's status as the exit code that `run`, `wait` and `status --exit-status` end with."""
    return EXIT_CODES.get(status, STILL_RUNNING)
