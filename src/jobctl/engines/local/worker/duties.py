"""What a worker that stays does in its turn, one class a duty: `due` says whether its turn has come, `once` does it.
How each is done stands in the file of its subject: scheduler, rescuer, dispatcher, pruner.
"""

from __future__ import annotations

from jobctl.core.believed import look
from jobctl.core.run.history import TOO_LATE
from jobctl.core.text import duration, local_time
from jobctl.engines.local import unbegun
from jobctl.engines.local.worker import dispatcher, pruner, rescuer
from jobctl.engines.local.worker.turns import alone
from jobctl.host import reserve
from jobctl.store import firings, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.believed import Believed
    from jobctl.engines.local.worker.resident import Resident
    from jobctl.engines.values import Moment

LOOK_MS = 5_000  # what nobody pokes us for is seen within this time: files, clocks, dead executors
SETTLE_MS = 300  # a definitions file that changes is read when it has been still for this long
PRUNE_MS = 3_600_000
VACUUM_PAGES = 500  # given back to the disk after each portion: some milliseconds
FIRINGS_KEPT_MS = 90 * 86_400_000  # what became of fire times whose run is gone
_READ_FIRST_MS = 3_000  # so long at most nothing fires because definitions are just being changed
_CLOCK_STEP_MS = 1_000
_CLOCK_SAID_FROM_MS = 60_000  # a step that `status` tells of, for an hour
_CLOCK_SAID_MS = 3_600_000
_LATE_AGAIN_MS = 60_000
_LOG_HELD_MS = 60_000  # so long somebody may be in the way of the log
_PRUNE_FOR_MS = 5
_PRUNE_AGAIN_MS = 50


class FollowClock:
    """Arms the schedules anew when the wall clock was set."""

    begins = False

    def __init__(self, worker: Resident, step: int) -> None:
        self._worker = worker
        host = worker.host
        self.step = step
        self.was_set = abs(step) > _CLOCK_STEP_MS
        self.said_at = 0  # monotonic: when it was last said that the clock was set
        self._offset = host.now() - host.boottime()
        self._slept = host.boottime() - host.monotonic()

    def due(self, now: Moment) -> bool:
        worker, boot = self._worker, self._worker.host.boottime()
        step, slept = now.wall - boot - self._offset, boot - now.mono - self._slept
        self._offset, self._slept = now.wall - boot, boot - now.mono
        if abs(step) > _CLOCK_STEP_MS:
            worker.journal.say(f"the clock was set: {step / 1000:+.1f} s")
            if abs(step) >= _CLOCK_SAID_FROM_MS:
                self.said_at = now.mono
                worker.journal.know("clock", f"the clock was set by {step / 1000:+,.0f} s")
            self.step += step
            self.was_set = True
        if slept > _CLOCK_STEP_MS:
            worker.journal.say(f"the machine slept: {slept / 1000:.1f} s")
            self.was_set = True
        return self.was_set

    def once(self, _: Moment) -> None:
        worker = self._worker
        # What others fire meanwhile would lie ahead of the clock as it was read.
        with alone(worker.store.state_dir, worker.host):
            worker.scheduler.resync(worker.host.now(), self.step)
        if self.step:
            worker.store.wake_all(worker.host.now())
        self.was_set, self.step = False, 0


class Fire:
    """A fire time has come: it starts, buffers or skips a run, or is missed."""

    begins = True

    def __init__(self, worker: Resident) -> None:
        self._worker = worker
        self.read_by: int | None = None  # monotonic: until then nothing fires, for definitions have changed

    def due(self, now: Moment) -> bool:
        due = self._worker.next_due()
        return due is not None and due <= now.wall and not self._must_read_first()

    def once(self, now: Moment) -> None:
        worker = self._worker
        with alone(worker.store.state_dir, worker.host):
            worker.capacity.refresh()
            until = worker.fires_until
            told = worker.scheduler.once(now.wall if until is None else until, spread=until is None)
        worker.dispatch = worker.dispatch or told  # what tells of missed fire times is queued

    def _must_read_first(self) -> bool:
        """Whether definitions have changed since they were read: what was taken away fires no more. A file that never
        comes to rest holds nothing up for long."""
        if not self._worker.around.changed():
            self.read_by = None
            return False
        mono = self._worker.host.monotonic()
        if self.read_by is None:
            self.read_by, self._worker.look.at = mono + _READ_FIRST_MS, 0
        return mono < self.read_by


