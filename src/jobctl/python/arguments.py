"""What is handed to `jobctl.Client`, checked: each wrong value is one sentence, before anything is asked or recorded.
What the values mean is not known here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping

from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.durations import LONGEST
from jobctl.core.errors import UsageError
from jobctl.core.status import RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN = 60  # characters of a value
_MOST_RUNS = 1_000_000


def text(name: str, value: object) -> str:
    """A text that can be kept: half a character cannot."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {shown(value)}, which is no text", hint="give a str")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name} is {shown(value)}, which holds half a character", hint="give valid Unicode") from None
    return value


def text_if_any(name: str, value: object) -> str | None:
    return None if value is None else text(name, value)


def params(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"params is {shown(value)}, which is no mapping", hint='for example: {"order": "7"}')
    for key, one in value.items():
        if not isinstance(key, str):
            raise UsageError(f"params has the name {shown(key)}, which is no text", hint="a parameter's name is a str")
        try:
            json.dumps(one, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"parameter {key} cannot be kept: {error}", hint="give a str, or plain JSON values"
            ) from None
    return dict(value)


def milliseconds(name: str, value: object) -> int | None:
    """Of seconds that have an end."""
    if value is None:
        return None
    found = seconds(name, value)
    if found is None or not 0 < found <= LONGEST / 1000:
        raise UsageError(f"{name} is {shown(value)}", hint="give more than 0 seconds, and no more than a century")
    return max(1, round(found * 1000))


def seconds(name: str, value: object) -> float | None:
    """None where there is no end."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{name} is {shown(value)}, which is no number", hint="give seconds, as a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isnan(found):
        raise UsageError(f"{name} is nan, which is no number of seconds", hint="give seconds, as a number")
    return None if found == math.inf else found


def number(name: str, value: object) -> int:
    """A count."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST_RUNS:
        raise UsageError(f"{name} is {shown(value)}", hint=f"give a whole number from 1 to {_MOST_RUNS:,}")
    return value


def statuses(value: object) -> list[str]:
    """One, or several."""
    found = _several("statuses", value)
    for one in found:
        if one not in tuple(RunStatus):
            raise UsageError(
                f"there is no status {shown(one)}",
                hint=(did_you_mean(one, list(RunStatus)) if isinstance(one, str) else "")
                or f"there are: {', '.join(RunStatus)}",
            )
    return [str(one) for one in found]


def paths(value: object) -> list[str]:
    """One, or several."""
    return [path("files", one) for one in _several("files", value)]


def path(name: str, value: object) -> str:
    found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(found, str) or "\0" in found:
        raise UsageError(f"{name} is {shown(value)}, which is no path", hint="give a str or a pathlib.Path")
    return found


def _several(name: str, value: object) -> list[Any]:
    if isinstance(value, (str, os.PathLike)):
        return [value]
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise UsageError(f"{name} is {shown(value)}, which is no list", hint="give a list of texts")
    return list(value)


def shown(value: object) -> str:
    found = ascii(value) if isinstance(value, (str, bytes, int, float, type(None))) else f"a {type(value).__name__}"
    return found if len(found) <= _SHOWN else found[: _SHOWN - 3] + "..."
