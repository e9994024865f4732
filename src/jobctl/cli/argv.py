"""argv read by the table in cli/_interface.py. Strict on purpose: what is not perfectly clear is left to cli/app.py.

Loaded by every call: imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    Kind = str  # "flag", "text", "integer", "list", "help", "version"
    Option = tuple[str, Kind, tuple[str, ...], str, str]  # name of its value, kind, choices, metavar, help
    Arity = str  # "one", "optional", "many" (at least one), "any"
    Argument = tuple[str, Arity, tuple[str, ...], str]  # name of its value, arity, choices, metavar

    class Command(TypedDict):
        """One command, or one group of commands: the whole of jobctl is the group named ""."""

        summary: str
        group: bool
        options: dict[str, Option]  # by "--wait", "-p"
        arguments: tuple[Argument, ...]
        defaults: dict[str, Any]
        page: str  # what --help prints

    Table = dict[str, Command]  # by "run", "schedule next"; "" holds the global options
    Call = tuple[str, dict[str, Any], dict[str, Any]]  # command, values of the global options, the command's own values


def parse(args: list[str], table: Table) -> Call | str | None:
    """What argv asks for: a call; a page to print; None when only typer can tell (or refuse) what is meant."""
    everywhere = table[""]["options"]
    flags = _copy(table[""]["defaults"])
    path, command, values = "", table[""], flags
    words: list[str] = []
    ending = ""
    rest = iter(args)
    for arg in rest:
        if arg == "--" and not command["group"]:
            words += rest
            continue
        if arg[:1] != "-" or arg == "-":
            if command["group"]:
                path = f"{path} {arg}".lstrip()
                if path not in table:
                    return None
                command = table[path]
                values = _copy(command["defaults"])
            else:
                words.append(arg)
            continue
        name, equals, value = arg, "", ""
        if arg[:2] == "--":
            name, equals, value = arg.partition("=")
        elif len(arg) > 2:
            name, equals, value = arg[:2], "=", arg[2:]
        option = command["options"].get(name)
        into = values
        if option is None:
            option, into = everywhere.get(name), flags
        if option is None:
            return None
        key, kind, choices = option[:3]
        if kind in ("flag", "help", "version"):
            if equals:
                return None
            if kind == "flag":
                into[key] = True
            elif not ending:
                from jobctl import __version__

                ending = command["page"] if kind == "help" else f"jobctl {__version__}"
            continue
        if not equals:
            value = next(rest, "-")
            if value[:1] == "-":
                return None
        if choices and value not in choices:
            return None
        if kind == "list":
            into[key].append(value)
        elif kind == "integer":
            if not (value.isascii() and value.isdigit()) or len(value) > 18:
                return None
            into[key] = int(value)
        else:
            into[key] = value
    if ending:
        return ending
    if command["group"] or not _assign(words, command["arguments"], values):
        return None
    return path, flags, values


def _assign(words: list[str], arguments: tuple[Argument, ...], values: dict[str, Any]) -> bool:
    """Words to arguments, from the left. False where they do not fit."""
    for key, arity, choices, _ in arguments:
        several = arity in ("many", "any")
        taken = words if several else words[:1]
        words = words[len(taken) :]
        if not taken and arity in ("one", "many"):
            return False
        if choices and not all(word in choices for word in taken):
            return False
        if taken:
            values[key] = taken if several else taken[0]
    return not words


def _copy(defaults: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, list) else value for key, value in defaults.items()}
