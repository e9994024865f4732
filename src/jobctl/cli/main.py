"""Where `jobctl` starts: understand argv, settle the settings, hand over to the command. Loaded by every call."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(args: list[str] | None = None) -> int:
    """Run the command line `args` (default: sys.argv) and return the exit code. Raises nothing."""
    from jobctl.cli import exit

    given = sys.argv[1:] if args is None else args
    return exit.guard(lambda: _run(given), json="--json" in given)


def _run(args: list[str]) -> int:
    if args[:1] == ["__complete"]:
        # A half-typed line: nothing in it must be taken for our own options.
        from jobctl.cli import complete

        return complete.main(args[1:])
    from jobctl.cli import _interface, argv

    meant: Any = argv.parse(args, _interface.COMMANDS)
    if meant is None:
        from jobctl.cli import app

        meant = app.parse(args)
    if isinstance(meant, str):
        print(meant)
        return 0
    if isinstance(meant, int):
        return meant
    command, flags, values = meant
    return call(command, flags, values)


def call(command: str, flags: dict[str, Any], values: dict[str, Any]) -> int:
    """Do it: `main` of cli/<command>.py, with the settings and the command's own values. Returns the exit code."""
    import os
    from importlib import import_module

    from jobctl import settings
    from jobctl.core.errors import UsageError

    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder does not exist any more", hint="go to another one: cd") from None
    module = import_module("jobctl.cli." + command.replace(" ", "_"))
    code: int = module.main(settings.resolve(flags, os.environ, cwd), **values)
    return code
