"""Log files: read from any place, follow, find the last lines, keep below a limit. Bytes, in bounded pieces.

Commands append to these files themselves (O_APPEND), while anything here reads or caps them; nothing here ever holds
a whole file or a whole line. Making bytes fit for a terminal is `text.clean`'s work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from jobctl.core import text
from jobctl.host.files import open_own

CHUNK = 256 * 1024  # the most that is handed out at once
LINE_LIMIT = 64 * 1024  # the longest line that is held to be handed out whole

LEFT_OUT = "… (output left out by log_limit)\n".encode()

_MARKER = b"[jobctl: "  # how the line begins that `cap` puts where it cut
_SCAN = 64 * 1024  # read at once when looking for line ends from behind
_COPY = 1024 * 1024  # moved at once by `cap`
_NEAR = 4 * 1024  # how far a cut may be moved to fall on a line end
_SMALLEST_LIMIT = 4 * 1024  # below it, the marker itself would not fit

_REMEMBERED = 4 * 1024  # how much of what was read tells a follower whether the file is still the same there
_RESYNC = 1024 * 1024  # how far from the end a follower looks for its place again


class Follower:
    """Reads a log as it grows, from byte `start` on. The file need not exist yet, and may be capped meanwhile.

    When a cap took the place away where reading stood, it goes on at the same bytes in their new place. Where these
    are gone or lie more than 1 MiB before the end, it says so in a line (LEFT_OUT) and goes on close to the end.
    """

    def __init__(self, path: str, start: int = 0) -> None:
        self.path = path
        self.at_end = False  # the last `read` came as far as the file went
        self._offset = start
        self._before = b""  # what was read last: the bytes in front of _offset
        self._line_open = False  # what was handed out so far does not end with a line end

    def read(self) -> bytes:
        """What is new, at most CHUNK bytes or a little more; b"" when there is nothing. Errors but ENOENT: OSError."""
        fd = _open(self.path)
        if fd is None:
            self.at_end = True
            return b""
        try:
            return self._read(fd)
        finally:
            os.close(fd)

    def _read(self, fd: int) -> bytes:
        before = self._before
        data = os.pread(fd, len(before) + CHUNK, self._offset - len(before))
        notice = b""
        if not data.startswith(before) or (not data and os.fstat(fd).st_size < self._offset):
            notice = self._find_place(fd)
            data = os.pread(fd, CHUNK, self._offset)
        else:
            data = data[len(before) :]
        self.at_end = len(data) < CHUNK
        self._offset += len(data)
        self._before = (self._before + data)[-_REMEMBERED:]
        if data:
            self._line_open = not data.endswith(b"\n")
        return notice + data

    def _find_place(self, fd: int) -> bytes:
        """Set the offset anew after a cap; the line to hand out if bytes were missed."""
        end = os.fstat(fd).st_size
        start = max(0, end - _RESYNC)
        window = os.pread(fd, end - start, start)
        # The first such place: where output repeats itself, showing some of it twice is better than leaving it out.
        found = window.find(self._before) if self._before else -1
        if found >= 0:
            self._offset = start + found + len(self._before)
            return b""
        # What was read last is gone, so whatever follows the marker was not handed out yet. A marker that is not
        # in the window lies before it.
        marker = window.rfind(b"\n" + _MARKER)
        self._offset = start + (window.find(b"\n", marker + 1) + 1 if marker >= 0 or start > 0 else 0)
        self._before = b""
        return b"\n" + LEFT_OUT if self._line_open else LEFT_OUT


def read(path: str, start: int = 0) -> Iterator[bytes]:
    """The log from byte `start` to the end it has now, in chunks. A file that does not exist is empty."""
    left = _size(path) - start
    follower = Follower(path, start)
    # Bounded, for a command may write faster than anyone reads.
    while left > 0 and (chunk := follower.read()):
        yield chunk
        left -= len(chunk)


def tail(path: str, lines: int) -> Iterator[bytes]:
    """The last `lines` lines, in chunks: a line may be of any length."""
    return read(path, tail_offset(path, lines))


def tail_offset(path: str, lines: int) -> int:
    """Where the last `lines` lines begin; a last line without a line end counts. 0 when there are fewer."""
    fd = _open(path)
    if fd is None:
        return 0
    try:
        end = os.fstat(fd).st_size
        if lines <= 0:
            return end
        missing = lines
        # The line end at the very end ends the last line; it does not begin another one.
        position = end - 1
        while position > 0:
            start = max(0, position - _SCAN)
            block = os.pread(fd, position - start, start)
            count = block.count(b"\n")
            if count < missing:
                missing -= count
                position = start
                continue
            at = len(block)
            for _ in range(missing):
                at = block.rfind(b"\n", 0, at)
            return start + at + 1
        return 0
    finally:
        os.close(fd)


def last_lines(path: str, n: int, max_bytes: int = 64 * 1024) -> list[str]:
    """The last `n` lines of the last `max_bytes` bytes, oldest first, without line ends; not cleaned for a terminal.

    A line that begins before those bytes is left out, unless it is the only one: then it is its end.
    """
    fd = _open(path)
    if fd is None or n <= 0:
        return []
    try:
        end = os.fstat(fd).st_size
        start = max(0, end - max_bytes)
        # With one byte more in front, the first piece is never a whole line: at most the line end of one.
        data = os.pread(fd, end - start + 1, max(0, start - 1))
    finally:
        os.close(fd)
    if not data:
        return []
    lines = data.removesuffix(b"\n").split(b"\n")
    if start > 0:
        lines = lines[1:] or [_from_character(lines[0][1:])]
    return [line.removesuffix(b"\r").decode("utf-8", "backslashreplace") for line in lines[-n:]]


def last_line(path: str, max_bytes: int = 64 * 1024) -> str:
    """The last line with more than white space in it, "" if the last `max_bytes` bytes hold none. As `last_lines`."""
    return next((line for line in reversed(last_lines(path, max_bytes, max_bytes)) if line.strip()), "")


def cap(path: str, limit: int) -> bool:
    """Whether the log was larger than `limit` bytes (at least 4 KiB) and has been cut to about half of that.

    It keeps the first and the last quarter of the limit, cut at line ends where one is near, and between them a line
    `[jobctl: N bytes left out here, log_limit = 64MiB]`. A later cap leaves the first quarter alone, keeps one such
    line and adds to its N. Half of the limit has to be written before it is due again.

    The command goes on appending meanwhile: the end of the file is moved to the front until nothing is left to move,
    then the file ends there. What is written between these two calls, some microseconds apart, is lost. A command that
    writes faster than it can be moved keeps less than a quarter. A cap that dies half-way is put right by the next.
    A file that does not exist is below every limit. Errors: OSError.
    """
    limit = max(limit, _SMALLEST_LIMIT)
    if _size(path) <= limit:
        return False
    # Not O_APPEND: with it, Linux' pwrite would append.
    fd = open_own(path, os.O_RDWR)
    try:
        quarter = limit // 4
        head, resumes, left_out = _head(fd, quarter)
        keep = quarter
        while True:
            start = _line_start(fd, os.fstat(fd).st_size - keep, near=min(_NEAR, keep // 2))
            missing = left_out + start - resumes
            marker = f"[jobctl: {missing} bytes left out here, log_limit = {text.size(limit).replace(' ', '')}]\n"
            lead = b"" if os.pread(fd, 1, head - 1) == b"\n" else b"\n"
            line = lead + marker.encode()
            end, caught_up = _move(fd, start, head + len(line), at_most=2 * keep)
            if caught_up or keep <= _NEAR:
                break
            keep //= 4
        os.pwrite(fd, line, head)
        # While the marker was written, the command went on.
        end, _ = _move(fd, start + end - head - len(line), end, at_most=quarter)
        os.ftruncate(fd, end)
        return True
    finally:
        os.close(fd)


def _head(fd: int, quarter: int) -> tuple[int, int, int]:
    """Where the kept beginning ends, where the text goes on behind it, and how many bytes are missing there already."""
    near = min(_NEAR, quarter // 2)
    first = quarter - near
    window = os.pread(fd, near + 256, first - 1)
    at = window.rfind(b"\n" + _MARKER, 0, near + 16)
    if at >= 0:
        line, _, _ = window[at + 1 :].partition(b"\n")
        number, found, _ = line.removeprefix(_MARKER).partition(b" bytes left out here, log_limit = ")
        if found and number.isdigit():
            head = first + at
            return head, head + len(line) + 1, int(number)
    at = window.rfind(b"\n", 0, near + 1)
    head = first + at if at >= 0 else quarter
    return head, head, 0


def _line_start(fd: int, position: int, near: int) -> int:
    """The first beginning of a line at or after `position`, or `position` itself if that is not near."""
    return position + max(0, os.pread(fd, near, position - 1).find(b"\n"))


def _move(fd: int, source: int, target: int, *, at_most: int) -> tuple[int, bool]:
    """Copy the file from `source` to its end to `target`, which lies before it; the end of the copy, and whether the
    end of the file was reached within `at_most` bytes."""
    moved = 0
    while moved < at_most:
        block = os.pread(fd, _COPY, source + moved)
        if not block:
            return target + moved, True
        moved += os.pwrite(fd, block, target + moved)
    return target + moved, False


class LineBuffer:
    """Bytes in as they come, lines out without their ends (newline, with or without a carriage return before it).

    A line longer than LINE_LIMIT comes in pieces of about that size, cut between characters.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        out = []
        for line in lines:
            *pieces, last = _pieces(line)
            out += [*pieces, last.removesuffix(b"\r")]
        *pieces, self._rest = _pieces(self._rest)
        return out + pieces

    def flush(self) -> list[bytes]:
        """The line that was begun and has no end, if there is one."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    pieces = []
    start = 0
    while len(line) - start > LINE_LIMIT:
        end = start + LINE_LIMIT
        # Up to three bytes back is where the character began that the cut would go through.
        end = next((at for at in range(end, end - 4, -1) if line[at] & 0xC0 != 0x80), end)
        pieces.append(line[start:end])
        start = end
    return [*pieces, line[start:]]


def _from_character(data: bytes) -> bytes:
    """The bytes without the rest of a character that was cut in two in front of them."""
    return data[next((at for at in range(min(3, len(data))) if data[at] & 0xC0 != 0x80), 0) :]


def _open(path: str) -> int | None:
    try:
        return open_own(path)
    except FileNotFoundError:
        return None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
