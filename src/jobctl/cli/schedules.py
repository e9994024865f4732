"""Jobs as far as their schedules go, for the commands about schedules: cli/commands/schedule_list.py and the others."""

from __future__ import annotations

from jobctl.cli import load
from jobctl.core.errors import DefinitionError, JobctlError
from jobctl.definitions import outline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.core.model import Job
    from jobctl.host.settings import Settings


def read(settings: Settings, *, now: int) -> dict[str, Job]:
    """All jobs by name, with their schedules, without their steps. DefinitionError with the problems of all files."""
    load.existing(settings)
    jobs, problems = outline.scheduled(settings, now=now)
    if problems:
        raise DefinitionError(problems)
    return jobs


def chosen(jobs: Mapping[str, Job], names: Sequence[str]) -> list[Job]:
    """The jobs of these names; without names, all that have a schedule. NotFoundError; JobctlError as in `one`."""
    if not names:
        return [job for job in jobs.values() if job.schedules]
    return [one(jobs, name) for name in dict.fromkeys(names)]


def one(jobs: Mapping[str, Job], name: str) -> Job:
    """The job of that name. NotFoundError suggests the nearest; JobctlError when it has no schedule."""
    job = load.find_job(jobs, name)
    if not job.schedules:
        raise without_schedule(name)
    return job


def without_schedule(name: str) -> JobctlError:
    return JobctlError(
        f"job {name} has no schedule", hint=f"give it one in its definition, or start a run now: jobctl run {name}"
    )
