"""The table of step kinds: whoever asks what kind a step is asks it. A kind is a file of this folder and a row here.

tests/core/kinds/ walks the table: a kind that is missing in one of the places that speak of kinds fails there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from jobctl.core.kinds import approval, command, http, job, signal, sleep
from jobctl.core.kinds.kind import Kind as Kind
from jobctl.core.kinds.kind import Runner as Runner
from jobctl.core.kinds.kind import UnfitError as UnfitError
from jobctl.core.kinds.kind import Way as Way
from jobctl.core.model import Step, StepKind


def _row(kind: StepKind) -> Kind:
    match kind:
        case StepKind.COMMAND:
            return command.ROW
        case StepKind.SLEEP:
            return sleep.ROW
        case StepKind.SIGNAL:
            return signal.ROW
        case StepKind.APPROVAL:
            return approval.ROW
        case StepKind.HTTP:
            return http.ROW
        case StepKind.JOB:
            return job.ROW
        case unknown:
            assert_never(unknown)


# In the order in which people are told of them.
KINDS: dict[StepKind, Kind] = {kind: _row(kind) for kind in StepKind}

_BY_KEY = {name: row for row in KINDS.values() for name in row.names}

NAMES = tuple(_BY_KEY)  # the keys of which a step has exactly one


def of(step: Step) -> Kind:
    """The row of a step's kind."""
    return KINDS[step.kind]


def of_table(step: Mapping[str, Any]) -> Kind:
    """The row of the kind of a step that is still a table: of a definitions file, or kept with a run. A table without
    any of the keys, which is no step, is taken for a command."""
    for name, row in _BY_KEY.items():
        if step.get(name) is not None:
            return row
    return KINDS[StepKind.COMMAND]


def beside(key: str) -> tuple[str, ...]:
    """The keys next to which another one means something."""
    return tuple(name for name, row in _BY_KEY.items() if key in row.beside)
