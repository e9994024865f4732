"""`jobctl list`: the jobs that are defined, one a line. What they did is status.py's and history.py's."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.load import load
from jobctl.core.schedule.words import all_in_words, in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings) -> int:
    jobs = load(settings).values()
    if settings.json:
        printing.print_json(
            [
                {
                    "name": job.name,
                    "description": job.description,
                    "schedules": [in_words(schedule, job) for schedule in job.schedules],
                    "steps": len(job.steps),
                    "tags": list(job.tags),
                    "file": job.file,
                }
                for job in jobs
            ]
        )
        return 0
    header = ("JOB", "STEPS", "SCHEDULE", "TAGS", "DESCRIPTION")
    rows = [
        (
            job.name,
            str(len(job.steps)),
            all_in_words(job) or "-",
            ", ".join(job.tags) or "-",
            job.description,
        )
        for job in jobs
    ]
    # A column that says nothing about any job is left out.
    kept = [i for i in range(len(header)) if i < 2 or any(row[i] not in ("-", "") for row in rows)]
    if rows:
        color = printing.colored(settings.color)
        shown = printing.table([header[i] for i in kept], [[row[i] for i in kept] for row in rows], color=color)
        printing.paged(shown.split("\n"), ask=not settings.no_input)
    else:
        printing.note(f"no jobs are defined in {', '.join(settings.files)}")
    return 0
