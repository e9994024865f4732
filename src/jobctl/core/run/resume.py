"""A run that is taken up again: what of it is done again, what is kept, and its Decider - anew, or out of its history.

How the new try goes on from there is decide.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jobctl.core.keys import ITEMS
from jobctl.core.model import Job, Step, StepStatus, When
from jobctl.core.run.decide import Decider, dependents
from jobctl.core.run.history import Event, EventType, RunState, StepState
from jobctl.core.status import DONE_WELL


def to_redo(job: Job, state: RunState, from_step: str | None = None) -> list[str]:
    """The steps that a reopened run does again, in the job's order: the unfinished, `from_step`, and what needs them.

    Of a `foreach` step that is unfinished, and whose list is still the same, only the unfinished items: `NAME[]`.
    Finished means succeeded, skipped by its own condition, or failed where the job allows it - before the run stopped:
    after that nothing had all its attempts. What was compensated was undone: it is unfinished. A step that
    belongs to the end of a try that failed is due again at the end of the new one: each `failure` step, and each
    `always` step that started after the failure. What needs such a step is not redone for that.
    """
    stopped = _stopped(job, state)
    reached = [] if from_step is None else [from_step]
    redo = set(reached)
    for step in job.steps:
        done = state.steps.get(step.name)
        if step.when is When.FAILURE:
            redo.add(step.name)
        elif done is None or not _finished(step, done, stopped) or _undone(state, done):
            redo.add(step.name)
            reached.append(step.name)
        elif step.when is When.ALWAYS and stopped is not None and _place(done) > stopped:
            redo.add(step.name)
    _add_what_needs(job, reached, redo)
    return [
        step.name + (ITEMS if step.name != from_step and _goes_on(step, state, redo, stopped) else "")
        for step in job.steps
        if step.name in redo
    ]


def _goes_on(step: Step, state: RunState, redo: Collection[str], stopped: int | None) -> bool:
    """Whether a step that is redone keeps its list, and those of its items that are finished."""
    done = state.steps.get(step.name)
    if done is None or done.items is None or step.foreach is None or step.when is When.FAILURE:
        return False
    if step.when is When.ALWAYS and stopped is not None and done.began is not None and done.began > stopped:
        return False  # it belongs to the end of that try
    listed = step.foreach.items
    return (isinstance(listed, str) or list(listed) == done.items) and not any(need in redo for need in step.needs)


def _undone(state: RunState, done: StepState) -> bool:
    """Whether items of a step that went on after the run's compensation stand undone."""
    return any(item is not None and item.status is StepStatus.COMPENSATED for item in state.items_of(done))


def to_begin_anew(job: Job, from_step: str) -> list[str]:
    """Of the steps that are done again because `from_step` is, all: nothing of what they had done is kept."""
    found = {from_step}
    _add_what_needs(job, [from_step], found)
    return [step.name for step in job.steps if step.name in found]


def _add_what_needs(job: Job, names: Iterable[str], found: set[str]) -> None:
    """Whatever needs one of the steps, directly or not. What is found already adds nothing further."""
    needed_by, reached = dependents(job), list(names)
    while reached:
        more = [name for name in needed_by.get(reached.pop(), ()) if name not in found]
        found.update(more)
        reached += more


def _finished(step: Step, done: StepState, stopped: int | None) -> bool:
    if done.status in DONE_WELL:
        return True
    if not step.allow_failure or done.ended is None or done.status is StepStatus.COMPENSATED:
        return False
    return stopped is None or done.ended < stopped


def _stopped(job: Job, state: RunState) -> int | None:
    """Which event took the run off the way to success: the first end of a step that failed for good, or a request."""
    events = [state.stopped]
    for step in job.steps:
        done = state.steps.get(step.name)
        if done is None or step.allow_failure or done.status in DONE_WELL:
            continue
        # A compensated step may have ended well; the first undo, which `state.stopped` knows, comes before any cleanup.
        if done.status is not StepStatus.COMPENSATED:
            events.append(done.ended)
    return min((event for event in events if event is not None), default=None)


def kept(job: Job, state: RunState) -> dict[str, StepStatus]:
    """The finished steps and items of a run that was just reopened, oldest start first: for its new Decider."""
    steps = [state.steps[step.name] for step in job.steps if step.name in state.steps]
    steps += [item for step in steps for item in state.items_of(step) if item is not None]
    done = [step for step in steps if step.status is not StepStatus.PENDING]
    done.sort(key=_place)
    return {step.name: step.status for step in done}


def reopened(job: Job, state: RunState) -> Decider:
    """The Decider of a run that was just reopened."""
    done = kept(job, state)
    reused = frozenset(key for key, step in state.steps.items() if step.reused is not None)
    fanned = frozenset(key for key in done if state.steps[key].items is not None)
    return Decider(job, done, state.untaken, reused, fanned)


def _place(step: StepState) -> int:
    """Where in the run's history an ended step stands: at its start, or at its end when no attempt of it started."""
    return (step.ended if step.began is None else step.began) or 0  # a damaged history has neither


def restore(job: Job, events: Iterable[Event]) -> tuple[RunState, Decider]:
    """The state and the Decider of a run, from its whole history.

    Actions that the history led to are not repeated: what is outstanding is `Decider.active()` and `.undoing`
    compared with the state's steps. `job` is the definition of the last try; earlier ones may have had another.
    HistoryError where the events are no history.
    """
    state = RunState()
    decider = Decider(job)
    since: list[Event] = []  # the last reopening
    for event in events:
        state.apply(event)
        if event.type is EventType.RUN_REOPENED:
            decider = reopened(job, state)
            since.clear()
        else:
            since.append(event)
    for event in since:
        decider.feed(event)
    return state, decider
