"""What there is at one look: what runs, each job's last run and next fire time, what anybody should know of. Values;
how it looks is the faces'.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from jobctl.core.errors import UNREADABLE, JobctlError, Problem, StoreError
from jobctl.core.record import NamedTuple
from jobctl.core.run.notices import is_notifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.model import Job
    from jobctl.definitions.outline import Outline
    from jobctl.engines.base import Client
    from jobctl.engines.values import Daemon, Dropped, Paused, Run

_DROPPED_SINCE = 86_400_000  # fire times without a run are told for a day; `schedule list` has more
_UNTOLD_SINCE = 7 * 86_400_000  # so long it is told that a notification failed, if no later one has succeeded
_NOTIFICATIONS = 20  # of a job, among which those that failed are looked for


class JobLine(NamedTuple):
    """A job, its last run and its next fire time."""

    name: str
    last: Run | None
    next_fire: int | None
    schedule: str | None


class Untold(NamedTuple):
    """A notification that has failed: of what nobody was told."""

    run: Run
    about: Mapping[str, Any] | None  # None where that cannot be read


class Overview(NamedTuple):
    runs: list[Run]  # that are not over
    jobs: list[JobLine]
    problems: list[Problem]  # of the definitions, and of what is recorded
    daemons: Sequence[Daemon] = ()
    dropped: Sequence[Dropped] = ()
    paused: Mapping[str, Paused] = {}
    untold: Sequence[Untold] = ()
    copy_of: str | None = None
    troubles: Sequence[str] = ()
    queued: int = 0  # runs that are left out: of those that wait for a place all but the first in line
    asleep: int = 0  # ... of those that only wait
    used: Sequence[str] = ()  # sentences about definitions that a daemon uses though the files say something else
    used_files: frozenset[str] = frozenset()  # that they are about
    gone: Sequence[str] = ()  # files that somebody has read and that are not there any more
    begun: bool = True  # False: nothing has run here yet


def nothing(defined: Mapping[str, Outline], problems: list[Problem]) -> Overview:
    """Where nothing has run yet."""
    jobs = [JobLine(name, None, known.next_fire, known.schedule) for name, known in defined.items()]
    return Overview([], jobs, problems, begun=False)


def overview(
    client: Client,
    defined: Mapping[str, Outline],
    problems: list[Problem],
    schedules: Callable[[], Mapping[str, Job]],
    now: int,
    *,
    queued: int | None = None,
    asleep: int | None = None,
) -> Overview:
    """`defined`, `problems`: what the definitions files say; `schedules`: their jobs with
    schedules. At most so many runs that are `queued`, and that are `asleep`."""
    daemons = client.daemons()
    defined = _as_dealt_with(client, defined, schedules, now)
    used = _used(client, daemons, problems, now)
    defined = {**defined, **used.jobs}
    if client.copy_of is not None:  # nothing fires in it
        defined = {name: job._replace(next_fire=None) for name, job in defined.items()}
    dropped = client.dropped(now - _DROPPED_SINCE)
    ran = client.jobs()
    untold = failed_notifications(client, ran, now - _UNTOLD_SINCE)
    found = client.alive(queued=queued, asleep=asleep)
    names = {**defined, **dict.fromkeys(job for job in ran if not is_notifier(job))}
    last, troubles = _latest(client, names)
    problems = [*problems, *map(problem, found.troubles), *map(problem, troubles)]
    return Overview(
        [run for run in found.found if not run.over],
        [_line(name, last.get(name), defined) for name in {**defined, **last}],
        [*problems, *damage(client)],
        daemons,
        dropped,
        client.paused(),
        untold,
        client.copy_of,
        client.troubles(),
        found.queued,
        found.asleep,
        used.told,
        used.files,
        _gone(client) if not daemons else (),
    )


def problem(error: JobctlError) -> Problem:
    return Problem(error.message, hint=error.hint)


def damage(client: Client) -> list[Problem]:
    """A line for each row of the store that cannot be right."""
    return [Problem(line, hint="what else it says is shown; see: jobctl doctor") for line in client.damage()]


def failed_notifications(client: Client, jobs: Iterable[str], since: int) -> list[Untold]:
    """Of what nobody was told since then: of each command of `jobs` the last notification, where that has failed.

    Looks at no more than the last few of each job.
    """
    found = []
    for job in filter(is_notifier, jobs):
        commands: set[int] = set()  # a job that notifies with several has a definition for each
        for run in client.runs(job=job, limit=_NOTIFICATIONS).found:
            if run.finished_at is None or run.definition in commands:
                continue
            commands.add(run.definition)
            if run.status in ("failed", "timed_out") and run.finished_at >= since:
                try:
                    about = client.state(run).about
                except (StoreError, *UNREADABLE):  # one that cannot be read is still one that failed
                    about = None
                found.append(Untold(run, about))
    return found


def _latest(client: Client, names: Iterable[str]) -> tuple[dict[str, Run], list[JobctlError]]:
    found: dict[str, Run] = {}
    troubles: list[JobctlError] = []
    for name in names:
        try:
            run = client.latest(name)
        except StoreError as error:
            if not _is_of_one(error):
                raise
            troubles.append(error)
            continue
        if run is not None:
            found[run.job] = run
    return found, troubles


def _is_of_one(error: StoreError) -> bool:
    return type(error) is StoreError


def _line(name: str, last: Run | None, defined: Mapping[str, Outline]) -> JobLine:
    known = defined.get(name)
    return JobLine(name, last, known.next_fire if known else None, known.schedule if known else None)


def _as_dealt_with(
    client: Client, defined: Mapping[str, Outline], schedules: Callable[[], Mapping[str, Job]], now: int
) -> Mapping[str, Outline]:
    """Next fire times as whoever works knows them, where those do not follow from the definition and the clock."""
    odd = {name for name, job in defined.items() if job.jitter} | (set(client.jobs_ahead(now)) & defined.keys())
    if not odd:
        return defined
    jobs = schedules()
    return {
        **defined,
        **{name: defined[name]._replace(next_fire=next_of(client, jobs[name], now)) for name in odd if name in jobs},
    }


def next_of(client: Client, job: Job, now: int) -> int | None:
    """The first that comes of all schedules of a job."""
    found = [at for schedule in job.schedules for at in client.coming(job, schedule, now, 1)]
    return min(found, default=None)


# -- what daemons use, where that is not what the files say now --------------------------------------------------------


class _Used(NamedTuple):
    """`jobs`: those that fire, of the files that are not used as they are; `told`: the sentences about that."""

    jobs: dict[str, Outline]
    told: list[str]
    files: frozenset[str]


def _used(client: Client, daemons: Sequence[Daemon], problems: Sequence[Problem], now: int) -> _Used:
    """A file that is broken, or gone, changes nothing for a daemon: it goes on with what it had read before.
    `problems`: what is wrong with the files as they are now; a daemon may not have seen it yet."""
    broken = {problem.file: str(problem) for problem in problems if not problem.warning}
    files: dict[str, None] = {}
    told: dict[str, None] = {}
    for daemon in daemons:
        own = [file for file in daemon.files if isinstance(file, str)]
        why = [broken[file] for file in own if file in broken]
        if isinstance(daemon.problem, dict):
            why = why or [str(daemon.problem.get("message", ""))]
        why = why or [f"{file}: there is no such file" for file in own if not os.path.exists(file)]
        if why:
            files.update(dict.fromkeys(own))
            place = " ".join(why[0].split()).removeprefix(os.getcwd() + "/")
            told[f"its definitions have changed and cannot be used: {place}"] = None
    if not files:
        return _Used({}, [], frozenset())
    sentences = [f"{one}; the old ones stay in use, and NEXT says when they fire" for one in told]
    return _Used(_fire(client, files, now), sentences, frozenset(files))


def _gone(client: Client) -> list[str]:
    """The definitions files of this folder that somebody has read and that are not there any more."""
    here = os.getcwd() + "/"
    files = dict.fromkeys(one.file for one in client.armed())
    own = [file for file in files if isinstance(file, str) and file.startswith(here)]
    return [file for file in own if "/" not in file[len(here) :] and "\0" not in file and not os.path.lexists(file)]


def _fire(client: Client, files: Iterable[str], now: int) -> dict[str, Outline]:
    """The jobs of these files that have schedules, as the daemons have read them."""
    from jobctl.core.model import Job, decode_schedule
    from jobctl.core.schedule.words import all_in_words
    from jobctl.definitions.outline import Outline

    read: dict[str, Job] = {}
    for job, key, file in client.armed():
        if file not in files:
            continue
        before = read[job].schedules if job in read else ()
        try:
            schedule = decode_schedule(key)
        except UNREADABLE:
            continue  # a damaged row: of the others it is said when they fire
        read[job] = Job(job, os.path.dirname(file), (), file=file, schedules=(*before, schedule))
    paused = client.paused()
    return {
        name: Outline(
            name,
            job.file,
            all_in_words(job),
            None if name in paused else next_of(client, job, now),
        )
        for name, job in read.items()
    }
