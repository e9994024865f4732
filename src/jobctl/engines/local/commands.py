"""What an attempt runs: argv, environment and folder, out of the definition and what the run has come to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from jobctl.core import kinds
from jobctl.core.definition import references
from jobctl.core.definition.parameters import as_text
from jobctl.core.keys import UNDO, is_undo, item_index, step_name, undone_key
from jobctl.core.model import Job, RetryPolicy, Step
from jobctl.core.run import items
from jobctl.core.run.attempts import Outcome
from jobctl.core.run.history import RunState, StepState
from jobctl.core.run.values import run_values as run_values
from jobctl.core.text import size
from jobctl.process import environment
from jobctl.process.attempt import AttemptFiles, journal_path, waits_path
from jobctl.process.descent import TOKEN
from jobctl.process.held import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.definitions.masking import Masker


class UnresolvedError(Exception):
    """A reference to something that the run does not have: an output nobody wrote, a step that was skipped."""


def token(store: str, run: str, key: str, number: int) -> str:
    """What every process of an attempt carries in its environment: unique among all stores of the machine."""
    return f"{store}/{run}/{key}.{number}"


class RunContext:
    """What all attempts of one run share: made once by each executor that has the run."""

    __slots__ = (
        "_is_notice",
        "_masker",
        "_ours",
        "_references",
        "_static",
        "_values",
        "env_file",
        "folder",
        "job",
        "name",
        "state",
        "stdout_of",
        "store_id",
    )

    def __init__(
        self,
        job: Job,
        name: str,
        folder: str,
        store_id: str,
        state_dir: str,
        env_file: Mapping[str, str],
        state: RunState,
    ) -> None:
        self.job = job
        self.name = name
        self.folder = folder  # of the run's files
        self.store_id = store_id
        self.state = state
        self.stdout_of = _stdout_of(job)
        self.env_file: Mapping[str, str] = env_file
        self._is_notice = state.about is not None
        self._masker: Masker | None = None
        self._values = _values_of(job, name, state)
        self._static = environment.build(os.environ, job.default_env, env_file, job.env, inherit=job.inherit_env)
        # What stands in env_file is never read for references; a key of the job's env hides the same key there.
        self._references = [
            (key, value)
            for layer in (job.default_env, job.env)
            for key, value in layer.items()
            if "{{" in value and self._static[key] == value
        ]
        self._ours = {"JOBCTL_RUN": name, "JOBCTL_JOB": job.name, "JOBCTL_STATE_DIR": state_dir}
        if state.fire_time is not None:
            self._ours["JOBCTL_FIRE_TIME"] = self._values["fire_time"]
        if state.about is not None:
            from jobctl.core.run.notices import variables

            self._ours.update(variables(state.about))
            if "fire_time" in state.about:
                self._ours["JOBCTL_FIRE_TIME"] = self._values["fire_time"]
        for key, param in state.params.items():
            self._ours[references.parameter_variable(key)] = as_text(param)

    def mask(self, text: str) -> str:
        """The text without the values of secrets, for what is recorded."""
        if self._masker is None:
            from jobctl.definitions.masking import masker

            env_files: list[Mapping[str, str]] = [self.env_file]
            if self.job.children:
                from jobctl.definitions.files import env_files_of_children

                env_files += env_files_of_children(self.job)
            self._masker = masker(self.job, *env_files)
        return self._masker.text(text)

    def shown(self, outcome: Outcome, policy: RetryPolicy) -> Outcome:
        """How an attempt ended, as it may be recorded. A type that the definition names by itself stays as it is: its
        retry policy asks for that."""
        error, kind = outcome.error, outcome.error_type
        if error is not None:
            outcome = outcome._replace(error=self.mask(error))
        if kind is not None and kind not in policy.non_retryable_types:
            outcome = outcome._replace(error_type=self.mask(kind))
        return outcome

    def token(self, key: str, number: int) -> str:
        """What every process of an attempt carries in its environment: unique among all stores of the machine."""
        return token(self.store_id, self.name, key, number)

    def step_command(self, step: Step, state: StepState, number: int, files: AttemptFiles) -> Command:
        """The command of a step's attempt. UnresolvedError names the reference that has no value."""
        # A wait that has a condition runs nothing but the condition.
        command = step.command if step.command is not None else ("true",)
        only_if = None if state.checked else step.only_if
        made = self._command(step, command, state.name, state.cursor, number, files, only_if)
        runner = kinds.of(step).runner
        return made if runner is None else self._with_runner(step, state.name, made, runner)

    def _with_runner(self, step: Step, key: str, command: Command, runner: kinds.Runner) -> Command:
        """A program of ours in place of the command. What it is to do is not in its arguments or its environment."""
        from jobctl.process import runners

        try:
            order = json.dumps(runner.order(step, _Given(self, key, command.environment)))
        except kinds.UnfitError as error:
            raise UnresolvedError(str(error)) from None
        if len(order) > runners.LONGEST_ORDER:
            raise UnresolvedError(f"what the step is to send is longer than {size(runners.LONGEST_ORDER)}, the limit")
        return command._replace(argv=runners.argv(runner.module), given=order, keeps=runners.KEEPS)

    def sleep_until(self, step: Step) -> int:
        """When a sleep until an instant is over. UnresolvedError, ValueError when what it names is none."""
        assert step.sleep_until is not None
        from jobctl.core.schedule.zones import parse_instant

        text = self._resolve(step.sleep_until, step.name)
        try:
            return parse_instant(text)
        except ValueError:
            raise ValueError(f"sleep_until is {text!r}, which is no time like 2026-12-24T18:00:00+01:00") from None

    def child_params(self, step: Step, key: str) -> dict[str, Any]:
        """What a child run of a step, or an item, is given. UnresolvedError names the reference without a value."""
        return {name: self._resolved(value, key) for name, value in step.params.items()}

    def _resolved(self, value: Any, key: str) -> Any:
        if isinstance(value, str):
            return self._resolve(value, key)
        if isinstance(value, (list, tuple)):
            return [self._resolved(item, key) for item in value]
        if isinstance(value, dict):
            return {name: self._resolved(item, key) for name, item in value.items()}
        return value

    def undo_command(self, step: Step, state: StepState, number: int, files: AttemptFiles) -> Command:
        """The command of an attempt of a step's compensation: it also learns how the step ended, and its outputs."""
        assert step.compensate is not None
        command = self._command(step, step.compensate.command, state.name + UNDO, None, number, files, None)
        command.environment["JOBCTL_STEP_STATUS"] = str(state.status)
        if state.outputs:
            from jobctl.core.definition.plain import too_long
        for key, value in state.outputs.items():
            name, text = "JOBCTL_OUTPUT_" + key.upper().replace("-", "_"), as_text(value)
            # What a signal brought may be no variable. An undo without one output is better than none at all.
            if not too_long(text, len(key) + 16) and "=" not in name and "\0" not in name + text:
                command.environment[name] = text
        return command

    def _command(
        self,
        step: Step,
        command: str | tuple[str, ...],
        key: str,
        cursor: str | None,
        number: int,
        files: AttemptFiles,
        only_if: str | None,
    ) -> Command:
        env = self._static.copy()
        for name, value in (*self._references, *step.env.items()):
            try:
                env[name] = self._resolve(value, key)
            except UnresolvedError:
                if not self._is_notice:
                    raise
                env.pop(name, None)  # what kept the run from beginning must not keep people from being told
        env["PATH"] = environment.with_jobctl(env["PATH"])  # a step may have a PATH of its own
        env.update(self._ours)
        index = item_index(key)
        if index is not None:
            env["JOBCTL_ITEM"] = self._item_text(key)
            env["JOBCTL_ITEM_INDEX"] = str(index)
        env["JOBCTL_STEP"] = step.name
        env["JOBCTL_ATTEMPT"] = str(number)
        env["JOBCTL_IDEMPOTENCY_KEY"] = f"{self.name}/{key}"
        env["JOBCTL_HEARTBEAT"] = files.heartbeat
        env["JOBCTL_OUTPUT"] = files.output
        env["JOBCTL_FAILURE"] = files.failure
        first = self._first(key)
        env["JOBCTL_JOURNAL"] = journal_path(self.folder, key, first)
        if step.poll is None and not is_undo(key):  # others cannot be suspended
            env["JOBCTL_WAITS"] = waits_path(self.folder, key, first)
        env[TOKEN] = self.token(key, number)
        if cursor is not None:
            env["JOBCTL_CURSOR"] = cursor
        shell = step.shell or self.job.shell
        argv = [shell, "-c", command] if isinstance(command, str) else [self._resolve(part, key) for part in command]
        return Command(argv, env, self._folder(step, key), only_if or "", shell)

    def _first(self, key: str) -> int:
        """The attempt that the present piece of work began with."""
        states = self.state.undo if is_undo(key) else self.state.steps
        name = undone_key(key)
        return states[name].first if name in states else 1

    def _folder(self, step: Step, key: str) -> str:
        if self._is_notice:
            try:
                folder = self._folder_of(step, key)
            except UnresolvedError:
                folder = self.job.folder
            # That the folder is gone may be what people are to be told of.
            return next((path for path in (folder, self.job.folder) if os.path.isdir(path)), "/")
        return self._folder_of(step, key)

    def _folder_of(self, step: Step, key: str) -> str:
        folder = self.job.folder
        for cwd in (self.job.cwd, step.cwd):
            if cwd is not None:
                folder = os.path.join(folder, os.path.expanduser(self._resolve(cwd, key)))
        return folder

    def items(self, step: Step) -> list[Any]:
        """The list that a `foreach` step is done for. UnresolvedError says why there is none."""
        assert step.foreach is not None
        source = step.foreach.items
        if not isinstance(source, str):
            return list(source)
        [reference] = references.find(source)
        value = self._value(reference, step.name)
        try:
            return items.listed(value)
        except ValueError as error:
            raise UnresolvedError(f"foreach: {{{{ {reference.name} }}}} {error}") from None

    def _item(self, key: str) -> Any:
        listed, index = self.state.steps[step_name(key)].items, item_index(key)
        if listed is None or index is None:
            raise UnresolvedError("{{ item }} has no value here")
        return listed[index]

    def _item_text(self, key: str) -> str:
        """The item as a variable. UnresolvedError when it can be none."""
        from jobctl.core.definition.plain import too_long

        text = as_text(self._item(key))
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            raise UnresolvedError("the item cannot be handed to a command: it holds half a character") from None
        if "\0" in text:
            raise UnresolvedError("the item cannot be handed to a command: it holds a NUL character")
        if too_long(text, len("JOBCTL_ITEM=") + 1):
            raise UnresolvedError("the item is too long for a variable (128 KiB); list paths or addresses instead")
        return text

    def _resolve(self, text: str, key: str) -> str:
        """The text with its references replaced, as it is meant for the step, or the item, of that key."""
        return references.resolve(text, lambda reference: as_text(self._value(reference, key)))

    def _value(self, reference: references.Reference, key: str) -> Any:
        root, *rest = reference.path
        if root == "params":
            if rest[0] not in self.state.params:  # the definition was changed under the run
                raise UnresolvedError(f"{{{{ {reference.name} }}}} has no value: the run was started without it")
            return self.state.params[rest[0]]
        if root == "run":
            return self._values[rest[0]]
        if root == "item":
            item = self._item(key)
            if not rest:
                return item
            if not isinstance(item, dict) or rest[0] not in item:
                what = f"has no key {rest[0]!r}" if isinstance(item, dict) else "is no object with keys"
                raise UnresolvedError(f"{{{{ {reference.name} }}}} has no value: the item {what}")
            return item[rest[0]]
        if root != "steps":
            raise UnresolvedError(f"{{{{ {reference.name} }}}} has no value here")
        step = self.state.steps.get(rest[0])
        if step is None or step.began is None:
            raise UnresolvedError(f"{{{{ {reference.name} }}}} has no value: step {rest[0]} did not run")
        if step.items is not None:
            if rest[1] == "stdout":
                return items.last_lines(self.state, step)
            return [found.get(rest[2]) for found in items.outputs(self.state, step)]
        if rest[1] == "stdout":
            return step.stdout or ""
        if rest[2] not in step.outputs:
            what = "was skipped" if step.status == "skipped" else f"wrote no output {rest[2]!r}"
            raise UnresolvedError(f"{{{{ {reference.name} }}}} has no value: step {rest[0]} {what}")
        return step.outputs[rest[2]]


