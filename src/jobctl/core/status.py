"""Where a run or a step stands. Apart from model.py, so that reading a history loads no dataclass.

Which status may follow which is history.py's.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    QUEUED = "queued"  # accepted; no executor has taken it yet
    RUNNING = "running"  # taken; with no living executor, people are told "interrupted"
    PAUSED = "paused"  # no new attempt starts; `resume` moves it on
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    TERMINATED = "terminated"

    @property
    def final(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELED, RunStatus.TIMED_OUT, RunStatus.TERMINATED}
)


class StepStatus(StrEnum):
    PENDING = "pending"  # its needs have not all ended
    RUNNING = "running"  # an attempt of it runs
    WAITING = "waiting"  # between two attempts, or for a timer, a signal, a child
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    COMPENSATED = "compensated"  # it ran and its undo has run
