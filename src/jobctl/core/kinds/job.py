"""The step kind `job`: a child run of another job of the same file."""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.core.kinds.kind import Kind, Way, texts_in
from jobctl.core.model import Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.definition.tables import Key


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.plain import Name
    from jobctl.core.definition.tables import Key

    return {"job": Key(Name(), "Runs this job of the same file and waits for it.", example='"other"')}


def _does(step: Step) -> str:
    return f"run the job {step.job}"


def _details(step: Step) -> Iterable[tuple[str, str]]:
    for name, value in step.params.items():
        yield "param", f"{name} = {value}"
    yield "on parent close", step.on_parent_close.value


def _texts(step: Step) -> Iterable[str]:
    return texts_in(step.params)


ROW = Kind(
    kind=StepKind.JOB,
    way=Way.CHILD,
    names=("job",),
    keys=_keys,
    beside=frozenset({"compensate", "foreach", "on_parent_close", "params", "retry", "timeout"}),
    does=_does,
    details=_details,
    limits=("start_to_close", "schedule_to_close"),  # a child run sends no heartbeats
    texts=_texts,
)
