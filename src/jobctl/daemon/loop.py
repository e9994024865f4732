"""The daemon's loop: when each duty's turn comes. What a duty does stands in its own file; runs are the engine's."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

from jobctl import clock, executor
from jobctl.core.errors import JobctlError
from jobctl.core.history import Event, EventType
from jobctl.core.model import Job
from jobctl.daemon import dispatcher, pruner, rescuer
from jobctl.daemon.capacity import Capacity
from jobctl.daemon.journal import Journal
from jobctl.daemon.reloader import Reloader
from jobctl.daemon.scheduler import Scheduler
from jobctl.daemon.starter import Starter
from jobctl.daemon.systemd import Notifier
from jobctl.engines.local import LiveRun, LocalEngine
from jobctl.executor import Executor
from jobctl.store import firings
from jobctl.store.store import Store

LOOK_MS = 5_000  # what nobody pokes us for is seen within this time: files, clocks, dead executors
SETTLE_MS = 300  # a definitions file that changes is read when it has been still for this long
PRUNE_MS = 3_600_000
_CLOCK_STEP_MS = 1_000


class Daemon:
    """Schedules, queued runs, retries and recovery on one store, until told to stop."""

    def __init__(
        self, store: Store, files: Sequence[str], *, max_concurrent_runs: int, journal: Journal, notifier: Notifier
    ) -> None:
        """DefinitionError when the files cannot be used."""
        self._store = store
        self._journal = journal
        self._notifier = notifier
        self._reloader = Reloader(files)
        self._executor = Executor(store.state_dir, "daemon")
        self._engine = LocalEngine(store, self._executor, observer=self)
        self._capacity = Capacity(store, self._executor.id, max_concurrent_runs)
        self._starter = Starter(store, self._engine, self._capacity)
        self._scheduler = Scheduler(store, self._starter, clock.boot())
        self._others: set[str] = set()
        self._look_at = 0  # monotonic
        self._prune_at = clock.monotonic() + PRUNE_MS // 60
        self._offset = clock.now() - clock.monotonic()
        self._dispatch = True
        self._rescue = True
        self._failed: list[Job] = []  # jobs to pause, because they asked for it
        self._signals: list[int] = []

    def start(self) -> None:
        """Arm the schedules and take over what is there. From here on the daemon is ready."""
        self._store.record_executor()
        self._set_queues()
        self._arm()
        self._housekeeping()
        jobs = self._reloader.catalog.jobs
        self._journal.say(f"ready: {len(jobs)} jobs, {sum(len(j.schedules) for j in jobs.values())} schedules")
        self._notifier.tell(f"READY=1\nSTATUS={len(jobs)} jobs")

    def run(self, *, drain_ms: int = 0) -> int:
        """Go on until SIGTERM or SIGINT; the number of that signal. What runs then ends within `drain_ms`, or is left
        running for the next daemon; a second signal leaves at once."""
        before = self._catch_signals()
        try:
            while not self._stop_signal():
                self.turn()
            number = self._stop_signal()
            self._journal.say(f"{signal.Signals(number).name}: stopping; {self._engine.attempts_running} commands run")
            self._notifier.tell("STOPPING=1")
            self._drain(drain_ms)
        finally:
            self._restore_signals(before)
            self.close()
        return number

    def run_once(self) -> None:
        """Do what is due, see it through, and end."""
        before = self._catch_signals()
        try:
            self.turn(0)
            while (self._engine.busy or self._dispatch) and not self._stop_signal():
                self.turn()
        finally:
            self._restore_signals(before)
            self.close()

    def close(self) -> None:
        if self._engine.runs:
            self._journal.say(f"{len(self._engine.runs)} runs are left for the next daemon; their commands run on")
        self._engine.close()

    def turn(self, timeout_ms: int | None = None) -> None:
        """One round: wait for the next thing to happen, then every duty whose turn has come."""
        if self._engine.turn(self._wait_ms() if timeout_ms is None else timeout_ms):
            self._dispatch = True  # poked: a run was queued, or reopened, or schedules were paused or unpaused
            self._scheduler.resync(clock.now())
        try:
            self._duties()
            self._journal.say_once("store", "")
        except JobctlError as error:
            # A duty that could not be done is tried again at the next look; the others are not concerned.
            self._journal.say_once("store", f"{error.message}; trying again")
            self._look_at = min(self._look_at, clock.monotonic() + 1_000)
        trouble = self._engine.trouble
        self._journal.say_once("engine", f"{trouble.message}; trying again" if trouble else "")

    # -- what the engine tells -------------------------------------------------------------------------------------

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        for event in events:
            if event.type is EventType.RUN_ENDED:
                status = event.data["status"]
                self._journal.say(status.replace("_", " "), run=run.name, **_reason(event))
                self._dispatch = True  # its place is free
                if status in ("failed", "timed_out") and run.job.pause_on_failure and run.state.trigger == "schedule":
                    self._failed.append(run.job)
            elif event.type is EventType.RUN_CREATED:
                self._journal.say("started", run=run.name)

    # -- duties ----------------------------------------------------------------------------------------------------

    def _duties(self) -> None:
        mono, now = clock.monotonic(), clock.now()
        if abs(now - mono - self._offset) > _CLOCK_STEP_MS:
            self._journal.say(f"the clock was set, or the machine slept: {(now - mono - self._offset) / 1000:+.1f} s")
            self._offset = now - mono
            self._scheduler.resync(now)
        if self._failed:
            self._pause_failed(now)
        due = self._scheduler.next_due()
        if due is not None and due <= now:
            self._capacity.refresh()
            self._scheduler.once(now)
        if mono >= self._look_at:
            self._housekeeping()
        if self._rescue:
            self._rescue = False
            for name, what in rescuer.once(self._store, self._engine, now):
                if what == rescuer.TAKEN_OVER:
                    self._journal.say(what, run=name)
                else:
                    self._journal.say_once(f"rescue {name}", what, run=name)
        if self._dispatch and not self._engine.draining:
            self._dispatch = False
            dispatcher.once(self._store, self._engine, self._capacity)
        if mono >= self._prune_at:
            # One portion a turn, and the next one soon: what fires in between is not held up.
            more = pruner.once(self._store, self._reloader.catalog.jobs, now)
            self._prune_at = mono + (50 if more else PRUNE_MS)

    def _housekeeping(self) -> None:
        mono = clock.monotonic()
        self._look_at = mono + LOOK_MS
        self._reload(force=signal.SIGHUP in self._signals)
        if self._reloader.unsettled:
            self._look_at = mono + SETTLE_MS
        for name, (pid, _, _) in self._store.executors().items():
            if name == self._executor.id or name in self._others:
                continue
            if executor.alive(self._store.state_dir, name):
                self._others.add(name)
                self._engine.watch_process(pid, self._executor_ended)
            else:
                self._rescue = True
        # Also runs whose executor left no row, and those that could not be taken before.
        self._rescue = True
        self._dispatch = True
        self._store.checkpoint()
        rescuer.forget_dead(self._store)
        self._notifier.tell("WATCHDOG=1")

    def _executor_ended(self) -> None:
        self._rescue = True

    def _reload(self, *, force: bool) -> None:
        self._signals = [number for number in self._signals if number != signal.SIGHUP]
        if force:
            self._notifier.tell(f"RELOADING=1\nMONOTONIC_USEC={clock.monotonic() * 1000}")
        if self._reloader.once(force=force):
            self._set_queues()
            self._arm()
            self._journal.say(f"definitions reloaded: {len(self._reloader.catalog.jobs)} jobs")
        problem = self._reloader.problem
        self._journal.say_once("definitions", f"{problem.message}; the old definitions stay in use" if problem else "")
        if force:
            self._notifier.tell("READY=1")

    def _set_queues(self) -> None:
        self._engine.queues = self._reloader.catalog.queues
        self._capacity.set_queues(self._reloader.catalog.queues)

    def _arm(self) -> None:
        self._scheduler.arm(self._reloader.catalog.jobs, self._reloader.files, clock.now())

    def _pause_failed(self, now: int) -> None:
        failed, self._failed = self._failed, []
        for job in failed:
            firings.pause(self._store, job.name, at=now, reason="a run failed (pause_on_failure)", who="daemon")
            self._journal.say("its schedules are paused: a run failed (pause_on_failure)", job=job.name)

    def _wait_ms(self) -> int:
        mono = clock.monotonic()
        wait = max(0, self._look_at - mono)
        due = self._scheduler.next_due()
        if due is not None:
            wait = min(wait, max(0, due - clock.now()))
        if self._notifier.watchdog_ms is not None:
            wait = min(wait, self._notifier.watchdog_ms)
        wait = min(wait, max(0, self._prune_at - mono))
        return 0 if self._rescue or self._dispatch or self._failed else wait

    # -- stop ------------------------------------------------------------------------------------------------------

    def _drain(self, drain_ms: int) -> None:
        self._engine.draining = True
        until = clock.monotonic() + drain_ms
        asked = len(self._signals)
        while self._engine.attempts_running and clock.monotonic() < until and len(self._signals) == asked:
            self._engine.turn(min(1_000, max(0, until - clock.monotonic())))

    def _stop_signal(self) -> int:
        return next((number for number in self._signals if number != signal.SIGHUP), 0)

    def _catch_signals(self) -> dict[int, Any]:
        before: dict[int, Any] = {-1: signal.set_wakeup_fd(self._executor.wake_fd, warn_on_full_buffer=False)}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            before[number] = signal.signal(number, self._came)
        return before

    def _restore_signals(self, before: dict[int, Any]) -> None:
        signal.set_wakeup_fd(before.pop(-1))
        for number, handler in before.items():
            signal.signal(number, handler)

    def _came(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)
        if number == signal.SIGHUP:
            self._look_at = 0


def _reason(event: Event) -> dict[str, str]:
    return {"reason": event.data["reason"]} if "reason" in event.data else {}


def default_concurrency() -> int:
    """How many runs a daemon has under way at once unless it is told."""
    return max(32, 16 * (os.cpu_count() or 1))
