"""The parameters of a job: their types, defaults and choices. What a run is given is parameters.py's."""

from __future__ import annotations

from datetime import date, datetime

from jobctl.core.definition import references
from jobctl.core.definition.findings import look_up
from jobctl.core.definition.moments import is_date
from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import Scope
from jobctl.core.definition.shapes import kind
from jobctl.core.definition.suggest import quoted
from jobctl.core.definition.texts import Clean, Texts
from jobctl.core.model import (
    Param,
    ParamType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ParamReader(Texts):
    def _read_params(self, job: str, tables: dict[str, Clean]) -> dict[str, Param]:
        params = {}
        variables: dict[str, str] = {}
        for name, table in tables.items():
            place = self._place(job, "params", name)
            params[name] = self._param(job, name, table)
            other = variables.setdefault(references.parameter_variable(name), name)
            if other != name:
                variable = references.parameter_variable(name)
                self._error(place, f"parameters {other} and {name} would both be ${variable}", "rename one of them")
        return params

    def _param(self, job: str, name: str, table: Clean) -> Param:
        place = self._place(job, "params", name)
        raw_default = look_up(self._raw, self._place(job, "params", name, "default"))
        if not isinstance(look_up(self._raw, place), dict):
            raw_default = look_up(self._raw, place)
        default, choices = table.get("default"), table.get("choices", ())
        example = choices[0] if default is None and choices else default
        of = table.get("type") or _type_of(raw_default) or _type_of(example) or ParamType.STRING
        at = (*place, "default") if isinstance(look_up(self._raw, place), dict) else place
        if isinstance(default, str) and "{{" in default:
            if of in (ParamType.STRING, ParamType.DATE):
                self._check_text(job, default, at, _RUN_ONLY)
            else:
                self._error(at, f"a reference gives text, and the type is {of}", 'write type = "string" or "date"')
        elif default is not None:
            self._check_value(default, of, at, choices)
        if of is ParamType.LIST and choices:
            self._error((*place, "choices"), "a list has no choices", "leave `choices` out")
        else:
            for i, choice in enumerate(choices):
                self._check_value(choice, of, (*place, "choices", i))
        return Param(of, default, choices, table.get("description", ""))

    def _check_value(self, value: Any, of: ParamType, path: Path, choices: tuple[Any, ...] = ()) -> None:
        if not _FITS[of](value):
            hint = f'the type of the parameter is "{of}"'
            self._error(path, f"must be {TYPE_NAMES[of]}, not {_described(value)}", hint)
        elif choices and not any(value == choice and type(value) is type(choice) for choice in choices):
            self._error(path, "is not one of the parameter's choices", "add it to `choices`, or take one of them")


_RUN_ONLY = Scope()


TYPE_NAMES = {
    ParamType.STRING: "text",
    ParamType.INTEGER: "an integer",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.DATE: 'a date such as "2027-01-01"',
    ParamType.LIST: "a list",
}


_FITS = {
    ParamType.STRING: lambda value: isinstance(value, str),
    ParamType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    ParamType.NUMBER: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    ParamType.BOOLEAN: lambda value: isinstance(value, bool),
    ParamType.DATE: lambda value: isinstance(value, str) and is_date(value),
    ParamType.LIST: lambda value: isinstance(value, list),
}


def _type_of(value: Any) -> ParamType | None:
    """The type that a default, as the file has it, gives its parameter."""
    if isinstance(value, bool):
        return ParamType.BOOLEAN
    if isinstance(value, date) and not isinstance(value, datetime):
        return ParamType.DATE
    types = {int: ParamType.INTEGER, float: ParamType.NUMBER, list: ParamType.LIST}
    return None if value is None else types.get(type(value), ParamType.STRING)


def _described(value: Any) -> str:
    return f"the text {quoted(value)}" if isinstance(value, str) else kind(value)
