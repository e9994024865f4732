"""What whoever watches over jobctl has to know: that no daemon lives, or that one does not do what it should, that a
job's last run failed, that fire times were missed, and what of these cannot be told. Nothing is written, except that
somebody knows of a failed run."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from jobctl.core.errors import UNREADABLE, JobctlError, StoreUnavailableError
from jobctl.core.model import decode_schedule
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.notices import is_notifier, origin
from jobctl.core.run.rows import RunRow
from jobctl.core.schedule.schedule import fires, is_dealt_with
from jobctl.core.status import RunStatus
from jobctl.core.text import local_time
from jobctl.engines.local import executor
from jobctl.engines.values import Trouble
from jobctl.host import machine
from jobctl.store import firings, news
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.run.events import Requested

_FAILED = (RunStatus.FAILED, RunStatus.TIMED_OUT)
_DOCTOR = "see: jobctl doctor"
_GRACE_MS = 60_000  # so long a daemon may take over a fire time, and over its own beginning
_LOOKED_AT = 1_000  # at most: of what one schedule has left behind, of runs that only wait


def troubles(
    store: Store,
    since: int,
    now: int,
    *,
    jobs: Collection[str] = (),
    tags: Collection[str] = (),
    tagged: Collection[str] = (),
) -> list[Trouble]:
    """All that is wrong, the same as often as it is asked. `since`: fire times that were missed before are no news.

    `jobs`, `tags`: only of these jobs, of any where there is none; `tagged`: jobs of the definitions with one of them.
    """
    wanted = _Wanted(store, jobs, tags, tagged)
    daemons = {name: about for name, about in store.executors().items() if about[1] == "daemon"}
    living = {name: executor.lives(store.state_dir, name) for name in daemons}
    certain = [name for name, lives in living.items() if lives]
    found = list(_of_the_folder(store, living))
    found += _of_daemons(store, certain)
    if store.copy is None and any(daemons[name][2] < now - _GRACE_MS for name in certain):
        found += _late(store, wanted, certain, now)
    found += unreadable(store, wanted)
    found += _failed(store, wanted, found)
    found += _missed(store, wanted, since)
    found += [Trouble("unknown", line, _DOCTOR) for line in store.damage]
    return found


def _of_the_folder(store: Store, living: Mapping[str, bool | None]) -> Iterator[Trouble]:
    if store.copy is not None:
        yield Trouble("unknown", store.copy.sentence(), "jobctl adopt --original-is-gone, or jobctl adopt --as-copy")
    if said := store.halt():
        yield Trouble("trouble", said, _DOCTOR)
    if any(living.values()):
        return
    if None in living.values():
        what = f"whether a daemon lives on {store.state_dir} cannot be told: locks in executors/ may not be read"
        yield Trouble("unknown", what, "ask as its user")
    else:
        yield Trouble("no_daemon", f"no daemon lives on {store.state_dir}", "start it: jobctl daemon")


def _of_daemons(store: Store, living: Iterable[str]) -> Iterator[Trouble]:
    """What those that live suffer from, by their own word."""
    told: set[str] = set()
    for name in living:
        for one in executor.complaints(store.state_dir, name):
            if (message := f"the daemon has trouble: {one['message']}") not in told:
                told.add(message)
                yield Trouble("trouble", message, _DOCTOR, since=int(one["since"]))
        problem = executor.told(store.state_dir, name).get("definitions_problem")
        if isinstance(problem, dict):
            place = " ".join(str(problem.get("message", "")).split())
            message = f"the definitions have changed and cannot be used: {place}; the old ones stay in use"
            if message not in told:
                told.add(message)
                yield Trouble("definitions", message, "mend them; see: jobctl validate")


def _late(store: Store, wanted: Callable[[str], bool], living: Iterable[str], now: int) -> Iterator[Trouble]:
    """Fire times that have come and that no daemon has dealt with, though one lives: it stands still, or cannot."""
    files = {file for name in living for file in executor.told(store.state_dir, name).get("files") or ()}
    paused = firings.paused(store)
    first: dict[str, int] = {}
    for number, job, key, file, progress in firings.followed(store):
        if job in paused or not wanted(job) or (files and file not in files):
            continue
        try:
            fire = _overdue(store, number, key, progress, now)
        except (JobctlError, *UNREADABLE) as error:
            why = f"when {job} was to fire cannot be told: {error}"
            yield Trouble("unknown", why, _DOCTOR, job)
            continue
        if fire is not None:
            first[job] = min(fire, first.get(job, fire))
    for job, fire in first.items():
        message = f"{job}: fire times since {local_time(fire)} have not been dealt with, though a daemon lives"
        yield Trouble("late", message, "it may stand still; see: jobctl status, and its log", job, since=fire)


def _overdue(store: Store, number: int, key: str, progress: int, now: int) -> int | None:
    """The first fire time of a schedule that should have been dealt with by now."""
    schedule = decode_schedule(key)
    # A daemon that comes late gives each its share of the jitter once more.
    until = now - _GRACE_MS - 2 * schedule.jitter
    if schedule.boot or progress >= until:
        return None
    coming = fires(schedule, progress, until, schedule.timezone or machine.zone(), _LOOKED_AT)
    dealt = firings.beyond(store, number, progress) if coming else []
    return next((fire for fire in coming if not is_dealt_with(fire, dealt)), None)


def unreadable(store: Store, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Trouble]:
    """Runs that are not over and that nobody can go on with, as far as their history and definition say."""
    for row in (*store.awake(), *store.asleep(_LOOKED_AT)):
        if not wanted(row.job):
            continue
        try:
            store.state(row)
            json.loads(store.definition(row.definition))
        except StoreUnavailableError:
            raise
        except (JobctlError, *UNREADABLE) as error:
            why = f"{row.name} is not over, and what is recorded of it cannot be read: {error}"
            yield Trouble("unknown", why, "see: jobctl doctor --deep", row.job, row.name)


def _missed(store: Store, wanted: Callable[[str], bool], since: int) -> Iterator[Trouble]:
    for job, count, first, last, reason in news.missed(store, since):
        if wanted(job):
            times = "fire time was" if count == 1 else f"{count:,} fire times were"
            message = f"{job}: {'1 ' if count == 1 else ''}{times} missed, the last {local_time(last)}: {reason}"
            span = f"--from '{local_time(first)}' --to '{local_time(last)}'"
            hint = f"run them all the same: jobctl schedule backfill {job} {span}"
            yield Trouble("missed", message, hint, job, since=last)
    for row in news.too_late(store, since):
        if wanted(row.job):
            yield Trouble(
                "missed", f"{row.name}: {row.reason}", f"jobctl resume {row.name}", row.job, row.name, row.finished_at
            )


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
