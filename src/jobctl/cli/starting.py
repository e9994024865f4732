"""What `run`, `resume` and `schedule trigger` have in common: the parameters that are given, and what is said of a run
that nobody is there to begin."""

from __future__ import annotations

from jobctl.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client


def given_params(params: list[str]) -> dict[str, str]:
    """Name -> value of `-p NAME=VALUE` options. UsageError for one that is none, or is given twice."""
    given: dict[str, str] = {}
    for text in params:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-p {text!r} is not KEY=VALUE", hint="for example: -p day=2026-12-24")
        if key in given:
            raise UsageError(f"the parameter {key!r} is given twice", hint="give it once")
        given[key] = value
    return given


def say_waits(name: str) -> None:
    """Nobody is there to begin the run, which is recorded: said even with --quiet, for somebody has to do something."""
    from jobctl.cli import printing

    ways = f"jobctl daemon, or here and now: jobctl resume {name}"
    printing.note(f"no daemon runs here: {name} is recorded, and waits for the next one: {ways}")


def need_daemon(client: Client, hint: str) -> None:
    """JobctlError with that way out when no daemon is there, for who wants nothing to wait for the next one."""
    if not client.has_daemon():
        from jobctl.core.errors import JobctlError

        raise JobctlError(f"no daemon runs on {client.where}", hint=hint)
