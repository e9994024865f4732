"""When an attempt has lasted or been silent for too long, as far as its executor counts that; start_to_close is its
keeper's, who counts on when the executor is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic

from jobctl.core.model import Timeouts
from jobctl.core.run import attempts as rules
from jobctl.process import attempt as files_of
from jobctl.process.held import Attempt, Owner
from jobctl.process.timers import Timers

LOOKS_FOR_A_BEAT = 4  # in the time after which there is silence
_NO_TIMEOUTS = Timeouts()


class Limits(Generic[Owner]):
    """Of all attempts of an executor. `stop`: what is done to one that is beyond a limit, and which that is."""

    def __init__(self, timers: Timers, stop: Callable[[Attempt[Owner], str], None]) -> None:
        self._timers = timers
        self._stop = stop

    def _first_deadline(self, attempt: Attempt[Owner]) -> rules.Deadline | None:
        timeouts = attempt.timeouts
        limit = attempt.poll.deadline if attempt.poll is not None else None
        if timeouts == _NO_TIMEOUTS and limit is None:
            return None
        if attempt.link is not None:
            timeouts = replace(timeouts, start_to_close=None)  # its keeper's, whoever else lives
        return rules.first_deadline(
            replace(timeouts, heartbeat=None),  # which is counted by another clock: _listen
            attempt_started_at=attempt.started_at,
            step_started_at=attempt.step_started_at,
            last_heartbeat_at=attempt.started_at,
            poll_deadline=limit,
        )

    def set(self, attempt: Attempt[Owner]) -> None:
        first = self._first_deadline(attempt)
        # One timer for all heartbeats and probes: when it is due, it is set for what is the first deadline then.
        if first is not None and (attempt.deadline_at is None or first.at < attempt.deadline_at):
            attempt.deadline_at = first.at
            self._timers.at_wall(first.at, self._deadline, attempt, first.at)

    def _deadline(self, attempt: Attempt[Owner], at: int) -> None:
        if attempt.deadline_at != at:
            return  # an earlier one was set since
        attempt.deadline_at = None
        if attempt.over or attempt.kind_of_stop is not None:
            return
        first = self._first_deadline(attempt)
        if first is None or attempt.between_probes:  # the next probe has its own
            return
        if first.at <= at:
            self._stop(attempt, first.kind)
        else:
            self.set(attempt)

    def listen(self, attempt: Attempt[Owner]) -> None:
        """Look for heartbeats. One is a change of the file, whatever its time says: that is another clock's, and both
        may be set. Silence is counted by the clock that does not step, from when the last change was seen."""
        silence = attempt.timeouts.heartbeat
        if silence is None:
            return
        is_timed, mono = attempt.beat is not None, self._timers.host.monotonic()
        attempt.beat = files_of.heartbeat_mark(attempt.files.heartbeat), mono
        if not is_timed:
            self._timers.at(mono + _next_look(silence, 0), self._listened, attempt)

    def _listened(self, attempt: Attempt[Owner]) -> None:
        silence = attempt.timeouts.heartbeat
        if silence is None or attempt.beat is None:
            return
        if attempt.over or attempt.kind_of_stop is not None or attempt.between_probes or not attempt.running:
            attempt.beat = None  # whoever begins something of it listens again
            return
        mono = self._timers.host.monotonic()
        mark, since = attempt.beat
        seen = files_of.heartbeat_mark(attempt.files.heartbeat)
        if seen != mark:
            mark, since = attempt.beat = seen, mono
        if mono - since >= silence:
            attempt.beat = None
            self._stop(attempt, "heartbeat")
        else:
            self._timers.at(mono + _next_look(silence, mono - since), self._listened, attempt)


def _next_look(silence: int, lasted: int) -> int:
    """In how many milliseconds to look for a heartbeat again: some times before it is due, so that what has just come
    does not count as longer ago by much; and when it is."""
    return max(1, min(silence - lasted, silence // LOOKS_FOR_A_BEAT))
