"""When schedules fire: 1,311 cases of Debian's cron, clock changes, intervals, exclusions, jitter.

Two independent witnesses check the walk: a scan of every minute, and croniter where it agrees with Debian.
"""

from __future__ import annotations

import gzip
import json
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.core.model import Schedule
from jobctl.core.schedule import zones
from jobctl.core.schedule.schedule import CronError, ZoneError, fires, format_instant, jitter, next_fire, parse_instant

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def _next(schedule: Schedule, after: str, zone: str, count: int) -> list[str]:
    """The next fire times after a local time without offset written `2026-03-28T12:00`, in local time."""
    start = datetime.fromisoformat(after).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    instant: int | None = int(start.timestamp()) * 1000
    found = []
    for _ in range(count):
        assert instant is not None
        instant = next_fire(schedule, instant, zone=zone)
        if instant is None:
            break
        found.append(_local(instant, zone))
    return found


def _local(instant: int, zone: str) -> str:
    """`03-29 03:00+02:00`"""
    return format_instant(instant, zone)[5:].replace("T", " ").replace(":00+", "+").replace(":00-", "-")


# --- Debian's cron ---------------------------------------------------------------------------------------------------


@cache
def _cases() -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "data" / "cron_cases.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture
def zones_of_the_cases() -> Iterator[None]:
    """The zone rules of the tzdata package: some cases lie in years for which older rules say something else."""
    import tzdata

    assert tzdata.IANA_VERSION >= "2026f", "the cases need newer zone rules: upgrade tzdata"

    def forget() -> None:
        zoneinfo.ZoneInfo.clear_cache()
        zones._named.cache_clear()

    zoneinfo.reset_tzpath(to=())
    forget()
    yield
    zoneinfo.reset_tzpath()
    forget()


def test_there_are_cases_for_twelve_zones() -> None:
    assert len(_cases()) == 1311
    assert len({case["zone"] for case in _cases()}) == 12
    assert {len(case["next"]) for case in _cases()} == {20}


@pytest.mark.usefixtures("zones_of_the_cases")
@pytest.mark.parametrize("zone", sorted({case["zone"] for case in _cases()}))
def test_fires_when_debian_cron_does(zone: str) -> None:
    wrong = []
    for case in _cases():
        if case["zone"] != zone:
            continue
        schedule, start = Schedule(cron=case["expr"]), parse_instant(case["start"])
        expected = [second * 1000 for second in case["next"]]
        one_by_one: list[int | None] = []
        instant: int | None = start
        while instant is not None and len(one_by_one) < len(expected):
            instant = next_fire(schedule, instant, zone=zone)
            one_by_one.append(instant)
        if one_by_one != expected or fires(schedule, start, expected[-1], zone, 1000) != expected:
            wrong.append(case["id"])
    assert wrong == []


