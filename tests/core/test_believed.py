"""By which instant age is measured: one that no clock alone can put far ahead."""

from __future__ import annotations

import pytest

from jobctl.core.believed import Believed, look

HOUR, DAY = 3_600_000, 86_400_000
T = 1_800_000_000_000  # when the boot's clock shows 0
SYNCED = "synchronised"

# What happens: (hours by the boot's clock, what the wall clock is ahead of them by then, or that it is synchronised) ->
# how far ahead of the boot's clock age is measured, at each look. At first T is the newest recorded instant.
LOOKS = [
    ("a right clock", [(0, 0), (1, 0), (500, 0)], [0, 0, 0]),
    ("one hour of down-time", [(0, 1), (1, 1), (2, 1)], [0, 1, 1]),
    ("a day of down-time", [(0, 24), (1, 24)], [0, 24]),
    ("400 days ahead for a minute", [(0, 9600), (1, 0), (2, 0)], [0, 0, 0]),
    ("400 days ahead for 23 hours", [(0, 9600), (12, 9600), (23, 9600), (24, 0)], [0, 0, 0, 0]),
    ("400 days ahead for a day", [(0, 9600), (23, 9600), (24, 9600), (25, 9600)], [0, 0, 9600, 9600]),
    ("twice for half a day", [(0, 9600), (12, 9600), (13, 0), (14, 9600), (30, 9600)], [0, 0, 0, 0, 0]),
    ("after a month without a daemon, confirmed", [(0, 720, SYNCED), (1, 720)], [720, 720]),
    ("behind", [(0, -9600), (1, -9600)], [-9600, -9600]),
    ("a clock that begins in 1970, and is set", [(0, -400_000), (1, 0), (2, 0)], [-400_000, 0, 0]),
    ("set forth by half a day, again and again", [(0, 12), (1, 24), (2, 36)], [0, 12, 24]),
]


@pytest.mark.parametrize(("looks", "expected"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_by_which_instant_age_is_measured(looks: list[tuple[int, int]], expected: list[int]) -> None:
    believed = Believed(T, 0)
    found = []
    for hours, ahead, *synced in looks:
        boot = hours * HOUR
        at, believed = look(believed, T + boot + ahead * HOUR, boot, synchronised=bool(synced))
        found.append((at - T - boot) // HOUR)
    assert found == expected
