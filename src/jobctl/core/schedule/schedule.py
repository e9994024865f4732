"""Schedule maths: when a schedule fires. What a cron expression says is cron.py's, how offsets are found zones.py's.

The rules for clock changes are Debian's (cron(8), "Notes"), with `dst_gap` and `dst_fold` to choose otherwise:

- A cron whose minute or hour begins with `*` is *wild*: it follows real time. Each instant whose local time it
  names is a fire time; nothing happens in a gap, and a time that comes twice fires twice.
- Any other cron is *fixed*: what it names happens once a day. A time in a gap moves to the first minute after it,
  a time that comes twice fires the first time.
"""

from __future__ import annotations

from datetime import date
from itertools import islice

from jobctl.core.schedule.cron import MINUTES_A_DAY, Cron, CronError, numbers_in, parse_cron
from jobctl.core.schedule.zones import (
    FARTHEST_APART,
    LAST_INSTANT,
    ZoneError,
    change_in,
    check_zone,
    format_instant,
    load,
    offset_at,
    offset_of,
    parse_instant,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from jobctl.core.model import Schedule

__all__ = [
    "AHEAD_MS",
    "CORRECTION_MS",
    "Cron",
    "CronError",
    "Exclusions",
    "ZoneError",
    "check_zone",
    "coming",
    "fires",
    "follows_real_time",
    "format_instant",
    "goes_on_from",
    "is_dealt_with",
    "jitter",
    "moved_to",
    "next_fire",
    "parse_cron",
    "parse_instant",
    "skipped_times",
]

_DAY = 86_400
_WHOLE_DAY = (1 << MINUTES_A_DAY) - 1
_EPOCH_DAY = date(1970, 1, 1).toordinal()

# When to stop looking. Between two 29ths of February on one weekday lie up to 40 years; a cron that has not fired by
# then, or an interval after so many excluded times in a row, is excluded for good.
_HORIZON = 50 * 365 * _DAY
_MOST_EXCLUDED = 100_000

# Debian takes a larger jump of the clock for a correction and drops what lies in it. Such gaps are lost days, when a
# place moves across the date line: Apia had no 2011-12-30.
_LARGEST_GAP = 3 * 3600

# It does so, too, where the clock is set back by more than this.
CORRECTION_MS = _LARGEST_GAP * 1000
# A progress that lies no further ahead than this is waited for: two readings of a clock, a clock that is adjusted.
AHEAD_MS = 1_000


def next_fire(schedule: Schedule, after: int, *, zone: str) -> int | None:
    """The first nominal fire time after the instant `after`, or None when there is none (for cron: in 50 years).

    A boot schedule has none: when the machine starts is not known before.

    `zone` counts where the schedule has no timezone of its own. CronError, ZoneError for what validation refuses.
    """
    return next(_fires(schedule, after, LAST_INSTANT, zone), None)


def fires(schedule: Schedule, after: int, until: int, zone: str, limit: int) -> list[int]:
    """The nominal fire times in (after, until], oldest first, at most `limit`. Otherwise like next_fire."""
    return list(islice(_fires(schedule, after, until, zone), limit))


def jitter(job: str, schedule_key: str, fire_time: int, jitter: int) -> int:
    """What to add to a nominal fire time for its start: 0 <= wait < jitter, the same in every process."""
    from zlib import crc32

    return crc32(f"{job}\0{schedule_key}\0{fire_time}".encode()) * jitter >> 32


def follows_real_time(schedule: Schedule) -> bool:
    """Whether it goes on in real time when the clock is set back: an interval, and a cron whose minute or hour begins
    with `*`. What else there is has a fixed time."""
    return schedule.every is not None or (schedule.cron is not None and parse_cron(schedule.cron).wild)


def goes_on_from(schedule: Schedule, progress: int, now: int, *, step: int = 0) -> tuple[int, bool]:
    """(from when on it fires, whether what was dealt with after that is kept), given how far it has been dealt with.

    Mostly the progress. One that lies ahead was reached by a clock that was set back since: it goes on from now. What
    has a fixed time and was dealt with does not fire again while the clock passes it once more, what follows real time
    does. But where the clock was set back by hours it had been wrong, and everything starts anew (Debian's rule, and
    its three hours: cron(8), "Notes"). `step`: by how much it was set, where that is known.
    """
    ahead = progress - now
    if ahead <= AHEAD_MS or schedule.boot:
        return progress, True
    return now, max(ahead, -step) <= CORRECTION_MS


def coming(
    schedule: Schedule,
    progress: int | None,
    dealt: Sequence[tuple[int, int]],
    now: int,
    zone: str,
    starts_at: Callable[[int], int],
    limit: int,
) -> list[int]:
    """The nominal fire times that are still to start for a daemon that lives at `now`, at most `limit`, oldest first:
    what people are told is what the daemon does.

    `progress`: how far it has been dealt with, None for one that no daemon has seen; `dealt`: stretches of fire times
    beyond that which have been, too; `starts_at`: jitter. What was due before now and was not started - no daemon ran -
    is none of them: what becomes of it depends on when one does.
    """
    after, counts = (now, True) if progress is None else goes_on_from(schedule, progress, now)
    counts = counts and bool(dealt) and not follows_real_time(schedule)
    found: list[int] = []
    for fire in _fires(schedule, max(after, now - schedule.jitter), LAST_INSTANT, zone):
        if starts_at(fire) > now and not (counts and is_dealt_with(fire, dealt)):
            found.append(fire)
        if len(found) == limit:
            break
    return found


def is_dealt_with(fire: int, dealt: Iterable[tuple[int, int]]) -> bool:
    """Whether a fire time lies in one of these stretches (first, last)."""
    return any(first <= fire <= last for first, last in dealt)


class Exclusions:
    """The local minutes at which a schedule must not fire: both the time it names and the one it runs at count."""

    def __init__(self, schedule: Schedule) -> None:
        self._crons = [parse_cron(text) for text in schedule.exclude]
        self._days = {date.fromisoformat(text).toordinal() - _EPOCH_DAY for text in schedule.exclude_dates}

    def __bool__(self) -> bool:
        return bool(self._crons or self._days)

    def times_on(self, day: int) -> int:
        """The excluded minutes of a day (counted from 1970-01-01), as bits."""
        if day in self._days:
            return _WHOLE_DAY
        times = 0
        for cron in self._crons:
            times |= cron.times_on(day)
        return times

    def excludes(self, wall: int) -> bool:
        """Whether the minute of a wall clock time is excluded (seconds since 1970-01-01 00:00 on that clock)."""
        day, second = divmod(wall, _DAY)
        return bool(self.times_on(day) >> second // 60 & 1)

    def next_free(self, zone: ZoneInfo, second: int) -> int:
        """The instant itself where it is not excluded, else a later one before which all are (seconds)."""
        offset = offset_at(zone, second)
        day, second_of_day = divmod(second + offset, _DAY)
        minute = second_of_day // 60
        excluded = self.times_on(day) >> minute
        if not excluded & 1:
            return second
        free = next(numbers_in(~excluded & _WHOLE_DAY >> minute), MINUTES_A_DAY - minute)
        this_minute = second - second_of_day % 60
        later = this_minute + free * 60
        # When the clocks change on the way, the minutes in between are not those that were looked at.
        return later if offset_at(zone, later) == offset else this_minute + 60


def skipped_times(cron: Cron, zone: ZoneInfo, change: int, exclusions: Exclusions | None = None) -> list[int]:
    """What a fixed cron names in the gap that the clocks leave at `change`, as wall clock times (both in seconds).

    Empty for wild ones, where the clocks go back, and where they jump so far that the times are lost.
    """
    before, behind = change + offset_at(zone, change - 1), change + offset_at(zone, change)
    if cron.wild or not before < behind <= before + _LARGEST_GAP:
        return []
    # A gap may begin before midnight and end after it.
    days = range(before // _DAY, (behind - 1) // _DAY + 1)
    times = (day * _DAY + minute * 60 for day in days for minute in numbers_in(cron.times_on(day)))
    return [wall for wall in times if before <= wall < behind and not (exclusions and exclusions.excludes(wall))]


def _fires(schedule: Schedule, after: int, until: int, zone_name: str) -> Iterator[int]:
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - 1)
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    until = min(until, LAST_INSTANT)
    zone = load(schedule.timezone or zone_name)
    exclusions = Exclusions(schedule)
    if schedule.cron is not None:
        seconds = _cron_fires(parse_cron(schedule.cron), schedule, exclusions, zone, after // 1000, until // 1000)
        return (second * 1000 for second in seconds)
    if schedule.every is not None:
        return _every_fires(schedule.every, schedule.offset, exclusions, zone, after, until)
    if schedule.boot:
        return iter(())
    at = schedule.at
    assert at is not None, "a schedule has cron, every, at or boot"
    excluded = exclusions.next_free(zone, at // 1000) > at // 1000
    return iter([at] if after < at <= until and not excluded else [])


def _every_fires(
    every: int, offset: int, exclusions: Exclusions, zone: ZoneInfo, after: int, until: int
) -> Iterator[int]:
    fire = after - (after - offset) % every + every
    excluded = 0
    while fire <= until and excluded < _MOST_EXCLUDED:
        free = exclusions.next_free(zone, fire // 1000) * 1000 if exclusions else fire
        if free <= fire:
            yield fire
            fire += every
            excluded = 0
        else:
            fire = free + (offset - free) % every
            excluded += 1


def _cron_fires(
    cron: Cron, schedule: Schedule, exclusions: Exclusions, zone: ZoneInfo, after: int, until: int
) -> Iterator[int]:
    """Walks real time in stretches that lie on one local day under one offset, so what it finds is in order."""
    once = not cron.wild and schedule.dst_fold != "both"
    second_time = schedule.dst_fold == "second"
    moves = not cron.wild and schedule.dst_gap == "after"
    start = after
    while start <= min(until, after + _HORIZON):
        offset = offset_at(zone, start)
        day, second = divmod(start + offset, _DAY)
        morning, midnight = start - second, start - second + _DAY
        change = change_in(zone, start, midnight)
        stop = midnight if change is None else change
        named = cron.times_on(day)
        first = -(-second // 60)
        for minute in numbers_in((named & ~exclusions.times_on(day)) >> first if named else 0):
            fire = morning + (first + minute) * 60
            if fire >= stop:
                break
            if fire <= after or (once and offset_of(zone, fire + offset, second_time=second_time) != offset):
                continue
            if fire > until:
                return
            yield fire
            after = fire
        if change is not None and moves and skipped_times(cron, zone, change, exclusions):
            fire = moved_to(zone, change)
            if after < fire <= until and not exclusions.excludes(fire + offset_at(zone, fire)):
                yield fire
                after = fire
        if not named and change is None:
            next_day = cron.next_day(day)
            if next_day is None:
                return
            # This leap is measured with today's offset. Clocks may change on the way, and a place may cross the date
            # line while it does so: stay away from the next day by as much as two offsets can lie apart.
            stop += max(0, next_day - day - 1 - FARTHEST_APART // _DAY) * _DAY
        start = stop


def moved_to(zone: ZoneInfo, change: int) -> int:
    """When the times run that the clocks skip at `change`: the first whole local minute from then on (seconds)."""
    return change + -(change + offset_at(zone, change)) % 60