# --- clock changes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # A fixed time that the clocks skip runs right after the gap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00+02:00", "03-30 02:30+02:00"]),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00+02:00", "03-30 02:00+02:00"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00+02:00", "03-29 03:30+02:00"]),
        ("30 2 29 3 *", "Europe/Berlin", "2026-03-29T01:59", ["03-29 03:00+02:00", "03-29 02:30+02:00"]),
        ("30 0 * * *", "America/Havana", "2026-03-07T12:00", ["03-08 01:00-04:00", "03-09 00:30-04:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["10-04 02:30+11:00", "10-05 02:15+11:00"]),
        ("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00", ["03-29 03:00+02:00", "03-30 01:30+02:00"]),
        # A gap that begins before midnight, and one that ends within a minute.
        ("15 0 * * *", "America/Toronto", "1919-03-30T12:00", ["03-31 00:30-04:00", "04-01 00:15-04:00"]),
        ("10 0 * * *", "Africa/Monrovia", "1972-01-06T12:00", ["01-07 00:45+00:00", "01-08 00:10+00:00"]),
        # A day that a place lost is not made up for.
        ("0 5 * * *", "Pacific/Apia", "2011-12-28T12:00", ["12-29 05:00-10:00", "12-31 05:00+14:00"]),
        # A fixed time that comes twice runs the first time.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 02:30+02:00", "10-26 02:30+01:00"]),
        ("30 0 * * *", "America/Havana", "2025-11-01T12:00", ["11-02 00:30-04:00", "11-03 00:30-05:00"]),
        # The clocks went back from 00:01 to 23:01 of the day before.
        (
            "30 23 * * *",
            "America/Goose_Bay",
            "2009-10-31T12:00",
            ["10-31 23:30-03:00", "11-01 23:30-04:00"],
        ),
        # Wild ones follow real time, in whole minutes of the clock.
        ("* * * * *", "Africa/Monrovia", "1972-01-06T23:58:30", ["01-07 00:43:30+00:00", "01-07 00:45+00:00"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-30 02:00+02:00", "03-30 02:30+02:00"]),
        ("30 */2 * * *", "Europe/Berlin", "2026-03-29T00:00", ["03-29 00:30+01:00", "03-29 04:30+02:00"]),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["10-25 02:00+02:00", "10-25 02:30+02:00", "10-25 02:00+01:00", "10-25 02:30+01:00", "10-26 02:00+01:00"],
        ),
        (
            "*/30 * * * sat",
            "America/Goose_Bay",
            "2009-10-31T23:20",
            ["10-31 23:30-03:00", "10-31 23:30-04:00", "11-07 00:00-04:00"],
        ),
    ],
)
def test_clock_changes(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert _next(Schedule(cron=cron), after, zone, len(expected)) == expected


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (Schedule(cron="30 2 * * *", dst_gap="skip"), "2026-03-28T12:00", ["03-30 02:30+02:00"]),
        (Schedule(cron="0,30 2,3 * * *", dst_gap="skip"), "2026-03-28T12:00", ["03-29 03:00+02:00"]),
        (
            Schedule(cron="30 2 * * *", dst_fold="second"),
            "2026-10-24T12:00",
            ["10-25 02:30+01:00", "10-26 02:30+01:00"],
        ),
        (
            Schedule(cron="15,45 1,2,3 * * *", dst_fold="second"),
            "2026-10-25T01:30",
            ["10-25 01:45+02:00", "10-25 02:15+01:00", "10-25 02:45+01:00", "10-25 03:15+01:00"],
        ),
        (
            Schedule(cron="15,45 2 * * *", dst_fold="both"),
            "2026-10-24T12:00",
            ["10-25 02:15+02:00", "10-25 02:45+02:00", "10-25 02:15+01:00", "10-25 02:45+01:00", "10-26 02:15+01:00"],
        ),
        # They are about fixed times only.
        (
            Schedule(cron="30 * * * *", dst_gap="skip", dst_fold="second"),
            "2026-10-25T02:00",
            ["10-25 02:30+02:00", "10-25 02:30+01:00"],
        ),
    ],
)
def test_clock_changes_by_choice(schedule: Schedule, after: str, expected: list[str]) -> None:
    assert _next(schedule, after, "Europe/Berlin", len(expected)) == expected


def test_an_instant_within_the_second_pass_is_not_mistaken_for_the_first() -> None:
    between = parse_instant("2026-10-25T02:10:00+01:00")
    assert next_fire(Schedule(cron="30 2 25 10 *"), between, zone="Europe/Berlin") == parse_instant(
        "2027-10-25T02:30:00+02:00"
    )


# --- what is not cron ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "offset", "after", "expected"),
    [
        (15 * _MINUTE, 0, 0, [15 * _MINUTE, 30 * _MINUTE]),
        (15 * _MINUTE, 5 * _MINUTE, 0, [5 * _MINUTE, 20 * _MINUTE]),
        (15 * _MINUTE, 5 * _MINUTE, 5 * _MINUTE, [20 * _MINUTE, 35 * _MINUTE]),
        (15 * _MINUTE, 5 * _MINUTE, 5 * _MINUTE - 1, [5 * _MINUTE, 20 * _MINUTE]),
        (_HOUR, 25 * _HOUR, 0, [_HOUR, 2 * _HOUR]),  # an offset counts from the epoch both ways
        (250, 0, 1001, [1250, 1500]),
        (7 * _DAY, 0, 0, [7 * _DAY, 14 * _DAY]),  # from a Thursday on: 1970-01-01
    ],
)
def test_intervals_are_counted_from_the_epoch(every: int, offset: int, after: int, expected: list[int]) -> None:
    schedule = Schedule(every=every, offset=offset)
    assert fires(schedule, after, _DAY * 1000, "America/New_York", 2) == expected


