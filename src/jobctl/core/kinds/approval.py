"""The step kind `approval`: asks a person, and waits for the answer."""

from __future__ import annotations

from jobctl.core.kinds.kind import Kind, Way
from jobctl.core.model import Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.definition.tables import Key


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.plain import Text
    from jobctl.core.definition.tables import Key

    about = "Asks a person this question and waits for the answer."
    return {"approval": Key(Text(literal=True), about, example='"Ship it?"')}


def _does(step: Step) -> str:
    return f"ask for approval: {step.approval}"


def _message(step: Step) -> str:  # noqa: ARG001 - as the others
    return "the answer"


ROW = Kind(
    kind=StepKind.APPROVAL,
    way=Way.MESSAGE,
    names=("approval",),
    keys=_keys,
    beside=frozenset({"compensate", "foreach", "on_timeout", "timeout"}),
    does=_does,
    message=_message,
)
