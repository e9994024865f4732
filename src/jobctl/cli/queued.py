"""A foreground run of a job whose queue is limited: it waits for its turn, visibly, and then goes on here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobctl import clock
from jobctl.cli import output
from jobctl.cli.foreground import drive, user
from jobctl.cli.wait import until
from jobctl.daemon.capacity import Capacity
from jobctl.engines import requests, unbegun
from jobctl.engines.local import created
from jobctl.engines.submit import record

if TYPE_CHECKING:
    from jobctl.core.model import Job, Queue
    from jobctl.engines.like import Like
    from jobctl.engines.local import LiveRun, LocalEngine
    from jobctl.process.keepers import Link
    from jobctl.settings import Settings
    from jobctl.store.store import NewRun, Store

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
) -> int:
    """Queue the run, wait for a place, advance it here - or watch it, when a daemon has taken it. Its exit code."""
    record(store, new, [created(new, params, clock.now(), like)])
    row = store.find(new.name)
    capacity = Capacity(store, "", _NO_LIMIT)
    capacity.set_queues(queues)
    told = False
    try:
        while True:
            if new.start_by is not None and clock.now() >= new.start_by:
                unbegun.end_late(store, clock.now())
            if store.run(row.id).status != "queued":
                return until(settings, store, [row], None)
            capacity.refresh()
            if capacity.take_place(new.queue):
                break
            if not told and not settings.quiet:
                output.note(f"{new.name} waits for a place in the queue {new.queue}")
                told = True
            time.sleep(LOOK_EVERY_MS / 1000)
    except KeyboardInterrupt:
        requests.cancel(store, row, reason="canceled by Ctrl-C", by=user())

    def begin(engine: LocalEngine) -> LiveRun:
        live = engine.take(row.id, job, env_file=env_file)
        if live is None:
            raise _TakenError
        return live

    try:
        return drive(settings, store, begin, queues=queues, keeper=keeper)
    except _TakenError:
        return until(settings, store, [store.run(row.id)], None)
