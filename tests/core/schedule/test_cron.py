"""What cron expressions mean and which are refused. Clock changes are test_schedule.py's."""

from __future__ import annotations

from datetime import date

import pytest

from jobctl.core.schedule.cron import CronError, numbers_in, parse_cron

_EPOCH = date(1970, 1, 1)


def _day(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH).days


def _days(expression: str, after: str, count: int) -> list[str]:
    cron = parse_cron(expression)
    day: int | None = _day(after)
    found = []
    for _ in range(count):
        assert day is not None
        day = cron.next_day(day)
        assert day is not None
        found.append(date.fromordinal(day + _EPOCH.toordinal()).isoformat())
    return found


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("30 2 * * *", ["02:30"]),
        ("0,30 9-11/2 * * *", ["09:00", "09:30", "11:00", "11:30"]),
        ("5-5 3 * * *", ["03:05"]),  # other tools read a whole cycle
        ("05 003 * * *", ["03:05"]),
        ("*/25 0 * * *", ["00:00", "00:25", "00:50"]),
        ("*/90 0 * * *", ["00:00"]),
        ("50-59/5,3 23 * * *", ["23:03", "23:50", "23:55"]),
        (" 0\t4  * * * ", ["04:00"]),
        ("0 1,*/12 * * *", ["00:00", "01:00", "12:00"]),
    ],
)
def test_the_times_of_a_day(expression: str, times: list[str]) -> None:
    named = numbers_in(parse_cron(expression).times_on(0))
    assert [f"{minute // 60:02}:{minute % 60:02}" for minute in named] == times


