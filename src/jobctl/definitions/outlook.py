"""What definitions name and this machine does not have: programs, scripts' interpreters, folders, env files, shells.

Only remarks come of it: the machine that validates need not be the one that runs. Asked by `validate` and `doctor`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from jobctl.core.definition.doubts import Remark
from jobctl.core.definition.suggest import closest
from jobctl.core.definition.traps import first_program, like_sh, unexpanded
from jobctl.core.errors import DefinitionError
from jobctl.core.model import Job, Step
from jobctl.definitions.files import env_file_of
from jobctl.definitions.trust import objection
from jobctl.host.files import read_regular
from jobctl.process.environment import DEFAULT_PATH

_FIRST_LINE = 256  # bytes: the kernel reads no more
Lack = tuple[str, str]  # what is not there, and the way out


class Outlook:
    """Remembers what it has looked at: many jobs name the same programs."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._programs: dict[tuple[str, str, str], Lack | None] = {}
        self._names: dict[str, frozenset[str]] = {}

    def look(self, job: Job) -> Iterator[Remark]:
        """What a job will miss when it runs, each with the key that names it."""
        env_file: dict[str, str] = {}
        try:
            env_file = env_file_of(job)
        except DefinitionError as error:
            problem = error.problems[0]
            where = f"line {problem.line} of it: " if problem.line else ""
            key = f"{problem.key}: " if problem.key and problem.key != "env_file" else ""
            yield ("env_file",), f"{where}{key}{problem.message}", problem.hint
        if job.env_file is not None and env_file:
            yield from _written_by_others(_joined(job.folder, job.env_file))
        for name, value in env_file.items():
            if what := unexpanded(value, shown=False):
                yield ("env_file",), f"{name} holds {what}: nothing expands it", "write the value itself"
        env = {"PATH": self._environ.get("PATH", DEFAULT_PATH), **job.default_env, **env_file, **job.env}
        yield from self._folder(job)
        uses_shell = False
        for i, step in enumerate(job.steps):
            shell = step.shell or job.shell
            if step.shell is None and any(isinstance(text, str) for _, text in _commands(step)):
                uses_shell = True
            yield from self._step(job, step, i, shell, env)
        for i, note in enumerate(job.notify):
            if isinstance(note.command, str):
                uses_shell = True
            for remark in self._command(note.command, job.shell, job.folder, env, anywhere=True):
                yield ("notify", i, "command"), *remark
        if uses_shell and (lack := self._lack(job.shell, job.folder, env["PATH"])):
            yield ("shell",), *lack

    def _folder(self, job: Job) -> Iterator[Remark]:
        if job.cwd is not None and "{{" not in job.cwd and (lack := _no_folder(_joined(job.folder, job.cwd))):
            yield ("cwd",), *lack

    def _step(self, job: Job, step: Step, index: int, shell: str, env: Mapping[str, str]) -> Iterator[Remark]:
        main = job.steps[0].name == "main" and len(job.steps) == 1
        keys: tuple[str | int, ...] = ("steps", index)
        later = bool(step.needs)  # a step before it may make what is not there yet
        folder: str | None = job.folder
        for cwd in (job.cwd, step.cwd):
            if cwd is not None and folder is not None:
                folder = None if "{{" in cwd else _joined(folder, cwd)
        if step.cwd is not None and "{{" not in step.cwd and folder is not None:
            if (os.path.isabs(os.path.expanduser(step.cwd)) or not later) and (lack := _no_folder(folder)):
                yield (*keys, "cwd"), *lack
        if folder is not None and not os.path.isdir(folder):
            folder = None
        env = {**env, **step.env}
        if step.shell is not None and (lack := self._lack(step.shell, folder or "/", env["PATH"])):
            yield (*keys, "shell"), *lack
        for key, command in _commands(step):
            of = job.shell if key != "command" else shell
            for message, hint in self._command(command, of, folder, env, anywhere=not later):
                yield (("command",) if main and key == "command" else (*keys, key)), message, hint

    def _command(
        self, command: str | tuple[str, ...], shell: str, folder: str | None, env: Mapping[str, str], *, anywhere: bool
    ) -> Iterator[Lack]:
        """`anywhere`: also what is named by a path that is relative."""
        program = command[0] if isinstance(command, tuple) else first_program(command, shell)
        if not program or "{{" in program or program == "jobctl":
            return
        if isinstance(command, str):
            program = os.path.expanduser(program)
        if "/" in program:
            if not os.path.isabs(program) and (not anywhere or folder is None):
                return
        elif "{{" in env["PATH"]:
            return
        if lack := self._lack(program, folder or "/", env["PATH"]):
            yield lack
        elif isinstance(command, tuple) and like_sh(program) and len(command) > 1:
            # sh ./script: what is run is the script.
            script = command[1]
            if script[:1] not in ("-", "") and "{{" not in script and anywhere and folder is not None:
                path = os.path.normpath(os.path.join(folder, script))
                if not os.path.exists(path):
                    yield (
                        f"there is no file {path}",
                        "correct the path: it begins at the folder that the command runs in",
                    )

    def _lack(self, program: str, folder: str, path: str) -> Lack | None:
        key = (program, folder if "/" in program else "", path if "/" not in program else "")
        if key not in self._programs:
            self._programs[key] = self._look_for(program, folder, path)
        return self._programs[key]

    def _look_for(self, program: str, folder: str, path: str) -> Lack | None:
        if "/" in program:
            return self._unfit(os.path.normpath(os.path.join(folder, program)), path)
        for place in path.split(":"):
            found = os.path.join(folder, place, program)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return self._unfit(found, path)
        if path not in self._names:
            self._names[path] = frozenset(_listed(path))
        near = closest(program, self._names[path])
        hint = f"did you mean {near}? " if near else ""
        return (
            f"there is no program {program} on the PATH of this machine",
            f"{hint}install it, correct the name, or give its path; a PATH of the job's own: env = {{ PATH = … }}",
        )

    def _unfit(self, found: str, path: str) -> Lack | None:
        """Why a file cannot be run."""
        if not os.path.exists(found):
            hint = "correct the path: a relative one begins at the folder that the command runs in"
            return f"there is no program {found}", hint
        if os.path.isdir(found):
            return f"{found} is a folder, not a program", "name a file in it"
        if not os.access(found, os.X_OK):
            return f"{found} may not be executed", f"chmod +x {found}"
        try:
            line, newline, _ = read_regular(found, _FIRST_LINE).partition(b"\n")
        except OSError:
            return None  # may be executed and not read
        match = re.match(rb"#![ \t]*(\S+)(?:[ \t]+(\S+))?", line)
        if match is None:
            return None
        if newline and line.endswith(b"\r"):
            return (
                f"the first line of {found} ends in a carriage return (DOS line ends): no interpreter is found by it",
                f"sed -i 's/\\r$//' {found}",
            )
        interpreter = os.fsdecode(match[1])
        if not os.path.exists(interpreter):
            return (
                f"{found} wants {interpreter}, which is not there",
                "install it, or correct the first line of the file",
            )
        if os.path.basename(interpreter) == "env" and match[2] and match[2][:1] != b"-" and b"=" not in match[2]:
            wanted = os.fsdecode(match[2])
            places = (os.path.join(place, wanted) for place in path.split(":"))
            if "/" not in wanted and not any(os.access(place, os.X_OK) for place in places):
                hint = "install it, or give the job a PATH of its own: env = { PATH = … }"
                return f"{found} wants {wanted}, which is not on the PATH of this machine", hint
        return None


