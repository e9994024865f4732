from __future__ import annotations

import time

import pytest

from jobctl.core import text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("Größe 漢字 🚀", "Größe 漢字 🚀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x00\x08\x0b\x0c\x7f", r"\x00\x08\x0b\x0c\x7f"),
        ("50%\r100%", r"50%\x0d100%"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("\r\r\n", "\\x0d\n"),
        ("c1 \x9b2J \x85", r"c1 \x9b2J \x85"),
        ("a\u202eb\u2066c\u2069", r"a\u202eb\u2066c\u2069"),
        ("zero\u200bwidth\u200f\ufeff", r"zero\u200bwidth\u200f\ufeff"),
        ("line\u2028separator", r"line\u2028separator"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("name\udcff.txt", r"name\xff.txt"),
        ("lone \ud800", r"lone \ud800"),
        (r"C:\x1b", r"C:\x1b"),
        (b"bytes \xff\xfe", r"bytes \xff\xfe"),
        (b"\xc3\xa9t\xc3\xa9", "été"),
        (b"utf-8 c1: \xc2\x9b", r"utf-8 c1: \x9b"),
        (b"cut \xe2\x82", r"cut \xe2\x82"),
        ("[link=http://x]markup is not its business[/]", "[link=http://x]markup is not its business[/]"),
    ],
)
def test_clean_leaves_nothing_that_a_terminal_obeys(given: str | bytes, shown: str) -> None:
    assert text.clean(given) == shown


def test_clean_gives_text_that_can_be_written_whatever_it_was() -> None:
    everything = "".join(map(chr, range(0x3000))) + "".join(map(chr, range(0xD800, 0xE000)))
    shown = text.clean(everything)
    shown.encode("utf-8")
    assert not any(ord(c) < 0x20 and c not in "\n\t" for c in shown)
    assert not any(0x7F <= ord(c) <= 0x9F for c in shown)


@pytest.mark.parametrize("whole", ["€uro\r\nends 🚀\r", "\x1b[0m é\r\n\r\n", ""])
@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_pieces_come_out_as_the_whole_would(whole: str, step: int) -> None:
    data = whole.encode() + b"\xe2\x82"
    cleaner = text.Cleaner()
    out = "".join(cleaner.feed(data[at : at + step]) for at in range(0, len(data), step))
    assert out + cleaner.feed(b"", final=True) == text.clean(data)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (1, "1ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (1_299, "1.2s"),
        (9_999, "9.9s"),
        (10_500, "10s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (185_999, "3m 05s"),
        (3_599_999, "59m 59s"),
        (3_600_000, "1h"),
        (7_800_000, "2h 10m"),
        (21_600_000, "6h"),
        (172_799_999, "47h 59m"),
        (172_800_000, "2 days"),
        (40 * 86_400_000 + 1, "40 days"),
    ],
)
def test_duration(ms: int, shown: str) -> None:
    assert text.duration(ms) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1300, "1.2 KiB"),
        (10 * 1024 + 1023, "10 KiB"),
        (1024**2 - 1, "1023 KiB"),
        (64 * 1024**2, "64 MiB"),
        (5 * 1024**3 // 2, "2.5 GiB"),
        (3 * 1024**4, "3 TiB"),
        (5000 * 1024**4, "5000 TiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("ms", "past", "future"),
    [
        (-60_000, "just now", "now"),
        (999, "just now", "now"),
        (42_000, "42 s ago", "in 42 s"),
        (60_000, "1 min ago", "in 1 min"),
        (3 * 60_000 + 59_000, "3 min ago", "in 3 min"),
        (5 * 3_600_000, "5 h ago", "in 5 h"),
        (86_400_000, "1 day ago", "in 1 day"),
        (12 * 86_400_000, "12 days ago", "in 12 days"),
    ],
)
def test_ago_and_in(ms: int, past: str, future: str) -> None:
    now = 1_790_000_000_000
    assert text.ago(now - ms, now) == past
    assert text.in_(now + ms, now) == future


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("UTC", "2026-12-24 17:00:00"), ("Europe/Berlin", "2026-12-24 18:00:00"), ("EST5EDT", "2026-12-24 12:00:00")],
)
def test_local_time_is_in_the_zone_of_tz(monkeypatch: pytest.MonkeyPatch, zone: str, shown: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert text.local_time(1_798_131_600_999) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
