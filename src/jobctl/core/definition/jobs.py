"""A definitions file -> Jobs, or all its problems at once, each with its place. Pure: reading files is
definitions/files.py's. What a single key may hold is schema.py's; here is what keys mean together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobctl.core.definition import document, graph, limits, references, schedules
from jobctl.core.definition.doubts import Here, remarks_on
from jobctl.core.definition.findings import MOST_PROBLEMS, EnoughError, Findings, Raw, look_up, shown
from jobctl.core.definition.parameters import as_text
from jobctl.core.definition.positions import Path, Places
from jobctl.core.definition.references import Scope
from jobctl.core.definition.schema import FILE, JOB, MAX_JOB_DEPTH
from jobctl.core.definition.shapes import Named
from jobctl.core.definition.steps import StepReader, chained, merge, only
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.definition.texts import Clean
from jobctl.core.errors import Problem
from jobctl.core.model import (
    Job,
    Keep,
    Notify,
    Queue,
    RunStatus,
    with_children,
)


@dataclass(frozen=True, slots=True)
class Definitions:
    """What one file defines."""

    jobs: Mapping[str, Job]
    queues: Mapping[str, Queue]
    file: str


def parse(data: bytes, *, file: str, folder: str, here: Here | None = None) -> tuple[Definitions | None, list[Problem]]:
    """The jobs of a file, and everything that is wrong with it, in the order of its lines.

    None when one of the problems is an error; warnings (`Problem.warning`) come with the definitions. `file` is how
    the problems and jobs name it, `folder` the absolute folder that its paths are resolved against. With `here`, there
    are warnings of schedules that are valid and may surprise, too.
    """
    read = document.read(data)
    if isinstance(read, Problem):
        read.file = file
        return None, [read]
    text, raw = read
    large = _too_large(raw, file)
    if large is not None:
        return None, [large]
    findings = Findings(raw)
    try:
        clean = FILE.read(_with_a_head(raw, findings), (), findings.error)
        reader = _Reader(raw, clean, findings, file, folder, here)
        jobs, queues = reader.jobs(), reader.queues()
        if here is not None and not findings.failed:
            reader.remark(jobs, here, text)
    except EnoughError:
        problems = findings.problems(file, text)
        what = f"has more than {MOST_PROBLEMS:,} problems: the others are not looked for"
        return None, [*problems, Problem(what, hint="correct these first", file=file)]
    problems = findings.problems(file, text)
    if findings.failed:
        return None, problems
    return Definitions(jobs, queues, file), problems


def _with_a_head(raw: Raw, findings: Findings) -> Raw:
    """The file; of one whose head [jobs.NAME] is missing, that is said once, and the keys of the job are left out."""
    keys = [key for key in raw if key in JOB.keys]
    if "jobs" in raw or not keys:
        return raw
    what = "a job" if len(keys) == 1 else f"a job without a head: {', '.join(keys[:6])}"
    FILE.read({keys[0]: raw[keys[0]]}, (), findings.error)
    if len(keys) > 1:
        place = Named((keys[0],))
        findings.replace(place, f"these are keys of {what}", "write [jobs.NAME] above them")
    return {key: value for key, value in raw.items() if key not in keys}


def _too_large(raw: Raw, file: str) -> Problem | None:
    """One thing that there is too much of, said before all of it is looked at."""
    jobs = raw.get("jobs")
    if not isinstance(jobs, dict):
        return None
    problem = document.too_many_jobs() if len(jobs) > limits.MOST_JOBS else None
    for name, table in jobs.items() if problem is None else ():
        steps = table.get("steps") if isinstance(table, dict) else None
        if isinstance(steps, list) and len(steps) > limits.MOST_STEPS:
            problem = document.too_many_steps()
            problem.job = shown(name)
            break
    if problem is not None:
        problem.file = file
    return problem


class _Reader(StepReader):
    """One file."""

    def __init__(self, raw: Raw, clean: Clean, findings: Findings, file: str, folder: str, here: Here | None) -> None:
        super().__init__(raw, clean, findings)
        self._tables: dict[str, Clean] = clean.get("jobs", {})
        self._queues: dict[str, Clean] = clean.get("queues", {})
        self._file = file
        self._folder = folder
        self._here = here

    def queues(self) -> dict[str, Queue]:
        return {name: Queue(name, **table) for name, table in self._queues.items()}

    def jobs(self) -> dict[str, Job]:
        unknown = any(key not in FILE.keys for key in self._raw)  # that is the reason, and was said
        if ("jobs" not in self._raw or self._raw["jobs"] == {}) and not unknown:
            hint = 'write [jobs.NAME] and command = "…"; `jobctl init` writes a first file'
            self._findings.warning((), "defines no jobs", hint)  # the last one may be taken away
        merged = {name: self._merged(table) for name, table in self._tables.items()}
        for name, table in merged.items():  # of all jobs first: a step may start a job further down
            self._params[name] = self._read_params(name, table.get("params", {}))
        jobs = {name: self._job(name, table) for name, table in merged.items()}
        self._check_children(jobs)
        self._check_queues(jobs)
        return jobs if self._findings.failed else {name: with_children(job, jobs) for name, job in jobs.items()}

    def remark(self, jobs: Mapping[str, Job], here: Here, text: str) -> None:
        """What is valid and will likely not do what was meant when the time comes."""
        for job in jobs.values():
            for keys, message, hint in (*remarks_on(job, here.now), *(here.look(job) if here.look else ())):
                self._findings.warning(self._where(job.name, keys), message, hint)
        self._remark_on_numbers(jobs, text)

    def _where(self, job: str, keys: tuple[str | int, ...]) -> Path:
        first, *rest = keys
        if first == "steps" and look_up(self._raw, ("jobs", job, "steps")) is None:
            return ("jobs", job, *rest[1:])  # of a job that is one command
        if first == "default_env":
            return ("defaults", "env", *rest)
        place = self._place(job, *map(str, keys[:1]))
        if first in ("notify", "schedule") and not isinstance(look_up(self._raw, place), list):
            rest = rest[1:]
        return (*place, *rest)

    def _remark_on_numbers(self, jobs: Mapping[str, Job], text: str) -> None:
        """Numbers that commands get in another form than they are written in: 1.10, 0o755, 1_000."""
        found: list[tuple[Path, int | float]] = []
        for job in jobs.values():
            for name, param in job.params.items():
                if isinstance(param.default, (int, float)) and not isinstance(param.default, bool):
                    place = self._place(job.name, "params", name)
                    found.append(((*place, "default") if isinstance(look_up(self._raw, place), dict) else place,
                                  param.default))  # fmt: skip
        places = Places(text) if found else None
        for path, value in found:
            span = places.value(path) if places else None
            written = text[span[0] : span[1]].strip() if span else ""
            arrives = as_text(value)
            if written and written.lstrip("+") != arrives:
                self._findings.warning(
                    path,
                    f"is the number {arrives} to a command, not the text {written}",
                    f'for the text write "{written}"',
                )

    def _merged(self, table: Clean) -> Clean:
        defaults = {key: value for key, value in self._defaults.items() if key != "env"}
        return merge(defaults, table)

    # --- one job ---------------------------------------------------------------------------------------------------

    def _job(self, name: str, table: Clean) -> Job:
        params = self._params[name]
        scope = Scope(params)
        self._check_env(name, self._defaults.get("env", {}), ("defaults", "env"), scope)
        self._check_env(name, table.get("env", {}), ("jobs", name, "env"), scope)
        if "cwd" in table:
            self._check_text(name, table["cwd"], self._place(name, "cwd"), scope)
        if "key" in table:
            self._check_text(name, table["key"], self._place(name, "key"), scope)
        self._check_shell(table, self._place(name, "shell"))
        inherit = table.get("inherit_env", ())
        return Job(
            name=name,
            folder=self._folder,
            file=self._file,
            steps=tuple(self._steps(name, table)),
            schedules=schedules.read(
                name, table.get("schedule", ()), table.get("timezone"), self._raw, self._findings, self._here
            ),
            params=params,
            default_env=self._defaults.get("env", {}),
            env=table.get("env", {}),
            inherit_env=inherit if isinstance(inherit, tuple) else inherit or (),
            keep=_keep(table.get("keep", {})),
            notify=self._notify(name, table.get("notify", ())),
            **only(table, *_PLAIN_JOB_KEYS),
        )

    def _notify(self, job: str, tables: tuple[Clean, ...]) -> tuple[Notify, ...]:
        place = self._place(job, "notify")
        many = isinstance(look_up(self._raw, place), list)
        notes = []
        for i, table in enumerate(tables):
            if "command" not in table:
                continue
            path = (*place, *([i] if many else []), "command")
            if isinstance(table["command"], str):
                self._warn_of_references(table["command"], path)
            for j, argument in enumerate(table["command"] if isinstance(table["command"], tuple) else ()):
                if references.mentioned(argument):
                    hint = 'write a text command: "notify $JOBCTL_RUN"'
                    self._error((*path, j), "references are not replaced here", hint)
            on = tuple(table.get("on", (RunStatus.FAILED, RunStatus.TIMED_OUT)))
            notes.append(Notify(on, table["command"]))
        return tuple(notes)

    def _check_children(self, jobs: Mapping[str, Job]) -> None:
        """Each child job is there, none starts itself in the end, and the nesting has a bound."""
        edges: dict[str, list[str]] = {name: [] for name in jobs}
        places: dict[tuple[str, str], Path] = {}
        for name, job in jobs.items():
            for i, step in enumerate(job.steps):
                if step.job is None:
                    continue
                path: Path = ("jobs", name, "steps", i, "job")
                if step.job in jobs:
                    edges[name].append(step.job)
                    places.setdefault((name, step.job), path)
                elif step.job not in self._raw["jobs"]:
                    self._error(path, f"there is no job {step.job} in this file", did_you_mean(step.job, jobs.keys()))
        order, cycles = graph.sort(edges)
        for cycle in cycles:
            place = places[cycle[0], cycle[1]]
            self._error(place, f"these jobs start each other without end: {chained(cycle)}", "remove one of the steps")
        depth: dict[str, int] = {}
        for name in order:
            depth[name] = 1 + max((depth.get(child, 0) for child in edges[name]), default=0)
            if depth[name] == MAX_JOB_DEPTH + 1:
                deepest = max(edges[name], key=lambda child: depth.get(child, 0))
                message = f"jobs start jobs more than {MAX_JOB_DEPTH} deep here"
                self._error(places[name, deepest], message, "make steps of some of them")

    def _check_queues(self, jobs: Mapping[str, Job]) -> None:
        """No run waits for a place that it has itself: it keeps it until the last of its children has ended."""
        for name, job in jobs.items():
            if self._queues.get(job.queue or "", {}).get("concurrency") is None:
                continue
            for i, step in enumerate(job.steps):
                chain = _chain_to_queue(jobs, step.job, job.queue)
                if chain:
                    message = f"{chain[-1]} waits for a place in the queue {job.queue} that {name} may have itself"
                    message += f" until it has ended: {chained([name, *chain])}"
                    self._error(("jobs", name, "steps", i, "job"), message, "give one of the two another queue")


_PLAIN_JOB_KEYS = (
    "description",
    "timezone",
    "overlap",
    "catchup_window",
    "catchup_limit",
    "start_within",
    "key",
    "pause_on_failure",
    "timeout",
    "env_file",
    "cwd",
    "shell",
    "queue",
    "priority",
    "max_parallel_steps",
    "kill_grace",
    "after_stop",
    "log_limit",
    "disk_limit",
    "tags",
)


def _keep(table: Clean) -> Keep:
    return Keep(table.get("runs"), table.get("for"))


def _chain_to_queue(jobs: Mapping[str, Job], first: str | None, queue: str | None) -> list[str]:
    """The jobs from `first` on, each started by the one before, to the nearest that is in the queue; empty: none is."""
    before: dict[str, str | None] = {} if first is None else {first: None}
    names = list(before)
    for name in names:
        job = jobs.get(name)
        if job is None:
            continue
        if job.queue == queue:
            chain, at = [name], before[name]
            while at is not None:
                chain, at = [at, *chain], before[at]
            return chain
        for step in job.steps:
            if step.job is not None and step.job not in before:
                before[step.job] = name
                names.append(step.job)
    return []
