"""What cancel, terminate and pause have in common: several runs, each asked for itself, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import printing as output
from jobctl.cli.exit import show
from jobctl.cli.opened import store_of
from jobctl.core.errors import JobctlError
from jobctl.host.settings import Settings
from jobctl.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobctl.cli.signals import Signals
    from jobctl.core.run.rows import RunRow


def each(settings: Settings, runs: list[str], ask: Callable[[Store, RunRow], str]) -> int:
    """Ask of every run; `ask` returns what became of it. The exit code is that of the first that could not be asked."""
    code = 0
    documents: list[dict[str, Any]] = []
    with store_of(settings) as store:
        for name in dict.fromkeys(runs):
            try:
                row = store.find(name)
                became = ask(store, row)
            except JobctlError as error:
                if len(runs) == 1:
                    raise
                shown = show(error, json=False)
                code = code or shown
                documents.append({"id": name, "error": error.message})
                continue
            documents.append({"id": row.name, "result": became})
            if not settings.json and not settings.quiet:
                output.say(f"{row.name}: {became}")
    if settings.json:
        output.print_json(documents)
    return code


def carry_out(settings: Settings, store: Store, row: RunRow, asked: Signals | None = None) -> str:
    """End here what nobody else will: take the run that was asked to end and see it through. How it ended."""
    from jobctl.cli.foreground import drive
    from jobctl.engines.local.loop import LiveRun, LocalEngine
    from jobctl.engines.local.stored_job import job_of

    kept = job_of(store, row, strict=False)
    for remark in kept.remarks:
        output.note(remark)

    def begin(engine: LocalEngine) -> LiveRun:
        live = engine.take(row.id, kept.job, env_file=kept.env_file)
        if live is None:
            raise JobctlError(f"run {row.name} was just taken up by another process", hint=f"jobctl status {row.name}")
        return live

    # What is printed is the answer to `cancel`: with --json it is one document, and the run's events are not in it.
    drive(Settings(quiet=True, color=settings.color) if settings.json else settings, store, begin, asked=asked)
    return store.run(row.id).status.replace("_", " ")
