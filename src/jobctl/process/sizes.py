"""The files of an attempt, kept within their limits while its command writes them. What they mean is attempt.py's."""

from __future__ import annotations

import os

from jobctl.host.files import open_own

# Bytes of them that anybody reads. One byte more of an output file is kept, so that it is seen to be too large.
MOST = {".heartbeat": 64 * 1024, ".output": 1024 * 1024, ".failure": 64 * 1024}
# What is told of the files that a command has written, a letter each.
LETTERS = {".heartbeat": "h", ".output": "o", ".failure": "f", ".suspend": "s"}


def keep(base: str, log_limit: int) -> tuple[int, str]:
    """Cut what is larger than it may be. How large the log was, in bytes; and the letters of the files that there are.

    What is no file, or cannot be cut just now, is left as it is: it is looked at again.
    """
    there = ""
    for suffix, letter in LETTERS.items():
        path = base + suffix
        size = _size(path)
        if size is None:
            continue
        there += letter
        most = MOST.get(suffix)
        if most is not None and size > most + 1:
            try:
                fd = open_own(path, os.O_RDWR)
            except OSError:
                continue
            try:
                if suffix == ".heartbeat":
                    _keep_last_line(fd, most)
                else:
                    os.ftruncate(fd, most + 1)
            except OSError:
                pass
            finally:
                os.close(fd)
    size = _size(base + ".log") or 0
    if log_limit and size > log_limit:
        from jobctl.process import logs

        try:
            logs.cap(base + ".log", log_limit)
        except OSError:
            pass  # gone, or no room to make room
    return size, there


def taken(folder: str) -> int:
    """Bytes of the disk that all of a folder takes. Links are not followed; what is gone or may not be read counts for
    nothing."""
    total, folders = 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    total += about.st_blocks * 512  # of a file with holes, what it has
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue
    return total


def _keep_last_line(fd: int, most: int) -> None:
    """The last complete line is the cursor; of the others nobody asks. When it was written stays as it was, so that
    this is no sign of life. A line that is written between two calls here, some microseconds apart, is lost."""
    about = os.fstat(fd)
    tail = os.pread(fd, most + 1, max(0, about.st_size - most - 1))
    end = tail.rfind(b"\n")
    begin = tail.rfind(b"\n", 0, end) if end >= 0 else -1
    last = tail[begin + 1 :] if begin >= 0 else b""
    os.pwrite(fd, last, 0)
    os.ftruncate(fd, len(last))
    os.utime(fd, ns=(about.st_atime_ns, about.st_mtime_ns))


def _size(path: str) -> int | None:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None
