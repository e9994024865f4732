"""Text for people: foreign text made harmless for a terminal, durations, sizes, moments. No colour and no layout.

Imports nothing at its top but codecs, which every Python has loaded: error messages come through here too.
"""

from __future__ import annotations

import codecs

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000

# Characters that move the cursor, reorder a line or hide in it, beyond the control characters proper.
_INVISIBLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x061C, 0x061C),  # Arabic letter mark
    (0x180E, 0x180E),  # Mongolian vowel separator
    (0x200B, 0x200F),  # zero-width characters and direction marks
    (0x2028, 0x202E),  # line and paragraph separators, direction embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, direction isolates, deprecated format characters
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFF9, 0xFFFB),  # interlinear annotation
    (0xE0000, 0xE007F),  # tags
)


class _Shown(dict[int, str]):
    """What a character is shown as, by its code point; worked out when it is first met, then remembered."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(code)
        return shown


def _shown(code: int) -> str:
    if code in (0x09, 0x0A):
        return chr(code)
    if code < 0x20 or 0x7F <= code <= 0x9F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte, as file names and arguments carry it
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF or any(low <= code <= high for low, high in _INVISIBLE):
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return chr(code)


_TABLE = _Shown()


def clean(text: str | bytes) -> str:
    r"""The text with nothing in it that a terminal would obey: those characters come out as `\xNN` or `\uNNNN`.

    Escaped are the C0 controls but newline and tab (so ESC, with every colour or cursor sequence, and `\r`), DEL, C1,
    direction and zero-width controls, lone surrogates and bytes that are not UTF-8. A `\r\n` is a line end: `\n`.
    A backslash stays as it is, so this is for showing and cannot be undone.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_TABLE)


class Cleaner:
    """`clean` for bytes that come in pieces: a character or line end that the pieces cut in two comes out whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The cleaned text so far known; with `final`, also what was held back in hope of the rest of it."""
        text = self._held + self._decoder.decode(data, final)
        self._held = "\r" if text.endswith("\r") and not final else ""
        return clean(text[:-1] if self._held else text)


def duration(ms: int) -> str:
    """`250ms`, `1.2s`, `42s`, `3m 05s`, `2h 10m`, `40 days`: rounded down, two units at most. Below nothing is `0s`."""
    if ms <= 0:
        return "0s"
    if ms < _SECOND:
        return f"{ms}ms"
    if ms < _MINUTE:
        seconds, tenths = divmod(ms // 100, 10)
        return f"{seconds}.{tenths}s" if tenths and seconds < 10 else f"{seconds}s"
    if ms < _HOUR:
        minutes, seconds = divmod(ms // _SECOND, 60)
        return f"{minutes}m {seconds:02}s" if seconds else f"{minutes}m"
    if ms < 2 * _DAY:
        hours, minutes = divmod(ms // _MINUTE, 60)
        return f"{hours}h {minutes:02}m" if minutes else f"{hours}h"
    return f"{ms // _DAY} days"


def size(count: int) -> str:
    """`512 B`, `1.2 KiB`, `64 MiB`: bytes in units of 1024, rounded down, with a decimal below 10."""
    tenths = count * 10
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if tenths < 10_240 or unit == "TiB":
            break
        tenths //= 1024
    whole, tenth = divmod(tenths, 10)
    return f"{whole}.{tenth} {unit}" if tenth and whole < 10 else f"{whole} {unit}"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def ago(then: int, now: int) -> str:
    """How long since an instant: `42 s ago`, `3 min ago`; `just now` below a second and for what lies ahead."""
    return "just now" if now - then < _SECOND else f"{_about(now - then)} ago"


def in_(then: int, now: int) -> str:
    """How long until an instant: `in 42 s`, `in 3 min`; `now` below a second and for what has passed."""
    return "now" if then - now < _SECOND else f"in {_about(then - now)}"


def _about(ms: int) -> str:
    from jobctl.core.durations import about

    return about(ms)


def local_time(ms: int) -> str:
    """An instant on the clock on the wall here: `2026-12-24 18:00:00`. The zone is TZ's, else the machine's."""
    from datetime import datetime

    return datetime.fromtimestamp(ms // 1000).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(ms: int) -> str:
    """An instant for programs, with the offset of the zone here: `2026-12-24T18:00:00.000+01:00`."""
    from datetime import datetime

    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="milliseconds")
