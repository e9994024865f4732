"""A backup of a state folder: its database as it is at one instant, and the files of the runs that this knows, in one
tar; and a state folder from it, in which all goes on as after the loss of the machine.

First the database, then the files: what a history tells of is in them, or newer. Of the executors nothing is taken
along, for they are processes of that machine. What ran is lost, and journals that say so are in the tar: a folder that
was unpacked by hand and adopted does not begin an attempt twice either.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import IO, Any

import jobctl
from jobctl.core.errors import JobctlError, StoreError
from jobctl.core.keys import file_name
from jobctl.core.record import NamedTuple
from jobctl.core.text import rfc3339
from jobctl.engines.local import adopt, executor
from jobctl.host import drafts
from jobctl.host.archive import Entry, UnreadableError, UnusableError, Writer, entries
from jobctl.host.files import open_own
from jobctl.host.host import Host
from jobctl.process import journal
from jobctl.store import backup, place, trial
from jobctl.store.backup import Contents
from jobctl.store.store import Store

ABOUT, END = "backup.json", "end.json"  # the first file of a backup, and the last
FORMAT = 1
_SMALL = 1 << 20
_DRAFT = place.RESTORING
_MOVING = "moving"  # in the draft: from here on it is moved, piece by piece, to where it belongs
_FOLDERS = ("runs", "executors")
_IN_THE_WAY_OF_NOBODY = {_DRAFT, "cache", "lost+found"}
_SQLITE = b"SQLite format 3\0"
_LOG = ".log"


class Made(NamedTuple):
    """A backup that was written."""

    contents: Contents
    files: int
    left_out: int  # things in the folders of runs that are no files
    lost: list[str]  # of a damaged store: what could not be read of it
    unread: list[str]  # files that are there and are not in it, each with the reason


def write(state_dir: str, out: IO[bytes], draft: str, *, logs: bool, compressed: bool, salvage: bool, now: int) -> Made:
    """Write the backup of a state folder. `draft`: where the database lies meanwhile. StoreError, OSError."""
    lost: list[str] = []
    if salvage:
        from jobctl.store import salvage as saving

        lost = saving.save(state_dir, draft)
    else:
        backup.snapshot(state_dir, draft)
    holds = _contents(state_dir, draft)
    at = now / 1000
    about = {
        "format": FORMAT,
        "jobctl": jobctl.__version__,
        "made_at": rfc3339(now),
        "state_dir": state_dir,
        "store": holds.identity,
        "schema": holds.schema,
        "runs": holds.runs,
        "open_runs": holds.open_runs,
        "running": sorted(id for ids in holds.running.values() for id in ids),
        "logs": logs,
        "lost": lost,
        "database": {"bytes": os.path.getsize(draft), "sha256": _digest(draft)},
    }
    with Writer(out, compressed=compressed) as writer:
        writer.text(ABOUT, _text(about), at)
        if not writer.file(place.DATABASE, draft):
            raise JobctlError(f"{draft} was taken away while the backup was made", hint="try again")
        for keeper, ids in holds.running.items():
            writer.text(f"executors/{keeper}.1.journal", journal.of_another_life(keeper, ids), at)
        left_out, unread = _add_runs(writer, state_dir, set(map(file_name, backup.run_names(draft))), logs=logs)
        writer.text(END, _text({"files": writer.files}), at)
    return Made(holds, writer.files, left_out, lost, unread)


def _contents(state_dir: str, draft: str) -> Contents:
    try:
        return backup.contents(draft)
    except UnusableError as error:
        path = os.path.join(state_dir, place.DATABASE)
        why = error.message.removeprefix("the database in it is damaged: ")
        raise StoreError(f"the state store {path} is damaged: {why}", hint=place.DAMAGED) from error


def _add_runs(writer: Writer, state_dir: str, known: set[str], *, logs: bool) -> tuple[int, list[str]]:
    """The files of the runs in the folders of these names. How many things were left out, being no files; and what
    could not be read. What is gone by now was pruned meanwhile."""
    left_out = 0
    unread: list[str] = []
    for run in _listed(state_dir, "runs", unread):
        if run not in known:
            continue  # it has begun since, or was pruned
        path = os.path.join(state_dir, "runs", run)
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
            left_out += 1
            continue
        for name in _listed(state_dir, f"runs/{run}", unread):
            if not logs and name.endswith(_LOG):
                continue
            path = os.path.join(state_dir, "runs", run, name)
            try:
                if not writer.file(f"runs/{run}/{name}", path) and os.path.lexists(path):
                    left_out += 1
            except UnreadableError as error:
                unread.append(f"runs/{run}/{name} ({error.strerror})")
    return left_out, unread


def _listed(state_dir: str, folder: str, unread: list[str]) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(state_dir, folder)))
    except FileNotFoundError:
        return []
    except OSError as error:
        unread.append(f"{folder} ({error.strerror})")
        return []


def is_one(source: IO[bytes]) -> bool:
    """Whether a file begins as a backup does."""
    try:
        with entries(source) as found:
            first = next(found, None)
            return first is not None and first.name == ABOUT
    except UnusableError:
        return False


def _is_name(text: str) -> bool:
    """Whether it names something in the folder it is looked for in, and nowhere else."""
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


def _text(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=2).encode() + b"\n"


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- back --------------------------------------------------------------------------------------------------------------


class Restored(NamedTuple):
    """A state folder that was made from a backup."""

    contents: Contents
    made_at: str | None  # RFC 3339; None for a bare database
    of: str | None  # the folder that it was made of
    original_is_there: bool
    is_copy: bool  # a store of its own, in which these runs were ended:
    ended: list[str]


def restore(state_dir: str, source: IO[bytes], *, as_copy: bool, by: str, host: Host) -> Restored:
    """Make an empty state folder into that of a backup - or of a bare database, such as SQLite's `.recover` makes one -
    and have it go on as the one; `as_copy`: as a store of its own. JobctlError when nothing was done."""
    with _to_ourselves(state_dir):
        draft = _begin(state_dir)
        try:
            about = _unpack(source, draft)
            holds = _made_ready(draft, is_whole=bool(about))
            if not as_copy:
                _is_gone(draft)
            trial.check(state_dir)
            _move_in(draft, state_dir)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    there, ended = False, []
    of = about.get("state_dir")
    with Store(state_dir, create=False) as store:
        if of is None and store.copy is not None:
            of = store.copy.of.path
        if store.copy is None:  # the very folder of old, emptied: it is the one in any case
            adopt.at_home(store)
            as_copy = False
        elif as_copy:
            ended = adopt.as_copy(store, by, host)
        else:
            there = adopt.original_is_gone(store)
    return Restored(holds, about.get("made_at"), of, there, as_copy, ended)


@contextmanager
def _to_ourselves(state_dir: str) -> Iterator[None]:
    """A folder in which there is no store, and in which nobody makes one meanwhile. JobctlError when there is one."""
    lock = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobctlError(
                f"another jobctl is making a store in {state_dir} just now", hint="see what it has made: jobctl status"
            ) from None
        there = sorted(
            name for name in set(os.listdir(state_dir)) - _IN_THE_WAY_OF_NOBODY if not name.startswith(drafts.START)
        )
        if place.DATABASE not in there and os.path.exists(os.path.join(state_dir, _DRAFT, _MOVING)):
            there = [name for name in there if name not in _FOLDERS]
        if there:
            raise JobctlError(
                f"the state folder {state_dir} is not empty: {', '.join(there[:3])}{' …' if len(there) > 3 else ''}",
                hint=f"end the daemon on it and put it aside (mv {state_dir} {state_dir}.old), or name another folder"
                " with --state-dir",
            )
        yield
    finally:
        os.close(lock)


def _unpack(source: IO[bytes], draft: str) -> dict[str, Any]:
    """Put what is in a backup into a folder; what it says of itself."""
    database = os.path.join(draft, place.DATABASE)
    start = source.read(len(_SQLITE))
    whole = _Again(start, source)
    if start == _SQLITE:
        fd = open_own(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        with os.fdopen(fd, "wb") as file:
            shutil.copyfileobj(whole, file)
        return {}
    with entries(whole) as found:  # type: ignore[arg-type]  # a stream of tar asks for nothing but `read`
        about = _about(next(found, None))
        files, is_whole = 1, False
        for entry in found:
            if entry.name == END:
                is_whole = _says(entry, "files") == files
                break
            _put(entry, draft)
            files += 1
    if not is_whole or not os.path.exists(database):
        raise UnusableError("it is cut off: its end is missing", hint="take another backup; nothing was changed")
    if _digest(database) != about["database"]["sha256"]:
        raise UnusableError("the database in it is damaged", hint="take another backup; nothing was changed")
    return about


class _Again:
    """What was read of a stream already, and the rest of it."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return self._rest.read(size)
        if size < 0:
            start, self._start = self._start, b""
            return start + self._rest.read()
        start, self._start = self._start[:size], self._start[size:]
        return start + (self._rest.read(size - len(start)) if len(start) < size else b"")


