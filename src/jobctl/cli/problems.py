"""What is wrong with definitions and with what is recorded, in a few lines beside what a command shows."""

from __future__ import annotations

import os

from jobctl.cli import printing
from jobctl.cli.show.texts import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.core.errors import Problem

_DAMAGE_SHOWN = 5  # rows of the store that cannot be read
_LONGEST = 600


def say_problems(problems: Sequence[Problem]) -> None:
    """Of the definitions the first with its place in one line: `validate` has them all. Of the store some."""
    defined = [problem for problem in problems if problem.file]
    stored = list({str(problem): problem for problem in problems if not problem.file}.values())
    for found, shown, where in ((defined, 1, ": jobctl validate"), (stored, _DAMAGE_SHOWN, ", as --json says")):
        for place, problem in enumerate(found[:shown], 1):
            rest = len(found) - shown
            more = f" (and {rest} more{where})" if rest > 0 and place == shown else ""
            text = str(problem).removeprefix(os.getcwd() + "/")
            printing.note(f"warning: {short(text, _LONGEST)}{more}")
