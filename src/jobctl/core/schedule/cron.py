"""Cron expressions: text -> Cron, and the local days and minutes it names. Zones and clock changes are schedule.py's.

The meaning is that of Debian's cron (crontab(5), and entry.c where that is silent), with three additions: `L`,
`mon#2` and `monL`. What Debian reads but never fires is an error here, and so is what other tools read differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from jobctl.core.definition.suggest import closest
from jobctl.core.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES_A_DAY = 1440
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_YEAR = 9998  # the walk stops where datetime does
_MAX_LENGTH = 1024

# Longest a month gets, by its number.
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# Six weeks of single bits, a week apart: times a week's bits, it repeats them through any month.
_EVERY_WEEK = sum(1 << 7 * week for week in range(6))

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class CronError(ValueError):
    """A cron expression that cannot be used. `field` is one of FIELDS' names, or "" where it is the whole line."""

    def __init__(self, message: str, *, field: str = "", value: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.hint = hint


class Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # names[0] stands for `low`


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day-of-month", 1, 31),
    Field("month", 1, 12, MONTH_NAMES),
    Field("day-of-week", 0, 7, DAY_NAMES),  # 7 is Sunday, too
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. Sets of numbers are ints: bit n is set when n is in the set."""

    fields: tuple[str, ...]  # the five, as written; what a macro stands for
    times: int  # minutes of the day, 0-1439
    days: int  # of the month, 1-31
    last_day: bool  # of the month, in addition to `days`
    months: int
    weekdays: int  # 0-6, Sunday is 0
    nth_weekdays: tuple[tuple[int, int], ...]  # (weekday, 1-5 or -1 for the last one of the month)
    both_days: bool  # a day field begins with `*`: a day must satisfy both of them; else either is enough
    wild: bool  # minute or hour begins with `*`: it follows real time when the clocks change

    def __str__(self) -> str:
        return " ".join(self.fields)

    def times_on(self, day: int) -> int:
        """The minutes it names on a day (counted from 1970-01-01), as bits; 0 when it does not name the day."""
        local = date.fromordinal(_EPOCH_DAY + day)
        return self.times if self._days_of(local.year, local.month) >> local.day & 1 else 0

    def next_day(self, day: int) -> int | None:
        """The first day after `day` that it names, both counted from 1970-01-01. None: none before the year 9999."""
        local = date.fromordinal(_EPOCH_DAY + day)
        year, month = local.year, local.month
        left = self._days_of(year, month) >> (local.day + 1) << (local.day + 1)
        while not left:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > _LAST_YEAR:
                return None
            left = self._days_of(year, month)
        return date(year, month, _lowest(left)).toordinal() - _EPOCH_DAY

    def _days_of(self, year: int, month: int) -> int:
        """Its days in that month, as bits."""
        if not self.months >> month & 1:
            return 0
        first = date(year, month, 1).isoweekday() % 7
        length = _LONGEST[month] if month != 2 or _leap(year) else 28
        whole = (2 << length) - 2
        by_date = self.days | self.last_day << length
        by_weekday = self.weekdays * _EVERY_WEEK >> first << 1
        for weekday, nth in self.nth_weekdays:
            earliest = 1 + (weekday - first) % 7
            by_weekday |= 1 << (earliest + 7 * (nth - 1) if nth > 0 else length - (length - earliest) % 7)
        return (by_date & by_weekday if self.both_days else by_date | by_weekday) & whole


def numbers_in(bits: int) -> Iterator[int]:
    """The numbers whose bits are set, ascending."""
    while bits:
        yield _lowest(bits)
        bits &= bits - 1


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# --- reading ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse_cron(text: str) -> Cron:
    """The Cron that `text` says. CronError, naming field and value and the way out, for everything else."""
    fields = _split(text)
    minute, hour, day, month, weekday = (
        _parse_field(field, value) for field, value in zip(FIELDS, fields, strict=True)
    )
    if day.special and fields[4] != "*":
        raise _other_day_field(FIELDS[2], fields[2], FIELDS[4])
    if weekday.special and fields[2] != "*":
        raise _other_day_field(FIELDS[4], fields[4], FIELDS[2])
    cron = Cron(
        fields=fields,
        times=sum(minute.numbers << 60 * h for h in range(24) if hour.numbers >> h & 1),
        days=day.numbers,
        last_day=bool(day.special),
        months=month.numbers,
        weekdays=(weekday.numbers | weekday.numbers >> 7) & 0b111_1111,
        nth_weekdays=weekday.special,
        both_days=fields[2].startswith("*") or fields[4].startswith("*"),
        wild=fields[0].startswith("*") or fields[1].startswith("*"),
    )
    _must_fire(cron)
    return cron


def _split(text: str) -> tuple[str, ...]:
    if len(text) > _MAX_LENGTH:
        raise CronError(
            f"a cron expression of {len(text)} characters is too long, {_MAX_LENGTH} is the limit",
            hint="ranges and steps say the same in less: 0-50/10",
        )
    for char in text:
        if char != "\t" and not " " <= char <= "~":
            shown = char if char.isprintable() else char.encode("unicode_escape").decode()
            raise CronError(
                f'a cron expression has only ASCII letters, digits and signs in one line, not "{shown}"',
                value=char,
                hint="a range is written with a plain -, as in 1-5" if char in "–—−" else "type it anew",
            )
    text = text.strip()
    if text.startswith("@"):
        text = _macro(text)
    if zone := re.match(r"(?:CRON_)?TZ=(\S+)", text):
        raise CronError("a zone has a key of its own", value=zone[0], hint=f'write timezone = "{zone[1]}"')
    fields = tuple(text.split())
    if len(fields) != 5 or (fields[0].isalpha() and _spoken(fields)):
        raise _wrong_count(fields)
    return fields


def _macro(text: str) -> str:
    if text in _MACROS:
        return _MACROS[text]
    name, *rest = text.split(None, 1)
    if name == "@every":
        hint = f'write schedule = {{ every = "{rest[0] if rest else "15m"}" }}'
    elif name == "@reboot":
        hint = 'write schedule = "@reboot", alone: it names no time that could be excluded or moved'
    elif name.lower() in _MACROS:
        hint = f"write {name.lower()}, alone"
    elif near := closest(name.lower(), _MACROS):
        hint = f'did you mean "{near}"?'
    else:
        hint = "known are " + ", ".join(_MACROS)
    raise CronError(f'"{name}" is not a schedule that jobctl knows', value=name, hint=hint)


def _wrong_count(fields: tuple[str, ...]) -> CronError:
    count = len(fields)
    if count == 0:
        return CronError("the cron expression is empty", hint="every night at three: 0 3 * * *")
    spoken = _spoken(fields)
    if spoken:
        return CronError("a schedule is not written in words", hint=f"write schedule = {spoken}")
    message = f"{count} {'field' if count == 1 else 'fields'}, cron has 5: minute hour day-of-month month day-of-week"
    if count < 5:
        filled = " ".join(fields + ("*",) * (5 - count))
        hint = f'did you mean "{filled}"?' if _valid(filled) else "write * for a field that is free"
        return CronError(message, hint=hint)
    if count > 5 and all(re.fullmatch(r"[A-Za-z]{3}", field) for field in fields[4:]):
        joined = " ".join((*fields[:4], ",".join(fields[4:])))
        if _valid(joined):
            return CronError(message, hint=f'a list has commas and no blanks: did you mean "{joined}"?')
    if not re.fullmatch(r"[\d*/,#?LW-]+|[A-Za-z]{3}([-,][A-Za-z]{3})*", fields[5]):
        hint = "that looks like a line of a crontab: what follows the fifth field goes to `command`"
        return CronError(message, hint=hint)
    without = " ".join(fields[1:6])
    drop = f'if the first one is seconds, write "{without}"; ' if count == 6 and _valid(without) else ""
    return CronError(
        f"{message}. Each tool reads more in its own way (seconds, or a year)",
        hint=f'{drop}below a minute write schedule = {{ every = "10s" }}',
    )


def _spoken(fields: tuple[str, ...]) -> str:
    """What words such as `every day at 3am` are to cron; "" for what is none, or fields that are only too few."""
    text = " ".join(fields)
    if "*" in text or not re.search(r"[A-Za-z]{3}|[0-9](?:[smhdw]$|am\b|pm\b|:[0-9])", text, re.IGNORECASE):
        return ""
    from jobctl.core.definition.spoken import as_written

    return as_written(text)


def _valid(text: str) -> bool:
    try:
        parse_cron(text)
    except CronError:
        return False
    return True


class _Parsed(NamedTuple):
    numbers: int  # as bits
    special: tuple[tuple[int, int], ...] = ()  # (weekday, nth); for L of day-of-month, one entry


def _parse_field(field: Field, value: str) -> _Parsed:
    numbers = 0
    special: tuple[tuple[int, int], ...] = ()
    for item in value.split(","):
        if found := _special(field, item):
            special += (found,)
        else:
            numbers |= _parse_item(field, value, item)
    return _Parsed(numbers, special)


def _special(field: Field, item: str) -> tuple[int, int] | None:
    """What jobctl knows beyond Debian: L in day-of-month, monL and mon#2 in day-of-week. None for all else."""
    if field.name == "day-of-month" and item in ("L", "l"):
        return (0, -1)
    if field.name == "day-of-week" and (match := re.fullmatch(r"([0-7]|[A-Za-z]{3})(?:#([1-5])|[Ll])", item)):
        weekday = _number(field, match[1])
        if weekday is not None:
            return (weekday % 7, int(match[2] or -1))
    return None


def _parse_item(field: Field, value: str, item: str) -> int:
    match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\w+))?", item)
    if match is None:
        raise _strange(field, value, item)
    star, first, last, step = match.groups()
    low: int | None = field.low
    high: int | None = field.high
    if not star:
        low = _number(field, first)
        high = low if last is None else _number(field, last)
    if low is None or high is None or (step is not None and not step.isdigit()):
        raise _strange(field, value, item)
    for number in (low, high):
        if not field.low <= number <= field.high:
            hint = "midnight is hour 0" if field.name == "hour" and number == 24 else _examples(field)
            raise _error(field, value, f"{_cut(str(number))} is not between {field.low} and {field.high}", hint)
    if step is not None and not star and last is None:
        hint = f"write {first}-{_end(field)}/{step}, or {first} for that one alone"
        raise _error(field, value, "a step needs a range in front of it", hint)
    if step is not None and int(step) == 0:
        raise _error(field, value, "a step of 0 gets nowhere", "the smallest step is 1")
    if low > high:
        raise _reversed(field, value, item, (low, high, int(step or 1)))
    return sum(1 << number for number in range(low, high + 1, int(step or 1)))


