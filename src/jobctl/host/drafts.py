"""A folder of our own in which something large is made before it is moved to where it belongs, also beside files of
others: its name cannot be foreseen, nothing that was there is followed or taken over, and it is locked as long as
somebody works in it. What a killed process has left is removed by the next one that works beside it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

START = ".jobctl-draft-"
_OURS = re.compile(re.escape(START) + r"[0-9a-f]{16}")
_TRIES = 100


@contextmanager
def draft(beside: str) -> Iterator[str]:
    """An empty folder in the folder `beside`, mode 0700, which is gone afterwards. OSError."""
    _sweep(beside)
    path, lock = _made(beside)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _made(beside: str) -> tuple[str, int]:
    for _ in range(_TRIES):
        path = os.path.join(beside, START + os.urandom(8).hex())
        os.mkdir(path, 0o700)
        with suppress(FileNotFoundError, BlockingIOError):  # another one has swept before it was locked
            lock = _locked(path)
            if os.path.isdir(path):
                return path, lock
            os.close(lock)
    raise BlockingIOError(None, "its drafts are removed again and again", beside)


def _locked(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _sweep(beside: str) -> None:
    """Remove drafts of ours that nobody works in."""
    try:
        names = [name for name in os.listdir(beside) if _OURS.fullmatch(name)]
    except OSError:  # a folder that may be written to and not be listed
        return
    for name in names:
        path = os.path.join(beside, name)
        with suppress(OSError):
            if os.lstat(path).st_uid != os.geteuid():
                continue
            lock = _locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
