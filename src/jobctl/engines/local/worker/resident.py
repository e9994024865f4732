"""The local engine's worker that stays: an engine, what limits and starts its runs, and the duties in the order in
which they have their turn. Whose turn it is, signals, definitions and what is said to whom are daemon/'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from jobctl.core.model import RunStatus
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried
from jobctl.engines.local import executor
from jobctl.engines.local.daemons import poke_daemons
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker import duties
from jobctl.engines.local.worker.aside import Aside
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.scheduler import Scheduler
from jobctl.engines.local.worker.starter import Starter
from jobctl.engines.local.worker.take import Failed
from jobctl.host import reserve
from jobctl.store import times
from jobctl.store.store import LOOP_PATIENCE_MS, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.core.errors import JobctlError
    from jobctl.engines.base import Duty, Surroundings
    from jobctl.engines.local.client import LocalClient
    from jobctl.host.host import Host
    from jobctl.process.keepers import Link

RETRY_MS = 1_000  # when a duty could not be done
_CLOCK_STEP_MS = 1_000


class Resident:
    """`engines/base.py`: `Resident`."""

    def __init__(
        self,
        store: Store,
        around: Surroundings,
        host: Host,
        *,
        max_concurrent_runs: int,
        keeper: Link | None = None,
    ) -> None:
        """`keeper`: one that was forked before the store was opened."""
        self.store = store
        self.around = around
        self.journal = around.journal
        self.host = host
        self.executor = Executor(store.state_dir, "daemon")
        self.engine = LocalEngine(store, self.executor, host=host, observer=self, keeper=keeper)
        self.capacity = Capacity(store, self.executor.id, max_concurrent_runs)
        self.starter = Starter(store, self.engine, self.capacity, self.never_began)
        self.scheduler = Scheduler(store, self.starter, host.boot())
        self.wake_fd = self.executor.wake_fd
        self.aside = Aside()
        self.dispatch = self.rescue = self.orphans = True  # that queued runs, lost ones, lost children are looked at
        self.fires_until: int | None = None
        self.not_before = 0  # monotonic: the duties rest after an error
        boot, now = host.boottime(), host.now()
        self.look = duties.Look(self)
        # Before anything of this daemon is recorded, by a clock that may be wrong.
        self.prune = duties.Prune(self, times.read(store, self.executor.boot, boot, now))
        # While no daemon looked; what one has seen to already is seen to once more, which changes nothing.
        self.follow_clock = duties.FollowClock(self, times.step(store, self.executor.boot, boot, now))
        self.fire = duties.Fire(self)
        self.end_late = duties.EndLate(self)
        self.duties: Sequence[Duty] = (
            self.follow_clock,
            self.fire,
            self.look,
            duties.TakeOver(self),
            self.end_late,
            duties.BeginQueued(self),
            self.prune,
        )

    # -- what daemon/ asks -----------------------------------------------------------------------------------------

    def start(self) -> None:
        self.store.record_executor()
        self.set_queues()
        self.arm()
        self.around.tell_definitions()
        self.look.housekeeping()
        poke_daemons(self.store)  # they are to see when this one dies
        self.store.be_patient(LOOP_PATIENCE_MS)

    def turn(self, timeout_ms: int | None = None) -> bool:
        poked = self.engine.turn(timeout_ms)
        if poked:
            # Poked: a run was queued or reopened, a daemon has started.
            self.dispatch = self.look.at_others = True
        return poked

    def say_aside(self) -> None:
        while self.engine.set_aside:
            run, name, why = self.engine.set_aside.pop()
            pause = self.aside.put(run, self.host.monotonic()) if run else 0
            self.rescue = self.dispatch = True
            self.journal.say_once(f"rescue {name}", f"put aside, to be tried again: {why}", run=name)
            self.look.by(self.host.monotonic() + pause)

    def begin_anew(self, until: int) -> None:
        self.engine.begin_anew()
        self.rescue = self.dispatch = True
        self.around.arm_again = True
        self.not_before = self.look.at = until

    def rest(self, until: int) -> None:
        self.not_before = until
        self.look.by(until)

    def look_at_once(self) -> None:
        self.look.at = 0

    def new_definitions(self) -> None:
        self.set_queues()
        self.arm()

    @property
    def trouble(self) -> JobctlError | None:
        return self.engine.trouble

    @property
    def spent(self) -> str:
        return reserve.SPENT if reserve.is_spent(self.store.state_dir) else ""

    def failed(self, error: BaseException) -> None:
        reserve.give_up_for(error, self.store.state_dir)

    @property
    def keepers_trouble(self) -> str:
        return self.engine.supervisor.trouble

    @property
    def at_work(self) -> bool:
        runs = self.engine.runs.values()
        under_way = any(run.state.status is not RunStatus.PAUSED for run in runs) or (self.engine.busy and not runs)
        return under_way or self.dispatch or self.next_due() is not None

    @property
    def left(self) -> int:
        return len(self.engine.runs)

    @property
    def running(self) -> int:
        return self.engine.attempts_running

    @property
    def draining(self) -> bool:
        return self.engine.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self.engine.draining = value

    def stop_attempts(self) -> int:
        return self.engine.stop_attempts()

    @property
    def grace_ms(self) -> int:
        return max((run.job.kill_grace for run in self.engine.runs.values()), default=0)

    def wait_until(self) -> int:
        mono, now = self.host.monotonic(), self.host.now()
        times = [self.look.at, self.prune.at]
        if self.journal.untold:
            times.append(mono + RETRY_MS)
        due = self.next_due()
        if due is not None and self.fire.read_by is None:
            times.append(mono + due - now)
        if self.rescue or self.dispatch:
            times.append(mono)
        for instant, earliest in ((self.store.next_wake(), 0), (self.store.next_too_late(), self.end_late.not_before)):
            if instant is not None:
                times.append(max(earliest, mono + instant - now))
        return max(min(times), self.not_before)

    def complain(self, troubles: Sequence[tuple[str, int]]) -> None:
        self.executor.complain(troubles)

    def tell(self, **what: object) -> None:
        self.executor.tell(**what)

    def give_up_when(self, told: Callable[[], bool]) -> None:
        self.store.give_up = told

    def close(self) -> None:
        self.engine.close()

    # -- what the engine tells -------------------------------------------------------------------------------------

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        for event in events:
            if event.type is EventType.RUN_ENDED:
                status = carried(EventType.RUN_ENDED, event)["status"]
                self.journal.say(status.replace("_", " "), run=run.name, **_reason(event))
                self.dispatch = True  # its place is free
                if status in ("failed", "timed_out") and run.job.pause_on_failure and run.state.trigger == "schedule":
                    self._say_paused(run.job.name)
            elif event.type is EventType.RUN_CREATED:
                self.journal.say("started", run=run.name)

    def begun(self, run: str) -> None:
        """One that was handed over, or stood in line."""
        self.journal.say("started", run=run)

    def never_began(self, failed: Failed) -> None:
        self.journal.say("failed", run=failed.run, reason=failed.reason)
        self.dispatch = True  # what tells of it is queued
        job = self.around.catalog.jobs.get(failed.job)
        if job is not None and job.pause_on_failure and failed.trigger == "schedule":
            self._say_paused(job.name)

    def _say_paused(self, job: str) -> None:
        self.journal.say("its schedules are paused: a run failed (pause_on_failure)", job=job)

    # -- what duties share -----------------------------------------------------------------------------------------

    def set_queues(self) -> None:
        self.engine.queues = self.around.catalog.queues
        self.capacity.set_queues(self.around.catalog.queues)

    def arm(self) -> None:
        self.scheduler.arm(self.around.catalog.jobs, self.around.files, self.host.now())
        # By another clock they may have been dealt with beyond what this one shows.
        self.follow_clock.was_set = self.follow_clock.was_set or self.scheduler.is_ahead(self.host.now())

    def next_due(self) -> int | None:
        """When the next fire time has to be dealt with here."""
        due = self.scheduler.next_due()
        return None if due is None or (self.fires_until is not None and due > self.fires_until) else due

    def others_gone(self) -> None:
        """Another executor has ended."""
        self.rescue = self.orphans = True

    def lives(self, name: str) -> bool:
        return executor.alive(self.store.state_dir, name)


def _reason(event: Event) -> dict[str, str]:
    data = carried(EventType.RUN_ENDED, event)
    return {"reason": data["reason"] or ""} if "reason" in data else {}


def hired(
    client: LocalClient, *, max_concurrent_runs: int | None, keeper: Link | None
) -> Callable[[Surroundings], Resident]:
    """What makes a worker that stays for the store of a client, once its surroundings are there."""
    most = max_concurrent_runs or default_concurrency()
    return lambda around: Resident(client.store, around, client.host, max_concurrent_runs=most, keeper=keeper)


def default_concurrency() -> int:
    """How many runs a daemon has under way at once unless it is told: most wait for something else than a processor."""
    return max(100, 16 * (os.cpu_count() or 1))
