"""What tells one run from another, and within a run one thing that is attempted from another: a step, an item of a
`foreach` step, the compensation of either.

A run's id is a letter or a digit, then letters, digits and `_ . : -`, whichever engine gave it. No id has a `/` or a
`~`, which stand between an id and what follows it.

A key is `STEP`, `STEP[3]` (the item at index 3), `STEP!undo` or `STEP[3]!undo`; no step's name has a `[` or a `!`.
Events and states are kept under it, attempts' files are named after it. The name before the marks is the step's in the
definition.
"""

from __future__ import annotations

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_IN_A_NAME = _FIRST | set("_.-")
_IN_AN_ID = _IN_A_NAME | {":"}
_LONGEST = 200  # characters of a name: beside it there is room for what a program adds while it copies

UNDO = "!undo"
ITEMS = "[]"  # behind the name of a step that is redone: only those of its items that are not finished


def item_key(step: str, index: int) -> str:
    return f"{step}[{index}]"


def step_name(key: str) -> str:
    """The step's name in the definition."""
    return key.partition("[")[0].removesuffix(UNDO)


def item_index(key: str) -> int | None:
    """Which item of its step a key names, None when it names none."""
    _, bracket, rest = key.partition("[")
    return int(rest.partition("]")[0]) if bracket else None


def is_undo(key: str) -> bool:
    return key.endswith(UNDO)


def undone_key(key: str) -> str:
    """What a compensation undoes; any other key is given back as it is."""
    return key.removesuffix(UNDO)


# -- of runs -----------------------------------------------------------------------------------------------------------


def is_id(text: str) -> bool:
    """Whether a run can be called that, or an executor."""
    return text[:1] in _FIRST and _IN_AN_ID.issuperset(text)


def file_name(run: str) -> str:
    """What the folder of a run is called: its id, where that is short and every file system takes it for one name.
    Other characters are written as %XX. Of a name that is too long the rest is a digest, after `%-`.

    No two runs share a folder: no id has a `%`.
    """
    if run[:1] in _FIRST and _IN_A_NAME.issuperset(run) and len(run) <= _LONGEST:
        return run
    data = run.encode("utf-8", "surrogatepass")
    name = "".join(
        chr(byte) if chr(byte) in (_IN_A_NAME if at else _FIRST) else f"%{byte:02X}" for at, byte in enumerate(data)
    )
    if len(name) <= _LONGEST:
        return name or "%"
    from hashlib import blake2b

    return f"{name[: _LONGEST - 34].rstrip('%')}%-{blake2b(data, digest_size=16).hexdigest()}"


def run_in(name: str) -> str | None:
    """The run whose folder has this name. None where the name does not tell: that of a long id, or no run's."""
    from urllib.parse import unquote

    run = unquote(name)
    return run if file_name(run) == name else None
