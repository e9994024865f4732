"""Where croniter agrees with our fire times, and what it is not asked."""

from __future__ import annotations

import pytest

from jobctl.cli import croniter_check
from jobctl.cli.croniter_check import difference
from jobctl.core.schedule import schedule

WINTER = 1_767_571_200_000  # 2026-01-05T00:00:00Z
BEFORE_SPRING = 1_774_656_000_000  # 2026-03-28T00:00:00Z, a day before Europe's clocks go forward


@pytest.mark.parametrize(
    "cron",
    [
        "*/5 * * * *",
        "30 2 * * *",
        "0 9-17/2 * jan-jul mon-fri",
        "0 0 13 * 5",  # either of them
        "0 0 */2 * mon",  # both of them
        "0 0 L * *",
        "0 0 * * mon#2",
        "0 0 * * friL",
        "0 0 * * 5-7",
        "0 0 29 2 *",
        "@weekly",
        "5-5 * * * *",  # every minute to croniter, if it were asked like this
        "0 0 * * sun-0",
        "0 12 6-6/3 jul-7 *",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("after", [WINTER, BEFORE_SPRING])
def test_they_agree(cron: str, zone: str, after: int) -> None:
    assert difference(cron, zone, after=after) == ""


@pytest.mark.parametrize("cron", ["0 0 1,*/9 * *", "0 0 * * mon#2,fri", "0 0 * * friL,3"])
def test_what_has_another_meaning_there_is_not_compared(cron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(croniter_check, "fires", lambda *_: [])
    assert difference(cron, "UTC", after=WINTER) == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda times: times[1:], '"0 3 * * *" (Europe/Berlin) does not fire at 2026-01-05 03:00'),
        (lambda times: [times[0] - 60_000, *times], '"0 3 * * *" (Europe/Berlin) fires at 2026-01-05 02:59'),
    ],
    ids=["one is missing", "one too many"],
)
def test_a_difference_is_told(wrong: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(croniter_check, "fires", lambda *args: wrong(schedule.fires(*args)))  # type: ignore[operator]
    assert difference("0 3 * * *", "Europe/Berlin", after=WINTER) == said
