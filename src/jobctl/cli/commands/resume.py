"""`jobctl resume RUN`: take up a run where it stopped, whatever stopped it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import load
from jobctl.cli import printing as output
from jobctl.cli.commands.run import say_waits
from jobctl.cli.foreground import drive, user
from jobctl.cli.opened import store_of
from jobctl.cli.signals import Signals
from jobctl.core.errors import JobctlError, UsageError
from jobctl.core.model import encode
from jobctl.core.run.notices import TRIGGER, origin
from jobctl.definitions.files import check_file, env_file_of
from jobctl.definitions.masking import redact
from jobctl.engines.local import control as requests
from jobctl.engines.local import unbegun
from jobctl.engines.local.daemons import daemons, need_daemon, poke_daemons
from jobctl.engines.local.stored_job import job_of
from jobctl.host import clock
from jobctl.process import keepers
from jobctl.store.store import Store
from jobctl.views.views import has_changed, run_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.core.model import Job, Queue
    from jobctl.core.run.rows import RunRow
    from jobctl.engines.local.loop import LiveRun, LocalEngine
    from jobctl.host.settings import Settings
    from jobctl.process.keepers import Link


def _queues(job: Job) -> Mapping[str, Queue]:
    """The queues of the run's file as it is now; none when it is gone or broken: that does not stop a run."""
    jobs = (job, *job.children.values())
    queued = any(step.queue for one in jobs for step in one.steps) or any(
        child.queue for child in job.children.values()
    )
    found = check_file(job.file)[0] if queued else None
    return found.queues if found is not None else {}


def _updated(jobs: Mapping[str, Job], store: Store, row: RunRow) -> Job:
    """The run's job as the file has it now."""
    about = store.state(row).about if row.trigger == TRIGGER else None
    if about is None:
        return load.find_job(jobs, row.job)
    from jobctl.engines.local.notifications import updated

    return updated(load.find_job(jobs, origin(row.job)), about)


def main(
    settings: Settings, *, run: str, from_step: str | None, updated: bool, detach: bool, require_daemon: bool
) -> int:
    """Exit code: the run's, when it goes on here; 0 when the process that has it was told to go on."""
    if detach:
        return _resume(settings, None, run, from_step, updated, require_daemon=require_daemon)
    if require_daemon:
        raise UsageError(
            "--require-daemon is about a run that is left to the daemon",
            hint=f"add --detach: jobctl resume {run} --detach --require-daemon",
        )
    with keepers.make(fork=True) as keeper:  # before there is a store that it would have, too
        return _resume(settings, keeper, run, from_step, updated)


def _resume(
    settings: Settings,
    keeper: Link | None,
    run: str,
    from_step: str | None,
    updated: bool,
    *,
    require_daemon: bool = False,
) -> int:
    """Here under this keeper; without one by a daemon."""
    detach = keeper is None
    with store_of(settings) as store:
        row = store.find(run)
        if store.copy is not None:
            raise store.copy.error(f"run {row.name} cannot be taken up")
        if require_daemon:
            need_daemon(store, f"resume it in the foreground: jobctl resume {row.name}")
        if row.status == "queued" and unbegun.end_late(store, clock.now()):
            row = store.run(row.id)  # too late for what was asked for then; this is another try
        held = requests.is_held(store, row)
        if row.finished_at is None and (from_step is not None or updated):
            raise UsageError(
                f"run {row.name} is not over: {'--from' if from_step is not None else '--updated'} starts a new try",
                hint=f"end it first: jobctl cancel {row.name}",
            )
        if held and row.status != "paused":
            raise JobctlError(f"run {row.name} is running already", hint=f"watch it with: jobctl logs -f {row.name}")
        if updated:
            job = _updated(load.load(settings), store, row)
            env_file = env_file_of(job)
        else:
            job, env_file, _ = job_of(store, row, strict=True)
            if row.finished_at is not None and has_changed(store, row):
                new = f"to take the new one: jobctl resume {row.name} --updated"
                output.note(
                    f"the definition of {row.job} has changed since {row.name} began, which keeps its own; {new}"
                )
        if detach:
            _ask(store, row, job, updated, from_step, queued=True)
            poke_daemons(store)
            if not daemons(store):
                say_waits(row.name)
            if settings.json:
                output.print_json(run_document(store, store.run(row.id)))
            else:
                output.say(row.name)
            return 0

        def begin(engine: LocalEngine) -> LiveRun:
            live = engine.take(row.id, job, env_file=env_file)
            if live is None:
                raise JobctlError(
                    f"run {row.name} was just taken up by another process", hint=f"jobctl logs -f {row.name}"
                )
            return live

        with Signals(store) as asked:  # from before it is asked to go on: if it is, a signal cancels it
            _ask(store, row, job, updated, from_step, queued=False)
            if held:
                output.note(f"{row.name} goes on where it runs")
                return 0
            return drive(settings, store, begin, queues=_queues(job), keeper=keeper, asked=asked)


def _ask(store: Store, row: RunRow, job: Job, updated: bool, from_step: str | None, *, queued: bool) -> None:
    """Have it recorded that the run goes on, where its history does not say so already."""
    if row.finished_at is not None:
        text = encode(redact(job)) if updated else None
        requests.reopen(store, row, job, definition=text, from_step=from_step, by=user(), queued=queued)
    elif row.status == "paused":
        requests.unpause(store, row, by=user())
