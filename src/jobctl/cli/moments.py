"""Moments and spans as they are typed on the command line (`--since 2h`) and as people are shown them."""

from __future__ import annotations

from jobctl.core import text
from jobctl.core.errors import UsageError


def instant(given: str, option: str, *, now: int) -> int:
    """The instant that an option names: RFC 3339, YYYY-MM-DD (its first moment here), `YYYY-MM-DD HH:MM[:SS]` on the
    clock here, as it is shown, or a duration before `now`.

    UsageError for anything else.
    """
    import re
    from datetime import date, datetime, time

    from jobctl.core.durations import DurationError, parse
    from jobctl.core.schedule.zones import parse_instant

    try:
        return now - parse(given)
    except DurationError:
        pass
    try:
        if len(given) == len("2026-12-24"):
            return round(datetime.combine(date.fromisoformat(given), time()).timestamp() * 1000)
        if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", given, re.ASCII):
            return round(datetime.fromisoformat(given).timestamp() * 1000)
        return parse_instant(given)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: {given!r} is not a time",
            hint='write how long ago ("2h", "7d"), a day ("2026-12-24"), "2026-12-24 18:00" or'
            ' "2026-12-24T18:00:00+01:00"',
        ) from None


def span(given: str, option: str) -> int:
    """The milliseconds of a duration that an option names. UsageError for what is none."""
    from jobctl.core.durations import DurationError, parse

    try:
        return parse(given)
    except DurationError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from None


def past(at: int, now: int) -> str:
    """`2026-12-24 18:00:00 (3 min ago)`, on the clock here."""
    return f"{text.local_time(at)} ({text.ago(at, now)})"


def coming(at: int, now: int) -> str:
    """`2026-12-24 18:00:00 (in 14 h)`, on the clock here."""
    return f"{text.local_time(at)} ({text.in_(at, now)})"


def took(started_at: int | None, finished_at: int | None, now: int) -> str:
    """How long a run took, or takes already: `2m 05s`, `2m 05s so far`; `-` for one that has not started."""
    if started_at is None:
        return "-"
    if finished_at is None:
        return f"{text.duration(now - started_at)} so far"
    return text.duration(finished_at - started_at)
