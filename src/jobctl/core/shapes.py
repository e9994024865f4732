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
from jobctl.core.cron import CronError, parse_cron
from jobctl.core.model import Millis
from jobctl.core.places import Path
from jobctl.core.references import mentioned
from jobctl.core.suggest import closest, did_you_mean, quoted
from jobctl.core.zones import ZoneError, check_zone, parse_instant

Report = Callable[[Path, str, str], None]  # where, what is wrong, the way out
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

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if not value and not self.empty:
            report(path, "is empty", "leave the key out, or give it a value")
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
    near = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:63]
    rule = "a name has 1 to 63 of A-Z a-z 0-9 _ - and begins with a letter or digit"
    return f"{rule}: {near}" if near and near != text else rule


class Boolean(Shape):
    what = "true or false"

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool)

    def hint(self, value: Any) -> str:
        return "without quotes" if isinstance(value, str) else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "boolean"}


@dataclass(frozen=True)
class Integer(Shape):
    what = "an integer"
    least: int = -MAX_INTEGER
    most: int = MAX_INTEGER

    def takes(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def convert(self, value: int, path: Path, report: Report) -> Any:
        if self.least <= value <= self.most:
            return value
        if value < self.least and self.least > -MAX_INTEGER:
            report(path, f"must be at least {self.least}", "")
        elif abs(value) > MAX_INTEGER:
            report(path, "is too large a number", f"the largest is {min(self.most, MAX_INTEGER)}")
        else:
            report(path, f"must be at most {self.most}", "")
        return INVALID

    def hint(self, value: Any) -> str:
        return "without quotes" if isinstance(value, str) and value.strip("+-").isdigit() else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number(Shape):
    what = "a number"
    least: float = 0.0

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def convert(self, value: float, path: Path, report: Report) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            report(path, "must be a finite number", "nan and inf are none")
        elif value < self.least:
            report(path, f"must be at least {self.least:g}", "")
        elif value > MAX_INTEGER:
            report(path, "is too large a number", f"the largest is {MAX_INTEGER}")
        else:
            return float(value)
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "number", "minimum": self.least, "maximum": MAX_INTEGER}


@dataclass(frozen=True)
class Choice(Shape):
    what = "text"
    choices: tuple[str, ...]

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if value in self.choices:
            return self.choices[self.choices.index(value)]  # the enum's member, where it is one
        near = closest(value, self.choices)
        some = ", ".join(f'"{choice}"' for choice in self.choices)
        report(path, f"{quoted(value)} is not one of {some}", f'did you mean "{near}"?' if near else "")
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"enum": [str(choice) for choice in self.choices]}


# --- time and size ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Duration(Shape):
    what = 'a duration such as "30s"'
    least: Millis = 1

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
            report(path, "must be longer than nothing", "leave the key out, or give it a time")
        else:
            report(path, f"must be at least {durations.format(self.least)}", "")
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

    def schema(self, defs: Defs) -> dict[str, Any]:
        schema = super().schema(defs)
        return {**schema, "examples": [*schema["examples"], "@reboot"]}


class Zone(Shape):
    what = "the name of a time zone"

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

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, str)) and not isinstance(value, bool)

    def convert(self, value: int | str, path: Path, report: Report) -> Any:
        if isinstance(value, str):
            match = _SIZE.fullmatch(value)
            if match is None or match[2] not in _SIZES:
                report(path, f"{quoted(value)} is not a size", 'write "64MiB", "10MB", "500KiB" or a number of bytes')
                return INVALID
            value = int(match[1]) * _SIZES[match[2]]
        return Integer(least=1).read(value, path, report)

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        sized = {"type": "string", "pattern": f"^[0-9]{{1,15}} ?({'|'.join(_SIZES)})$"}
        return {"anyOf": [sized, {"type": "integer", "minimum": 1}]}


# --- values made of values -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ListOf(Shape):
    what = "a list"
    items: Shape
    least: int = 0
    most: int | None = None

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
        return "put it in brackets: [ … ]" if self.items.takes(value) else ""

    def schema(self, defs: Defs) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.items.schema(defs)}
        if self.least:
            schema["minItems"] = self.least
        if self.most is not None:
            schema["maxItems"] = self.most
        return schema


