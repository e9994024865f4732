"""Whose turn it is: begins queued runs as far as there is room, the highest priority first. Among equals the places go
round the jobs; of a job the oldest is the first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import OverlapPolicy
from jobctl.core.schedule.overlap import may_leave_buffer
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker.aside import Aside
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.take import OnFailed, ignore, take, take_all
from jobctl.engines.trouble import in_a_sentence
from jobctl.store.queries import Queued
from jobctl.store.store import Store

_SNOOZE_MS = 60_000
_AT_ONCE = 50  # runs that are read together: queued ones, and those that wake
_BUFFERED = ("schedule", "backfill")  # what starts these is under the job's overlap policy


def wake(store: Store, engine: LocalEngine, now: int) -> list[tuple[str, str]]:
    """Take up the runs that were asleep and are due. They have begun: no place is asked for. Returns (run, why) of
    those that cannot go on now; they are looked at again in a minute."""
    # The first of very many start while the others are taken: what is left is due at once, in the next turn.
    due = store.due_to_wake(now, _AT_ONCE)
    try:
        take_all(store, engine, due)
        return []
    except StoreUnavailableError:
        raise
    except Exception:
        pass  # one of them does not keep the others from going on: it is found out below which one it is
    troubles = []
    for number in due:
        if number in engine.runs:
            continue
        try:
            take(store, engine, number)
        except StoreUnavailableError:
            raise
        except Exception as error:
            troubles.append((store.run(number).name, in_a_sentence(error)))
            store.snooze(number, now + _SNOOZE_MS)
    return troubles


def once(
    store: Store,
    engine: LocalEngine,
    capacity: Capacity,
    on_failed: OnFailed = ignore,
    aside: Aside | None = None,
    on_begun: Callable[[str], None] = lambda _: None,
) -> list[tuple[str, str]]:
    """Begin what may begin, each told to `on_begun`. Returns (run, why) of those whose turn it is and that cannot be
    begun; they are put `aside`."""
    aside, mono = aside if aside is not None else Aside(), engine.host.monotonic()
    capacity.refresh()
    if capacity.full:
        return []
    begun: dict[str, int] = {}
    policies: dict[int, OverlapPolicy] = {}
    troubles = []
    closed = _Closed()
    closed.runs.update(aside.resting(mono))
    priorities = capacity.priorities()
    line = [_place(row, priorities, capacity) for row in _heads(store, closed)]
    heapq.heapify(line)
    while line and not capacity.full:
        number, name, job, queue, trigger, definition, _ = heapq.heappop(line)[-1]
        may_begin = number not in closed.runs and queue not in closed.queues
        if may_begin and trigger in _BUFFERED:
            if definition not in policies:
                policies[definition] = _policy(store, definition)
            if job not in begun:
                begun[job] = int(store.has_begun(job))
            if not may_leave_buffer(policies[definition], running=begun[job]):
                closed.definitions.add(definition)
                may_begin = False
        if may_begin and not capacity.take_place(queue):
            if queue is not None:
                closed.queues.add(queue)
            may_begin = False
        if may_begin:
            try:
                taken = take(store, engine, number, on_failed)
            except StoreUnavailableError:
                raise
            except Exception as error:
                taken = False
                aside.put(number, mono)
                troubles.append((name, in_a_sentence(error)))
            if taken:
                capacity.had_turn(job)
                on_begun(name)
                if trigger != "child":
                    begun[job] = begun.get(job, 0) + 1
            else:
                closed.runs.add(number)
                capacity.give_back(queue)
        if not capacity.full and (row := _head(store, job, closed)) is not None:
            heapq.heappush(line, _place(row, priorities, capacity))
    return troubles


class _Closed:
    """Where nothing more may begin in this turn: what stands in line behind that is not read, however much it is."""

    def __init__(self) -> None:
        self.queues: set[str] = set()  # that are full
        self.definitions: set[int] = set()  # whose runs wait for others of their job, as its policy says
        self.runs: set[int] = set()  # that could not be begun


def _place(row: Queued, priorities: Mapping[str, int], capacity: Capacity) -> tuple[int, int, int, int, Queued]:
    """Where it stands among the first of all jobs: by their queue's priority, then their own; then it is the turn of
    the job that has had none for longest, so that a job with very many runs does not keep the others waiting."""
    number, _, job, queue, _, _, priority = row
    return -priorities.get(queue or "", 0), -priority, capacity.turn_of(job), number, row


def _heads(store: Store, closed: _Closed) -> list[Queued]:
    """The first in line of each job: the highest priority, then the oldest."""
    found = (_head(store, job, closed) for job in store.jobs_in_line())
    return [row for row in found if row is not None]


def _head(store: Store, job: str, closed: _Closed) -> Queued | None:
    return store.first_in_line(
        job, passed_over=closed.runs, queues=closed.queues, definitions=closed.definitions, triggers=_BUFFERED
    )


def _policy(store: Store, definition: int) -> OverlapPolicy:
    import json

    try:
        return OverlapPolicy(json.loads(store.definition(definition)).get("overlap", OverlapPolicy.SKIP))
    except StoreUnavailableError:
        raise
    except (JobctlError, ValueError, AttributeError, RecursionError):
        return OverlapPolicy.SKIP
