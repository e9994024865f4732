"""Zones and instants: which names are good, what offsets are, how instants are read and written."""

from __future__ import annotations

import pytest

from jobctl.core.schedule.zones import (
    ZoneError,
    change_in,
    changes_in,
    check_zone,
    format_instant,
    load,
    offset_at,
    offset_of,
    parse_instant,
)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"])
def test_good_names(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", 'did you mean "Europe/Berlin"?'),
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Berlin", 'did you mean "Europe/Berlin"?'),
        ("New York", 'did you mean "America/New_York"?'),
        ("America", "that is a region"),
        ("UTC+2", "an offset is no zone"),
        ("+02:00", "an offset is no zone"),
        ("localtime", "leave timezone out"),
        ("right/UTC", "IANA name"),
        ("Mars/Olympus", "IANA name"),
        ("", "IANA name"),
        (" ", "IANA name"),
        ("/etc/localtime", "IANA name"),
        ("../../etc/passwd", "IANA name"),
        ("zone.tab", "IANA name"),
        ("leapseconds", "IANA name"),
        ("a\0b", "IANA name"),
        ("x" * 5000, "IANA name"),
    ],
)
def test_bad_names_get_a_sentence_and_the_nearest_zone(name: str, hint: str) -> None:
    with pytest.raises(ZoneError) as caught:
        check_zone(name)
    assert "there is no time zone" in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 100
    assert hint in caught.value.hint


def test_offsets_around_a_gap_and_a_fold() -> None:
    berlin = load("Europe/Berlin")
    spring, autumn = parse_instant("2026-03-29T01:00:00Z") // 1000, parse_instant("2026-10-25T01:00:00Z") // 1000
    assert (offset_at(berlin, spring - 1), offset_at(berlin, spring)) == (3600, 7200)
    assert change_in(berlin, spring - 40_000, spring + 40_000) == spring
    assert change_in(berlin, spring - 40_000, spring) == spring
    assert change_in(berlin, spring, spring + 40_000) is None
    assert changes_in(berlin, spring - 86_400, autumn + 86_400) == (spring, autumn)
    in_the_gap, in_the_fold = spring + 5400, autumn + 5400
    assert [offset_of(berlin, in_the_gap, second_time=second) for second in (False, True)] == [3600, 7200]
    assert [offset_of(berlin, in_the_fold, second_time=second) for second in (False, True)] == [7200, 3600]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-12-24T18:00:00+01:00", 1_798_131_600_000),
        ("2026-12-24t17:00:00z", 1_798_131_600_000),
        ("2026-12-24 12:30:00-04:30", 1_798_131_600_000),
        ("2026-12-24T17:00:00.5Z", 1_798_131_600_500),
        ("2026-12-24T17:00:00.123999999Z", 1_798_131_600_123),
        ("2026-12-24T17:00:00-00:00", 1_798_131_600_000),
    ],
)
def test_instants_read(text: str, ms: int) -> None:
    assert parse_instant(text) == ms


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-12-24T18:00:00", "offset"),
        ("2026-12-24", "offset"),
        ("2026-12-24T18:00+01:00", "offset"),
        ("18:00", "date"),
        ("", "date"),
        ("2026-12-24T18:00:00Z\n", "date"),
        ("\u0662026-12-24T18:00:00Z", "date"),
        ("2026-13-24T18:00:00Z", "month"),
        ("2026-02-30T18:00:00Z", "day"),
        ("2026-12-24T25:00:00Z", "hour"),
        ("2026-12-24T18:00:60Z", "second"),
        ("2026-12-24T18:00:00+25:00", "offset"),
        ("2026-12-24T18:00:00+01:60", "offset"),
        ("1969-12-31T23:59:59Z", "1970"),
        ("1970-01-01T00:30:00+01:00", "1970"),
        ("9999-01-01T00:00:00Z", "9998"),
    ],
)
def test_what_is_no_instant_gets_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_instant(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("ms", "zone", "text"),
    [
        (0, None, "1970-01-01T00:00:00+00:00"),
        (1_798_131_600_000, "Europe/Berlin", "2026-12-24T18:00:00+01:00"),
        (1_798_131_600_007, "Asia/Kathmandu", "2026-12-24T22:45:00.007+05:45"),
        (1_798_131_600_000, "America/St_Johns", "2026-12-24T13:30:00-03:30"),
        (0, "Africa/Monrovia", "1970-01-01T00:00:00+00:00"),  # -00:44:30 then, which RFC 3339 cannot say
    ],
)
def test_instants_written(ms: int, zone: str | None, text: str) -> None:
    assert format_instant(ms, zone) == text
    assert parse_instant(text) == ms


def test_writing_in_an_unknown_zone_is_a_zone_error() -> None:
    with pytest.raises(ZoneError):
        format_instant(0, "Europe/Berln")
