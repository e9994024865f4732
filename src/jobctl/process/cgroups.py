"""A cgroup for each attempt, where one was delegated to us (systemd: Delegate=yes): nothing gets out of it.

Whose a process is, with and without: descent.py. Nothing here is tried where nobody has said that we may: a cgroup that
is only writable may be another manager's. Rules: "Control Group v2" of the kernel's admin guide, and systemd's
CGROUP_DELEGATION.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

DAEMON = "jobctl"  # the leaf of the daemon and its keeper: a cgroup with others below it holds no process
_ATTEMPT = "attempt-"
_MARKS = (b"trusted.delegate", b"user.delegate")  # how systemd says that a cgroup is delegated
_CLONE3 = 435
_CLONE_INTO_CGROUP = 0x200000000
_SIGCHLD = 17


class Leaves:
    """The cgroups of a keeper's attempts, each named after its mark."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._left: set[int] = set()  # that still hold what a successful attempt has left running

    def make(self, mark: int) -> int:
        """A new one; its descriptor. OSError."""
        path = self._path(mark)
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            pass  # its condition's
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def members(self, mark: int) -> list[int] | None:
        """The processes in it, and in those that the command has made below it. None when there is no such cgroup."""
        found: list[int] = []
        if not os.path.isdir(self._path(mark)):
            return None
        for folder, _, _ in os.walk(self._path(mark)):
            try:
                with open(os.path.join(folder, "cgroup.procs"), "rb") as file:
                    found += [int(word) for word in file.read().split()]
            except OSError:
                continue  # gone meanwhile
        return [pid for pid in found if pid > 1]

    def kill(self, mark: int) -> bool:
        """SIGKILL to all of it at once, also to what is being made just now. Whether the kernel can (Linux 5.14)."""
        try:
            with open(os.path.join(self._path(mark), "cgroup.kill"), "wb", buffering=0) as file:
                file.write(b"1")
        except OSError:
            return False
        return True

    def forget(self, mark: int) -> None:
        """Its attempt is over. It stays while something lives in it."""
        self._left.add(mark)
        self.tidy()

    def tidy(self) -> None:
        for mark in list(self._left):
            try:
                for folder, _, _ in os.walk(self._path(mark), topdown=False):
                    os.rmdir(folder)
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                    continue
            self._left.discard(mark)

    def _path(self, mark: int) -> str:
        return os.path.join(self._root, f"{_ATTEMPT}{mark:x}")


def mark_in(path: bytes) -> int:
    """The mark of the attempt whose cgroup this path (a line of /proc/PID/cgroup) is in; 0 for none."""
    for name in path.strip().split(b"/"):
        if name.startswith(_ATTEMPT.encode()):
            try:
                return int(name[len(_ATTEMPT) :], 16)
            except ValueError:
                continue
    return 0


def delegated() -> str | None:
    """The cgroup below which we may make others: the one that we are in, or were in before `settle`."""
    own = _own()
    if own is None:
        return None
    root = os.path.dirname(own) if os.path.basename(own) == DAEMON else own
    return root if _is_delegated(root) else None


def settle() -> None:
    """Leave the delegated cgroup for a leaf of our own, so that attempts can have theirs beside it."""
    root = delegated()
    if root is None:
        return
    leaf = os.path.join(root, DAEMON)
    try:
        os.makedirs(leaf, exist_ok=True)
        with open(os.path.join(leaf, "cgroup.procs"), "wb", buffering=0) as file:
            file.write(b"0")
    except OSError:
        return  # attempts are told apart without
    _tidy(root)


def _tidy(root: str) -> None:
    """Remove what earlier keepers have left and nothing lives in. Those begin nothing any more: their maker is gone."""
    for name in os.listdir(root):
        if name.startswith(_ATTEMPT):
            try:
                os.rmdir(os.path.join(root, name))
            except OSError:
                continue


def leaves() -> Leaves | None:
    """For a keeper, where there are any. It is in its maker's cgroup."""
    root = delegated()
    return Leaves(root) if root is not None and os.access(root, os.W_OK) else None


def spawn(leaf: int, program: bytes, argv: list[bytes], environment: Mapping[bytes, bytes], log: int, null: int) -> int:
    """A process that is born in the cgroup `leaf`, in a session of its own, as os.posix_spawn would make it; its pid.

    To move one there afterwards would be too late for what it has made by then, and slow. OSError: ENOSYS, EPERM or
    EINVAL where a process cannot be made this way; what exec says.
    """
    import ctypes

    says, told = os.pipe2(os.O_CLOEXEC)
    try:
        # struct clone_args, see clone(2).
        arguments = (ctypes.c_uint64 * 11)(_CLONE_INTO_CGROUP, 0, 0, 0, _SIGCHLD, 0, 0, 0, 0, 0, leaf)
        call = ctypes.PyDLL(None, use_errno=True).syscall
        call.restype = ctypes.c_long
        pid = call(ctypes.c_long(_CLONE3), ctypes.byref(arguments), ctypes.c_size_t(ctypes.sizeof(arguments)))
        if pid == 0:
            _become(told, program, argv, environment, log, null)
        if pid < 0:
            raise OSError(ctypes.get_errno(), "clone3")
        os.close(told)
        told = -1
        said = os.read(says, 16)
        if said:
            os.waitpid(pid, 0)
            raise OSError(int(said), "exec")
        return int(pid)
    finally:
        os.close(says)
        if told >= 0:
            os.close(told)


def _become(
    told: int, program: bytes, argv: list[bytes], environment: Mapping[bytes, bytes], log: int, null: int
) -> None:
    """The child: what the keeper has open is closed by exec. Does not return."""
    import signal

    try:
        os.setsid()
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                continue
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(program, argv, environment)
    except OSError as error:
        os.write(told, str(error.errno or errno.EINVAL).encode())
    except BaseException:
        os.write(told, str(errno.EINVAL).encode())
    finally:
        os._exit(127)


def _own() -> str | None:
    """Where in the file system the cgroup (v2) of this process is."""
    try:
        with open("/proc/self/cgroup", "rb") as file:
            line = next(one for one in file if one.startswith(b"0::"))
        with open("/proc/self/mountinfo", "rb") as file:
            for mount in file:
                before, _, after = mount.partition(b" - ")
                words = before.split()
                if after.startswith(b"cgroup2 "):
                    # Below the mounted part of the hierarchy, which need not be all of it.
                    part = os.path.relpath(line[3:].strip(), words[3])
                    if not part.startswith(b".."):
                        return os.path.normpath(os.path.join(os.fsdecode(words[4]), os.fsdecode(part)))
    except (OSError, StopIteration, IndexError, ValueError):
        pass
    return None


def _is_delegated(path: str) -> bool:
    for mark in _MARKS:
        try:
            if os.getxattr(path, mark) == b"1":
                return True
        except (OSError, AttributeError):
            continue
    return False
