"""Definitions files and env files as they lie on disk: read, size-capped, handed to the rules. What may stand in a
definitions file is core/definition/jobs.py's."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping

from jobctl.core.definition.limits import SIZE_LIMIT
from jobctl.core.errors import DefinitionError, Problem
from jobctl.definitions.trust import objection
from jobctl.host.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.definition.doubts import Here
    from jobctl.core.definition.jobs import Definitions
    from jobctl.core.model import Job, Queue

STDIN = "-"

# Of env files. Not compiled here: most calls read none.
_ASSIGNMENT = r"(?s:(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*))"
_DOUBLE_QUOTED = r"""(?s:"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?)"""
_SINGLE_QUOTED = r"(?s:'([^']*)'[ \t]*(?:#.*)?)"
_COMMENT = r"(?s:(?<![ \t])[ \t]++#.*)"
_ESCAPE = r"\\(.)"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_file(path: str) -> Definitions:
    """What a definitions file (`-`: standard input) defines. DefinitionError with all its problems."""
    definitions, problems = check_file(path)
    if definitions is None:
        raise DefinitionError(problems)
    return definitions


def check_file(path: str, here: Here | None = None) -> tuple[Definitions | None, list[Problem]]:
    """What a definitions file defines, None when it is invalid, and all its problems, warnings too; with `here`, those
    of schedules that may surprise."""
    data = data_of(path)
    return (None, [data]) if isinstance(data, Problem) else understand(path, data, here)


def data_of(path: str) -> bytes | Problem:
    """What a definitions file holds, no more than one byte beyond the limit."""
    return _read(path, _called(path), runs=True)


def understand(path: str, data: bytes, here: Here | None = None) -> tuple[Definitions | None, list[Problem]]:
    """As `check_file`, of a file whose bytes have been read."""
    from jobctl.core.definition import jobs as definition

    folder = os.getcwd() if path == STDIN else os.path.dirname(os.path.abspath(path))
    # A large file is millions of small objects without a cycle among them, and the collector would visit them all
    # again and again: without it 10,000 jobs take a third less time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return definition.parse(data, file=_called(path), folder=folder, here=here)
    finally:
        if collecting:
            gc.enable()


class Catalog:
    """What several files define together."""

    __slots__ = ("jobs", "queues")

    def __init__(self, jobs: Mapping[str, Job], queues: Mapping[str, Queue]) -> None:
        self.jobs = jobs
        self.queues = queues

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalog) and self.jobs == other.jobs and self.queues == other.queues

    __hash__ = None  # type: ignore[assignment]  # what is in it can change


def read_files(
    paths: Iterable[str], look: Callable[[str], tuple[Definitions | None, list[Problem]]] = check_file
) -> Catalog:
    """What these files define together, in their order. DefinitionError with the problems of all of them."""
    jobs: dict[str, Job] = {}
    queues: dict[str, Queue] = {}
    problems: list[Problem] = []
    for path in paths:
        found, more = look(path)
        if found is None:
            problems += more
            continue
        problems += duplicates(jobs, found.jobs)
        jobs.update(found.jobs)
        for name, queue in found.queues.items():
            if name in queues and queues[name] != queue:
                problems.append(
                    Problem(
                        f"the queue {name} is defined differently in another file",
                        hint="define it in one place",
                        file=path,
                        key=f"queues.{name}",
                    )
                )
            queues[name] = queue
    if any(not problem.warning for problem in problems):
        raise DefinitionError(sorted(problems, key=lambda problem: problem.warning))
    return Catalog(jobs, queues)


def duplicates(known: Mapping[str, Job], more: Mapping[str, Job]) -> list[Problem]:
    """A problem for every job name that two files use."""
    return [
        Problem(
            f"a job of this name is also defined in {known[name].file}",
            hint="rename one of them, or name only one of the files with --file",
            file=job.file,
            job=name,
        )
        for name, job in more.items()
        if name in known
    ]


