"""Moments at which something of a run is due: a retry, the end of a wait, its deadline. What follows is the rules'."""

from __future__ import annotations

from jobctl.core.run.turn import Fact, Later
from jobctl.engines.local.live import LiveRun, Record
from jobctl.process.held import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.local.loop import LocalEngine
    from jobctl.process.timers import Timers

_OVER_AT_MOST = 100


class RunTimers:
    def __init__(self, engine: LocalEngine, timers: Timers, record: Record) -> None:
        self._engine = engine
        self._timers = timers
        self._record = record
        self._over = 0  # runs that have ended here and may have timers left

    def later(self, run: LiveRun, what: Later) -> None:
        """See to a step when its time has come."""
        at = self._engine.moment().mono_of(run.step_state(what.key), what.at)
        self._timers.at(at, self._retry_due if what.retry else self._wait_over, run, what.key, what.at)

    def wake(self, run: LiveRun, key: str) -> None:
        """The time that it waited for is now; a poll is asked."""
        step = run.step_state(key)
        if step.waiting is not None and "until" in step.waiting:
            self.later(run, Later(key, step.waiting["until"], retry=False))
        elif step.retry_at is not None:
            self._timers.at_wall(step.retry_at, self._retry_due, run, key, step.retry_at)
        elif key in run.attempts:
            self._engine.supervisor.ask_now(run.attempts[key])

    def watch_deadline(self, run: LiveRun) -> None:
        at = run.watch_deadline(self._engine.moment())
        if at is not None:
            self._timers.at(at, self._run_deadline, run, run.deadline_of)

    def _run_deadline(self, run: LiveRun, try_started_at: int) -> None:
        if self._engine.runs.get(run.id) is run:
            self._tell(run, run.deadline_passed(try_started_at, self._engine.moment()))

    def _wait_over(self, run: LiveRun, name: str, until: int) -> None:
        if self._engine.runs.get(run.id) is not run:
            return
        found = run.wait_over(name, until, self._engine.moment())
        if isinstance(found, Later):
            self.later(run, found)
        else:
            self._tell(run, found)

    def _retry_due(self, run: LiveRun, key: str, retry_at: int) -> None:
        if self._engine.runs.get(run.id) is run:
            self._tell(run, run.retry_due(key, retry_at))

    def _tell(self, run: LiveRun, fact: Fact | None) -> None:
        if fact is not None:
            self._record(run, fact)

    def run_over(self) -> None:
        """One more may have timers left."""
        self._over += 1
        if self._over > _OVER_AT_MOST + len(self._engine.runs):
            self.forget()

    def forget(self) -> None:
        """Those of runs that are not here any more: a timeout of a day would keep a run that took a second."""
        self._over = 0
        self._timers.keep(self._concerns)

    def _concerns(self, values: tuple[Any, ...]) -> bool:
        about = values[0] if values else None
        if isinstance(about, Attempt):
            return not about.over
        return not isinstance(about, LiveRun) or self._engine.runs.get(about.id) is about
