"""The output of a run's attempts as it comes, with remarks between it in the right order, and the streams it goes to.

What is remarked, and what it looks like, is plain.py's and render.py's business. Nothing here waits: a reader that has
stopped reading holds up what is shown, never the run.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, TextIO

from jobctl.core.keys import is_undo, undone_key
from jobctl.host import clock
from jobctl.host.outflow import Outflow
from jobctl.process import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.engines.base import Watched

RECENT_LINES = 10  # of an attempt that ran before it was looked at here

PAUSE_MS = 1_000  # that a reader may take when somebody wants an end
LOOK_MS = 50  # for a signal, while a reader is waited for

_PIECE = 1 << 16  # at a time


class Kind(Enum):
    OUTPUT = "output"
    REMARK = "remark"


class Feed:
    """What is to be shown of a run, piece by piece, in bounded memory: logs are read when they are asked for.

    Output stands before the remark that its attempt has ended. Secrets are masked. Lines of a job of several steps
    begin with their step: `charge | …`, in a child run behind the step that started it: `trip > charge | …`; control
    characters are left in.
    """

    def __init__(self, run: Watched, within: Feed | None = None) -> None:
        self._run = run
        # remarks; what is left of attempts that have ended
        self._queue: deque[str | _Tail] = within._queue if within is not None else deque()
        self._running: dict[tuple[str, str], _Tail] = within._running if within is not None else {}
        self._children: dict[str, Feed] = within._children if within is not None else {}

    def of(self, run: Watched) -> Feed:
        """What is told of that run: this one, or a child of it, whose output comes out here too."""
        if run is self._run:
            return self
        found = self._children.get(run.name)
        if found is None or found._run is not run:
            found = self._children[run.name] = Feed(run, self)
        return found

    def started(self, key: str, number: int) -> None:
        """An attempt of a step, or STEP!undo, starts now: its output is shown from the beginning."""
        self._running[self._run.name, key] = self._tail(key, number)

    def found(self, key: str, number: int) -> None:
        """An attempt that was started earlier runs: the last lines of what it has written, and what follows."""
        self._running[self._run.name, key] = self._tail(key, number, recent=True)

    def follows(self, key: str) -> bool:
        return (self._run.name, key) in self._running

    def ended(self, key: str, number: int) -> None:
        """The attempt writes no more."""
        tail = self._running.pop((self._run.name, key), None)
        self._queue.append(tail if tail is not None else self._tail(key, number, recent=True))

    def remark(self, text: str) -> None:
        self._queue.append(text + "\n")

    def next(self) -> tuple[Kind, str] | None:
        """The next piece, some lines long; None when there is nothing new."""
        while self._queue:
            first = self._queue[0]
            if isinstance(first, str):
                self._queue.popleft()
                return Kind.REMARK, first
            if text := first.rest():
                return Kind.OUTPUT, text
            self._queue.popleft()
        for key, tail in self._running.items():
            if text := tail.more():
                # The others come first next time, however much this one writes.
                self._running[key] = self._running.pop(key)
                return Kind.OUTPUT, text
        return None

    def _tail(self, key: str, number: int, *, recent: bool = False) -> _Tail:
        path = self._run.log_file(key, number)
        start = logs.tail_offset(path, RECENT_LINES) if recent else 0
        parts = [*self._run.trail, *([] if single(self._run) else [_label(key)])]
        return _Tail(self._run, logs.Follower(path, start), f"{' > '.join(parts)} | " if parts else "")


class _Tail:
    """The log of one attempt, as lines with a prefix."""

    def __init__(self, run: Watched, follower: logs.Follower, prefix: str) -> None:
        self._mask = run.mask
        self._follower = follower
        self._lines = logs.LineBuffer()
        self._prefix = prefix

    def more(self) -> str:
        """Lines that are complete by now."""
        return self._shown(self._lines.feed(self._read()))

    def rest(self) -> str:
        """As `more`, of a log that has come to its end: "" when all of it was handed out."""
        while data := self._read():
            if lines := self._lines.feed(data):
                return self._shown(lines)
        return self._shown(self._lines.flush())

    def _read(self) -> bytes:
        try:
            return self._follower.read()
        except OSError:
            return b""  # `jobctl logs` says why it cannot be read; the run does not depend on it

    def _shown(self, lines: list[bytes]) -> str:
        if not lines:
            return ""
        # Bytes that are no text come through unharmed: Outlet encodes them the same way.
        text = self._mask(b"\n".join(lines).decode("utf-8", "surrogateescape"))
        return self._prefix + text.replace("\n", "\n" + self._prefix) + "\n"


class Outlet:
    """stdout or stderr, written without waiting for whoever reads it.

    What is not taken is kept, a view's own pace being what bounds it. When it cannot be written any more - nobody is
    there, the disk is full - what comes is dropped and `error` says why.
    """

    def __init__(self, stream: TextIO, hurried: Callable[[], bool] = lambda: False) -> None:
        """`hurried`: whether a signal has come, which ends a wait for the reader."""
        self.error: OSError | None = None
        self.terminal = stream.isatty()
        self.encoding = stream.encoding or "utf-8"
        self.unicode = self.encoding.lower().replace("-", "") == "utf8"
        self._stream = stream
        self._hurried = hurried
        self._left = bytearray()
        self._out: Outflow | None = None
        try:
            stream.flush()
            self._out = Outflow(stream.fileno())
        except ValueError:
            pass  # a stream that is only an object in memory
        except OSError as error:
            self.error = error

    @property
    def left(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._left)

    def put(self, text: str) -> None:
        """Text to be written when all that came before it is. On a terminal without its control characters."""
        self.put_raw(self.cleaned(text))

    def cleaned(self, text: str) -> str:
        """The text as it may stand in this stream."""
        if not self.terminal:
            return text
        from jobctl.core.text import clean

        return clean(text)

    def put_raw(self, text: str) -> None:
        """Text that holds no foreign control characters, or ones of our own."""
        self._left += text.encode(self.encoding, "surrogateescape" if self.unicode else "backslashreplace")

    def flush(self, *, wait: bool = False) -> bool:
        """Write what can be written now, or (`wait`) all of it - until a signal comes: then only what is taken without
        a pause. Whether nothing is left."""
        paused_at: int | None = None
        while self._left and self.error is None:
            try:
                taken = self._write()
            except OSError as error:
                self.error = error
                break
            if taken:
                del self._left[:taken]
                paused_at = None
                continue
            if not wait or self._out is None:
                return False
            now = clock.monotonic()
            paused_at = now if paused_at is None else paused_at
            if self._hurried() and now - paused_at >= PAUSE_MS:
                return False
            self._out.wait(LOOK_MS)
        self._left.clear()
        return True

    def _write(self) -> int:
        if self._out is not None:
            return self._out.write(bytes(self._left[:_PIECE]))
        self._stream.write(self._left.decode(self.encoding, "replace"))
        return len(self._left)


def single(run: Watched) -> bool:
    """Whether the run is of a job with `command` instead of steps: its step's name says nothing."""
    first, *others = run.job.steps
    return not others and first.name == "main" and first.foreach is None


def _label(key: str) -> str:
    return f"{undone_key(key)} (compensation)" if is_undo(key) else key
