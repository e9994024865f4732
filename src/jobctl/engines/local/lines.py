"""The lines in which attempts wait for a place in a queue. Each queue has one; other processes may give places back."""

from __future__ import annotations

from itertools import islice

from jobctl.core.run.turn import Answer, Start, Want
from jobctl.engines.local.live import QUEUE_CHECK_MS, LiveRun, Planned, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.local.loop import LocalEngine
    from jobctl.process.timers import Timers


class Lines:
    def __init__(self, engine: LocalEngine, timers: Timers, record: Record) -> None:
        self._engine = engine
        self._timers = timers
        self._record = record
        # queue -> steps that wait for a place of it, the longest waiting first. Each once: a second entry would start
        # the next attempt before its time.
        self.waiting: dict[str, dict[tuple[LiveRun, str], None]] = {}
        self.full: set[str] = set()  # queues whose last places others in the commit at hand take

    def wait(self, run: LiveRun, queue: str, key: str) -> None:
        """No place was free."""
        if not self.waiting:
            self._timers.at(self._engine.host.monotonic() + QUEUE_CHECK_MS, self.look)
        self.waiting.setdefault(queue, {}).setdefault((run, key))

    def place(self, run: LiveRun, want: Want, planned: Planned) -> Answer:
        if not self._has_place(want.queue, planned):
            return Answer(False)
        if want.queue in self.waiting:  # it may have been told to start on two ways: it leaves the line on either
            self.waiting[want.queue].pop((run, want.key), None)
        return Answer(True)

    def _has_place(self, queue: str, planned: Planned) -> bool:
        """Whether an attempt may start in a queue now. The store has the last word, when it is recorded."""
        limit = self._engine.queues[queue].concurrency if queue in self._engine.queues else None
        if limit is None:
            return True
        if queue in self.full:
            return False
        taken = planned.places.get(queue, 0)
        if self._engine.store.in_queue(queue) + taken >= limit:
            return False
        planned.places[queue] = taken + 1
        planned.limits[queue] = limit
        return True

    def look(self) -> None:
        """Let as many waiting attempts try again as there are places now; the longest waiting first."""
        for queue, waiting in list(self.waiting.items()):
            limit = self._engine.queues[queue].concurrency if queue in self._engine.queues else None
            free = len(waiting) if limit is None else max(0, limit - self._engine.store.in_queue(queue))
            for run, key in list(islice(waiting, free)):
                del waiting[run, key]
                if self._engine.runs.get(run.id) is run:
                    self._record(run, Start(key))
            if not waiting:
                del self.waiting[queue]
        if self.waiting:
            self._look_at_holders()
            self._timers.at(self._engine.host.monotonic() + QUEUE_CHECK_MS, self.look)

    def _look_at_holders(self) -> None:
        """What has a place and no process any more gives it back, also where there is no daemon to see to it."""
        if self._engine.executor.kind == "daemon" or not self._engine.holders.due():
            return
        for queue in list(self.waiting):
            for sentence in self._engine.holders.take_up(self._engine.store.runs_of_attempts_with_places(queue)):
                self._engine.remark(sentence)
