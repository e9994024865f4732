"""What `run.*` references name in a run."""

from __future__ import annotations

from jobctl.core.text import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job


def run_values(job: Job, name: str, at: int) -> dict[str, str]:
    """By name. A run that no schedule started has the time of its creation as fire time.

    Times are those of the job's zone; without one, of the machine's.
    """
    if job.timezone is not None:
        from jobctl.core.schedule.zones import format_instant

        text = format_instant(at, job.timezone)
    else:
        text = rfc3339(at)
    return {"id": name, "job": job.name, "fire_time": text, "fire_date": text[:10]}
