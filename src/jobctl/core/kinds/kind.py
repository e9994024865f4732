"""What a row of the table of step kinds says. The rows are the other files of this folder; the table is __init__.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from jobctl.core.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.core.definition.references import Reference
    from jobctl.core.definition.tables import Key
    from jobctl.core.model import Step, StepKind


class Way(Enum):
    """How a step of a kind is carried out. A new kind takes one of these; a new way is work in every engine."""

    ATTEMPTS = "attempts"  # processes, one after the other, until one succeeds. It takes a place while it runs
    TIMER = "timer"  # waits until a time. It takes no place
    MESSAGE = "message"  # waits for what somebody says. It takes no place
    CHILD = "child"  # waits for another run, and may begin another one. It takes no place


class Checks(Protocol):
    """What a definition's reader lends a row that looks at the keys of its own."""

    def text(self, text: str, *keys: str | int, env: bool = False) -> None:
        """Report what is wrong with the references of a text. `env`: it may name variables; then it is not repeated."""

    def command(self, command: str | tuple[str, ...], *keys: str | int) -> None:
        """Report what is wrong with the references of a command."""

    def error(self, message: str, hint: str, *keys: str | int) -> None: ...

    def warning(self, message: str, hint: str, *keys: str | int) -> None: ...


class Given(Protocol):
    """What a run lends a row that makes out what is to be done now."""

    idempotency_key: str

    def value(self, reference: Reference) -> Any:
        """What a reference names."""


class UnfitError(ValueError):
    """What the step is to do cannot be done with these values, however often it is tried. No value stands in it."""


class Runner(NamedTuple):
    """A program of ours that a step of the kind runs: a file of process/ that stands alone, and what it is told. It
    reads that, as JSON, from its standard input: no argument, variable or file has it."""

    module: str
    order: Callable[[Step, Given], dict[str, Any]]


def _no_texts(step: Step) -> Iterable[str]:  # noqa: ARG001 - as the others
    return ()


def _no_details(step: Step) -> Iterable[tuple[str, str]]:  # noqa: ARG001 - as the others
    return ()


class Kind(NamedTuple):
    kind: StepKind
    way: Way
    # The keys that make a step one of this kind. `keys` are their shapes and texts: loaded when a file is read, and not
    # when a run goes on.
    names: tuple[str, ...]
    keys: Callable[[], dict[str, Key]]
    # Keys of other places that mean something next to these: `retry`, `timeout`, `foreach` …
    beside: frozenset[str]
    does: Callable[[Step], str]  # in words: "run ./pay"
    details: Callable[[Step], Iterable[tuple[str, str]]] = _no_details  # what there is to say of it besides
    limits: tuple[str, ...] = ()  # which of a job's `step_timeout` hold for it
    may_suspend: bool = False  # a durable script may be in it, which ends and is started again
    texts: Callable[[Step], Iterable[str]] = _no_texts  # those in which references may stand
    secrets: Callable[[Step], Iterable[str]] | None = None  # the variables of it that are, whatever they are called
    built: Callable[[dict[str, Any]], Any] | None = None  # what its one key becomes, where that is not what is written
    check: Callable[[dict[str, Any], Checks], None] | None = None  # what is wrong with valid keys
    outputs: Callable[[dict[str, Any]], tuple[str, ...]] | None = None  # by valid keys, where only a kind has them
    runner: Runner | None = None  # what its attempts run, where that is a program of ours
    message: Callable[[Step], str] | None = None  # what a wait for a message is for: "the signal paid"

    @property
    def has_attempts(self) -> bool:
        return self.way is Way.ATTEMPTS

    @property
    def has_one_duration(self) -> bool:
        """Whether its `timeout` is one duration, how long the whole step may take, and no table."""
        return self.way is not Way.ATTEMPTS

    def fields(self, step: dict[str, Any]) -> dict[str, Any]:
        """The fields of a Step that make it one of this kind, out of its valid keys."""
        given = {name: step[name] for name in self.names if name in step}
        return given if self.built is None else {name: self.built(value) for name, value in given.items()}

    @property
    def may_retry(self) -> bool:
        return "retry" in self.beside


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
