"""What an engine hands out: runs, pieces of logs, schedules, fire times - plain values, with integers for instants. And
what an engine may be unable to do, with the error that a person gets. Who is asked for them: base.py.

Loaded by every command that asks about a run: it imports next to nothing.
"""

from __future__ import annotations

from enum import StrEnum

from jobctl.core.errors import JobctlError
from jobctl.core.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from jobctl.core.model import Job
    from jobctl.engines.base import Client

_NAMED = 5  # of many runs


# -- what an engine cannot do ------------------------------------------------------------------------------------------


class Can(StrEnum):
    """What some engine may not be able to do. What is not here every engine can."""

    ADOPT = "adopt"  # say what a copied state folder is to be
    BOOT = "boot"  # fire schedules when the machine starts
    FOREGROUND = "foreground"  # advance a run in the process that started it
    LOG_FILES = "log_files"  # say in which file here an attempt's output is
    MISSED = "missed"  # record the fire times that were missed, and tell of them
    PRUNE = "prune"  # remove runs that are over


class Lack(NamedTuple):
    """That an engine cannot do something, as a person is told."""

    message: str
    hint: str


def need(client: Client, can: Can) -> None:
    """JobctlError, with the way out, where the engine cannot do it."""
    lack = client.lacks.get(can)
    if lack is not None:
        raise JobctlError(lack.message, hint=lack.hint)


# -- what is handed out ------------------------------------------------------------------------------------------------


class Holder(NamedTuple):
    """The living worker that has a run."""

    id: str
    pid: int | None
    kind: str  # daemon | foreground


class Run(NamedTuple):
    """A run, and who has it, as one look found it: all that is said of it after is said of this."""

    name: str
    job: str
    status: str
    seq: int  # the number of its last event
    trigger: str
    fire_time: int | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    reason: str | None
    queue: str | None
    priority: int
    wake_at: int | None  # it only waits, until then
    parent: tuple[str, str] | None  # the run that started it as its child, and the step there
    definition: int  # equal for runs with the same definition
    taken: bool  # a worker has had it since somebody asked it to go on, or to end
    holder: Holder | None
    ref: Any = None  # by which its engine finds it again; nothing to others

    @property
    def interrupted(self) -> bool:
        """Whether it should be going on and its worker has died. One that no worker has had since somebody asked for it
        is waited for: it may be taken at any moment."""
        return self.status == "running" and self.holder is None and self.wake_at is None and self.taken

    @property
    def over(self) -> bool:
        return self.finished_at is not None


class Runs(NamedTuple):
    """Runs that were found, and why others could not be read: they keep nobody from seeing these."""

    found: list[Run]
    troubles: list[JobctlError]
    queued: int = 0  # that were left out: of those that wait for a place all but the first in line
    asleep: int = 0  # ... of those that only wait all but the first to wake


class Started(NamedTuple):
    run: Run
    new: bool  # False: the job had a run for that key


class Line(NamedTuple):
    """What a run that nobody has begun waits for."""

    kind: str  # overlap: a run before it; queue: a place; executor: anybody
    name: str | None  # of the run, or of the queue


class Log(NamedTuple):
    """The output of one attempt."""

    key: str  # the step, or STEP!undo
    number: int
    file: str  # "" where it is none here
    bytes: int = 0


class Kept(NamedTuple):
    """The job that a run was started with, its secrets as the files have them now."""

    job: Job
    env_file: dict[str, str]
    remarks: list[str]  # what could not be had and was left out


class Complaint(NamedTuple):
    message: str
    since: int


class Daemon(NamedTuple):
    """A worker that stays."""

    id: str
    pid: int
    started_at: int
    troubles: list[Complaint]  # what it suffers from
    files: list[str]  # the definitions that it uses
    problem: Any  # why it does not use them as they are now: {"message", "hint"}, or None
    certain: bool = True  # False: whether it lives cannot be told


class Dropped(NamedTuple):
    """Fire times of a job that got no run."""

    job: str
    outcome: str  # missed | skipped
    fires: int  # how many
    last: int
    reason: str | None


class Paused(NamedTuple):
    """That the schedules of a job start nothing."""

    at: int
    reason: str | None
    by: str | None


class Fire(NamedTuple):
    """What became of a schedule's last fire time."""

    fire_time: int
    outcome: str  # started | buffered | skipped | missed
    reason: str | None
    run: str | None
    status: str | None


class Armed(NamedTuple):
    """A schedule as a worker fires it, whatever its file says by now."""

    job: str
    key: str  # core/model.py: encode_schedule
    file: str


class Pruned(NamedTuple):
    """What was removed, or would be."""

    runs: Mapping[str, int]  # by job
    ended: Mapping[str, tuple[int, int]]  # by job: when the first and the last of them had ended
    folders: Sequence[str]  # runs of which there are files and no history
    executors: int
    bytes: int


def without_history(runs: Sequence[str]) -> str:
    """What is to be said of runs whose files are there and whose history is not, by whoever finds them."""
    names = ", ".join(sorted(runs)[:_NAMED]) + (" …" if len(runs) > _NAMED else "")
    return f"history is missing of {len(runs):,} run{'' if len(runs) == 1 else 's'} whose files are here: {names}"


class Reused(NamedTuple):
    """What a new run takes over from an old one."""

    run: str
    reused: dict[str, dict[str, Any]]  # key -> items, status, outputs, stdout, error: what differs from a plain success
    params: dict[str, Any]  # those that the job still has
    fire_time: int | None  # results of a day go with that day
    remarks: list[str]  # what was left out, for people


class Trouble(NamedTuple):
    """One thing that whoever watches has to know. `kind`: no_daemon | trouble | definitions | late | failed
    | missed | unknown."""

    kind: str
    message: str
    hint: str
    job: str | None = None
    run: str | None = None
    since: int | None = None  # when it came to be so, where that is known


class Adopted(NamedTuple):
    """What became of a copy."""

    of: str  # the original
    ended: list[str]  # its open runs, which ended with that
    there: bool  # the original is still to be seen


# -- of a worker -------------------------------------------------------------------------------------------------------


class Left(NamedTuple):
    """What is still here when the run that a process is about is over."""

    goes_on: bool  # without this process, too
    alone: list[str]  # child runs that were left to themselves, and that nobody else has


class Moment(NamedTuple):
    """When a round of duties begins."""

    wall: int
    mono: int