def _number(field: Field, text: str) -> int | None:
    """A number or, case ignored, a name. None for what is neither."""
    if text.isdigit():
        return int(text)
    name = text.lower()
    return field.low + field.names.index(name) if name in field.names else None


# --- what is wrong, and the way out ----------------------------------------------------------------------------------


def _error(field: Field, value: str, problem: str, hint: str) -> CronError:
    return CronError(f'{field.name} "{_cut(value)}": {problem}', field=field.name, value=value, hint=hint)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _end(field: Field) -> int:
    """The last number to write: 6 for Saturday, as 7 would say Sunday a second time."""
    return 6 if field.name == "day-of-week" else field.high


def _examples(field: Field) -> str:
    if not field.names:
        return f"as in {field.low}, {field.low}-{field.high}/5, */5 or a list of them"
    return f"as in {field.low}, {field.names[0]}, {field.names[1]}-{field.names[4]} or a list of them"


def _other_day_field(field: Field, value: str, other: Field) -> CronError:
    hint = f"write * for {other.name}, or give the job two schedules in a list"
    return _error(field, value, f"works only while {other.name} is *", hint)


def _reversed(field: Field, value: str, item: str, numbers: tuple[int, int, int]) -> CronError:
    """Debian reads a range that ends before it starts, and never fires. Say how to write what was meant."""
    low, high, step = numbers
    if field.name == "day-of-week":
        wrapped = range(low, high + 8, step)
        week = sorted({number % 7 for number in wrapped}, key=lambda number: number or 7)
        if step == 1 and week[-1] == 0 and low + len(week) - 1 == 7:
            instead = f"{item.partition('-')[0]}-7"
        else:
            instead = ",".join(DAY_NAMES[number] for number in week)
    elif step == 1:
        instead = f"{_span(low, field.high)},{_span(field.low, high)}"
    else:
        size = field.high - field.low + 1
        wrapped = range(low, high + size + 1, step)
        instead = ",".join(str(n) for n in sorted((n - field.low) % size + field.low for n in wrapped))
    return _error(field, value, f"{item} ends before it starts, cron would never fire it", f"write {instead}")


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _strange(field: Field, value: str, item: str) -> CronError:
    """The error for an item that is no number, name, range or step, with the way out where it is another tool's."""
    upper = item.upper()
    shown = _cut(item)
    if item == "":
        problem, hint = "a comma too many", "write 1,2,3 without blanks"
    elif item == "?":
        problem, hint = "? is not cron's", "write *"
    elif re.match(r"[HR](?![A-Z])", upper) or "~" in item:
        problem = "a time left to chance is not cron's"
        hint = 'write a fixed time, and jitter = "5m" in the table form of schedule to spread the starts'
    elif near := _short_names(field, item.lower()):
        problem, hint = f"{shown} is not how cron writes it", f"names have three letters: write {near}"
    elif field.name == "day-of-month" and "W" in upper:
        problem = "nearest weekdays (W) are not cron's"
        hint = "name the day itself, or a weekday: mon#1 or friL in day-of-week; jitter spreads starts, never days"
    elif "#" in item or upper.endswith("L") or upper.startswith("L-"):
        problem = f"{shown} is not known here"
        hint = "L, in day-of-month, is its last day; mon#1 to mon#5 and monL (the last one) stand in day-of-week"
    elif other := next((other for other in FIELDS if other is not field and _short_names(other, item.lower())), None):
        problem = f"{shown} is no {field.name}"
        number = _ORDINALS[FIELDS.index(other)]
        hint = f"the {other.name} is the {number} field: minute hour day-of-month month day-of-week"
    elif near := _near_names(field, item.lower()):
        problem, hint = f"{shown} cannot be read", f'did you mean "{near}"?'
    elif item.startswith("*"):
        problem, hint = f"{shown} cannot be read", "after * comes nothing, or a step as in */5"
    else:
        problem, hint = f"{shown} cannot be read", _examples(field)
    return _error(field, value, problem, hint)