class _Given:
    """What a run lends a row of the table of kinds: values, as they are for a step, or an item."""

    def __init__(self, context: RunContext, key: str, environment: Mapping[str, str]) -> None:
        self._context, self._key, self._environment = context, key, environment
        self.idempotency_key = environment["JOBCTL_IDEMPOTENCY_KEY"]

    def value(self, reference: references.Reference) -> Any:
        if reference.root != "env":
            return self._context._value(reference, self._key)
        name = reference.path[1]
        if name not in self._environment or name.startswith("JOBCTL_"):
            raise UnresolvedError(
                f"{{{{ {reference.name} }}}} has no value: neither env nor env_file has it, and inherit_env does not "
                "let it through"
            )
        return self._environment[name]


def _values_of(job: Job, name: str, state: RunState) -> dict[str, str]:
    """What `run.*` references name in a run. In a notification they are those of the run that it is about."""
    about = state.about
    if about is None:
        return run_values(job, name, state.fire_time if state.fire_time is not None else state.created_at)
    at = about.get("fire_time", about.get("created_at", state.created_at))
    return {**run_values(job, about.get("run", name), at), "job": about["job"]}


def step_texts(step: Step) -> list[str]:
    """Every text of a step that may hold references."""
    texts = [*step.env.values(), step.cwd or "", *kinds.of(step).texts(step)]
    if step.foreach is not None and isinstance(step.foreach.items, str):
        texts.append(step.foreach.items)
    if step.compensate is not None and isinstance(step.compensate.command, tuple):
        texts.extend(step.compensate.command)
    return texts


def _stdout_of(job: Job) -> frozenset[str]:
    """Steps whose last line of output a later step names: only theirs is read back from the log."""
    found: set[str] = set()
    for step in job.steps:
        for text in (*step_texts(step), *job.env.values(), *job.default_env.values()):
            if "steps." in text and "{{" in text:
                found.update(r.path[1] for r in references.find(text) if r.root == "steps" and r.path[-1] == "stdout")
    return frozenset(found)
