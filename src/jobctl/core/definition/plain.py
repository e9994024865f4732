"""Plain values: texts, names, truths, numbers, choices, sizes. How each is checked, converted and described.

Times are in moments.py, what holds several values in several.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, time

from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import mentioned
from jobctl.core.definition.shapes import INVALID, NAME, NAME_RULE, Defs, Report, Shape
from jobctl.core.definition.suggest import closest, plain_name, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_INTEGER = 2**53  # beyond it JSON readers and SQLite disagree about the value
MAX_ARGUMENT = 128 * 1024  # bytes with the closing NUL: what execve takes of one argument or variable (E2BIG)
_WHERE = "they stand in list commands, env, cwd, foreach, params, http, key"
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT]?i?B)")
_SIZES = {"B": 1} | {
    f"{letter}{i}B": (1024 if i else 1000) ** power
    for power, letter in enumerate("KMGT", 1)
    for i in ("", "i")
}  # fmt: skip


# --- plain values ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text(Shape):
    what = "text"
    empty: bool = False
    literal: bool = False  # no references here, so what looks like one is a mistake
    example = '"…"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if not value and not self.empty:
            report(path, "is empty", "leave the key out, or give it a value")
        elif not self.empty and not value.strip():
            report(path, "is blank", "leave the key out, or give it a value")
        elif "\0" in value:
            report(path, "holds a NUL character, which no command, variable or path can", "remove \\u0000")
        elif too_long(value):
            report(path, "is longer than 128 KiB, the system's limit", "put it into a file and name the file")
        elif self.literal and mentioned(value):
            report(path, "references are not replaced here", _WHERE)
        else:
            return value
        return INVALID

    def hint(self, value: Any) -> str:
        return "put the value in quotes" if isinstance(value, (bool, int, float, date, time)) else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string"} if self.empty else {"type": "string", "minLength": 1}


def too_long(value: str, beside: int = 1) -> bool:
    """Whether the text and `beside` more bytes do not fit into one argument or variable."""
    return len(value) * 4 + beside > MAX_ARGUMENT and len(value.encode()) + beside > MAX_ARGUMENT


class Name(Shape):
    what = "a name"
    example = '"name"'

    def hint(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
            return f'put it in quotes: "{value}"'
        return ""

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if NAME_RULE.fullmatch(value):
            return value
        report(path, f"{quoted(value)} is not a name", name_hint(value))
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "pattern": f"^{NAME}$"}


def name_hint(text: str) -> str:
    """What names are made of, with one that comes near."""
    near = plain_name(text)
    rule = "a name has 1 to 63 of A-Z a-z 0-9 _ - and begins with a letter or digit"
    return f"{rule}: {near}" if near and near != text else rule


class Boolean(Shape):
    what = "true or false"
    example = "true"

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool)

    def hint(self, value: Any) -> str:
        if not isinstance(value, str):
            return ""
        low = value.strip().lower()
        return f"without quotes: {_TRUTHS[low]}" if low in _TRUTHS else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "boolean"}


_TRUTHS = dict.fromkeys(("true", "yes", "on", "1"), "true") | dict.fromkeys(("false", "no", "off", "0"), "false")


@dataclass(frozen=True)
class Integer(Shape):
    what = "an integer"
    least: int = -MAX_INTEGER
    most: int = MAX_INTEGER

    @property
    def example(self) -> str:  # type: ignore[override]
        return str(max(self.least, min(3, self.most)))

    def takes(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def convert(self, value: int, path: Path, report: Report) -> Any:
        if self.least <= value <= self.most:
            return value
        if value < self.least and self.least > -MAX_INTEGER:
            report(path, f"must be at least {self.least}, not {_short(value)}", "")
        elif abs(value) > MAX_INTEGER:
            report(path, "is too large a number", f"the largest is {min(self.most, MAX_INTEGER)}")
        else:
            report(path, f"must be at most {self.most}, not {value}", "")
        return INVALID

    def hint(self, value: Any) -> str:
        if isinstance(value, str) and value.strip().strip("+-").isdigit():
            return f"without quotes: {value.strip()}" if len(value) < 20 else "without quotes"
        return ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


def _short(value: float) -> str:
    return f"{value:g}" if abs(value) < 10**15 else "so large a number"


@dataclass(frozen=True)
class Number(Shape):
    what = "a number"
    least: float = 0.0
    example = "2.0"

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def convert(self, value: float, path: Path, report: Report) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            report(path, "must be a finite number", "nan and inf are none")
        elif value < self.least:
            report(path, f"must be at least {self.least:g}, not {_short(value)}", "")
        elif value > MAX_INTEGER:
            report(path, "is too large a number", f"the largest is {MAX_INTEGER}")
        else:
            return float(value)
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "number", "minimum": self.least, "maximum": MAX_INTEGER}


@dataclass(frozen=True)
class Choice(Shape):
    choices: tuple[str, ...]
    ways: tuple[tuple[str, str], ...] = ()  # what others write, and the way out

    @property
    def what(self) -> str:  # type: ignore[override]
        return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)

    @property
    def example(self) -> str:  # type: ignore[override]
        return f'"{self.choices[0]}"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if value in self.choices:
            return self.choices[self.choices.index(value)]  # the enum's member, where it is one
        near = closest(value, self.choices)
        report(
            path,
            f"{quoted(value)} is not {self.what}",
            dict(self.ways).get(value) or (f'did you mean "{near}"?' if near else ""),
        )
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"enum": [str(choice) for choice in self.choices]}


class Size(Shape):
    what = 'a size such as "64MiB"'
    example = '"64MiB"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, str)) and not isinstance(value, bool)

    def convert(self, value: int | str, path: Path, report: Report) -> Any:
        if isinstance(value, str):
            match = _SIZE.fullmatch(value)
            if match is None or match[2] not in _SIZES:
                report(path, f"{quoted(value)} is not a size", _size_hint(value))
                return INVALID
            value = int(match[1]) * _SIZES[match[2]]
        return Integer(least=1).read(value, path, report)

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        sized = {"type": "string", "pattern": f"^[0-9]{{1,15}} ?({'|'.join(_SIZES)})$"}
        return {"anyOf": [sized, {"type": "integer", "minimum": 1}]}


def _size_hint(value: str) -> str:
    """What is likely meant by `64M`, `64 mb`, `1.5GB`."""
    match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,3}))? ?([kmgt]?)(i?)b?", value.strip().lower())
    if match is None or (match[2] and not match[3]):
        return 'write "64MiB", "10MB", "500KiB" or a number of bytes'
    number, part, letter, i = match.groups()
    if not letter:
        return f'write {int(number)} for bytes, or a unit: "{int(number)}MiB"'
    if part:  # in the next smaller unit
        number, letter = str(round(float(f"{number}.{part}") * (1024 if i else 1000))), " kmgt"["kmgt".index(letter)]
    unit = f"{letter.upper()}{'i' if i or not value.lower().rstrip().endswith('b') else ''}B".strip()
    return f'write "{number}{unit}"'
