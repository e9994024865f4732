"""The lines of a crontab as supercronic reads them. Source of every rule: its crontab.go and cronexpr, 0.2.

Five fields, six with a year, seven with seconds in front; `?`, `L`, `5#2`, `N/step`; two day fields are either-or, but
for `*` and `?`. No `%`, no users, no @reboot. Variables hold for the whole file, wherever they stand.

When clocks change, its times depend on what Go makes of a time that is not there: those are not followed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from jobctl.core.record import NamedTuple
from jobctl.core.schedule.cron import DAY_NAMES, FIELDS, MONTH_NAMES, CronError, parse_cron
from jobctl.core.schedule.zones import load, offset_of
from jobctl.crontab.entry import Entry, NeverError, RefusedError, Schedule
from jobctl.crontab.shell import shortened
from jobctl.crontab.times import as_written, field_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly")
_VARIABLE = re.compile(r"([^\s=]+)\s*=\s*(.*)$", re.ASCII | re.DOTALL)
_YEARS = range(1970, 2100)
_LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_LONG_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_EVEN_EVERYWHERE = (1, 3, 5, 15)  # minutes that divide the offset of every zone


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[tuple[str, ...], ...] = ()
    width: int = 2  # most digits

    def number(self, text: str) -> int | None:
        """As the tables of cronexpr have it: months and weekdays know no leading zero there, and make 0 of it."""
        for names in self.names:
            if text in names:
                return names.index(text) + (1 if self.name == "month" else 0)
        if not text.isascii() or not text.isdigit() or len(text) > self.width:
            return None
        value = int(text)
        if not self.low <= value <= (7 if self.name == "day-of-week" else self.high):
            return None
        if self.names and len(text) == 2 and text[0] == "0":
            return 0
        return 0 if self.name == "day-of-week" and value == 7 else value


_SECOND = _Field("second", 0, 59)
_FIVE = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, (MONTH_NAMES, _LONG_MONTHS)),
    _Field("day-of-week", 0, 6, (DAY_NAMES, _LONG_DAYS)),
)
_YEAR = _Field("year", 1970, 2099, (), 4)


class _Values(NamedTuple):
    numbers: frozenset[int]
    free: bool = False  # `*` or `?` is among them
    special: tuple[str, ...] = ()  # l, lw, 15w, 5l, 5#2


class _Times(NamedTuple):
    fields: tuple[_Values, ...]  # the five
    seconds: _Values
    years: _Values
    written: str  # the five


def read_variable(line: str) -> tuple[str, str] | None:
    match = _VARIABLE.match(line.lstrip(" \t"))
    if match is None:
        return None
    value = match[2]
    if not value:
        raise RefusedError("supercronic ends with an error at a variable without a value", 'write NAME=""')
    if value[0] in "'\"" and len(value) > 1 and value[-1] == value[0]:
        value = value[1:-1]
    return match[1], value


def read_entry(line: str) -> Entry:
    text = line.lstrip(" \t")
    words = list(re.finditer(r"[^ \t\r\f\v]+", text))
    problem: RefusedError | None = None
    for count in (7, 6, 5, 1):
        if len(words) <= count:
            continue
        written = text[: words[count - 1].end()]
        try:
            _times(written)
        except RefusedError as error:
            problem = error if count == 5 else problem
            continue
        command = text[words[count].start() :]
        macro = written if count == 1 else ""
        return Entry(macro, (), " ".join(written.split()), "", command, "", whole=command)
    if words and words[0][0].startswith("@"):
        raise RefusedError("bad time specifier: known are " + ", ".join(_MACROS))
    raise problem or RefusedError("fewer than five times and a command")


def schedule(entry: Entry, zone_of_years: str) -> Schedule:
    """As jobctl says it. NeverError where it never fires, or jobctl has no word for it."""
    if entry.macro:
        return entry.macro
    times = _times(entry.written)
    months = times.fields[3].numbers
    if 0 in months:
        raise NeverError("supercronic reads a month with a leading zero as none", "write it without the zero")
    days, weekdays = times.fields[2], times.fields[4]
    empty = [_FIVE[at].name for at in (0, 1, 3) if not _any(times.fields[at])]
    if not any(_any(values) for values in (days, weekdays) if not values.free) and not (days.free and weekdays.free):
        empty.append("day")
    if empty:
        raise NeverError(f"it names no {' and no '.join(empty)}, it would never fire")
    found = _in_years(_by_seconds(times), times, zone_of_years)
    return found[0] if len(found) == 1 else found


def _any(values: _Values) -> bool:
    return bool(values.numbers or values.special)


def _times(text: str) -> _Times:
    words = text.split()
    if len(words) == 1 and words[0] in _MACROS:
        words = list(parse_cron(words[0]).fields)
    if not 5 <= len(words) <= 7:
        raise RefusedError("fewer than five times and a command")
    seconds = _values(_SECOND, words[0]) if len(words) == 7 else _Values(frozenset([0]))
    five = words[1:6] if len(words) == 7 else words[:5]
    years = _values(_YEAR, words[-1]) if len(words) > 5 else _Values(frozenset(_YEARS), free=True)
    fields = tuple(_values(field, word) for field, word in zip(_FIVE, five, strict=True))
    return _Times(fields, seconds, years, " ".join(five))


def _values(field: _Field, text: str) -> _Values:
    numbers: set[int] = set()
    free = False
    special = []
    items = [item for item in text.lower().split(",") if item]
    if not items:
        raise RefusedError(f"bad {field.name}: it names nothing")
    for item in items:
        found = _item(field, item)
        if found is None:
            if not _is_special(field, item):
                raise RefusedError(f"bad {field.name}: supercronic cannot read {shortened(item)}")
            special.append(item)
            continue
        free = free or item in ("*", "?")
        numbers.update(found)
    return _Values(frozenset(numbers), free, tuple(special))


def _item(field: _Field, item: str) -> range | None:
    """What one item of a list names; None where it may be one of the special ones."""
    if item in ("*", "?"):
        return range(field.low, field.high + 1)
    match = re.fullmatch(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?", item)
    if match is None:
        return None
    first = field.low if match[1] == "*" else field.number(match[1])
    last = field.number(match[2]) if match[2] else field.high if match[1] == "*" or match[3] else first
    if first is None or last is None or (match[1] == "*" and match[2]):
        return None
    step = int(match[3]) if match[3] and len(match[3]) <= 2 else 0 if match[3] else 1
    if match[3] and not 1 <= step <= min(field.high, 59):
        raise RefusedError(f"bad {field.name}: {shortened(item)} has no step that supercronic knows")
    if last < first and match[2] and not match[3]:
        raise RefusedError(f"bad {field.name}: {shortened(item)} ends before it starts")
    return range(first, last + 1, step)


def _is_special(field: _Field, item: str) -> bool:
    if field.name == "day-of-month":
        return item in ("l", "lw") or (item.endswith("w") and field.number(item[:-1]) is not None)
    if field.name == "day-of-week":
        day = re.sub(r"(l|#[1-5])$", "", item)
        return day != item and field.number(day) is not None
    return False


# --- what jobctl says ------------------------------------------------------------------------------------------------


def _by_seconds(times: _Times) -> list[dict[str, Any]]:
    """Schedules that together fire at its seconds."""
    seconds = sorted(times.seconds.numbers)
    if seconds == [0]:
        return _crons(times)
    step = _even_minutes(times)
    if step is None:
        near = _crons(times)[0]["cron"]
        hint = (
            f'every = "{_step_of(seconds)}s" fires all day' if len(seconds) > 1 and _step_of(seconds) else
            f'"{near}" is the minute before, and a sleep {seconds[0]} in front of the command the second'
        )  # fmt: skip
        raise NeverError("jobctl's cron has minutes, not seconds", hint)
    between = _step_of(seconds)
    if between and step == 1:
        return [_every(f"{between}s" if between < 60 else "1m", seconds[0])]
    return [_every(f"{step}m", second) for second in seconds]


def _every(length: str, offset: int) -> dict[str, Any]:
    return {"every": length, "offset": f"{offset}s"} if offset else {"every": length}


def _even_minutes(times: _Times) -> int | None:
    """So many minutes between its fires, whatever the zone; None where they are not even."""
    if not all(values.free for values in times.fields[1:]):
        return None
    minutes = sorted(times.fields[0].numbers)
    step = _step_of(minutes)
    return step if step in _EVEN_EVERYWHERE and minutes[0] == 0 else None


def _step_of(numbers: list[int]) -> int:
    """So much between any two of a round of 60; 0 where it is not always as much."""
    step = 60 // len(numbers) if 60 % len(numbers) == 0 else 0
    return step if step and all(b - a == step for a, b in pairwise(numbers)) else 0


def _crons(times: _Times) -> list[dict[str, Any]]:
    days, weekdays = times.fields[2], times.fields[4]
    for item in days.special:
        if item.endswith("w"):
            raise NeverError("jobctl has no nearest weekdays (W)", _hint_of(times.written))
    texts = [_text(field, values) for field, values in zip(_FIVE, times.fields, strict=True)]
    if days.free or weekdays.free:
        texts[2] = "*" if days.free else texts[2]
        texts[4] = "*" if weekdays.free else texts[4]
    elif not _any(days) or not _any(weekdays):  # either of them, and one names none
        texts[2], texts[4] = texts[2] or "*", texts[4] or "*"
    elif days.special or weekdays.special:
        # Beside L and mon#2 jobctl wants a star: two expressions, and no day that is in both of them twice.
        by_date = _checked(" ".join([*texts[:4], "*"]))
        by_weekday = _checked(" ".join([*texts[:2], "*", *texts[3:]]))
        return [{"cron": by_date}, {"cron": by_weekday, "exclude": [by_date]}]
    return [{"cron": as_written(times.written, _checked(" ".join(texts)), wild=False)}]


def _checked(plain: str) -> str:
    try:
        parse_cron(plain)
    except CronError as error:
        raise NeverError(error.message, error.hint) from None
    return plain


def _text(field: _Field, values: _Values) -> str:
    if not values.special and all(number in values.numbers for number in range(field.low, field.high + 1)):
        whole = values.free or field.name not in ("day-of-month", "day-of-week")
        return "*" if whole else f"{field.low}-{field.high}"
    numbers = [field_text(sorted(values.numbers))] if values.numbers else []
    return ",".join([*numbers, *(_special_text(item) for item in values.special)])


def _special_text(item: str) -> str:
    if item == "l":
        return "L"
    day, hash_, nth = item.partition("#")
    if not hash_:
        day = item[:-1]
    number = _FIVE[4].number(day) or 0
    return f"{DAY_NAMES[number]}#{nth}" if hash_ else f"{DAY_NAMES[number]}L"


def _hint_of(written: str) -> str:
    try:
        parse_cron(written)
    except CronError as error:
        return error.hint
    return ""


def _in_years(schedules: list[dict[str, Any]], times: _Times, zone: str) -> list[str | dict[str, Any]]:
    """Within the years, where they are said: from the first instant of one to the last second of another."""
    if times.years.free or len(times.years.numbers) == len(_YEARS):
        return [each["cron"] if list(each) == ["cron"] else each for each in schedules]
    spans = [part.partition("-")[::2] for part in _year_spans(sorted(times.years.numbers))]
    return [
        {
            **each,
            "start_at": _instant(int(first), zone, end=False),
            "end_at": _instant(int(last or first), zone, end=True),
        }
        for first, last in spans
        for each in schedules
    ]


def _year_spans(years: list[int]) -> list[str]:
    spans: list[list[int]] = []
    for year in years:
        if spans and year == spans[-1][1] + 1:
            spans[-1][1] = year
        else:
            spans.append([year, year])
    return [f"{first}-{last}" for first, last in spans]


def _instant(year: int, zone: str, *, end: bool) -> str:
    local = datetime(year, 12, 31, 23, 59, 59) if end else datetime(year, 1, 1)
    offset = offset_of(load(zone), int(local.replace(tzinfo=UTC).timestamp()), second_time=end)
    return local.replace(tzinfo=timezone(timedelta(seconds=offset))).isoformat()


assert tuple(field.name for field in _FIVE) == tuple(field.name for field in FIELDS)
