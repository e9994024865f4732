"""The definitions of all files of the settings as one, for every command that needs jobs. Reading a file and what may
stand in it: definitions/files.py and core/definition/jobs.py."""

from __future__ import annotations

from jobctl.core.errors import DefinitionError, NotFoundError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.core.model import Job
    from jobctl.definitions.files import Catalog
    from jobctl.host.settings import Settings


def load(settings: Settings) -> Mapping[str, Job]:
    """All jobs by name, in the files' order. DefinitionError with the problems of all the files."""
    return catalog(settings).jobs


def catalog(settings: Settings) -> Catalog:
    """All jobs and queues of the files. DefinitionError as above."""
    from jobctl.definitions import kept

    return kept.catalog(existing(settings), settings.state_dir)


def afresh(settings: Settings) -> Mapping[str, Job]:
    """As `load`, for whoever believes only the files, or may write nothing: what was kept of them is not asked."""
    from jobctl.definitions.files import read_files

    return read_files(existing(settings)).jobs


def existing(settings: Settings) -> tuple[str, ...]:
    """The definitions files to use, without repetition. DefinitionError when there are none."""
    if not settings.files:
        raise DefinitionError(
            [
                Problem(
                    "there is no definitions file: no jobs.toml here, in the user's config folder or in /etc/jobctl",
                    hint="`jobctl init` writes one to start from; --file names one that is elsewhere",
                )
            ]
        )
    return tuple(dict.fromkeys(settings.files))


def find_job(jobs: Mapping[str, Job], name: str) -> Job:
    """The job of that name. NotFoundError suggests the nearest."""
    if name in jobs:
        return jobs[name]
    from jobctl.core.definition.suggest import did_you_mean

    raise NotFoundError(
        f"there is no job {name!r}",
        hint=did_you_mean(name, jobs) if jobs else "none is defined: `jobctl init` writes a first file",
    )
