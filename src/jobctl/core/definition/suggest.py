"""What somebody may have meant by a name that does not exist. Knows nothing of keys, jobs or steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice

_MANY = 200  # comparing each wrong name of a large file with all of its names would take minutes


def closest(name: str, known: Collection[str]) -> str:
    """The known name nearest to `name`, or "" where none is near. Of many, only some that begin alike are looked at."""
    from difflib import get_close_matches

    pool: Iterable[str] = known
    if len(known) > _MANY:
        beginning = name[: max(2, len(name) // 2)]
        pool = islice((other for other in known if other.startswith(beginning)), _MANY // 8)
    pool = list(pool)
    found = get_close_matches(name[:100], pool, 1) or [other for other in pool if other.lower() == name.lower()]
    return found[0] if found else ""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A hint: the nearest of the known names, else some of them."""
    if near := closest(name, known):
        return f"did you mean {quoted(near)}?"
    if not known:
        return "there are none"
    some = list(islice(known, 8))
    return "known: " + ", ".join(some) + (", …" if len(known) > len(some) else "")


def quoted(name: str) -> str:
    """A name from a file in backticks, cut to a readable length, control characters escaped."""
    shown = name if name.isprintable() else repr(name)[1:-1]
    return f"`{shown if len(shown) <= 60 else shown[:57] + '...'}`"


_SPELT = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d", "þ": "th", "ð": "d", "ı": "i"}
                       | {"Æ": "Ae", "Ø": "O", "Œ": "Oe", "Ł": "L", "Đ": "D", "Þ": "Th"})  # fmt: skip


def plain_name(text: str) -> str:
    """A name of letters, digits, - and _ that comes near to a text; "" where nothing of it is left.

    Letters lose their accents. A text whose letters are of another script gives nothing rather than its remains.
    """
    import unicodedata

    plain = "".join(
        char for char in unicodedata.normalize("NFKD", text.translate(_SPELT)) if not unicodedata.combining(char)
    )
    if any(char.isalpha() and not char.isascii() for char in plain):
        return ""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")[:63]
