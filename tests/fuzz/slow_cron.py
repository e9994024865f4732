"""crontab(5) read word by word, with sets and a calendar: slow, and with nothing of core/schedule/cron.py in it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_SPANS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    3: ["", *["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_NTH = re.compile(r"(?P<day>[0-7]|[a-z]{3})(?:#(?P<nth>[1-5])|l)")


class SlowCron:
    """Five fields that cron takes. Macros and what is wrong are not read here."""

    def __init__(self, expression: str) -> None:
        fields = expression.lower().split()
        self._both = fields[2].startswith("*") or fields[4].startswith("*")
        self._last_day = False
        self._nth: list[tuple[int, int]] = []  # weekday, which one; 0 is the last
        self._numbers: list[set[int]] = [set(), set(), set(), set(), set()]
        for place, field in enumerate(fields):
            for item in field.split(","):
                if place == 2 and item == "l":
                    self._last_day = True
                elif place == 4 and (match := _NTH.fullmatch(item)):
                    self._nth.append((_value(4, match["day"]) % 7, int(match["nth"] or 0)))
                else:
                    self._numbers[place] |= _item(place, item)

    def names_day(self, day: datetime) -> bool:
        weekday = day.isoweekday() % 7
        next_week = day + timedelta(days=7)
        by_date = day.day in self._numbers[2] or (self._last_day and (day + timedelta(days=1)).month != day.month)
        by_weekday = bool({weekday, weekday or 7} & self._numbers[4]) or any(
            which == weekday and (nth == (day.day + 6) // 7 if nth else next_week.month != day.month)
            for which, nth in self._nth
        )
        by_both = by_date and by_weekday if self._both else by_date or by_weekday
        return day.month in self._numbers[3] and by_both

    def names(self, moment: datetime) -> bool:
        return moment.minute in self._numbers[0] and moment.hour in self._numbers[1] and self.names_day(moment)


def _item(place: int, item: str) -> set[int]:
    span, _, step = item.partition("/")
    low, high = _SPANS[place]
    if span != "*":
        first, _, last = span.partition("-")
        low = _value(place, first)
        high = _value(place, last) if last else low
    return set(range(low, high + 1, int(step or 1)))


def _value(place: int, text: str) -> int:
    names = _NAMES.get(place, [])
    return names.index(text) if text in names else int(text)
