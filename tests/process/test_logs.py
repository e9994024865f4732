from __future__ import annotations

import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from jobctl.process import logs

MIB = 1024 * 1024


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "main.1.log"


def append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"line %07d\n" % n for n in range(first, last))


def drain(follower: logs.Follower) -> bytes:
    out = follower.read()
    while not follower.at_end:
        out += follower.read()
    return out


# Reading


@pytest.mark.parametrize(
    ("content", "lines", "expected"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\nb\nunfinished", 1, b"unfinished"),
        (b"a\nb\nunfinished", 2, b"b\nunfinished"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"\n", 1, b"\n"),
        (b"one", 1, b"one"),
        (b"x" * 200_000 + b"\nb\n", 1, b"b\n"),
        (b"a\n" + b"x" * 200_000 + b"\n", 1, b"x" * 200_000 + b"\n"),
        (numbered(0, 30_000), 20_000, numbered(10_000, 30_000)),
        (b"a\n" + b"x" * (64 * 1024 - 1) + b"\n" + b"y" * (64 * 1024 - 1) + b"\n", 1, b"y" * (64 * 1024 - 1) + b"\n"),
    ],
)
def test_tail(log: Path, content: bytes, lines: int, expected: bytes) -> None:
    log.write_bytes(content)
    assert b"".join(logs.tail(str(log), lines)) == expected


def test_a_log_that_does_not_exist_is_empty(log: Path) -> None:
    assert list(logs.read(str(log))) == []
    assert list(logs.tail(str(log), 5)) == []
    assert logs.last_line(str(log)) == ""
    assert logs.last_lines(str(log), 5) == []
    assert not logs.cap(str(log), 10_000)


@pytest.mark.parametrize("start", [0, 1, 299_999, 300_000, 300_001])
def test_read_gives_everything_from_a_byte_on(log: Path, start: int) -> None:
    content = os.urandom(300_000)
    log.write_bytes(content)
    assert b"".join(logs.read(str(log), start))[-300_000:] == content[start:]


def test_read_ends_although_the_command_goes_on_writing(log: Path) -> None:
    log.write_bytes(b"x" * logs.CHUNK * 2)
    chunks = 0
    for _ in logs.read(str(log)):
        append(log, b"y" * logs.CHUNK)
        chunks += 1
    assert chunks == 2


def whole(log: Path) -> Iterator[bytes]:
    return logs.read(str(log))


def last_two(log: Path) -> Iterator[bytes]:
    return logs.tail(str(log), 2)


def end_of_last(log: Path) -> Iterator[bytes]:
    yield logs.last_line(str(log)).encode()


@pytest.mark.parametrize("ask", [whole, last_two, end_of_last])
def test_a_line_of_50_mb_is_never_held(log: Path, ask: Callable[[Path], Iterator[bytes]]) -> None:
    with log.open("wb") as file:
        file.write(b"first\n")
        for _ in range(50):
            file.write(b"x" * MIB)
    tracemalloc.start()
    try:
        assert sum(map(len, ask(log))) >= 64 * 1024
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"one\n", "one"),
        (b"one\ntwo", "two"),
        (b"one\r\ntwo\r\n\r\n  \n\n", "two"),
        (b"  kept as it is \n", "  kept as it is "),
        (b"bad \xff\n", r"bad \xff"),
        ("größe\n".encode(), "größe"),
        (b"x" * 70_000, "x" * 65_536),
        (b"a\n" + b"\n" * 70_000, ""),
    ],
)
def test_last_line_is_the_last_that_says_something(log: Path, content: bytes, expected: str) -> None:
    log.write_bytes(content)
    assert logs.last_line(str(log)) == expected


@pytest.mark.parametrize(
    ("content", "n", "max_bytes", "expected"),
    [
        (b"a\nb\nc\n", 2, 100, ["b", "c"]),
        (b"a\nb\nc", 2, 100, ["b", "c"]),
        (b"a\n\nc\r\n", 3, 100, ["a", "", "c"]),
        (b"a\n", 5, 100, ["a"]),
        (b"a\n", 0, 100, []),
        (b"\n", 1, 100, [""]),
        (b"first\nsecond\nthird\n", 3, 13, ["second", "third"]),
        (b"first\nsecond\nthird\n", 3, 12, ["third"]),
        (b"first\nsecond\nthird\n", 3, 6, ["third"]),
        (b"first\nsecond\nthird\n", 3, 5, ["hird"]),
        (b"x\n" + "ä€🚀".encode(), 1, 5, ["🚀"]),
        (b"x\n" + "ä€🚀".encode(), 1, 3, [r"\x9f\x9a\x80"]),
    ],
)
def test_last_lines(log: Path, content: bytes, n: int, max_bytes: int, expected: list[str]) -> None:
    log.write_bytes(content)
    assert logs.last_lines(str(log), n, max_bytes) == expected


# Following


