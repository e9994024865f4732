"""The end of a run in words: what came of it and of its steps, the failing step's last lines, the way on.

Made of the run's state as it was recorded. Where it goes and whether it has colours is plain.py's and render.py's.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from jobctl.cli.show.feed import single
from jobctl.core.keys import UNDO
from jobctl.core.model import Step, StepStatus, encode
from jobctl.core.record import NamedTuple
from jobctl.core.run.attempts import SUSPENDED
from jobctl.core.run.why import rolled_back
from jobctl.core.status import DONE_WELL, GONE_WRONG
from jobctl.core.text import duration, times
from jobctl.definitions.changes import changed
from jobctl.definitions.masking import redact
from jobctl.process import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.run.history import AttemptState, StepState
    from jobctl.engines.base import Watched

MANY = 12  # with more steps than this, those that just succeeded are only counted
LONGEST = 30  # lines about steps
TAIL_LINES = 10
_LONGEST = 1_000  # characters of a reason

_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "canceled": "yellow",
    "terminated": "red",
    "compensated": "yellow",
}


class Line(NamedTuple):
    text: str  # may hold the user's text: to be cleaned for a terminal
    style: str = ""  # one of output.STYLES


def lines(run: Watched, *, now: int, streamed: bool) -> list[Line]:
    """The summary of a run that is over, or is left as it is. `streamed`: its output has been shown as it came.

    Nothing for a run that was never recorded.
    """
    if not run.recorded:
        return []
    out = [_headline(run, now)]
    rows = list(_steps(run))
    out += rows[:LONGEST]
    if len(rows) > LONGEST:
        out.append(Line(f"  and {len(rows) - LONGEST} more: jobctl status {run.name}"))
    out.extend(_not_compensated(run))
    failed = _failed(run)
    if failed and not (streamed and single(run)):
        out.extend(_last_lines(run, failed[0]))
    out.extend(_ways(run, failed, streamed))
    return out


def _headline(run: Watched, now: int) -> Line:
    state = run.state
    status = state.status
    took = duration((state.finished_at or now) - (state.try_started_at or state.created_at))
    if status is None or not status.final:
        return Line(f"{run.name} is not over: this process stops advancing it after {took}", "yellow")
    if status == "succeeded":
        return Line(f"{run.name} succeeded in {took}", "green")
    reason = f": {state.reason}" if state.reason else ""
    return Line(_one_line(f"{run.name} {_words(status)} after {took}{reason}"), _STYLES[status])


def _steps(run: Watched) -> Iterator[Line]:
    state, steps = run.state, run.job.steps
    width = max(len(step.name) for step in steps)
    never: list[str] = []
    uneventful: Counter[str] = Counter()
    for step in steps:
        found = state.steps.get(step.name)
        if found is None or found.status is StepStatus.PENDING:
            never.append(step.name)
            continue
        if found.attempts_in_try <= 1 and not (found.items is not None and found.status not in DONE_WELL):
            if single(run):
                continue  # the headline says it
            if found.status in DONE_WELL and len(steps) > MANY:
                uneventful[_words(found.status)] += 1
                continue
        yield Line(f"  {step.name:<{width}}  {_step(run, step, found)}", _STYLES.get(found.status, ""))
    if uneventful:
        yield Line("  " + ", ".join(f"{count} steps {word}" for word, count in uneventful.items()))
    if never and state.status is not None and state.status.final:
        word = "skipped" if state.status == "succeeded" else "not started"
        names = ", ".join(never[:8]) + (f" and {len(never) - 8} more" if len(never) > 8 else "")
        yield Line(f"  {word}: {names}", "dim")


def _step(run: Watched, step: Step, found: StepState) -> str:
    """`failed, 3.2s, 2 attempts (1 failed, 1 timed out): exit code 7`."""
    if found.items is not None:
        return _items(run, step, found)
    attempts = found.attempts[found.earlier :]
    compensated = found.status is StepStatus.COMPENSATED
    ended = attempts[-1].status if compensated and attempts else found.status
    # What was undone while it was suspended: its last attempt does not tell how the step ended.
    parts = ["stopped" if ended == SUSPENDED else _words(ended)]
    if found.reused is not None:
        parts.append(f"reused from {found.reused}")
    if ended in GONE_WRONG and step.allow_failure:
        parts[0] += " (allowed)"
    finished = attempts[-1].finished_at if attempts else None
    if finished is not None and found.started_at is not None:
        if run.state.try_started_at is not None and finished < run.state.try_started_at:
            parts.append("in an earlier try")
        else:
            parts.append(duration(finished - found.started_at))
    if found.attempts_in_try > 1:
        parts.append(f"{found.attempts_in_try} attempts{_how_they_failed(attempts)}")
    if found.suspensions:
        parts.append(f"suspended {times(found.suspensions)}")
    if found.stops:
        parts.append(f"stopped {times(found.stops)}")
    text = ", ".join(parts)
    if found.error and ended != "succeeded":
        text += f": {_one_line(found.error)}"
    if compensated:
        undo = run.state.undo[step.name]
        count = undo.attempts_in_try
        text += "; compensated" + (f" after {count} attempts" if count > 1 else "")
    return text


def _items(run: Watched, step: Step, found: StepState) -> str:
    """`failed, 100 items, 3.2s: 2 of 100 items failed: [7], [12]`."""
    count = len(found.items or ())
    parts = [_words(found.status), f"{count:,} item{'' if count == 1 else 's'}"]
    if found.reused is not None:
        parts.append(f"reused from {found.reused}")
    if found.status in GONE_WRONG and step.allow_failure:
        parts[0] += " (allowed)"
    ends = [item.attempts[-1].finished_at for item in run.state.items_of(found) if item is not None and item.attempts]
    last = max((end for end in ends if end is not None), default=None)
    if last is not None and found.started_at is not None and last >= found.started_at:
        parts.append(duration(last - found.started_at))
    return ", ".join(parts) + (f": {_one_line(found.error)}" if found.error else "")


def _how_they_failed(attempts: list[AttemptState]) -> str:
    counts = Counter(_words(attempt.status) for attempt in attempts if attempt.status in GONE_WRONG)
    return f" ({', '.join(f'{count} {word}' for word, count in counts.items())})" if counts else ""


def _not_compensated(run: Watched) -> Iterator[Line]:
    """What is left standing though it should have been undone: nobody must overlook it."""
    for name, undo in run.state.undo.items():
        if undo.status in (StepStatus.SUCCEEDED, StepStatus.PENDING):
            continue
        count = undo.attempts_in_try
        tried = f" after {count} attempts" if count > 1 else ""
        error = f": {_one_line(undo.error)}" if undo.error else ""
        yield Line(f"NOT COMPENSATED: step {name}{tried}{error}. What it did still stands", "red")
        if undo.attempts:
            yield from _last_lines(run, name, undo=True)


def _failed(run: Watched) -> list[str]:
    """The steps, or items of them, that made the run fail, the first to fail first. What was compensated may be one."""
    if run.state.status is None or not run.state.status.final or run.state.status == "succeeded":
        return []
    steps = [state for step in run.job.steps if not step.allow_failure and (state := run.state.steps.get(step.name))]
    items = [item for step in steps for item in run.state.items_of(step) if item is not None]
    found = [
        (state.ended or 0, state.name)
        for state in (*steps, *items)
        if (
            state.status in GONE_WRONG
            if state.child is not None
            else state.attempts_in_try and state.attempts[-1].status in GONE_WRONG
        )
        and state.status is not StepStatus.PENDING
    ]
    return [name for _, name in sorted(found)]


def _last_lines(run: Watched, name: str, *, undo: bool = False) -> Iterator[Line]:
    key = name + UNDO if undo else name
    if not undo and run.state.step(name).child is not None:
        return  # it is another run's
    attempts = run.step_state(key).attempts
    file = run.log_file(key, attempts[-1].number)
    try:
        found = logs.last_lines(file, TAIL_LINES)
    except OSError:
        return
    about = "its output" if single(run) else f"the output of {'the compensation of ' if undo else ''}step {name}"
    if not found:
        yield Line(f"{about} is empty")
        return
    yield Line(f"the end of {about}:")
    yield from (Line(f"  | {line}", "dim") for line in run.mask("\n".join(found)).split("\n"))


def _ways(run: Watched, failed: list[str], streamed: bool) -> Iterator[Line]:
    child = run.state.step(failed[0]).child if failed else None
    if child is not None:
        yield Line(f"logs: jobctl logs {child['run']}")
    elif failed and not single(run):
        yield Line(f"logs: jobctl logs {run.name} {shlex.quote(failed[0])}")
    elif not streamed or run.state.status != "succeeded":
        yield Line(f"logs: jobctl logs {run.name}")
    if run.state.undone and run.state.status is not None and run.state.status.final:
        yield Line(f"{rolled_back(run.state)}; start anew with: jobctl run {run.job.name}")
        yield Line(f"or from a step on: jobctl resume {run.name} --from STEP")
    elif way := way_on(run.name, str(run.state.status)):
        yield Line(way)
        if changed(run.job.file, run.job.name, encode(redact(run.job))):
            yield Line(f"its definition has changed since; to take the new one: jobctl resume {run.name} --updated")


def way_on(run_name: str, status: str) -> str:
    """How a run that did not succeed is taken up again: the last line of its summary."""
    return "" if status == "succeeded" else f"take it up again with: jobctl resume {run_name}"


def _words(status: str) -> str:
    return status.replace("_", " ")


def _one_line(text: str) -> str:
    """Up to what fits a few lines of a terminal; `status RUN --json` has all of it."""
    found = " ".join(text[: 4 * _LONGEST].split())
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"
