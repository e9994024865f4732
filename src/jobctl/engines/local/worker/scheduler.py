"""Which schedules fire now, and what each fire does: a run, a place in the buffer, or a record of why there is none."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile

from jobctl.core.durations import format
from jobctl.core.errors import StoreError
from jobctl.core.model import Job, OverlapPolicy, RunStatus, Schedule, encode_schedule
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import TOO_LATE
from jobctl.core.schedule import overlap, zones
from jobctl.core.schedule.overlap import Fire
from jobctl.core.schedule.rows import Dropped
from jobctl.core.schedule.schedule import (
    AHEAD_MS,
    fires,
    follows_real_time,
    format_instant,
    goes_on_from,
    is_dealt_with,
    jitter,
    next_fire,
)
from jobctl.engines.local.submit import run_of
from jobctl.engines.local.worker.starter import Starter
from jobctl.engines.trouble import in_a_sentence
from jobctl.host import machine
from jobctl.store import firings
from jobctl.store.append import Batch
from jobctl.store.store import Store

# Fire times of one schedule dealt with at a time: one that was down for a month has millions, and others are due too.
_MOST_AT_ONCE = 20_000
# Schedules dealt with in one commit, at first and at most: commands start while other schedules are still to be looked
# at.
_AT_FIRST = 5
_AT_A_TIME = 40
_A_YEAR = 365 * 86_400_000  # Temporal's default catch-up window
_ON_TIME_MS = 1_000  # nobody is exactly on time; a shorter catch-up window would let no fire time through
_REPLACES = {OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER}


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
        self._found = machine.look_for_zone()
        self._zone_marks = machine.zone_marks()
        self._rule_marks: dict[str, str] = {}
        self._armed: dict[int, _Armed] = {}
        self._progress: dict[int, int] = {}
        # The last fire time that was dealt with, where that lies beyond the progress: the clock was set back.
        self._dealt_with: dict[int, int] = {}
        self._stood: dict[int, int] = {}  # how far those were that this daemon has seen set back
        # What next_fire answered, and for which progress: that a schedule never fires takes it long to find out.
        self._next: dict[int, tuple[int, int | None]] = {}
        # job -> the fire time that got a run in this look; schedule -> the same, while it has more to deal with
        self._first: dict[str, int] = {}
        self._first_of: dict[int, int] = {}
        # Schedules that were late by more than their jitter: (when that was seen, when they start).
        self._spread: dict[int, tuple[int, int]] = {}
        self._found_alive: dict[int, tuple[int, int]] = {}  # (begun, buffered), for schedules with more to deal with
        self._broken: dict[int, str] = {}  # schedules that cannot be followed just now, and why
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
        self._next = {e.id: self._next[e.id] for e in entries if e.id in self._next}
        self._found_alive = {}
        self._first_of = {}
        self._spread = {e.id: self._spread[e.id] for e in entries if e.id in self._spread}
        self._dealt_with = firings.ahead(self._store)
        self._due = []
        for entry in entries:
            self._push(entry.id)

    def next_due(self) -> int | None:
        """When `once` has something to do: an instant, None for never."""
        return self._due[0][0] if self._due else None

    def once(self, now: int, *, spread: bool = True) -> bool:
        """Deal with the fire times that have come. A schedule with very many of them goes on at the next call. Returns
        whether notifications of what was missed were queued.

        `spread`: one that is late by more than its jitter starts its share of that after now. Whole machines wake up,
        and all that slept with them would start at once.

        StoreError when that cannot be recorded: what was not dealt with is tried again at the next call.
        """
        due: list[tuple[int, int]] = []
        later: list[tuple[int, int]] = []
        told = False
        while self._due and self._due[0][0] <= now:
            start, number = heapq.heappop(self._due)
            try:
                if spread and self._is_to_spread(start, number, now):
                    later.append((self._spread[number][1], number))
                else:
                    due.append((start, number))
            except Exception as error:
                self._cannot_be_followed(number, error)
        for entry in later:
            heapq.heappush(self._due, entry)
        size = _AT_FIRST
        self._first = {}
        while due:
            found_alive, first, first_of = self._found_alive.copy(), self._first.copy(), self._first_of.copy()
            try:
                dealt, queued = self._deal([number for _, number in due[:size]], now)
            except Exception:
                self._found_alive, self._first, self._first_of = found_alive, first, first_of
                for entry in due:
                    heapq.heappush(self._due, entry)
                raise
            told = told or queued
            for number, more in dealt:
                if not more:
                    self._spread.pop(number, None)
                self._push(number, again_at=now if more else None)
            del due[:size]
            size = min(2 * size, _AT_A_TIME)
        return told

    def _deal(self, numbers: list[int], now: int) -> tuple[list[tuple[int, bool]], bool]:
        """Fire these schedules. Returns those that go on, each with whether more of its fire times have come; and
        whether notifications were queued."""
        # Another daemon on this store may have been faster; its word counts, and what it dealt with is not looked at.
        reached = firings.progress(self._store, numbers)
        paused = firings.paused(self._store)
        told = False
        dealt: list[tuple[int, bool]] = []
        progress: dict[int, int] = {}
        for number in numbers:
            if number not in reached:
                continue  # removed, as another daemon has read already
            self._progress[number] = max(self._progress[number], reached[number])
            armed = self._armed[number]
            try:
                due, more = self._due_times(armed, now)
                if due and armed.job.name in paused:
                    self._starter.pass_over(number, due[-1])
                    self._found_alive.pop(number, None)
                elif due:
                    told = self._fire(armed, due, now, more) or told
            except (StoreError, OSError):
                raise  # it is nobody's in particular
            except Exception as error:
                self._cannot_be_followed(number, error)
                continue
            if due:
                progress[number] = due[-1]
            dealt.append((number, more))
        self._starter.flush()
        self._progress.update(progress)
        return dealt, told

    def _beyond_limit(self, armed: _Armed, due: list[int], now: int, more: bool) -> int:
        """How many of these fire times are too many to catch up with: the newest of all that have come are kept."""
        limit = armed.job.catchup_limit
        rest = fires(armed.schedule, due[-1], now, self._zone_of(armed), limit) if due and more else ()
        return min(len(due), max(0, len(due) + len(rest) - limit))

    def _drop(self, armed: _Armed, outcome: str, times: list[int], reason: str, now: int) -> bool:
        """Fire times without a run. Whether notifications of it are queued."""
        gone = Dropped(armed.id, outcome, times[0], times[-1], len(times), reason)
        told: list[Batch] = []
        if outcome == "missed" and armed.job.notify:
            from jobctl.engines.local.notifications import missed

            told = missed(self._store, armed.job, gone, now)
        self._starter.drop(gone, now, told)
        return bool(told)

    def resync(self, now: int, step: int = 0) -> None:
        """Go on where the clock stands now: it may have been set, by `step` as far as that is known, or been ahead
        before this daemon lived. A progress that lies ahead of it would silence its schedule until then.

        To be called while no other daemon fires, with the clock read since: what one has just dealt with lies ahead of
        whoever read it before.
        """
        reached = firings.progress(self._store, list(self._progress))
        self._progress.update(reached)
        ahead = {}
        for number, progress in reached.items():
            goes_on, counts = goes_on_from(self._armed[number].schedule, progress, now, step=step)
            if goes_on != progress:
                ahead[number] = counts
        for number in ahead:
            self._stood[number] = max(self._stood.get(number, 0), reached[number])
        if ahead:
            firings.rewind(self._store, ahead, now)
            self._progress.update(dict.fromkeys(ahead, now))
            for number in ahead:
                self._next.pop(number, None)  # what is dealt with after that instant may be other now
        self._dealt_with = firings.ahead(self._store)
        if step > AHEAD_MS:
            # And forth again: what follows real time has missed nothing up to where it had stood.
            again = {
                number: min(stood, now)
                for number, stood in self._stood.items()
                if number in self._armed and follows_real_time(self._armed[number].schedule)
            }
            firings.skip(self._store, again)
            self._progress.update((number, max(self._progress[number], at)) for number, at in again.items())
        self._due = []
        for number in self._armed:
            self._push(number)

    @property
    def _zone(self) -> str:
        """The machine's, for schedules without one of their own."""
        return self._found.name

    @property
    def zone_trouble(self) -> str:
        """What is wrong with how the machine names it, and the way out."""
        found = self._found
        return found.trouble + (f"; {found.hint}" if found.hint else "")

    def look_at_zones(self) -> str:
        """See whether the machine is in another zone, or the rules of one have changed, since the last look: fire times
        are computed anew then. Returns what has changed, in a sentence; "" for nothing."""
        marks, rules = machine.zone_marks(), machine.rule_marks({self._zone_of(a) for a in self._armed.values()})
        moved = marks != self._zone_marks
        changed = sorted(name for name in rules if rules[name] != self._rule_marks.get(name, rules[name]))
        self._zone_marks, self._rule_marks = marks, rules
        if not (moved or changed):
            return ""
        zones.forget()
        before, self._found = self._found.name, machine.look_for_zone()
        self._next = {}
        self._due = []
        for number in self._armed:
            self._push(number)
        if before != self._zone:
            return f"the machine's time zone was {before} and is {self._zone} now: schedules without one follow it"
        return f"the rules of {', '.join(changed) or self._zone} have changed"

    def is_ahead(self, now: int) -> bool:
        """Whether a schedule stands ahead of the clock: `resync` is due."""
        return any(
            progress > now + AHEAD_MS and not self._armed[number].schedule.boot
            for number, progress in self._progress.items()
        )

    def look_at_broken(self) -> str:
        """Try once more to follow the schedules that could not be. Returns what is wrong, in a sentence; "" for
        nothing."""
        broken, self._broken = self._broken, {}
        for number in broken:
            if number in self._armed:
                self._push(number)
        if not self._broken:
            return ""
        number, why = next(iter(self._broken.items()))
        more = f" (and {len(self._broken) - 1} more)" if len(self._broken) > 1 else ""
        return f"a schedule of the job {self._armed[number].job.name} does not fire{more}: {why}"

    def _cannot_be_followed(self, number: int, error: Exception) -> None:
        """One schedule keeps no other from firing: it is tried again at each look."""
        self._broken[number] = in_a_sentence(error)
        self._next.pop(number, None)

    def _push(self, number: int, again_at: int | None = None) -> None:
        try:
            self._push_it(number, again_at)
        except Exception as error:
            self._cannot_be_followed(number, error)

    def _push_it(self, number: int, again_at: int | None) -> None:
        armed = self._armed[number]
        if again_at is not None:
            heapq.heappush(self._due, (again_at, number))
            return
        if armed.schedule.boot:
            if self._boot_due(armed):
                heapq.heappush(self._due, (0, number))  # at once, wherever the clock stood when the machine started
            return
        progress = self._progress[number]
        known = self._next.get(number)
        if known is None or known[0] != progress:
            nominal = self._next_of(armed, progress)
            known = self._next[number] = (progress, None if nominal is None else self._starts_at(armed, nominal))
        if known[1] is not None:
            heapq.heappush(self._due, (self._spread[number][1] if number in self._spread else known[1], number))

    def _is_to_spread(self, start: int, number: int, now: int) -> bool:
        """Whether it is late by more than its jitter, and was not put off for that."""
        armed = self._armed[number]
        span = armed.schedule.jitter
        if not span or now - start <= span or number in self._spread or number in self._found_alive:
            return False
        nominal = self._next_of(armed, self._progress[number])
        share = 0 if nominal is None else jitter(armed.job.name, armed.key, nominal, span)
        self._spread[number] = now, now + share
        return share > 0

    def _next_of(self, armed: _Armed, after: int) -> int | None:
        """The next fire time that has not been dealt with."""
        nominal = next_fire(armed.schedule, after, zone=self._zone_of(armed))
        if armed.id not in self._dealt_with or follows_real_time(armed.schedule):
            return nominal
        dealt = firings.beyond(self._store, armed.id, after)
        while nominal is not None and is_dealt_with(nominal, dealt):
            nominal = next_fire(armed.schedule, nominal, zone=self._zone_of(armed))
        return nominal

    def _due_times(self, armed: _Armed, now: int) -> tuple[list[int], bool]:
        """Fire times after the progress whose start has come, oldest first; whether there are more of them."""
        if armed.schedule.boot:
            return self._boot_due(armed), False
        progress = self._progress[armed.id]
        found = fires(armed.schedule, progress, now, self._zone_of(armed), _MOST_AT_ONCE + 1)
        if armed.id in self._dealt_with:
            if progress >= self._dealt_with[armed.id]:
                del self._dealt_with[armed.id]
            elif not follows_real_time(armed.schedule):
                dealt = firings.beyond(self._store, armed.id, progress)
                found = [fire for fire in found if not is_dealt_with(fire, dealt)]
        due = self._started_before(armed, found, now + 1)
        return due[:_MOST_AT_ONCE], len(due) > _MOST_AT_ONCE

    def _started_before(self, armed: _Armed, times: list[int], instant: int) -> list[int]:
        """Of these fire times, oldest first, those up to the first that starts at that instant or later.

        In their order, also where jitter turns it round: what lies before the progress is never looked at again.
        """
        if not armed.schedule.jitter:
            return times[: bisect_left(times, instant)]
        return list(takewhile(lambda nominal: self._starts_at(armed, nominal) < instant, times))

    def _without_keys_that_have_runs(self, armed: _Armed, due: list[int], now: int) -> list[int]:
        """Of these fire times those that would be a run of their own. The others are skipped before anything is ended,
        or passed over, for them."""
        if armed.job.key is None:
            return due
        left = []
        for nominal in due:
            there = run_of(self._store, armed.job, nominal)
            if there is None:
                left.append(nominal)
            else:
                self._drop(armed, "skipped", [nominal], f"there is a run with its key: {there.name}", now)
        return left

    def _turns(self, armed: _Armed, times: list[int], now: int) -> dict[int, int]:
        """When each of these fire times, which have come, could begin: where jitter turns the order round, with the one
        before it; what was put off, when it was put off to."""
        if armed.schedule.boot or armed.id in self._spread:
            return dict.fromkeys(times, now)
        starts = accumulate((self._starts_at(armed, nominal) for nominal in times), max)
        return dict(zip(times, starts, strict=True))

    def _boot_due(self, armed: _Armed) -> list[int]:
        """The fire time of a boot schedule, unless it has been dealt with."""
        return [self._boot] if self._boot is not None and self._progress[armed.id] < self._boot else []

    def _zone_of(self, armed: _Armed) -> str:
        return armed.schedule.timezone or armed.job.timezone or self._zone

    def _starts_at(self, armed: _Armed, nominal: int) -> int:
        if not armed.schedule.jitter:
            return nominal
        return nominal + jitter(armed.job.name, armed.key, nominal, armed.schedule.jitter)

    def _fire(self, armed: _Armed, due: list[int], now: int, more: bool) -> bool:
        """Start, buffer or skip, oldest first; what is older than the catch-up window is missed. `more`: the next
        fire times have come, too. Whether notifications of what was missed are queued."""
        job = armed.job
        window = _A_YEAR if job.catchup_window is None else max(job.catchup_window, _ON_TIME_MS)
        told = False
        its_turn = self._turns(armed, due, now)
        asked = self._spread[armed.id][0] if armed.id in self._spread else now  # what was put off is not late for it
        # A boot is fired at the first look after it: a machine that starts slowly has missed nothing.
        late = [] if armed.schedule.boot else self._started_before(armed, due, asked - window)
        if late:
            told = self._drop(armed, "missed", late, "no daemon ran within the catch-up window", now)
        due = due[len(late) :]
        limit = job.start_within
        if limit is not None and not armed.schedule.boot:
            stale = self._started_before(armed, due, asked - max(limit, _ON_TIME_MS))
            if stale:
                told = self._drop(armed, "missed", stale, f"{TOO_LATE} (start_within = {format(limit)})", now) or told
            due = due[len(stale) :]
        excess = self._beyond_limit(armed, due, now, more)
        if excess:
            reason = f"more fire times had come due than catchup_limit = {job.catchup_limit:,}"
            told = self._drop(armed, "missed", due[:excess], reason, now) or told
        due = self._without_keys_that_have_runs(armed, due[excess:], now)
        replaced = (due if more else due[:-1]) if job.overlap in _REPLACES else []
        if replaced:
            reason = f"a later fire time took its place (overlap = {job.overlap})"
            self._drop(armed, "skipped", replaced, reason, now)
        due = due[len(replaced) :]
        begun, buffered = firings.alive_runs(self._store, job.name)
        # All that has come by now finds the same runs alive, though it is dealt with in several portions.
        before = self._found_alive.pop(armed.id, (0, 0))
        running = max(before[0], len(begun) + self._starter.begun(job.name))
        waiting = max(before[1], len(buffered) + self._starter.held(job.name))
        first = self._first_of.pop(armed.id, self._first.get(job.name))
        for place, nominal in enumerate(due):
            decision = overlap.decide(job.overlap, running=running, buffered=waiting)
            if decision.fire is Fire.SKIP:
                # So are the others: nothing changes any more.
                reason = decision.reason or ""
                if first is not None:
                    when = format_instant(first - first % 1000, self._zone_of(armed))
                    reason = overlap.came_together(job.overlap, when)
                self._drop(armed, "skipped", due[place:], reason, now)
                break
            if decision.fire is not Fire.START and decision.fire is not Fire.BUFFER:
                self._starter.end(job.name, terminate=decision.fire is Fire.TERMINATE_OTHER)
            hold = decision.fire is not Fire.START
            status = self._starter.start(
                job,
                now,
                trigger="schedule",
                fire_time=nominal,
                schedule=armed.id,
                hold=hold,
                due=its_turn[nominal],
                again=armed.id in self._dealt_with,
            )
            if first is None:
                first = self._first[job.name] = nominal
            running += status is RunStatus.RUNNING
            waiting += status is RunStatus.QUEUED
        if more:
            self._found_alive[armed.id] = (running, waiting)
            if first is not None:
                self._first_of[armed.id] = first
        return told
