"""What a figure is: numbers, those of a reference measured in turns with them, a goal, a verdict. No measuring here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Size(StrEnum):
    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"  # does the code work? Its numbers say nothing

    def of(self, full: T, quick: T, tiny: T) -> T:
        return {Size.FULL: full, Size.QUICK: quick, Size.TINY: tiny}[self]


class Bench(NamedTuple):
    """What every figure is given."""

    folder: Path  # empty, its own, on a disk; gone when all is measured
    size: Size
    cache: Path  # where other tools are installed
    install: bool  # whether those that are missing may be
    earlier: Path | None = None  # a checkout of an earlier version


class Goal(NamedTuple):
    of: str  # ratio | value | difference: of the value and the reference
    bound: str  # >= | <=
    limit: float

    def __str__(self) -> str:
        return f"{self.bound} {self.limit:g}" + {"ratio": " x", "difference": " more"}.get(self.of, "")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `measured[i]` and `compared[i]` were measured one right after the other."""

    figure: str
    what: str
    unit: str = ""
    measured: Sequence[float] = ()
    reference: str = ""  # what `compared` is; "" = nothing
    compared: Sequence[float] = ()
    goal: Goal | None = None
    skipped: str = ""  # why nothing was measured
    at: int = 0  # how many there were, in a figure that measures the same at several sizes

    def __post_init__(self) -> None:
        # Now, where it costs this figure, and not when the table of all of them is made.
        if self.compared and len(self.compared) != len(self.measured):
            raise ValueError(f"{self.what}: {len(self.measured)} measurements beside {len(self.compared)}")

    @property
    def value(self) -> float | None:
        return median(self.measured) if self.measured else None

    @property
    def reference_value(self) -> float | None:
        return median(self.compared) if self.compared else None

    @property
    def ratios(self) -> list[float]:
        """Of each pair: what disturbs a machine for a second or two disturbs both."""
        if not self.compared:
            return []
        return [ours / theirs for ours, theirs in zip(self.measured, self.compared, strict=True)]

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    @property
    def difference(self) -> float | None:
        pairs = zip(self.measured, self.compared, strict=True) if self.compared else ()
        return median(differences) if (differences := [ours - theirs for ours, theirs in pairs]) else None

    @property
    def ok(self) -> bool | None:
        """None where there is no goal, or nothing was measured."""
        if self.goal is None:
            return None
        found = {"ratio": self.ratio, "difference": self.difference}.get(self.goal.of, self.value)
        if found is None:
            return None
        return found >= self.goal.limit if self.goal.bound == ">=" else found <= self.goal.limit

    def document(self) -> dict[str, Any]:
        """The row as JSON, with all that was measured."""
        return {
            "figure": self.figure,
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "reference": self.reference or None,
            "reference_value": self.reference_value,
            "ratio": self.ratio,
            "goal": str(self.goal) if self.goal else None,
            "ok": self.ok,
            "skipped": self.skipped or None,
            "at": self.at or None,
            "measured": list(self.measured),
            "compared": list(self.compared),
        }


class SkippedError(Exception):
    """A figure that cannot be measured here. The message says why."""
