"""What people are told about fire times and cron expressions."""

from __future__ import annotations

import pytest

from jobctl.core.definition.remarks import explain, surprises
from jobctl.core.model import Schedule
from jobctl.core.schedule.cron import parse_cron
from jobctl.core.schedule.schedule import next_fire, parse_instant
from jobctl.core.schedule.zones import ZoneError

_BERLIN = "Europe/Berlin"
_NOW = parse_instant("2026-11-21T12:00:00Z")
_SPRING, _AUTUMN = "2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"


@pytest.mark.parametrize(
    ("schedule", "after", "remarks"),
    [
        (
            Schedule(cron="30 2 * * *"),
            _SPRING,
            ["clocks go forward: 02:30 does not exist, runs at 03:00", ""],
        ),
        (
            Schedule(cron="0,30 2,3 * * *"),
            _SPRING,
            ["clocks go forward: 02:00 and 02:30 do not exist, runs at 03:00", ""],
        ),
        (
            Schedule(cron="0-59/5 2 * * *"),
            _SPRING,
            ["clocks go forward: 02:00 to 02:55 do not exist, runs at 03:00", ""],
        ),
        (
            Schedule(cron="0,30 2 * * *", exclude=("0 2 * * *",)),
            _SPRING,
            ["clocks go forward: 02:30 does not exist, runs at 03:00", ""],
        ),
        (Schedule(cron="0,30 2,3 * * *", dst_gap="skip"), _SPRING, ["", ""]),
        (Schedule(cron="0 3 * * *"), _SPRING, ["", ""]),
        (Schedule(cron="0 */3 * * *"), "2026-03-29T00:30:00Z", ["", ""]),
        (Schedule(cron="30 2 * * *"), _AUTUMN, ["02:30 comes twice: the first one", ""]),
        (Schedule(cron="30 2 * * *", dst_fold="second"), _AUTUMN, ["02:30 comes twice: the second one", ""]),
        (
            Schedule(cron="30 * * * *"),
            "2026-10-25T00:00:00Z",
            ["02:30 comes twice: the first one", "02:30 comes twice: the second one", ""],
        ),
        (Schedule(cron="0 1,3 * * *"), _AUTUMN, ["", ""]),
        (Schedule(every=1_800_000), "2026-10-25T00:00:00Z", ["", ""]),
        (Schedule(cron="30 2 * * *", timezone="UTC"), _SPRING, ["", ""]),
    ],
)
def test_what_a_clock_change_did(schedule: Schedule, after: str, remarks: list[str]) -> None:
    instant: int | None = parse_instant(after)
    found = []
    for _ in remarks:
        assert instant is not None
        instant = next_fire(schedule, instant, zone=_BERLIN)
        assert instant is not None
        found.append(explain(schedule, instant, _BERLIN))
    assert found == remarks


_GAP = 'on 2027-03-28 in Europe/Berlin clocks go forward, {}: runs at 03:00, or not with dst_gap = "skip"'


@pytest.mark.parametrize(
    ("cron", "sentences"),
    [
        ("0 3 * * *", []),
        ("*/15 */2 * * *", []),
        ("0 0 28-31 * *", []),
        ("@monthly", []),
        ("*/7 * * * *", ['minute */7 starts again each hour: after 56 comes 0; for even steps: every = "7m"']),
        ("*/90 * * * *", ['minute */90 is 0 alone; for even steps: every = "90m"']),
        ("0 */5 * * *", ['hour */5 starts again each day: after 20 comes 0; for even steps: every = "5h"']),
        (
            "0 0 */2 * *",
            ['day-of-month */2 starts again on the 1st of each month: after 31 comes 1; for even steps: every = "2d"'],
        ),
        ("0 0 1 */5 *", ["month */5 starts again each year: after 11 comes 1"]),
        ("0 0 1 */4 *", []),
        ("0 0 * * */2", ["day-of-week */2 starts again each week: after 6 comes 0"]),
        ("* 3 * * *", ['minute * runs every minute of hour 3; for once an hour: "0 3 * * *"']),
        ("* * 24 12 *", []),
        (
            "0 0 31 * *",
            ["day-of-month 31: not in feb, apr, jun, sep, nov; L is the last day of each month"],
        ),
        ("0 0 15,31 4,5 *", ["day-of-month 31: not in apr; L is the last day of each month"]),
        ("0 0 30 * *", ["day-of-month 30: not in feb; L is the last day of each month"]),
        ("0 0 29 * *", ["day-of-month 29: not in feb (but for leap years); L is the last day of each month"]),
        ("0 0 31 1,3,12 *", []),
        (
            "0 0 13 * fri,mon",
            ["day-of-month 13 and day-of-week fri,mon: days that are either, so on each mon, fri as well"],
        ),
        (
            "0 0 13 * */7",
            [
                "day-of-week */7 is 0 alone",
                "day-of-month 13 and day-of-week */7: only days that are both, as one begins with *",
            ],
        ),
        ("30 2 * * *", [_GAP.format("02:30 does not exist")]),
        ("0,30 2 28 3 *", [_GAP.format("02:00 and 02:30 do not exist")]),
        ("30 2 1 * *", []),
        ("*/30 2 * * *", []),  # wild: nothing is moved
    ],
)
def test_surprises(cron: str, sentences: list[str]) -> None:
    assert surprises(parse_cron(cron), _BERLIN, now=_NOW) == sentences


@pytest.mark.parametrize(
    ("zone", "now", "days"),
    [
        ("UTC", "2026-11-21T12:00:00Z", []),
        ("America/New_York", "2026-11-21T12:00:00Z", ["on 2027-03-14 in America/New_York"]),
        ("Europe/Berlin", "2026-03-29T00:59:59Z", ["on 2026-03-29 in Europe/Berlin"]),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", ["on 2027-03-28 in Europe/Berlin"]),
    ],
)
def test_the_gap_named_is_the_next_one(zone: str, now: str, days: list[str]) -> None:
    found = surprises(parse_cron("30 2 * * *"), zone, now=parse_instant(now))
    assert [sentence.partition(" clocks")[0] for sentence in found] == days


def test_surprises_in_an_unknown_zone_are_a_zone_error() -> None:
    with pytest.raises(ZoneError):
        surprises(parse_cron("30 2 * * *"), "Europe/Berln", now=_NOW)
