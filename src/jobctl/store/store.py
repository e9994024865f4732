"""The state store, its parts put together: the one object that the local engine holds. Here is what reads a run,
decides, and appends, again and again until nobody else was faster; all else is in the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.payloads import carries
from jobctl.core.run.rows import RunRow
from jobctl.store.append import Append, Batch
from jobctl.store.queries import Queries

LOOP_PATIENCE_MS = 500  # of a loop with timeouts to keep: it comes back soon, and tries again between two turns


class Store(Append, Queries):
    """One connection to the state store in a state folder, for one thread.

    Every method raises StoreError when the store cannot be used: locked for long, read-only, corrupt, full, newer.
    """

    def take(
        self, run_ids: Iterable[int], executor_id: str, boot: str, now: int, alive: Callable[[str], bool]
    ) -> list[int]:
        """Claim runs for an executor of this boot, in one commit: recorded as RUN_TAKEN. Returns those that are its own
        now: the others are over, a living one has them, or they can no longer begin in time.
        CopyError in a copy: they are the original's."""
        if self.copy is not None:
            raise self.copy.error("no run can be taken up")
        left, taken = list(run_ids), []
        while left:
            batches = []
            for run_id in left:
                row = self.run(run_id)
                if row.finished_at is None and not (
                    row.executor and row.executor != executor_id and alive(row.executor)
                ):
                    state = self.state(row)
                    if state.start_by is not None and state.start_by <= now:
                        continue  # too late: it is not to begin any more, and is about to be ended
                    by = carries(EventType.RUN_TAKEN, {"executor": executor_id, "boot": boot})
                    event = Event(EventType.RUN_TAKEN, now, data=by)
                    state.apply(event)
                    batches.append(Batch(run_id, row.seq, [event], state, executor=executor_id))
            left = [batch.run_id for batch in self.append(batches)] if batches else []
            taken += [batch.run_id for batch in batches if batch.run_id not in left]
        return taken

    def request(
        self,
        run_id: int,
        make: Callable[[RunRow, RunState], tuple[Event, str | None]],
        *,
        notices: Sequence[Batch] = (),
    ) -> RunRow:
        """Append one event from outside - a cancel, a pause, a reopening. `make` is given the run as it is, and again
        when somebody was faster; it returns the event and the definition that the run goes on with, if another.
        `notices`: new runs that tell of the event, when it is an end; as `make` leaves them."""
        while True:
            row = self.run(run_id)
            state = self.state(row)
            event, definition = make(row, state)
            state.apply(event)
            tell = None
            if event.type is EventType.RUN_ENDED and row.parent is not None:  # by somebody who did nothing of it
                from jobctl.core.run.children import child_ended

                tell = (row.parent, child_ended(row.parent_step or "", row.name, event, {}, 0))
            # A run that is asleep is to be looked at now.
            asleep = row.wake_at is not None and state.finished_at is None
            batch = Batch(
                run_id,
                row.seq,
                [event],
                state,
                executor=row.executor,
                definition=definition,
                wake_at=event.at if asleep else None,
                tell=tell,
                notices=notices,
            )
            if not self.append([batch]):
                return row