def _about(entry: Entry | None) -> dict[str, Any]:
    hint = "name what `jobctl backup` has written"
    if entry is None or entry.name != ABOUT:
        raise UnusableError("it is no backup of jobctl", hint=hint)
    try:
        about = json.loads(entry.data(_SMALL))
        form = int(about["format"])
        if form <= FORMAT:
            datetime.fromisoformat(about["made_at"])
            if not isinstance(about["database"]["sha256"], str) or not isinstance(about.get("state_dir", ""), str):
                raise TypeError
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise UnusableError("it is no backup of jobctl", hint=hint) from None
    if form > FORMAT:
        raise UnusableError(f"it was made by a newer jobctl ({about.get('jobctl')})", hint="upgrade jobctl")
    return dict(about)


def _says(entry: Entry, key: str) -> Any:
    """A value of a file in it that is JSON; None for what is none."""
    try:
        found = json.loads(entry.data(_SMALL))
    except (ValueError, RecursionError):
        return None
    return found.get(key) if isinstance(found, dict) else None


def _put(entry: Entry, draft: str) -> None:
    words = entry.name.split("/")
    is_ours = (
        words == [place.DATABASE]
        or (len(words) == 2 and words[0] == "executors" and words[1].endswith(".journal"))
        or (len(words) == 3 and words[0] == "runs")
    )
    if not is_ours or not all(map(_is_name, words)):
        raise UnusableError(f"it is no backup of jobctl: {entry.name!r} is in it", hint="nothing was changed")
    folder = draft
    for word in words[:-1]:
        folder = os.path.join(folder, word)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
    try:
        entry.write(os.path.join(folder, words[-1]))
    except FileExistsError:
        raise UnusableError(f"{entry.name!r} is in it twice", hint="nothing was changed") from None


