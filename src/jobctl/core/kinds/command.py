"""The step kind `command`: a program, or a text for the shell. Durable scripts and polls are commands too."""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.core.kinds.kind import Checks, Kind, Way
from jobctl.core.model import Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.definition.shapes import Shape
    from jobctl.core.definition.tables import Key


def shape() -> Shape:
    """What a command may be, wherever one stands."""
    from jobctl.core.definition.plain import Text
    from jobctl.core.definition.several import Arguments, Either

    return Either(Text(), Arguments())


def in_words(command: str | tuple[str, ...]) -> str:
    """A command as it would be typed."""
    if isinstance(command, str):
        return command.strip()
    import shlex

    return shlex.join(command)


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.tables import Key

    about = "A text for the shell, or a list that is run as it is, references replaced."
    return {"command": Key(shape(), about, example='"./backup.sh"')}


def _does(step: Step) -> str:
    return f"run {in_words(step.command or ())}"


def _texts(step: Step) -> Iterable[str]:
    return step.command if isinstance(step.command, tuple) else ()  # nothing in a shell's text is replaced


def _check(step: dict[str, Any], checks: Checks) -> None:
    if "command" in step:
        checks.command(step["command"], "command")


ROW = Kind(
    kind=StepKind.COMMAND,
    way=Way.ATTEMPTS,
    names=("command",),
    keys=_keys,
    beside=frozenset({"compensate", "cwd", "env", "foreach", "poll", "queue", "retry", "shell", "timeout"}),
    does=_does,
    limits=("start_to_close", "schedule_to_close", "heartbeat"),
    may_suspend=True,
    texts=_texts,
    check=_check,
)
