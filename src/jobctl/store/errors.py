"""What SQLite says when it cannot, as sentences with a way out. What a store suffers from unasked: trouble.py."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from jobctl.core.errors import StoreError, StoreGoneError, StoreLostError, StoreUnavailableError, UnwritableError
from jobctl.host import locks
from jobctl.host.machine import READ_ONLY_HINT, read_only
from jobctl.store.place import DAMAGED

_OF_THE_VALUES = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE")

# The beginning of SQLite's name for it; what is wrong; the way out; whether it passes by itself, or never.
_PASSES, _STAYS = StoreUnavailableError, StoreLostError
_OWNER = "check who owns the state folder, or choose another: --state-dir"
_EXPLANATIONS: Iterable[tuple[str, str, str, type[StoreError]]] = (
    ("SQLITE_BUSY", "is locked by another process", "try again; if it stays so: fuser {path}", _PASSES),
    ("SQLITE_READONLY_DBMOVED", "was moved away or removed while it was in use", "put it back", StoreGoneError),
    ("SQLITE_READONLY", "cannot be written", _OWNER, StoreError),
    ("SQLITE_FULL", "cannot grow: the disk is full", "free some space; nothing that was recorded is lost", _PASSES),
    ("SQLITE_CANTOPEN", "cannot be opened", _OWNER, StoreError),
    ("SQLITE_NOTADB", "is not a database", "move its folder away, then: jobctl restore BACKUP, or start anew", _STAYS),
    (
        "SQLITE_CORRUPT",
        "is damaged",
        DAMAGED,
        _STAYS,
    ),
    ("SQLITE_IOERR_SHM", "has no room for its shared memory: is the disk full?", "free some space", _PASSES),
    ("SQLITE_IOERR", "cannot be read or written: the disk reports an error", "see the system's log: dmesg", _PASSES),
)


def explain(error: sqlite3.Error, path: str) -> StoreError:
    """The sentence for an error of SQLite's. StoreUnavailableError for one that may pass by itself."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(_OF_THE_VALUES) or isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
        return UnwritableError(f"it cannot be written to the state store {path}: {error}", hint="see: jobctl doctor")
    for prefix, what, hint, kind in _EXPLANATIONS:
        if name.startswith(prefix):
            if prefix == "SQLITE_BUSY" and (pid := locks.writer(path)) is not None:
                what = f"is locked by {locks.called(pid)}"
            if prefix in ("SQLITE_READONLY", "SQLITE_CANTOPEN") and read_only(os.path.dirname(path)):
                what, hint = f"{what}: its file system is read-only", READ_ONLY_HINT
            return kind(f"the state store {path} {what}", hint=hint.format(path=path))
    return StoreError(f"the state store {path} cannot be used: {error}", hint="see: jobctl doctor")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """SQLite's errors as sentences with a way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise StoreError(
            f"the state store {path} cannot be used: {error.strerror or error}",
            hint="choose another state folder with --state-dir, or see: jobctl doctor",
        ) from error
