"""What is recorded of schedules, as values: how far each has been dealt with, and what became of its fire times."""

from __future__ import annotations

from jobctl.core.record import NamedTuple


class Entry(NamedTuple):
    """A schedule that is known. `progress`: the newest fire time that has been dealt with."""

    id: int
    job: str
    key: str
    progress: int


class Dropped(NamedTuple):
    """Fire times that got no run, from `first` to `last`, `times` of them. `outcome`: skipped | missed."""

    schedule: int
    outcome: str
    first: int
    last: int
    times: int
    reason: str


class Last(NamedTuple):
    """The newest fire time of a schedule and what became of it. `run` and its `status`: None for one that is gone."""

    fire_time: int
    outcome: str  # started | buffered | skipped | missed
    reason: str | None
    run: str | None
    status: str | None


class Pause(NamedTuple):
    """That the schedules of a job fire no more, since when, and by whom."""

    at: int
    reason: str | None
    who: str | None
