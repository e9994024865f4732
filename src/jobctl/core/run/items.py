"""The items of a `foreach` step: what can be a list of them, which are still to start, what they have handed on.

What follows for the run is decide.py's business, where the list comes from the engine's.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping

from jobctl.core.model import MAX_ITEMS, ForEach
from jobctl.core.run.history import RunState, StepState
from jobctl.core.status import RunStatus, StepStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMED = 10  # failed items that an error names


class FanOut:
    """The items of one step in one try of the run. `waiting` are those that are to be done, of `total` in its list.

    All that is asked for every event takes the same time, however many items there are.
    """

    __slots__ = ("_foreach", "active", "canceled", "closed", "failed", "queued", "timed_out", "total", "waiting")

    def __init__(self, foreach: ForEach, total: int, waiting: Iterable[int]) -> None:
        self._foreach = foreach
        self.total = total
        self.waiting = deque(waiting)
        self.active = 0  # started, and not ended
        self.failed: list[int] = []
        self.timed_out: list[int] = []
        self.canceled = 0
        self.closed = False  # nothing of it starts any more
        self.queued = False  # it has its place among what is ready

    @property
    def may_start(self) -> bool:
        """Whether another item may start now, as far as it is for the step to say."""
        most = self._foreach.max_parallel
        return bool(self.waiting) and not self.closed and (most is None or self.active < most)

    @property
    def over(self) -> bool:
        return not self.active and (self.closed or not self.waiting)

    @property
    def done(self) -> int:
        """How many have ended, those of earlier tries included."""
        return self.total - self.active - len(self.waiting)

    def start(self) -> int:
        """The item that is next, which counts as started."""
        self.active += 1
        return self.waiting.popleft()

    def end(self, index: int, status: StepStatus) -> None:
        self.active -= 1
        if status is StepStatus.FAILED:
            self.failed.append(index)
        elif status is StepStatus.TIMED_OUT:
            self.timed_out.append(index)
        elif status is StepStatus.CANCELED:
            self.canceled += 1
        else:
            return
        self.closed = self.closed or self._foreach.fail_fast

    def close(self) -> None:
        self.closed = True

    def result(self, outcome: RunStatus | None) -> tuple[StepStatus, str | None]:
        """How the step ends, and why not well. `outcome`: what the run has come to, None while all goes well."""
        bad, left = len(self.failed) + len(self.timed_out), len(self.waiting) + self.canceled
        if not bad and not left:
            return StepStatus.SUCCEEDED, None
        parts = []
        if bad:
            parts.append(f"{bad} of {self.total} items failed: {self._names()}")
        if left:
            parts.append(f"{left} of {self.total} items were not done")
        if outcome is RunStatus.TIMED_OUT and not self.failed:
            status = StepStatus.TIMED_OUT
        else:
            status = StepStatus.FAILED if bad else StepStatus.CANCELED
        return status, "; ".join(parts)

    def _names(self) -> str:
        bad = sorted([*self.failed, *self.timed_out])
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        return ", ".join(f"[{index}]" for index in bad[:_NAMED]) + more

    def snapshot(self) -> dict[str, Any]:
        """Everything it knows beside the definition, as JSON values; not whether it is queued."""
        return {
            "total": self.total,
            "waiting": list(self.waiting),
            "active": self.active,
            "failed": list(self.failed),
            "timed_out": list(self.timed_out),
            "canceled": self.canceled,
            "closed": self.closed,
        }

    @classmethod
    def restore(cls, foreach: ForEach, saved: Mapping[str, Any]) -> FanOut:
        self = cls(foreach, saved["total"], saved["waiting"])
        self.active = saved["active"]
        self.failed = list(saved["failed"])
        self.timed_out = list(saved["timed_out"])
        self.canceled = saved["canceled"]
        self.closed = saved["closed"]
        return self


def listed(value: Any) -> list[Any]:
    """A value as a list of items: a list, or the JSON text of one. ValueError says what it is instead."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("is empty, not a JSON list")
        try:
            value = json.loads(value, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(value, (list, tuple)):
        kind = {dict: "an object", str: "a text", bool: "true or false", type(None): "null"}.get(
            type(value), "a number"
        )
        raise ValueError(f"is {kind}, not a list")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"has {len(value):,} items, {MAX_ITEMS:,} is the limit")
    if _deeper(value, _DEEPEST):
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    return list(value)


def outputs(state: RunState, step: StepState) -> list[Mapping[str, Any]]:
    """What each item of a step has handed on, in their order."""
    return [item.outputs if item is not None else {} for item in state.items_of(step)]


def last_lines(state: RunState, step: StepState) -> list[str | None]:
    """The last line that each item has written, in their order; None where it did not end well."""
    return [item.stdout if item is not None else None for item in state.items_of(step)]


_DEEPEST = 64


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _deeper(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    return not depth or any(_deeper(inner, depth - 1) for inner in value)
