"""`jobctl validate`: every problem of the definitions files at once. The rules are core/definition/jobs.py's."""

from __future__ import annotations

import os

from jobctl.cli import printing
from jobctl.cli.exit import pointed_at, two_lines
from jobctl.cli.load import existing
from jobctl.core.definition.doubts import Here
from jobctl.definitions.files import STDIN, check_file, duplicates
from jobctl.definitions.outlook import Outlook
from jobctl.host import clock, machine
from jobctl.views import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.errors import Problem
    from jobctl.core.model import Job
    from jobctl.host.settings import Settings


def main(settings: Settings, *, files: list[str]) -> int:
    """Prints the problems; 2 when one of them is an error. `-` is standard input."""
    named = dict.fromkeys(file if file == STDIN else os.path.abspath(file) for file in files)
    jobs: dict[str, Job] = {}
    problems: list[Problem] = []
    zone = machine.look_for_zone()
    here = Here(clock.now(), zone.name, Outlook().look)
    for file in named or existing(settings):
        found, wrong = check_file(file, here)
        problems += wrong
        if found is not None:
            problems += duplicates(jobs, found.jobs)
            jobs.update(found.jobs)
    if zone.trouble and any(
        not (job.timezone or schedule.timezone) for job in jobs.values() for schedule in job.schedules if schedule.cron
    ):
        from jobctl.core.errors import Problem

        problems.append(Problem(zone.trouble, hint=zone.hint, warning=True))
    failed = any(not problem.warning for problem in problems)
    if settings.json:
        printing.print_json([documents.problem(problem) for problem in problems])
        return 2 if failed else 0
    for problem in problems:
        printing.say(two_lines(problem))
        if problem.excerpt is not None:
            printing.say(pointed_at(problem))
    if not failed and not settings.quiet:
        printing.say(f"{_count(len(jobs), 'job')}, {_count(len(problems), 'warning') if problems else 'no problems'}")
    elif failed:
        printing.note(f"{_count(sum(not problem.warning for problem in problems), 'problem')}")
    return 2 if failed else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
