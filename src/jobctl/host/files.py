"""Files that somebody names, opened so that none can hold us up or be something else than a file. What is in them is
checked by whoever reads them."""

from __future__ import annotations

import errno
import os
import stat

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


# No process, memory, descriptor or disk space just now.
PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EINTR})


class NotAFileError(OSError):
    """There is something of that name that is no file, or a link that is not to be followed; `strerror` says what."""


def open_regular(path: str) -> int:
    """A descriptor to read a regular file. Nothing is waited for: a pipe without a writer would be for ever.

    A link is followed if it is ours, root's, or belongs to the owner of its folder: another user's link in a folder
    that all may write to could lead anywhere. OSError, NotAFileError.
    """
    return open_named(path, os.O_RDONLY)


def open_named(path: str, flags: int, mode: int = 0o666) -> int:
    """As `open_regular`, also to write; `flags` may make the file. What is to be cut is cut when it is known to be a
    file. OSError, NotAFileError."""
    if not flags & os.O_EXCL:
        _check_link(path, may_be_new=bool(flags & os.O_CREAT))
    fd = _checked(path, flags & ~os.O_TRUNC, mode)
    if flags & os.O_TRUNC:
        os.ftruncate(fd, 0)
    return fd


def open_own(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of a regular file in the state folder, where nothing of ours is a link. `flags` may make it or cut
    it. Nothing is waited for. OSError, NotAFileError."""
    fd = _checked(path, (flags | os.O_NOFOLLOW) & ~os.O_TRUNC, mode)
    if flags & os.O_TRUNC:
        os.ftruncate(fd, 0)
    return fd


def replace_own(path: str, data: bytes, *, flush: bool = False) -> None:
    """Write a file of the state folder whole or not at all, whatever stands there. `flush`: and its content on the
    disk. OSError."""
    draft = path + "~"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        fd = open_own(draft, flags)
    except FileExistsError:  # of somebody who died over it
        os.unlink(draft)
        fd = open_own(draft, flags)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        if flush:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(draft, path)


def _checked(path: str, flags: int, mode: int) -> int:
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, mode)
    try:
        there = os.fstat(fd).st_mode
        if stat.S_ISDIR(there):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(there):
            kind = next((name for test, name in _KINDS if test(there)), "something else")
            raise NotAFileError(errno.EINVAL, f"it is {kind}, not a file", path)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_regular(path: str, limit: int) -> bytes:
    """What is in it, up to `limit` bytes. As `open_regular`."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(limit)


def _check_link(path: str, *, may_be_new: bool) -> None:
    try:
        about = os.lstat(path)
    except FileNotFoundError:
        if may_be_new:
            return
        raise
    if not stat.S_ISLNK(about.st_mode) or about.st_uid in (os.geteuid(), 0):
        return
    folder = os.path.dirname(os.path.abspath(path))
    if os.stat(folder).st_uid != about.st_uid:
        raise NotAFileError(errno.EINVAL, f"it is a link of another user (uid {about.st_uid})", path)
