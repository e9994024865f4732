"""What the living daemons use, where that is not what the files say now: `status` asks them, not the files.

A file that is broken, or gone, changes nothing for a daemon: it goes on with what it had read before. When that fires
stands in the store; which files it is about, and why they are not used, the daemon has left word of.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.definitions.outline import Outline
from jobctl.views.views import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jobctl.core.errors import Problem
    from jobctl.store.store import Store
    from jobctl.views.views import Document


class Used(NamedTuple):
    """`jobs`: those that fire, of the files that are not used as they are; `told`: the sentences about that."""

    jobs: dict[str, Outline]
    told: list[str]
    files: frozenset[str]  # that are spoken of


NOTHING = Used({}, [], frozenset())


def read(store: Store, daemons: Sequence[Document], problems: Sequence[Problem], now: int) -> Used:
    """`problems`: what is wrong with the files as they are now: a daemon may not have seen it yet."""
    broken = {problem.file: str(problem) for problem in problems if not problem.warning}
    files: dict[str, None] = {}
    told: dict[str, None] = {}
    for daemon in daemons:
        own = [file for file in daemon["files"] if isinstance(file, str)]
        why = [broken[file] for file in own if file in broken]
        if isinstance(problem := daemon["definitions_problem"], dict):
            why = why or [str(problem.get("message", ""))]
        why = why or [f"{file}: there is no such file" for file in own if not os.path.exists(file)]
        if why:
            files.update(dict.fromkeys(own))
            place = " ".join(why[0].split()).removeprefix(os.getcwd() + "/")
            told[f"its definitions have changed and cannot be used: {place}"] = None
    if not files:
        return NOTHING
    sentences = [f"{one}; the old ones stay in use, and NEXT says when they fire" for one in told]
    return Used(_fire(store, files, now), sentences, frozenset(files))


def gone(store: Store) -> list[str]:
    """The definitions files of this folder that a daemon has read and that are not there any more."""
    from jobctl.store import firings

    here = os.getcwd() + "/"
    own = [file for file in firings.files(store) if file.startswith(here)]
    return [file for file in own if "/" not in file[len(here) :] and "\0" not in file and not os.path.lexists(file)]


def _fire(store: Store, files: Collection[str], now: int) -> dict[str, Outline]:
    """The jobs of these files that have schedules, as the daemons have read them."""
    from jobctl.cli import schedules
    from jobctl.core.model import Job, Schedule
    from jobctl.core.schedule.words import all_in_words
    from jobctl.store import firings

    read: dict[str, Job] = {}
    for job, key, file in firings.active(store):
        if file not in files:
            continue
        before = read[job].schedules if job in read else ()
        try:
            fields: dict[str, Any] = json.loads(key)
            fields.update((name, tuple(value)) for name, value in fields.items() if isinstance(value, list))
            schedule = Schedule(**fields)
        except UNREADABLE:
            continue  # a damaged row: of the others it is said when they fire
        read[job] = Job(job, os.path.dirname(file), (), file=file, schedules=(*before, schedule))
    paused = firings.paused(store)
    return {
        name: Outline(
            name,
            job.file,
            all_in_words(job),
            None if name in paused else schedules.next_of(store, job, now),
        )
        for name, job in read.items()
    }
