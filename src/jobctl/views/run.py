"""A run in detail, as values with integers: what came of it and of its steps. Computed from what a client returns;
instants become text in documents.py and in the faces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from jobctl.core.keys import UNDO, item_key
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import AttemptState, RunState, StepState
from jobctl.process.attempt import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.base import Client
    from jobctl.engines.values import Log, Run


class Attempt(NamedTuple):
    number: int
    status: str
    exit_code: int | None
    signal: str | None
    started_at: int
    finished_at: int | None
    error: str | None
    strays: int  # processes that may be of it, and live
    log: str
    log_bytes: int


class Wait(NamedTuple):
    kind: str
    until: int | None
    name: str | None


class Undo(NamedTuple):
    """The compensation of a step."""

    status: str
    error: str | None
    next_attempt_at: int | None
    attempts: list[Attempt]


class Step(NamedTuple):
    """A step, or an item of one: what is done on its own."""

    name: str
    status: str
    attempt: int
    cursor: str | None
    outputs: Any
    error: str | None
    reused_from: str | None
    started_at: int | None
    next_attempt_at: int | None
    waiting: Wait | None
    attempts: list[Attempt]
    compensation: Undo | None = None
    starts_child: bool = False
    child: Mapping[str, Any] | None = None  # the last child run that it has started, and its status now
    place: int | None = None  # of an item, in its list
    item: Any = None
    items: list[Any] | None = None  # of a `foreach` step: a Step for each


class Told(NamedTuple):
    """A run that tells of this one's end, and where it stands now; no status when it is gone."""

    run: str
    status: str | None


class Detail(NamedTuple):
    run: Run
    key: str | None
    worked_ms: int | None  # how long its tries have taken together; None before it has begun
    params: Mapping[str, Any]
    rolled_back: str | None
    definition_changed: bool
    waiting_for: Wait | None
    like: str | None
    about: Mapping[str, Any] | None  # of a notification: what it tells of
    notifications: list[Told]
    steps: list[Step]
    definitions: Mapping[str, Mapping[str, Any]]  # of the steps, by name, as they are kept


def _is_child(definition: Mapping[str, Any]) -> bool:
    from jobctl.core import kinds  # an overview of runs needs none of it

    return kinds.of_table(definition).way is kinds.Way.CHILD


def detail(client: Client, run: Run, now: int) -> Detail:
    """StoreError when its history cannot be read."""
    state = client.state(run)
    kept = client.definition(run)
    definitions = json.loads(kept)["steps"]
    children = client.children(run) if any(_is_child(step) for step in definitions) else {}
    whole = _Whole(client, run, state, children)
    return Detail(
        run,
        state.key,
        _worked(state, run, now),
        state.params,
        _rolled_back(state),
        definition_changed(run, kept),
        _waiting_for(client, run, state, now),
        state.like,
        state.about,
        [Told(name, client.status(name)) for name in state.notifications],
        [whole.step(step) for step in definitions],
        {step["name"]: step for step in definitions},
    )


def definition_changed(run: Run, kept: str) -> bool:
    """Whether the file has another definition by now, where that is of interest: the run is over and could go on."""
    if not run.over or run.status == "succeeded":
        return False
    from jobctl.definitions.changes import has_changed

    return has_changed(run.job, kept)


def logs_of(client: Client, run: Run, state: RunState) -> Iterable[tuple[Log, AttemptState]]:
    """Every attempt of a run, in order of start. Without those of a list that another one has replaced."""
    return [(client.log_at(run, key, attempt.number), attempt) for key, attempt in state.attempts()]


def _worked(state: RunState, run: Run, now: int) -> int | None:
    if run.started_at is None:
        return None
    end = now if run.finished_at is None else run.finished_at
    return state.worked_before + (max(0, end - state.try_started_at) if state.try_started_at is not None else 0)