@dataclass(frozen=True)
class Arguments(ListOf):
    """A list command: the program, which must be there, and its arguments, which may be empty."""

    what = "a list of texts"
    items: Shape = field(default_factory=lambda: Text(empty=True))
    least: int = 1

    def convert(self, value: list[Any], path: Path, report: Report) -> Any:
        if value and value[0] == "":
            report((*path, 0), "is empty: a list command begins with the program", 'write ["program", "argument"]')
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

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, str]:
        read = {}
        for name, content in value.items():
            place = (*path, name)
            if not VARIABLE_RULE.fullmatch(name):
                # The shell that every command runs under drops other names without a word.
                report(place, "is not a name of a variable", "letters, digits and _ only, and no digit first")
            elif not isinstance(content, str):
                report(place, f"must be text, not {kind(content)}", "put the value in quotes")
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


@dataclass(frozen=True)
class MapOf(Shape):
    """A table whose keys are names that the user chose."""

    what = "a table"
    shape: Shape

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
        out = {}
        for name, item in value.items():
            place = (*path, name)
            if not NAME_RULE.fullmatch(name):
                report(place, f"{quoted(name)} is not a name", name_hint(name))
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


class Table(Shape):
    """A table with known keys. `read` gives a dict of what was valid, an empty one for a value of another type.

    `one_of`: exactly one of these keys is there. `foreign`: hints for keys that other tools, or other tables, have;
    `otherwise`: the hint for a key that resembles none.
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
    ) -> None:
        self.name = name
        self.keys = keys
        self.one_of = one_of
        self._foreign = foreign or {}
        self._otherwise = otherwise
        self._required = [key for key, spec in keys.items() if spec.required]
        self._hints: dict[str, str] = {}

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any, path: Path, report: Report) -> Any:
        read = super().read(value, path, report)
        return {} if read is INVALID else read

    def convert(self, value: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
        read = {}
        for key, item in value.items():
            spec = self.keys.get(key)
            if spec is None:
                report((*path, key), f"there is no key {quoted(key)} here", self._unknown_hint(key))
                continue
            if spec.beside and not any(other in value for other in spec.beside):
                self._lonely(key, spec, value, path, report)
            converted = spec.shape.read(item, (*path, key), partial(_with_hint, report, spec.about))
            if converted is not INVALID:
                read[key] = converted
        for key in self._required:
            if key not in value:
                report(path, f"needs a `{key}`", self.keys[key].about)
        if self.one_of:
            self._check_one_of(value, path, report)
        return read

    def _lonely(self, key: str, spec: Key, value: dict[str, Any], path: Path, report: Report) -> None:
        goes_with = " or ".join(f"`{other}`" for other in spec.beside)
        if not set(spec.beside) & set(self.one_of):
            report((*path, key), f"means nothing without {goes_with}", f"add {goes_with}, or remove it")
        elif chosen := next((other for other in self.one_of if other in value), None):
            report((*path, key), f"means nothing next to `{chosen}`", f"it goes with {goes_with}")

    def _check_one_of(self, value: dict[str, Any], path: Path, report: Report) -> None:
        given = [key for key in self.one_of if key in value]
        if not given:
            some = ", ".join(f"`{key}`" for key in self.one_of)
            report(path, f"needs one of {some}", "add one of them")
        for other in given[1:]:
            report((*path, other), f"`{given[0]}` and `{other}` exclude each other", "remove one of them")

    def _unknown_hint(self, key: str) -> str:
        if key not in self._hints:
            if len(self._hints) > 1000:
                self._hints.clear()
            self._hints[key] = self._find_hint(key)
        return self._hints[key]

    def _find_hint(self, key: str) -> str:
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
            return self._otherwise
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


def _with_hint(report: Report, about: str, path: Path, message: str, hint: str) -> None:
    report(path, message, hint or about)


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
