"""A line of a definitions file as it may be shown to people: without the values that may be secrets.

What is shown is what `jobctl show` shows of a valid file, too. Values of variables are not, nor those of keys that
nobody knows: a misspelt `password` is still one.
"""

from __future__ import annotations

import re
import unicodedata

from jobctl.core.record import NamedTuple

HIDDEN = "…"
_WIDEST = 96  # characters shown of a line

_HEAD = re.compile(r"[ \t]*\[+([^\]#\n]*)")
_PAIR = re.compile(
    r"""[ \t]*((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)[ \t]*[=:]"""
)
_INNER = re.compile(r"""[{,][ \t]*((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*[\w-]+)*)[ \t]*=""")
_SECRET = re.compile(r"TOKEN|PASS|PWD|SECRET|KEY|AUTH|CRED|DSN|PRIVATE", re.IGNORECASE)
_VALUES = frozenset({"env", "headers", "secrets", "environment", "vars", "body", "url"})  # may be secret, and all below
_NAMED = frozenset({"params", "queues", "defaults", "jobs"})  # below them names are the user's
_SIGNS = re.compile(r"\[+[^=,]*\]*[ \t]*(?:#.*)?$|\W+$|[<>|]{7}( |$)")
_LOOK_BACK = 400  # lines: a text of more lines is not shown
_FAR = 64 * 1024  # characters that are looked through for the head of a line


class Excerpt(NamedTuple):
    """A line as shown, and what of it is underlined: columns counted from 0."""

    text: str
    column: int
    length: int


def may_be_shown(text: str, at: int) -> bool:
    """Whether the value of the key that stands at this offset may be repeated."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)]
    return _cut(text, start, line) is None


def excerpt(text: str, at: int, length: int) -> Excerpt:
    """The line that holds the offset, with `length` characters from there on underlined."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)].rstrip("\r")
    column = min(at - start, len(line))
    cut = _cut(text, start, line)
    if cut is not None and cut < len(line):
        line = line[:cut] + (" " if line[cut - 1 : cut] in "=:" and cut else "") + HIDDEN
        column = column if column < cut else len(line) - 1
    length = max(1, min(length, len(line) - column))
    if len(line) > _WIDEST:
        first = max(0, min(column - _WIDEST // 3, len(line) - _WIDEST))
        line = (
            (HIDDEN if first else "") + line[first : first + _WIDEST] + (HIDDEN if first + _WIDEST < len(line) else "")
        )
        column += bool(first) - first
        length = max(1, min(length, len(line) - column))
    indent = len(line) - len(line.lstrip())
    if 0 < indent <= column:
        line, column = line[indent:], column - indent
    return Excerpt("".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line), column, length)


def marker(shown: Excerpt) -> str:
    """The line of carets below it, for a terminal."""
    return " " * width(shown.text[: shown.column]) + "^" * max(
        1, width(shown.text[shown.column : shown.column + shown.length])
    )


def width(text: str) -> int:
    """The columns that a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _cut(text: str, start: int, line: str) -> int | None:
    """From where on the line is not shown. None: all of it is."""
    own = _PAIR.match(line)
    if own is None:
        if _heading(line) and not line.lstrip().startswith(("[ ", '["', "['")):
            return None
        return _inherited(text, start, line)
    if _hides_below(_head_above(text, start)):
        return own.end()
    return _cut_pair(line, own, _head_above(text, start))


def _heading(line: str) -> bool:
    """Whether it is a head, a comment, or nothing that could hold a value."""
    stripped = line.strip()
    return stripped[:1] in ("#", "") or _SIGNS.match(stripped) is not None


def _cut_pair(line: str, own: re.Match[str], head: tuple[str, ...]) -> int | None:
    names = _parts(own[1])
    if any(hides(name) for name in names) or not _known(names, head):
        return own.end()
    rest = line[own.end() :].lstrip()
    if rest[:1] not in "[{" or not rest:
        return None
    if "params" not in names and names[-1] in ("command", "foreach", "items", "choices", "default", "tags"):
        return None
    within = (*head, *names)
    for inner in _INNER.finditer(line, own.end()):
        parts = _parts(inner[1])
        if any(hides(part) for part in parts) or not _known(parts, within):
            return inner.end()
        within = (*within, *parts) if "params" in (*within, *parts) else within
    return None


def _inherited(text: str, start: int, line: str) -> int | None:
    """Of a line that begins no key: what holds for the key above it that it belongs to."""
    at = start
    for _ in range(_LOOK_BACK):
        if at <= 0:
            break
        previous = text.rfind("\n", 0, at - 1) + 1
        above = text[previous : at - 1]
        at = previous
        own = _PAIR.match(above)
        if own is not None:
            cut = _cut_pair(above, own, _head_above(text, at))
            return 0 if cut is not None or _hides_below(_head_above(text, at)) else None
        if _HEAD.match(above) and _heading(above):
            break
    first = re.match(r"[ \t]*[A-Za-z0-9_-]*", line)
    return first.end() if first else 0


def _head_above(text: str, start: int) -> tuple[str, ...]:
    """The names of the head that the line stands below. Where it is too far away: one whose values are hidden."""
    at, floor = start, max(0, start - _FAR)
    while (at := text.rfind("[", floor, at)) >= 0:
        begin = text.rfind("\n", 0, at) + 1
        if not text[begin:at].strip(" \t["):
            end = text.find("\n", at)
            line = text[begin : end if end >= 0 else len(text)]
            match = _HEAD.match(line)
            if match and _heading(line):
                return tuple(_parts(match[1]))
        at = max(begin, floor)
    return ("env",) if floor else ()


def _hides_below(head: tuple[str, ...]) -> bool:
    return any(name in _VALUES for name in (head[2:] if head[:1] == ("jobs",) else head))


def hides(name: str) -> bool:
    """Whether what has this name may be a secret."""
    return name in _VALUES or (_SECRET.search(name) is not None and name != "key")


def _known(names: list[str], head: tuple[str, ...]) -> bool:
    from jobctl.core.definition.schema import known_keys

    keys = known_keys()
    below_names = head[-1:] and head[-1] in ("params", "jobs", "queues")
    if "params" in head:
        return True
    if below_names or names[0] in _NAMED:
        return all(name in keys or i in (0, 1) for i, name in enumerate(names))
    return all(name in keys or (i > 0 and names[i - 1] in _NAMED) for i, name in enumerate(names))


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.findall(r"""[\w-]+|"[^"\n]*"|'[^'\n]*'""", dotted)]
