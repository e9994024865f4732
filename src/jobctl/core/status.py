"""Where a run or a step stands: what is true then, and who moves it on. Apart from model.py, so that reading a history
loads no dataclass.

Which status may follow which is history.py's.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    # It is recorded, and nothing of it has begun. An executor that takes it moves it on: a daemon's dispatcher when a
    # place is free, or the process that somebody resumes it with. A cancel ends it without, and so does `start_by`.
    QUEUED = "queued"
    # An executor has taken it. Whoever holds that executor's lock moves it on. When nobody does, people are told
    # "interrupted", and a daemon's rescuer takes it - or whoever resumes it. One that only waits for a time may have
    # been put aside: then a daemon's dispatcher takes it again when that time has come.
    RUNNING = "running"
    # What ran when it was paused ends by itself, and no new attempt starts. Timers and timeouts go on. A person moves
    # it on: by a resume, or by a cancel or a terminate, which end it.
    PAUSED = "paused"
    # The final ones. Nothing of it is carried out any more. Only a resume moves it on: a new try of the same run.
    SUCCEEDED = "succeeded"  # every step ended well, was skipped, or may fail
    FAILED = "failed"  # a step failed for good, or it could not begin; what is undone is undone
    CANCELED = "canceled"  # somebody asked, or nobody took it in time; what is undone is undone
    TIMED_OUT = "timed_out"  # its own timeout passed; what is undone is undone
    TERMINATED = "terminated"  # somebody asked; everything was killed, nothing was undone

    @property
    def final(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELED, RunStatus.TIMED_OUT, RunStatus.TERMINATED}
)


class StepStatus(StrEnum):
    """Of a step, of an item of one, and of a compensation."""

    # Nothing of it has been recorded in this try. The decider moves it on: when its needs have ended and a parallel
    # slot is free. Then it may still wait for a place in its queue, which the engine gives.
    PENDING = "pending"
    # An attempt of it is recorded as started, and its end is not. The process that the attempt is moves it on by its
    # end, or a deadline does. Of a step with items: its items move it on, the last one that ends.
    RUNNING = "running"
    # Between two attempts, or it waits for a time, a signal, an answer or a child run. What it waits for moves it on:
    # the executor's timer, whoever sends the signal or answers, the end of the child run. It may have a time limit.
    WAITING = "waiting"
    # The final ones: it has ended in this try. A resume that does it again makes it pending.
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # for good: no attempt follows
    TIMED_OUT = "timed_out"  # for good: a deadline passed, and no attempt follows
    CANCELED = "canceled"  # the run was stopped before its work was done
    SKIPPED = "skipped"  # its condition said no, or it was not its turn
    COMPENSATED = "compensated"  # it ran, and its undo has run


class WaitKind(StrEnum):
    """What a step waits for: of itself, or as its command says that suspends itself."""

    SLEEP = "sleep"  # a time
    SIGNAL = "signal"
    APPROVAL = "approval"
    CHILD = "child"  # the end of a child run


class AttemptStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"
    SKIPPED = "skipped"  # its condition said no
    STOPPED = "stopped"  # with the daemon that ran it: another one follows, and it was none too many
    SUSPENDED = "suspended"  # it goes on as another attempt when what it waits for has come


DONE_WELL = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})
NOT_DONE = frozenset({StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.CANCELED})  # it ended, and its work is left
GONE_WRONG = frozenset({StepStatus.FAILED, StepStatus.TIMED_OUT})  # by itself: nobody asked it to end
OVER = DONE_WELL | NOT_DONE | {StepStatus.COMPENSATED}
