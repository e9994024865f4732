"""Where `jobctl` starts: understand argv, settle the settings, hand over to the command. Loaded by every call."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_MOST = 1_000_000_000  # of anything that an option counts


def main(args: list[str] | None = None) -> int:
    """Run the command line `args` (default: sys.argv) and return the exit code. Raises nothing."""
    from jobctl.cli import exit

    given = sys.argv[1:] if args is None else args
    ours = given[: given.index("--")] if "--" in given else given  # what follows belongs to a command
    return exit.guard(lambda: _run(given), json="--json" in ours)


def _run(args: list[str]) -> int:
    if args[:1] == ["__complete"]:
        # A half-typed line: nothing in it must be taken for our own options.
        from jobctl.cli.commands import complete

        return complete.main(args[1:])
    if args[:1] == ["step"] and args[2:3] == ["--"] and args[3:] and args[1][:1] != "-":
        from jobctl.cli.commands import step

        return step.main(name=args[1], command=args[3:])
    from jobctl.cli import argv
    from jobctl.cli.table import TABLE

    meant: Any = argv.parse(args, TABLE)
    if meant is None:
        from jobctl.cli import refusal

        meant = refusal.parse(args)
    if isinstance(meant, str):
        print(meant)
        return 0
    if isinstance(meant, int):
        return meant
    command, flags, values = meant
    return call(command, flags, values)


def call(command: str, flags: dict[str, Any], values: dict[str, Any]) -> int:
    """Do it: `main` of cli/commands/<command>.py, with the settings and its own values. Returns the exit code."""
    import os
    from importlib import import_module

    from jobctl.cli.table import TABLE

    row = TABLE[command]
    module = "jobctl.cli.commands." + row.file
    if not row.settings:
        return int(import_module(module).main(**values))
    from jobctl.core.errors import UsageError
    from jobctl.host import settings

    for name, value in values.items():
        if isinstance(value, int) and abs(value) > _MOST:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is beyond {_MOST:,}", hint="leave it out, or give a smaller number")
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder does not exist any more", hint="go to another one: cd") from None
    return int(import_module(module).main(settings.resolve(flags, os.environ, cwd), **values))
