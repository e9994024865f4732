"""How many runs may be under way: in all on this daemon, and in each queue on this store. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.core.model import Queue
from jobctl.store.store import Store


class Capacity:
    """Counted from the store once a turn (`refresh`), then by what was begun since."""

    def __init__(self, store: Store, executor_id: str, maximum: int) -> None:
        self._store = store
        self._executor_id = executor_id
        self._maximum = maximum
        self._queues: Mapping[str, Queue] = {}
        self._here = 0
        self._in_queue: dict[str, int] = {}
        self._turns: dict[str, int] = {}  # job -> the how many-th place was the last that it had
        self._given = 0

    def set_queues(self, queues: Mapping[str, Queue]) -> None:
        self._queues = queues

    def refresh(self) -> None:
        rows = self._store.under_way()
        self._here = sum(1 for _, executor in rows if executor == self._executor_id)
        self._in_queue = {}
        for queue, _ in rows:
            if queue is not None:
                self._in_queue[queue] = self._in_queue.get(queue, 0) + 1

    def priorities(self) -> dict[str, int]:
        """The priorities of the queues that have one."""
        return {name: queue.priority for name, queue in self._queues.items() if queue.priority}

    @property
    def full(self) -> bool:
        """Whether nothing may begin here, in whichever queue."""
        return self._here >= self._maximum

    def take_place(self, queue: str | None) -> bool:
        """Whether one more run may begin; if so it is counted."""
        if self.full:
            return False
        if queue is not None:
            limit = self._queues[queue].concurrency if queue in self._queues else None
            if limit is not None and self._in_queue.get(queue, 0) >= limit:
                return False
            self._in_queue[queue] = self._in_queue.get(queue, 0) + 1
        self._here += 1
        return True

    def turn_of(self, job: str) -> int:
        """The lower, the sooner it is its turn: places go round the jobs."""
        return self._turns.get(job, 0)

    def had_turn(self, job: str) -> None:
        self._given += 1
        self._turns[job] = self._given

    def give_back(self, queue: str | None) -> None:
        """The place was not used after all."""
        self._here -= 1
        if queue is not None:
            self._in_queue[queue] -= 1
