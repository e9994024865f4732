"""The steps of a job: their needs, retries, limits, items, undo, and the parameters of a child run.

What the keys of a kind mean is said by its row in core/kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from jobctl.core import kinds
from jobctl.core.definition import graph, references
from jobctl.core.definition.checks import Place, StepChecks, variables
from jobctl.core.definition.declared import TYPE_NAMES, ParamReader
from jobctl.core.definition.doubts import texts_of
from jobctl.core.definition.findings import look_up
from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import Scope
from jobctl.core.definition.suggest import did_you_mean
from jobctl.core.definition.texts import Clean
from jobctl.core.kinds import Kind
from jobctl.core.model import (
    Compensation,
    ForEach,
    Millis,
    ParamType,
    Poll,
    RetryPolicy,
    Step,
    Timeouts,
    When,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StepReader(ParamReader):
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
            self._error(path, f"these steps wait for each other: {chained(turned)}", "remove one of these needs")
        ancestors = graph.Ancestors(needs, order)
        self._warn_of_early_cleanup(steps, needs, ancestors)
        outputs = {name: self._known_outputs(step, path) for name, (step, path) in steps.items()}
        for name, (step, path) in steps.items():
            ended = partial(ancestors.has, name)
            scope = Scope(self._params[job], steps=steps.keys(), ended=ended, outputs=outputs.get)
            yield self._step(job, table, step | {"name": name}, path, tuple(needs[name]), scope)

    def _known_outputs(self, step: Clean, path: Path) -> tuple[str, ...] | None:
        """The outputs of a step; None where they are not known before it has run."""
        raw = look_up(self._raw, path)
        of = kinds.of_table(raw if isinstance(raw, dict) else step)
        return None if of.outputs is None or "foreach" in step else of.outputs(step)

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
            **only(step, *_PLAIN_STEP_KEYS),
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
        return self._retry(merge(table.get("retry", {}), step.get("retry", {})), place)

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
        own, inherited = step.get("timeout", {}), only(table.get("step_timeout", {}), *of.limits)
        if not of.has_one_duration:
            return Timeouts(**merge(inherited, own))
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
        limits = only(step, "max_parallel", "fail_fast") | only(table, "max_parallel", "fail_fast")
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
                message = f"parameter {found[0].path[1]} is {TYPE_NAMES[param.type]}, not a list"
                self._error(path, message, 'give the parameter type = "list"')

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


def merge(base: Clean, over: Clean) -> Clean:
    """`over` on top of `base`, tables field by field."""
    out = base | over
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            out[key] = merge(base[key], value)
    return out


def only(table: Clean, *keys: str) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}


def chained(names: Iterable[str]) -> str:
    names = list(names)
    return " -> ".join(names if len(names) <= 12 else [*names[:6], "…", *names[-5:]])


def _with_items(scope: Scope, foreach: ForEach) -> Scope:
    """The scope inside a foreach. The keys of literal items are known; those of a reference only in the run."""
    keys = None
    if isinstance(foreach.items, tuple) and foreach.items:
        keys = frozenset.intersection(
            *(frozenset(item) if isinstance(item, dict) else frozenset() for item in foreach.items)
        )
    return replace(scope, item=True, item_keys=keys)
