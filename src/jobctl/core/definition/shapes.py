"""The kinds of values that a definitions file holds: each checks and converts one, and says so as JSON Schema.

Which key has which kind is schema.py's table. A shape's `read` gives the value as the model wants it (durations and
instants in milliseconds, sizes in bytes, short forms spelt out as their tables) or INVALID after it has reported why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import lru_cache, partial
from typing import Any, NamedTuple

from jobctl.core import durations
from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import mentioned
from jobctl.core.definition.suggest import closest, did_you_mean, plain_name, quoted
from jobctl.core.model import Millis
from jobctl.core.schedule.cron import CronError, parse_cron
from jobctl.core.schedule.zones import ZoneError, check_zone, parse_instant

Report = Callable[[Path, str, str], None]  # where, what is wrong, the way out


class Named(tuple[str | int, ...]):
    """A path that stands for the key itself, not for its value: the key is what is wrong."""


Defs = dict[str, Any]

INVALID: Any = object()  # stands for a value that was reported

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
MAX_INTEGER = 2**53  # beyond it JSON readers and SQLite disagree about the value
MAX_ARGUMENT = 128 * 1024  # bytes with the closing NUL: what execve takes of one argument or variable (E2BIG)
MAX_DEPTH = 32

NAME_RULE = re.compile(NAME)
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT]?i?B)")
_SIZES = {"B": 1} | {
    f"{letter}{i}B": (1024 if i else 1000) ** power
    for power, letter in enumerate("KMGT", 1)
    for i in ("", "i")
}  # fmt: skip


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
            report(path, "references are not replaced here", "they stand in list commands, env, cwd, foreach, params")
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
        report(path, f"{quoted(value)} is not {self.what}", f'did you mean "{near}"?' if near else "")
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"enum": [str(choice) for choice in self.choices]}


# --- time and size ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Duration(Shape):
    what = 'a duration such as "30s"'
    least: Millis = 1
    example = '"30s"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        try:
            ms = durations.parse(value)
        except durations.DurationError as error:
            report(path, error.message, error.hint)
            return INVALID
        if ms >= self.least:
            return ms
        if self.least == 1:
            report(path, f"must be longer than nothing, not {quoted(value)}", "leave the key out, or give it a time")
        else:
            least = durations.format(self.least)
            report(path, f"must be at least {least}, not {quoted(value)}", f'the least is "{least}"')
        return INVALID

    def hint(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER:
            return f'write "{value}s" (units: ms, s, m, h, d, w)'
        return 'write "30s" (units: ms, s, m, h, d, w)'

    def schema(self, defs: Defs) -> dict[str, Any]:
        defs["duration"] = {
            "type": "string",
            "pattern": f"^(?=[0-9]){durations.PATTERN}$",
            "description": 'Whole numbers with units, the largest first: "250ms", "30s", "1h30m", "7d".',
        }
        return {"$ref": "#/$defs/duration"}


@dataclass(frozen=True)
class Instant(Shape):
    """An RFC 3339 time as text or as TOML's own. `text`: kept as text, which may then be a reference."""

    what = "a time with offset"
    text: bool = False
    example = '"2026-12-24T18:00:00+01:00"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, datetime)) and not (isinstance(value, datetime) and value.tzinfo is None)

    def convert(self, value: str | datetime, path: Path, report: Report) -> Any:
        written = value if isinstance(value, str) else value.isoformat()
        if self.text and "{{" in written:
            return written
        try:
            ms = parse_instant(written)
        except ValueError as error:
            report(path, str(error), self.hint(_without_offset(written)))
            return INVALID
        return written if self.text else ms

    def hint(self, value: Any) -> str:
        if isinstance(value, datetime):
            return f'add the offset: "{value.isoformat()}Z" is UTC, "{value.isoformat()}+01:00" an hour ahead of it'
        if isinstance(value, date):
            return f'add time and offset: "{value.isoformat()}T00:00:00Z"'
        return 'write "2026-12-24T18:00:00+01:00", or with Z for UTC'

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1} if self.text else {"type": "string", "format": "date-time"}


