"""What argv.py does not understand, parsed once more by typer: it is meant all the same, or refused in our two lines.

Typer is slow to import, so ordinary calls never come here. Its objects are made from the table of cli/table.py.
"""

from __future__ import annotations

import typer
from typer._types import TyperChoice
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

import jobctl
from jobctl.cli import pages
from jobctl.cli.row import Argument, Option, Row, children
from jobctl.cli.table import TABLE
from jobctl.core.definition.suggest import closest
from jobctl.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.cli.argv import Call, Table

# What statuses are called elsewhere.
_OTHER_WORDS = {
    "broken": "failed", "error": "failed", "errored": "failed", "failure": "failed", "crashed": "failed",
    "ok": "succeeded", "done": "succeeded", "success": "succeeded", "completed": "succeeded", "finished": "succeeded",
    "cancelled": "canceled", "aborted": "canceled", "stopped": "canceled", "killed": "terminated",
    "timeout": "timed_out", "timedout": "timed_out", "waiting": "queued", "pending": "queued", "active": "running",
}  # fmt: skip


def parse(args: list[str], table: Table = TABLE) -> Call | int:
    """What argv asks for; an exit code when a help page or the version was asked for and has been printed.

    UsageError when it cannot be understood.
    """
    try:
        meant: Call | int = _group(table[""], table).main(args, prog_name="jobctl", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from None
    return meant


def no_such_command(words: list[str]) -> UsageError:
    """The first of the words that is none; a suggestion where one of its group is near."""
    path = ""
    for word in words:
        known = [row.word for row in children(path, TABLE)]
        if word not in known:
            break
        path = f"{path} {word}".lstrip()
    guess = closest(word, known)
    where = f"jobctl {path}".rstrip()
    return UsageError(
        f"no such command {word!r}",
        hint=(f"did you mean {guess}? " if guess else "") + f"`{where} --help` tells how it is used",
    )


# -- the table as typer's objects ---------------------------------------------------------------------------------


class _Command(TyperCommand):
    row: Row

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002
        return pages.page(self.row, pages.width())


class _Group(TyperGroup):
    row: Row

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002
        return pages.page(self.row, pages.width())


def _group(row: Row, table: Table) -> _Group:
    made = _Group(
        name=row.word or "jobctl",
        params=_params(row, table),
        rich_markup_mode=None,
        suggest_commands=False,
        result_callback=None if row.path else _understood,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.row = row
    for child in children(row.path, table):
        made.add_command(_group(child, table) if child.group else _command(child, table))
    return made


def _command(row: Row, table: Table) -> _Command:
    def call(**values: Any) -> tuple[str, dict[str, Any]]:
        return row.path, {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    made = _Command(row.word, callback=call, params=_params(row, table), rich_markup_mode=None)
    made.row = row
    return made


def _params(row: Row, table: Table) -> list[Any]:
    """Its own, and the global options with it: they are accepted at every level."""
    own: list[Any] = [_argument(one) if isinstance(one, Argument) else _option(one) for one in row.of if _wanted(one)]
    if not row.path:
        return own
    taken = row.by_name
    return own + [_everywhere(one, taken) for one in table[""].options if _wanted(one)]


def _wanted(one: Argument | Option) -> bool:
    return getattr(one, "kind", "") != "help"  # typer has its own


def _argument(argument: Argument) -> TyperArgument:
    return TyperArgument(
        param_decls=[argument.into],
        metavar=argument.metavar,
        required=argument.required,
        nargs=-1 if argument.several else 1,
        default=None if argument.several else argument.default,
        type=_type(argument),
    )


def _option(option: Option, names: list[str] | None = None, **more: Any) -> TyperOption:
    if option.kind == "version":
        more.update(is_eager=True, expose_value=False, callback=_version)
    flag = option.kind in ("flag", "version")
    return TyperOption(
        param_decls=[option.into, *(option.names if names is None else names)],
        metavar=option.metavar or None,
        default=False if flag else option.default,
        is_flag=flag,
        multiple=option.kind == "list",
        type=bool if flag else _type(option),
        **more,
    )


def _everywhere(option: Option, taken: dict[str, Option]) -> TyperOption:
    """A global option, said after the command."""
    names = [name for name in option.names if name not in taken]
    return _option(option, names, **({} if option.kind == "version" else {"expose_value": False, "callback": _merge}))


def _type(one: Argument | Option) -> Any:
    if one.choices:
        return TyperChoice(one.choices)
    return int if getattr(one, "kind", "") == "integer" else str


def _understood(call: tuple[str, dict[str, Any]], **flags: Any) -> Call:
    command, values = call
    return command, {**flags, "file": list(flags["file"] or ())}, values


def _version(ctx: Any, param: Any, wanted: bool) -> None:  # noqa: ARG001
    if wanted:
        typer.echo(f"jobctl {jobctl.__version__}")
        raise typer.Exit


def _merge(ctx: typer.Context, param: Any, value: Any) -> None:
    """Said after the command: adds to what was said before it, or replaces it."""
    flags = ctx.find_root().params
    if param.multiple:
        flags[param.name] = [*(flags[param.name] or ()), *(value or ())]
    elif value is not None and value is not False:
        flags[param.name] = value


# -- what typer says, in our words ----------------------------------------------------------------------------------


def _usage_error(error: Any) -> UsageError:
    # "No such option: --jsn" and "No such command 'rnu'." become our two lines.
    text = str(error.format_message() if not getattr(error, "possibilities", None) else error.message)
    text = text.partition(". Choose from:")[0]  # that goes over several lines; what there is to choose stands before it
    ctx = error.ctx
    where = ctx.command_path if ctx else "jobctl"
    if text == "Missing command.":
        return UsageError("no command given", hint=f"`{where} --help` lists the commands")
    guesses = list(getattr(error, "possibilities", None) or [])
    if text.startswith("No such command"):
        guesses = [closest(text.split("'")[1], ctx.command.commands)]
    elif text.startswith("Got unexpected extra argument"):
        text = "unexpected argument: " + text.rpartition("(")[2].rstrip(")")
        extra = text.partition(": ")[2].split()[0]
        if where == "jobctl run" and not extra.startswith("-"):
            job = ctx.params.get("job") or "JOB"
            given = extra if "=" in extra else f"NAME={extra}"
            hint = f"a parameter is given with -p: jobctl run {job} -p {given}; `{where} --help` tells how it is used"
            return UsageError(text, hint=hint)
    elif choices := getattr(getattr(getattr(error, "param", None), "type", None), "choices", None):
        value = text.partition(": '")[2].partition("'")[0]
        known = [str(choice) for choice in choices]
        other = _OTHER_WORDS.get(value.lower(), "")
        guesses = [other if other in known else closest(value.lower(), known)]
    guess = f"did you mean {guesses[0]}? " if guesses and guesses[0] else ""
    return UsageError(text[0].lower() + text[1:].rstrip("."), hint=f"{guess}`{where} --help` tells how it is used")
