"""Which folder a state folder is, wherever it lies: by what a copy cannot take along. What follows from it: store/.

A folder that is renamed, or whose volume comes back under another device number or on another machine, is the same. One
that was copied, or moved to another file system, is not.
"""

from __future__ import annotations

import json
import os
from sys import byteorder

from jobctl.core.record import NamedTuple
from jobctl.host.files import open_own

MARK = "jobctl.id"  # the store's id; nobody touches the file once it is written, so that its ctime stays what it is

_STATX = {"x86_64": 332, "aarch64": 291, "riscv64": 291, "loongarch64": 291, "armv7l": 397, "i686": 383, "i386": 383}
_STATX |= {"ppc64le": 383, "ppc64": 383, "s390x": 379}
_AT_FDCWD = -100
_BIRTH = 0x800  # STATX_BTIME


class Folder(NamedTuple):
    """What a folder is known by, and where it was then. Times are nanoseconds, None where the system has none."""

    inode: int
    born: int | None
    marked: int | None  # the ctime of MARK, for systems that know no birth
    path: str


def look(path: str) -> Folder:
    """What that folder is now. OSError when it cannot be looked at."""
    return Folder(os.stat(path).st_ino, born(path), _marked(path), path)


def is_same(known: Folder, path: str) -> bool:
    """Whether the folder there is the one that was known. Two calls of the system, unless something is different."""
    inode, marked = os.stat(path).st_ino, _marked(path)
    if marked is not None and marked == known.marked and inode == known.inode:
        return True  # a copy of the mark has another ctime: nobody can set it
    birth = born(path)
    if birth is not None and known.born is not None:
        return birth == known.born and (inode == known.inode or _numbers_move(path))
    return marked is not None and marked == known.marked


def encode(folder: Folder) -> str:
    return json.dumps(folder._asdict())


def decode(text: str | None) -> Folder | None:
    """None for what was not recorded, or cannot be read."""
    try:
        found = json.loads(text or "null")
        return Folder(int(found["inode"]), found["born"], found["marked"], str(found["path"]))
    except (KeyError, TypeError, ValueError):
        return None


def write_mark(path: str, text: str) -> None:
    """Put the mark into a folder, anew."""
    fd = open_own(os.path.join(path, MARK), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def born(path: str) -> int | None:
    """When a file came to be, in nanoseconds; None where the system does not know."""
    told = getattr(os.stat(path), "st_birthtime", None)  # macOS, the BSDs
    if told is not None:
        return int(told * 1_000_000_000)
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(256)
        name = os.fsencode(path)
        if hasattr(libc, "statx"):
            failed = libc.statx(_AT_FDCWD, name, 0, _BIRTH, buffer)
        else:
            number = _STATX.get(os.uname().machine)
            failed = number is None or libc.syscall(number, _AT_FDCWD, name, 0, _BIRTH, buffer)
    except (OSError, AttributeError):
        return None
    data = buffer.raw
    if failed or not int.from_bytes(data[0:4], byteorder) & _BIRTH:
        return None  # an old kernel, a file system without births, or a container that forbids the question
    return int.from_bytes(data[80:88], byteorder, signed=True) * 1_000_000_000 + int.from_bytes(data[88:92], byteorder)


def _marked(path: str) -> int | None:
    try:
        return os.lstat(os.path.join(path, MARK)).st_ctime_ns
    except OSError:
        return None


def _numbers_move(path: str) -> bool:
    """Whether the file system there gives its files other numbers each time it is mounted."""
    from jobctl.host import settings

    try:
        with open(settings.MOUNTS, "rb") as file:
            kind = settings.filesystem(path, file.read())
    except OSError:
        return False
    return kind == "overlay" or kind.startswith("fuse")
