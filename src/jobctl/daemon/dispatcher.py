"""Whose turn it is: begins queued runs, the highest priority first and then the oldest, as far as there is room."""

from __future__ import annotations

from collections.abc import Callable, Collection

from jobctl import clock
from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import OverlapPolicy
from jobctl.core.overlap import may_leave_buffer
from jobctl.daemon.aside import Aside
from jobctl.daemon.capacity import Capacity
from jobctl.daemon.take import OnFailed, ignore, take, take_all
from jobctl.engines.local import LocalEngine, in_a_sentence
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
    aside, mono = aside if aside is not None else Aside(), clock.monotonic()
    capacity.refresh()
    if capacity.full:
        return []
    begun: dict[str, int] = {}
    policies: dict[int, OverlapPolicy] = {}
    troubles = []
    closed = _Closed()
    closed.runs.update(aside.resting(mono))
    while not capacity.full:
        queued = _queued(store, capacity, closed)
        for number, name, job, queue, trigger, definition in queued:
            if capacity.full:
                break
            if number in closed.runs or queue in closed.queues:
                continue
            if trigger in _BUFFERED:
                if definition not in policies:
                    policies[definition] = _policy(store, definition)
                if job not in begun:
                    begun[job] = _begun(store, job)
                if not may_leave_buffer(policies[definition], running=begun[job]):
                    closed.definitions.add(definition)
                    continue
            if not capacity.take_place(queue):
                if queue is not None:
                    closed.queues.add(queue)
                continue
            try:
                taken = take(store, engine, number, on_failed)
            except StoreUnavailableError:
                raise
            except Exception as error:
                taken = False
                aside.put(number, mono)
                troubles.append((name, in_a_sentence(error)))
            if taken:
                on_begun(name)
                if trigger != "child":
                    begun[job] = begun.get(job, 0) + 1
            else:
                closed.runs.add(number)
                capacity.give_back(queue)
        if len(queued) < _AT_ONCE + len(closed.runs):
            break
    return troubles


class _Closed:
    """Where nothing more may begin in this turn: what stands in line behind that is not read, however much it is."""

    def __init__(self) -> None:
        self.queues: set[str] = set()  # that are full
        self.definitions: set[int] = set()  # whose runs wait for others of their job, as its policy says
        self.runs: set[int] = set()  # that could not be begun


def _queued(store: Store, capacity: Capacity, closed: _Closed) -> list[tuple[int, str, str, str | None, str, int]]:
    """The next queued runs in the order of their turn: by their queue's priority, then their own, then age. Fewer than
    `_AT_ONCE` beside those that are closed: there are no others."""
    priorities = capacity.priorities()
    order = f"CASE queue {' '.join('WHEN ? THEN ?' for _ in priorities)} ELSE 0 END DESC, " if priorities else ""
    queues, definitions = sorted(closed.queues), sorted(closed.definitions)
    return store.rows(
        "SELECT id, name, job, queue, trigger, definition FROM runs"
        # What the index is for: without it a long line is read and sorted for each run that leaves it.
        f"{'' if priorities else ' INDEXED BY runs_queued'}"
        " WHERE finished_at IS NULL AND wake_at IS NULL AND status = 'queued'"
        f" AND (queue IS NULL OR queue NOT IN ({_marks(queues)}))"
        f" AND (trigger NOT IN ({_marks(_BUFFERED)}) OR definition NOT IN ({_marks(definitions)}))"
        f" ORDER BY {order} priority DESC, id LIMIT ?",
        *queues,
        *_BUFFERED,
        *definitions,
        *(value for item in priorities.items() for value in item),
        _AT_ONCE + len(closed.runs),
    )


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _begun(store: Store, job: str) -> int:
    """1 when a run of the job has begun and is not over, else 0: a hundred thousand that sleep are not counted.
    A child of another run is nothing to the job's schedules."""
    found = store.row(
        "SELECT 1 FROM runs INDEXED BY runs_alive_by_job"
        " WHERE job = ? AND finished_at IS NULL AND status IN ('running', 'paused') AND started_at IS NOT NULL"
        " AND parent IS NULL LIMIT 1",
        job,
    )
    return 0 if found is None else 1


def _policy(store: Store, definition: int) -> OverlapPolicy:
    import json

    try:
        return OverlapPolicy(json.loads(store.definition(definition)).get("overlap", OverlapPolicy.SKIP))
    except StoreUnavailableError:
        raise
    except (JobctlError, ValueError, AttributeError, RecursionError):
        return OverlapPolicy.SKIP
