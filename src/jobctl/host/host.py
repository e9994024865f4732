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

    def boot(self) -> tuple[str, int] | None:
        """The boot's id, and when it began by the wall clock of now; None where the system does not tell."""
        return clock.boot()

    def synchronised(self) -> bool:
        """Whether the kernel says that the wall clock follows a better one."""
        return clock.synchronised()
