"""What a store suffers from, seen from outside of whoever uses it, for `status` and `doctor`. Nothing is written."""

from __future__ import annotations

import os
import time

from jobctl.host import locks

LOG_LIMIT = 4 * 1024 * 1024  # bytes of the write-ahead log from which on it is moved into the database
_AGAIN_S = 0.02  # between two looks: what one commit or one question takes is over by then
_FULL = 64 * 1024  # bytes that are as good as none
# What is little: so much, or of a small disk that part.
_LITTLE = 100 * 1024 * 1024
_FEW_INODES = 1_000
_PART = 20


def seen(path: str) -> list[str]:
    """Sentences about the database at `path`; none when all is well."""
    found = [little_space(os.path.dirname(path)), _log(path)]
    return [sentence for sentence in found if sentence]


def halt(folder: str) -> str:
    """Why nothing can be recorded, or begins, in a folder; "" where something may."""
    try:
        space = os.statvfs(folder)
    except OSError:
        return ""
    if space.f_flag & os.ST_RDONLY:
        return "the disk of the state folder is mounted read-only: nothing can be recorded"
    if space.f_bavail * space.f_frsize < _FULL:
        return "the disk of the state folder is full: nothing new begins, and what ends is recorded when there is room"
    if space.f_files and space.f_favail == 0:
        return "the disk of the state folder has no inodes left: nothing new begins"
    return ""


def little_space(folder: str) -> str:
    """What is about to end on the disk of a folder, or has; "" while there is enough of it."""
    if said := halt(folder):
        return said
    try:
        space = os.statvfs(folder)
    except OSError:
        return ""
    free = space.f_bavail * space.f_frsize
    if free < min(_LITTLE, space.f_blocks * space.f_frsize // _PART):
        from jobctl.core import text

        return f"the disk of the state folder is almost full: {text.size(free)} are left"
    if space.f_files and space.f_favail < min(_FEW_INODES, space.f_files // _PART):
        return f"the disk of the state folder has few inodes left: {space.f_favail:,}; each file takes one"
    return ""


def _log(path: str) -> str:
    try:
        size = os.path.getsize(path + "-wal")
    except OSError:
        return ""
    return log_held(path, size) if size > LOG_LIMIT else ""


def log_held(path: str, size: int) -> str:
    """Who keeps the write-ahead log from being emptied; "" for nobody."""
    readers = locks.readers(path)
    if readers:
        time.sleep(_AGAIN_S)
        readers &= locks.readers(path)
    if not readers:
        return ""
    from jobctl.core import text

    who = ", ".join(locks.called(pid) for pid in sorted(readers))
    return f"the write-ahead log has {text.size(size)} and grows: {who} stays in a reading transaction"


def writer(path: str) -> str:
    """Who has kept everybody else from writing for longer than a commit takes; "" for nobody."""
    first = locks.writer(path)
    if first is None:
        return ""
    time.sleep(10 * _AGAIN_S)
    return f"{locks.called(first)} has it locked" if locks.writer(path) == first else ""
