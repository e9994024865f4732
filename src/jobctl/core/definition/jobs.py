"""A definitions file -> Jobs, or all its problems at once, each with its place. Pure: reading files is
jobctl/definitions.py's. What a single key may hold is schema.py's; here is what keys mean together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from jobctl.core import kinds
from jobctl.core.definition import document, graph, limits, references, schedules
from jobctl.core.definition.checks import Place, StepChecks, variables
from jobctl.core.definition.doubts import Here, remarks_on, texts_of
from jobctl.core.definition.findings import MOST_PROBLEMS, EnoughError, Findings, Raw, look_up, shown
from jobctl.core.definition.moments import is_date
from jobctl.core.definition.parameters import as_text
from jobctl.core.definition.positions import Path, Places
from jobctl.core.definition.references import Scope
from jobctl.core.definition.schema import FILE, JOB, MAX_JOB_DEPTH
from jobctl.core.definition.shapes import Named, kind
from jobctl.core.definition.suggest import did_you_mean, quoted
from jobctl.core.errors import Problem
from jobctl.core.kinds import Kind
from jobctl.core.model import (
    Compensation,
    ForEach,
    Job,
    Keep,
    Millis,
    Notify,
    Param,
    ParamType,
    Poll,
    Queue,
    RetryPolicy,
    RunStatus,
    Step,
    Timeouts,
    When,
    with_children,
)

Clean = dict[str, Any]  # a table as schema.py's shapes give it: only what is valid, converted


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


class _Reader:
    """One file. `raw` is what it says, `clean` what of it is valid; what is invalid was reported and is passed over."""

    def __init__(self, raw: Raw, clean: Clean, findings: Findings, file: str, folder: str, here: Here | None) -> None:
        self._raw = raw
        self._tables: dict[str, Clean] = clean.get("jobs", {})
        self._queues: dict[str, Clean] = clean.get("queues", {})
        self._defaults: Clean = clean.get("defaults", {})
        self._findings = findings
        self._error = findings.error
        self._file = file
        self._folder = folder
        self._here = here
        self._params: dict[str, dict[str, Param]] = {}

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
        return _merge(defaults, table)

    def _place(self, job: str, *keys: str) -> Path:
        """Where a key of a job stands: in the job, or in the defaults."""
        path: Path = ("jobs", job, *keys)
        inherited = look_up(self._raw, path) is None and look_up(self._raw, ("defaults", *keys)) is not None
        return ("defaults", *keys) if inherited else path

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
            **_only(table, *_PLAIN_JOB_KEYS),
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

    # --- parameters ------------------------------------------------------------------------------------------------

    def _read_params(self, job: str, tables: dict[str, Clean]) -> dict[str, Param]:
        params = {}
        variables: dict[str, str] = {}
        for name, table in tables.items():
            place = self._place(job, "params", name)
            params[name] = self._param(job, name, table)
            other = variables.setdefault(references.parameter_variable(name), name)
            if other != name:
                variable = references.parameter_variable(name)
                self._error(place, f"parameters {other} and {name} would both be ${variable}", "rename one of them")
        return params

    def _param(self, job: str, name: str, table: Clean) -> Param:
        place = self._place(job, "params", name)
        raw_default = look_up(self._raw, self._place(job, "params", name, "default"))
        if not isinstance(look_up(self._raw, place), dict):
            raw_default = look_up(self._raw, place)
        default, choices = table.get("default"), table.get("choices", ())
        example = choices[0] if default is None and choices else default
        of = table.get("type") or _type_of(raw_default) or _type_of(example) or ParamType.STRING
        at = (*place, "default") if isinstance(look_up(self._raw, place), dict) else place
        if isinstance(default, str) and "{{" in default:
            if of in (ParamType.STRING, ParamType.DATE):
                self._check_text(job, default, at, _RUN_ONLY)
            else:
                self._error(at, f"a reference gives text, and the type is {of}", 'write type = "string" or "date"')
        elif default is not None:
            self._check_value(default, of, at, choices)
        if of is ParamType.LIST and choices:
            self._error((*place, "choices"), "a list has no choices", "leave `choices` out")
        else:
            for i, choice in enumerate(choices):
                self._check_value(choice, of, (*place, "choices", i))
        return Param(of, default, choices, table.get("description", ""))

    def _check_value(self, value: Any, of: ParamType, path: Path, choices: tuple[Any, ...] = ()) -> None:
        if not _FITS[of](value):
            hint = f'the type of the parameter is "{of}"'
            self._error(path, f"must be {_TYPE_NAMES[of]}, not {_described(value)}", hint)
        elif choices and not any(value == choice and type(value) is type(choice) for choice in choices):
            self._error(path, "is not one of the parameter's choices", "add it to `choices`, or take one of them")

    # --- steps -----------------------------------------------------------------------------------------------------

    def _steps(self, job: str, table: Clean) -> Iterator[Step]:
        if "steps" not in table:
            if "command" in table:
                main = {"name": "main", "command": table["command"]}
                yield self._step(job, table, main, ("jobs", job), (), Scope(self._params[job], steps=("main",)))
            return
        steps: dict[str, tuple[Clean, Path]] = {}
        for i, step in enumerate(table["steps"]):
            path: Path = ("jobs", job, "steps", i)
            name = step.get("name", f"#{i + 1}")  # one without a valid name was reported
            if name in steps:
                self._error((*path, "name"), f"there is another step {name}", "each step of a job has its own name")
                name = f"#{i + 1}"
            steps[name] = (step, path)
        needs = self._needs(steps)
        order, cycles = graph.sort(needs)
        for cycle in cycles:
            first = min(range(len(cycle) - 1), key=lambda i: steps[cycle[i]][1][-1])
            turned = [*cycle[first:-1], *cycle[:first], cycle[first]]
            path = (*steps[turned[0]][1], "needs")
            self._error(path, f"these steps wait for each other: {_chain(turned)}", "remove one of these needs")
        ancestors = graph.Ancestors(needs, order)
        self._warn_of_early_cleanup(steps, needs, ancestors)
        for name, (step, path) in steps.items():
            scope = Scope(self._params[job], steps=steps.keys(), ended=partial(ancestors.has, name))
            yield self._step(job, table, step | {"name": name}, path, tuple(needs[name]), scope)

    def _needs(self, steps: Mapping[str, tuple[Clean, Path]]) -> dict[str, list[str]]:
        """What each step waits for, spelt out; needs that name nothing are reported and left out."""
        out: dict[str, list[str]] = {}
        above: list[str] = []
        for name, (step, path) in steps.items():
            when = step.get("when", When.SUCCESS)
            if not self._says_needs(path):
                out[name] = above
            else:
                out[name] = []
                for i, need in enumerate(step.get("needs", ())):
                    if self._need_is_sound(name, when, need, out[name], steps, (*path, "needs", i)):
                        out[name].append(need)
            if when is not When.FAILURE:
                above = [name]
        return out

    def _says_needs(self, path: Path) -> bool:
        return look_up(self._raw, (*path, "needs")) is not None

    def _need_is_sound(
        self,
        name: str,
        when: When,
        need: str,
        others: list[str],
        steps: Mapping[str, tuple[Clean, Path]],
        path: Path,
    ) -> bool:
        if need not in steps:
            self._error(path, f"there is no step {need} in this job", did_you_mean(need, steps.keys()))
        elif need == name:
            self._error(path, "a step cannot wait for itself", "remove it")
        elif need in others:
            self._error(path, f"{need} is named twice", "remove one of them")
        elif when is When.SUCCESS and steps[need][0].get("when") is When.FAILURE:
            self._error(
                path,
                f'{need} has when = "failure", it runs only after the run failed; {name} runs only while nothing has',
                f'remove the need, or give {name} when = "failure" or "always"',
            )
        else:
            return True
        return False

    def _warn_of_early_cleanup(
        self, steps: Mapping[str, tuple[Clean, Path]], needs: Mapping[str, list[str]], ancestors: graph.Ancestors
    ) -> None:
        """An `always` step after the step above it, in a job with other ends, is likely meant to wait for them all."""
        work = [name for name, (step, _) in steps.items() if step.get("when", When.SUCCESS) is When.SUCCESS]
        needed = {need for name in work for need in needs[name]}
        ends = [name for name in work if name not in needed]
        if len(ends) < 2:
            return
        for name, (step, path) in steps.items():
            if step.get("when") is not When.ALWAYS or self._says_needs(path) or not needs[name]:
                continue
            missed = [end for end in ends if not ancestors.has(name, end) and not ancestors.has(end, name)]
            if missed:
                others = missed[0] + (f" and {len(missed) - 1} more" if missed[1:] else "")
                every = ", ".join(f'"{end}"' for end in ends) if len(ends) <= 8 else "…"
                self._findings.warning(
                    path,
                    f"waits only for {needs[name][0]}, not for {others}",
                    f"if it is to run after all of them: needs = [{every}]",
                )

    def _step(self, job: str, table: Clean, step: Clean, path: Path, needs: tuple[str, ...], scope: Scope) -> Step:
        """The Step, its references checked. `table` is its job, with the defaults for steps."""
        raw = look_up(self._raw, path)
        of = kinds.of_table(raw if isinstance(raw, dict) else step)
        foreach = self._foreach(job, step, path, scope)
        if foreach is not None:
            scope = _with_items(scope, foreach)
        self._check_step_texts(job, step, path, scope)
        if of.check is not None:
            here = Place(job, path, scope, variables(self._defaults, table, step))
            of.check(step, StepChecks(self._check_text, self._check_command, self._findings, here))
        return Step(
            name=step["name"],
            needs=needs,
            params=self._child_params(job, step, path, scope),
            retry=self._step_retry(job, table, step, path, of),
            timeouts=self._timeouts(table, step, path, of),
            compensate=self._compensation(job, step, path, scope),
            poll=Poll(**step["poll"]) if "interval" in step.get("poll", ()) else None,
            foreach=foreach,
            **of.fields(step),
            **_only(step, *_PLAIN_STEP_KEYS),
        )

    def _check_step_texts(self, job: str, step: Clean, path: Path, scope: Scope) -> None:
        if "only_if" in step:
            self._warn_of_references(step["only_if"], (*path, "only_if"))
        if "cwd" in step:
            self._check_text(job, step["cwd"], (*path, "cwd"), scope)
        self._check_shell(step, (*path, "shell"))
        self._check_env(job, step.get("env", {}), (*path, "env"), scope)
        if "on_timeout" in step and step.keys() & {*kinds.beside("on_timeout")} and "timeout" not in step:
            self._error((*path, "on_timeout"), "means nothing without `timeout`", 'add timeout = "3d", or remove it')
        poll = step.get("poll", {})
        self._check_maximum(poll.get("interval"), poll.get("maximum_interval"), "interval", (*path, "poll"))

    def _step_retry(self, job: str, table: Clean, step: Clean, path: Path, of: Kind) -> RetryPolicy:
        if not of.may_retry:
            return RetryPolicy()
        place = (*path, "retry") if "retry" in step else self._place(job, "retry")
        return self._retry(_merge(table.get("retry", {}), step.get("retry", {})), place)

    def _retry(self, table: Clean, place: Path) -> RetryPolicy:
        """The policy of a table; what it does not say has Temporal's default. An empty one is a single attempt."""
        if not table and look_up(self._raw, place) is None:
            return RetryPolicy()
        if look_up(self._raw, place) == 0:
            self._findings.warning(
                place, "0 attempts means as many as it takes", "for a single attempt write 1, or leave `retry` out"
            )
        policy = RetryPolicy(**{"maximum_attempts": 0, **table})
        self._check_maximum(policy.initial_interval, policy.maximum_interval, "initial_interval", place)
        return policy

    def _check_maximum(self, first: Millis | None, maximum: Millis | None, key: str, place: Path) -> None:
        if first is not None and maximum is not None and maximum < first:
            self._error((*place, "maximum_interval"), f"is shorter than `{key}`", "the first wait is the shortest")

    def _timeouts(self, table: Clean, step: Clean, path: Path, of: Kind) -> Timeouts:
        own, inherited = step.get("timeout", {}), _only(table.get("step_timeout", {}), *of.limits)
        if not of.has_one_duration:
            return Timeouts(**_merge(inherited, own))
        if own:
            if isinstance(look_up(self._raw, (*path, "timeout")), str):
                return Timeouts(schedule_to_close=own["start_to_close"])
            self._error((*path, "timeout"), f"a `{of.names[0]}` step has one duration", 'write timeout = "3d"')
        return Timeouts(**inherited) if "timeout" not in step else Timeouts()

    def _compensation(self, job: str, step: Clean, path: Path, scope: Scope) -> Compensation | None:
        table = step.get("compensate", {})
        if "command" not in table:
            return None
        path = (*path, "compensate")
        long = isinstance(look_up(self._raw, path), dict)
        # It runs after its step has ended, so it may name that step's results.
        name, ended = step["name"], scope.ended
        own = replace(scope, ended=lambda other: other == name or ended(other))
        self._check_command(job, table["command"], (*path, "command") if long else path, own)
        timeouts = Timeouts(**table.get("timeout", {}))
        if "retry" not in table:
            return Compensation(table["command"], timeouts=timeouts)
        return Compensation(table["command"], self._retry(table["retry"], (*path, "retry")), timeouts)

    def _foreach(self, job: str, step: Clean, path: Path, scope: Scope) -> ForEach | None:
        table = step.get("foreach", {})
        for key in ("max_parallel", "fail_fast"):
            if key in step and key in table:
                self._error((*path, key), f"`{key}` stands here and in `foreach`", "remove one of them")
        if "items" not in table:
            return None
        place: Path = (*path, "foreach")
        if isinstance(look_up(self._raw, place), dict):
            place = (*place, "items")
        items = table["items"]
        if isinstance(items, str):
            self._check_list_reference(job, items, place, scope)
        else:
            for inner, text in texts_of(items, place):
                if references.mentioned(text):
                    message = "references are not replaced in the items of a written list"
                    self._error(inner, message, 'name a whole list: foreach = "{{ params.files }}"')
        limits = _only(step, "max_parallel", "fail_fast") | _only(table, "max_parallel", "fail_fast")
        return ForEach(items, **limits)

    def _check_list_reference(self, job: str, text: str, path: Path, scope: Scope) -> None:
        self._check_text(job, text, path, scope)
        try:
            found = references.find(text)
        except references.BadReferenceError:
            return
        if len(found) != 1 or text.strip() != text[found[0].start : found[0].end]:
            self._error(path, "must be a list, or one reference to a list", 'write ["a", "b"] or "{{ params.files }}"')
        elif found[0].root == "run":
            self._error(path, f"{{{{ {found[0].name} }}}} is not a list", "name a parameter or an output")
        elif found[0].root == "params":
            param = self._params[job].get(found[0].path[1])
            if param is not None and param.type not in (ParamType.LIST, ParamType.STRING):
                message = f"parameter {found[0].path[1]} is {_TYPE_NAMES[param.type]}, not a list"
                self._error(path, message, 'give the parameter type = "list"')

    # --- child runs ------------------------------------------------------------------------------------------------

    def _child_params(self, job: str, step: Clean, path: Path, scope: Scope) -> dict[str, Any]:
        given: dict[str, Any] = step.get("params", {})
        place = (*path, "params")
        for name, value in given.items():
            for inner, text in texts_of(value, (*place, name)):
                self._check_text(job, text, inner, scope)
        declared = self._params.get(step.get("job", ""))
        if declared is None:
            return given
        for name, value in given.items():
            if name not in declared:
                hint = did_you_mean(name, declared)
                self._error((*place, name), f"job {step['job']} has no parameter {name}", hint)
            elif not (isinstance(value, str) and "{{" in value):
                self._check_value(value, declared[name].type, (*place, name), declared[name].choices)
        said = look_up(self._raw, place) or {}
        for name, param in declared.items():
            if param.default is None and name not in said:
                self._error(place, f"job {step['job']} needs the parameter {name}", f"params = {{ {name} = … }}")
        return given

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
            self._error(place, f"these jobs start each other without end: {_chain(cycle)}", "remove one of the steps")
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
                    message += f" until it has ended: {_chain([name, *chain])}"
                    self._error(("jobs", name, "steps", i, "job"), message, "give one of the two another queue")

    # --- texts -----------------------------------------------------------------------------------------------------

    def _check_text(self, job: str, text: str, path: Path, scope: Scope) -> None:
        for message, hint, form in references.check(text, scope):
            # What is written for all jobs may suit one and not another: say which.
            self._error(path, message if form or path[0] != "defaults" else f"{message} (job {job})", hint)

    def _check_command(self, job: str, command: str | tuple[str, ...], path: Path, scope: Scope) -> None:
        if isinstance(command, str):
            self._warn_of_references(command, path)
        else:
            for i, argument in enumerate(command):
                self._check_text(job, argument, (*path, i), scope)

    def _warn_of_references(self, command: str, path: Path) -> None:
        for name in dict.fromkeys(references.mentioned(command)):
            variable = references.variable(name)
            by_env = f'add env = {{ VALUE = "{{{{ {name} }}}}" }} and write "$VALUE"'
            hint = f'write "${variable}"' if variable else by_env
            self._findings.warning(path, f"{{{{ {name} }}}} is not replaced in a text command", hint)

    def _check_env(self, job: str, env: Mapping[str, str], path: Path, scope: Scope) -> None:
        if any("{{" in value for value in env.values()):
            quiet = replace(scope, secret=True)
            for name, value in env.items():
                self._check_text(job, value, (*path, name), quiet)

    def _check_shell(self, table: Clean, path: Path) -> None:
        if len(table.get("shell", "").split()) > 1:
            hint = 'write shell = "/bin/bash", and what it should do first in the command: set -eu; …'
            self._error(path, "is a program without arguments", hint)


