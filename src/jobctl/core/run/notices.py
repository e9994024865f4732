"""Notifications: which commands a job wants to be told with, the job that tells, and what it says of what happened.

A notification is a run of a job that is made here, `JOB.notify`. When it begins is engines/local/notifications.py's.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.core.run.history import EventType
from jobctl.core.run.payloads import carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if TYPE_CHECKING:  # asked for what a run is called by those who load no dataclass
    from jobctl.core.model import Job
    from jobctl.core.run.history import Event, RunState

TRIGGER = "notify"
MISSED = "missed"
STOPPED = "stopped"
STEP = "notify"

_SUFFIX = ".notify"  # no job of a definitions file can be called so
_LONGEST = 4_000  # characters of a reason
_TIMES = ("created_at", "finished_at", "fire_time", "first")


def name_of(job: str) -> str:
    """What the notifications of a job are runs of."""
    return job + _SUFFIX


def is_notifier(job: str) -> bool:
    return job.endswith(_SUFFIX)


def origin(job: str) -> str:
    """The job that a notification is about; any other name is given back as it is."""
    return job.removesuffix(_SUFFIX)


def commands(job: Job, what: str) -> list[str | tuple[str, ...]]:
    """What is to be run when a run of the job ends as `what`, or (`missed`) fire times of it got none."""
    return [table.command for table in job.notify if what in table.on]


def notifier(job: Job, command: str | tuple[str, ...]) -> Job:
    """The job of a notification: one command, in the surroundings of the job that it is about. Nobody is told of its
    own end."""
    from jobctl.core.model import Job, RetryPolicy, Step, Timeouts

    step = Step(
        STEP,
        command=command,
        retry=RetryPolicy(maximum_attempts=3, initial_interval=1_000, backoff_coefficient=10.0),
        timeouts=Timeouts(start_to_close=300_000),
    )
    return Job(
        name_of(job.name),
        job.folder,
        (step,),
        job.file,
        timezone=job.timezone,
        default_env=job.default_env,
        env_file=job.env_file,
        env=job.env,
        inherit_env=job.inherit_env,
        cwd=job.cwd,
        shell=job.shell,
        kill_grace=job.kill_grace,
        log_limit=job.log_limit,
    )


def of_end(run: str, job: str, end: Event, state: RunState) -> dict[str, Any]:
    """What a notification of a run's end is about: run, job, status, trigger, created_at, finished_at; reason and
    fire_time where there are such. Instants, as everywhere."""
    ended = carried(EventType.RUN_ENDED, end)
    return {**_about(run, job, str(ended["status"]), ended.get("reason"), state), "finished_at": end.at}


def of_stop(run: str, job: str, pause: Event, state: RunState) -> dict[str, Any]:
    """What a notification is about of a run that waits for a person, because it was stopped with its daemon."""
    return _about(run, job, STOPPED, carried(EventType.RUN_PAUSED, pause).get("reason"), state)


def _about(run: str, job: str, status: str, reason: str | None, state: RunState) -> dict[str, Any]:
    about = {
        "run": run,
        "job": job,
        "status": status,
        "reason": reason,
        "trigger": state.trigger,
        "fire_time": state.fire_time,
        "created_at": state.created_at,
    }
    return {key: value for key, value in about.items() if value is not None}


def of_missed(job: str, count: int, first: int, last: int, reason: str) -> dict[str, Any]:
    """What a notification of missed fire times is about: job, status, reason, trigger, missed (how many), first and
    fire_time (the last of them)."""
    about = {"job": job, "status": MISSED, "reason": reason, "trigger": "schedule"}
    return {**about, "missed": count, "first": first, "fire_time": last}


def is_about(value: Any) -> bool:
    """Whether it is what one of the above gives: a history may hold anything."""
    if not isinstance(value, dict) or not {"job", "status"} <= value.keys():
        return False
    numbers = {*_TIMES, "missed", "place"}
    return all(isinstance(item, int if key in numbers else str) for key, item in value.items())


def variables(about: Mapping[str, Any]) -> dict[str, str]:
    """What the command finds in its environment, beside the fire time."""
    found = {
        "JOBCTL_JOB": about["job"],
        "JOBCTL_STATUS": about["status"],
        "JOBCTL_TRIGGER": about.get("trigger", "manual"),
        # What a command says of its failure may be anything: it must not keep people from being told.
        "JOBCTL_REASON": about.get("reason", "")[:_LONGEST].replace("\0", " ").encode("utf-8", "replace").decode(),
    }
    if "run" in about:
        found["JOBCTL_RUN"] = about["run"]
    if "missed" in about:
        found["JOBCTL_MISSED"] = str(about["missed"])
    return found


def sentence(about: Mapping[str, Any]) -> str:
    """What it is about, in words: `backup-4f2k9c failed`."""
    if about["status"] == MISSED:
        count = about.get("missed", 1)
        return f"{count} fire {'time' if count == 1 else 'times'} of {about['job']} got no run"
    words = {"canceled": "was canceled", "terminated": "was terminated", STOPPED: "was stopped"}
    status = about["status"]
    return f"{about.get('run', about['job'])} {words.get(status, status.replace('_', ' '))}"


def times(about: Mapping[str, Any]) -> dict[str, int]:
    """Which of its values are instants."""
    return {key: about[key] for key in _TIMES if key in about}


def updated(job: Job, about: Mapping[str, Any]) -> Job:
    """The job of a notification as the file has it now. JobctlError when the job notifies of that no longer."""
    found = commands(job, about["status"])
    place = about.get("place", 0)
    if place >= len(found):
        from jobctl.core.errors import JobctlError

        raise JobctlError(
            f"job {job.name} has no such notification any more: on {about['status']}",
            hint="resume it as it was, without --updated",
        )
    return notifier(job, found[place])
