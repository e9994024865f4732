"""A schedule's fire times do not depend on where one begins to look, also where a place has crossed the date line."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest

from jobctl.core.model import Schedule
from jobctl.core.schedule.schedule import fires, format_instant

_DAY = 86_400_000
_FROM = datetime(1970, 1, 3, tzinfo=UTC)
_UNTIL = datetime(2037, 1, 1, tzinfo=UTC)
_LARGE = timedelta(hours=6)  # no summer time is that much: such a step is a place that moves

# zone -> a day on which it had crossed the date line since summer time, or winter time, was last changed. Found by
# looking; test_these_are_all_of_them looks again.
CROSSED = {
    "Kwajalein": "1993-08-21",
    "Pacific/Apia": "2011-12-30",
    "Pacific/Enderbury": "1994-12-31",
    "Pacific/Fakaofo": "2011-12-30",
    "Pacific/Kanton": "1994-12-31",
    "Pacific/Kiritimati": "1994-12-31",
    "Pacific/Kwajalein": "1993-08-21",
}
# The largest steps of those that have no date line: Antarctica/Vostok went back and forth by seven hours, Manila has
# not crossed it since 1844, Samoa (Pago Pago) since 1892; and some whose offsets are odd.
OTHERS = ("Antarctica/Vostok", "Asia/Manila", "Pacific/Pago_Pago", "Australia/Lord_Howe", "Africa/Monrovia")


@cache
def _steps(zone: str) -> list[datetime]:
    """Days on which the zone's clocks were set by hours."""
    where = zoneinfo.ZoneInfo(zone)
    days = (_FROM + timedelta(days=n) for n in range((_UNTIL - _FROM).days))
    return [
        day
        for day in days
        if abs(_offset(day + timedelta(days=1), where) - _offset(day, where)) > timedelta(hours=1, minutes=30)
    ]


def _offset(moment: datetime, where: zoneinfo.ZoneInfo) -> timedelta:
    found = moment.astimezone(where).utcoffset()
    assert found is not None
    return found


def _sparse(around: date) -> list[str]:
    """Crons that name a day or two of the year around that day, or a 29th of February."""
    days = [around + timedelta(days=n) for n in range(-3, 4)]
    dates = [f"{day.day} {day.month} *" for day in days] + ["29 2 *", "1 1 *", "1 3 *", "1 * fri"]
    return [f"{times} {on}" for times in ("0 0", "*/20 */6", "30 * ", "59 23", "*/20 *") for on in dates]


@pytest.mark.parametrize("zone", [*CROSSED, *OTHERS])
def test_asked_from_years_before_as_from_the_day_before(zone: str) -> None:
    crossed = [datetime.fromisoformat(CROSSED[zone] + "T12:00Z")] if zone in CROSSED else _steps(zone)
    for moment in crossed:
        at = int(moment.timestamp()) * 1000
        for cron in _sparse(moment.date()):
            schedule = Schedule(cron=cron)
            for years in (1, 2, 5):
                early = at - years * 366 * _DAY - 7 * 3_600_000
                late = fires(schedule, early, at + 500 * _DAY, zone, 100_000)
                for near in (at - 3 * _DAY, at - _DAY, at, at + 60 * _DAY):
                    found = fires(schedule, near, at + 500 * _DAY, zone, 100_000)
                    shown = [format_instant(one, zone) for one in found[:5]]
                    assert found == [one for one in late if one > near], (cron, years, shown)


def test_the_29th_of_february_in_apia() -> None:
    """Reported of 148 crontabs: it said 2016."""
    start = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp()) * 1000
    found = fires(Schedule(cron="0 0 29 2 *", timezone="Pacific/Apia"), start, start + 3000 * _DAY, "UTC", 1)
    assert [format_instant(at, "Pacific/Apia") for at in found] == ["2012-02-29T00:00:00+14:00"]


def test_these_are_all_of_them() -> None:
    names = sorted(n for n in zoneinfo.available_timezones() if n.startswith("Pacific/") or n == "Kwajalein")
    assert {name for name in names if _crosses(name)} == set(CROSSED)


def _crosses(zone: str) -> bool:
    where = zoneinfo.ZoneInfo(zone)
    weeks = [_offset(_FROM + timedelta(days=n), where) for n in range(0, (_UNTIL - _FROM).days, 7)]
    return any(abs(b - a) > _LARGE for a, b in pairwise(weeks))
