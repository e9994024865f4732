"""What a look at a run shows beyond its history: who has it, what it waits behind, what its attempts show of
themselves. Nothing is changed by looking. What it means is told by views/.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps

from jobctl.core.errors import UNREADABLE, unreadable
from jobctl.core.keys import UNDO
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import RunState
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import executor
from jobctl.engines.run_files import run_folder
from jobctl.engines.values import Holder, Line, Run
from jobctl.process.attempt import AttemptFiles, heartbeat_mark, read_poll
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from jobctl.core.clocks import Boottime
    from jobctl.core.run.why import Reason, Signs

    _Rest = ParamSpec("_Rest")
    _Answer = TypeVar("_Answer")
    _Read = Callable[Concatenate[Store, Any, _Rest], _Answer]

Executors = Mapping[str, tuple[int, str, int]]  # id -> (pid, kind, started_at)


def of_one_run(read: _Read[_Rest, _Answer]) -> _Read[_Rest, _Answer]:
    """Whatever stands in the rows of a run: what cannot be read is an error of that run, and of no other."""

    @wraps(read)
    def guarded(store: Store, run: RunRow | Run, *args: _Rest.args, **named: _Rest.kwargs) -> _Answer:
        try:
            return read(store, run, *args, **named)
        except UNREADABLE as error:
            raise unreadable(run.name, error) from error

    return guarded  # type: ignore[return-value]


class Clock(NamedTuple):
    """What the clocks of this machine show."""

    boot: str
    since_boot: Boottime
    now: int


@of_one_run
def look(store: Store, row: RunRow, known: Executors | None = None) -> Run:
    """The run, and who has it. One that nobody has and that should be going on is read again: it may have ended in
    order, or have been taken by another, after the row was read. `known`: executors, where they were asked for."""
    while True:
        lives = row.executor is not None and executor.alive(store.state_dir, row.executor)
        if row.executor is not None and lives:
            # It may have come after those that are known; or it is on its way out, and has ended the run.
            found = (known or {}).get(row.executor) or store.executors().get(row.executor)
            if found is not None:
                return _run(store, row, Holder(row.executor, found[0], found[1]))
        if row.finished_at is not None or row.status == "queued":
            return _run(store, row, None)
        again = store.run(row.id)
        if (again.seq, again.executor) == (row.seq, row.executor):
            # It is not known any more, and its lock is still held: it lives for another instant.
            return _run(store, again, Holder(row.executor or "", None, "foreground") if lives else None)
        row = again


def _run(store: Store, row: RunRow, holder: Holder | None) -> Run:
    parent = None
    if row.parent is not None:
        found = store.name_of(row.parent)
        parent = (found, row.parent_step or "") if found is not None else None
    return Run(
        row.name, row.job, row.status, row.seq, row.trigger, row.fire_time, row.created_at, row.started_at,
        row.finished_at, row.reason, row.queue, row.priority, row.wake_at, parent, row.definition,
        row.executor is not None, holder, row,
    )  # fmt: skip


@of_one_run
def state_of(store: Store, run: Run, clock: Clock) -> RunState:
    """What its events add up to. A wait is over when the clock here will show it, however it was set since."""
    return _as_due(store.state(run.ref), clock)


def _as_due(state: RunState, clock: Clock) -> RunState:
    if any(step.due is not None for states in (state.steps, state.undo) for step in states.values()):
        return state.as_due(*clock)
    return state


@of_one_run
def reasons(store: Store, run: Run, clock: Clock, daemon: bool) -> list[Reason]:
    """Why a run is where it is: core/run/why.py's answer. StoreError when its history cannot be read."""
    from jobctl.core.model import decode
    from jobctl.core.run.why import Outside, Reason, explain
    from jobctl.definitions.changes import has_changed

    if store.copy is not None and not run.over and run.holder is None:
        commands = ("jobctl adopt --original-is-gone", "jobctl adopt --as-copy")
        text = f"it stands still: this state folder is a copy of another one, whose run it is: {', or '.join(commands)}"
        return [Reason("copy", text, commands=commands, fields={"of": store.copy.of.path})]
    kept = store.definition(run.definition)
    job = decode(kept)
    state, decider = store.restored(run.ref, job)
    state = _as_due(state, clock)
    queues = {step.queue for step in job.steps if step.queue is not None}
    seen = Outside(
        run.name,
        run.job,
        holder=run.holder.kind if run.holder is not None else None,
        daemon=daemon,
        wake_at=run.wake_at,
        untaken=not run.taken,
        changed=run.over and run.status != "succeeded" and has_changed(run.job, kept),
        queue=run.queue,
        places={queue: store.in_queue(queue) for queue in sorted(queues)},
        signs=_signs(store, run.name, state, clock.now),
    )
    if run.status == "queued":
        waits_for = line(store, run, daemon).kind
        before, ahead = _in_front(store, run.ref, waits_for)
        seen = seen._replace(waits_for=waits_for, before=before, ahead=ahead)
    return explain(job, state, decider, seen, clock.now)


