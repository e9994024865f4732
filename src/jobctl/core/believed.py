"""What time it is, as far as something may be deleted because of its age. No clock is read here."""

from __future__ import annotations

from jobctl.core.record import NamedTuple

_HOUR = 3_600_000
# A wall clock that is further ahead than this of what time it should be is doubted: a day, and room for the hour
# between two looks.
JUMP_MS = 25 * _HOUR
# For so long. One that is wrong at a start is set right long before.
DOUBT_MS = 24 * _HOUR


class Believed(NamedTuple):
    """The clock of the boot, which never steps, showed `boot` when it was `instant`. `doubted`: what it showed when the
    wall clock was first seen to be far ahead of what follows from that, None while it is not."""

    instant: int
    boot: int
    doubted: int | None = None

    def expected(self, boot: int) -> int:
        """What time it should be when the boot's clock shows that."""
        return self.instant + boot - self.boot


def look(before: Believed, now: int, boot: int, *, synchronised: bool) -> tuple[int, Believed]:
    """(the instant by which age is measured, what is believed from here on), with `now` on the wall clock.

    The lesser of the wall clock and what time it should be. A wall clock that is ahead by little is followed from the
    next look on. One that is ahead by more than a day is followed when it has been so for a day, or at once when the
    kernel says that it follows a better clock. One that is behind is followed at once, and believed of nothing.
    """
    expected = before.expected(boot)
    if now <= expected:
        return now, before._replace(doubted=None)
    if synchronised:
        return now, Believed(now, boot)
    if now - expected <= JUMP_MS:
        return expected, Believed(now, boot)
    if before.doubted is None:
        return expected, before._replace(doubted=boot)
    if boot - before.doubted >= DOUBT_MS:
        return now, Believed(now, boot)
    return expected, before
