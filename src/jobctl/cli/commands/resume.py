"""`jobctl resume RUN`: take up a run where it stopped, whatever stopped it."""

from __future__ import annotations

from jobctl.cli import load, printing
from jobctl.cli.client import client_of
from jobctl.cli.foreground import drive
from jobctl.cli.signals import Signals
from jobctl.cli.starting import need_daemon, say_waits
from jobctl.cli.user import user
from jobctl.core.errors import JobctlError, UsageError
from jobctl.core.run.notices import TRIGGER, origin
from jobctl.definitions.files import check_file, env_file_of
from jobctl.host import clock
from jobctl.process import keepers
from jobctl.views.documents import Documents
from jobctl.views.run import definition_changed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jobctl.core.model import Job, Queue
    from jobctl.engines.base import Client, Foreground, Watched
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings


def _queues(job: Job) -> Mapping[str, Queue]:
    """The queues of the run's file as it is now; none when it is gone or broken: that does not stop a run."""
    jobs = (job, *job.children.values())
    queued = any(step.queue for one in jobs for step in one.steps) or any(
        child.queue for child in job.children.values()
    )
    found = check_file(job.file)[0] if queued else None
    return found.queues if found is not None else {}


def _updated(jobs: Mapping[str, Job], client: Client, run: Run) -> Job:
    """The run's job as the file has it now."""
    about = client.state(run).about if run.trigger == TRIGGER else None
    if about is None:
        return load.find_job(jobs, run.job)
    from jobctl.core.run.notices import updated

    return updated(load.find_job(jobs, origin(run.job)), about)


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
    keeper: Any,
    name: str,
    from_step: str | None,
    updated: bool,
    *,
    require_daemon: bool = False,
) -> int:
    """Here under this keeper; without one by a daemon."""
    with client_of(settings) as client:
        run = client.find(name)
        client.must_be_home(f"run {run.name} cannot be taken up")
        if require_daemon:
            need_daemon(client, f"resume it in the foreground: jobctl resume {run.name}")
        if run.status == "queued":
            client.end_late()  # too late for what was asked for then; this is another try
            run = client.run(run)
        held = client.held(run)
        _check(run, held, from_step, updated)
        if updated:
            job = _updated(load.load(settings), client, run)
            env_file = env_file_of(job)
        else:
            job, env_file, _ = client.kept(run, strict=True)
            if definition_changed(run, client.definition(run)):
                new = f"to take the new one: jobctl resume {run.name} --updated"
                printing.note(
                    f"the definition of {run.job} has changed since {run.name} began, which keeps its own; {new}"
                )
        if keeper is None:
            return _hand_over(settings, client, run, job, updated, from_step)

        def begin(worker: Foreground) -> Watched:
            taken = worker.take(run, job, env_file)
            if taken is None:
                raise JobctlError(
                    f"run {run.name} was just taken up by another process", hint=f"jobctl logs -f {run.name}"
                )
            return taken

        with Signals(client) as asked:  # from before it is asked to go on: if it is, a signal cancels it
            _ask(client, run, job, updated, from_step, queued=False)
            if held:
                printing.note(f"{run.name} goes on where it runs")
                return 0
            return drive(settings, client, begin, queues=_queues(job), keeper=keeper, asked=asked)


def _check(run: Run, held: bool, from_step: str | None, updated: bool) -> None:
    """UsageError for what only a run that is over can be asked; JobctlError when it goes on already."""
    if not run.over and (from_step is not None or updated):
        raise UsageError(
            f"run {run.name} is not over: {'--from' if from_step is not None else '--updated'} starts a new try",
            hint=f"end it first: jobctl cancel {run.name}",
        )
    if held and run.status != "paused":
        raise JobctlError(f"run {run.name} is running already", hint=f"watch it with: jobctl logs -f {run.name}")


def _hand_over(settings: Settings, client: Client, run: Run, job: Job, updated: bool, from_step: str | None) -> int:
    """Have it go on by a daemon, this one or the next."""
    _ask(client, run, job, updated, from_step, queued=True)
    client.wake_workers()
    if not client.has_daemon():
        say_waits(run.name)
    if settings.json:
        printing.print_json(Documents(client, printing.note).run(client.run(run), clock.now()))
    else:
        printing.say(run.name)
    return 0


def _ask(client: Client, run: Run, job: Job, updated: bool, from_step: str | None, *, queued: bool) -> None:
    """Have it recorded that the run goes on, where its history does not say so already."""
    if run.over:
        client.reopen(run, job, updated=updated, from_step=from_step, by=user(), queued=queued)
    elif run.status == "paused":
        client.unpause(run, by=user())