@pytest.mark.parametrize(
    ("expression", "after", "days"),
    [
        # One of the two day fields.
        ("0 0 31 * *", "2026-01-31", ["2026-03-31", "2026-05-31", "2026-07-31"]),
        ("0 0 29 2 *", "2096-02-28", ["2096-02-29", "2104-02-29"]),
        ("0 0 * * 0", "2026-11-21", ["2026-11-22", "2026-11-29"]),
        ("0 0 * * 7", "2026-11-21", ["2026-11-22", "2026-11-29"]),
        ("0 0 * * 5-7", "2026-11-19", ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-27"]),
        ("0 0 * * SAT,sun", "2026-11-20", ["2026-11-21", "2026-11-22", "2026-11-28"]),
        ("0 0 * * */2", "2026-11-20", ["2026-11-21", "2026-11-22", "2026-11-24", "2026-11-26"]),
        ("0 0 * * 1-7/2", "2026-11-20", ["2026-11-22", "2026-11-23", "2026-11-25", "2026-11-27"]),
        ("0 0 1 jan-mar/2 *", "2026-01-01", ["2026-03-01", "2027-01-01"]),
        # Both: either is enough ...
        ("0 0 13 * fri", "2026-11-12", ["2026-11-13", "2026-11-20", "2026-11-27", "2026-12-04", "2026-12-11"]),
        ("0 0 31 2 mon", "2026-01-31", ["2026-02-02", "2026-02-09"]),
        ("0 0 10,* * mon", "2026-11-21", ["2026-11-22", "2026-11-23"]),
        # ... unless one begins with a star.
        ("0 0 */10 * mon", "2026-08-01", ["2026-08-31", "2026-09-21", "2026-12-21"]),
        ("0 0 13 * */5", "2026-01-01", ["2026-02-13", "2026-03-13", "2026-09-13"]),
        ("0 0 29 2 */7", "2026-01-01", ["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]),
        # Beyond Debian.
        ("0 0 L * *", "2027-01-31", ["2027-02-28", "2027-03-31", "2027-04-30"]),
        ("0 0 15,L 2 *", "2028-02-01", ["2028-02-15", "2028-02-29", "2029-02-15"]),
        ("0 0 * * mon#2", "2026-11-09", ["2026-12-14", "2027-01-11"]),
        ("0 0 * * 0#1,7#3", "2026-11-01", ["2026-11-15", "2026-12-06", "2026-12-20"]),
        ("0 0 * * mon#5", "2026-11-01", ["2026-11-30", "2027-03-29"]),
        ("0 0 * * friL", "2026-11-01", ["2026-11-27", "2026-12-25"]),
        ("0 0 * * 5L,mon", "2026-11-23", ["2026-11-27", "2026-11-30", "2026-12-07"]),
        ("0 0 * 2 mon#5", "2026-01-01", ["2044-02-29"]),
    ],
)
def test_the_days(expression: str, after: str, days: list[str]) -> None:
    assert _days(expression, after, len(days)) == days
    cron = parse_cron(expression)
    assert all(cron.times_on(_day(day)) for day in days)
    between = set(range(_day(after) + 1, min(_day(days[-1]), _day(after) + 1000))) - {_day(day) for day in days}
    assert not any(cron.times_on(day) for day in between)


def test_the_calendar_ends_before_the_year_9999() -> None:
    assert parse_cron("0 0 1 1 *").next_day(_day("9998-01-01")) is None


@pytest.mark.parametrize(
    ("macro", "meaning"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_macros(macro: str, meaning: str) -> None:
    assert parse_cron(macro) == parse_cron(meaning)
    assert str(parse_cron(f" {macro} ")) == meaning


@pytest.mark.parametrize(
    ("expression", "wild", "both_days"),
    [
        ("30 2 * * *", False, True),
        ("*/15 2 * * *", True, True),
        ("30 */2 * * *", True, True),
        ("30 0-23 * * *", False, True),
        ("7,*/30 1,* * * *", False, True),
        ("0 0 1 * mon", False, False),
        ("0 0 */2 * mon", False, True),
        ("0 0 1 * */2", False, True),
    ],
)
def test_only_a_star_at_the_beginning_counts_as_one(expression: str, wild: bool, both_days: bool) -> None:
    cron = parse_cron(expression)
    assert (cron.wild, cron.both_days) == (wild, both_days)


@pytest.mark.parametrize(
    ("expression", "field", "value", "says", "way_out"),
    [
        # Not in range.
        ("60 * * * *", "minute", "60", "60 is not between 0 and 59", "0-59/5"),
        ("0 24 * * *", "hour", "24", "24 is not between 0 and 23", "midnight is hour 0"),
        ("0 0 0 * *", "day-of-month", "0", "not between 1 and 31", "1-31/5"),
        ("0 0 1 13 *", "month", "13", "not between 1 and 12", "jan"),
        ("0 0 * * 8", "day-of-week", "8", "not between 0 and 7", "sun"),
        ("5-70 * * * *", "minute", "5-70", "70 is not between", "0-59/5"),
        ("9" * 900 + " * * * *", "minute", "9" * 900, "... is not between", "0-59/5"),
        # What Debian accepts but never fires.
        ("0 0 * * fri-sun", "day-of-week", "fri-sun", "ends before it starts", "write fri-7"),
        ("0 0 * * sat-sun", "day-of-week", "sat-sun", "ends before it starts", "write sat-7"),
        ("0 0 * * fri-mon", "day-of-week", "fri-mon", "ends before it starts", "write mon,fri,sat,sun"),
        ("20-10 * * * *", "minute", "20-10", "ends before it starts", "write 20-59,0-10"),
        ("0 8,22-0 * * *", "hour", "8,22-0", "22-0 ends before it starts", "write 22-23,0"),
        ("0 22-4/2 * * *", "hour", "22-4/2", "ends before it starts", "write 0,2,4,22"),
        ("0 0 1 nov-feb *", "month", "nov-feb", "ends before it starts", "write 11-12,1-2"),
        ("0 0 31 2 *", "day-of-month", "31", "never fire", 'write "0 0 L 2 *"'),
        ("0 0 31 4,6,9,11 *", "day-of-month", "31", "never fire", 'write "0 0 L 4,6,9,11 *"'),
        ("0 0 30 2 */2", "day-of-month", "30", "never fire", "end on day 29"),
        # Steps.
        ("10/20 * * * *", "minute", "10/20", "a step needs a range", "write 10-59/20"),
        ("0 0 * * mon/2", "day-of-week", "mon/2", "a step needs a range", "write mon-6/2"),
        ("*/0 * * * *", "minute", "*/0", "a step of 0", "1"),
        ("*/x * * * *", "minute", "*/x", "cannot be read", "*/5"),
        ("1-5/2/2 * * * *", "minute", "1-5/2/2", "cannot be read", "0-59/5"),
        # Other tools' words.
        ("H 3 * * *", "minute", "H", "left to chance", "jitter"),
        ("H/15 3 * * *", "minute", "H/15", "left to chance", "jitter"),
        ("H(0-29) 3 * * *", "minute", "H(0-29)", "left to chance", "jitter"),
        ("0 R * * *", "hour", "R", "left to chance", "jitter"),
        ("0~30 3 * * *", "minute", "0~30", "left to chance", "jitter"),
        ("0 0 ? * mon", "day-of-month", "?", "? is not cron's", "write *"),
        ("0 0 15W * *", "day-of-month", "15W", "nearest weekdays", "jitter"),
        ("0 0 LW * *", "day-of-month", "LW", "nearest weekdays", "friL"),
        ("0 0 L-3 * *", "day-of-month", "L-3", "not known", "last day"),
        ("0 0 * * L", "day-of-week", "L", "not known", "monL"),
        ("0 0 * * mon#6", "day-of-week", "mon#6", "not known", "mon#5"),
        ("0 0 L * mon", "day-of-month", "L", "only while day-of-week is *", "two schedules"),
        ("0 0 L * */2", "day-of-month", "L", "only while day-of-week is *", "two schedules"),
        ("0 0 1 * mon#1", "day-of-week", "mon#1", "only while day-of-month is *", "two schedules"),
        ("0 0 1 * monL", "day-of-week", "monL", "only while day-of-month is *", "two schedules"),
        # Slips.
        ("1,,2 * * * *", "minute", "1,,2", "a comma too many", "1,2,3"),
        ("1, * * * *", "minute", "1,", "a comma too many", "1,2,3"),
        ("*5 * * * *", "minute", "*5", "cannot be read", "*/5"),
        ("-5 * * * *", "minute", "-5", "cannot be read", "0-59/5"),
        ("1-2-3 * * * *", "minute", "1-2-3", "cannot be read", "0-59/5"),
        ("0 0 * april *", "month", "april", "not how cron writes it", "write apr"),
        ("0 0 * * monday-friday", "day-of-week", "monday-friday", "not how cron", "write mon-fri"),
        ("0 0 * * jan", "day-of-week", "jan", "jan is no day-of-week", "the fourth field"),
        ("0 0 mon * *", "day-of-month", "mon", "mon is no day-of-month", "the fifth field"),
        # The line as a whole.
        ("", "", "", "empty", "0 3 * * *"),
        (" \t ", "", "", "empty", "0 3 * * *"),
        ("0 3 * *", "", "", "4 fields, cron has 5", 'did you mean "0 3 * * *"?'),
        ("75", "", "", "1 field, cron has 5", "write * for"),
        ("0 0 3 * * *", "", "", "6 fields, cron has 5", 'seconds, write "0 3 * * *"'),
        ("*/10 * * * * *", "", "", "6 fields", 'every = "10s"'),
        ("0 0 12 1/2 * ? 2030", "", "", "7 fields", 'every = "10s"'),
        ("0 3 * * * root /bin/true", "", "", "7 fields", "`command`"),
        ("@reboot", "", "@reboot", "@reboot", 'schedule = "@reboot"'),
        ("@every 5m", "", "@every", "@every", 'every = "5m"'),
        ("@Daily", "", "@Daily", "@Daily", "write @daily"),
        ("@daily 5", "", "@daily", "@daily", "alone"),
        ("@dayly", "", "@dayly", "@dayly", 'did you mean "@daily"?'),
        ("CRON_TZ=Asia/Tokyo 0 3 * * *", "", "CRON_TZ=Asia/Tokyo", "zone", 'timezone = "Asia/Tokyo"'),
        ("0 0 * * 1\u20135", "", "\u2013", "ASCII", "plain -"),
        ("0 \u0663 * * *", "", "\u0663", "ASCII", "anew"),
        ("0 0\u00a0* * *", "", "\u00a0", "\\xa0", "anew"),
        ("0 0\n* * *", "", "\n", "\\n", "anew"),
        ("0 0 * * *\0", "", "\0", "\\x00", "anew"),
        ("0," * 513 + "0 * * * *", "", "", "1035 characters", "0-50/10"),
    ],
)
def test_refused_with_a_way_out(expression: str, field: str, value: str, says: str, way_out: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(expression)
    error = caught.value
    assert (error.field, error.value) == (field, value)
    assert says in error.message
    assert way_out in error.hint
    assert len(error.message) < 200
    assert error.message.isprintable()
    if field:
        assert error.message.startswith(f'{field} "')


@pytest.mark.parametrize(
    ("reversed_range", "instead"),
    [
        ("0 0 * * fri-sun", "0 0 * * fri-7"),
        ("0 0 * * fri-mon/2", "0 0 * * fri,sun"),
        ("20-10 * * * *", "20-59,0-10 * * * *"),
        ("50-10/15 * * * *", "5,50 * * * *"),
    ],
)
def test_what_is_proposed_for_a_reversed_range_can_be_written(reversed_range: str, instead: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(reversed_range)
    proposed = caught.value.hint.removeprefix("write ")
    rewritten = reversed_range.replace(caught.value.value, proposed)
    assert parse_cron(rewritten).times == parse_cron(instead).times
    assert parse_cron(rewritten).weekdays == parse_cron(instead).weekdays