def _made_ready(draft: str, *, is_whole: bool) -> Contents:
    """Look at the database, and see to it that what ran is lost."""
    database = os.path.join(draft, place.DATABASE)
    backup.adapt(database, is_whole=is_whole)
    if wrong := backup.damage(database):
        raise UnusableError(f"the database in it is damaged: {wrong}", hint="take another backup; nothing was changed")
    holds = backup.contents(database)
    folder = executor.folder(draft)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for keeper, ids in holds.running.items():
        path = journal.path_of(os.path.join(folder, keeper), 1)
        with suppress(FileExistsError):
            fd = open_own(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            with os.fdopen(fd, "wb") as file:
                file.write(journal.of_another_life(keeper, ids))
    return holds


def _is_gone(draft: str) -> None:
    """JobctlError while somebody lives on the original."""
    with Store(draft, create=False, asks=True) as store:
        try:
            if store.copy is not None:
                adopt.seen(store)
        except JobctlError as error:
            error.hint = "end it first; or, to look at what is in the backup: jobctl restore FILE --as-copy"
            raise


def _move_in(draft: str, state_dir: str) -> None:
    """The files first, the database last: before it is there nobody takes the folder for a state folder."""
    _flush(draft)
    os.close(open_own(os.path.join(draft, _MOVING), os.O_CREAT | os.O_WRONLY))
    for name in _FOLDERS:
        with suppress(FileNotFoundError):
            os.rename(os.path.join(draft, name), os.path.join(state_dir, name))
    database, place_of_it = os.path.join(draft, place.DATABASE), os.path.join(state_dir, place.DATABASE)
    try:
        os.link(database, place_of_it)  # never in the place of another one
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        os.rename(database, place_of_it)  # a file system without links
    _flush(state_dir)


def _begin(state_dir: str) -> str:
    """The folder in which all is made ready. One that somebody has died over is begun anew."""
    draft = os.path.join(state_dir, _DRAFT)
    if os.path.exists(os.path.join(draft, _MOVING)):
        for name in _FOLDERS:
            shutil.rmtree(os.path.join(state_dir, name), ignore_errors=True)
    shutil.rmtree(draft, ignore_errors=True)
    os.mkdir(draft, 0o700)
    return draft


def _flush(folder: str) -> None:
    """All that was written there is on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        if hasattr(os, "syncfs"):
            os.syncfs(fd)
        else:
            os.sync()
    finally:
        os.close(fd)
