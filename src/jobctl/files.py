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


class NotAFileError(OSError):
    """There is something of that name that is no file, or a link that is not to be followed; `strerror` says what."""


def open_regular(path: str) -> int:
    """A descriptor to read a regular file. Nothing is waited for: a pipe without a writer would be for ever.

    A link is followed if it is ours, root's, or belongs to the owner of its folder: another user's link in a folder
    that all may write to could lead anywhere. OSError, NotAFileError.
    """
    _check_link(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            kind = next((name for test, name in _KINDS if test(mode)), "something else")
            raise NotAFileError(errno.EINVAL, f"it is {kind}, not a file", path)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_regular(path: str, limit: int) -> bytes:
    """What is in it, up to `limit` bytes. As `open_regular`."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(limit)


def _check_link(path: str) -> None:
    about = os.lstat(path)
    if not stat.S_ISLNK(about.st_mode) or about.st_uid in (os.geteuid(), 0):
        return
    folder = os.path.dirname(os.path.abspath(path))
    if os.stat(folder).st_uid != about.st_uid:
        raise NotAFileError(errno.EINVAL, f"it is a link of another user (uid {about.st_uid})", path)
