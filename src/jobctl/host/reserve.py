"""Room on a disk that is kept for the worst: a file in the state folder that is given up when nothing can be recorded
any more, so that what runs can end in order, and be canceled. Until it is there again nothing new begins.

On a small disk nothing is kept: it would be missed.
"""

from __future__ import annotations

import errno
import os

from jobctl.host.files import open_own

NAME = "jobctl.reserve"
SIZE = 1024 * 1024
ENOUGH = 4 * SIZE  # free, from which on it is kept and things begin again
SMALL = 64 * SIZE  # a disk

SPENT = (
    "the disk is full: what was kept in reserve is given up, so that what runs can end in order; nothing new begins"
    " until there is room"
)


def keep(folder: str) -> None:
    """Have it, where there is room."""
    path = os.path.join(folder, NAME)
    if os.path.exists(path) or not _has_room(folder):
        return
    try:
        fd = open_own(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except OSError:
        return
    try:
        os.posix_fallocate(fd, 0, SIZE)
    except OSError:
        os.unlink(path)
    finally:
        os.close(fd)


def give_up_for(error: BaseException, folder: str) -> bool:
    """Give it up, if the error says that the disk is full. Whether it did, and it was there."""
    cause = error.__cause__ or error
    is_full = str(getattr(cause, "sqlite_errorname", "")).startswith("SQLITE_FULL")
    if not is_full and getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        return False
    try:
        os.unlink(os.path.join(folder, NAME))
    except OSError:
        return False
    return True


def is_spent(folder: str) -> bool:
    """Whether it is not there, and nothing is to begin for that."""
    return not os.path.exists(os.path.join(folder, NAME)) and not _has_room(folder, or_is_small=True)


def _has_room(folder: str, *, or_is_small: bool = False) -> bool:
    try:
        space = os.statvfs(folder)
    except OSError:
        return or_is_small
    if space.f_blocks * space.f_frsize < SMALL:
        return or_is_small
    return space.f_bavail * space.f_frsize >= ENOUGH
