"""`jobctl restore FILE`: an empty state folder becomes that of a backup, in which all goes on. How:
engines/local/backup.py."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING

from jobctl.cli import printing
from jobctl.cli.moments import past
from jobctl.core.errors import JobctlError
from jobctl.host.archive import UnusableError
from jobctl.host.files import open_regular
from jobctl.host.host import Host
from jobctl.host.settings import state_dir_ready

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from jobctl.engines.local.backup import Restored
    from jobctl.host.settings import Settings


def main(settings: Settings, *, archive: str, as_copy: bool) -> int:
    """0 when it is there and may go on. JobctlError when nothing was done, or the original lives."""
    from jobctl.cli.user import user
    from jobctl.engines.local import backup

    file = archive
    with _opened(file) as source:
        try:
            done = backup.restore(
                state_dir_ready(settings.state_dir, True), source, as_copy=as_copy, by=user(), host=Host()
            )
        except UnusableError as error:
            what = "standard input" if file == "-" else file
            raise JobctlError(f"{what} cannot be restored: {error.message}", hint=error.hint) from error
    _tell(settings, done, file)
    return 0


def _opened(file: str) -> AbstractContextManager[IO[bytes]]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return os.fdopen(open_regular(file), "rb")
    except OSError as error:
        raise JobctlError(
            f"{file or 'a file without a name'} cannot be restored: {error.strerror or error}",
            hint="name what `jobctl backup` has written; from a pipe: jobctl restore -",
        ) from error


def _tell(settings: Settings, done: Restored, file: str) -> None:
    holds = done.contents
    lost = sorted(id for ids in holds.running.values() for id in ids)
    if settings.json:
        document = {
            "file": file,
            "made_at": done.made_at,
            "of": done.of,
            "as": "copy" if done.is_copy else "original",
            "runs": holds.runs,
            "open_runs": holds.open_runs,
            "lost": lost,
            "ended": done.ended,
        }
        printing.print_json(document)
        return
    if settings.quiet:
        return
    from datetime import datetime

    made = round(datetime.fromisoformat(done.made_at).timestamp() * 1000) if done.made_at else None
    when = f" as it was {past(made, Host().now())}" if made is not None else ""
    runs = f"{holds.runs:,} run{'' if holds.runs == 1 else 's'}, {holds.open_runs:,} of them open"
    printing.say(f"{settings.state_dir}: restored{when}: {runs}")
    if done.is_copy:
        printing.say("a store of its own: its open runs were ended, its schedules begin now")
        return
    if lost:
        printing.say(f"what ran then is lost, and tried again as its retry policy says: {', '.join(lost[:5])}")
    if done.original_is_there:
        printing.note(f"the original is still in {done.of}: remove it, or never run jobctl on it again")
    printing.note("what was done after the backup was made may be done again; it goes on with: jobctl daemon")
