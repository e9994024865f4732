"""What is legal in a job and likely not meant, each with its place. What such traps are is said by traps.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from jobctl.core.definition import traps
from jobctl.core.definition.excerpt import hides
from jobctl.core.definition.positions import Path
from jobctl.core.definition.schema import JOB, STEP
from jobctl.core.model import (
    Job,
    Millis,
)
from jobctl.core.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A key of a job (`("steps", 0, "cwd")`), what there is to say of it, and the way out.
Remark = tuple[tuple[str | int, ...], str, str]


class Here(NamedTuple):
    """Where and when definitions are looked at for what is valid and may surprise."""

    now: Millis
    zone: str  # the machine's
    look: Callable[[Job], Iterable[Remark]] | None = None  # what the machine lacks of what a job names
    schedules: bool = True  # remarks on schedules, too


def remarks_on(job: Job, now: Millis) -> Iterator[Remark]:
    """What can be said of a job without looking at the machine."""
    for keys, env in ((("default_env",), job.default_env), (("env",), job.env)):
        yield from _unexpanded(keys, env)
    for i, step in enumerate(job.steps):
        yield from _unexpanded(("steps", i, "env"), step.env)
        commands = [("command", step.command, step.shell or job.shell)]
        if step.compensate is not None:
            commands.append(("compensate", step.compensate.command, job.shell))
        for key, command, shell in commands:
            for message, hint in _command_traps(command, shell):
                yield ("steps", i, key), message, hint
    for i, note in enumerate(job.notify):
        for message, hint in _command_traps(note.command, job.shell):
            yield ("notify", i, "command"), message, hint
    for i, schedule in enumerate(job.schedules):
        if schedule.at is not None and schedule.at <= now:
            yield ("schedule", i, "at"), "is over: it will not fire", "write a time to come, or start it: jobctl run"
        elif schedule.end_at is not None and schedule.end_at <= now:
            yield ("schedule", i, "end_at"), "is over: it will not fire any more", "write a time to come, or remove it"


# Keys that are likely variables as well.
_GOOD_NAMES = frozenset({"name", "job", "queue", "signal", "when", "description", "tags"})


def _unexpanded(keys: tuple[str | int, ...], env: Mapping[str, str]) -> Iterator[Remark]:
    for name, value in env.items():
        what = traps.unexpanded(value, shown=not hides(name)) if "$" in value or "~" in value or "`" in value else ""
        if what:
            hint = "write the value itself, or set it in the command; `inherit_env` passes on what the caller has"
            yield (*keys, name), f"{what} stands in the value as it is: nothing expands it", hint
        if name not in _GOOD_NAMES and (name in JOB.keys or name in STEP.keys):
            hint = f"if the key `{name}` is meant, move it above the head of `env`"
            yield (*keys, name), f"is a variable called {name} here, and no key of the job", hint


def _command_traps(command: str | tuple[str, ...] | None, shell: str) -> Iterator[tuple[str, str]]:
    if isinstance(command, str):
        if foreign := traps.foreign_script(command, shell):
            yield foreign
        elif unchecked := traps.unchecked_lines(command, shell):
            yield unchecked


def texts_of(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """All texts inside a JSON value, with their places."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from texts_of(item, (*path, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of(item, (*path, key))
