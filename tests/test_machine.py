"""Which zone the machine is in."""

from __future__ import annotations

import pytest

from jobctl import machine


@pytest.mark.parametrize(
    ("tz", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/America/New_York", "America/New_York"),
        ("", "UTC"),
    ],
)
def test_tz_counts_first(tz: str, zone: str) -> None:
    assert machine.zone({"TZ": tz}) == zone


@pytest.mark.parametrize("tz", ["CET-1CEST,M3.5.0,M10.5.0/3", "Mars/Olympus", "../../etc/passwd"])
def test_a_tz_without_a_name_is_passed_over(tz: str) -> None:
    assert machine.zone({"TZ": tz}) == machine.zone({})


def test_the_names_change_when_the_zone_does() -> None:
    assert machine.zone_names({"TZ": "Asia/Tokyo"}) != machine.zone_names({"TZ": "Europe/Berlin"})
