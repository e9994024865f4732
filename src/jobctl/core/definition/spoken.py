"""Schedules as people say them - "every day at 3am", "weekdays at 9" - and how cron writes them. Only for hints: a
definitions file takes none of these."""

from __future__ import annotations

import re

_DAYS = {
    "day": "*", "days": "*", "daily": "*", "everyday": "*", "night": "*", "nightly": "*",
    "weekday": "mon-fri", "weekdays": "mon-fri", "workday": "mon-fri", "workdays": "mon-fri",
    "weekend": "sat,sun", "weekends": "sat,sun", "weekly": "mon", "week": "mon",
}  # fmt: skip
_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_UNITS = {"s": "s", "sec": "s", "second": "s", "m": "m", "min": "m", "minute": "m", "h": "h", "hour": "h", "hr": "h",
          "d": "d", "day": "d", "w": "w", "week": "w"}  # fmt: skip
_MACROS = {"hourly": "@hourly", "monthly": "@monthly", "yearly": "@yearly", "annually": "@yearly",
           "hour": "@hourly", "month": "@monthly", "year": "@yearly"}  # fmt: skip
_EVERY = re.compile(r"(?:every |each |@every )?(\d{1,4}) ?([a-z]+)")
_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})? ?(am|pm)?")


def as_written(text: str) -> str:
    """What to write for it, as the value of `schedule`; "" where it is not understood."""
    words = " ".join(re.sub(r"[,_]", " ", text.lower()).replace("o'clock", "").split())
    if len(words) > 60:
        return ""
    if (match := _EVERY.fullmatch(words)) and (unit := _UNITS.get(match[2].removesuffix("s")) or _UNITS.get(match[2])):
        return f'{{ every = "{int(match[1])}{unit}" }}' if int(match[1]) else ""
    bare = words.removeprefix("every ").removeprefix("each ").removeprefix("once ").removeprefix("a ")
    if bare in ("minute", "minutely"):
        return '"* * * * *"'
    if bare in ("second", "secondly"):
        return '{ every = "1s" }'
    if bare in ("reboot", "boot", "startup"):
        return '"@reboot"'
    if bare in _MACROS:
        return f'"{_MACROS[bare]}"'
    days, time = "*", None
    for word in re.sub(r"\b(\d{1,2}(?:[:.h]\d{2})?) (am|pm)\b", r"\1\2", bare).split():
        if word in ("at", "on", "every", "each", "the", "in", "night", "once", "a"):
            continue
        if word in ("midnight", "noon", "midday"):
            found: tuple[int, int] | None = (0 if word == "midnight" else 12, 0)
        else:
            found = _time(word)
        if found is not None and time is None:
            time = found
        elif day := _day(word):
            days = day if days == "*" else f"{days},{day}"
        elif word != "and":
            return ""
    if time is None:
        time = (0, 0)
    return f'"{time[1]} {time[0]} * * {days}"'


def _time(word: str) -> tuple[int, int] | None:
    match = _TIME.fullmatch(word)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[3] == "pm" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else None


def _day(word: str) -> str:
    if word in _DAYS:
        return _DAYS[word]
    first, dash, last = word.partition("-")
    days = [name[:3] for part in (first, last) if part for name in _NAMES if part in (name[:3], name, name + "s")]
    return "-".join(days) if len(days) == (2 if dash else 1) else ""