def test_an_interval_does_not_notice_that_clocks_change() -> None:
    found = _next(Schedule(every=2 * _HOUR), "2026-03-29T00:00", "Europe/Berlin", 3)
    assert found == ["03-29 01:00+01:00", "03-29 04:00+02:00", "03-29 06:00+02:00"]


@pytest.mark.parametrize(("after", "expected"), [(999, 1000), (1000, None), (0, 1000)])
def test_at_fires_once(after: int, expected: int | None) -> None:
    assert next_fire(Schedule(at=1000), after, zone="UTC") == expected


def test_nobody_knows_beforehand_when_the_machine_starts() -> None:
    assert next_fire(Schedule(boot=True), 0, zone="UTC") is None
    assert fires(Schedule(boot=True), 0, 2**50, "UTC", 10) == []


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "until", "limit", "expected"),
    [
        (0, 2 * _HOUR, 10, [_HOUR, 2 * _HOUR]),  # without `after`, with `until`
        (-1, 2 * _HOUR - 1, 10, [0, _HOUR]),
        (_HOUR - 1, _HOUR, 10, [_HOUR]),
        (_HOUR, _HOUR, 10, []),
        (2 * _HOUR, _HOUR, 10, []),
        (0, _DAY, 3, [_HOUR, 2 * _HOUR, 3 * _HOUR]),
        (0, _DAY, 0, []),
    ],
)
@pytest.mark.parametrize("schedule", [Schedule(cron="0 * * * *"), Schedule(every=_HOUR)], ids=["cron", "every"])
def test_fires_between(schedule: Schedule, after: int, until: int, limit: int, expected: list[int]) -> None:
    assert fires(schedule, after, until, "UTC", limit) == expected


@pytest.mark.parametrize(
    ("start_at", "end_at", "expected"),
    [
        (2 * _HOUR, None, [2, 3, 4, 5, 6]),  # both ends included
        (2 * _HOUR + 1, None, [3, 4, 5, 6]),
        (None, 3 * _HOUR, [1, 2, 3]),
        (None, 3 * _HOUR - 1, [1, 2]),
        (2 * _HOUR, 3 * _HOUR, [2, 3]),
        (4 * _HOUR, 3 * _HOUR, []),
        (-_HOUR, None, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_start_at_and_end_at(start_at: int | None, end_at: int | None, expected: list[int]) -> None:
    for kind in ({"cron": "0 * * * *"}, {"every": _HOUR}):
        schedule = Schedule(**kind, start_at=start_at, end_at=end_at)
        found = fires(schedule, 0, 6 * _HOUR, "UTC", 100)
        assert found == [hour * _HOUR for hour in expected]
        assert next_fire(schedule, 0, zone="UTC") == (found[0] if found else None)


def test_a_start_beyond_the_horizon_is_reached() -> None:
    start = parse_instant("2300-01-01T00:00:00Z")
    assert next_fire(Schedule(cron="0 0 * * *", start_at=start), 0, zone="UTC") == start


def test_a_zone_of_its_own_comes_first() -> None:
    noon = Schedule(cron="0 12 * * *", timezone="Asia/Tokyo")
    assert next_fire(noon, 0, zone="America/New_York") == 3 * _HOUR


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        (Schedule(cron="0 0 * * * *"), CronError),
        (Schedule(cron="0 0 * * *", exclude=("bad",)), CronError),
        (Schedule(cron="0 0 * * *", timezone="Mars/Olympus"), ZoneError),
    ],
)
def test_what_validation_refuses_is_refused_here_as_well(schedule: Schedule, error: type[Exception]) -> None:
    with pytest.raises(error):
        next_fire(schedule, 0, zone="UTC")


# --- exclusions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (
            Schedule(cron="0 3 * * *", exclude=("* * 24-26 12 *",), exclude_dates=("2026-12-28",)),
            "2026-12-22T12:00",
            ["12-23 03:00+01:00", "12-27 03:00+01:00", "12-29 03:00+01:00"],
        ),
        (
            Schedule(cron="0 * * * *", exclude=("* 1-22 * * *",)),
            "2026-12-22T12:00",
            ["12-22 23:00+01:00", "12-23 00:00+01:00", "12-23 23:00+01:00"],
        ),
        (
            Schedule(every=_HOUR, exclude=("* * 24-26 12 *",)),
            "2026-12-23T22:30",
            ["12-23 23:00+01:00", "12-27 00:00+01:00"],
        ),
        (
            Schedule(every=10_000, exclude=("30-59 * * * *",)),
            "2026-12-23T22:29:40",
            ["12-23 22:29:50+01:00", "12-23 23:00+01:00", "12-23 23:00:10+01:00"],
        ),
        # An excluded stretch that begins before the clocks go back is over when they do.
        (
            Schedule(every=20 * _MINUTE, exclude=("40-59 2 * * *", "0-29 3 * * *")),
            "2026-10-25T02:10",
            ["10-25 02:20+02:00", "10-25 02:00+01:00", "10-25 02:20+01:00", "10-25 03:40+01:00"],
        ),
        # What is moved out of a gap: neither the time it is written for nor the one it runs at may be excluded.
        (
            Schedule(cron="30 2 * * *", exclude=("* 2 29 3 *",)),
            "2026-03-28T12:00",
            ["03-30 02:30+02:00"],
        ),
        (
            Schedule(cron="30 2 * * *", exclude=("* 3 * * *",)),
            "2026-03-28T12:00",
            ["03-30 02:30+02:00"],
        ),
        (
            Schedule(cron="0,30 2 * * *", exclude=("30 2 * * *",)),
            "2026-03-28T12:00",
            ["03-29 03:00+02:00", "03-30 02:00+02:00"],
        ),
        # An excluded stretch in which the clocks go back comes twice.
        (
            Schedule(every=20 * _MINUTE, exclude=("20-59 2 * * *",)),
            "2026-10-25T01:50",
            ["10-25 02:00+02:00", "10-25 02:00+01:00", "10-25 03:00+01:00"],
        ),
    ],
)
def test_exclusions(schedule: Schedule, after: str, expected: list[str]) -> None:
    assert _next(schedule, after, "Europe/Berlin", len(expected)) == expected


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="0 3 * * *", exclude=("* 3 * * *",)),
        Schedule(cron="30 2 * * *", exclude=("* * * * *",)),
        Schedule(every=_HOUR, exclude=("0 * * * *",)),
        Schedule(cron="30 2 28 3 *", end_at=parse_instant("2027-03-28T12:00:00Z"), dst_gap="skip"),
        Schedule(at=_DAY, exclude_dates=("1970-01-02",)),
    ],
)
def test_what_never_fires_says_so(schedule: Schedule) -> None:
    after = 0 if schedule.at else parse_instant("2026-11-21T00:00:00Z")
    assert next_fire(schedule, after, zone="Europe/Berlin") is None


