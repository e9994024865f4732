"""A run that is to go on in this process waits for a place in its queue. Who holds the places and has lost its process
is taken up meanwhile, as a daemon would, and goes on here. An engine is made when there is such a one.
"""

from __future__ import annotations

from jobctl.engines.local import holders, unbegun
from jobctl.engines.local.worker.capacity import Capacity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.core.model import Queue
    from jobctl.core.run.rows import RunRow
    from jobctl.engines.local.client import LocalClient
    from jobctl.engines.local.loop import LocalEngine

_NO_LIMIT = 1 << 30


class LocalPlace:
    """`Place` of this machine."""

    def __init__(self, client: LocalClient, row: RunRow, queues: Mapping[str, Queue]) -> None:
        self._client = client
        self._store = store = client.store
        self._row = row
        self._queues = queues
        self._capacity = Capacity(store, "", _NO_LIMIT)
        self._capacity.set_queues(queues)
        self._engine: LocalEngine | None = None
        self._look_at = 0  # monotonic

    def look(self) -> bool | None:
        now = self._client.now()
        if self._store.too_late(now):
            unbegun.end_late(self._store, now)
        if self._store.run(self._row.id).status != "queued":
            return None
        self._capacity.refresh()
        return self._capacity.take_place(self._row.queue)

    def wait(self, ms: int, pause: Callable[[int], None]) -> list[str]:
        told: list[str] = []
        if (mono := self._client.mono()) >= self._look_at:
            self._look_at = mono + holders.LOOK_EVERY_MS
            told = self._take_up()
        if self._engine is not None and self._engine.runs:
            self._engine.turn(ms)
        else:
            pause(ms)
        return told

    def _take_up(self) -> list[str]:
        found = self._store.runs_with_places(self._row.queue or "")
        if not any(holders.is_left(self._store, self._store.run(number), self._client.now()) for number in found):
            return []
        if self._engine is None:
            from jobctl.engines.local.executor import Executor
            from jobctl.engines.local.loop import LocalEngine

            self._engine = LocalEngine(
                self._store, Executor(self._store.state_dir, "foreground"), host=self._client.host
            )
            self._engine.queues = self._queues
        return self._engine.holders.take_up(found)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
