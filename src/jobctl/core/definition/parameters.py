"""A run's parameters: what was given and what the job declares -> typed values. And how a value reads as text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jobctl.core.definition import references
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.errors import UsageError
from jobctl.core.model import Job, Param, ParamType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_KEY = 200
_MOST_DIGITS = 20  # of a whole number


def values(job: Job, given: Mapping[str, Any], run: Mapping[str, str]) -> dict[str, Any]:
    """Every parameter of the job with its value: given, or its default with `run.*` filled in from `run`.

    Given values are texts (from a command line) or JSON values. UsageError names the parameter, what is wrong and what
    would be right.
    """
    for name in given:
        if name not in job.params:
            known = ", ".join(job.params)
            raise UsageError(
                f"job {job.name} has no parameter {name!r}",
                hint=did_you_mean(name, job.params) or (f"it has: {known}" if known else "it takes no parameters"),
            )
    out: dict[str, Any] = {}
    for name, param in job.params.items():
        if name in given:
            value = given[name]
        elif param.default is not None:
            value = param.default
            if isinstance(value, str):
                value = references.resolve(value, lambda reference: run.get(reference.path[-1], ""))
        else:
            raise UsageError(f"job {job.name} needs the parameter {name!r}", hint=f"give it with: -p {name}=…")
        out[name] = typed(name, param, value)
    return out


def key_of(job: Job, params: Mapping[str, Any], run: Mapping[str, str]) -> str | None:
    """What the job's `key` says of a run with these parameters. UsageError for a text that is no key."""
    if job.key is None:
        return None

    def value(reference: references.Reference) -> str:
        name = reference.path[-1]
        return as_text(params[name]) if reference.root == "params" else run.get(name, "")

    return checked_key(references.resolve(job.key, value))


def checked_key(key: str) -> str:
    """UsageError for a text that cannot be a run's key."""
    if not key.strip() or len(key) > LONGEST_KEY or not key.isprintable():
        shown = repr(key if len(key) <= 60 else key[:57] + "...")
        raise UsageError(
            f"{shown} cannot be the key of a run",
            hint=f"a key has 1 to {LONGEST_KEY} characters, one of them no blank, and no control characters",
        )
    return key


def typed(name: str, param: Param, value: Any) -> Any:
    """The value as the parameter's type. UsageError when it is none, or not one of the choices."""
    try:
        out = _CONVERT[param.type](value)
    except OverflowError:
        raise UsageError(
            f"parameter {name} has more than {_MOST_DIGITS} digits", hint='such a number is a text: type = "string"'
        ) from None
    except (ValueError, TypeError):
        shown = value if isinstance(value, str) else json.dumps(value)
        raise UsageError(
            f"parameter {name} is {shown!r}, which is not {_EXPECTED[param.type]}",
            hint=f"for example: -p {name}={_EXAMPLE[param.type]}",
        ) from None
    if param.choices and out not in param.choices:
        choices = ", ".join(as_text(choice) for choice in param.choices)
        raise UsageError(f"parameter {name} is {as_text(out)!r}", hint=f"it is one of: {choices}")
    return out


def as_text(value: Any) -> str:
    """A value as a command gets it: texts as they are, true and false, numbers, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _string(value: Any) -> str:
    text = as_text(value)
    if "\0" in text:
        raise ValueError("NUL")
    return text


def _integer(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise ValueError(value)
    if isinstance(value, str) and len(value) > _MOST_DIGITS:
        # `int` would take its time with a very long one.
        raise OverflowError if value.lstrip("+-").isdigit() else ValueError(value)
    return int(value)


def _number(value: Any) -> float | int:
    if isinstance(value, bool):
        raise ValueError(value)
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return int(number) if isinstance(value, (int, str)) and "." not in str(value) and number.is_integer() else number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    text = str(value).lower()
    if text not in known:
        raise ValueError(value)
    return known[text]


def _date(value: Any) -> str:
    import re

    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(value)
    import datetime

    return datetime.date.fromisoformat(value).isoformat()


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, (list, tuple)):
        raise ValueError(value)
    return list(value)


_CONVERT = {
    ParamType.STRING: _string,
    ParamType.INTEGER: _integer,
    ParamType.NUMBER: _number,
    ParamType.BOOLEAN: _boolean,
    ParamType.DATE: _date,
    ParamType.LIST: _list,
}
_EXPECTED = {
    ParamType.STRING: "a text",
    ParamType.INTEGER: "a whole number",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.DATE: "a date like 2026-12-24",
    ParamType.LIST: "a JSON list",
}
_EXAMPLE = {
    ParamType.STRING: "text",
    ParamType.INTEGER: "3",
    ParamType.NUMBER: "2.5",
    ParamType.BOOLEAN: "true",
    ParamType.DATE: "2026-12-24",
    ParamType.LIST: '\'["a", "b"]\'',
}
