"""Zones and instants: names checked, offsets looked up, instants read and written. No schedule is known here.

Offsets and instants inside this file and cron's walk are whole seconds; what people and other files see is ms.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO
    from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_DAY = 86_400

# The last instant that is 9998 everywhere: datetime can write it in every zone.
LAST_INSTANT = int(datetime(9998, 12, 31, tzinfo=UTC).timestamp()) * 1000

# How far two offsets can lie apart, in seconds: each is less than a day from UTC, and a zone may go from one side of
# the date line to the other. In the zone database it is 26 hours at most.
FARTHEST_APART = 2 * _DAY

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
# Files of the zone database that load, but are no zone to write in a file: `right` counts leap seconds.
_NOT_ZONES = ("right/", "posix/", "posixrules", "localtime", "Factory")
# NAME OFFSET [NAME [OFFSET] [,WHEN[/TIME],WHEN[/TIME]]]: tzset(3)
_TZ_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_TZ_TIME = r"[+-]?\d{1,3}(?::\d{1,2}(?::\d{1,2})?)?"
_TZ_DAY = r"(?:J?\d{1,3}|M\d{1,2}\.\d\.\d)"
_TZ_WHEN = rf",{_TZ_DAY}(?:/{_TZ_TIME})?"
_POSIX = re.compile(
    rf"({_TZ_NAME})([+-]?)(\d{{1,2}})(?::(\d{{1,2}}))?(?::(\d{{1,2}}))?"
    rf"(?:({_TZ_NAME})(?:{_TZ_TIME})?({_TZ_WHEN}{_TZ_WHEN})?)?",
    re.ASCII,
)
_LIBRARYS_DATES = ",M3.2.0,M11.1.0"

_EXAMPLE = 'write an IANA name such as "Europe/Berlin", or "UTC"'

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


class ZoneError(ValueError):
    """A time zone that does not exist. `message` is a sentence, `hint` the way out (the nearest zone)."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# Zones that have no name in the database, by the name that they go by here: see `give`.
_GIVEN: dict[str, ZoneInfo] = {}


def check_zone(name: str) -> None:
    """Raise ZoneError unless `name` is a zone of the IANA database."""
    _named(name)


def load(name: str) -> ZoneInfo:
    """The zone of that name. ZoneError where there is none."""
    return _GIVEN.get(name) or _named(name)


def give(name: str, rules: IO[bytes]) -> None:
    """Make a zone known that only this machine has, by a file as the database has them (RFC 9636).
    ValueError where they are none."""
    from zoneinfo import ZoneInfo

    try:
        _GIVEN[name] = ZoneInfo.from_file(rules, key=name)
    except (ValueError, IndexError, EOFError, struct.error) as error:
        raise ValueError(f"{quoted(name)} holds no rules of a time zone") from error


def rules_of(posix: str) -> bytes:
    """What a TZ of POSIX says - `CET-1CEST,M3.5.0,M10.5.0/3` - as such a file. Without dates for its summer time they
    are those of the C library. It may still be none: `give` tells."""
    match = _POSIX.fullmatch(posix)
    if match is None:
        raise ValueError(f"{quoted(posix)} is no TZ")
    name, sign, *parts, summer, dates = match.groups()
    hours, minutes, seconds = (int(part or 0) for part in parts)
    offset = (hours * 3600 + minutes * 60 + seconds) * (1 if sign == "-" else -1)
    if abs(offset) >= _DAY:
        raise ValueError(f"{quoted(posix)} is no TZ: its offset is a day")
    text = posix + ("" if dates or not summer else _LIBRARYS_DATES)
    letters = name.strip("<>").encode() + b"\0"
    head = b"TZif2" + bytes(15)
    first = head + struct.pack(">6l", 0, 0, 0, 0, 1, 1) + struct.pack(">lbb", 0, 0, 0) + b"\0"
    second = head + struct.pack(">6l", 0, 0, 0, 0, 1, len(letters)) + struct.pack(">lbb", offset, 0, 0) + letters
    return first + second + b"\n" + text.encode() + b"\n"


def forget() -> None:
    """Have all zones read again: their rules have changed."""
    from zoneinfo import ZoneInfo

    _named.cache_clear()
    changes_in.cache_clear()
    _GIVEN.clear()
    ZoneInfo.clear_cache()


