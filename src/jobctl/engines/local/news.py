"""What whoever watches over jobctl has to know: that no daemon lives, that a job's last run failed, that fire times
were missed, and what of these cannot be told. Nothing is written, except that somebody knows of a failed run."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from jobctl.core.errors import JobctlError
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.notices import is_notifier, origin
from jobctl.core.run.rows import RunRow
from jobctl.core.status import RunStatus
from jobctl.core.text import local_time
from jobctl.engines.base import Trouble
from jobctl.engines.local.daemons import daemons
from jobctl.store import firings, news
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.core.run.events import Requested

_FAILED = (RunStatus.FAILED, RunStatus.TIMED_OUT)
_DOCTOR = "see: jobctl doctor"


def troubles(
    store: Store, since: int, *, jobs: Collection[str] = (), tags: Collection[str] = (), tagged: Collection[str] = ()
) -> list[Trouble]:
    """All that is wrong, the same as often as it is asked. `since`: fire times that were missed before are no news.

    `jobs`, `tags`: only of these jobs, of any where there is none; `tagged`: jobs of the definitions with one of them.
    """
    found = list(_of_the_folder(store))
    wanted = _Wanted(store, jobs, tags, tagged)
    found += _failed(store, wanted, found)
    for job, outcome, count, last, reason in firings.lately_dropped(store, since):
        if outcome == "missed" and wanted(job):
            times = "fire time was" if count == 1 else f"{count:,} fire times were"
            message = f"{job}: {'1 ' if count == 1 else ''}{times} missed, the last {local_time(last)}: {reason}"
            hint = f"run them all the same: jobctl schedule backfill {job} --from TIME --to TIME"
            found.append(Trouble("missed", message, hint, job, since=last))
    found += [Trouble("unknown", line, _DOCTOR) for line in store.damage]
    return found


def _of_the_folder(store: Store) -> Iterator[Trouble]:
    if store.copy is not None:
        yield Trouble("unknown", store.copy.sentence(), "jobctl adopt --original-is-gone, or jobctl adopt --as-copy")
    if not daemons(store):
        yield Trouble("no_daemon", f"no daemon lives on {store.state_dir}", "start it: jobctl daemon")


class _Wanted:
    """Whether a job is asked about."""

    def __init__(self, store: Store, jobs: Collection[str], tags: Collection[str], tagged: Collection[str]) -> None:
        self._store = store
        self._jobs = set(jobs)
        self._tags = set(tags)
        self._known = dict.fromkeys(tagged, True)

    def __call__(self, job: str) -> bool:
        name = origin(job) if is_notifier(job) else job
        if self._jobs and name not in self._jobs:
            return False
        if not self._tags:
            return True
        if name not in self._known:
            self._known[name] = self._has_tag(name)
        return self._known[name]

    def _has_tag(self, job: str) -> bool:
        """As its last run says. A definition that cannot be read may have any."""
        row = self._store.latest(job)
        if row is None:
            return False
        try:
            kept = json.loads(self._store.definition(row.definition))
            return not self._tags.isdisjoint(kept.get("tags") or ())
        except (JobctlError, ValueError, TypeError, AttributeError, RecursionError):
            return True


def _failed(store: Store, wanted: Callable[[str], bool], told: list[Trouble]) -> Iterator[Trouble]:
    rows = [row for job in store.jobs() if (row := news.last_end(store, job)) is not None]
    rows += news.failed_with_key(store)
    for row in rows:
        if row.status not in _FAILED or not wanted(row.job):
            continue
        try:
            if news.is_acknowledged(store, row):
                continue
        except JobctlError as error:
            told.append(Trouble("unknown", error.message, error.hint, row.job, row.name))
        about = f"nobody was told of {origin(row.job)}: {row.name}" if is_notifier(row.job) else row.name
        why = f": {row.reason}" if row.reason else ""
        hint = f"jobctl why {row.name}; when somebody knows: jobctl ack {row.name}"
        message = f"{about} {row.status.replace('_', ' ')}{why}"
        yield Trouble("failed", message, hint, row.job, row.name, row.finished_at)


def acknowledge(store: Store, row: RunRow, *, reason: str | None, by: str, now: int) -> bool:
    """Record in a run's history that somebody knows that it failed. False when somebody knew already; JobctlError when
    it has not."""
    if store.copy is not None:
        raise store.copy.error(f"nothing can be said of run {row.name}")
    if row.status in _FAILED and news.is_acknowledged(store, row):
        return False

    def make(current: RunRow, _: RunState) -> tuple[Event, None]:
        if current.status not in _FAILED:
            what = "is not over" if current.finished_at is None else f"has not failed: it is {current.status}"
            raise JobctlError(f"run {current.name} {what}", hint=f"jobctl status {current.name}")
        data: Requested = {"reason": reason} if reason else {}
        if by:
            data["by"] = by
        return Event(EventType.RUN_ACKNOWLEDGED, now, data=data), None

    store.request(row.id, make)
    return True
