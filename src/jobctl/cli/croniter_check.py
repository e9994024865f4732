"""What croniter says of a cron expression, for `jobctl doctor`: a witness against our own fire times, which are
core/schedule/schedule.py's. The one file that imports it.

It is asked about naive local times only, and not about the days around a change of the clocks: aware times, and what
becomes of a time that is skipped or comes twice, are where it is not to be relied on.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from jobctl.core.model import Schedule
from jobctl.core.schedule.cron import FIELDS, Cron, parse_cron
from jobctl.core.schedule.schedule import fires
from jobctl.core.schedule.zones import LAST_INSTANT, changes_in, load, offset_at

TIMES = 20
_DAY = 86_400
_FAR = 400 * _DAY  # clock changes are looked for no further ahead: what fires so seldom is compared that far

# What croniter reads in another way than Debian's cron and we do: a range of one value is every value to it.
_SINGLE = re.compile(r"\b(\d+)-\1(?:/\d+)?(?![\d-])")
# The last weekday of a month: 1L here, L1 there.
_LAST = re.compile(r"(\d)L", re.IGNORECASE)


def difference(cron: str, zone: str, *, after: int) -> str:
    """Where the next fire times after that instant differ, in a sentence; "" where they agree or cannot be compared."""
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # it has no types

    second = after // 1000
    where = load(zone)
    changes = changes_in(where, second, second + _FAR)
    walls = [change + offset_at(where, change) for change in changes]
    end = second + offset_at(where, second) + _FAR

    def comparable(times: list[int], until: int) -> list[int]:
        return [at for at in times if at <= until and not any(abs(at - wall) < 2 * _DAY for wall in walls)]

    ours = [
        at // 1000 + offset_at(where, at // 1000) for at in fires(Schedule(cron=cron), after, LAST_INSTANT, zone, TIMES)
    ]
    try:
        witness = croniter(
            _translated(parse_cron(cron)),
            datetime.fromtimestamp(second + offset_at(where, second), UTC).replace(tzinfo=None),
            implement_cron_bug=True,
        )
        theirs = [
            round(witness.get_next(datetime).replace(tzinfo=UTC).timestamp()) for _ in range(min(TIMES, len(ours)))
        ]
    except CroniterError:
        return ""  # it does not know everything that we do
    until = min([end, *ours[-1:], *theirs[-1:]])
    here, there = comparable(ours, until), comparable(theirs, until)
    if here == there:
        return ""
    first = min(set(here) ^ set(there))
    shown = datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d %H:%M")
    return f'"{cron}" ({zone}) {"fires" if first in here else "does not fire"} at {shown}'


def _translated(cron: Cron) -> str:
    """The expression as croniter writes it; "" where it has another meaning there and no other words for ours: lists of
    days that hold a `*`, an `L` or a `#`."""
    if any("," in days and re.search(r"[*l#]", days.lower()) for days in (cron.fields[2], cron.fields[4])):
        return ""
    texts = []
    for field, text in zip(FIELDS, cron.fields, strict=True):
        numbers = {name: str(field.low + i) for i, name in enumerate(field.names)}
        by_number = text.lower()
        for name, number in numbers.items():
            by_number = by_number.replace(name, number)
        texts.append(_LAST.sub(r"L\1", _SINGLE.sub(r"\1", by_number)))
    return " ".join(texts)
