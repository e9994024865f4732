"""The one file that reads the time. Everything else gets it as an argument; converting instants is not done here."""

from __future__ import annotations

import time

from jobctl.core.clocks import Boottime, Mono
from jobctl.host.boot import boot_id

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_UNSYNCHRONISED = 5  # TIME_ERROR, of adjtimex(2)


def now() -> int:
    """The wall clock: milliseconds since the Unix epoch, UTC. It may step, also backwards."""
    return time.time_ns() // 1_000_000


def monotonic() -> Mono:
    """Milliseconds since some fixed moment of this boot. It never steps, and on Linux stands still in suspend."""
    return Mono(time.monotonic_ns() // 1_000_000)


def boottime() -> Boottime:
    """Milliseconds since the machine was started, those included in which it slept. It never steps."""
    return Boottime(time.clock_gettime_ns(_BOOTTIME) // 1_000_000)


def synchronised() -> bool:
    """Whether the kernel says that the wall clock follows a better one: NTP, or what is like it."""
    try:
        import ctypes

        found = (ctypes.c_uint8 * 512)()  # struct timex; its `modes`, the first field, is 0: only asked
        return bool(0 <= ctypes.CDLL(None).adjtimex(ctypes.byref(found)) < _UNSYNCHRONISED)
    except (ImportError, AttributeError, OSError):
        return False  # not Linux, or not allowed to ask


def boot() -> tuple[str, int] | None:
    """The boot's id, and when it began by the wall clock of now; None where the system does not tell."""
    name = boot_id()
    try:
        with open("/proc/stat", encoding="ascii") as file:
            began = next((int(line.split()[1]) for line in file if line.startswith("btime ")), None)
    except OSError:
        began = None
    return (name, began * 1000) if name and began is not None else None
