"""What may be given as a moment or a span, and how they are shown."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from jobctl.cli.moments import coming, instant, past, span, took
from jobctl.core.errors import UsageError

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2h", NOW - 2 * HOUR),
        ("1d12h", NOW - 36 * HOUR),
        ("2027-01-15", NOW - 9 * HOUR),  # midnight in Berlin is 23:00 UTC of the day before
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15 09:00:00", NOW),  # as it is shown
        ("2027-01-15 09:00", NOW),
        ("2027-01-15T09:00:00.250+01:00", NOW + 250),
    ],
)
def test_an_instant(given: str, expected: int) -> None:
    assert instant(given, "--since", now=NOW) == expected


@pytest.mark.parametrize("given", ["", "yesterday", "2027-02-30", "2027-01-15T08:00:00", "2 h", "99999-01-01"])
def test_what_is_no_instant_is_answered_with_what_is(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        instant(given, "--since", now=NOW)
    assert f"--since: {given!r} is not a time" in caught.value.message
    assert '"2h"' in caught.value.hint


def test_a_span() -> None:
    assert span("1m30s", "--timeout") == 90_000
    with pytest.raises(UsageError) as caught:
        span("5 min", "--timeout")
    assert caught.value.message == "--timeout: '5 min' is not a duration"
    assert caught.value.hint == 'write "5m"'


def test_how_moments_are_shown() -> None:
    assert past(NOW - HOUR, NOW) == "2027-01-15 08:00:00 (1 h ago)"
    assert coming(NOW + 2 * HOUR, NOW) == "2027-01-15 11:00:00 (in 2 h)"


@pytest.mark.parametrize(
    ("started", "finished", "shown"),
    [(None, None, "-"), (NOW - 5_000, None, "5s so far"), (NOW - 5_000, NOW - 3_000, "2s")],
)
def test_how_long_it_took(started: int | None, finished: int | None, shown: str) -> None:
    assert took(started, finished, NOW) == shown
