"""`jobctl __complete WORDS…`: what the last word can become, for the scripts of completion.py. Never an error.

Runs at every press of TAB, also in a folder that somebody else has filled: it reads no more than the names, validates
nothing, and offers nothing but what is a name. What a shell makes of other texts is never tried.
"""

from __future__ import annotations

from jobctl.cli.row import children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobctl.cli.argv import Table
    from jobctl.cli.row import Option, Row

FILES, FOLDERS = ":files", ":folders"  # the shell completes paths better than we can; no name begins with a colon
MANY = 50  # runs: more than that nobody reads

# Commands that ask only something of runs in some states: no other run is offered for them.
_STATES = {"retry-now": ("running", "paused"), "ack": ("failed", "timed_out")}

Candidate = tuple[str, str]  # the word, and what it means


def main(words: list[str]) -> int:
    """Print a candidate a line, its meaning after a tab; or `:files` or `:folders` for the shell to go on itself."""
    from jobctl.cli.table import TABLE

    for word, meaning in candidates(words, TABLE, _names_if_any):
        print(f"{word}\t{meaning}" if meaning else word)
    return 0


def candidates(words: list[str], table: Table, names: Callable[[str, dict[str, Any]], list[str]]) -> list[Candidate]:
    """What the last of `words` can become. `names(kind, flags)` gives the names of a kind: "JOB" or "RUN"; `flags`
    has the command, too."""
    row = table[""]
    everywhere = row.by_name
    flags: dict[str, Any] = {"file": [], "state_dir": None}
    pending: Option | None = None  # whose value comes next
    *before, current = words or [""]
    said: list[str] = []  # the arguments so far
    for word in before:
        if word == "=":  # bash hands over --color=al as three words
            continue
        if pending is not None:
            _note(flags, pending.into, word)
            pending = None
        elif word[:1] == "-" and word != "-":
            name, equals, value = word.partition("=")
            option = row.by_name.get(name) or everywhere.get(name)
            if option is not None and option.kind in ("text", "integer", "list"):
                if equals:
                    _note(flags, option.into, value)
                else:
                    pending = option
        elif row.group:
            found = table.get(f"{row.path} {word}".lstrip())
            if found is None:
                return []
            row = found
        else:
            said.append(word)
    flags["command"] = row.path
    return _candidates(row, said, pending, current, table, flags, names)


def _candidates(
    row: Row,
    said: list[str],
    pending: Option | None,
    current: str,
    table: Table,
    flags: dict[str, Any],
    names: Callable[[str, dict[str, Any]], list[str]],
) -> list[Candidate]:
    """What `current` can become after the command of that row, its arguments, an option that wants a value."""
    options = {**table[""].by_name, **row.by_name}
    start = ""
    if current == "=":
        current = ""
    elif pending is None and current[:2] == "--" and "=" in current:
        name, _, current = current.partition("=")
        pending, start = options.get(name), f"{name}="
        if pending is None:
            return []
    if pending is not None:
        found = _values(pending.choices, pending.metavar, flags, names)
    elif current[:1] == "-":
        found = [(name, option.help) for name, option in options.items()]
    elif row.group or row.path == "help":
        group = row.path if row.group else " ".join(said)
        found = [(child.word, child.summary) for child in children(group, table)]
    elif row.arguments:
        argument = row.arguments[min(len(said), len(row.arguments) - 1)]
        if len(said) >= len(row.arguments) and not argument.several:
            return []
        found = _values(argument.choices, argument.metavar, flags, names)
    else:
        found = []
    if found in ([(FILES, "")], [(FOLDERS, "")]):
        return found
    return [(start + word, text) for word, text in found if word.startswith(current)]


def _values(
    choices: tuple[str, ...], metavar: str, flags: dict[str, Any], names: Callable[[str, dict[str, Any]], list[str]]
) -> list[Candidate]:
    if choices:
        return [(choice, "") for choice in choices]
    kinds = metavar.rstrip(".").split("|")
    if kinds[0] in ("FILE", "PATH"):
        return [(FILES, "")]
    if kinds[0] == "DIR":
        return [(FOLDERS, "")]
    return [(name, "") for kind in ("JOB", "RUN") if kind in kinds for name in names(kind, flags) if _is(kind, name)]


JOB = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"


def _is(kind: str, name: str) -> bool:
    """Whether it is letters, digits and signs that no shell knows. An id with a `:` is left out: bash and zsh take it
    apart there."""
    if kind == "RUN":
        from jobctl.core.keys import is_id

        return is_id(name) and ":" not in name
    import re

    return re.fullmatch(JOB, name) is not None


def _note(flags: dict[str, Any], key: str, value: str) -> None:
    if key == "file":
        flags["file"].append(value)
    elif key == "state_dir":
        flags["state_dir"] = value


def _names_if_any(kind: str, flags: dict[str, Any]) -> list[str]:
    try:
        return _names(kind, flags)
    except Exception:
        # A broken jobs.toml or store is told by the commands that need it, not in the middle of a line being typed.
        return []


def _names(kind: str, flags: dict[str, Any]) -> list[str]:
    """Names of the jobs that are defined, or ids of the latest runs."""
    import os

    from jobctl.host import settings

    command = str(flags.get("command", ""))
    known = settings.resolve(flags, os.environ, os.getcwd())
    if kind == "RUN":
        from jobctl.engines.connect import connect

        with connect(known, asks=True) as client:
            states = _STATES.get(command, ())
            if states:
                return [run.name for run in client.runs(statuses=states, limit=MANY).found]
            return client.names(MANY)
    from jobctl.core.definition import document, limits
    from jobctl.host.files import read_regular

    found: list[str] = []
    for file in known.files:
        read = document.read(read_regular(file, limits.SIZE_LIMIT))
        if isinstance(read, tuple):
            found += read[1].get("jobs", {})
    return found
