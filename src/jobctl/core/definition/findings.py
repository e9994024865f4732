"""What is wrong with a definitions file: collected by key path, told with line, column and names at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobctl.core.definition.excerpt import excerpt
from jobctl.core.definition.positions import Path, Places
from jobctl.core.definition.shapes import NAME_RULE, Named
from jobctl.core.definition.suggest import quoted
from jobctl.core.errors import Problem

Raw = Mapping[str, Any]  # a table as tomllib gives it


class EnoughError(Exception):
    """So many problems that nobody reads the others."""


MOST_PROBLEMS = 1_000
_EXCERPTS = 100  # lines shown of one file: nobody reads more


class Findings:
    """Collects what is wrong by key path; lines and names are looked up at the end, and only if there is something."""

    def __init__(self, raw: Raw) -> None:
        self.failed = False
        self._raw = raw
        self._found: dict[tuple[Path, str], tuple[str, bool]] = {}  # what jobs inherit is reported once

    def error(self, path: Path, message: str, hint: str = "") -> None:
        self.failed = True
        self._found.setdefault((path, message), (hint, False))
        if len(self._found) >= MOST_PROBLEMS:
            raise EnoughError

    def replace(self, path: Path, message: str, hint: str) -> None:
        """An error in place of what was found there."""
        self._found = {key: value for key, value in self._found.items() if key[0] != path}
        self.error(path, message, hint)

    def warning(self, path: Path, message: str, hint: str) -> None:
        self._found.setdefault((path, message), (hint, True))

    def problems(self, file: str, text: str) -> list[Problem]:
        if not self._found:
            return []
        places = Places(text)
        problems: list[Problem] = []
        for (path, message), (hint, warning) in self._found.items():
            job, step, key = self._names(path)
            problem = Problem(message, hint=hint, file=file, job=job, step=step, key=key, warning=warning)
            span = None if isinstance(path, Named) else places.value(path)
            at, end = span or places.key(path) or (-1, -1)
            if at >= 0:
                # The line is that of the key, as ever, unless the value says more: an element of a list.
                problem.line = places.line(path)
                if places.line_of(at) != problem.line:
                    at, end = places.key(path) or (at, end)
                problem.column = at - text.rfind("\n", 0, at)
                if len(problems) < _EXCERPTS:
                    problem.excerpt = excerpt(text, at, end - at)
            problems.append(problem)
        return sorted(problems, key=lambda problem: problem.line)

    def _names(self, path: Path) -> tuple[str, str, str]:
        """Job, step and key that a path leads to: ("jobs", "trip", "steps", 0, "retry") -> trip, charge, retry."""
        if len(path) < 2 or path[0] != "jobs":
            return "", "", _dotted(path)
        job, rest = shown(path[1]), path[2:]
        if len(rest) < 2 or rest[0] != "steps":
            return job, "", _dotted(rest)
        name = look_up(self._raw, (*path[:4], "name"))
        known = isinstance(name, str) and NAME_RULE.fullmatch(name)
        return job, str(name) if known else f"#{int(rest[1]) + 1}", _dotted(rest[2:])


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else ("." if text else "") + shown(part)
    return text


def shown(name: str | int) -> str:
    return quoted(str(name))[1:-1]


def look_up(raw: Any, path: Path) -> Any:
    """What stands at the path, None where there is nothing."""
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    return raw
