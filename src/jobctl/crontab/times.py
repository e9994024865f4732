"""Sets of numbers -> the fields of a cron expression of jobctl, as a person would write them. What they came from is
the dialects' business."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jobctl.core.schedule.cron import FIELDS, Cron, CronError, parse_cron

DAYS, WEEKDAYS = 2, 4  # the places of the day fields


def numbers_of(bits: int) -> list[int]:
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


def field_text(numbers: Sequence[int]) -> str:
    """`0-30/10` out of 0, 10, 20, 30; else single ones and ranges. Never begins with a star."""
    numbers = sorted(set(numbers))
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) > 2 and len(steps) == 1 and (step := steps.pop()) > 1:
        return f"{numbers[0]}-{numbers[-1]}/{step}"
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def as_written(written: str, plain: str, *, wild: bool = True) -> str:
    """The expression as it stands in the crontab, if jobctl takes it for the same; else the plain one.

    `wild`: whether it matters that minute or hour begin with a star, which decides what a clock change does.
    """
    try:
        one, other = parse_cron(written), parse_cron(plain)
    except CronError:
        return plain
    same = (one.times, one.months, _days(one)) == (other.times, other.months, _days(other))
    return written if same and (one.wild == other.wild or not wild) else plain


def _days(cron: Cron) -> tuple[object, ...]:
    """Which days it names, however that is written."""
    by_date, by_weekday = (cron.days, cron.last_day), (cron.weekdays, cron.nth_weekdays)
    dates, weekdays = is_whole(cron.days, DAYS), is_whole(cron.weekdays, WEEKDAYS)
    if not cron.both_days:
        return ("every",) if dates or weekdays else ("either", by_date, by_weekday)
    if dates:
        return ("every",) if weekdays else ("weekdays", by_weekday)
    return ("dates", by_date) if weekdays else ("both", by_date, by_weekday)


def is_whole(bits: int, at: int) -> bool:
    """Whether a field leaves nothing out. Sunday has two numbers, one of them will do."""
    field = FIELDS[at]
    if at == WEEKDAYS:
        return (bits | bits >> 7) & 0b111_1111 == 0b111_1111
    return all(bits >> number & 1 for number in range(field.low, field.high + 1))
