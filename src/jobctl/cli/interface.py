"""Writes what is generated from the declarations in cli/app.py: cli/_interface.py and the scripts in completions/.

Run `python -m jobctl.cli.interface` after a change there. A test fails when what is committed is not current.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup, TyperOption

from jobctl.cli import app
from jobctl.cli.commands import completion

if TYPE_CHECKING:
    from jobctl.cli.argv import Argument, Command, Option, Table

HEADER = '''"""The command line as a table for cli/argv.py. Made from cli/app.py by `python -m jobctl.cli.interface`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.cli.argv import Table

'''


def table(of: typer.Typer = app.app) -> Table:
    """What is declared, as cli/argv.py reads it."""
    root = app.tree(of)
    described: Table = {}
    _describe(root, root.make_context("jobctl", [], resilient_parsing=True), "", described)
    return described


def source(commands: Table) -> str:
    """cli/_interface.py as Python text."""
    lines = [HEADER, "COMMANDS: Table = {\n"]
    for path, command in commands.items():
        lines.append(f"    {path!r}: {{\n")
        for key, value in command.items():
            if key == "page":
                text = str(value).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
                lines.append(f'        "page": """\\\n{text}""",\n')
            else:
                text = pformat(value, width=106, sort_dicts=False).replace("\n", "\n        ")
                lines.append(f"        {key!r}: {text},\n")
        lines.append("    },\n")
    lines.append("}\n")
    return "".join(lines)


def generated(project: Path) -> dict[Path, str]:
    """Every generated file of the project folder and what must stand in it."""
    files = {project / "src/jobctl/cli/_interface.py": source(table())}
    for shell, name in completion.FILES.items():
        files[project / "completions" / name] = completion.SCRIPTS[shell]
    return files


def _describe(command: Any, ctx: Any, path: str, into: Table) -> None:
    own = [p for p in command.params if p.expose_value or not path]
    options: dict[str, Option] = {}
    arguments: list[Argument] = []
    defaults: dict[str, Any] = {}
    for param in [*own, command.get_help_option(ctx)]:
        if isinstance(param, TyperOption):
            what = (param.name or "", _kind(param), _choices(param), param.metavar or "", param.help or "")
            options.update(dict.fromkeys(sorted(param.opts), what))  # --help's come from a set
        else:
            arguments.append((param.name, _arity(param), _choices(param), param.metavar))
        if param.expose_value:
            defaults[param.name] = param.get_default(ctx)
    described: Command = {
        "summary": inspect.cleandoc(command.help or "").splitlines()[0] if command.help else "",
        "group": isinstance(command, TyperGroup),
        "options": options,
        "arguments": tuple(arguments),
        "defaults": defaults,
        "page": command.get_help(ctx),
    }
    into[path] = described
    for name, child in getattr(command, "commands", {}).items():
        _describe(child, typer.Context(child, info_name=name, parent=ctx), f"{path} {name}".strip(), into)


def _kind(option: TyperOption) -> str:
    if option.name in ("help", "version"):
        return option.name
    if option.is_flag:
        return "flag"
    if option.multiple:
        return "list"
    return "integer" if option.type.name == "int" else "text"


def _arity(argument: Any) -> str:
    if argument.nargs == 1:
        return "one" if argument.required else "optional"
    return "many" if argument.required else "any"


def _choices(param: Any) -> tuple[str, ...]:
    return tuple(getattr(param.type, "choices", ()))


if __name__ == "__main__":
    for file, text in generated(Path(__file__).parents[3]).items():
        file.write_text(text)
