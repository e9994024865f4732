"""Streams that are written without waiting. The feed itself is seen at work in test_plain.py and test_render.py."""

from __future__ import annotations

import io
import os

import pytest

from jobctl.cli.show.feed import Outlet


@pytest.fixture
def pipe() -> tuple[int, io.TextIOWrapper]:
    """(its end to read from, the stream into it)."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, io.TextIOWrapper(os.fdopen(write, "wb", 0), encoding="utf-8", write_through=True)


def test_a_reader_that_does_not_read_holds_nothing_up_and_loses_nothing(pipe: tuple[int, io.TextIOWrapper]) -> None:
    read, stream = pipe
    outlet = Outlet(stream)
    text = "äöü\n" * 100_000
    outlet.put(text)
    assert not outlet.flush()  # it comes back though the pipe is full
    got = b""
    while not outlet.flush():
        got += os.read(read, 1 << 20)
    got += os.read(read, 1 << 20)
    assert got.decode() == text


def test_when_nobody_reads_any_more_what_comes_is_dropped(pipe: tuple[int, io.TextIOWrapper]) -> None:
    read, stream = pipe
    os.close(read)
    outlet = Outlet(stream)
    outlet.put("text")
    assert outlet.flush()
    assert isinstance(outlet.error, BrokenPipeError)
    outlet.put("more")
    assert outlet.flush(wait=True)


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("utf-8", "✓ \udcff", b"\xe2\x9c\x93 \xff"),  # a byte that is no text comes through as it was
        ("ascii", "✓ x", b"\\u2713 x"),
    ],
)
def test_text_that_the_stream_has_no_letters_for(encoding: str, text: str, expected: bytes) -> None:
    read, write = os.pipe()
    outlet = Outlet(io.TextIOWrapper(os.fdopen(write, "wb", 0), encoding=encoding))
    outlet.put(text)
    outlet.flush(wait=True)
    assert os.read(read, 100) == expected
    os.close(read)
