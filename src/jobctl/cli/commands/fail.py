"""`jobctl fail MESSAGE`: say why the attempt fails, and end as failed; the script ends itself (set -e)."""

from __future__ import annotations

from jobctl.cli.moments import span
from jobctl.scripts.record import inside, write_failure


def main(*, message: str, non_retryable: bool, type: str | None, retry_delay: str | None) -> int:
    if retry_delay is not None:
        span(retry_delay, "--retry-delay")
    path = inside("jobctl fail", "JOBCTL_FAILURE")
    write_failure(path, message, type=type, non_retryable=non_retryable, retry_delay=retry_delay)
    return 1
