"""Notifications as runs: they come into being in the commit of what they are about, begun by the engine that ended the
run, or queued for a daemon by who has no engine. What they are is core/run/notices.py's."""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.core.definition import parameters
from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import Job, decode, encode
from jobctl.core.record import NamedTuple
from jobctl.core.run import notices
from jobctl.core.run.decide import Decider
from jobctl.core.run.history import Event, EventType, RunState, replay
from jobctl.core.run.newrun import created
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.core.schedule.rows import Dropped
from jobctl.definitions.masking import redact
from jobctl.engines.local.commands import run_values
from jobctl.engines.local.live import LiveRun, taken
from jobctl.store.append import Batch
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.engines.local.loop import LocalEngine

_FIRST = 1_000_000  # its priority: people are told before anything else that waits for a place


class Notice(NamedTuple):
    """A notification that begins here when its batch is written."""

    batch: Batch
    run: LiveRun


def begun(engine: LocalEngine, run: LiveRun, end: Event) -> list[Notice]:
    """The notifications that the end of a run of this engine brings, or its pause when it was stopped."""
    made = []
    of = notices.of_stop if end.type is EventType.RUN_PAUSED else notices.of_end
    about = of(run.name, run.job.name, end, run.state)
    if "reason" in about:
        about["reason"] = run.context.mask(about["reason"])
    for job, new, first in _made(engine.store, run.job, about, run.state.params, end.at):
        live = LiveRun(0, new.name, job, 0, replay([first]), Decider(job))
        live.context = engine.context_of(live, dict(run.context.env_file))
        events = [first, taken(engine.executor, end.at)]
        made.append(Notice(Batch(0, 0, events, replay(events), executor=engine.executor.id, new=new), live))
    return made


def queued(store: Store, run: str, job: Job, end: Event, state: RunState) -> tuple[Event, list[Batch]]:
    """The end of a run that no engine has, naming the notifications that it brings, and these, for a daemon.

    `state`: the run's, before its end.
    """
    about = notices.of_end(run, job.name, end, state)
    made = _queued(store, job, about, state.params, end.at)
    return _naming(end, [batch.new.name for batch in made if batch.new is not None]), made


def of_row(store: Store, row: RunRow, end: Event, state: RunState) -> tuple[Event, list[Batch]]:
    """`queued`, of a run as it stands in the store. One whose definition is damaged ends without. StoreUnavailableError
    when it can only not be read now: then the run is not to end either."""
    try:
        text = store.definition(row.definition)
        # Most have none, and need not be taken apart for that.
        return queued(store, row.name, decode(text), end, state) if '"notify"' in text else (end, [])
    except StoreUnavailableError:
        raise
    except (JobctlError, TypeError, ValueError):
        return end, []


def missed(store: Store, job: Job, gone: Dropped, now: int) -> list[Batch]:
    """The notifications that fire times of a job got no run, for a daemon."""
    about = notices.of_missed(job.name, gone.times, gone.first, gone.last, gone.reason)
    try:
        params = parameters.values(job, {}, run_values(job, job.name, gone.last))
    except JobctlError:
        params = {}  # nor could a run of it have begun
    return _queued(store, job, about, params, now)


def _queued(store: Store, job: Job, about: Mapping[str, Any], params: Mapping[str, Any], now: int) -> list[Batch]:
    return [
        Batch(0, 0, [first], replay([first]), executor=None, new=new._replace(priority=_FIRST))
        for _, new, first in _made(store, job, about, params, now)
    ]


def _made(
    store: Store, job: Job, about: Mapping[str, Any], params: Mapping[str, Any], now: int
) -> list[tuple[Job, NewRun, Event]]:
    """For each command that is to tell: its job, its run, and the first event of that."""
    made: list[tuple[Job, NewRun, Event]] = []
    names: set[str] = set()
    for place, command in enumerate(notices.commands(job, about["status"])):
        own = notices.notifier(job, command)
        names.add(name := store.unused_name(own.name, names))
        new = NewRun(name, own.name, encode(redact(own)), notices.TRIGGER)
        # Which of several commands: for `resume --updated`, when that in the file was mended.
        about_it = {**about, "place": place} if place else dict(about)
        made.append((own, new, created(new, params, now, about=about_it)))
    return made


def _naming(end: Event, names: list[str]) -> Event:
    return end._replace(data={**end.data, "notifications": names}) if names else end
