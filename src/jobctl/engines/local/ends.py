"""An attempt is over: what its run is told. What it means is the rules', how it was found out the supervisor's."""

from __future__ import annotations

from jobctl.core.run.attempts import Outcome
from jobctl.engines.local.live import LiveRun, Record
from jobctl.process.held import Attempt, Ended, Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.local.loop import LocalEngine


class Ends:
    def __init__(self, engine: LocalEngine, record: Record) -> None:
        self._engine = engine
        self._record = record

    def told(self, attempt: Attempt[LiveRun], report: Report) -> None:
        """An attempt is over: what is to be recorded of it."""
        run = attempt.owner
        if run.attempts.get(attempt.key) is not attempt:
            return
        run.attempts.pop(attempt.key)
        if isinstance(report, Ended):
            self._ended(attempt, report.outcome, report.extra)
            return
        end = run.attempt_suspended(attempt.key, attempt.number, report.wait, report.extra, self._engine.moment())
        self._record(run, end)

    def _ended(self, attempt: Attempt[LiveRun], outcome: Outcome, extra: dict[str, Any]) -> None:
        run = attempt.owner
        outcome = run.context.shown(outcome, run.retry_policy(attempt.key))
        ended_at, moment = attempt.ended_at, self._engine.moment()
        for event in run.attempt_ended(attempt.key, attempt.number, outcome, extra, ended_at, moment):
            self._record(run, event)