def _commands(step: Step) -> list[tuple[str, str | tuple[str, ...]]]:
    found: list[tuple[str, str | tuple[str, ...]]] = []
    if step.command is not None:
        found.append(("command", step.command))
    if step.only_if is not None:
        found.append(("only_if", step.only_if))
    if step.compensate is not None:
        found.append(("compensate", step.compensate.command))
    return found


def _joined(folder: str, cwd: str) -> str:
    return os.path.normpath(os.path.join(folder, os.path.expanduser(cwd)))


def _no_folder(path: str) -> Lack | None:
    if not os.path.exists(path):
        return (
            f"there is no folder {path}",
            f"mkdir -p {path}, or correct the path: a relative one begins at the file's folder",
        )
    if not os.path.isdir(path):
        return f"{path} is not a folder", "name the folder that the commands are to run in"
    if not os.access(path, os.X_OK):
        return f"{path} may not be entered by this user", f"chmod u+x {path}, or run jobctl as its owner"
    return None


def _written_by_others(path: str) -> Iterator[Remark]:
    """Variables that somebody else may write decide what is run (PATH, LD_PRELOAD); root is to know that."""
    try:
        found = objection(os.stat(path), path)
    except OSError:
        return
    if found:
        yield ("env_file",), f"{path} {found[0]}", found[1]


def _listed(path: str) -> Iterator[str]:
    for place in path.split(":"):
        try:
            yield from os.listdir(place or ".")
        except OSError:
            continue
