"""A foreground run of a job whose queue is limited: it waits for its turn, visibly, and then goes on here."""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.cli import printing, signals
from jobctl.cli.foreground import drive
from jobctl.cli.user import user
from jobctl.cli.waiting import until
from jobctl.core.errors import JobctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.cli.signals import Signals
    from jobctl.core.model import Job, Queue
    from jobctl.engines.base import Client, Foreground, Place, Watched
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings

LOOK_EVERY_MS = 200


class _TakenError(Exception):
    """A daemon was faster: the run goes on there."""


def take_in_turn(
    settings: Settings,
    client: Client,
    run: Run,
    job: Job,
    env_file: dict[str, str],
    queues: Mapping[str, Queue],
    asked: Signals,
    keeper: Any = None,
) -> int:
    """Wait for a place for a run that is queued, advance it here, or watch it. Its exit code."""
    place = client.place(run, queues)
    try:
        here = _has_place(settings, client, run, place, asked)
    finally:
        place.close()
    if not here:
        return until(settings, client, [run], None, asked)

    def begin(worker: Foreground) -> Watched:
        taken = worker.take(run, job, env_file)
        if taken is None:
            raise _TakenError
        return taken

    try:
        return drive(settings, client, begin, queues=queues, keeper=keeper, asked=asked)
    except _TakenError:
        return until(settings, client, [client.run(run)], None, asked)


def _has_place(settings: Settings, client: Client, run: Run, place: Place, asked: Signals) -> bool:
    """Wait for a place, or for a signal, which cancels the run: then it needs none. False when another has taken it."""
    told = False
    while True:
        free = place.look()
        if free is None:
            return False
        if numbers := asked.take():
            name = signals.name(numbers[0])
            printing.note(f"{name}: canceling {run.name}")
            try:
                client.cancel(run, reason=f"canceled by {name}", by=user())
            except JobctlError:
                if not client.run(run).over:
                    raise
                return False  # somebody else was faster
            return True
        if free:
            return True
        if not told and not settings.quiet:
            printing.note(f"{run.name} waits for a place in the queue {run.queue}")
            told = True
        for sentence in place.wait(LOOK_EVERY_MS, asked.pause):
            printing.note(sentence)