def _without_offset(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


class Date(Shape):
    what = 'a date such as "2027-01-01"'
    example = '"2027-01-01"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, date)) and not isinstance(value, datetime)

    def convert(self, value: str | date, path: Path, report: Report) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        if is_date(value):
            return value
        report(path, f"{quoted(value)} is not a date", 'write year, month and day: "2027-01-01"')
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "format": "date"}


def is_date(text: str) -> bool:
    """Whether a text is YYYY-MM-DD and that day exists."""
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


class CronText(Shape):
    what = "a cron expression"
    example = '"30 2 * * *"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        try:
            parse_cron(value)
        except CronError as error:
            report(path, error.message, error.hint)
            return INVALID
        return value

    def hint(self, value: Any) -> str:
        return 'write it as text: "30 2 * * *"' if isinstance(value, (int, float)) else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1, "examples": ["30 2 * * *", "0 9 * * mon-fri", "@hourly"]}


class ScheduleText(CronText):
    """A schedule as one text, read as the table that it stands for: a cron expression, or `@reboot`."""

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if value.strip() == "@reboot":
            return {"boot": True}
        read = super().convert(value, path, report)
        return INVALID if read is INVALID else {"cron": read}

    def hint(self, value: Any) -> str:
        if isinstance(value, datetime):
            offset = "" if value.tzinfo else "+00:00"
            return f'a single time is written schedule = {{ at = "{value.isoformat()}{offset}" }}'
        if isinstance(value, date):
            return f'a single time is written schedule = {{ at = "{value.isoformat()}T00:00:00+00:00" }}'
        if isinstance(value, time):
            return f'every day at that time is written schedule = "{value.minute} {value.hour} * * *"'
        return super().hint(value)

    def schema(self, defs: Defs) -> dict[str, Any]:
        schema = super().schema(defs)
        return {**schema, "examples": [*schema["examples"], "@reboot"]}


class Zone(Shape):
    what = "the name of a time zone"
    example = '"Europe/Berlin"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        problem = _zone_problem(value)
        if problem is None:
            return value
        report(path, *problem)
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1, "examples": ["Europe/Berlin", "UTC"]}


@lru_cache(maxsize=1024)
def _zone_problem(name: str) -> tuple[str, str] | None:
    # Looking for the nearest name reads the zone folder: once per name, however many jobs have it.
    try:
        check_zone(name)
    except ZoneError as error:
        return error.message, error.hint
    return None


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


# --- values made of values -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ListOf(Shape):
    what = "a list"
    items: Shape
    least: int = 0
    most: int | None = None

    @property
    def example(self) -> str:  # type: ignore[override]
        return f"[{self.items.example}]"

    def takes(self, value: Any) -> bool:
        return isinstance(value, list)

    def convert(self, value: list[Any], path: Path, report: Report) -> Any:
        if len(value) < self.least:
            report(path, "is empty" if not value else f"must have at least {self.least} items", "")
            return INVALID
        if self.most is not None and len(value) > self.most:
            report(path, f"has {len(value):,} items, {self.most:,} is the limit", "")
            return INVALID
        read = tuple(self.items.read(item, (*path, i), report) for i, item in enumerate(value))
        return INVALID if any(item is INVALID for item in read) else read

    def hint(self, value: Any) -> str:
        if not self.items.takes(value):
            return ""
        short = isinstance(value, str) and value.isprintable() and len(value) < 40 and '"' not in value
        return f'put it in brackets: ["{value}"]' if short else "put it in brackets: [ … ]"

    def schema(self, defs: Defs) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.items.schema(defs)}
        if self.least:
            schema["minItems"] = self.least
        if self.most is not None:
            schema["maxItems"] = self.most
        return schema


