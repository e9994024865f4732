"""Tables: which keys they may have, and what is said of one that they may not. Which keys those are is schema.py's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from jobctl.core.definition.positions import Path
from jobctl.core.definition.several import Either, Environment, ListOf, MapOf, OneOrMany, Short
from jobctl.core.definition.shapes import INVALID, NAME_RULE, Defs, Named, Report, Shape
from jobctl.core.definition.suggest import closest, did_you_mean, quoted
from jobctl.core.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
