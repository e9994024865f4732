"""SIGINT, SIGTERM and SIGHUP of a command that has something to end in order: from before it is recorded to its end.

Before that, and in commands that only look, they end the process at once: __main__.py.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager

from jobctl.cli.codes import EXIT_CODES
from jobctl.core.errors import StoreUnavailableError
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from jobctl.engines.base import Client

_NOTICED_MS = 20  # a sleep goes on when a handler has returned

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Those that came, counted; the pipe wakes whoever waits. A handler does nothing else.

    A wait to record something ends when one comes. If that was a wait to record the very first thing, then nothing has
    begun, and the process ends as it would have before: the error of `with` is no other.
    """

    def __init__(self, client: Client) -> None:
        self.count = 0  # of those that were taken
        self.last = 0
        self._new: list[int] = []
        self._before: dict[int, Any] = {}
        self._wakeup: int | None = None
        for number in NUMBERS:
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number == signal.SIGHUP:
                continue  # nohup: it was meant to be ignored
            self._before[number] = before
            signal.signal(number, self._came)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)  # blocked, as may be inherited too, they never came
        self._client = client
        client.give_up_when(lambda: bool(self._new))

    def _came(self, number: int, _: FrameType | None) -> None:
        self._new.append(number)

    def wake(self, fd: int) -> None:
        """From here on each of them also makes this descriptor readable."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would reap keepers before their time
        self._wakeup = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)

    def sleep(self) -> None:
        """No longer to be woken."""
        if self._wakeup is not None:
            signal.set_wakeup_fd(self._wakeup)
            self._wakeup = None

    @property
    def came(self) -> bool:
        """Whether any has come so far."""
        return bool(self.count or self._new)

    def take(self) -> list[int]:
        """Those that came since the last call, oldest first."""
        new: list[int] = []
        while self._new:
            number = self._new.pop(0)
            self.count += 1
            self.last = number
            new.append(number)
        return new

    def pause(self, ms: int) -> None:
        """Sleep for so long, or until one comes."""
        until = clock.monotonic() + ms
        while not self._new and (left := until - clock.monotonic()) > 0:
            time.sleep(min(left, _NOTICED_MS) / 1000)

    def restore(self) -> None:
        self.sleep()
        self._client.give_up_when(None)
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def hand_back(self) -> None:
        """There is nothing here to end in order: they do what they did before, the one that has come meanwhile, too."""
        self.restore()
        if self._new:
            signal.raise_signal(self._new.pop(0))

    def __enter__(self) -> Signals:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.restore()
        if self._new and isinstance(error, StoreUnavailableError):
            signal.raise_signal(self._new[0])


def raise_signal(number: int) -> None:
    """As if it came now."""
    signal.raise_signal(number)


def name(number: int) -> str:
    """What people call it."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def code(status: str, last: int) -> int:
    """The exit code of a run that ended so, when `last` was the last signal that asked for its end (0: none did)."""
    if status == "canceled" and last == signal.SIGTERM:
        return 128 + signal.SIGTERM
    return EXIT_CODES[status]


@contextmanager
def left_to_another() -> Iterator[None]:
    """While another program has the terminal - a pager - Ctrl-C is for that one. It does not inherit this."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
