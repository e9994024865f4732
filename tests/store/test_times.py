"""What the store knows of the time: by this boot's clock, by another's, by what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.core.believed import Believed
from jobctl.store import firings, times
from jobctl.store.store import Store

NOW = 1_800_000_000_000
HOUR = 3_600_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def test_nothing_recorded_nothing_doubted(store: Store) -> None:
    assert times.newest(store) is None
    assert times.read(store, "b1", 5, NOW) == Believed(NOW, 5)


def test_the_newest_recorded_instant(store: Store) -> None:
    firings.sync(store, [("x", "k", "/f")], ["/f"], NOW - HOUR)
    assert times.newest(store) == NOW - HOUR
    assert times.read(store, "b1", 5, NOW) == Believed(NOW - HOUR, 5)


def test_what_was_written_down_counts_before_what_a_wrong_clock_records(store: Store) -> None:
    times.write(store, "b1", Believed(NOW, 1_000, 900))
    firings.sync(store, [("x", "k", "/f")], ["/f"], NOW + 9_999 * HOUR)
    assert times.read(store, "b1", 5_000, NOW) == Believed(NOW, 1_000, 900)
    # In another boot it is some time that has passed; so it is where that clock shows less, under the same name.
    assert times.read(store, "b2", 5, NOW) == Believed(NOW, 5)
    assert times.read(store, "b1", 999, NOW) == Believed(NOW, 999)
    assert times.read(store, "", 5, NOW) == Believed(NOW, 5)


@pytest.mark.parametrize(
    ("boot", "clock", "now", "expected"),
    [
        ("b1", 1_000 + HOUR, NOW + HOUR, 0),
        ("b1", 1_000 + HOUR, NOW - 3 * HOUR, -4 * HOUR),
        ("b1", 1_000 + HOUR, NOW + 3 * HOUR, 2 * HOUR),
        ("b2", 1_000 + HOUR, NOW - 3 * HOUR, 0),
        ("b1", 10, NOW - 3 * HOUR, 0),
    ],
)
def test_by_how_much_the_clock_was_set(store: Store, boot: str, clock: int, now: int, expected: int) -> None:
    assert times.step(store, boot, clock, now) == 0
    times.write(store, "b1", Believed(NOW, 1_000))
    assert times.step(store, boot, clock, now) == expected
