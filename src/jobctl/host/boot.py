"""Which boot of the machine this is, by its name. When it began is a question for clock.py."""

from __future__ import annotations


def boot_id() -> str:
    """What tells this boot of the machine from every other; "" where the system has no such name for it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
