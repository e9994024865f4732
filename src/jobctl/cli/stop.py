"""What cancel, terminate and pause have in common: several runs, each asked for itself, and what is said of it."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.client import client_of
from jobctl.cli.exit import show
from jobctl.core.errors import JobctlError
from jobctl.host.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobctl.engines.base import Client
    from jobctl.engines.values import Run


def each(settings: Settings, runs: list[str], ask: Callable[[Client, Run], str]) -> int:
    """Ask of every run; `ask` returns what became of it. The exit code is that of the first that could not be asked."""
    code = 0
    documents: list[dict[str, Any]] = []
    with client_of(settings) as client:
        for name in dict.fromkeys(runs):
            try:
                run = client.find(name)
                became = ask(client, run)
            except JobctlError as error:
                if len(runs) == 1:
                    raise
                shown = show(error, json=False)
                code = code or shown
                documents.append({"id": name, "error": error.message})
                continue
            documents.append({"id": run.name, "result": became})
            if not settings.json and not settings.quiet:
                printing.say(f"{run.name}: {became}")
    if settings.json:
        printing.print_json(documents)
    return code
