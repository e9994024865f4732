"""What the reader of a file lends to the row of a step's kind, which looks at its own keys: a place to report to, and
what may be named there. What is wrong with them is said in core/kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from jobctl.core.definition.findings import Findings
from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import Scope
from jobctl.core.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Place(NamedTuple):
    """A step: where it stands, and what may be named there."""

    job: str
    path: Path
    scope: Scope
    env: frozenset[str] | None  # its variables; None: there may be others


class StepChecks:
    """What the reader lends to the row of a step's kind."""

    def __init__(
        self,
        text: Callable[[str, str, Path, Scope], None],
        command: Callable[[str, str | tuple[str, ...], Path, Scope], None],
        findings: Findings,
        place: Place,
    ) -> None:
        self._text, self._command, self._findings, self._place = text, command, findings, place

    def text(self, text: str, *keys: str | int, env: bool = False) -> None:
        place, scope = self._place, self._place.scope
        if env:
            scope = replace(scope, env=place.env or (), more_env=place.env is None, secret=True)
        self._text(place.job, text, (*place.path, *keys), scope)

    def command(self, command: str | tuple[str, ...], *keys: str | int) -> None:
        self._command(self._place.job, command, (*self._place.path, *keys), self._place.scope)

    def error(self, message: str, hint: str, *keys: str | int) -> None:
        self._findings.error((*self._place.path, *keys), message, hint)

    def warning(self, message: str, hint: str, *keys: str | int) -> None:
        self._findings.warning((*self._place.path, *keys), message, hint)


# What every step has of the process that runs it.
_INHERITED: frozenset[str] = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"})


def variables(*tables: Mapping[str, Any]) -> frozenset[str] | None:
    """The variables that a step has, None where nobody can know before the run."""
    if any(table.get("env_file") or table.get("inherit_env") for table in tables):
        return None
    return _INHERITED.union(*(table.get("env", {}) for table in tables))
