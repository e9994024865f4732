"""Values in one line, cut where they are long."""

from __future__ import annotations

import json

LONGEST = 200  # characters of a parameter, output or cursor; --json has all of it


def short(value: object, longest: int = LONGEST) -> str:
    shown = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def words(status: str) -> str:
    """A status as people read it."""
    return status.replace("_", " ")
