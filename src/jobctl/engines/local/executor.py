"""Who advances runs: an executor's lock, by which the kernel tells whether it lives, and the pipe that wakes it.

Two files an executor, `executors/<id>.lock` and `executors/<id>.wake`, and `<id>.told` where it has something to say;
all are gone when it ends in order. flock is
used directly (it is what filelock uses on Unix): importing filelock costs four times what a start of Python does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

from jobctl.core.errors import StoreError
from jobctl.host import machine
from jobctl.host.boot import boot_id
from jobctl.host.files import PASSING, open_own, read_regular, replace_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_SUFFIXES = (".wake", ".lock", ".told", ".told~")
_TOLD_AT_MOST = 1 << 20
_ROOM = 4096  # bytes of what is told: one block of most disks
_LONGEST = 400


class Executor:
    """This process as an executor: alive for as long as the object is open and the process lives."""

    def __init__(self, state_dir: str, kind: str) -> None:
        """StoreError when the state folder takes no files."""
        self.id = os.urandom(4).hex()
        self.kind = kind
        self.pid = os.getpid()
        self.boot = boot_id()[:8]
        self._base = _base(state_dir, self.id)
        self._told: dict[str, Any] = {}
        try:
            self._open()
        except OSError as error:
            hint = (
                machine.READ_ONLY_HINT
                if error.errno == errno.EROFS
                else "choose another: --state-dir; see: jobctl doctor"
            )
            raise StoreError(f"the state folder {state_dir} cannot be written: {error.strerror}", hint=hint) from error

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._base), mode=0o700, exist_ok=True)
        self._lock = os.open(self._base + ".lock", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # nobody probes an id that nobody knows yet: this never waits
        if self.kind == "daemon":
            self.complain(())
        os.mkfifo(self._base + ".wake", 0o600)
        # Open for writing too, so that the pipe never reports an end when a writer leaves.
        self.wake_fd = os.open(self._base + ".wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def complain(self, troubles: Sequence[tuple[str, int]]) -> None:
        """Let others know what we suffer from: (sentence, since when). It has its place in the lock's file from the
        beginning, so that it can be said on a full disk, and of a store that cannot be written."""
        import json

        said: list[dict[str, str | int]] = [
            {"message": message[:_LONGEST], "since": since} for message, since in troubles
        ]
        while len(data := json.dumps(said).encode()) > _ROOM:
            said.pop()
        try:
            os.pwrite(self._lock, data.ljust(_ROOM), 0)
        except OSError:
            pass  # it stands in the log, too

    def drain(self) -> None:
        """Take what was written into the pipe. What it was about stands in the store."""
        try:
            while len(os.read(self.wake_fd, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def tell(self, **what: Any) -> None:
        """Leave word for whoever asks, as JSON beside the lock: what else was told stays. Where there is no room the
        next word has it."""
        told = {**self._told, **what}
        if told == self._told:
            return
        import json

        try:
            replace_own(self._base + ".told", json.dumps(told).encode())
        except OSError:
            return
        self._told = told

    def close(self) -> None:
        for suffix in _SUFFIXES:
            with suppress(OSError):  # gone, or something else by now
                os.unlink(self._base + suffix)
        os.close(self.wake_fd)
        os.close(self._lock)


def alive(state_dir: str, executor_id: str) -> bool:
    """Whether that executor lives, at once: its lock is held by a living process, or it is not. One that may not be
    read may be held: what is not known to be dead is not taken over."""
    return lives(state_dir, executor_id) is not False


def lives(state_dir: str, executor_id: str) -> bool | None:
    """The same for certain; None where that cannot be told, because its lock may not be read."""
    try:
        fd = open_own(_base(state_dir, executor_id) + ".lock")
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in PASSING:
            raise
        # What is no file is nobody's lock: it was removed.
        return None if error.errno in (errno.EACCES, errno.EPERM) else False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def told(state_dir: str, executor_id: str) -> dict[str, Any]:
    """What a living executor has left word of; nothing where that cannot be read."""
    import json

    try:
        found = json.loads(read_regular(_base(state_dir, executor_id) + ".told", _TOLD_AT_MOST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def complaints(state_dir: str, executor_id: str) -> list[dict[str, str | int]]:
    """What that executor suffers from, as it said with `complain`; nothing of one of an older version."""
    try:
        fd = open_own(lock_file(state_dir, executor_id))
    except OSError:
        return []
    import json

    try:
        found = json.loads(os.read(fd, _ROOM) or b"[]")
        return [{"message": str(one["message"]), "since": int(one["since"])} for one in found]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    finally:
        os.close(fd)


def names(state_dir: str) -> list[str]:
    """The executors that have a lock there, living or dead, also those that the store does not know."""
    try:
        found = os.listdir(folder(state_dir))
    except OSError:
        return []
    return sorted(name.removesuffix(".lock") for name in found if name.endswith(".lock"))


def lock_file(state_dir: str, executor_id: str) -> str:
    return _base(state_dir, executor_id) + ".lock"


def poke(state_dir: str, executor_id: str) -> bool:
    """Have that executor look at the store now. False when there is nobody to wake."""
    try:
        fd = os.open(
            _base(state_dir, executor_id) + ".wake", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        )
    except OSError as error:
        if error.errno in PASSING:
            raise
        return False  # nobody reads it, or it is no pipe any more: who is not woken looks by itself, a little later
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return False
        os.write(fd, b"!")
    except BlockingIOError:
        pass  # full of pokes that it has not read yet: it will look
    finally:
        os.close(fd)
    return True


def forget(state_dir: str, executor_id: str) -> None:
    """Remove what a dead executor left."""
    for suffix in _SUFFIXES:
        with suppress(OSError):  # gone, or something else by now
            os.unlink(_base(state_dir, executor_id) + suffix)


def folder(state_dir: str) -> str:
    """Where executors and their keepers have their files."""
    return os.path.join(state_dir, "executors")


def _base(state_dir: str, executor_id: str) -> str:
    return os.path.join(folder(state_dir), executor_id)
