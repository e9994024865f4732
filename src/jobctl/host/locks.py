"""Who holds a lock on a file, as the kernel lists it (/proc/locks). Only asked where something is wrong."""

from __future__ import annotations

import os

from jobctl.core.record import NamedTuple

LIST = "/proc/locks"

# Bytes of the -shm file that SQLite locks (its wal-index format): who writes, and who reads as of which moment.
_WRITER = 120
_READERS = range(123, 128)


class Held(NamedTuple):
    """One lock. `pid` is 0 or less for a process of another PID namespace."""

    kind: str  # FLOCK | POSIX | OFDLCK
    exclusive: bool
    pid: int
    first: int
    last: int


def held(path: str) -> list[Held] | None:
    """The locks on a file; None where the kernel does not tell. Of the device the list has the number that the file
    system has, which is not always the file's: the inode has to do."""
    try:
        inode = str(os.stat(path).st_ino)
        with open(LIST, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        # 1: POSIX  ADVISORY  READ 3548 fe:00:131 124 124; a `->` after the number: it waits for that lock
        words = line.split()
        if len(words) < 8 or words[1] == "->" or words[5].rpartition(":")[2] != inode:
            continue
        try:
            last = 1 << 62 if words[7] == "EOF" else int(words[7])
            found.append(Held(words[1], words[3] == "WRITE", int(words[4]), int(words[6]), last))
        except ValueError:
            continue
    return found


def holds(path: str, pid: int) -> bool | None:
    """Whether that process has locked the file (flock); None where the kernel does not tell."""
    found = held(path)
    return None if found is None else any(lock.kind == "FLOCK" and lock.pid == pid for lock in found)


def writer(database: str) -> int | None:
    """The process that writes a database just now, 0 for one that cannot be seen from here; None for nobody."""
    found = held(database + "-shm") or []
    pids = [
        max(0, lock.pid)
        for lock in found
        if lock.kind != "FLOCK" and lock.exclusive and lock.first <= _WRITER <= lock.last
    ]
    return next((pid for pid in pids if pid != os.getpid()), None)


def readers(database: str) -> set[int]:
    """The processes that read a database just now, or stay in a reading transaction."""
    found = held(database + "-shm") or []
    return {
        max(0, lock.pid) for lock in found if not lock.exclusive and lock.first in _READERS and lock.pid != os.getpid()
    }


def called(pid: int) -> str:
    """`process 4711 (sqlite3)`."""
    if pid <= 0:
        return "a process that cannot be seen from here"
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read(64).decode("utf-8", "replace").strip()
    except OSError:
        name = ""
    return f"process {pid} ({name})" if name else f"process {pid}"
