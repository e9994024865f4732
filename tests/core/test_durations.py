from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.core import durations


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("5ms", 5),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("1w2d3h4m5s6ms", 788_645_006),
        ("90m", 5_400_000),
        ("0s", 0),
        ("007s", 7_000),
        ("36500d", durations.LONGEST),
    ],
)
def test_reads(text: str, ms: int) -> None:
    assert durations.parse(text) == ms


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("30", 'write "30s"'),
        ("10 minutes", 'write "10m"'),
        ("1 hour 30 min", 'write "1h30m"'),
        ("90S", 'write "90s"'),
        ("1hour", 'write "1h"'),
        ("", "whole numbers with units"),
        ("1.5h", "1h30m"),
        ("-5s", "leave the sign out"),
        ("30m1h", "1h30m"),
        ("5m5m", "the largest first"),
        ("1y", "365d"),
        ("٣s", "such as"),
        ("5s\n", 'write "5s"'),
        ("5215 weeks", "whole numbers with units"),  # beyond 100 years: writing it otherwise does not help
        ("x" * 10_000, "such as"),
        ("9" * 10_000 + "s", "such as"),
    ],
)
def test_says_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(durations.DurationError) as error:
        durations.parse(text)
    assert hint in error.value.hint
    assert len(error.value.message) < 100


@pytest.mark.parametrize("text", ["36500d1ms", "999999999999999999w"])
def test_ends_at_a_hundred_years(text: str) -> None:
    with pytest.raises(durations.DurationError, match="longer than 100 years"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0s"), (1, "1ms"), (5_400_000, "1h30m"), (604_800_000, "7d"), (90_061_001, "1d1h1m1s1ms")]
)
def test_writes(ms: int, text: str) -> None:
    assert durations.format(ms) == text


@given(st.integers(0, durations.LONGEST))
def test_what_is_written_reads_back(ms: int) -> None:
    assert durations.parse(durations.format(ms)) == ms
