"""Runs as an engine has them, made of a history: for what is shown of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobctl.core.model import Job
from jobctl.core.run.history import Event
from jobctl.core.run.resume import restore
from jobctl.engines.local.commands import RunContext
from jobctl.engines.local.foreground import Seen, seen
from jobctl.engines.local.live import LiveRun


def run_of(job: Job, events: Iterable[Event], folder: Path) -> Seen:
    """The run x-1, recorded as far as its events go. Its attempts' files are expected in `folder`."""
    state, decider = restore(job, list(events))
    run = LiveRun(1, "x-1", job, state.events, state, decider)
    run.context = RunContext(job, run.name, str(folder), "store", str(folder), {}, state)
    return seen(run, {})
