"""Which schedules fire now, and what each fire does: a run, a place in the buffer, or a record of why there is none."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobctl import machine
from jobctl.core import overlap
from jobctl.core.errors import JobctlError
from jobctl.core.model import Job, Schedule, encode_schedule
from jobctl.core.overlap import Fire
from jobctl.core.schedule import fires, jitter, next_fire
from jobctl.daemon.starter import Starter
from jobctl.engines import requests
from jobctl.store import firings
from jobctl.store.firings import Dropped
from jobctl.store.store import Store

# Fire times dealt with at a time for one schedule: a minutely job that was down for a week has ten thousand.
_MOST_AT_ONCE = 20_000
_A_YEAR = 365 * 86_400_000  # Temporal's default catch-up window


class _Armed(NamedTuple):
    """A schedule with its place in the store."""

    id: int
    key: str
    job: Job
    schedule: Schedule


class Scheduler:
    """Fires the schedules of a catalog of jobs. One object for a daemon's life; `arm` gives it other definitions."""

    def __init__(self, store: Store, starter: Starter, boot: tuple[str, int] | None = None) -> None:
        """`boot`: the machine's boot, as clock.boot tells it; without it boot schedules never fire."""
        self._store = store
        self._starter = starter
        # Before any schedule of this boot is made: a new one starts from now, and this boot is not new to it.
        self._boot = firings.boot_time(store, *boot) if boot is not None else None
        self._zone = machine.zone()
        self._armed: dict[int, _Armed] = {}
        self._progress: dict[int, int] = {}
        self._due: list[tuple[int, int]] = []  # a heap: (when it starts, schedule)

    def arm(self, jobs: Mapping[str, Job], files: Sequence[str], now: int) -> None:
        """Take these definitions. What was removed fires no more; what is new or edited starts from now."""
        wanted = {
            (job.name, encode_schedule(schedule, job)): (job, schedule)
            for job in jobs.values()
            for schedule in job.schedules
        }
        entries = firings.sync(self._store, [(j, key, jobs[j].file) for j, key in wanted], files, now)
        self._armed = {e.id: _Armed(e.id, e.key, *wanted[e.job, e.key]) for e in entries}
        self._progress = {e.id: e.progress for e in entries}
        self._due = []
        for entry in entries:
            self._push(entry.id)
        heapq.heapify(self._due)

    def next_due(self) -> int | None:
        """When `once` has something to do: an instant, None for never."""
        return self._due[0][0] if self._due else None

    def once(self, now: int) -> None:
        """Deal with every fire time that has come."""
        if not self._due or self._due[0][0] > now:
            return
        # Another daemon on this store may have been faster; its word counts, and what it dealt with is not looked at.
        for number, reached in firings.progress(self._store).items():
            if number in self._progress:
                self._progress[number] = max(self._progress[number], reached)
        paused = firings.paused(self._store)
        dropped: list[Dropped] = []
        passed: list[tuple[int, int]] = []
        while self._due and self._due[0][0] <= now:
            _, number = heapq.heappop(self._due)
            armed = self._armed[number]
            due, more = self._due_times(armed, now)
            if due and armed.job.name in paused:
                passed.append((number, due[-1]))
            elif due:
                dropped += self._fire(armed, due, now)
            if due:
                self._progress[number] = due[-1]
            self._push(number, again_at=now if more else None)
        if passed:
            firings.advance(self._store, passed)
        if dropped:
            firings.drop(self._store, dropped)

    def resync(self, now: int) -> None:
        """Look at all fire times anew: the wall clock was set, or schedules were unpaused."""
        for number, reached in firings.progress(self._store).items():
            if number in self._progress:
                self._progress[number] = max(self._progress[number], reached)
        self._due = []
        for number in self._armed:
            if self._progress[number] > now + 86_400_000 and not self._armed[number].schedule.boot:
                # Dealt with by a clock that was more than a day ahead: it would sleep until then.
                self._progress[number] = now
            self._push(number)
        heapq.heapify(self._due)

    def _push(self, number: int, again_at: int | None = None) -> None:
        armed = self._armed[number]
        if again_at is not None:
            heapq.heappush(self._due, (again_at, number))
            return
        if armed.schedule.boot:
            if self._boot_due(armed):
                heapq.heappush(self._due, (0, number))  # at once, wherever the clock stood when the machine started
            return
        nominal = next_fire(armed.schedule, self._progress[number], zone=self._zone_of(armed))
        if nominal is not None:
            heapq.heappush(self._due, (self._starts_at(armed, nominal), number))

    def _due_times(self, armed: _Armed, now: int) -> tuple[list[int], bool]:
        """Fire times after the progress whose start has come, oldest first; whether there are more of them."""
        if armed.schedule.boot:
            return self._boot_due(armed), False
        found = fires(armed.schedule, self._progress[armed.id], now, self._zone_of(armed), _MOST_AT_ONCE)
        due = [nominal for nominal in found if self._starts_at(armed, nominal) <= now]
        return due, len(found) == _MOST_AT_ONCE

    def _boot_due(self, armed: _Armed) -> list[int]:
        """The fire time of a boot schedule, unless it has been dealt with."""
        return [self._boot] if self._boot is not None and self._progress[armed.id] < self._boot else []

    def _zone_of(self, armed: _Armed) -> str:
        return armed.schedule.timezone or armed.job.timezone or self._zone

    def _starts_at(self, armed: _Armed, nominal: int) -> int:
        if not armed.schedule.jitter:
            return nominal
        return nominal + jitter(armed.job.name, armed.key, nominal, armed.schedule.jitter)

    def _fire(self, armed: _Armed, due: list[int], now: int) -> list[Dropped]:
        """Start, buffer or skip, oldest first; what is older than the catch-up window is missed."""
        job = armed.job
        window = job.catchup_window if job.catchup_window is not None else _A_YEAR
        dropped: list[Dropped] = []
        # Jitter is not lateness. Nor is what was between the machine's start and the daemon's.
        late = [n for n in due if self._starts_at(armed, n) < now - window and not armed.schedule.boot]
        if late:
            dropped.append(
                Dropped(armed.id, "missed", late[0], late[-1], len(late), "no daemon ran within the catch-up window")
            )
        begun, buffered = firings.alive_runs(self._store, job.name)
        running, waiting = len(begun), len(buffered)
        running += self._starter.submitted(job.name)
        skipped: list[int] = []
        reason = ""
        for nominal in due[len(late) :]:
            decision = overlap.decide(job.overlap, running=running, buffered=waiting)
            if decision.fire is Fire.SKIP:
                skipped.append(nominal)
                reason = decision.reason or ""
                continue
            if decision.fire is not Fire.START and decision.fire is not Fire.BUFFER:
                self._end_others(begun, buffered, decision.fire)
                begun, buffered = [], []
            started = self._starter.start(
                job, trigger="schedule", fire_time=nominal, schedule=armed.id, hold=decision.fire is not Fire.START
            )
            if started:
                running += 1
            else:
                waiting += 1
        if skipped:
            dropped.append(Dropped(armed.id, "skipped", skipped[0], skipped[-1], len(skipped), reason))
        return dropped

    def _end_others(self, begun: list[tuple[int, str]], buffered: list[tuple[int, str]], how: Fire) -> None:
        """Ask the job's other runs to end: those that run as the policy says, those that only wait at once."""
        ask = requests.cancel if how is Fire.CANCEL_OTHER else requests.terminate
        for number, _ in [*begun, *buffered]:
            try:
                ask(self._store, self._store.run(number), reason=f"overlap = {how}", by="scheduler")
            except JobctlError:
                continue  # it ended in between
