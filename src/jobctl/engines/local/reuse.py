"""A new run that reuses what an old one of its job has finished: `jobctl run JOB --from STEP --like RUN`.

What is reused and what is done anew is decided once, here, and stands in the new run's first event. From then on the
old run may change or be removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from jobctl.core import kinds
from jobctl.core.definition import references
from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.core.keys import ITEMS, item_index, step_name
from jobctl.core.model import Job, Step, StepStatus, decode
from jobctl.core.run.history import RunState, StepState
from jobctl.core.run.resume import to_redo
from jobctl.core.run.rows import RunRow
from jobctl.engines.local.commands import step_texts
from jobctl.engines.local.control import check_start
from jobctl.engines.run_files import run_folder
from jobctl.engines.values import Reused
from jobctl.process.attempt import AttemptFiles
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def like(store: Store, job: Job, row: RunRow, from_step: str) -> Reused:
    """What a new run of `job`, as its file has it now, takes over from the run `row`: the results of all steps but
    `from_step`, what needs it, and what had not finished.

    NotFoundError for an unknown step; UsageError for another job's run; JobctlError when the run is not over, or when
    a result that is needed is not there.
    """
    if row.job != job.name:
        raise UsageError(
            f"run {row.name} is one of the job {row.job}, not of {job.name}",
            hint=f"jobctl run {row.job} --from STEP --like {row.name}",
        )
    old = decode(store.definition(row.definition))
    known = {step.name for step in old.steps}
    try:
        check_start(job, from_step)
    except NotFoundError as error:
        if from_step in known:
            raise NotFoundError(f"{error.message} any more: it had one when {row.name} ran", hint=error.hint) from None
        raise
    if row.finished_at is None:
        raise JobctlError(
            f"run {row.name} is not over: what it has done may still be undone",
            hint=f"wait for it: jobctl wait {row.name}; or end it: jobctl cancel {row.name}",
        )
    for name in _needed(job, from_step):
        if name not in known:
            raise JobctlError(
                f"job {job.name} has changed: step {from_step} needs {name}, which it did not have when {row.name} ran",
                hint=f"begin there: jobctl run {job.name} --from {name} --like {row.name}",
            )
    state = store.state(row)
    redo = to_redo(job, state, from_step)
    # What is left of a list that the old run had is nothing to a run that makes its own.
    again = {name.removesuffix(ITEMS) for name in redo}
    folder = run_folder(store.state_dir, row.name)
    wanted = list(_wanted(step for step in job.steps if step.name in again))
    reused = {}
    for step in job.steps:
        if step.name not in again:
            asked = [reference for reference in wanted if reference.path[1] == step.name]
            done = state.steps[step.name]
            reused[step.name] = _result(row, step, done, asked, folder)
            for item in state.items_of(done):
                if item is not None and item.status is not StepStatus.PENDING:
                    reused[item.name] = _result(row, step, item, asked, folder)
    return Reused(
        row.name,
        reused,
        {name: value for name, value in state.params.items() if name in job.params},
        row.fire_time,
        list(_remarks(job, known, state, reused)),
    )


def _needed(job: Job, step: str) -> Iterator[str]:
    """All that a step needs, directly or not, in the job's order."""
    found, look = set(), [step]
    while look:
        for need in job.step(look.pop()).needs:
            if need not in found:
                found.add(need)
                look.append(need)
    return (known.name for known in job.steps if known.name in found)


def _wanted(steps: Iterable[Step]) -> Iterator[references.Reference]:
    """What these steps say of others' results."""
    for step in steps:
        for text in step_texts(step):
            if "{{" in text:
                yield from (found for found in references.find(text) if found.root == "steps")


def _result(
    row: RunRow, step: Step, done: StepState, asked: Iterable[references.Reference], folder: str
) -> dict[str, Any]:
    """A finished step's result as the new run keeps it."""
    result: dict[str, Any] = {}
    if done.status is not StepStatus.SUCCEEDED:
        result["status"] = str(done.status)
    for key in ("outputs", "stdout", "error"):
        if getattr(done, key):
            result[key] = getattr(done, key)
    if done.items is not None:
        result["items"] = done.items
        return result
    if done.status is not StepStatus.SUCCEEDED:
        return result
    is_item = item_index(done.name) is not None  # what one of them did not write is null
    for reference in asked:
        if reference.path[-1] == "stdout" and done.stdout is None and kinds.of(step).has_attempts:
            result["stdout"] = _stdout(row, done.name, done, folder)
        elif not is_item and reference.path[-1] != "stdout" and reference.path[-1] not in done.outputs:
            raise JobctlError(
                f"{{{{ {reference.name} }}}} has no value: step {step.name} of run {row.name} wrote no such output",
                hint=f"do it anew too: jobctl run {row.job} --from {step.name} --like {row.name}",
            )
    return result


def _stdout(row: RunRow, name: str, done: StepState, folder: str) -> str:
    """The last line of a step's output, which the old run had no reason to keep."""
    from jobctl.process.logs import last_line

    path = AttemptFiles(folder, name, len(done.attempts)).log
    if not os.path.exists(path):
        raise JobctlError(
            f"the output of step {name} of run {row.name} is gone, and a later step needs its last line",
            hint=f"do it anew too: jobctl run {row.job} --from {step_name(name)} --like {row.name}",
        )
    return last_line(path)


def _remarks(job: Job, known: set[str], state: RunState, reused: Mapping[str, Any]) -> Iterator[str]:
    gone = [name for name in state.steps if name in known and name not in {step.name for step in job.steps}]
    if gone:
        yield f"the job no longer has {', '.join(gone)}: their results are left out"
    left = [name for name in state.params if name not in job.params]
    if left:
        yield f"the job no longer has the parameters {', '.join(left)}: they are left out"
    if not reused:
        yield "nothing is reused: every step is done anew"
