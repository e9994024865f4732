"""`jobctl status RUN`, for people: one run in detail. Made of values; what they are is views/run.py's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jobctl.cli.moments import past, took
from jobctl.cli.show import items
from jobctl.cli.show.texts import short, standing, words
from jobctl.core import text
from jobctl.core.run.notices import sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.views.run import Attempt, Detail, Step, Undo

_REASONS_SHOWN = 10
_LONGEST_ITEM = 60
_LONGEST_REASON = 2_000


def lines(seen: Detail, folder: str, why: Sequence[str], *, now: int) -> Iterator[str]:
    """One run for people. `folder`: where its files are; `why`: the sentences that say why it is where it is."""
    run = seen.run
    yield f"{run.name}: {standing(run)}"
    if run.reason:
        yield _field("because", short(run.reason, _LONGEST_REASON))
    yield from _beginnings(seen, now)
    if seen.params:
        yield _field("params", ", ".join(f"{name}={short(value)}" for name, value in seen.params.items()))
    if run.holder is not None and run.holder.pid is not None:
        yield _field("runs in", f"{run.holder.kind} process {run.holder.pid}")
    if seen.like is not None:
        reused = ", ".join(step.name for step in seen.steps if step.reused_from is not None)
        yield _field("like", seen.like + (f", reusing {reused}" if reused else ""))
    if seen.about is not None:
        yield _field("about", sentence(seen.about))
    for told in seen.notifications:
        logs = f"; jobctl logs {told.run}" if told.status not in ("succeeded", None) else ""
        yield _field("notified", f"{told.run} {words(told.status or 'is gone')}{logs}")
    if not run.over:
        for line in why[:_REASONS_SHOWN]:
            yield _field("why", short(line, _LONGEST_REASON))
        if len(why) > _REASONS_SHOWN:
            yield _field("", f"and {len(why) - _REASONS_SHOWN} more: jobctl why {run.name}")
    yield "  steps"
    ended = {step.name for step in seen.steps if step.status not in ("pending", "running", "waiting")}
    width = max(len(step.name) for step in seen.steps)
    for step in seen.steps:
        yield from _step(step, seen.definitions.get(step.name, {}), ended, width, now)
    if any(step.attempts for step in _units(seen)):
        yield _field("output", f"jobctl logs {run.name}")
        yield _field("files", folder)
    if ways := _ways_on(seen):
        yield _field("go on", ways)


def _beginnings(seen: Detail, now: int) -> Iterator[str]:
    """Whose run it is, what began it, and when."""
    run = seen.run
    yield _field("job", run.job + (f", {run.trigger}" if run.trigger != "manual" else ""))
    if run.parent is not None:
        yield _field("child of", f"{run.parent[0]}, step {run.parent[1]}")
    if run.fire_time is not None:
        yield _field("fire time", past(run.fire_time, now))
    if run.started_at is None:
        yield _field("created", past(run.created_at, now))
        return
    yield _field("started", past(run.started_at, now))
    since = took(run.started_at, run.finished_at, now)
    # One that was resumed has not worked all the time since it began.
    whole = (run.finished_at or now) - run.started_at
    paused = seen.worked_ms is not None and whole - seen.worked_ms > 1_000
    worked = f"{text.duration(seen.worked_ms or 0)} in all its tries; {since} from the first beginning on"
    yield _field("time", worked if paused else since)


def _units(seen: Detail) -> Iterator[Step]:
    """Everything in a run that has attempts or waits of its own: steps, and the items of steps."""
    for step in seen.steps:
        yield from (step, *(step.items or ()))


def _field(label: str, value: str) -> str:
    return f"  {label:<9}  {' '.join(value.split())}"


def _step(step: Step, definition: Mapping[str, Any], ended: set[str], width: int, now: int) -> Iterator[str]:
    attempts = step.attempts
    line = f"    {step.name:<{width}}  {words(step.status)}"
    if step.status in ("failed", "timed_out") and definition.get("allow_failure"):
        line += " (allowed)"
    if step.items:
        running, count = step.status == "running", len(step.items)
        line += f", {items.of_values(step.items)}" if running else f", {count:,} item{'' if count == 1 else 's'}"
    elif step.status == "pending":
        line += _why_pending(definition, ended)
    elif step.reused_from is not None:
        line += f", reused from {step.reused_from}"
    elif step.child and step.waiting is not None:
        line += _for_child(step.child)
    elif attempts:
        line += f", {_lasted(step, now)}"
    yield line + (f": {short(step.error)}" if step.error else "")
    indent = " " * (width + 6)
    if (child := step.child) and step.waiting is None:
        yield f"{indent}child run {child['run']} {words(child['status'] or 'is gone')}"
    if len(attempts) > 1:
        for attempt in attempts:
            yield indent + _attempt(attempt, now)
    if attempts and (count := attempts[-1].strays):
        yield f"{indent}{count} process{'' if count == 1 else 'es'} may be of this attempt, and live: jobctl doctor"
    if step.cursor is not None:
        yield f"{indent}cursor {short(step.cursor)}"
    if step.items is not None:
        shown, more = items.telling(step.items)
        for item in shown:
            yield from _item(item, indent, now)
        if more:
            yield f"{indent}and {more:,} more like these; --json has all of them"
        return
    for name, value in step.outputs.items():
        yield f"{indent}output {name}={short(value)}"
    if (undo := _undo(step)) is not None:
        yield f"{indent}compensation {_standing(undo, now)}" + (f": {short(undo.error)}" if undo.error else "")
        for attempt in undo.attempts:
            yield f"{indent}  {_attempt(attempt, now)}"


def _item(item: Step, indent: str, now: int) -> Iterator[str]:
    line = f"{indent}[{item.place}] {short(item.item, _LONGEST_ITEM)}  {words(item.status)}"
    if item.next_attempt_at:
        line += f" for attempt {item.attempt + 1}, {text.in_(item.next_attempt_at, now)}"
    elif item.child and item.waiting is not None:
        line += _for_child(item.child)
    elif item.attempts:
        line += f", {_lasted(item, now)}"
    yield line + (f": {short(item.error)}" if item.error else "")
    if (undo := _undo(item)) is not None and undo.status != "succeeded":
        error = f": {short(undo.error)}" if undo.error else ""
        yield f"{indent}  compensation {_standing(undo, now)}{error}"


def _for_child(child: Mapping[str, Any]) -> str:
    return f" for child run {child['run']} ({words(child['status'] or 'gone')})"


def _lasted(step: Step, now: int) -> str:
    """How long a step took in this try of the run, or has taken so far."""
    return took(step.started_at or step.attempts[0].started_at, step.attempts[-1].finished_at, now)


def _undo(step: Step) -> Undo | None:
    """Its compensation, if that has begun in this try of the run."""
    undo = step.compensation
    return undo if undo is not None and undo.status != "pending" else None


def _standing(undo: Undo, now: int) -> str:
    if undo.next_attempt_at is None:
        return words(undo.status)
    number = undo.attempts[-1].number + 1 if undo.attempts else 1
    return f"{words(undo.status)} for attempt {number}, {text.in_(undo.next_attempt_at, now)}"


def _attempt(attempt: Attempt, now: int) -> str:
    how = f"attempt {attempt.number} {words(attempt.status)}, {took(attempt.started_at, attempt.finished_at, now)}"
    return how + (f": {short(attempt.error)}" if attempt.error else "")


def _why_pending(definition: Mapping[str, Any], ended: set[str]) -> str:
    """What a step that has not begun waits for."""
    if missing := [name for name in definition.get("needs", ()) if name not in ended]:
        return f", needs {', '.join(missing)}"
    when = definition.get("when")
    return ", for when the run fails" if when == "failure" else ", for the run's end" if when == "always" else ""


def _ways_on(seen: Detail) -> str:
    run, name = seen.run, seen.run.name
    if run.status == "succeeded":
        return ""
    if not run.over:
        if seen.waiting_for is not None and seen.waiting_for.kind in ("pause", "executor"):
            return f"jobctl resume {name}; to stop it: jobctl cancel {name}"
        return f"jobctl logs -f {name}; to stop it: jobctl cancel {name}"
    if seen.rolled_back:
        return f"{seen.rolled_back}: jobctl resume {name} --from STEP, or a new run: jobctl run {run.job}"
    if run.parent is not None:
        return f"jobctl resume {run.parent[0]}, which started it; it alone: jobctl resume {name}"
    if seen.definition_changed:
        new = f"its definition has changed since, to take the new one: jobctl resume {name} --updated"
        return f"jobctl resume {name}; {new}"
    return f"jobctl resume {name}"