@dataclass(frozen=True)
class Steps(ListOf):
    """A list of tables that is mostly written with heads of their own."""

    def hint(self, value: Any) -> str:  # noqa: ARG002
        return "each of them has a head of its own: [[jobs.NAME.steps]]"

    def convert(self, value: list[Any], path: Path, report: Report) -> Any:
        if value:
            return super().convert(value, path, report)
        report(path, "is empty", "remove it, and write [[jobs.NAME.steps]] for each step")
        return INVALID

    def read(self, value: Any, path: Path, report: Report) -> Any:
        if not isinstance(value, dict):
            return super().read(value, path, report)
        head = ".".join(str(part) for part in path)
        inner = [name for name, item in value.items() if isinstance(item, dict)]
        if inner and len(inner) == len(value):
            hint = f'write [[{head}]] and name = "{inner[0][:63]}" instead of [{head}.{inner[0][:63]}]'
        else:
            hint = f"write [[{head}]] instead of [{head}], once for each of them"
        report(path, f"must be {self.what}, not {kind(value)}", hint)
        return INVALID


class _Argument(Text):
    def hint(self, value: Any) -> str:
        if isinstance(value, (list, dict)):
            return 'a list command is one list of texts: ["program", "argument"]'
        return super().hint(value)


@dataclass(frozen=True)
class Arguments(ListOf):
    """A list command: the program, which must be there, and its arguments, which may be empty."""

    what = "a list of texts"
    items: Shape = field(default_factory=lambda: _Argument(empty=True))
    least: int = 1

    @property
    def example(self) -> str:  # type: ignore[override]
        return '["program", "argument"]'

    def convert(self, value: list[Any], path: Path, report: Report) -> Any:
        if value and isinstance(value[0], str) and not value[0].strip():
            report(
                (*path, 0),
                f"is {'blank' if value[0] else 'empty'}: a list command begins with the program",
                'write ["program", "argument"]',
            )
            return INVALID
        return super().convert(value, path, report)


@dataclass(frozen=True)
class Short(Shape):
    """The short form of a table: a value that stands for the table with that one key."""

    shape: Shape
    key: str

    @property
    def what(self) -> str:  # type: ignore[override]
        return self.shape.what

    @property
    def example(self) -> str:  # type: ignore[override]
        return self.shape.example

    def takes(self, value: Any) -> bool:
        return self.shape.takes(value)

    def convert(self, value: Any, path: Path, report: Report) -> Any:
        read = self.shape.convert(value, path, report)
        return INVALID if read is INVALID else {self.key: read}

    def hint(self, value: Any) -> str:
        return self.shape.hint(value)

    def schema(self, defs: Defs) -> dict[str, Any]:
        return self.shape.schema(defs)


class Either(Shape):
    """One of several shapes; the TOML type of the value says which."""

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.what = " or ".join(shape.what for shape in shapes)
        self.example = next((shape.example for shape in shapes if shape.example), "")

    def takes(self, value: Any) -> bool:
        return any(shape.takes(value) for shape in self.shapes)

    def convert(self, value: Any, path: Path, report: Report) -> Any:
        return next(shape for shape in self.shapes if shape.takes(value)).convert(value, path, report)

    def hint(self, value: Any) -> str:
        return next((hint for shape in self.shapes if (hint := shape.hint(value))), "")

    def schema(self, defs: Defs) -> dict[str, Any]:
        return {"anyOf": [shape.schema(defs) for shape in self.shapes]}


@dataclass(frozen=True)
class OneOrMany(Shape):
    """A value, or a list of such values; always read as a tuple."""

    shape: Shape

    @property
    def what(self) -> str:  # type: ignore[override]
        return f"{self.shape.what} or a list of them"

    @property
    def example(self) -> str:  # type: ignore[override]
        return self.shape.example

    def takes(self, value: Any) -> bool:
        return isinstance(value, list) or self.shape.takes(value)

    def convert(self, value: Any, path: Path, report: Report) -> Any:
        if isinstance(value, list):
            return ListOf(self.shape, least=1).convert(value, path, report)
        read = self.shape.convert(value, path, report)
        return INVALID if read is INVALID else (read,)

    def hint(self, value: Any) -> str:
        return self.shape.hint(value)

    def schema(self, defs: Defs) -> dict[str, Any]:
        one = self.shape.schema(defs)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


