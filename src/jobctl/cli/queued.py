"""A foreground run of a job whose queue is limited: it waits for its turn, visibly, and then goes on here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobctl.cli import printing as output
from jobctl.cli import signals
from jobctl.cli.commands.wait import until
from jobctl.cli.foreground import drive, user
from jobctl.cli.signals import Signals
from jobctl.core.errors import JobctlError
from jobctl.core.run.newrun import created
from jobctl.engines.local import control as requests
from jobctl.engines.local import holders, unbegun
from jobctl.engines.local.submit import record
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.host import clock

if TYPE_CHECKING:
    from jobctl.core.model import Job, Queue
    from jobctl.core.run.rows import NewRun, RunRow
    from jobctl.engines.local.loop import LiveRun, LocalEngine
    from jobctl.engines.local.reuse import Like
    from jobctl.host.settings import Settings
    from jobctl.process.keepers import Link
    from jobctl.store.store import Store

LOOK_EVERY_MS = 200
_NO_LIMIT = 1 << 30


class _TakenError(Exception):
    """A daemon was faster: the run goes on there."""


def drive_in_turn(
    settings: Settings,
    store: Store,
    new: NewRun,
    job: Job,
    params: dict[str, Any],
    env_file: dict[str, str],
    queues: Mapping[str, Queue],
    like: Like | None = None,
    keeper: Link | None = None,
) -> int | None:
    """Queue the run, wait for a place, advance it here - or watch it, when a daemon has taken it. Its exit code; None
    when there is a run with its key already."""
    if store.copy is not None:
        raise store.copy.error(f"no run of {job.name} can wait for a place")
    with Signals(store) as asked:  # from before anything of it is recorded: what is, a signal cancels
        if not record(store, new, [created(new, params, clock.now(), like=like)]):
            asked.hand_back()
            return None
        return take_in_turn(settings, store, store.find(new.name), job, env_file, queues, asked, keeper)


def take_in_turn(
    settings: Settings,
    store: Store,
    row: RunRow,
    job: Job,
    env_file: dict[str, str],
    queues: Mapping[str, Queue],
    asked: Signals,
    keeper: Link | None = None,
) -> int:
    """Wait for a place for a run that is queued, advance it here, or watch it. Its exit code."""
    if not _has_place(settings, store, row, queues, asked):
        return until(settings, store, [row], None, asked)

    def begin(engine: LocalEngine) -> LiveRun:
        live = engine.take(row.id, job, env_file=env_file)
        if live is None:
            raise _TakenError
        return live

    try:
        return drive(settings, store, begin, queues=queues, keeper=keeper, asked=asked)
    except _TakenError:
        return until(settings, store, [store.run(row.id)], None, asked)


def _has_place(settings: Settings, store: Store, row: RunRow, queues: Mapping[str, Queue], asked: Signals) -> bool:
    """Wait for a place, or for a signal, which cancels the run: then it needs none. False when another has taken it."""
    others = _Holders(store, row.queue or "", queues)
    try:
        return _wait_for_place(settings, store, row, queues, asked, others)
    finally:
        others.close()


def _wait_for_place(
    settings: Settings,
    store: Store,
    row: RunRow,
    queues: Mapping[str, Queue],
    asked: Signals,
    others: _Holders,
) -> bool:
    capacity = Capacity(store, "", _NO_LIMIT)
    capacity.set_queues(queues)
    told = False
    while True:
        if store.too_late(clock.now()):
            unbegun.end_late(store, clock.now())
        if store.run(row.id).status != "queued":
            return False
        if numbers := asked.take():
            name = signals.name(numbers[0])
            output.note(f"{name}: canceling {row.name}")
            try:
                requests.cancel(store, row, reason=f"canceled by {name}", by=user())
            except JobctlError:
                if store.run(row.id).finished_at is None:
                    raise
                return False  # somebody else was faster
            return True
        capacity.refresh()
        if capacity.take_place(row.queue):
            return True
        if not told and not settings.quiet:
            output.note(f"{row.name} waits for a place in the queue {row.queue}")
            told = True
        others.wait(LOOK_EVERY_MS, asked)


class _Holders:
    """Those that have the places: what has lost its process is taken up here, as a daemon would, and goes on while this
    run waits. An engine is made when there is such a one."""

    def __init__(self, store: Store, queue: str, queues: Mapping[str, Queue]) -> None:
        self._store = store
        self._queue = queue
        self._queues = queues
        self._engine: LocalEngine | None = None
        self._look_at = 0  # monotonic

    def wait(self, ms: int, asked: Signals) -> None:
        mono = clock.monotonic()
        if mono >= self._look_at:
            self._look_at = mono + holders.LOOK_EVERY_MS
            self._look()
        if self._engine is not None and self._engine.runs:
            self._engine.turn(ms)
        else:
            asked.pause(ms)

    def _look(self) -> None:
        found = self._store.runs_with_places(self._queue)
        if not any(holders.is_left(self._store, self._store.run(number)) for number in found):
            return
        if self._engine is None:
            from jobctl.engines.local.executor import Executor
            from jobctl.engines.local.loop import LocalEngine

            self._engine = LocalEngine(self._store, Executor(self._store.state_dir, "foreground"))
            self._engine.queues = self._queues
        for sentence in self._engine.holders.take_up(found):
            output.note(sentence)

    def close(self) -> None:
        """What is not over is left as it was found: interrupted, its commands running on."""
        if self._engine is not None:
            self._engine.close()
