"""The daemon's loop: when each duty's turn comes. What a duty does stands in its own file; runs are the engine's."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

from jobctl.core.believed import look
from jobctl.core.errors import JobctlError, StoreLostError, StoreUnavailableError
from jobctl.core.model import RunStatus
from jobctl.core.run.history import TOO_LATE, Event, EventType
from jobctl.core.run.payloads import carried
from jobctl.core.text import duration, local_time
from jobctl.daemon.log import Journal
from jobctl.daemon.reloader import Reloader
from jobctl.daemon.systemd import Notifier
from jobctl.engines.local import executor, unbegun
from jobctl.engines.local.daemons import poke_daemons
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.loop import LiveRun, LocalEngine, in_a_sentence
from jobctl.engines.local.worker import dispatcher, pruner, rescuer
from jobctl.engines.local.worker.aside import Aside
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.scheduler import Scheduler
from jobctl.engines.local.worker.starter import Starter
from jobctl.engines.local.worker.take import Failed
from jobctl.engines.local.worker.turns import alone
from jobctl.host import clock, reserve
from jobctl.process.keepers import Link
from jobctl.store import firings, times
from jobctl.store.store import LOOP_PATIENCE_MS, Store

LOOK_MS = 5_000  # what nobody pokes us for is seen within this time: files, clocks, dead executors
_READ_FIRST_MS = 3_000  # so long at most nothing fires because definitions are just being changed
SETTLE_MS = 300  # a definitions file that changes is read when it has been still for this long
PRUNE_MS = 3_600_000
VACUUM_PAGES = 500  # given back to the disk after each portion: some milliseconds
FIRINGS_KEPT_MS = 90 * 86_400_000  # what became of fire times whose run is gone
SLACK_MS = 5_000  # beyond its grace, for what was asked to end, to be seen and recorded
LAST_WORDS_MS = 500  # for whoever reads what is said, to take it
RETRY_MS = 1_000  # when a duty could not be done
_CLOCK_STEP_MS = 1_000
_CLOCK_SAID_FROM_MS = 60_000  # a step that `status` tells of, for an hour
_CLOCK_SAID_MS = 3_600_000
_LATE_AGAIN_MS = 60_000
_LOG_HELD_MS = 60_000  # so long somebody may be in the way of the log
_NEVER_MS = 1 << 40
_ANEW_AT_MOST_MS = 60_000
_ANEW_FORGOTTEN_MS = 300_000
_PRUNE_FOR_MS = 5
_PRUNE_AGAIN_MS = 50


class Daemon:
    """Schedules, queued runs, retries and recovery on one store, until told to stop."""

    def __init__(
        self,
        store: Store,
        files: Sequence[str],
        *,
        max_concurrent_runs: int,
        journal: Journal,
        notifier: Notifier,
        keeper: Link | None = None,
        stop_commands: bool = False,
    ) -> None:
        """`keeper`: one that was forked before the store was opened. `stop_commands`: whether what runs ends with this
        process, as it does in any case where that is PID 1. DefinitionError when the files cannot be used."""
        self._store = store
        self._journal = journal
        self._is_init = os.getpid() == 1  # of a container, say: the kernel kills the rest when it ends
        self._stops_commands = stop_commands or self._is_init
        self._notifier = notifier
        self._reloader = Reloader(files)
        self._executor = Executor(store.state_dir, "daemon")
        self._engine = LocalEngine(store, self._executor, observer=self, keeper=keeper)
        self._capacity = Capacity(store, self._executor.id, max_concurrent_runs)
        self._starter = Starter(store, self._engine, self._capacity, self._never_began)
        self._scheduler = Scheduler(store, self._starter, clock.boot())
        self._others: set[str] = set()
        self._look_at = 0  # monotonic
        self._prune_at = clock.monotonic() + PRUNE_MS // 60
        self._to_prune: list[str] | None = None  # jobs of this round that are still to be looked at; None between two
        self._forget_after: firings.Place | None = None
        self._aged_at = 0  # by which age is measured in this round
        self._gone: dict[str, tuple[int, int, int]] = {}  # what this round has removed: how many, from when to when
        self._forgotten: dict[int, tuple[int, int, int]] = {}
        # Before anything of this daemon is recorded, by a clock that may be wrong.
        self._believed = times.read(store, self._executor.boot, clock.boottime(), clock.now())
        # While no daemon looked; what one has seen to already is seen to once more, which changes nothing.
        self._clock_step = times.step(store, self._executor.boot, clock.boottime(), clock.now())
        self._offset = clock.now() - clock.boottime()
        self._slept = clock.boottime() - clock.monotonic()
        self._dispatch = True
        self._rescue = True
        self._orphans = True
        self._known_orphans: set[tuple[int, int | None]] = set()
        self._not_before = 0  # monotonic: the duties rest after an error
        self._told_at = clock.monotonic()
        self._told: list[tuple[str, int]] = []
        self._log_held_since: int | None = None  # monotonic
        self._little_said = False
        self._late_from = 0  # monotonic: until then nobody looks for what was not begun in time
        self._clock_said_at = 0  # monotonic: when it was last said that the clock was set
        self._watchdog_ms = notifier.watchdog_ms if notifier.watchdog_ms is not None else _NEVER_MS
        self._look_at_others = False
        self._clock_was_set = abs(self._clock_step) > _CLOCK_STEP_MS
        self._arm_again = False
        self._aside = Aside()
        self._anew_at, self._anew_pause = -_ANEW_FORGOTTEN_MS, RETRY_MS
        self._read_by: int | None = None  # monotonic: until then nothing fires, for definitions have changed
        self._wakeup = -1
        self._fires_until: int | None = None
        self._handlers: dict[int, Any] = {}
        self._stops: list[int] = []
        self._reload_asked = False

    def start(self) -> None:
        """Arm the schedules and take over what is there. From here on the daemon is ready."""
        self._catch_signals()
        self._store.record_executor()
        self._set_queues()
        self._arm()
        self._tell_definitions()
        self._housekeeping()
        poke_daemons(self._store)  # they are to see when this one dies
        self._store.be_patient(LOOP_PATIENCE_MS)
        jobs = self._reloader.catalog.jobs
        self._journal.say(
            f"ready: {_count(len(jobs), 'job')}, {_count(sum(len(j.schedules) for j in jobs.values()), 'schedule')}"
        )
        self._notifier.tell(f"READY=1\nSTATUS={len(jobs)} jobs")

    def run(self, *, drain_ms: int = 0) -> int:
        """Go on until SIGTERM or SIGINT; the number of that signal. What runs then ends within `drain_ms`, or is left
        running for the next daemon; a second signal leaves at once."""
        try:
            while not self._stops:
                self.turn()
            number = self._stops[0]
            self._journal.say(f"{signal.Signals(number).name}: stopping; {_run(self._engine.attempts_running)}")
            self._notifier.tell("STOPPING=1")
            self._drain(drain_ms)
            self._stop_commands()
        finally:
            self.close()
        return number

    def run_once(self) -> int:
        """Do what is due now, see it through, and end; the number of the signal that cut it short, 0 for none."""
        self._fires_until = clock.now()
        try:
            self.turn(0)
            while (self._at_work() or self._dispatch or self._next_due() is not None) and not self._stops:
                self.turn()
            self._stop_commands()
        finally:
            self.close()
        return self._stops[0] if self._stops else 0

    def close(self) -> None:
        left, running = len(self._engine.runs), self._engine.attempts_running
        if left:
            what = f"{left} {'run is' if left == 1 else 'runs are'} left for the next daemon"
            if running and self._is_init:
                what += f"; {_run(running)}, and the kernel kills them with this process: it is PID 1"
            elif running:
                what += f"; {_run(running)} on"
            self._journal.say(what)
        self._journal.flush(LAST_WORDS_MS)
        self._restore_signals()
        self._engine.close()

    def turn(self, timeout_ms: int | None = None) -> None:
        """One round: wait for the next thing to happen, then every duty whose turn has come."""
        try:
            if self._engine.turn(self._wait_ms() if timeout_ms is None else timeout_ms):
                # Poked: a run was queued or reopened, a daemon has started.
                self._dispatch = self._look_at_others = True
            self._say_aside()
        except (StoreUnavailableError, OSError) as error:
            self._begin_anew(error)
        except JobctlError:
            raise  # of the store itself, which does not pass: whoever supervises us is to know
        except Exception as error:
            self._begin_anew(error)
        self._keep_watchdog()
        self._journal.flush()
        self._notifier.flush()
        if clock.monotonic() >= self._not_before:
            self._duties()
        trouble = self._engine.trouble
        self._journal.say_once("engine", f"{trouble.message}; trying again" if trouble else "")
        self._journal.say_once("keepers", self._engine.supervisor.trouble)
        self._tell_troubles()

    def _tell_troubles(self) -> None:
        """What we suffer from is for `status`, too, which cannot be told by way of a store that cannot be written."""
        if (troubles := self._journal.troubles()) != self._told:
            self._told = troubles
            self._executor.complain(troubles)

    # -- a barrier around each run ---------------------------------------------------------------------------------

    def _say_aside(self) -> None:
        """Runs that went wrong while they were advanced here: said once, and tried again after a pause."""
        while self._engine.set_aside:
            run, name, why = self._engine.set_aside.pop()
            pause = self._aside.put(run, clock.monotonic()) if run else 0
            self._rescue = self._dispatch = True
            self._journal.say_once(f"rescue {name}", f"put aside, to be tried again: {why}", run=name)
            self._look_at = min(self._look_at, clock.monotonic() + pause)

    def _begin_anew(self, error: Exception) -> None:
        """Something went wrong that is nobody's in particular: what is in memory may be half done, and is let go. All
        of it is taken up again from what is recorded, after a pause that grows as long as that does not help."""
        mono = clock.monotonic()
        quiet = mono - self._anew_at > _ANEW_FORGOTTEN_MS
        self._anew_at = mono
        self._anew_pause = RETRY_MS if quiet else min(2 * self._anew_pause, _ANEW_AT_MOST_MS)
        self._journal.say_once("anew", f"{in_a_sentence(error)}; all runs are taken up anew")
        self._engine.begin_anew()
        self._rescue = self._dispatch = True
        self._arm_again = True
        self._not_before = mono + self._anew_pause
        self._look_at = self._not_before

    # -- what the engine tells -------------------------------------------------------------------------------------

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        for event in events:
            if event.type is EventType.RUN_ENDED:
                status = carried(EventType.RUN_ENDED, event)["status"]
                self._journal.say(status.replace("_", " "), run=run.name, **_reason(event))
                self._dispatch = True  # its place is free
                if status in ("failed", "timed_out") and run.job.pause_on_failure and run.state.trigger == "schedule":
                    self._say_paused(run.job.name)
            elif event.type is EventType.RUN_CREATED:
                self._journal.say("started", run=run.name)

    def _begun(self, run: str) -> None:
        """One that was handed over, or stood in line."""
        self._journal.say("started", run=run)

    def _never_began(self, failed: Failed) -> None:
        self._journal.say("failed", run=failed.run, reason=failed.reason)
        self._dispatch = True  # what tells of it is queued
        job = self._reloader.catalog.jobs.get(failed.job)
        if job is not None and job.pause_on_failure and failed.trigger == "schedule":
            self._say_paused(job.name)

    def _say_paused(self, job: str) -> None:
        self._journal.say("its schedules are paused: a run failed (pause_on_failure)", job=job)

    # -- duties ----------------------------------------------------------------------------------------------------

    def _duties(self) -> None:
        """Every duty whose turn has come. One that cannot be done does not keep the others from theirs."""
        mono, now = clock.monotonic(), clock.now()
        trouble = ""
        spent = reserve.is_spent(self._store.state_dir)
        self._journal.say_once("reserve", reserve.SPENT if spent else "")
        for duty in (
            self._follow_clock,
            *(() if spent else (self._fire,)),
            self._look,
            self._take_over,
            self._end_late,
            *(() if spent else (self._begin_queued,)),
            self._prune,
        ):
            if self._engine.trouble is not None:  # nothing can be recorded: nothing new is begun
                self._not_before = mono + RETRY_MS
                return
            try:
                duty(now, mono)
            except StoreLostError:
                raise  # nothing that is tried again here will help
            except Exception as error:
                trouble = trouble or in_a_sentence(error)
                reserve.give_up_for(error, self._store.state_dir)
        self._say_aside()
        self._journal.say_once("duties", f"{trouble}; trying again" if trouble else "")
        if trouble or spent:
            self._not_before = mono + RETRY_MS
            self._look_at = min(self._look_at, self._not_before)

    def _follow_clock(self, now: int, mono: int) -> None:
        boot = clock.boottime()
        step, slept = now - boot - self._offset, boot - mono - self._slept
        self._offset, self._slept = now - boot, boot - mono
        if abs(step) > _CLOCK_STEP_MS:
            self._journal.say(f"the clock was set: {step / 1000:+.1f} s")
            if abs(step) >= _CLOCK_SAID_FROM_MS:
                self._clock_said_at = mono
                self._journal.know("clock", f"the clock was set by {step / 1000:+,.0f} s")
            self._clock_step += step
            self._clock_was_set = True
        if slept > _CLOCK_STEP_MS:
            self._journal.say(f"the machine slept: {slept / 1000:.1f} s")
            self._clock_was_set = True
        if self._clock_was_set:
            with alone(self._store.state_dir):  # what others fire meanwhile would lie ahead of the clock as it was read
                self._scheduler.resync(clock.now(), self._clock_step)
            if self._clock_step:
                self._store.wake_all(clock.now())
            self._clock_was_set, self._clock_step = False, 0

    def _fire(self, now: int, _: int) -> None:
        due = self._next_due()
        if due is not None and due <= now and not self._must_read_first():
            with alone(self._store.state_dir):
                self._capacity.refresh()
                told = self._scheduler.once(
                    now if self._fires_until is None else self._fires_until, spread=self._fires_until is None
                )
            self._dispatch = self._dispatch or told  # what tells of missed fire times is queued

    def _must_read_first(self) -> bool:
        """Whether definitions have changed since they were read: what was taken away fires no more. A file that never
        comes to rest holds nothing up for long."""
        if not self._reloader.changed():
            self._read_by = None
            return False
        mono = clock.monotonic()
        if self._read_by is None:
            self._read_by, self._look_at = mono + _READ_FIRST_MS, 0
        return mono < self._read_by

    def _look(self, _: int, mono: int) -> None:
        if mono >= self._look_at:
            self._housekeeping()
        elif self._look_at_others:
            self._watch_others()

    def _take_over(self, now: int, _: int) -> None:
        if self._orphans:
            self._orphans = False
            for name, what in rescuer.orphans(self._store, self._known_orphans):
                self._journal.say(what, run=name)
        if self._rescue:
            self._rescue = False
            for name, what in rescuer.once(self._store, self._engine, now, self._never_began, self._aside):
                if what == rescuer.TAKEN_OVER:
                    self._journal.say(what, run=name)
                else:
                    self._orphans = self._dispatch = True  # it may have been ended: without its children, and told
                    self._journal.say_once(f"rescue {name}", what, run=name)

    def _end_late(self, now: int, mono: int) -> None:
        due = self._store.next_too_late()
        if due is None or due > now or mono < self._late_from:
            return
        self._dispatch = True  # others may stand in line behind it, and what tells of it is queued
        try:
            for row in unbegun.end_late(self._store, now):
                self._journal.say("canceled", run=row.name, reason=TOO_LATE)
        except Exception:
            self._late_from = mono + _LATE_AGAIN_MS  # one that cannot be read is too late at every look
            raise

    def _begin_queued(self, now: int, _: int) -> None:
        if not self._engine.draining:
            for name, why in dispatcher.wake(self._store, self._engine, now):
                self._journal.say_once(f"wake {name}", f"cannot go on: {why}", run=name)
        if self._dispatch and not self._engine.draining:
            self._dispatch = False
            with alone(self._store.state_dir):
                troubles = dispatcher.once(
                    self._store, self._engine, self._capacity, self._never_began, self._aside, self._begun
                )
            for name, why in troubles:
                self._journal.say_once(f"dispatch {name}", f"cannot begin: {why}", run=name)

    def _prune(self, now: int, mono: int) -> None:
        """A little a turn, and the next turn soon: what fires in between is not held up."""
        if mono < self._prune_at:
            return
        jobs = self._reloader.catalog.jobs
        if self._to_prune is None:
            self._aged_at = self._believed_now(now)
            self._to_prune, self._forget_after = list(jobs), firings.FIRST
            self._orphans = True
        # Finding out that nothing of a long history is due takes a while, too: not all jobs in one turn.
        while self._to_prune and clock.monotonic() < mono + _PRUNE_FOR_MS:
            job = jobs.get(self._to_prune[-1])
            gone = pruner.once(self._store, {job.name: job}, self._aged_at) if job is not None else []
            for one in gone:
                count, first, last = self._gone.get(one.job, (0, one.ended, one.ended))
                self._gone[one.job] = count + 1, min(first, one.ended), max(last, one.ended)
            if not gone:
                self._to_prune.pop()
        if self._forget_after is not None:
            self._forget_after = firings.forget(
                self._store, self._aged_at - FIRINGS_KEPT_MS, self._forget_after, self._forgotten
            )
        self._store.vacuum(VACUUM_PAGES)
        self._store.checkpoint()  # in small pieces, as it grows: a large one would hold up what fires
        if self._to_prune or self._forget_after is not None:
            self._prune_at = mono + _PRUNE_AGAIN_MS
        else:
            self._to_prune = None
            self._prune_at = mono + PRUNE_MS
            self._say_gone()

    def _say_gone(self) -> None:
        """What was removed, a line a job: nothing goes in silence."""
        for what, gone in (
            ("its keep has removed {} of its runs, which ended from {} to {}", self._gone),
            (
                "what became of {} of its fire times is forgotten, from {} to {}",
                {firings.job_of(self._store, number): told for number, told in self._forgotten.items()},
            ),
        ):
            for job, (count, first, last) in gone.items():
                self._journal.say(what.format(f"{count:,}", local_time(first), local_time(last)), job=job)
        self._gone, self._forgotten = {}, {}

    def _believed_now(self, now: int) -> int:
        """What time it is, for what is removed by its age."""
        boot = clock.boottime()
        before = self._believed
        ahead = now - before.expected(boot)
        at, self._believed = look(before, now, boot, synchronised=ahead > 0 and clock.synchronised())
        if self._believed != before:
            times.write(self._store, self._executor.boot, self._believed)
        doubted = self._believed.doubted is not None
        self._journal.say_once(
            "believed",
            f"the clock is {duration(ahead - ahead % 60_000)} ahead of all that was recorded: age is not measured by it"
            " until it has been so for a day, or the kernel calls it synchronised"
            if doubted
            else "",
        )
        return at

    def _housekeeping(self) -> None:
        mono = clock.monotonic()
        self._look_at = mono + LOOK_MS
        self._look_at_zones()
        self._reload()
        if self._reloader.unsettled:
            self._look_at = mono + SETTLE_MS
        self._watch_others()
        # Also runs whose executor left no row, and those that could not be taken before.
        self._rescue = True
        self._dispatch = True
        self._look_at_log(mono)
        self._look_at_space()
        if self._clock_said_at and mono - self._clock_said_at > _CLOCK_SAID_MS:
            self._clock_said_at = 0
            self._journal.say_once("clock", "")
        if len(self._aside):
            self._aside.keep({row.id for row in self._store.alive()})
        rescuer.forget_dead(self._store)

    def _look_at_zones(self) -> None:
        if changed := self._scheduler.look_at_zones():
            self._journal.say(changed)
        self._journal.say_once("zone", self._scheduler.zone_trouble)
        self._journal.say_once("schedules", self._scheduler.look_at_broken())

    def _look_at_space(self) -> None:
        """Keep some room in reserve, and say once that little is left: `status` says it itself."""
        reserve.keep(self._store.state_dir)
        little = self._store.little_space()
        if little and not self._little_said:
            self._journal.say(little, level="error")
        self._little_said = bool(little)

    def _look_at_log(self, mono: int) -> None:
        """Empty the write-ahead log. Whoever reads in it all the time keeps it from getting smaller, which is said."""
        self._store.checkpoint()
        if not self._store.log_is_held:
            self._log_held_since = None
            self._journal.say_once("log", "")
            return
        if self._log_held_since is None:
            self._log_held_since = mono
        if mono - self._log_held_since >= _LOG_HELD_MS and (said := self._store.log_held()):
            self._journal.say_once("log", said)

    def _watch_others(self) -> None:
        """Learn at once of the death of every executor on this store."""
        self._look_at_others = False
        known = self._store.executors()
        self._others &= known.keys()
        for name, (pid, _, _) in known.items():
            if name == self._executor.id or name in self._others:
                continue
            if executor.alive(self._store.state_dir, name):
                if pid > 1:  # the first process of a container is no other's business: its lock is looked at
                    self._others.add(name)
                    self._engine.watch_process(pid, self._executor_ended)
            else:
                self._executor_ended()

    def _executor_ended(self) -> None:
        self._rescue = self._orphans = True

    def _reload(self) -> None:
        force = self._reload_asked
        if force:
            self._reload_asked = False
            self._notifier.tell(f"RELOADING=1\nMONOTONIC_USEC={clock.monotonic() * 1000}")
        self._arm_again = self._reloader.once(force=force) or self._arm_again
        if self._arm_again:
            self._set_queues()
            self._arm()
            self._arm_again = False
            self._journal.say(f"definitions reloaded: {_count(len(self._reloader.catalog.jobs), 'job')}")
        if not self._reloader.changed():
            self._read_by = None
        problem = self._reloader.problem
        self._tell_definitions()
        self._journal.say_once("definitions", f"{problem.message}; the old definitions stay in use" if problem else "")
        if force:
            self._notifier.tell("READY=1")

    def _tell_definitions(self) -> None:
        """What `status` asks: which files are used, and why what they say now is not."""
        problem = self._reloader.problem
        why = None if problem is None else {"message": problem.message, "hint": problem.hint}
        self._executor.tell(files=list(self._reloader.files), definitions_problem=why)

    def _set_queues(self) -> None:
        self._engine.queues = self._reloader.catalog.queues
        self._capacity.set_queues(self._reloader.catalog.queues)

    def _arm(self) -> None:
        self._scheduler.arm(self._reloader.catalog.jobs, self._reloader.files, clock.now())
        # By another clock they may have been dealt with beyond what this one shows.
        self._clock_was_set = self._clock_was_set or self._scheduler.is_ahead(clock.now())

    def _next_due(self) -> int | None:
        """When the next fire time has to be dealt with here."""
        due = self._scheduler.next_due()
        return None if due is None or (self._fires_until is not None and due > self._fires_until) else due

    def _at_work(self) -> bool:
        """Whether something is under way that goes on by itself."""
        runs = self._engine.runs.values()
        return any(run.state.status is not RunStatus.PAUSED for run in runs) or (self._engine.busy and not runs)

    def _wait_ms(self) -> int:
        mono = clock.monotonic()
        times = [self._look_at, self._prune_at]
        if self._journal.untold:
            times.append(mono + RETRY_MS)
        due = self._next_due()
        if due is not None and self._read_by is None:
            times.append(mono + due - clock.now())
        if self._rescue or self._dispatch:
            times.append(mono)
        for instant, earliest in ((self._store.next_wake(), 0), (self._store.next_too_late(), self._late_from)):
            if instant is not None:
                times.append(max(earliest, mono + instant - clock.now()))
        until = max(min(times), self._not_before)
        return max(0, min(until, self._told_at + self._watchdog_ms) - mono)

    def _keep_watchdog(self) -> None:
        mono = clock.monotonic()
        if mono >= self._told_at + self._watchdog_ms:
            self._told_at = mono
            self._notifier.tell("WATCHDOG=1")

    # -- stop ------------------------------------------------------------------------------------------------------

    def _drain(self, drain_ms: int) -> None:
        self._engine.draining = True
        until = clock.monotonic() + drain_ms
        while self._engine.attempts_running and clock.monotonic() < until and len(self._stops) == 1:
            self._last_turn(until)

    def _stop_commands(self) -> None:
        """Where nothing outlives this process, what runs is asked to end, and how it did is recorded: it ends in any
        case, and would be killed without a word."""
        if not self._stops_commands or len(self._stops) > 1:
            return
        running = self._engine.stop_attempts()
        if running:
            self._journal.say(f"{_run(running)}: asked to end, and killed after their kill_grace")
        grace = max((run.job.kill_grace for run in self._engine.runs.values()), default=0)
        until = clock.monotonic() + grace + SLACK_MS
        while (self._engine.stop_attempts() or self._engine.trouble is not None) and len(self._stops) < 2:
            if clock.monotonic() >= until:
                return
            self._last_turn(until)

    def _last_turn(self, until: int) -> None:
        """One round of a daemon that ends: what runs is looked at, and nothing else."""
        try:
            self._engine.turn(max(0, min(until - clock.monotonic(), 1_000, self._watchdog_ms)))
            self._say_aside()
        except (StoreUnavailableError, OSError) as error:
            self._begin_anew(error)
        self._keep_watchdog()

    def _catch_signals(self) -> None:
        self._wakeup = signal.set_wakeup_fd(self._executor.wake_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._came)
        # Ignored, as it may be inherited, it would reap keepers before their time.
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Blocked, as they may be inherited too, they would never come.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)
        self._store.give_up = lambda: bool(self._stops)

    def _restore_signals(self) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._wakeup)
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _came(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_asked = True
            self._look_at = 0
        else:
            self._stops.append(number)


def _run(commands: int) -> str:
    return f"{commands} {'command runs' if commands == 1 else 'commands run'}"


def _reason(event: Event) -> dict[str, str]:
    data = carried(EventType.RUN_ENDED, event)
    return {"reason": data["reason"] or ""} if "reason" in data else {}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def default_concurrency() -> int:
    """How many runs a daemon has under way at once unless it is told: most wait for something else than a processor."""
    return max(100, 16 * (os.cpu_count() or 1))