_RUN_ONLY = Scope()

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
_PLAIN_STEP_KEYS = (
    "when",
    "on_parent_close",
    "on_timeout",
    "only_if",
    "env",
    "cwd",
    "shell",
    "queue",
    "allow_failure",
)

_TYPE_NAMES = {
    ParamType.STRING: "text",
    ParamType.INTEGER: "an integer",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.DATE: 'a date such as "2027-01-01"',
    ParamType.LIST: "a list",
}
_FITS = {
    ParamType.STRING: lambda value: isinstance(value, str),
    ParamType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    ParamType.NUMBER: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    ParamType.BOOLEAN: lambda value: isinstance(value, bool),
    ParamType.DATE: lambda value: isinstance(value, str) and is_date(value),
    ParamType.LIST: lambda value: isinstance(value, list),
}


def _type_of(value: Any) -> ParamType | None:
    """The type that a default, as the file has it, gives its parameter."""
    if isinstance(value, bool):
        return ParamType.BOOLEAN
    if isinstance(value, date) and not isinstance(value, datetime):
        return ParamType.DATE
    types = {int: ParamType.INTEGER, float: ParamType.NUMBER, list: ParamType.LIST}
    return None if value is None else types.get(type(value), ParamType.STRING)


def _described(value: Any) -> str:
    return f"the text {quoted(value)}" if isinstance(value, str) else kind(value)


def _merge(base: Clean, over: Clean) -> Clean:
    """`over` on top of `base`, tables field by field."""
    out = base | over
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            out[key] = _merge(base[key], value)
    return out


def _only(table: Clean, *keys: str) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}


def _keep(table: Clean) -> Keep:
    return Keep(table.get("runs"), table.get("for"))


def _chain(names: Iterable[str]) -> str:
    names = list(names)
    return " -> ".join(names if len(names) <= 12 else [*names[:6], "…", *names[-5:]])


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


def _with_items(scope: Scope, foreach: ForEach) -> Scope:
    """The scope inside a foreach. The keys of literal items are known; those of a reference only in the run."""
    keys = None
    if isinstance(foreach.items, tuple) and foreach.items:
        keys = frozenset.intersection(
            *(frozenset(item) if isinstance(item, dict) else frozenset() for item in foreach.items)
        )
    return replace(scope, item=True, item_keys=keys)
