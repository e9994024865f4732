"""`jobctl backup FILE`: the state folder as one file, while all goes on. What is in it: engines/local/backup.py."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

from jobctl.cli import printing
from jobctl.core import text
from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.host import clock
from jobctl.host.drafts import draft
from jobctl.host.files import open_own
from jobctl.host.settings import state_dir_ready
from jobctl.store import place

if TYPE_CHECKING:
    from types import FrameType

    from jobctl.engines.local.backup import Made
    from jobctl.host.settings import Settings

_NAMED = 5


def main(settings: Settings, *, archive: str, no_logs: bool, salvage: bool, force: bool) -> int:
    """0 when the backup is there, whole; 1 when some files could not be read. StoreError when there is nothing
    that could be backed up, or it is damaged."""
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
    with _standard_output(settings, state_dir) if to_stdout else _to_file(file, state_dir, force) as (out, draft):
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
    return int(bool(made.unread))


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)  # drafts are removed on the way


@contextmanager
def _standard_output(settings: Settings, state_dir: str) -> Iterator[tuple[IO[bytes], str]]:
    if settings.json:
        raise UsageError("with - the backup itself goes to standard output", hint="leave --json out, or name a file")
    if sys.stdout.isatty():
        raise UsageError("a backup is nothing for a terminal", hint="jobctl backup - > FILE, or | ssh HOST …")
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(draft(state_dir))
        except OSError:  # it is read-only, or full
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobctl."))
        yield sys.stdout.buffer, os.path.join(folder, "db")
    sys.stdout.buffer.flush()


@contextmanager
def _to_file(named: str, state_dir: str, force: bool) -> Iterator[tuple[IO[bytes], str]]:
    """The file in a folder of ours until it is whole, and where a database may lie meanwhile."""
    path = _target(named, state_dir, force)
    folder = os.path.dirname(path)
    try:
        with draft(folder) as own:
            fd = open_own(os.path.join(own, "file"), os.O_CREAT | os.O_EXCL | os.O_RDWR)
            with os.fdopen(fd, "wb") as file:
                yield file, os.path.join(own, "db")
                file.flush()
                os.fsync(fd)
            os.rename(os.path.join(own, "file"), path)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(folder):
            raise
        raise JobctlError(
            f"the backup {named} cannot be written: {error.strerror or error}",
            hint="make room there, or name a file elsewhere; what was there before is still there",
        ) from error
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _target(path: str, state_dir: str, force: bool) -> str:
    """The file that is to be written; UsageError for what must not be. Of a link it is what that leads to."""
    if not path:
        raise UsageError("the name of the backup is empty", hint="name a file: jobctl backup jobctl.tar.gz")
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder", hint=f"name a file in it: {os.path.join(path, 'jobctl.tar.gz')}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{path} is no file: a backup would take its place", hint="into a pipe: jobctl backup -")
    real = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(real)):
        raise UsageError(f"there is no folder {os.path.dirname(real)}", hint="make it, or name another one")
    if _is_below(real, state_dir):
        raise UsageError(
            f"{path} is in the state folder: a backup would be lost with it, or destroy it",
            hint="name a file elsewhere",
        )
    if not force and not _may_go(real):
        raise UsageError(
            f"{path} is there already, and is no backup", hint="name another file; or, to replace it: --force"
        )
    return real


def _is_below(path: str, state_dir: str) -> bool:
    """Whether it is in that folder, whatever the folder is called there."""
    folder = os.path.dirname(path)
    while not os.path.samefile(folder, state_dir):
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)
    return True


def _may_go(path: str) -> bool:
    """Whether there is nothing of that name, an empty file, or a backup."""
    from jobctl.engines.local import backup

    try:
        with os.fdopen(open_own(path), "rb") as file:
            return os.fstat(file.fileno()).st_size == 0 or backup.is_one(file)
    except FileNotFoundError:
        return True


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
            "unread": made.unread,
        }
        printing.print_json(document)
        return
    for what in made.lost:
        printing.note(f"could not be read: {what}")
    if made.unread:
        more = " …" if len(made.unread) > _NAMED else ""
        printing.note(f"not in the backup, for they cannot be read: {', '.join(made.unread[:_NAMED])}{more}")
    if made.left_out:
        things = "thing" if made.left_out == 1 else "things"
        printing.note(f"{made.left_out} {things} in the folders of runs left out: no files (links, pipes, folders)")
    if settings.quiet or file == "-":
        return
    runs = f"{holds.runs:,} run{'' if holds.runs == 1 else 's'}, {holds.open_runs:,} of them open"
    ran = f"; {len(running)} under way, which would be lost" if running else ""
    printing.say(f"{file}: {runs}{ran}; {text.size(os.path.getsize(file))}")