def _rolled_back(state: RunState) -> str | None:
    """What the compensations of a run that is over have come to, in words; None where none were begun."""
    if not state.undone or state.finished_at is None:
        return None
    from jobctl.core.run.why import rolled_back

    return rolled_back(state)


def _waiting_for(client: Client, run: Run, state: RunState, now: int) -> Wait | None:
    if run.status == "queued":
        kind, name = client.line(run)
        return Wait(kind, None, name)
    if run.over:
        return None
    if run.status == "paused":
        return Wait("pause", None, None)
    from jobctl.core.run.why import is_gone

    if is_gone(run.holder is not None, run.wake_at, client.has_daemon, now):
        return Wait("executor", None, None)
    first = state.first_wait()
    return None if first is None else Wait(first.kind, first.until, first.name)


class _Whole:
    """What the steps of a run are made of."""

    def __init__(self, client: Client, run: Run, state: RunState, children: Mapping[str, str]) -> None:
        self._client = client
        self._run = run
        self._state = state
        self._children = children
        self._over = state.status is not None and state.status.final

    def step(self, definition: Mapping[str, Any]) -> Step:
        name, state = definition["name"], self._state.steps.get(definition["name"])
        made = self._unit(name, self._over)
        if _is_child(definition):
            made = made._replace(starts_child=True, child=self._child(state))
        if state is None or state.items is None:
            if "foreach" in definition and not made.attempts:
                return made._replace(outputs=[], items=[])
            return made
        over = self._over or state.status not in ("pending", "running")
        items = [
            self._unit(item_key(name, index), over)._replace(place=index, item=item)
            for index, item in enumerate(state.items)
        ]
        if made.starts_child:
            items = [
                item._replace(starts_child=True, child=self._child(self._state.steps.get(item.name))) for item in items
            ]
        return made._replace(items=items, outputs=[item.outputs for item in items])

    def _unit(self, name: str, over: bool) -> Step:
        """`over`: what has not begun of it will not."""
        step = self._state.steps.get(name)
        if step is None:
            # In a run that is over, what has not begun will not: it was not its turn.
            return self._made(StepState(name), "skipped" if over else "pending", name)
        status = str(step.status)
        made = self._made(step, "skipped" if over and status == "pending" else status, name)
        undo = self._state.undo.get(name)
        if undo is None:
            return made
        attempts = [self._attempt(attempt, name + UNDO) for attempt in undo.attempts]
        return made._replace(compensation=Undo(str(undo.status), undo.error, undo.retry_at, attempts))

    def _made(self, step: StepState, status: str, name: str) -> Step:
        cursor = step.cursor
        if status == "running" and step.items is None:
            newest = self._client.cursor(self._run, name, step.attempts[-1].number)
            cursor = cursor if newest is None else newest
        return Step(
            name,
            status,
            len(step.attempts),
            cursor,
            step.outputs,
            step.error,
            step.reused,
            step.started_at,
            step.retry_at,
            None if step.waiting is None else wait(step.waiting),
            [self._attempt(attempt, name) for attempt in step.attempts],
        )

    def _attempt(self, attempt: AttemptState, key: str) -> Attempt:
        data = attempt.data
        ended = attempt.status != "running"
        number = data.get("signal")
        code = data.get("exit_code")
        log = self._client.log_at(self._run, key, attempt.number)
        return Attempt(
            attempt.number,
            attempt.status,
            0 if code is None and ended and attempt.status == "succeeded" else code,
            signal_name(number) if number is not None else None,
            attempt.started_at,
            attempt.finished_at,
            data.get("error"),
            data.get("strays", 0),
            log.file,
            log.bytes,
        )

    def _child(self, step: StepState | None) -> Mapping[str, Any] | None:
        """The last child run of a step, or an item, and where it stands now; no status when it is gone."""
        if step is None or step.child is None:
            return None
        return {**step.child, "status": self._children.get(step.child["run"])}


def wait(recorded: Mapping[str, Any]) -> Wait:
    return Wait(recorded["kind"], recorded.get("until"), recorded.get("name"))
