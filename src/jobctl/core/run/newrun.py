"""A new run: what is known of it before it has a history, the parameters it begins with, and its first event.

Its name and the values of `run.*` are handed in, and so is the text that its definition is kept as: the one needs
chance, the others the machine's zone and what of the definition is secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from jobctl.core.definition import parameters
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import NewRun

if TYPE_CHECKING:
    from jobctl.core.model import Job, Millis
    from jobctl.core.run.events import Result, RunCreated


class Reuses(Protocol):
    """What a new run reuses of another."""

    @property
    def run(self) -> str: ...

    @property
    def reused(self) -> Mapping[str, Mapping[str, Any]]:
        """Step or item -> what it has come to there."""


class Made(NamedTuple):
    new: NewRun
    params: dict[str, Any]
    first: Event


def begin_by(job: Job, due: Millis, start_within: Millis | None = None) -> Millis | None:
    """When a run that is due at an instant must have begun; `start_within` replaces the job's. None: whenever."""
    limit = job.start_within if start_within is None else start_within
    return None if limit is None else due + limit


def described(job: Job, text: str, name: str, due: Millis, *, start_within: Millis | None = None) -> NewRun:
    """What any new run of a job has in common. `due`: from when on `start_within` counts."""
    start_by = begin_by(job, due, start_within)
    return NewRun(name, job.name, text, queue=job.queue, priority=job.priority, start_by=start_by)


def made(
    job: Job,
    new: NewRun,
    given: Mapping[str, Any],
    values: Mapping[str, str],
    now: Millis,
    *,
    like: Reuses | None = None,
    parent: tuple[str, str] | None = None,
) -> Made:
    """A run that begins with parameters, and with the key that they give unless `new` has one.

    `values` is what `run.*` names; `parent` the run and the step of a child, which has no key. UsageError for
    parameters that do not fit.
    """
    params = parameters.values(job, given, values)
    if new.key is None and parent is None:
        new = new._replace(key=parameters.key_of(job, params, values))
    return Made(new, params, created(new, params, now, like=like, parent=parent))


def created(
    new: NewRun,
    params: Mapping[str, Any],
    now: Millis,
    *,
    like: Reuses | None = None,
    parent: tuple[str, str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Event:
    """The first event of a run. `about`: what a notification tells of."""
    data: RunCreated = {} if new.trigger == "manual" else {"trigger": new.trigger}
    if new.fire_time is not None:
        data["fire_time"] = new.fire_time
    if new.start_by is not None:
        data["start_by"] = new.start_by
    if new.key is not None:
        data["key"] = new.key
    if params:
        data["params"] = params
    if like is not None:
        data["like"], data["reused"] = like.run, cast("Mapping[str, Result]", like.reused)
    if parent is not None:
        data["parent"] = {"run": parent[0], "step": parent[1]}
    if about is not None:
        data["about"] = about
    return Event(EventType.RUN_CREATED, now, data=data)