def test_following_gives_what_is_new_each_time(log: Path) -> None:
    follower = logs.Follower(str(log))
    assert (follower.read(), follower.at_end) == (b"", True)
    append(log, b"one\ntw")
    assert (follower.read(), follower.at_end) == (b"one\ntw", True)
    assert follower.read() == b""
    append(log, b"o\n")
    assert follower.read() == b"o\n"


def test_following_hands_out_bounded_pieces(log: Path) -> None:
    append(log, b"x" * (logs.CHUNK + 5))
    follower = logs.Follower(str(log), start=2)
    assert (len(follower.read()), follower.at_end) == (logs.CHUNK, False)
    assert (len(follower.read()), follower.at_end) == (3, True)


def test_a_follower_at_the_end_misses_nothing_when_the_log_is_capped(log: Path) -> None:
    append(log, numbered(0, 50_000))
    follower = logs.Follower(str(log))
    seen = drain(follower)
    append(log, numbered(50_000, 50_100))
    assert logs.cap(str(log), 400_000)
    append(log, numbered(50_100, 50_200))
    seen += drain(follower)
    assert seen == numbered(0, 50_200)


def test_a_follower_that_has_not_come_far_reads_on_through_the_marker(log: Path) -> None:
    append(log, numbered(0, 300_000))
    follower = logs.Follower(str(log))
    seen = follower.read()
    assert logs.cap(str(log), 2 * MIB)
    assert seen + drain(follower) == log.read_bytes()


@pytest.mark.parametrize(
    ("limit", "read", "written", "grown"),
    [
        pytest.param(400_000, 20_000, 100_000, 0, id="shorter than before"),
        pytest.param(400_000, 20_000, 100_000, 20_000, id="longer than before"),
        pytest.param(8 * MIB, 250_000, 1_000_000, 0, id="the marker lies far before the end"),
    ],
)
def test_a_follower_whose_place_is_gone_says_so_and_goes_on_behind_the_gap(
    log: Path, limit: int, read: int, written: int, grown: int
) -> None:
    append(log, numbered(0, read))
    follower = logs.Follower(str(log))
    drain(follower)
    append(log, numbered(read, written))
    assert logs.cap(str(log), limit)
    append(log, numbered(written, written + grown))
    rest = drain(follower)
    assert rest.startswith(logs.LEFT_OUT)
    kept = rest.removeprefix(logs.LEFT_OUT)
    first = int(kept[5:12])
    assert read < first
    assert kept == numbered(first, written + grown)
    assert len(kept) > min(limit // 4, MIB) - 20
    assert parts(log.read_bytes())[2].endswith(kept)


def test_the_notice_has_a_line_of_its_own(log: Path) -> None:
    append(log, numbered(0, 9_000) + b"unfinished")
    follower = logs.Follower(str(log))
    assert drain(follower).endswith(b"unfinished")
    append(log, b" line\n" + numbered(10_000, 50_000))
    assert logs.cap(str(log), 100_000)
    assert drain(follower).startswith(b"\n" + logs.LEFT_OUT + b"line ")


# Capping

MARKER = re.compile(rb"^\[jobctl: (\d+) bytes left out here, log_limit = (\S+)\]\n", re.MULTILINE)


def parts(content: bytes) -> tuple[bytes, int, bytes]:
    """What stands before the one marker, its number, and what stands after it."""
    (found,) = MARKER.finditer(content)
    return content[: found.start()], int(found[1]), content[found.end() :]


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000])
def test_a_log_within_its_limit_is_left_alone(log: Path, size: int) -> None:
    content = os.urandom(size)
    log.write_bytes(content)
    assert not logs.cap(str(log), 100_000)
    assert log.read_bytes() == content


