"""The kinds of values that a definitions file holds: each checks and converts one, and says so as JSON Schema.

Which key has which kind is schema.py's table. A shape's `read` gives the value as the model wants it (durations and
instants in milliseconds, sizes in bytes, short forms spelt out as their tables) or INVALID after it has reported why.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from jobctl.core.definition.positions import Path

Report = Callable[[Path, str, str], None]  # where, what is wrong, the way out


class Named(tuple[str | int, ...]):
    """A path that stands for the key itself, not for its value: the key is what is wrong."""


Defs = dict[str, Any]

INVALID: Any = object()  # stands for a value that was reported

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"

NAME_RULE = re.compile(NAME)


def kind(value: Any) -> str:
    """What a TOML value is, for a sentence."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, datetime):
        return "a date with time"
    names = {str: "text", int: "an integer", float: "a number", list: "a list", dict: "a table", date: "a date"}
    return names.get(type(value), "a time")


class Shape:
    """One kind of value. `what` names it after "must be"."""

    what = "a value"
    example = ""  # one as it is written, for the way out

    def takes(self, value: Any) -> bool:
        """Whether the value has the TOML type; `read` looks at the rest."""
        raise NotImplementedError

    def read(self, value: Any, path: Path, report: Report) -> Any:
        """The converted value, or INVALID after a report."""
        if self.takes(value):
            return self.convert(value, path, report)
        report(path, f"must be {self.what}, not {kind(value)}", self.hint(value))
        return INVALID

    def convert(self, value: Any, path: Path, report: Report) -> Any:  # noqa: ARG002
        return value

    def hint(self, value: Any) -> str:  # noqa: ARG002
        """The way out for a value of another TOML type."""
        return ""

    def schema(self, defs: Defs) -> dict[str, Any]:
        """JSON Schema (draft 2020-12). What is long or used twice goes to `defs`."""
        raise NotImplementedError
