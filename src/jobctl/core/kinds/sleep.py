"""The step kind `sleep`: until a time, or for so long. Written `sleep` or `sleep_until`."""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.core.kinds.kind import Checks, Kind, Way
from jobctl.core.model import Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.definition.tables import Key


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.moments import Duration, Instant
    from jobctl.core.definition.tables import Key

    return {
        "sleep": Key(Duration(), "Waits so long; costs nothing meanwhile."),
        "sleep_until": Key(Instant(text=True), "Waits until this time, or a reference to one."),
    }


def _does(step: Step) -> str:
    from jobctl.core.durations import format

    return f"sleep {format(step.sleep)}" if step.sleep is not None else f"sleep until {step.sleep_until}"


def _texts(step: Step) -> Iterable[str]:
    return (step.sleep_until,) if step.sleep_until is not None else ()


def _check(step: dict[str, Any], checks: Checks) -> None:
    if "sleep_until" in step:
        checks.text(step["sleep_until"], "sleep_until")


ROW = Kind(
    kind=StepKind.SLEEP,
    way=Way.TIMER,
    names=("sleep", "sleep_until"),
    keys=_keys,
    beside=frozenset(),
    does=_does,
    texts=_texts,
    check=_check,
)
