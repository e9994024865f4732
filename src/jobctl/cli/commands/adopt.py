"""`jobctl adopt`: what a state folder that is a copy is to be, the one or a store of its own."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, original_is_gone: bool, as_copy: bool) -> int:
    """0 when it is done. JobctlError when the folder is no copy, or its original lives."""
    from jobctl.cli.user import user
    from jobctl.engines.connect import connect
    from jobctl.engines.values import Can, need

    if original_is_gone == as_copy:
        raise UsageError(
            f"exactly one of --original-is-gone and --as-copy is needed{', not both' if as_copy else ''}",
            hint="--original-is-gone: this folder goes on in its place; --as-copy: a store of its own, open runs end",
        )
    with connect(settings) as client:
        need(client, Can.ADOPT)
        of, ended, there = client.adopt(as_copy=as_copy, by=user())
    if there:
        printing.note(f"the original is still in {of}: remove it, or never run jobctl on it again")
    if settings.json:
        printing.print_json({"adopted": "original" if original_is_gone else "copy", "of": of, "ended": ended})
    elif not settings.quiet:
        for name in ended:
            printing.say(f"{name}: terminated: copied")
        here = "goes on as the one" if original_is_gone else "is a store of its own now, its schedules begin now"
        printing.say(f"{settings.state_dir} {here}")
    return 0
