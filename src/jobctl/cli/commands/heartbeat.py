"""`jobctl heartbeat [CURSOR]`: a sign of life, and how far the command has come."""

from __future__ import annotations

from jobctl.core.errors import UsageError
from jobctl.scripts.record import beat, inside


def main(*, cursor: str | None) -> int:
    try:
        beat(inside("jobctl heartbeat", "JOBCTL_HEARTBEAT"), cursor)
    except ValueError as error:
        raise UsageError(str(error), hint="keep what is larger in a file, and its path in the cursor") from None
    return 0