@of_one_run
def line(store: Store, run: Run, daemon: bool) -> Line:
    """What a run that nobody has begun waits for: the runs before it, a place, or a daemon."""
    row: RunRow = run.ref
    definition = json.loads(store.definition(run.definition))
    if row.trigger in ("schedule", "backfill") and definition.get("overlap") != "allow_all":
        other = store.first_alive_before(row)
        if other is not None:
            return Line("overlap", other)
    return Line("queue", row.queue) if row.queue is not None or daemon else Line("executor", None)


def _in_front(store: Store, row: RunRow, waits_for: str) -> tuple[list[str], int]:
    """Which runs a queued one waits for to end, and how many queued ones come before it. Of one whose process has died
    that is said, too."""
    if waits_for == "overlap":
        return [_named(store, one) for one in store.alive_before(row)], 0
    if waits_for != "queue":
        return [], 0
    begun = store.awake_in_queue(row.queue) if row.queue is not None else []
    waiting = store.lines_before(row)
    # The higher priorities, those of its job before it - and as many of each other job: places go round the jobs.
    own = next((older for job, priority, _, older in waiting if (job, priority) == (row.job, row.priority)), 0)
    ahead = own + sum(
        count if priority > row.priority else min(count, own + bool(older))
        for job, priority, count, older in waiting
        if (job, priority) != (row.job, row.priority)
    )
    return [_named(store, one) for one in begun], ahead


def _named(store: Store, row: RunRow) -> str:
    return row.name + (" (interrupted)" if row.status == "running" and look(store, row).interrupted else "")


def _signs(store: Store, run: str, state: RunState, now: int) -> dict[str, Signs]:
    """What the running attempts of a run show of themselves."""
    from jobctl.core.run.why import Signs

    folder, executors = run_folder(store.state_dir, run), executor.folder(store.state_dir)
    found = {}
    for suffix, steps in (("", state.steps), (UNDO, state.undo)):
        for name, step in steps.items():
            if step.status == "running" and step.items is None:
                files = AttemptFiles(folder, name + suffix, step.attempts[-1].number)
                mark, poll = heartbeat_mark(files.heartbeat), read_poll(files.poll)
                asked, next_at = poll if poll is not None else (0, None)
                # Between two times a poll is not asked; the first time it is from its beginning.
                probe = step.attempts[-1].started_at if next_at is None else next_at if next_at <= now else None
                stands = _standing(executors, step.attempts[-1].keeper, files.log)
                found[name + suffix] = Signs(mark[0] if mark else None, probe, asked, next_at, *stands)
    return found


def _standing(executors: str, keeper: str | None, log: str) -> tuple[str, int, str]:
    """What is the matter with an attempt's process, as Signs has it; nothing where no keeper was recorded."""
    if keeper is None:
        return "", 0, ""
    from jobctl.process import standing

    try:
        return standing.of_attempt(executors, keeper, log)
    except OSError:  # no descriptor just now
        return "", 0, ""


def living(store: Store, known: Executors | None = None) -> dict[str, tuple[int, str, int]]:
    """The living executors: id -> (pid, kind, started_at)."""
    return {
        name: about
        for name, about in (known if known is not None else store.executors()).items()
        if executor.alive(store.state_dir, name)
    }
