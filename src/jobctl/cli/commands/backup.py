"""`jobctl backup FILE`: the state folder as one file, while all goes on. What is in it: engines/local/backup.py."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from jobctl.cli import printing
from jobctl.core import text
from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.host import clock
from jobctl.host.files import open_named
from jobctl.host.settings import state_dir_ready
from jobctl.store import place

if TYPE_CHECKING:
    from types import FrameType

    from jobctl.engines.local.backup import Made
    from jobctl.host.settings import Settings

_DRAFT, _DATABASE = ".new", ".new.db"


def main(settings: Settings, *, archive: str, no_logs: bool, salvage: bool) -> int:
    """0 when the backup is there, whole. StoreError when there is nothing that could be backed up, or it is damaged."""
    from jobctl.engines.local import backup

    state_dir = state_dir_ready(settings.state_dir, False)
    if not os.path.exists(os.path.join(state_dir, place.DATABASE)):
        place.must_be_new(state_dir)
        raise NotFoundError("nothing has run here yet", hint=f"the state folder {state_dir} has no store to back up")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    now = clock.now()
    file, to_stdout = archive, archive == "-"
    with _standard_output(settings) if to_stdout else _beside(file) as (out, draft):
        made = backup.write(
            state_dir,
            out,
            draft,
            logs=not no_logs,
            compressed=file.endswith((".gz", ".tgz")),
            salvage=salvage,
            now=now,
        )
    _tell(settings, made, file, now)
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)  # drafts are removed on the way


@contextmanager
def _standard_output(settings: Settings) -> Iterator[tuple[IO[bytes], str]]:
    if settings.json:
        raise UsageError("with - the backup itself goes to standard output", hint="leave --json out, or name a file")
    if sys.stdout.isatty():
        raise UsageError("a backup is nothing for a terminal", hint="jobctl backup - > FILE, or | ssh HOST …")
    with tempfile.TemporaryDirectory(prefix="jobctl.") as folder:
        yield sys.stdout.buffer, os.path.join(folder, "db")
    sys.stdout.buffer.flush()


@contextmanager
def _beside(path: str) -> Iterator[tuple[IO[bytes], str]]:
    """The file under another name until it is whole, and where a database may lie meanwhile."""
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder", hint=f"name a file in it: {os.path.join(path, 'jobctl.tar.gz')}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{path} is no file: a backup would take its place", hint="into a pipe: jobctl backup -")
    path = os.path.realpath(path)  # what a link leads to is replaced, and not the link
    if not os.path.isdir(os.path.dirname(path)):
        raise UsageError(f"there is no folder {os.path.dirname(path)}", hint="make it, or name another one")
    draft, database = path + _DRAFT, path + _DATABASE
    fd = open_named(draft, os.O_CREAT | os.O_RDWR, 0o600)
    with os.fdopen(fd, "wb") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobctlError(f"another backup is just being written to {path}", hint="wait for it") from None
        try:
            os.ftruncate(fd, 0)
            os.fchmod(fd, 0o600)
            yield file, database
            file.flush()
            os.fsync(fd)
            os.rename(draft, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
        finally:
            for leftover in (database, database + "-journal"):
                with suppress(OSError):
                    os.unlink(leftover)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _tell(settings: Settings, made: Made, file: str, now: int) -> None:
    holds = made.contents
    running = sorted(id for ids in holds.running.values() for id in ids)
    if settings.json:
        document = {
            "file": os.path.abspath(file),
            "made_at": text.rfc3339(now),
            "bytes": os.path.getsize(file),
            "schema": holds.schema,
            "runs": holds.runs,
            "open_runs": holds.open_runs,
            "running": running,
            "left_out": made.left_out,
            "lost": made.lost,
        }
        printing.print_json(document)
        return
    for what in made.lost:
        printing.note(f"could not be read: {what}")
    if made.left_out:
        things = "thing" if made.left_out == 1 else "things"
        printing.note(f"{made.left_out} {things} in the folders of runs left out: no files (links, pipes, folders)")
    if settings.quiet or file == "-":
        return
    runs = f"{holds.runs:,} run{'' if holds.runs == 1 else 's'}, {holds.open_runs:,} of them open"
    ran = f"; {len(running)} under way, which would be lost" if running else ""
    printing.say(f"{file}: {runs}{ran}; {text.size(os.path.getsize(file))}")
