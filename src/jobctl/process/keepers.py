"""An executor's side of its keepers: made, connected to, talked with, and what the journals of dead ones say.

What is said: keeper.py. What follows from it for an attempt: supervisor.py.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Mapping

from jobctl.process import frames
from jobctl.process.descent import checked
from jobctl.process.frames import FrameError, Frames, Message

_PIPE_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031
_READ = 1 << 18
_BASES = 8  # environments of a keeper
_COMMON = 4  # variables: fewer are not worth a base

_umask: int | None = None  # what this process was started with, once it has made its own stricter
_children: set[int] = set()  # keepers that this process has made and not reaped


class Link:
    """One keeper that lives, as far as we know: sending never waits, what it says is read when it is there."""

    def __init__(self, read: int, write: int, pid: int | None) -> None:
        """`pid`: of a keeper that this process has made, None for one that somebody else has."""
        self.read, self.write, self.pid = read, write, pid
        self.name = ""
        self.closed = False
        self._frames = Frames()
        self._out: list[bytes] = []
        self._bases: dict[int, Mapping[str, str]] = {}  # environments that it keeps; the one last made at the end
        self._made = 0
        for fd in {read, write}:
            os.set_blocking(fd, False)

    def greet(self, folder: str, name: str, boot: str, umask: int) -> None:
        """The first message: to a keeper that we have made, what it is; to another one, a greeting."""
        self.name = name
        self.send(frames.message("hello", v=frames.VERSION, keeper=name, folder=folder, boot=boot, umask=umask))

    def send(self, message: Message) -> None:
        self._out.append(frames.pack(message))

    def environment(self, variables: Mapping[str, str]) -> Message:
        """The fields that give a command its environment: what differs from one that the keeper was sent before. The
        steps of a run, and the runs of a job, have most of theirs in common.

        UnicodeEncodeError, and ValueError for a NUL.
        """
        for number, base in reversed(self._bases.items()):
            if base.keys() <= variables.keys():
                differ = {name: value for name, value in variables.items() if base.get(name) != value}
                if len(variables) - len(differ) >= _COMMON:
                    return [b"base=%d" % number, *_fields(differ)]
        whole = _fields(variables)
        self._made += 1
        self._bases[self._made] = variables
        self.send([b"base", b"n=%d" % self._made, *whole])
        if len(self._bases) > _BASES:
            oldest = next(iter(self._bases))
            del self._bases[oldest]
            self.send([b"forget", b"n=%d" % oldest])
        return [b"base=%d" % self._made]

    def flush(self) -> bool:
        """Write what can be written now. Whether nothing is left."""
        while self._out and not self.closed:
            data = b"".join(self._out)
            try:
                done = os.write(self.write, data)
            except BlockingIOError:
                self._out = [data]
                return False
            except OSError:
                self._out.clear()  # it is gone, which is seen where it is read
                return True
            self._out = [data[done:]] if done < len(data) else []
        return True

    def receive(self) -> tuple[list[Message], bool]:
        """(what it says, whether it is gone)."""
        found: list[Message] = []
        while not self.closed:
            try:
                data = os.read(self.read, _READ)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                return found, True
            try:
                found += self._frames.feed(data)
            except FrameError:
                return found, True
            if len(data) < _READ:
                break
        return found, False

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for fd in {self.read, self.write}:
                os.close(fd)


def _fields(variables: Mapping[str, str]) -> Message:
    return [frames.joined([f"e={name}={value}" for name, value in variables.items()])] if variables else []


def private_files() -> None:
    """From here on this process makes files that only their owner reads. Commands keep the umask it had before.

    Nor do they get descriptors that it was started with: they outlive it, and somebody may wait for the other end.
    """
    global _umask
    before = os.umask(0o077)
    if _umask is None:
        _umask = before
        for name in os.listdir("/dev/fd"):
            try:
                if int(name) > 2:
                    os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that listed them


def commands_umask() -> int:
    """What commands are to have."""
    if _umask is not None:
        return _umask
    os.umask(before := os.umask(0o077))
    return before


def make(*, fork: bool = False) -> Link:
    """A keeper of our own. OSError when no process can be made just now.

    `fork`: only where this process has no thread, no open database and no lock yet: the keeper would have them too.
    """
    reap()
    orders, ours_to_write = os.pipe2(os.O_CLOEXEC)
    try:
        ours_to_read, facts = os.pipe2(os.O_CLOEXEC)
    except OSError:
        os.close(orders)
        os.close(ours_to_write)
        raise
    try:
        fcntl.fcntl(ours_to_write, _F_SETPIPE_SZ, _PIPE_SIZE)
    except OSError:
        pass  # then fewer orders are on their way at once
    try:
        pid = _fork(orders, facts) if fork and _may_fork() else _spawn(orders, facts)
    except BaseException:
        os.close(ours_to_read)
        os.close(ours_to_write)
        raise
    finally:
        os.close(orders)
        os.close(facts)
    _children.add(pid)
    return Link(ours_to_read, ours_to_write, pid)


def _may_fork() -> bool:
    """A fork copies one thread. On macOS Apple's own libraries do not survive one."""
    threading = sys.modules.get("threading")
    return sys.platform == "linux" and (threading is None or threading.active_count() == 1)


