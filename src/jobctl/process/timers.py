"""What is to be done later: moments on the clock that does not step. Waiting for the first of them is the loop's."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from jobctl.host.files import PASSING
from jobctl.host.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RETRY_MS = 1_000


class Timers:
    def __init__(self, host: Host, failed: Callable[[tuple[Any, ...], Exception], bool] = lambda *_: False) -> None:
        """`host`: by whose clocks they count. `failed`: told of an error that nobody foresaw, and with what was acted;
        whether it has seen to it."""
        self.host = host
        self.failed = failed
        self._heap: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[tuple[int, Callable[..., Any], tuple[Any, ...]]]:
        """(moment, what is to be done, with what), in no order."""
        return iter([(mono, act, values) for mono, _, act, values in self._heap])

    def at(self, mono: int, act: Callable[..., Any], *values: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (mono, self._count, act, values))

    def at_wall(self, wall: int, act: Callable[..., Any], *values: Any) -> None:
        """A recorded instant, as a moment of the clock that does not step."""
        # Both clocks are read in whole milliseconds: one more, and nothing happens before its time.
        self.at(self.host.monotonic() + wall - self.host.now() + 1, act, *values)

    @property
    def first(self) -> int | None:
        """When the next one is due, monotonic."""
        return self._heap[0][0] if self._heap else None

    def due(self, mono: int) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= mono:
            _, _, act, values = heapq.heappop(self._heap)
            self.do(act, *values)

    def do(self, act: Callable[..., Any], *values: Any) -> None:
        """Act; again in a second when the system has no descriptor or memory for it just now."""
        try:
            act(*values)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in PASSING:
                self.at(self.host.monotonic() + RETRY_MS, act, *values)
            elif not self.failed(values, error):
                raise

    def keep(self, wanted: Callable[[tuple[Any, ...]], bool]) -> None:
        """Forget those about something that is over: a timeout of a day would keep a run that took a second."""
        self._heap = [one for one in self._heap if wanted(one[3])]
        heapq.heapify(self._heap)