@pytest.mark.parametrize("limit", [4_096, 20_000, 256 * 1024])
@pytest.mark.parametrize("excess", [1, 5_000_000])
def test_cap_keeps_the_beginning_and_the_end_in_whole_lines(log: Path, limit: int, excess: int) -> None:
    content = numbered(0, (limit + excess) // 13 + 1)
    log.write_bytes(content)
    assert logs.cap(str(log), limit)
    head, missing, end = parts(log.read_bytes())
    assert content.startswith(head)
    assert content.endswith(end)
    assert limit // 4 - 13 < len(head) <= limit // 4
    assert limit // 4 - 13 < len(end) <= limit // 4
    assert head.endswith(b"\n")
    assert end.startswith(b"line ")
    assert len(head) + missing + len(end) == len(content)


def test_cap_cuts_a_long_line_where_it_must(log: Path) -> None:
    log.write_bytes(b"x" * 100_000 + b"y" * 100_000)
    assert logs.cap(str(log), 100_000)
    assert log.read_bytes() == (
        b"x" * 25_000 + b"\n[jobctl: 150000 bytes left out here, log_limit = 97KiB]\n" + b"y" * 25_000
    )


@pytest.mark.parametrize("line", [b"line %07d\n", b"%07d" + b"." * 9_000], ids=["lines", "no lines"])
def test_later_caps_keep_one_marker_with_the_sum(log: Path, line: bytes) -> None:
    written = b""
    beginning = b""
    for turn in range(5):
        more = b"".join(line % n for n in range(turn * 20_000, turn * 20_000 + 200_000 // len(line)))
        written += more
        append(log, more)
        assert logs.cap(str(log), 100_000) or turn == 0
        if turn == 0:
            beginning = log.read_bytes()[:20_000]
    head, missing, end = parts(log.read_bytes())
    assert head.startswith(beginning)
    assert written.startswith(head.removesuffix(b"\n"))
    assert written.endswith(end)
    added = not written.startswith(head)  # the line end in front of the marker
    assert len(head) - added + missing + len(end) == len(written)


def test_half_of_the_limit_has_to_be_written_before_the_next_cap(log: Path) -> None:
    log.write_bytes(numbered(0, 10_000))
    assert logs.cap(str(log), 100_000)
    append(log, b"x" * 49_000)
    assert not logs.cap(str(log), 100_000)


def test_output_that_looks_like_a_marker_does_no_harm(log: Path) -> None:
    fake = b"[jobctl: many bytes left out here, log_limit = none]\n[jobctl: \n"
    content = fake * 5_000
    log.write_bytes(content)
    assert logs.cap(str(log), 100_000)
    head, missing, end = parts(log.read_bytes())
    assert content.startswith(head)
    assert content.endswith(end)
    assert len(head) + missing + len(end) == len(content)


def test_a_cap_that_died_half_way_is_put_right_by_the_next(log: Path) -> None:
    content = numbered(0, 100_000)
    log.write_bytes(content)
    with log.open("r+b") as file:
        file.seek(25_100)
        file.write(content[-25_000:])
    assert logs.cap(str(log), 100_000)
    head, missing, end = parts(log.read_bytes())
    assert content.startswith(head)
    assert content.endswith(end)
    assert len(head) + missing + len(end) == len(content)


def test_cap_holds_a_bounded_part_of_the_log(log: Path) -> None:
    with log.open("wb") as file:
        for _ in range(64):
            file.write(b"x" * MIB)
    tracemalloc.start()
    try:
        assert logs.cap(str(log), 40 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_a_link_in_the_place_of_a_log_is_not_followed(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"x" * 50_000)
    log.symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        logs.cap(str(log), 10_000)
    assert other.stat().st_size == 50_000


WRITER = """
import os, select
for n in range(10_000_000):
    os.write(1, b"line %07d\\n" % n)
    if n % 100 == 0 and select.select([0], [], [], 0)[0]:
        break
os.write(1, b"the end\\n")
"""


def test_a_log_is_capped_while_its_command_writes(log: Path) -> None:
    """The beginning and the end are there, and what lies between is whole but for the instants of the cuts."""
    limit = 64 * 1024
    caps = 0
    with (
        log.open("ab") as out,
        subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=out) as process,
    ):
        while caps < 5 and process.poll() is None:
            caps += logs.cap(str(log), limit)
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0
    assert caps == 5
    caps += logs.cap(str(log), limit)

    assert log.stat().st_size <= limit
    head, missing, end = parts(log.read_bytes())
    assert numbered(0, 2_000).startswith(head)
    *lines, last = end.splitlines(keepends=True)
    assert last == b"the end\n"
    numbers = [int(line[5:12]) if re.fullmatch(rb"line \d{7}\n", line) else -1 for line in lines]
    torn = sum(number < 0 for number in numbers)
    seams = sum(b != a + 1 for a, b in pairwise(numbers) if a >= 0 <= b)
    assert torn + seams <= caps
    # What is written in the very instant of a cut is lost and not counted.
    written = 13 * (numbers[-1] + 1) + len(last)
    assert written // 2 < len(head) + missing + len(end) <= written


# Lines for a prefix


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        ([b"one\ntwo\n"], [b"one", b"two"], []),
        ([b"o", b"ne\nt", b"wo"], [b"one"], [b"two"]),
        ([b"\n\n"], [b"", b""], []),
        ([b"dos\r", b"\nend\r\n"], [b"dos", b"end"], []),
        ([b"50%\r100%\n"], [b"50%\r100%"], []),
        ([b"x" * 65_536 + b"\n"], [b"x" * 65_536], []),
        ([b"x" * 65_537 + b"\n"], [b"x" * 65_536, b"x"], []),
        ([b"x" * 50_000] * 4, [b"x" * 65_536] * 3, [b"x" * 3_392]),
        ([b"x" * 65_536, b"\n"], [b"x" * 65_536], []),
        ([b"x" * 65_535 + "€\n".encode()], [b"x" * 65_535, "€".encode()], []),
        ([b"\x80" * 65_540 + b"\n"], [b"\x80" * 65_536, b"\x80" * 4], []),
        ([b""], [], []),
    ],
)
def test_line_buffer(pieces: list[bytes], lines: list[bytes], rest: list[bytes]) -> None:
    buffer = logs.LineBuffer()
    assert [line for piece in pieces for line in buffer.feed(piece)] == lines
    assert buffer.flush() == rest
    assert buffer.flush() == []