# --- jitter ----------------------------------------------------------------------------------------------------------


def test_jitter_is_the_same_in_every_process_and_version() -> None:
    # A changed value would start every job at another time after an upgrade.
    assert jitter("backup", "0", 1_798_131_600_000, 300_000) == 14722


@pytest.mark.parametrize("most", [1, 1000, 300_000, 30 * _DAY])
def test_jitter_stays_below_its_limit_and_spreads(most: int) -> None:
    waits = [jitter(f"job-{n}", "0", 1_798_131_600_000, most) for n in range(1000)]
    assert all(0 <= wait < most for wait in waits)
    if most > 1:
        tenths = [sum(wait * 10 // most == tenth for wait in waits) for tenth in range(10)]
        assert min(tenths) > 50


def test_without_jitter_there_is_none() -> None:
    assert jitter("backup", "0", 1_798_131_600_000, 0) == 0


# --- witnesses -------------------------------------------------------------------------------------------------------

# A scan reads each minute's clock, and nothing of the product: fields come with the set of numbers they stand for.
_Field = tuple[str, set[int]]
_Fields = tuple[_Field, ...]
_SCANNED = timedelta(hours=30)
_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Antarctica/Troll", "UTC")


def _starred(low: int, high: int) -> st.SearchStrategy[_Field]:
    steps = st.integers(1, high)
    return steps.map(lambda n: ("*" if n == 1 else f"*/{n}", set(range(low, high + 1, n))))


def _chosen(low: int, high: int) -> st.SearchStrategy[_Field]:
    numbers = st.integers(low, high)
    lists = st.lists(numbers, min_size=1, max_size=4).map(lambda ns: (",".join(map(str, ns)), set(ns)))
    ranges = st.tuples(st.lists(numbers, min_size=2, max_size=2).map(sorted), st.integers(1, 9)).map(
        lambda v: (f"{v[0][0]}-{v[0][1]}/{v[1]}", set(range(v[0][0], v[0][1] + 1, v[1])))
    )
    return lists | ranges


def _field(low: int, high: int) -> st.SearchStrategy[_Field]:
    return _starred(low, high) | _chosen(low, high)


_hours = _field(0, 23) | _chosen(0, 4)  # most clocks change in the small hours
_crons = st.tuples(_field(0, 59), _hours, _field(1, 31), st.just(("*", set(range(1, 13)))), _field(0, 6))


def _by_day_rule(fields: _Fields, local: datetime) -> bool:
    (days, in_days), (weekdays, in_weekdays) = fields[2], fields[4]
    found = (local.day in in_days, local.isoweekday() % 7 in in_weekdays)
    return all(found) if days.startswith("*") or weekdays.startswith("*") else any(found)


def _named(fields: _Fields, local: datetime) -> bool:
    return local.minute in fields[0][1] and local.hour in fields[1][1] and _by_day_rule(fields, local)


def _scan(fields: _Fields, zone: zoneinfo.ZoneInfo, start: datetime) -> list[int]:
    """The fire times in the time scanned, by asking each minute."""
    wild = fields[0][0].startswith("*") or fields[1][0].startswith("*")
    found = []
    moment = start
    before = moment.astimezone(zone)
    while moment < start + _SCANNED:
        moment += timedelta(minutes=1)
        local = moment.astimezone(zone)
        fire = _named(fields, local) and (wild or not local.fold)
        jump = local.replace(tzinfo=None) - before.replace(tzinfo=None)
        if not wild and timedelta(minutes=1) < jump <= timedelta(hours=3):
            skipped = [before + timedelta(minutes=n) for n in range(1, int(jump.total_seconds()) // 60)]
            fire = fire or any(_named(fields, clock) for clock in skipped)
        if fire:
            found.append(int(moment.timestamp()) * 1000)
        before = local
    return found


@cache
def _changes(zone: str) -> list[datetime]:
    """The hours of 2000-2025 after which the zone's offset is another one; 2020-01-01 where it has none."""
    hours = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=12 * n) for n in range(2 * 365 * 26)]
    found = [hour for hour, later in pairwise(hours) if _offset(hour, zone) != _offset(later, zone)]
    return found or [datetime(2020, 1, 1, tzinfo=UTC)]


def _offset(moment: datetime, zone: str) -> timedelta | None:
    return moment.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()


@settings(max_examples=80, deadline=None, database=None)
@given(_crons, st.sampled_from(_ZONES), st.integers(0, 1000), st.integers(-20 * 60, 14 * 60))
def test_agrees_with_a_scan_of_every_minute(fields: _Fields, zone: str, change: int, minutes: int) -> None:
    changes = _changes(zone)
    start = changes[change % len(changes)] + timedelta(minutes=minutes)
    after = int(start.timestamp()) * 1000
    schedule = Schedule(cron=" ".join(text for text, _ in fields))
    until = after + int(_SCANNED.total_seconds()) * 1000
    assert fires(schedule, after, until, zone, 5000) == _scan(fields, zoneinfo.ZoneInfo(zone), start)


def _without_star_days(fields: _Fields) -> bool:
    days, weekdays = fields[2][0], fields[4][0]
    return "*" in (days, weekdays) or not (days.startswith("*") or weekdays.startswith("*"))


def _equal_range(fields: _Fields) -> bool:
    """`5-5` is the whole field to croniter."""
    return any("-" in text and len(set(text.partition("/")[0].split("-"))) == 1 for text, _ in fields)


@settings(max_examples=80, deadline=None, database=None)
@given(
    _crons.filter(_without_star_days).filter(lambda fields: not _equal_range(fields)),
    st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)),
)
def test_agrees_with_croniter_where_that_agrees_with_debian(fields: _Fields, start: datetime) -> None:
    from croniter import croniter

    expression = " ".join(text for text, _ in fields)
    start = start.replace(second=0, microsecond=0, tzinfo=UTC)
    witness = croniter(expression, start)
    expected = [int(witness.get_next(float)) * 1000 for _ in range(5)]
    after = int(start.timestamp()) * 1000
    assert fires(Schedule(cron=expression), after, expected[-1], "UTC", 5) == expected
