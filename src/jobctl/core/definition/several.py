"""What holds several values, or may be one of several: lists, short forms, JSON, variables, maps.

Tables with keys of their own are in tables.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date, time

from jobctl.core.definition.plain import Integer, Text, name_hint, too_long
from jobctl.core.definition.positions import Path
from jobctl.core.definition.shapes import INVALID, NAME, NAME_RULE, Defs, Named, Report, Shape, kind
from jobctl.core.definition.suggest import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 32


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
        def also(place: Path, message: str, hint: str) -> None:
            # The way out may be another of the shapes: "200" is a number in quotes.
            report(place, message, hint or (self.hint(value) if place == path else ""))

        return next(shape for shape in self.shapes if shape.takes(value)).convert(value, path, also)

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
