"""argv read by the table of cli/table.py. Strict on purpose: what is not perfectly clear is left to cli/refusal.py.

Loaded by every call: imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.cli.row import Option, Row

    Table = dict[str, Row]
    Call = tuple[str, dict[str, Any], dict[str, Any]]  # command, values of the global options, the command's own values


def parse(args: list[str], table: Table) -> Call | str | None:
    """What argv asks for: a call; the version, to print; None when only typer can tell (or refuse) what is meant.

    `--help` of a command is the call of `help` for it.
    """
    flags = table[""].start()
    row, values = table[""], flags
    everywhere = options = row.by_name
    words: list[str] = []
    ending: Option | None = None
    rest = iter(args)
    for arg in rest:
        if arg == "--" and not row.group:
            words += rest
            continue
        if arg[:1] != "-" or arg == "-":
            if row.group:
                found = table.get(f"{row.path} {arg}".lstrip())
                if found is None:
                    return None
                row, values, options = found, found.start(), found.by_name
            else:
                words.append(arg)
            continue
        name, equals, value = arg, "", ""
        if arg[:2] == "--":
            name, equals, value = arg.partition("=")
        elif len(arg) > 2:
            name, equals, value = arg[:2], "=", arg[2:]
        option, into = options.get(name), values
        if option is None:
            option, into = everywhere.get(name), flags
        if option is None:
            return None
        if option.kind in ("flag", "help", "version"):
            if equals:
                return None
            if option.kind == "flag":
                into[option.into] = True
            else:
                ending = ending or option
            continue
        if not equals:
            value = next(rest, "-")
            if value[:1] == "-":
                return None
        if not _take(option, value, into):
            return None
    if ending is not None:
        return _version() if ending.kind == "version" else ("help", flags, {"command": row.path.split()})
    if row.group or not _assign(words, row, values):
        return None
    return row.path, flags, values


def _take(option: Option, value: str, into: dict[str, Any]) -> bool:
    """Whether the option takes that value: then it has it."""
    if option.choices and value not in option.choices:
        return False
    if option.kind == "list":
        into[option.into].append(value)
    elif option.kind == "integer":
        if not (value.isascii() and value.isdigit()) or len(value) > 18:
            return False
        into[option.into] = int(value)
    else:
        into[option.into] = value
    return True


def _assign(words: list[str], row: Row, values: dict[str, Any]) -> bool:
    """Words to arguments, from the left. False where they do not fit."""
    for argument in row.arguments:
        taken = words if argument.several else words[:1]
        words = words[len(taken) :]
        if not taken and argument.required:
            return False
        if argument.choices and not all(word in argument.choices for word in taken):
            return False
        if taken:
            values[argument.into] = taken if argument.several else taken[0]
    return not words


def _version() -> str:
    from jobctl import __version__

    return f"jobctl {__version__}"