class Look:
    """Sees what nobody pokes us for: definitions, zones, the write-ahead log, who else is here."""

    begins = False

    def __init__(self, worker: Resident) -> None:
        self._worker = worker
        self.at = 0  # monotonic
        self.at_others = False
        self.others: set[str] = set()
        self._log_held_since: int | None = None  # monotonic
        self._little_said = False

    def by(self, mono: int) -> None:
        """Look then, if not before."""
        self.at = min(self.at, mono)

    def due(self, now: Moment) -> bool:
        return now.mono >= self.at or self.at_others

    def once(self, now: Moment) -> None:
        if now.mono >= self.at:
            self.housekeeping()
        else:
            self._watch_others()

    def housekeeping(self) -> None:
        worker, mono = self._worker, self._worker.host.monotonic()
        self.at = mono + LOOK_MS
        self._look_at_zones()
        worker.around.reload()
        if not worker.around.changed():
            worker.fire.read_by = None
        if worker.around.unsettled:
            self.at = mono + SETTLE_MS
        self._watch_others()
        # Also runs whose executor left no row, and those that could not be taken before.
        worker.rescue = worker.dispatch = True
        self._look_at_log(mono)
        self._look_at_space()
        clock = worker.follow_clock
        if clock.said_at and mono - clock.said_at > _CLOCK_SAID_MS:
            clock.said_at = 0
            worker.journal.say_once("clock", "")
        if len(worker.aside):
            worker.aside.keep({row.id for row in worker.store.alive()})
        rescuer.forget_dead(worker.store)

    def _look_at_zones(self) -> None:
        scheduler, journal = self._worker.scheduler, self._worker.journal
        if changed := scheduler.look_at_zones():
            journal.say(changed)
        journal.say_once("zone", scheduler.zone_trouble)
        journal.say_once("schedules", scheduler.look_at_broken())

    def _look_at_log(self, mono: int) -> None:
        """Empty the write-ahead log. Whoever reads in it all the time keeps it from getting smaller, which is said."""
        store = self._worker.store
        store.checkpoint()
        if not store.log_is_held:
            self._log_held_since = None
            self._worker.journal.say_once("log", "")
            return
        if self._log_held_since is None:
            self._log_held_since = mono
        if mono - self._log_held_since >= _LOG_HELD_MS and (said := store.log_held()):
            self._worker.journal.say_once("log", said)

    def _look_at_space(self) -> None:
        """Keep some room in reserve, and say once that little is left: `status` says it itself."""
        store = self._worker.store
        reserve.keep(store.state_dir)
        little = store.little_space()
        if little and not self._little_said:
            self._worker.journal.say(little, level="error")
        self._little_said = bool(little)

    def _watch_others(self) -> None:
        """Learn at once of the death of every executor on this store."""
        worker = self._worker
        self.at_others = False
        known = worker.store.executors()
        self.others &= known.keys()
        for name, (pid, _, _) in known.items():
            if name == worker.executor.id or name in self.others:
                continue
            if worker.lives(name):
                if pid > 1:  # the first process of a container is no other's business: its lock is looked at
                    self.others.add(name)
                    worker.engine.watch_process(pid, worker.others_gone)
            else:
                worker.others_gone()


class TakeOver:
    """An executor died: its runs go on here; child runs whose parents did not come to it are asked to end."""

    begins = False

    def __init__(self, worker: Resident) -> None:
        self._worker = worker
        self._known_orphans: set[tuple[int, int | None]] = set()

    def due(self, _: Moment) -> bool:
        return self._worker.orphans or self._worker.rescue

    def once(self, now: Moment) -> None:
        worker = self._worker
        if worker.orphans:
            worker.orphans = False
            for name, what in rescuer.orphans(worker.store, self._known_orphans, worker.host):
                worker.journal.say(what, run=name)
        if worker.rescue:
            worker.rescue = False
            for name, what in rescuer.once(worker.store, worker.engine, now.wall, worker.never_began, worker.aside):
                if what == rescuer.TAKEN_OVER:
                    worker.journal.say(what, run=name)
                else:
                    worker.orphans = worker.dispatch = True  # it may have been ended: without its children, and told
                    worker.journal.say_once(f"rescue {name}", what, run=name)


class EndLate:
    """What nobody has begun in time is over."""

    begins = False

    def __init__(self, worker: Resident) -> None:
        self._worker = worker
        self.not_before = 0  # monotonic: until then nobody looks

    def due(self, now: Moment) -> bool:
        due = self._worker.store.next_too_late()
        return due is not None and due <= now.wall and now.mono >= self.not_before

    def once(self, now: Moment) -> None:
        worker = self._worker
        worker.dispatch = True  # others may stand in line behind it, and what tells of it is queued
        try:
            for row in unbegun.end_late(worker.store, now.wall):
                worker.journal.say("canceled", run=row.name, reason=TOO_LATE)
        except Exception:
            self.not_before = now.mono + _LATE_AGAIN_MS  # one that cannot be read is too late at every look
            raise