class Json(Shape):
    """Any value that JSON has: dates become text, numbers stay within what every reader agrees on."""

    def takes(self, value: Any) -> bool:  # noqa: ARG002
        return True

    def convert(self, value: Any, path: Path, report: Report) -> Any:
        return self._convert(value, path, report, MAX_DEPTH)

    def _convert(self, value: Any, path: Path, report: Report, depth: int) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return Text(empty=True).convert(value, path, report)
        if isinstance(value, int):
            return Integer().convert(value, path, report)
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            report(path, "must be a finite number", "nan and inf are none")
            return INVALID
        if isinstance(value, (date, time)):
            return value.isoformat()
        if not depth:
            report(path, "is nested too deeply", f"values may be nested {MAX_DEPTH} deep")
            return INVALID
        if isinstance(value, list):
            items = [self._convert(item, (*path, i), report, depth - 1) for i, item in enumerate(value)]
            return INVALID if any(item is INVALID for item in items) else items
        pairs = {key: self._convert(item, (*path, key), report, depth - 1) for key, item in value.items()}
        return INVALID if any(item is INVALID for item in pairs.values()) else pairs

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {}


@dataclass(frozen=True)
class NotATable(Json):
    """Any value but a table, which is something else where this stands."""

    what = "a value"

    def takes(self, value: Any) -> bool:
        return not isinstance(value, dict)

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": ["string", "number", "boolean", "array"]}


VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
VARIABLE_RULE = re.compile(VARIABLE)


class Environment(Shape):
    """Variables and their values. The values may be secrets: no message repeats one."""

    what = "a table"
    example = '{ NAME = "value" }'

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, str]:
        read = {}
        for name, content in value.items():
            place = (*path, name)
            if not VARIABLE_RULE.fullmatch(name):
                # The shell that every command runs under drops other names without a word.
                report(Named(place), "is not a name of a variable", "letters, digits and _ only, and no digit first")
            elif not isinstance(content, str):
                report(place, f"must be text, not {kind(content)}", _as_variable(name, content))
            elif "\0" in content:
                report(place, "holds a NUL character, which no variable can", "remove \\u0000")
            elif too_long(content, len(name.encode()) + 2):
                report(place, "is longer than 128 KiB, the system's limit", "put it into a file and name the file")
            else:
                read[name] = content
        return read

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        names = {"pattern": f"^{VARIABLE}$"}
        return {"type": "object", "propertyNames": names, "additionalProperties": {"type": "string"}}


def _as_variable(name: str, content: Any) -> str:
    """How a value is written that is no text. The value itself is not repeated."""
    if isinstance(content, list):
        return f'a variable holds one text, such as {name} = "a b" or "a:b"; as JSON: {name} = \'["a", "b"]\''
    if isinstance(content, dict):
        return f'a variable holds one text; as JSON: {name} = \'{{ "key": "value" }}\''
    return "put the value in quotes"


@dataclass(frozen=True)
class MapOf(Shape):
    """A table whose keys are names that the user chose."""

    what = "a table"
    shape: Shape
    written: str = ""  # how it is written, for who wrote something else

    @property
    def example(self) -> str:  # type: ignore[override]
        return f"{{ name = {self.shape.example or '…'} }}"

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def hint(self, value: Any) -> str:  # noqa: ARG002
        return self.written

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
        out = {}
        for name, item in value.items():
            place = (*path, name)
            if not NAME_RULE.fullmatch(name):
                report(Named(place), f"{quoted(name)} is not a name", name_hint(name))
            read = self.shape.read(item, place, report)
            if read is not INVALID:
                out[name] = read
        return out

    def schema(self, defs: Defs) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": self.shape.schema(defs),
        }


class Key(NamedTuple):
    shape: Shape
    about: str  # one sentence, shown by editors
    beside: tuple[str, ...] = ()  # it means something only next to one of these
    required: bool = False
    example: str = ""  # how it is written, where its shape does not say


