"""Durations as people write them ("1h30m") <-> milliseconds. Instants and calendars are schedule.py's."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Millis

UNITS: dict[str, Millis] = {
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
LONGEST: Millis = 100 * 365 * 86_400_000  # a century; far below what SQLite's and poll's integers hold

PATTERN = "".join(f"(?:([0-9]{{1,18}}){unit})?" for unit in UNITS)  # largest unit first, each at most once
_DURATION = re.compile(PATTERN)
_PART = re.compile(r"([0-9]+)([a-z]*)")
_WORDS = {
    "milli": "ms",
    "milliseconds": "ms",
    "millisecond": "ms",
    "msec": "ms",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
    "": "s",
}


_ISO = re.compile(r"p(?:([0-9]{1,6})d)?(?:t(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?)?")


class DurationError(ValueError):
    """A text that is no duration. `message` says what is wrong with it, `hint` what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


def parse(text: str) -> Millis:
    """The milliseconds of "250ms", "30s", "1h30m", "2w". DurationError for anything else and beyond 100 years."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise DurationError(f"{_shown(text)} is not a duration", _hint(text))
    total = _total(match)
    if total > LONGEST:
        raise DurationError(f"{_shown(text)} is longer than 100 years", "durations end at 100 years: 36500d")
    return total


def format(ms: Millis) -> str:
    """The shortest text that `parse` turns back into `ms` (>= 0), largest unit days: "1d2h", "250ms", "0s"."""
    text = ""
    for unit, size in UNITS.items():
        if unit != "w":
            n, ms = divmod(ms, size)
            text += f"{n}{unit}" if n else ""
    return text or "0s"


def about(ms: Millis) -> str:
    """For people, rounded down to one unit: "42 s", "3 min", "14 h", "1 day", "12 days"."""
    if ms < UNITS["m"]:
        return f"{max(0, ms) // 1_000} s"
    if ms < UNITS["h"]:
        return f"{ms // UNITS['m']} min"
    if ms < UNITS["d"]:
        return f"{ms // UNITS['h']} h"
    return "1 day" if ms < 2 * UNITS["d"] else f"{ms // UNITS['d']} days"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _hint(text: str) -> str:
    suggestion = _meant(text) or _elsewhere(text)
    match = _DURATION.fullmatch(suggestion)
    if suggestion and match and _total(match) <= LONGEST:
        return f'write "{suggestion}"'
    if text.lstrip()[:1] == "-":
        return "no time is shorter than nothing: leave the sign out"
    return 'write whole numbers with units, the largest first, such as "250ms", "30s", "1h30m" or "7d"'


def _meant(text: str) -> str:
    """The duration that "10 minutes", "90 S" or "30" is likely meant to be, or nothing."""
    squeezed = "".join(text.lower().split())
    parts = _PART.findall(squeezed) if len(squeezed) <= 40 else []
    if not parts or "".join(n + unit for n, unit in parts) != squeezed:
        return ""
    candidate = "".join(n + (unit if unit in UNITS else _WORDS.get(unit, "?")) for n, unit in parts)
    match = _DURATION.fullmatch(candidate)
    return candidate if match and _total(match) <= LONGEST else ""


def _elsewhere(text: str) -> str:
    """What `1.5h`, `PT5M`, `1y`, `00:30:00` or `1m1h` is likely meant to be, or nothing."""
    squeezed = "".join(text.lower().split())
    if match := re.fullmatch(r"([0-9]{1,9})[.,]([0-9]{1,3})([a-z]+)", squeezed):
        unit = match[3] if match[3] in UNITS else _WORDS.get(match[3], "")
        return format(round(float(f"{match[1]}.{match[2]}") * UNITS[unit])) if unit else ""
    if match := _ISO.fullmatch(squeezed):
        named = zip(match.groups(), "dhms", strict=True)
        return "".join(f"{number}{unit}" for number, unit in named if number)
    if match := re.fullmatch(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", squeezed):
        return format(sum(int(n) * UNITS[unit] for n, unit in zip(match.groups(), "hms", strict=True)))
    if match := re.fullmatch(r"([0-9]{1,2})(?:y|yr|yrs|years?)", squeezed):
        return f"{365 * int(match[1])}d"
    parts = re.findall(r"([0-9]{1,9})(ms|[smhdw])", squeezed)
    whole = "".join(number + unit for number, unit in parts) == squeezed
    if parts and whole and len({unit for _, unit in parts}) == len(parts):
        return format(sum(int(number) * UNITS[unit] for number, unit in parts))
    return ""


def _total(match: re.Match[str]) -> Millis:
    return sum(int(n) * size for n, size in zip(match.groups(), UNITS.values(), strict=True) if n)
