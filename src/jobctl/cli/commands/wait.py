"""`jobctl wait`: until runs end, whatever their end. How: cli/waiting.py."""

from __future__ import annotations

from jobctl.cli.client import client_of
from jobctl.cli.find_run import find
from jobctl.cli.moments import span
from jobctl.cli.waiting import until
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, runs: list[str], timeout: str | None) -> int:
    """The exit code of the runs: the first, in the order given, that is not 0; 75 when `timeout` passed before."""
    if timeout is not None:
        span(timeout, "--timeout")
    with client_of(settings, asks=True) as client:
        return until(settings, client, [find(settings, client, name, now=clock.now()) for name in runs], timeout)