class Table(Shape):
    """A table with known keys. `read` gives a dict of what was valid, an empty one for a value of another type.

    `one_of`: exactly one of these keys is there. `foreign`: hints for keys that other tools, or other tables, have;
    `otherwise`: the hint for a key that resembles none, `{}` for its name. `written`: how such a table is written, for
    who wrote something else.
    """

    what = "a table"

    def __init__(
        self,
        name: str,
        keys: Mapping[str, Key],
        *,
        one_of: tuple[str, ...] = (),
        foreign: Mapping[str, str] | None = None,
        otherwise: str = "",
        written: str = "",
    ) -> None:
        self.name = name
        self.keys = keys
        self.one_of = one_of
        self._foreign = foreign or {}
        self._otherwise = otherwise
        self._required = [key for key, spec in keys.items() if spec.required]
        self._hints: dict[tuple[str, bool], str] = {}
        self._written = written
        self._inner: dict[str, list[Table]] = {}
        first = next((key for key in (*one_of, *self._required, *keys) if keys[key].shape.example), "")
        self.example = f"{{ {first} = {keys[first].shape.example} }}" if first else ""

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def hint(self, value: Any) -> str:  # noqa: ARG002
        return self._written

    def read(self, value: Any, path: Path, report: Report) -> Any:
        read = super().read(value, path, report)
        return {} if read is INVALID else read

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
        read = {}
        strayed = self._strayed(value, path, report) if self.one_of else {}
        meant = {key for keys in strayed.values() for key in keys}
        for key, item in value.items():
            spec = self.keys.get(key)
            if spec is None:
                hint = self._unknown_hint(key, isinstance(item, dict))
                report(Named((*path, key)), f"there is no key {quoted(key)} here", hint)
                meant.update(_BACKTICKED.findall(hint))
                continue
            if spec.beside and not any(other in value for other in spec.beside):
                self._lonely(key, spec, value, path, report)
            if outer := strayed.get(key):
                item = {name: inner for name, inner in item.items() if name not in outer}
            converted = spec.shape.read(item, (*path, key), partial(_with_hint, report, key, spec))
            if converted is not INVALID:
                read[key] = converted
        # A key that is missing because it is misspelt, or stands elsewhere, was reported there.
        for key in self._required:
            if key not in value and key not in meant:
                example = self.keys[key].example or self.keys[key].shape.example
                report(path, f"needs a `{key}`", f"write {key} = {example}")
        if self.one_of and not meant.intersection(self.one_of):
            self._check_one_of(value, path, report)
        return read

    def _strayed(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, set[str]]:
        """Keys of this table that stand in one inside of it: what follows a head belongs to it. Where names are free,
        in `env` say, only what this table lacks."""
        strayed: dict[str, set[str]] = {}
        lacks = not any(key in value for key in self.one_of)
        for outer, item in value.items():
            spec = self.keys.get(outer)
            if not isinstance(item, dict) or spec is None:
                continue
            if (inner := self._inner.get(outer)) is None:
                inner = self._inner[outer] = tables(spec.shape)
            for key in item:
                if key not in self.keys or key in value:
                    continue
                if any(key in table.keys or table.has_foreign(key) for table in inner):
                    continue
                if not inner and not (lacks and key in self.one_of and isinstance(spec.shape, (Environment, MapOf))):
                    continue
                head = ".".join(str(part) for part in (*path, outer) if isinstance(part, str))
                form = f"[{head}]" if not any(isinstance(part, int) for part in path) else f"the head of `{outer}`"
                message = f"there is no key {quoted(key)} here"
                if not inner:
                    message = f"`{key}` became one of the names in `{outer}`: the {self.name} has none"
                hint = f"`{key}` belongs to the {self.name}: move it above {form}, whose own is all that follows it"
                report(Named((*path, outer, key)), message, hint)
                strayed.setdefault(outer, set()).add(key)
        return strayed

    def has_foreign(self, key: str) -> bool:
        """Whether it is known what is meant by that key here."""
        return key in self._foreign

    def _lonely(self, key: str, spec: Key, value: dict[str, Any], path: Path, report: Report) -> None:
        goes_with = " or ".join(f"`{other}`" for other in spec.beside)
        if not set(spec.beside) & set(self.one_of):
            report(Named((*path, key)), f"means nothing without {goes_with}", f"add {goes_with}, or remove it")
        elif chosen := next((other for other in self.one_of if other in value), None):
            report(Named((*path, key)), f"means nothing next to `{chosen}`", f"it goes with {goes_with}")

    def _check_one_of(self, value: dict[str, Any], path: Path, report: Report) -> None:
        given = [key for key in self.one_of if key in value]
        if not given:
            some = ", ".join(f"`{key}`" for key in self.one_of)
            first = self.one_of[0]
            example = self.keys[first].example or self.keys[first].shape.example
            report(path, f"needs one of {some}", f"add one of them: {first} = {example}")
        for other in given[1:]:
            report(Named((*path, other)), f"`{given[0]}` and `{other}` exclude each other", "remove one of them")

    def _unknown_hint(self, key: str, is_table: bool) -> str:
        if (key, is_table) not in self._hints:
            if len(self._hints) > 1000:
                self._hints.clear()
            self._hints[key, is_table] = self._find_hint(key, is_table)
        return self._hints[key, is_table]

    def _find_hint(self, key: str, is_table: bool) -> str:
        plain = key.replace("-", "_").lower()
        if plain in self.keys:
            return f"did you mean `{plain}`?"
        if plain in self._foreign:
            return self._foreign[plain]
        for outer, spec in self.keys.items():
            if any(plain in table.keys for table in tables(spec.shape)):
                return f"it stands inside `{outer}`: {outer} = {{ {plain} = … }}"
        if near := closest(plain, self.keys):
            return f"did you mean `{near}`?"
        if self._otherwise:
            return self._otherwise.format(key if is_table and NAME_RULE.fullmatch(key) else "NAME")
        return did_you_mean(plain, self.keys) if len(self.keys) <= 8 else "`jobctl schema` lists all keys"

    def schema(self, defs: Defs) -> dict[str, Any]:
        if self.name not in defs:
            defs[self.name] = {}  # its place in the order
            schema: dict[str, Any] = {
                "type": "object",
                "properties": {
                    key: {"description": spec.about} | spec.shape.schema(defs) for key, spec in self.keys.items()
                },
                "additionalProperties": False,
            }
            if self._required:
                schema["required"] = self._required
            if self.one_of:
                schema["oneOf"] = [{"required": [key]} for key in self.one_of]
            lonely = {
                key: {"anyOf": [{"required": [other]} for other in spec.beside]}
                for key, spec in self.keys.items()
                if spec.beside
            }
            if lonely:
                schema["dependentSchemas"] = lonely
            defs[self.name] = schema
        return {"$ref": f"#/$defs/{self.name}"}


_BACKTICKED = re.compile(r"`([a-z_]+)`")


def _with_hint(report: Report, key: str, spec: Key, path: Path, message: str, hint: str) -> None:
    """A problem that says no way out itself: how the key is written."""
    example = spec.example or spec.shape.example
    report(path, message, hint or (f"write {key} = {example}" if example else spec.about))


def tables(shape: Shape) -> list[Table]:
    """The tables that may stand where this shape stands, itself included."""
    match shape:
        case Table():
            return [shape]
        case Either():
            return [table for part in shape.shapes for table in tables(part)]
        case OneOrMany():
            return tables(shape.shape)
    return []


def all_keys(table: Table) -> frozenset[str]:
    """The keys of a table and of all tables that may stand in it. Names that users choose are not among them."""
    found: set[str] = set()
    left: list[Shape] = [table]
    seen: set[Table] = set()
    while left:
        match left.pop():
            case Table() as one:
                if one not in seen:
                    seen.add(one)
                    found.update(one.keys)
                    left += [spec.shape for spec in one.keys.values()]
            case Either() as one:
                left += one.shapes
            case OneOrMany() | MapOf() | Short() as one:
                left.append(one.shape)
            case ListOf() as one:
                left.append(one.items)
    return frozenset(found)
