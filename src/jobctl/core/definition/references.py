"""References `{{ … }}`: found in a text, checked against what a place may name, replaced. Whose values they name,
and where in a definition they may stand, is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from jobctl.core.definition.suggest import closest, did_you_mean
from jobctl.core.record import NamedTuple

RUN_FIELDS = ("id", "job", "fire_time", "fire_date")
FORMS = "params.NAME, steps.NAME.outputs.KEY, steps.NAME.stdout, item, item.KEY, run." + ", run.".join(RUN_FIELDS)

_VARIABLES = {
    "run.id": "JOBCTL_RUN",
    "run.job": "JOBCTL_JOB",
    "run.fire_time": "JOBCTL_FIRE_TIME",
    "item": "JOBCTL_ITEM",
}
_REFERENCE = re.compile(r"\{\{[ \t]*([A-Za-z0-9_.-]+)[ \t]*\}\}")
_LOOKS_LIKE_ONE = re.compile(r"\{\{[ \t]*((?:params|steps|item|run)\b[A-Za-z0-9_.-]*)")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference in one text. `path` is what it names: ("params", "day"), ("steps", "dump", "stdout"), ("item",)."""

    path: tuple[str, ...]
    start: int  # of the braces
    end: int

    @property
    def root(self) -> str:
        """params | steps | item | run | env"""
        return self.path[0]

    @property
    def name(self) -> str:
        return ".".join(self.path)


class BadReferenceError(ValueError):
    """Braces that are no reference. `quotes`: `message` and `hint` repeat what stands in them."""

    def __init__(self, message: str, hint: str, *, quotes: bool = False) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint
        self.quotes = quotes


class Fault(NamedTuple):
    message: str
    hint: str
    form: bool = False  # the braces themselves are wrong, in whatever job they stand


@dataclass(frozen=True, slots=True)
class Scope:
    """What the references of one place may name."""

    params: Collection[str] = ()
    steps: Collection[str] | None = None  # those of the job; None = steps cannot be named here
    ended: Callable[[str], bool] = lambda _: False  # whether the step has ended for certain before this place is read
    outputs: Callable[[str], Collection[str] | None] = lambda _: (
        None
    )  # those of a step; None = not known before the run
    item: bool = False
    item_keys: frozenset[str] | None = None  # the keys that every literal item has; None = not known before the run
    env: Collection[str] | None = None  # variables that are known; None = none can be named here
    more_env: bool = False  # there may be others
    secret: bool = False  # the text is not to be repeated in a message


def find(text: str) -> list[Reference]:
    """The references in a text, in order. BadReferenceError for `{{` that begins none; a lone `}}` is plain text."""
    found = []
    for item in _scan(text):
        if isinstance(item, BadReferenceError):
            raise item
        found.append(item)
    return found


def resolve(text: str, lookup: Callable[[Reference], str]) -> str:
    """The text with each reference replaced by what `lookup` gives. Values are not read again for references."""
    if "{{" not in text:
        return text
    out, at = [], 0
    for reference in find(text):
        out += [text[at : reference.start], lookup(reference)]
        at = reference.end
    return "".join([*out, text[at:]])


def check(text: str, scope: Scope) -> list[Fault]:
    """Everything that is wrong with the references of a text that stands where `scope` holds."""
    if "{{" not in text:
        return []
    faults = []
    for item in _scan(text):
        if isinstance(item, Reference) and item.root == "env" and scope.env is None:
            item = _no_reference(item.path)
        if isinstance(item, BadReferenceError):
            faults.append(_bad(item, scope))
        elif fault := _fault(item, scope):
            faults.append(fault)
    return faults


def _bad(found: BadReferenceError, scope: Scope) -> Fault:
    hidden = scope.secret and found.quotes
    message, hint = (_HIDDEN, _FORMS_HINT) if hidden else (found.message, found.hint)
    if scope.env is not None:  # a request: variables can be named, and there is no shell
        hint = f"{_FORMS_HINT}, env.NAME" if found.quotes else _LITERAL_IN_REQUEST
    return Fault(message, hint, form=True)


def mentioned(text: str) -> list[str]:
    """What looks like a reference in a text where nothing is replaced: ["params.day"]."""
    return _LOOKS_LIKE_ONE.findall(text) if "{{" in text else []


def parameter_variable(name: str) -> str:
    """The environment variable that hands a parameter to commands: `day-of` -> JOBCTL_PARAM_DAY_OF."""
    return "JOBCTL_PARAM_" + name.upper().replace("-", "_")


