"""Rows as whoever reads them can take them: what nobody can have written is replaced by something harmless, and told.

SQLite keeps any value in any column, and a disk or a hand may change one. One damaged row is one line of an overview,
never its end. Histories and definitions are checked where they are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobctl.core.keys import is_id
from jobctl.store.codec import YEAR_9999

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The kinds of columns: a letter each, a capital one where NULL stands for nothing.
# n number, i instant, t text, d text that is an id (core/keys.py)
_TYPES: dict[str, type] = {"n": int, "i": int, "t": str, "d": str}
_HARMLESS: dict[str, Any] = {"n": 0, "i": 0, "t": "", "d": "?"}


class Kinds:
    """What the columns of one query hold."""

    def __init__(self, about: str, **columns: str) -> None:
        """`about`: what a row is of. `columns`: the kind of each, in their order."""
        self.about = about
        self.columns = tuple(columns)
        self.kinds = kinds = "".join(columns.values())
        self._instants = [at for at, kind in enumerate(kinds) if kind in "iI"]
        self._ids = [at for at, kind in enumerate(kinds) if kind in "dD"]
        self._sound: set[tuple[type, ...]] = set()  # combinations of types that are right: there are few

    def is_sound(self, row: Sequence[Any]) -> bool:
        types = tuple(map(type, row))
        if types not in self._sound:
            if not all(self._fits(kind, value) for kind, value in zip(self.kinds, row, strict=True)):
                return False
            self._sound.add(types)
        return all(row[at] is None or 0 <= row[at] < YEAR_9999 for at in self._instants) and all(
            row[at] is None or is_id(row[at]) for at in self._ids
        )

    def harmless(self, row: Sequence[Any]) -> tuple[list[Any], list[str]]:
        """The row with a harmless value for each that is damaged; the names of those columns."""
        values, damaged = [], []
        for kind, value, column in zip(self.kinds, row, self.columns, strict=True):
            fits = self._fits(kind, value)
            if fits and value is not None and kind in "iI":
                fits = 0 <= value < YEAR_9999
            if fits and value is not None and kind in "dD":
                fits = is_id(value)
            if not fits:
                damaged.append(column)
            values.append(value if fits else _HARMLESS[kind.lower()])
        return values, damaged

    @staticmethod
    def _fits(kind: str, value: Any) -> bool:
        return (value is None and kind.isupper()) or type(value) is _TYPES[kind.lower()]


def tolerant(data: bytes) -> str:
    """Text that is no UTF-8, so that the query it is in has an answer."""
    return data.decode("utf-8", "backslashreplace")
