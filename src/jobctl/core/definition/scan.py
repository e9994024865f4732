"""A text of TOML, read from place to place: blanks, lines, comments. And a fault: where it is, and what helps.

What stands at a place is asked by syntax.py and values.py.
"""

from __future__ import annotations

import re
from typing import NoReturn

from jobctl.core.record import NamedTuple

BLANK = re.compile(r"[ \t]*")
BARE = re.compile(r"""[^,\[\]{}#\s"']+""")
REST = re.compile(r"[^\n]*")
NOT_BLANKS = {"\u00a0": "a no-break space", "\u200b": "a zero-width space", "\ufeff": "a byte order mark",
               "\u3000": "a wide space", "\u202f": "a narrow space", "\u2028": "a line separator"}  # fmt: skip
SMART = "“”„‟«»‘’‚‛′″"  # what word processors make of quotes
UNIX = "end lines with a line feed: save the file with Unix line ends"


class Fault(NamedTuple):
    """`at` is an offset into the text; `length` of what is underlined."""

    at: int
    length: int
    message: str
    hint: str


class FoundError(Exception):
    def __init__(self, at: int, length: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.fault = Fault(at, max(1, length), message, hint)


class Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text)

    def _fail(self, at: int, length: int, message: str, hint: str) -> NoReturn:
        raise FoundError(at, length, message, hint)

    def _number(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _line_at(self, at: int) -> str:
        start = self._text.rfind("\n", 0, at) + 1
        match = REST.match(self._text, start)
        return match[0].rstrip("\r") if match else ""

    def _rest(self, at: int) -> str:
        match = REST.match(self._text, at)
        return match[0].rstrip() if match else ""

    def _blank(self, at: int) -> int:
        match = BLANK.match(self._text, at)
        return match.end() if match else at

    def _skip_lines(self, at: int) -> int:
        """Past blanks, line breaks and comments."""
        text = self._text
        while at < self._end:
            char = text[at]
            if char in " \t\n" or text.startswith("\r\n", at):
                at += 1
            elif char == "\r":
                self._fail(at, 1, "a carriage return stands here alone", UNIX)
            elif char == "#":
                end = text.find("\n", at)
                end = self._end if end < 0 else end
                odd = _CONTROL.search(text, at, end - 1 if text[end - 1 : end] == "\r" else end)
                if odd:
                    self._printable(odd.start())
                at = end
            else:
                break
        return at

    def _printable(self, at: int) -> None:
        char = self._text[at]
        if char == "\n" or self._text.startswith("\r\n", at) or not _CONTROL.match(char):
            return
        code = f"U+{ord(char):04X}"
        self._fail(
            at,
            1,
            f"the control character {code} stands here",
            f"remove it; a text in double quotes may say it as \\u{ord(char):04X}",
        )


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def without_comment(text: str) -> str:
    """The text without what looks like a comment behind it."""
    return re.sub(r"""\s+#[^"']*$""", "", text)
