"""The keeper as a process: how it comes to be one, its loop, who is connected. What it does with an order: keeper.py.

Forked, it has its maker's memory and must keep nothing of it: descriptors, signals, title; it leaves by os._exit only,
for whatever would be cleaned up is its maker's. Spawned, it is a fresh interpreter without site-packages. Either way it
is told everything in its first message, over two pipes.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import sys

from jobctl.host.files import PASSING
from jobctl.process import frames, journal, kernel
from jobctl.process.frames import FrameError, Frames, Message
from jobctl.process.keeper import INTERLEAVE, INTERLEAVE_MS, Keeper

ORDERS, FACTS = 3, 4  # the descriptors of the maker's pipes
_MOST_WAIT_MS = 1_000  # while something has a deadline: the clock of epoll stands still while the machine sleeps
_SOCKET_AGAIN_MS = 1_000
_READ = 1 << 18


class Peer:
    """A connection: bytes in, bytes out, nothing ever waited for."""

    def __init__(self, loop: Loop, read: int, write: int) -> None:
        self._loop = loop
        self.read, self.write = read, write
        self.frames = Frames()
        self._out: list[bytes] = []
        self.greeted = False
        os.set_blocking(read, False)
        os.set_blocking(write, False)

    def send(self, message: Message) -> None:
        self._out.append(frames.pack(message))

    def flush(self) -> None:
        """Write what can be written now."""
        if not self._out or self.write < 0:
            return
        data = b"".join(self._out)
        try:
            done = os.write(self.write, data)
        except BlockingIOError:
            done = 0
        except OSError:
            self._out.clear()
            return  # it is gone: its end is seen where it is read
        self._out = [data[done:]] if done < len(data) else []
        self._loop.want_to_write(self, bool(self._out))

    def messages(self) -> list[Message] | None:
        """What has come; None when it has gone."""
        found: list[Message] = []
        while True:
            try:
                data = os.read(self.read, _READ)
            except BlockingIOError:
                return found
            except OSError:
                data = b""
            if not data:
                return found or None
            found += self.frames.feed(data)
            if len(data) < _READ:
                return found

    def close(self) -> None:
        for fd in {self.read, self.write}:
            os.close(fd)
        self.read = self.write = -1


class Loop:
    """What the keeper waits for: its maker, others that connect, its commands, time."""

    def __init__(self) -> None:
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._scale = 0.001 if hasattr(select, "epoll") else 1
        self._peers: dict[int, Peer] = {}
        self._writing: set[int] = set()
        self._listener: object = None
        self._listener_fd = -1
        self._listen_at: int | None = None
        self._maker: Peer | None = None
        self._keeper: Keeper
        self._reaped = 0

    def run(self) -> None:
        """Until nobody needs it any more."""
        self._prepare()
        told = self._greeting()
        self._folder, self._name = told["folder"], told["keeper"]
        base = os.path.join(self._folder, self._name)
        maker = Peer(self, ORDERS, FACTS)
        try:
            self._lock = os.open(base + ".keeper", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            os.fchmod(self._lock, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if not self._maker_lives():
                os.unlink(base + ".keeper")
                return
            head = journal.Header(self._name, told.get("boot", ""), kernel.namespace(), os.getpid())
            self._journal = journal.Journal(base, head)
        except OSError as error:
            maker.send(frames.message("failed", errno=error.errno, text=error.strerror))
            maker.flush()
            return
        self._maker = maker
        maker.greeted = True
        maker.send(frames.message("hello", v=frames.VERSION, keeper=self._name, pid=os.getpid()))
        maker.flush()
        self._keeper = Keeper(self._system, self._journal, seed=int.from_bytes(os.urandom(3), "big"))
        self._keeper.drain = self._drain
        self._add(maker)
        kernel.set_title(f"jobctl-keeper {self._name}")
        self._system.umask = int(told["umask"])
        os.umask(self._system.umask)
        self._take(maker, self._left)
        while not self._is_over():
            self._turn()
        self._leave()

    def _prepare(self) -> None:
        """All that takes time, while its maker is busy with its own beginning; and whatever will ever be imported:
        later an upgrade may have changed it."""
        import _socket  # noqa: F401

        from jobctl.process import logs  # noqa: F401

        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._poll.register(self._wake, select.POLLIN)
        self._system = kernel.System()
        kernel.set_title("jobctl-keeper")
        gc.collect()
        gc.freeze()

    def _greeting(self) -> dict[str, str]:
        """The first message, waited for."""
        buffer = Frames()
        while data := os.read(ORDERS, _READ):
            found = buffer.feed(data)
            if found:
                self._left = found[1:]
                self._rest = buffer
                return frames.fields(found[0])
        raise EOFError

    def _maker_lives(self) -> bool:
        """Asked with our own lock in hand. Whoever takes over what its maker had, once that is dead, sees that lock and
        asks us - or it was too late for us to begin anything: what was asked for is begun elsewhere."""
        return kernel.is_locked(os.path.join(self._folder, self._name.rpartition(".")[0] + ".lock"), exclusively=True)

    def _add(self, peer: Peer) -> None:
        if peer.read == ORDERS:
            peer.frames = self._rest  # what came with the first message
        self._peers[peer.read] = peer
        self._poll.register(peer.read, select.POLLIN)
        self._keeper.connected(peer)

    def want_to_write(self, peer: Peer, want: bool) -> None:
        fd = peer.write
        if want == (fd in self._writing):
            return
        (self._writing.add if want else self._writing.discard)(fd)
        if fd == peer.read:
            self._poll.modify(fd, select.POLLIN | (select.POLLOUT if want else 0))
        elif want:
            self._poll.register(fd, select.POLLOUT)
        else:
            self._poll.unregister(fd)

    def _turn(self) -> None:
        keeper = self._keeper
        if keeper.queue:
            keeper.begin()
            # Starts go before ends, but for the last few: then the other core has something to do meanwhile.
            if len(keeper.queue) <= INTERLEAVE or kernel.boot_clock() - self._reaped > INTERLEAVE_MS:
                self._reap()
        self._flush()
        for fd, event in self._poll.poll(0 if keeper.queue else self._wait()):
            if fd == self._wake:
                self._empty()
                self._reap()
            elif fd == self._listener_fd:
                self._accept()
            elif fd in self._peers and event & ~select.POLLOUT:
                self._read(self._peers[fd])
        keeper.due()
        if self._listen_at is not None and kernel.boot_clock() >= self._listen_at:
            self._listen()

    def _flush(self) -> None:
        for peer in list(self._peers.values()):
            peer.flush()

    def _wait(self) -> float:
        due = self._keeper.next_due()
        if self._listen_at is not None:
            due = self._listen_at if due is None else min(due, self._listen_at)
        if due is None:
            return -1
        return min(_MOST_WAIT_MS, max(0, due - kernel.boot_clock() + 1)) * self._scale

    def _empty(self) -> None:
        try:
            while len(os.read(self._wake, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def _reap(self) -> None:
        self._reaped = kernel.boot_clock()
        while (found := self._system.ended()) is not None:
            self._keeper.exited(*found)

    def _read(self, peer: Peer) -> None:
        try:
            found = peer.messages()
        except FrameError:
            found = None
        if found is None:
            self._drop(peer)
        else:
            self._take(peer, found)

    def _take(self, peer: Peer, found: list[Message]) -> None:
        for message in found:
            if message[0] == b"hello":
                peer.greeted = True
                peer.send(frames.message("hello", v=frames.VERSION, keeper=self._name, pid=os.getpid()))
            elif peer.greeted:
                self._keeper.receive(peer, message)

    def _drain(self) -> None:
        """Read what the maker has sent: when it is dead, the last of it lies there."""
        maker = self._maker
        if maker is not None:
            self._read(maker)

    def _drop(self, peer: Peer) -> None:
        self.want_to_write(peer, False)
        self._poll.unregister(peer.read)
        del self._peers[peer.read]
        self._keeper.dropped(peer)
        peer.close()
        if peer is self._maker:
            self._maker = None
            if self._keeper.runs_left() or self._keeper.ends:
                self._listen()

    # -- whoever takes over ----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """From here on others may connect: its maker is gone, and only then does anybody want to."""
        import _socket

        self._listen_at = None
        one = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            os.chdir(self._folder)  # an address may have 107 bytes: the name alone has fewer
            old = os.umask(0o077)
            try:
                one.bind(self._name + ".sock")
            finally:
                os.umask(old)
                os.chdir("/")
            one.listen(64)
        except OSError as error:
            one.close()
            if error.errno in PASSING:
                self._listen_at = kernel.boot_clock() + _SOCKET_AGAIN_MS
            return
        one.setblocking(False)
        self._listener, self._listener_fd = one, one.fileno()
        self._poll.register(self._listener_fd, select.POLLIN)

    def _accept(self) -> None:
        import _socket

        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        sock = _socket.socket(fileno=fd)
        if hasattr(_socket, "SO_PEERCRED"):
            data = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
            if int.from_bytes(data[4:8], sys.byteorder) not in (0, os.geteuid()):
                sock.close()
                return
        sock.detach()
        os.set_inheritable(fd, False)
        self._add(Peer(self, fd, fd))

    # -- the end ---------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        """Its maker is gone, nothing runs, and nobody is there who has yet to acknowledge an end."""
        if self._maker is not None or self._keeper.runs_left():
            return False
        return not (self._keeper.ends and self._peers)

    def _leave(self) -> None:
        self._flush()
        base = os.path.join(self._folder, self._name)
        gone = [".sock"]
        if not self._keeper.ends:
            self._journal.remove()
            gone.append(".keeper")
        for suffix in gone:
            try:
                os.unlink(base + suffix)
            except OSError:
                pass


def forked(orders: int, facts: int) -> None:
    """What a forked process does from its first instruction on. Does not return."""
    code = 1
    try:
        _let_go(orders, facts)
        Loop().run()
        code = 0
    except BaseException:
        pass  # nobody reads what it would say; its maker sees it end
    finally:
        os._exit(code)


def spawned() -> None:
    """What a fresh interpreter does. Does not return."""
    forked(ORDERS, FACTS)


def _let_go(orders: int, facts: int) -> None:
    """Keep nothing of the maker's but the two pipes: a lock, a pipe or a database of its would live on here."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (orders, facts)]
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        if fd > 2 and fd not in high:
            try:
                os.close(fd)
            except OSError:
                pass  # the one that listed them
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        if fd != null:
            os.dup2(null, fd)
    if null > 2:
        os.close(null)
    for fd, target in zip(high, (ORDERS, FACTS), strict=True):
        os.dup2(fd, target, inheritable=False)
        os.close(fd)
    try:
        os.setsid()
    except OSError:
        pass  # spawned: it leads one already
    os.chdir("/")
    os.umask(0o077)
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        # Asked to end it does not: what it keeps would be lost. Whoever means it sends SIGKILL.
        ignored = number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE)
        try:
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        except (OSError, ValueError):
            pass
