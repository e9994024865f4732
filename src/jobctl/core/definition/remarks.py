"""Remarks for people about schedules: what a clock change did to a fire time, what is legal but may surprise.

Nothing here decides when something fires: that is schedule.py.
"""

from __future__ import annotations

import re
from datetime import date

from jobctl.core.schedule.cron import DAY_NAMES, FIELDS, Cron, numbers_in, parse_cron
from jobctl.core.schedule.schedule import Exclusions, moved_to, skipped_times
from jobctl.core.schedule.zones import change_in, changes_in, load, offset_at, offset_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Schedule

_DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LOOK_AHEAD = 731 * _DAY  # two years: every zone that changes its clocks has done so by then

_MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK = range(5)
# When a field's steps start again, and the unit in which `every` steps evenly.
_ROUNDS = (
    ("each hour", "m"),
    ("each day", "h"),
    ("on the 1st of each month", "d"),
    ("each year", ""),
    ("each week", ""),
)


def explain(schedule: Schedule, fire_time: int, zone: str) -> str:
    """What a clock change has to do with this fire time (an instant that next_fire gave), or "".

    `zone` counts where the schedule has no timezone of its own.
    """
    if schedule.cron is None:
        return ""
    where = load(schedule.timezone or zone)
    second = fire_time // 1000
    wall = second + offset_at(where, second)
    change = change_in(where, second - 60, second)
    if change is not None and moved_to(where, change) == second and schedule.dst_gap == "after":
        skipped = skipped_times(parse_cron(schedule.cron), where, change, Exclusions(schedule))
        if skipped:
            return f"clocks go forward: {_do_not_exist(skipped)}, runs at {_time(wall)}"
    first = offset_of(where, wall, second_time=False)
    if first == offset_of(where, wall, second_time=True):
        return ""
    return f"{_time(wall)} comes twice: the {'first' if second + first == wall else 'second'} one"


def surprises(cron: Cron, zone: str, *, now: int, gaps: bool = True) -> list[str]:
    """What is legal in a cron expression but often not what was meant, one sentence each. ZoneError.

    Clock changes are looked at for two years from the instant `now`; times that they skip are left out without `gaps`,
    for a schedule that says itself what becomes of them.
    """
    found = [*_uneven_steps(cron), _every_minute(cron), _short_months(cron), _two_day_fields(cron)]
    if gaps:
        found.append(_in_a_gap(cron, zone, now // 1000))
    return [sentence for sentence in found if sentence]


def _uneven_steps(cron: Cron) -> list[str]:
    found = []
    for field, value, (starts_again, unit) in zip(FIELDS, cron.fields, _ROUNDS, strict=True):
        for step in (int(n) for n in re.findall(r"\*/(\d+)", value)):
            last = 6 if field.name == "day-of-week" else field.high
            size = last - field.low + 1
            even = f'; for even steps: every = "{step}{unit}"' if unit else ""
            if step >= size:
                found.append(f"{field.name} */{step} is {field.low} alone{even}")
            elif step > 1 and size % step:
                final = field.low + (size - 1) // step * step
                order = f"after {final} comes {field.low}"
                found.append(f"{field.name} */{step} starts again {starts_again}: {order}{even}")
    return found


def _every_minute(cron: Cron) -> str:
    hour = cron.fields[_HOUR]
    if cron.fields[_MINUTE] != "*" or hour.startswith("*"):
        return ""
    once = " ".join(["0", *cron.fields[_HOUR:]])
    return f'minute * runs every minute of hour {hour}; for once an hour: "{once}"'


def _short_months(cron: Cron) -> str:
    """A day that some months lack; not for those who list the days before it as well."""
    last = max(numbers_in(cron.days), default=0)
    if last <= 28 or cron.days >> (last - 1) & 1 or cron.fields[_DAY_OF_MONTH].startswith("*"):
        return ""
    short = {29: (2,), 30: (2,), 31: (2, 4, 6, 9, 11)}[last]
    without = [FIELDS[_MONTH].names[month - 1] for month in numbers_in(cron.months) if month in short]
    if not without:
        return ""
    years = " (but for leap years)" if last == 29 else ""
    return f"day-of-month {last}: not in {', '.join(without)}{years}; L is the last day of each month"


def _two_day_fields(cron: Cron) -> str:
    days, weekdays = cron.fields[_DAY_OF_MONTH], cron.fields[_DAY_OF_WEEK]
    if "*" in (days, weekdays):
        return ""
    if cron.both_days:
        return f"day-of-month {days} and day-of-week {weekdays}: only days that are both, as one begins with *"
    names = ", ".join(DAY_NAMES[number] for number in numbers_in(cron.weekdays))
    return f"day-of-month {days} and day-of-week {weekdays}: days that are either, so on each {names} as well"


def _in_a_gap(cron: Cron, zone: str, now: int) -> str:
    where = load(zone)
    today = now - now % _DAY
    for change in changes_in(where, today, today + _LOOK_AHEAD):
        skipped = skipped_times(cron, where, change)
        if skipped and change > now:
            day = date.fromordinal(_EPOCH_DAY + skipped[0] // _DAY)
            moved = moved_to(where, change)
            return (
                f"on {day} in {zone} clocks go forward, {_do_not_exist(skipped)}: "
                f'runs at {_time(moved + offset_at(where, moved))}, or not with dst_gap = "skip"'
            )
    return ""


def _do_not_exist(walls: list[int]) -> str:
    if len(walls) == 1:
        return f"{_time(walls[0])} does not exist"
    return f"{_time(walls[0])} {'and' if len(walls) == 2 else 'to'} {_time(walls[-1])} do not exist"


def _time(wall: int) -> str:
    minute = wall % _DAY // 60
    return f"{minute // 60:02}:{minute % 60:02}"