def read_env_file(path: str) -> dict[str, str]:
    """The variables of an env file: `NAME=value` lines, also with `export`, quotes and comments; the last one counts.

    Nothing is expanded. In double quotes \\n, \\t, \\r and \\ before another character are read as in a shell's $'…'.
    DefinitionError with every line that cannot be read; values are never repeated.
    """
    from jobctl.core.definition import document

    data = _read(path, path)
    text = document.decode(data) if isinstance(data, bytes) else data
    if isinstance(text, Problem):
        text.file = path
        raise DefinitionError([text])
    variables: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        found = _variable(line.strip())
        if isinstance(found, Problem):
            found.file, found.line = path, number
            problems.append(found)
        elif found is not None:
            variables[found[0]] = found[1]
    if problems:
        raise DefinitionError(problems)
    return variables


def _variable(line: str) -> tuple[str, str] | Problem | None:
    """Name and value of a line without blanks around it; None for one that says nothing."""
    if not line or line.startswith("#"):
        return None
    match = re.fullmatch(_ASSIGNMENT, line)
    if match is None:
        return Problem("is not NAME=value", hint="a name has letters, digits and _, and no blank follows it")
    name, rest = match[1], match[2].lstrip(" \t")
    if rest[:1] in ("'", '"'):
        quoted = re.fullmatch(_DOUBLE_QUOTED if rest[0] == '"' else _SINGLE_QUOTED, rest)
        if quoted is None:
            return Problem(
                "the quote is not closed, or something follows it",
                key=name,
                hint='a value stands on one line; line breaks in it are written "\\n" in double quotes',
            )
        value = quoted[1] if rest[0] == "'" else re.sub(_ESCAPE, lambda m: _ESCAPES.get(m[1], m[1]), quoted[1])
    else:
        value = "" if rest.startswith("#") else re.sub(_COMMENT, "", rest)
    from jobctl.core.definition.plain import too_long

    if too_long(value, len(name) + 2):
        return Problem("is longer than 128 KiB, the system's limit", key=name, hint="put it into a file of its own")
    return name, value


def _read(path: str, name: str, *, runs: bool = False) -> bytes | Problem:
    """The bytes of a file, no more than one beyond the limit: document.py says what is wrong with so many. `runs`: what
    it says is run, so root takes it from nobody else."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(SIZE_LIMIT + 1)
        with os.fdopen(open_regular(path), "rb") as file:
            if runs and (found := objection(os.fstat(file.fileno()), path)):
                return Problem(found[0], hint=found[1], file=name)
            return file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        return Problem("there is no such file", hint="`jobctl init` writes a first jobs.toml", file=name)
    except IsADirectoryError:
        return Problem("is a folder, not a file", hint=f"name the file: {os.path.join(name, 'jobs.toml')}", file=name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Problem(f"cannot be read: {reason}", hint="is it the right file, and may this user read it?", file=name)


def _called(path: str) -> str:
    return "<stdin>" if path == STDIN else path


def env_file_of(job: Job) -> dict[str, str]:
    """The variables of a job's env_file, {} when it names none. DefinitionError when it cannot be read."""
    if job.env_file is None:
        return {}
    path = os.path.join(job.folder, os.path.expanduser(job.env_file))
    try:
        return read_env_file(path)
    except DefinitionError as error:
        if os.path.lexists(path):
            raise
        raise DefinitionError(
            [
                Problem(
                    f"there is no file {path}",
                    hint="make it, or correct env_file: a relative path begins at the folder of the definitions file",
                    file=job.file,
                    job=job.name,
                    key="env_file",
                )
            ]
        ) from error


def env_files_of_children(job: Job) -> list[dict[str, str]]:
    """The variables of the env files of all jobs that a job starts, as far as they can be read."""
    found = []
    for child in job.children.values():
        try:
            found.append(env_file_of(child))
        except DefinitionError:
            continue  # said when that child starts
    return found