def _short_names(field: Field, item: str) -> str:
    """`monday-friday` as mon-fri; "" where it holds anything else than names."""
    short = "-".join(name[:3] for name in item.split("-"))
    known = all(part in field.names for part in short.split("-"))
    return short if known and re.fullmatch(r"[a-z]+(-[a-z]+)?", item) else ""


_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def _near_names(field: Field, item: str) -> str:
    """`fry` as fri, `jna-mar` as jan-mar: names with letters mistaken or exchanged; "" where none is near."""
    if not field.names or not re.fullmatch(r"[a-z]{2,10}(-[a-z]{2,10})?", item):
        return ""
    near = [next((name for name in field.names if _alike(part[:3], name)), "") for part in item.split("-")]
    return "-".join(near) if all(near) else ""


def _alike(word: str, name: str) -> bool:
    return sorted(word) == sorted(name) or sum(a == b for a, b in zip(word, name, strict=False)) == 2


def _must_fire(cron: Cron) -> None:
    """Debian accepts dates that no calendar has, and never fires them."""
    if not cron.both_days or cron.last_day:
        return
    longest = max(_LONGEST[month] for month in numbers_in(cron.months))
    if cron.days & ((2 << longest) - 2):
        return
    *times, days, months, weekdays = cron.fields
    last = " ".join([*times, "L", months, weekdays])
    raise _error(
        FIELDS[2],
        days,
        f'no month of "{_cut(months)}" has that day, it would never fire',
        f'write "{last}" for the last day of the month' if weekdays == "*" else f"those months end on day {longest}",
    )
