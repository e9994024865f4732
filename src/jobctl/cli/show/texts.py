"""Values and statuses as people read them, in one line."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.values import Run

LONGEST = 200  # characters of a parameter, output or cursor; --json has all of it


def short(value: object, longest: int = LONGEST) -> str:
    shown = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def words(status: str) -> str:
    """A status as people read it."""
    return status.replace("_", " ")


def standing(run: Run) -> str:
    """A run's status in words; a run that nobody is at is `interrupted`."""
    return "interrupted" if run.interrupted else words(run.status)
