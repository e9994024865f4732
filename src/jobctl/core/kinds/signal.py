"""The step kind `signal`: waits until somebody sends the run a message of that name."""

from __future__ import annotations

from jobctl.core.kinds.kind import Kind, Way
from jobctl.core.model import Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.definition.tables import Key


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.plain import Name
    from jobctl.core.definition.tables import Key

    return {"signal": Key(Name(), "Waits for the signal of this name.", example='"paid"')}


def _does(step: Step) -> str:
    return f"wait for the signal {step.signal}"


def _message(step: Step) -> str:
    return f"the signal {step.signal}"


ROW = Kind(
    kind=StepKind.SIGNAL,
    way=Way.MESSAGE,
    names=("signal",),
    keys=_keys,
    beside=frozenset({"compensate", "on_timeout", "timeout"}),
    does=_does,
    message=_message,
)
