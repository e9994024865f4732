"""What a keeper asks of the system, in one object that can be replaced: clocks, a command's process, its log, its kin.

Decides nothing: keeper.py does. Only calls that a small process can afford; standard library, no import of jobctl's but
those of this room.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterable, Mapping

from jobctl.host.files import PASSING, open_own
from jobctl.process import cgroups, descent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIGNALS = [n for n in range(1, signal.NSIG) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]
_LOCK_TRIES = 20
_LOCK_SECONDS = 0.005
_LISTS = 100  # of children: so often at most those that ended behind the list are looked for


class NotMadeError(Exception):
    """A process could not be made. `what`: folder, program, interpreter, arguments, log; `passing`: it may be later."""

    def __init__(self, what: str, number: int, path: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.number = number
        self.path = path

    @property
    def passing(self) -> bool:
        return self.number in PASSING


class System:
    """This machine."""

    def __init__(self) -> None:
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._resource = _resource()
        self._adopts = become_subreaper()
        self._leaves = cgroups.leaves()
        self.umask = 0  # the commands', which is ours

    # -- time ------------------------------------------------------------------------------------------------------

    def wall(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def boot(self) -> int:
        """Milliseconds since the boot, those asleep too: it never steps."""
        return boot_clock()

    # -- an attempt's log ------------------------------------------------------------------------------------------

    def open_log(self, path: str, *, again: bool) -> int:
        """The log, open and locked: the lock lives as long as any process that has it for its output. It is made here,
        so that of two keepers for one attempt the second gets FileExistsError. One that is there, empty and nobody's,
        is what a keeper left that died at this very moment. `again` appends to one that was written to.

        OSError.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            if not again:
                return self._new_log(path, flags)
            fd = os.open(path, flags | os.O_NONBLOCK | os.O_CREAT, 0o600)
        except FileExistsError:
            fd = os.open(path, flags | os.O_NONBLOCK)
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode) or (not again and about.st_size):
                raise FileExistsError(errno.EEXIST, "it is there", path)
            if about.st_mode & 0o777 != 0o600:
                os.fchmod(fd, 0o600)  # the commands' umask is ours
            self._lock(fd, again)
            os.set_blocking(fd, True)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _new_log(self, path: str, flags: int) -> int:
        """The common case, in few calls. FileExistsError."""
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if self.umask & 0o600:
                os.fchmod(fd, 0o600)
            self._lock(fd, again=False)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _lock(self, fd: int, again: bool) -> None:
        # Whoever asks whether it is free holds it for an instant.
        for left in range(_LOCK_TRIES, -1, -1):
            try:
                fcntl.flock(fd, (fcntl.LOCK_SH if again else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not left and not again:
                    raise FileExistsError(errno.EEXIST, "it is somebody's") from None
                if again and left < _LOCK_TRIES - 2:
                    return  # what an earlier probe left behind has it
                time.sleep(_LOCK_SECONDS)

    def remark(self, log: int, text: str) -> None:
        """A line of ours in the log."""
        try:
            os.write(log, f"jobctl: {text}\n".encode("utf-8", "surrogateescape"))
        except OSError:
            pass

    def close(self, fd: int) -> None:
        os.close(fd)

    def unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except OSError:
            pass

    def cap(self, base: str, limit: int) -> tuple[int, str]:
        """Keep the files of an attempt within their limits. How large its log was, and the letters of the files that
        there are. `limit` is the log's; 0: none."""
        from jobctl.process import sizes

        return sizes.keep(base, limit)

    def taken(self, folder: str) -> int:
        """Bytes of the disk that a folder takes."""
        from jobctl.process import sizes

        return sizes.taken(folder)

    # -- processes -------------------------------------------------------------------------------------------------

    def spawn(
        self,
        argv: list[bytes],
        environment: Mapping[bytes, bytes],
        cwd: bytes,
        log: int,
        mark: int,
        given: bytes | None,
    ) -> int:
        """A process in a session of its own, which reads `given`; its pid. NotMadeError."""
        stdin = self._null
        if given is not None:
            try:
                stdin = _held(given)
            except OSError as error:
                raise NotMadeError("input", error.errno or errno.EIO, "what it is to read") from None
        try:
            return self._spawn_in(argv, environment, cwd, log, mark, stdin)
        finally:
            if stdin != self._null:
                os.close(stdin)

    def _spawn_in(
        self, argv: list[bytes], environment: Mapping[bytes, bytes], cwd: bytes, log: int, mark: int, stdin: int
    ) -> int:
        try:
            os.chdir(cwd)
        except OSError as error:
            raise NotMadeError("folder", error.errno or errno.EINVAL, os.fsdecode(cwd)) from None
        try:
            return self._spawn(argv, _at_home(environment, cwd), log, mark, stdin)
        finally:
            # Whoever stands in a folder keeps its file system from being unmounted.
            os.chdir("/")

    def _spawn(self, argv: list[bytes], environment: Mapping[bytes, bytes], log: int, mark: int, stdin: int) -> int:
        program = _program(argv[0], environment)
        try:
            if mark and self._resource is not None:
                self._resource.setrlimit(descent.LOCKS, (mark, self._resource.RLIM_INFINITY))
            try:
                return self._make(program, argv, environment, log, mark, stdin)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without a first line that says what runs it: execvp gives it to the shell.
                return self._make(b"/bin/sh", [b"sh", program, *argv[1:]], environment, log, mark, stdin)
        except OSError as error:
            number = error.errno or errno.EINVAL
            what = "arguments" if number == errno.E2BIG else "program"
            if number in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP) and _is_program(program):
                what = "interpreter"
            raise NotMadeError(what, number, os.fsdecode(argv[0])) from None
        except ValueError:
            raise NotMadeError("arguments", errno.EINVAL, os.fsdecode(argv[0])) from None

    def _make(
        self, program: bytes, argv: list[bytes], environment: Mapping[bytes, bytes], log: int, mark: int, stdin: int
    ) -> int:
        """OSError."""
        if self._leaves is not None:
            leaf = -1
            try:
                leaf = self._leaves.make(mark)
                return cgroups.spawn(leaf, program, argv, environment, log, stdin)
            except OSError as error:
                # Not begun, and not because of the program: this system cannot, or does not let us.
                if error.strerror != "clone3" and leaf >= 0:
                    raise
                self._leaves = None
            finally:
                if leaf >= 0:
                    os.close(leaf)
        actions = ((os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2))
        return os.posix_spawn(
            program, argv, environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_SIGNALS
        )

    def members(self, mark: int) -> list[descent.Proc] | None:
        """The living processes of an attempt's cgroup; None when it has none."""
        found = self._leaves.members(mark) if self._leaves is not None else None
        if found is None:
            return None
        return [about for pid in found if (about := descent.look(pid)) is not None and about.alive]

    def kill_all(self, mark: int) -> bool:
        """SIGKILL to all of an attempt's cgroup, at once. Whether that could be done."""
        return self._leaves is not None and self._leaves.kill(mark)

    def over(self, mark: int) -> None:
        """An attempt is over."""
        if self._leaves is not None and mark:
            self._leaves.forget(mark)

    def tidy(self) -> None:
        """Remove the cgroups of attempts that are over, once nothing lives in them."""
        if self._leaves is not None:
            self._leaves.tidy()

    def ended(self) -> tuple[int, int] | None:
        """(pid, raw wait status) of a child that has ended and is not reaped: the same one until it is."""
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        return None if found is None else (found.si_pid, _raw(found.si_code, found.si_status))

    def reap(self, pid: int) -> None:
        try:
            os.waitpid(descent.checked(pid), os.WNOHANG)
        except ChildProcessError:
            pass

    def signal_group(self, pid: int, number: int) -> None:
        descent.signal_group(pid, number)

    def signal_process(self, pid: int, ticks: int, number: int) -> None:
        def is_it() -> bool:
            found = descent.look(pid)
            return found is not None and found.ticks == ticks

        descent.signal_process(pid, number, is_it)

    def below(self, pid: int) -> list[descent.Proc]:
        """All living descendants of a process; none where the kernel does not list them."""
        try:
            found = descent.below(pid)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            return []
        return [about for one in found if (about := descent.look(one)) is not None and about.alive]

    def orphans(self, leaders: Mapping[int, object]) -> list[descent.Proc]:
        """Living processes that are no attempt's first and have lost their parents, and all that is below them."""
        if self._adopts:
            try:
                return self._adopted(leaders)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
        # They went to somebody else: only what is marked can be found.
        marked = (
            pid for pid in descent.pids() if pid not in leaders and (descent.mark_of(pid) or descent.token_of(pid))
        )
        return [found for pid in marked if (found := descent.look(pid)) is not None and found.alive]

    def _adopted(self, leaders: Mapping[int, object]) -> list[descent.Proc]:
        """None is only answered when none was there at the instant of the list: one that has ended by the time it is
        looked at may have left children, which came to us behind the list's end."""
        ended: set[int] = set()
        for _ in range(_LISTS):
            found = []
            known = len(ended)
            for child in descent.children(os.getpid()):
                if child in leaders or child in ended:
                    continue
                about = descent.look(child)
                if about is not None and about.alive:
                    found.append(about)
                    found += self.below(child)
                else:
                    ended.add(child)
            if found or len(ended) == known:
                break
        return found

    def whose(self, found: descent.Proc, claimants: Iterable[descent.Claimant]) -> str | None:
        return descent.whose(found, claimants)


def _held(given: bytes) -> int:
    """A descriptor to read it from, whose file has no name and is gone with its last reader. A pipe holds 64 KiB, and
    whoever fills one has to wait. OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("jobctl", os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp(prefix="jobctl")
        os.unlink(path)
    try:
        left = memoryview(given)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


def boot_clock() -> int:
    """Milliseconds since the boot, those asleep too."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def namespace() -> str:
    """What tells this PID namespace from every other of the boot; "" where there is none."""
    try:
        return os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")
    except OSError:
        return ""


def become_subreaper() -> bool:
    """From here on orphans below this process become its children. Whether the system can."""
    return prctl(36, 1)


def prctl(option: int, value: int) -> bool:
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).prctl
        return bool(call(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)
    return False


def set_title(text: str) -> None:
    """What `ps` shows of this process, where it can be set: a forked one has its maker's arguments."""
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError, AttributeError):
        import ctypes

        with open("/proc/self/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
        start, end = int(words[45]), int(words[46])
        if 0 < start < end:
            data = text.encode()[: end - start - 1].ljust(end - start, b"\0")
            ctypes.memmove(start, data, end - start)
        ctypes.CDLL(None).prctl(15, ctypes.c_char_p(text.encode()[:15]), 0, 0, 0)


def exit_status_of(pidfd: int) -> int | None:
    """The raw wait status of a process that was nobody's child here and has been reaped. None where the kernel does not
    tell (before Linux 6.15), or it has not been reaped yet. The call is PIDFD_GET_INFO, see pidfd_open(2)."""
    size, exit_bit = 64, 8
    data = bytearray(exit_bit.to_bytes(8, "little") + bytes(size - 8))
    try:
        fcntl.ioctl(pidfd, (3 << 30) | (size << 16) | (0xFF << 8) | 11, data)
    except OSError:
        return None
    if not int.from_bytes(data[:8], "little") & exit_bit:
        return None
    return int.from_bytes(data[60:64], "little")


def is_locked(path: str, *, exclusively: bool = False) -> bool:
    """Whether any living process, in whatever namespace, has this file open that was locked for an attempt, for a
    keeper, or for an executor. A file that is not there is held by nobody.

    `exclusively`: whoever only asks, as this does, is not taken for a holder.
    """
    try:
        fd = open_own(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in PASSING:
            raise
        return False
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if exclusively else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _raw(code: int, status: int) -> int:
    if code == os.CLD_EXITED:
        return status << 8
    return status | (0x80 if code == os.CLD_DUMPED else 0)


def _resource() -> Any:
    """The module, where a mark can be set: the hard limit is to stay as it is."""
    try:
        import resource

        hard = resource.getrlimit(descent.LOCKS)[1]
    except (ImportError, OSError, ValueError):
        return None
    return resource if hard == resource.RLIM_INFINITY else None


def _at_home(environment: Mapping[bytes, bytes], cwd: bytes) -> Mapping[bytes, bytes]:
    """PWD names the folder that the command begins in; where it began before is nothing to it."""
    if b"OLDPWD" in environment:
        environment = {name: value for name, value in environment.items() if name != b"OLDPWD"}
    return {**environment, b"PWD": cwd}


def _program(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """Where a program is, on the command's own PATH. NotMadeError."""
    if b"/" in name:
        return name
    denied = False
    for folder in environment.get(b"PATH", b"").split(b":"):
        path = (folder or b".") + b"/" + name
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        denied = denied or os.path.isfile(path)
    raise NotMadeError("program", errno.EACCES if denied else errno.ENOENT, os.fsdecode(name))


def _is_program(path: bytes) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
