"""Runs that hold a place in a queue and have lost their process. Whoever waits for the place takes them up, where no
daemon does, and gives it back with their end.

For processes in the foreground: a daemon takes up all runs that nobody has (engines/local/worker/rescuer.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.engines.local import executor
from jobctl.engines.local.daemons import daemons
from jobctl.engines.local.stored_job import job_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.engines.local.loop import LocalEngine
    from jobctl.store.store import Store

LOOK_EVERY_MS = 1_000
_LEFT_ALONE_MS = 3_000  # one that was reopened or unpaused has no executor until whoever did that takes it
_TAKEN_IN_VAIN = 5  # so often in a row, and whoever takes it has died of it: it is left to a daemon, which ends it


class Holders:
    """Asked once in a while by who waits. `sentences` are what is to be told, each once."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._look_at = 0  # monotonic
        self._told: set[tuple[int, str]] = set()

    def take_up(self, rows: Iterable[int]) -> list[str]:
        """Take up those of these runs, which hold a place, that nobody is at. What there is to be told of them."""
        store, engine = self._engine.store, self._engine
        if daemons(store) or store.copy is not None:
            return []
        told = []
        for number in rows:
            if number in engine.runs:
                continue
            try:
                row = store.run(number)
                if not is_left(store, row, engine.host.now()):
                    continue
                told += self._once(row, self._take(row))
            except StoreUnavailableError:
                raise
            except JobctlError as error:
                why = f"is interrupted, and cannot go on here: {error.message}"
                told += self._once(row, f"the place is taken by {row.name}, which {why}; jobctl resume {row.name}")
        return told

    def due(self) -> bool:
        """Whether it is time to look again."""
        mono = self._engine.host.monotonic()
        if mono < self._look_at:
            return False
        self._look_at = mono + LOOK_EVERY_MS
        return True

    def _take(self, row: RunRow) -> str:
        engine = self._engine
        held = f"the place is taken by {row.name}, which"
        if row.status == "paused":
            return f"{held} is paused, and no process has it: jobctl resume {row.name}, or jobctl cancel {row.name}"
        last = engine.store.events(row.id, after=max(0, row.seq - _TAKEN_IN_VAIN))
        if len(last) == _TAKEN_IN_VAIN and all(event.type == "run_taken" for event in last):
            return f"{held} is interrupted, and makes whoever takes it up die; jobctl terminate {row.name}"
        kept = job_of(engine.store, row, strict=True)
        if engine.take(row.id, kept.job, env_file=kept.env_file) is None:
            return ""
        engine.rescued.add(row.id)
        return f"{held} was interrupted: it is taken up here, and gives the place back when it ends"

    def _once(self, row: RunRow, sentence: str) -> list[str]:
        if not sentence or (row.id, sentence) in self._told:
            return []
        self._told.add((row.id, sentence))
        return [sentence]


def is_left(store: Store, row: RunRow, now: int) -> bool:
    """Whether a run that has begun has no process any more, and none is about to take it."""
    if row.finished_at is not None or row.wake_at is not None or row.status == "queued":
        return False
    if row.executor is not None:
        return not executor.alive(store.state_dir, row.executor)
    return not is_fresh(store, row, now)


def is_fresh(store: Store, row: RunRow, now: int) -> bool:
    """Whether something has happened just now to a run that has no executor: whoever did that is about to take it."""
    last = store.events(row.id, after=row.seq - 1)
    # An event from the future was written before the clock was set back.
    return bool(last) and 0 <= now - last[-1].at < _LEFT_ALONE_MS