@lru_cache(maxsize=1024)
def _named(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    # Only what looks like a name gets as far as the file system; what then goes wrong has four shapes
    # (unknown: a KeyError; not a zone file: ValueError; a folder, a name too long: OSError).
    if _NAME.fullmatch(name) and not name.startswith(_NOT_ZONES):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise ZoneError(f"there is no time zone {quoted(name)}", _zone_hint(name))


def quoted(text: str) -> str:
    """The user's text, cut and with what is not printable escaped, fit for a sentence."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown) + '"'


def _zone_hint(name: str) -> str:
    from zoneinfo import available_timezones

    known = sorted(zone for zone in available_timezones() if not zone.startswith(_NOT_ZONES))
    if not known:
        return "this machine has no time zone database: install tzdata (the system's package, or pip install tzdata)"
    if name.lower() in ("local", "localtime"):
        return "leave timezone out: a schedule without one uses the machine's zone"
    if re.match(r"(UTC|GMT)?[+-]?\d", name, re.IGNORECASE):
        return f"an offset is no zone; {_EXAMPLE}"
    wanted = name.strip().replace(" ", "_").lower()
    if any(zone.lower().startswith(f"{wanted}/") for zone in known):
        return f"that is a region; {_EXAMPLE}"
    folded = {zone.lower(): zone for zone in known}
    cities = {zone.rpartition("/")[2].lower(): zone for zone in known if not zone.startswith("Etc/")}
    near = folded.get(wanted) or cities.get(wanted)
    if near is None and len(wanted) <= 60:
        import difflib

        for names in (folded, cities):
            if close := difflib.get_close_matches(wanted, names, n=1, cutoff=0.75):
                near = names[close[0]]
                break
    return f'did you mean "{near}"?' if near else _EXAMPLE


def offset_at(zone: ZoneInfo, second: int) -> int:
    """What the zone's clocks are ahead of UTC at that instant, in seconds. Both are seconds since the epoch."""
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    return offset.days * _DAY + offset.seconds


def offset_of(zone: ZoneInfo, wall: int, *, second_time: bool) -> int:
    """The offset that belongs to a wall clock time (seconds since 1970-01-01 00:00 on that clock).

    Where the clock shows it twice, `second_time` says which; where it never does, False gives the offset before
    the gap and True the one after it.
    """
    local = (_NAIVE_EPOCH + timedelta(seconds=wall)).replace(fold=int(second_time))
    offset = zone.utcoffset(local)
    assert offset is not None
    return offset.days * _DAY + offset.seconds


def change_in(zone: ZoneInfo, start: int, end: int) -> int | None:
    """The first second in (start, end] with another offset than `start` has; None where both ends agree.

    Meant for stretches of about a day, in which no zone changes its clocks twice.
    """
    before = offset_at(zone, start)
    if offset_at(zone, end) == before:
        return None
    while end - start > 1:
        middle = (start + end) // 2
        if offset_at(zone, middle) == before:
            start = middle
        else:
            end = middle
    return end


@lru_cache(maxsize=64)
def changes_in(zone: ZoneInfo, start: int, end: int) -> tuple[int, ...]:
    """Every second in (start, end] at which the clocks change, oldest first."""
    days = ((day, min(day + _DAY, end)) for day in range(start, end, _DAY))
    return tuple(change for day in days if (change := change_in(zone, *day)) is not None)


def parse_instant(text: str) -> int:
    """Milliseconds since the epoch from an RFC 3339 time with its offset, between 1970 and 9998.

    Digits beyond the millisecond are dropped. ValueError, with a sentence, for everything else.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f'{quoted(text)} is not date, time and offset, as in "2026-12-24T18:00:00+01:00"')
    *fields, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime(*map(int, fields), tzinfo=UTC)  # type: ignore[misc, arg-type]  # six fields, by the pattern
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is no time: {error}") from None
    if sign and (int(hours) > 23 or int(minutes) > 59):
        raise ValueError(f"{quoted(text)} is no time: the offset goes up to 23:59")
    ahead = (int(hours) * 60 + int(minutes)) * 60_000 if sign else 0
    instant = (moment - _EPOCH) // timedelta(milliseconds=1) + int(f"{fraction or 0:0<3}"[:3])
    instant -= -ahead if sign == "-" else ahead
    if not 0 <= instant <= LAST_INSTANT:
        raise ValueError(f"{quoted(text)} is out of range: jobctl counts from 1970 to 9998")
    return instant


def format_instant(ms: int, zone: str | None = None) -> str:
    """RFC 3339 with the zone's offset (UTC without a zone); milliseconds only where they are not zero.

    An offset with seconds in it, as some zones had before 1972, cannot be written that way: then it is UTC.
    ZoneError for an unknown zone.
    """
    moment = _EPOCH + timedelta(milliseconds=ms)
    if zone is not None:
        local = moment.astimezone(load(zone))
        offset = local.utcoffset()
        assert offset is not None
        if offset.seconds % 60 == 0:
            moment = local
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