class BeginQueued:
    """Runs that sleep and are due, and those that wait for a place, go on here."""

    begins = True

    def __init__(self, worker: Resident) -> None:
        self._worker = worker

    def due(self, _: Moment) -> bool:
        return not self._worker.engine.draining

    def once(self, now: Moment) -> None:
        worker = self._worker
        for name, why in dispatcher.wake(worker.store, worker.engine, now.wall):
            worker.journal.say_once(f"wake {name}", f"cannot go on: {why}", run=name)
        if worker.dispatch and not worker.engine.draining:
            worker.dispatch = False
            with alone(worker.store.state_dir, worker.host):
                troubles = dispatcher.once(
                    worker.store, worker.engine, worker.capacity, worker.never_began, worker.aside, worker.begun
                )
            for name, why in troubles:
                worker.journal.say_once(f"dispatch {name}", f"cannot begin: {why}", run=name)


class Prune:
    """What `keep` no longer wants: a little a turn, and the next turn soon: what fires in between is not held up."""

    begins = False

    def __init__(self, worker: Resident, believed: Believed) -> None:
        self._worker = worker
        self._believed = believed
        self.at = worker.host.monotonic() + PRUNE_MS // 60
        self.left: list[str] | None = None  # jobs of this round that are still to be looked at; None between two
        self._forget_after: firings.Place | None = None
        self._aged_at = 0  # by which age is measured in this round
        self._gone: dict[str, tuple[int, int, int]] = {}  # what this round has removed: how many, from when to when
        self._forgotten: dict[int, tuple[int, int, int]] = {}

    def due(self, now: Moment) -> bool:
        return now.mono >= self.at

    def once(self, now: Moment) -> None:
        worker, jobs = self._worker, self._worker.around.catalog.jobs
        if self.left is None:
            self._aged_at = self._believed_now(now.wall)
            self.left, self._forget_after = list(jobs), firings.FIRST
            worker.orphans = True
        # Finding out that nothing of a long history is due takes a while, too: not all jobs in one turn.
        while self.left and worker.host.monotonic() < now.mono + _PRUNE_FOR_MS:
            job = jobs.get(self.left[-1])
            gone = pruner.once(worker.store, {job.name: job}, self._aged_at) if job is not None else []
            for one in gone:
                count, first, last = self._gone.get(one.job, (0, one.ended, one.ended))
                self._gone[one.job] = count + 1, min(first, one.ended), max(last, one.ended)
            if not gone:
                self.left.pop()
        if self._forget_after is not None:
            before = self._aged_at - FIRINGS_KEPT_MS
            self._forget_after = firings.forget(worker.store, before, self._forget_after, self._forgotten)
        worker.store.vacuum(VACUUM_PAGES)
        worker.store.checkpoint()  # in small pieces, as it grows: a large one would hold up what fires
        if self.left or self._forget_after is not None:
            self.at = now.mono + _PRUNE_AGAIN_MS
        else:
            self.left = None
            self.at = now.mono + PRUNE_MS
            self._say_gone()

    def _say_gone(self) -> None:
        """What was removed, a line a job: nothing goes in silence."""
        forgotten = {firings.job_of(self._worker.store, number): told for number, told in self._forgotten.items()}
        for what, gone in (
            ("its keep has removed {} of its runs, which ended from {} to {}", self._gone),
            ("what became of {} of its fire times is forgotten, from {} to {}", forgotten),
        ):
            for job, (count, first, last) in gone.items():
                sentence = what.format(f"{count:,}", local_time(first), local_time(last))
                self._worker.journal.say(sentence, job=job)
        self._gone, self._forgotten = {}, {}

    def _believed_now(self, now: int) -> int:
        """What time it is, for what is removed by its age."""
        worker, before = self._worker, self._believed
        boot = worker.host.boottime()
        ahead = now - before.expected(boot)
        at, self._believed = look(before, now, boot, synchronised=ahead > 0 and worker.host.synchronised())
        if self._believed != before:
            times.write(worker.store, worker.executor.boot, self._believed)
        doubted = self._believed.doubted is not None
        worker.journal.say_once(
            "believed",
            f"the clock is {duration(ahead - ahead % 60_000)} ahead of all that was recorded: age is not measured by it"
            " until it has been so for a day, or the kernel calls it synchronised"
            if doubted
            else "",
        )
        return at