def _fork(orders: int, facts: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            from jobctl.process.keeper_process import forked

            forked(orders, facts)
        finally:
            os._exit(1)
    return pid


# -I -S: nothing of the user's and nothing installed is in it. Its own code is found where ours is.
_SPAWNED = "import sys; sys.path.append(sys.argv[1]); from jobctl.process.keeper_process import spawned; spawned()"


def _spawn(orders: int, facts: int) -> int:
    import signal

    default = [n for n in range(1, signal.NSIG) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # Above what is to be there, so that neither is overwritten before it is copied.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (orders, facts)]
    try:
        return os.posix_spawn(
            sys.executable,
            # Its own path: by another name Python looks for its library around the folder that it is started in.
            [sys.executable, "-I", "-S", "-c", _SPAWNED, source],
            {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
                (os.POSIX_SPAWN_DUP2, high[0], 3),
                (os.POSIX_SPAWN_DUP2, high[1], 4),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=default,
        )
    finally:
        for fd in high:
            os.close(fd)


def connect(folder: str, name: str) -> Link | None:
    """To a keeper that somebody else has made. None while it does not listen: its maker may still live, or it is gone.

    OSError in PASSING when there is no descriptor just now.
    """
    import _socket

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.setblocking(False)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # An address may have 107 bytes: by way of its folder's descriptor it has few wherever it is.
        sock.connect(
            f"/proc/self/fd/{place}/{name}.sock" if os.path.exists("/proc/self/fd") else f"{folder}/{name}.sock"
        )
        data = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(data[4:8], sys.byteorder) not in (0, os.geteuid()):
            raise PermissionError(errno.EACCES, "somebody else's keeper")
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError, PermissionError):
        sock.close()
        return None
    except OSError:
        sock.close()
        raise
    finally:
        os.close(place)
    fd = sock.detach()
    os.set_inheritable(fd, False)
    link = Link(fd, fd, None)
    link.name = name
    link.send(frames.message("hello", v=frames.VERSION))
    link.flush()
    return link


def lives(folder: str, name: str) -> bool:
    """Whether a keeper lives, in whatever namespace: its lock is held."""
    from jobctl.process.kernel import is_locked

    return is_locked(os.path.join(folder, name + ".keeper"))


def of_executor(folder: str, executor: str) -> list[str]:
    """The keepers that an executor has had and that have left something, the first one first."""
    found = set()
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    for name in names:
        words = name.split(".")
        if words[0] == executor and len(words) >= 3 and words[1].isdigit():
            found.add(int(words[1]))
    return [f"{executor}.{number}" for number in sorted(found)]


def left_behind(folder: str) -> list[str]:
    """All keepers that have left something, living ones too."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted({".".join(words[:2]) for words in (name.split(".") for name in names) if len(words) >= 3})


def forget(folder: str, name: str) -> None:
    """Remove what a keeper has left."""
    start = name + "."
    for file in os.listdir(folder):
        if file.startswith(start):
            try:
                os.unlink(os.path.join(folder, file))
            except OSError:
                pass


def still_lives(pid: int | None) -> bool:
    """Whether a keeper that this process has made has not ended yet."""
    if pid is None:
        return False
    try:
        return os.waitid(os.P_PID, checked(pid), os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def is_ours(pid: int) -> bool:
    """Whether it is a keeper that this process has made and not reaped."""
    return pid in _children


def reap() -> None:
    """Take the exit status of keepers of ours that have ended."""
    for pid in list(_children):
        reap_one(pid)


def reap_one(pid: int) -> bool:
    try:
        done = os.waitpid(checked(pid), os.WNOHANG)[0] == pid
    except ChildProcessError:
        done = True
    if done:
        _children.discard(pid)
    return done
