"""This machine as an engine and its duties are handed it: what its clocks show. Who plays a machine hands in another.

What reads the time is host/clock.py; a process, a file, a lock are not here.
"""

from __future__ import annotations

from jobctl.core.clocks import Boottime, Mono
from jobctl.host import clock


class Host:
    def now(self) -> int:
        """The wall clock: milliseconds since the Unix epoch, UTC. It may step, also backwards."""
        return clock.now()

    def monotonic(self) -> Mono:
        """Milliseconds on the clock that never steps, and stands still while the machine sleeps."""
        return clock.monotonic()

    def boottime(self) -> Boottime:
        """Milliseconds since the machine was started, those included in which it slept."""
        return clock.boottime()
