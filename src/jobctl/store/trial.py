"""Whether a folder can hold a store, tried out between two processes: locks, shared memory, pipes. Run once, when the
store is made there. What no trial on one machine shows, another machine's writing, host/settings.py refuses by name."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import warnings

from jobctl.core.errors import StoreError

_OURS, _THEIRS = 0x5A, 0xA5
_SIZE = 4096


def check(folder: str) -> None:
    """StoreError saying what does not work there. OSError when nothing can be tried: no room, no permission."""
    base = os.path.join(folder, f"jobctl.trial.{os.urandom(4).hex()}")
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(base, flags, 0o600)
    pipe = base + ".pipe"
    try:
        os.pwrite(fd, bytes(_SIZE), 0)
        wrong = _alone(fd, pipe) or _together(fd, base)
    finally:
        os.close(fd)
        for path in (base, pipe):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    if wrong:
        raise StoreError(
            f"the state folder {folder} is on a file system that cannot hold it: {wrong}",
            hint="name a folder on a local disk with --state-dir or JOBCTL_STATE_DIR",
        )


def _alone(fd: int, pipe: str) -> str:
    """What this process cannot do there; "" for nothing."""
    if os.fstat(fd).st_mode & 0o077:
        return "files cannot be kept from others (its permissions do not hold)"
    try:
        os.mkfifo(pipe, 0o600)
    except OSError as error:
        return f"it has no pipes ({error.strerror})"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"files cannot be locked (flock: {error.strerror})"
    try:
        with mmap.mmap(fd, _SIZE, mmap.MAP_SHARED) as shared:
            shared[0] = _OURS
            if os.pread(fd, 1, 0)[0] != _OURS:
                return "what is written to shared memory (mmap) is not in the file"
    except (OSError, ValueError) as error:
        return f"memory cannot be shared (mmap: {getattr(error, 'strerror', None) or error})"
    return ""


def _together(fd: int, path: str) -> str:
    """What two processes cannot do there, of which this one has the locks."""
    with mmap.mmap(fd, _SIZE, mmap.MAP_SHARED) as shared:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)  # lost when a descriptor is closed: the map's
        except OSError as error:
            return f"files cannot be locked (fcntl: {error.strerror})"
        # It tells by a pipe: with SIGCHLD ignored, as it may be inherited, nobody learns its exit code.
        answer, say = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the child does nothing that a thread could hold up
            pid = os.fork()
        if pid == 0:
            try:
                os.write(say, b"%d" % _other(path))
            finally:
                os._exit(0)
        os.close(say)
        told = os.read(answer, 1)
        os.close(answer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        if told == b"0" and shared[1] != _THEIRS:
            return "what another process writes to shared memory (mmap) is not seen"
    return _WRONG.get(int(told or b"9"), "another process cannot use the same file")


_WRONG = {
    0: "",
    1: "two processes can have the same lock (flock)",
    2: "two processes can have the same lock (fcntl)",
    3: "what one process writes to shared memory (mmap) another one does not see",
}


def _other(path: str) -> int:
    """The second process: with a descriptor of its own. A key of _WRONG."""
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        return 1
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except (BlockingIOError, PermissionError):
        pass
    else:
        return 2
    with mmap.mmap(fd, _SIZE, mmap.MAP_SHARED) as shared:
        if shared[0] != _OURS:
            return 3
        shared[1] = _THEIRS
    return 0
