"""What is recorded of a run besides its history, as values: for whoever asks, and for what begins one. Who keeps it,
and how, is nothing to this file."""

from __future__ import annotations

from jobctl.core.record import NamedTuple


class RunRow(NamedTuple):
    """A run as it stands. Instants are milliseconds since the epoch, UTC."""

    id: int
    name: str
    job: str
    definition: int
    status: str
    seq: int  # the number of its last event
    executor: str | None
    trigger: str
    fire_time: int | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    reason: str | None
    queue: str | None
    priority: int
    wake_at: int | None
    parent: int | None  # the run that started it as its child
    parent_step: str | None  # and the key of the step there


class NewRun(NamedTuple):
    """What is known of a run before it has a history."""

    name: str
    job: str
    definition: str  # canonical JSON, no secrets
    trigger: str = "manual"
    fire_time: int | None = None
    queue: str | None = None
    priority: int = 0
    schedule: int | None = None  # the schedule that fires; nothing is written if this fire time was dealt with already
    parent: int | None = None
    parent_step: str | None = None
    start_by: int | None = None  # one that has not begun by then ends
    key: str | None = None  # of which the job has one run; nothing is written if there is that already
    again: bool = False  # its fire time may have come before, by a clock that was set back since