def variable(reference: str) -> str:
    """The environment variable with the value of a reference such as "params.day", or "" where there is none."""
    root, _, rest = reference.partition(".")
    if root == "params" and rest:
        return parameter_variable(rest)
    return _VARIABLES.get(reference, "")


def _scan(text: str) -> Iterator[Reference | BadReferenceError]:
    at = text.find("{{")
    while at >= 0:
        match = _REFERENCE.match(text, at)
        if match is None:
            yield BadReferenceError("has `{{` that begins no reference", _LITERAL)
            at = text.find("{{", at + 2)
            continue
        path = tuple(match[1].split("."))
        if _known_form(path):
            yield Reference(path, at, match.end())
        else:
            yield _no_reference(path)
        at = text.find("{{", match.end())


def _no_reference(path: tuple[str, ...]) -> BadReferenceError:
    return BadReferenceError(f"{{{{ {_cut('.'.join(path))} }}}} is no reference", _form_hint(path), quotes=True)


_HIDDEN = "has `{{ … }}` that is no reference"
_FORMS_HINT = f"references are {FORMS}"
_LITERAL = (
    "a reference is {{ params.NAME }}; where the braces belong to the command, write it as one text for the shell: "
    "nothing in it is replaced"
)

_LITERAL_IN_REQUEST = (
    "a reference is {{ params.NAME }}; where the braces are to be sent, let one be the value of a parameter, for "
    'values are not read again: params = { brace = "{" }, and write {{ params.brace }}{'
)


def _known_form(path: tuple[str, ...]) -> bool:
    if not all(_PART.fullmatch(part) for part in path):
        return False
    match path:
        case ("params", _) | ("env", _) | ("item",) | ("item", _) | ("steps", _, "stdout") | ("steps", _, "outputs", _):
            return True
        case ("run", field):
            return field in RUN_FIELDS
    return False


def _form_hint(path: tuple[str, ...]) -> str:
    match path:
        case ("run", *_):
            return "a run has " + ", ".join(f"run.{field}" for field in RUN_FIELDS)
        case ("steps", name, "output", key):
            return f"write {{{{ steps.{_cut(name)}.outputs.{_cut(key)} }}}}"
        case ("steps", name, *_):
            return f"write {{{{ steps.{_cut(name)}.outputs.KEY }}}} or {{{{ steps.{_cut(name)}.stdout }}}}"
        case ("param", name):
            return f"write {{{{ params.{_cut(name)} }}}}"
        case ("env", *_):
            return "environment variables are read by the command itself, not by a reference"
    return _FORMS_HINT if path[0] else _LITERAL


def _fault(reference: Reference, scope: Scope) -> Fault | None:
    shown = f"{{{{ {_cut(reference.name)} }}}}"
    match reference.path:
        case ("params", name):
            if name not in scope.params:
                return Fault(f"{shown}: the job has no parameter {name!r}", did_you_mean(name, scope.params))
        case ("steps", name, *_):
            if scope.steps is None:
                return Fault(f"{shown}: no step has ended when this is read", "use it in a step that needs that step")
            if name not in scope.steps:
                return Fault(f"{shown}: the job has no step {name!r}", did_you_mean(name, scope.steps))
            if not scope.ended(name):
                return Fault(
                    f"{shown}: step {name} may not have ended when this step starts",
                    f'add "{name}" to the `needs` of this step',
                )
            outputs = scope.outputs(name)
            if outputs is not None and reference.path[2] == "outputs" and reference.path[3] not in outputs:
                hint = f"its outputs are {' and '.join(outputs)}"
                return Fault(f"{shown}: step {name} has no output {reference.path[3]!r}", hint)
        case ("env", name):
            if not scope.more_env and name not in (scope.env or ()):
                near = closest(name, scope.env or ())
                way = f'write it into `env` or `env_file`, or let it through: inherit_env = ["{_cut(name)}"]'
                hint = f"did you mean {near}?" if near else way
                return Fault(f"{shown}: the job has no variable {name!r}", hint)
        case ("item", *keys):
            if not scope.item:
                return Fault(f"{shown}: there is no item without `foreach`", "add `foreach` to the step")
            if keys and scope.item_keys is not None and keys[0] not in scope.item_keys:
                return Fault(f"{shown}: not every item has a key {keys[0]!r}", did_you_mean(keys[0], scope.item_keys))
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
