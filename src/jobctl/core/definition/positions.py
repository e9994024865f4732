"""Where a key stands: key path -> offset and line of a TOML text that tomllib has accepted. Checks nothing and keeps no
values.

tomllib tells no positions, so this walks over the text once more. It is used only when there is something to report.
"""

from __future__ import annotations

import re
from bisect import bisect_left

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")  # between statements, and inside arrays
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
KEY = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""  # read in one go
TRIPLE = (  # a text of several lines
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
)
STRING = TRIPLE + (  # any of the four
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_STRING = re.compile(STRING, re.DOTALL)
_BARE = re.compile(r"[^,\]}\n#]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class _LostError(Exception):
    """What tomllib understood is not understood here."""


class Places:
    """Where the keys of one text stand; its lines are counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._keys_at: dict[Path, tuple[int, int]] = {}  # where the key, or the element, begins and ends
        self._values_at: dict[Path, tuple[int, int]] = {}
        self._breaks: list[int] | None = None  # where the lines end
        self._array_sizes: dict[Path, int] = {}  # of [[arrays of tables]]
        self.whole = True  # all of the text was understood
        try:
            self._walk()
        except (_LostError, IndexError, RecursionError):
            self.whole = False  # some lines are not told: no reason to fail

    def line(self, path: Path) -> int:
        """The line where the key stands; of the nearest key around it where it does not; 0 for the whole file."""
        span = self.key(path)
        return self.line_of(span[0]) if span else 0

    def line_of(self, at: int) -> int:
        if self._breaks is None:
            self._breaks = [match.start() for match in re.finditer("\n", self._text)]
        return bisect_left(self._breaks, at) + 1

    def key(self, path: Path) -> tuple[int, int] | None:
        """Where the key begins and ends, or the nearest key around it."""
        while path:
            if path in self._keys_at:
                return self._keys_at[path]
            path = path[:-1]
        return None

    def value(self, path: Path) -> tuple[int, int] | None:
        """Where its value begins and ends, if it has one behind a `=` or is an element of a list."""
        return self._values_at.get(path)

    def _note(self, path: Path, start: int, end: int) -> None:
        self._keys_at.setdefault(path, (start, end))

    def _walk(self) -> None:
        text, at = self._text, 0
        table: Path = ()
        while True:
            at = _skip(_BLANK, text, at)
            if at >= len(text):
                return
            if text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._pair(table, at)

    def _header(self, at: int) -> tuple[Path, int]:
        start, many = at, self._text.startswith("[[", at)
        keys, at = self._keys(at + (2 if many else 1))
        path: Path = ()
        for key in keys[:-1]:
            path = self._newest((*path, key))
            self._note(path, start, at + 1)
        path = (*path, keys[-1])
        end = at + (2 if many else 1)
        if many:
            self._note(path, start, end)
            self._array_sizes[path] = self._array_sizes.get(path, 0) + 1
        path = self._newest(path)
        self._note(path, start, end)
        return path, end

    def _newest(self, path: Path) -> Path:
        size = self._array_sizes.get(path)
        return path if size is None else (*path, size - 1)

    def _pair(self, table: Path, at: int) -> int:
        start = at
        keys, at = self._keys(at)
        end = start + len(self._text[start:at].rstrip())
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path, start, end)
        return self._value(path, _skip(_SPACE, self._text, at + 1))  # past the `=`

    def _keys(self, at: int) -> tuple[list[str], int]:
        """A dotted key that begins at `at` or after blanks, and the offset of what follows it."""
        keys, text = [], self._text
        while True:
            match = _KEY.match(text, _skip(_SPACE, text, at))
            if match is None:
                raise _LostError
            keys.append(_unquoted(match[0]))
            at = _skip(_SPACE, text, match.end())
            if not text.startswith(".", at):
                return keys, at
            at += 1

    def _value(self, path: Path, at: int) -> int:
        end = self._end_of_value(path, at)
        self._values_at.setdefault(path, (at, end))
        return end

    def _end_of_value(self, path: Path, at: int) -> int:
        text = self._text
        if text[at] == "[":
            at, index = _skip(_BLANK, text, at + 1), 0
            while text[at] != "]":
                element, start = (*path, index), at
                at = self._value(element, at)
                self._note(element, start, at)
                at, index = self._after_comma(at), index + 1
            return at + 1
        if text[at] == "{":
            at = _skip(_BLANK, text, at + 1)
            while text[at] != "}":
                at = self._after_comma(self._pair(path, at))
            return at + 1
        match = _STRING.match(text, at) or _BARE.match(text, at)
        if match is None:
            raise _LostError
        return match.end()

    def _after_comma(self, at: int) -> int:
        at = _skip(_BLANK, self._text, at)
        return _skip(_BLANK, self._text, at + 1) if self._text[at] == "," else at


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _unquoted(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] == '"':
        return _ESCAPE.sub(_unescaped, key[1:-1])
    return key


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _ESCAPES.get(match[3], match[3])
