"""`jobctl run JOB`: a new run, here, in the foreground."""

from __future__ import annotations

from jobctl.cli import load
from jobctl.cli.starting import given_params, need_daemon, say_waits
from jobctl.core.errors import JobctlError, UsageError
from jobctl.core.record import NamedTuple
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jobctl.core.model import Job, Queue
    from jobctl.engines.base import Client, Foreground, Watched
    from jobctl.engines.values import Reused, Run
    from jobctl.host.settings import Settings


def main(
    settings: Settings,
    *,
    job: str,
    params: list[str],
    wait: str | None,
    detach: bool,
    require_daemon: bool,
    start_within: str | None,
    key: str | None,
    from_step: str | None,
    like: str | None,
) -> int:
    """Exit code: the run's. UsageError for parameters that do not fit."""
    from jobctl.cli.moments import span

    asked = _Asked(job, params, span(start_within, "--start-within") if start_within is not None else None, key)
    if wait is not None or detach:
        if wait is not None:
            span(wait, "--wait")  # refused before anything is recorded
        how = _HandOver(wait if not detach else None, require_daemon)
        return _main(settings, how, None, asked, from_step, like)
    if require_daemon:
        raise UsageError(
            "--require-daemon is about a run that is left to the daemon",
            hint=f"add --detach, or --wait: jobctl run {job} --detach --require-daemon",
        )
    from jobctl.process import keepers

    with keepers.make(fork=True) as keeper:  # before there is a store, a lock or a thread that it would have, too
        return _main(settings, None, keeper, asked, from_step, like)


class _Asked(NamedTuple):
    """What a new run is to be. `start_within`, `key`: instead of what the job says."""

    job: str
    params: list[str]
    start_within: int | None
    key: str | None


class _HandOver(NamedTuple):
    """The run is left to a daemon. `wait`: for its end, so long."""

    wait: str | None
    require_daemon: bool


def _main(
    settings: Settings,
    how: _HandOver | None,
    keeper: Any,
    asked: _Asked,
    from_step: str | None,
    like: str | None,
) -> int:
    """By a daemon, or here under this keeper."""
    from jobctl.core.definition import parameters

    catalog = load.catalog(settings)
    job = load.find_job(catalog.jobs, asked.job)
    given: dict[str, Any] = dict(given_params(asked.params))
    if asked.key is not None:
        parameters.checked_key(asked.key)
    old: Reused | None = None
    if from_step is not None or like is not None:
        old = _old_run(settings, job, from_step, like)
        given = {**old.params, **given}
    if how is not None:
        return _hand_over(settings, job, given, how, asked, old)
    return _here(settings, keeper, job, given, catalog.queues, asked, old)


def _here(
    settings: Settings,
    keeper: Any,
    job: Job,
    given: dict[str, Any],
    queues: Mapping[str, Queue],
    asked: _Asked,
    old: Reused | None,
) -> int:
    """Advanced by this process, at once or when there is a place for it."""
    from jobctl.cli.client import client_of
    from jobctl.cli.foreground import drive
    from jobctl.core.definition import parameters
    from jobctl.core.run.values import run_values
    from jobctl.definitions.files import env_file_of

    fire_time = old.fire_time if old is not None else None
    # Refused before anything is made.
    parameters.values(job, given, run_values(job, job.name, clock.now() if fire_time is None else fire_time))
    env_file = env_file_of(job)
    if old is not None:
        _say_reused(settings, old)
    with client_of(settings, create=True) as client:
        queue = queues.get(job.queue) if job.queue is not None else None
        limited = queue is not None and queue.concurrency is not None
        if limited or asked.key is not None or job.key is not None:
            return _in_turn(settings, client, job, given, env_file, queues, asked, old, keeper)

        def begin(worker: Foreground) -> Watched:
            return worker.begin(job, given, env_file, fire_time=fire_time, like=old)

        return drive(settings, client, begin, queues=queues, keeper=keeper)


def _in_turn(
    settings: Settings,
    client: Client,
    job: Job,
    given: dict[str, Any],
    env_file: dict[str, str],
    queues: Mapping[str, Queue],
    asked: _Asked,
    old: Reused | None,
    keeper: Any,
) -> int:
    """A run that is recorded before it begins: it may have to wait for a place, or be there already."""
    from jobctl.cli.queued import take_in_turn
    from jobctl.cli.signals import Signals

    with Signals(client) as signals:  # from before anything of it is recorded: what is, a signal cancels
        started = client.start(
            job,
            given,
            key=asked.key,
            fire_time=old.fire_time if old is not None else None,
            like=old,
            start_within=asked.start_within,
            here=True,
        )
        if started.new:
            return take_in_turn(settings, client, started.run, job, env_file, queues, signals, keeper)
        signals.hand_back()  # it is somebody else's run
    return _answer(settings, client, started.run, queues, keeper)


def _old_run(settings: Settings, job: Job, from_step: str | None, like: str | None) -> Reused:
    """What a new run reuses of an old one. UsageError when only one of the two options was given."""
    from jobctl.cli.client import client_of

    if like is None:
        raise UsageError(
            "--from is about the results of an old run, and none is named",
            hint=f"name it: jobctl run {job.name} --from {from_step} --like RUN; jobctl history {job.name} lists them",
        )
    if from_step is None:
        raise UsageError(
            "--like reuses the results of an old run up to a step, and none is named",
            hint=f"name it: jobctl run {job.name} --from STEP --like {like}; its steps: "
            + ", ".join(step.name for step in job.steps),
        )
    with client_of(settings, asks=True) as client:
        return client.reusable(job, client.find(like), from_step)


def _answer(settings: Settings, client: Client, there: Run, queues: Mapping[str, Queue], keeper: Any) -> int:
    """There is the run that was asked for: its exit code when it is over. It is taken up where nobody has it."""
    from jobctl.cli.commands import resume
    from jobctl.cli.queued import take_in_turn
    from jobctl.cli.signals import Signals
    from jobctl.cli.waiting import until

    _say_there_is(settings, there)
    if there.status == "queued":
        kept = client.kept(there, strict=True)
        with Signals(client) as signals:
            return take_in_turn(settings, client, there, kept.job, kept.env_file, queues, signals, keeper)
    if there.status == "running" and not client.held(there):
        try:
            return resume.main(
                settings, run=there.name, from_step=None, updated=False, detach=False, require_daemon=False
            )
        except JobctlError:
            there = client.run(there)
            if not there.over and not client.held(there):
                raise  # else somebody else was faster
    return until(settings, client, [there], None)


def _say_there_is(settings: Settings, run: Run) -> None:
    from jobctl.cli import printing

    if not settings.quiet:
        printing.note(f"there is a run with that key: {run.name}, {run.status.replace('_', ' ')}")


def _say_reused(settings: Settings, old: Reused) -> None:
    from jobctl.cli import printing
    from jobctl.core.keys import item_index

    for remark in old.remarks:
        printing.note(remark)
    if old.reused and not settings.quiet:
        printing.note(f"reused from {old.run}: {', '.join(key for key in old.reused if item_index(key) is None)}")


def _hand_over(
    settings: Settings, job: Job, given: dict[str, Any], how: _HandOver, asked: _Asked, old: Reused | None
) -> int:
    """Queue the run for the daemon, this one or the next, and print its id; with `wait` not before it is over, or that
    long has passed."""
    from jobctl.cli import printing
    from jobctl.cli.client import client_of
    from jobctl.cli.signals import Signals
    from jobctl.cli.waiting import until
    from jobctl.views.documents import Documents

    with client_of(settings, create=True) as client:
        client.must_be_home("no run can be left to a daemon")
        if how.require_daemon:
            need_daemon(client, f"start one with: jobctl daemon; or run it in the foreground: jobctl run {job.name}")
        if how.wait is not None:
            with Signals(client) as signals:  # from before it is recorded: wherever it runs, it is this command's
                run, new = _recorded(settings, client, job, given, asked, old)
                if new:
                    return until(settings, client, [run], how.wait, signals)
                signals.hand_back()  # it is somebody else's run
            return until(settings, client, [run], how.wait)
        run, _ = _recorded(settings, client, job, given, asked, old)
        if settings.json:
            printing.print_json(Documents(client, printing.note).run(run, clock.now()))
        else:
            printing.say(run.name)
    return 0


def _recorded(
    settings: Settings, client: Client, job: Job, given: dict[str, Any], asked: _Asked, old: Reused | None
) -> tuple[Run, bool]:
    """The run that was asked for, and whether it is a new one. What there is to say of it is said."""
    run, new = client.start(
        job,
        given,
        key=asked.key,
        fire_time=old.fire_time if old is not None else None,
        like=old,
        start_within=asked.start_within,
    )
    if not new:
        _say_there_is(settings, run)
    elif old is not None:
        _say_reused(settings, old)
    if run.status == "queued" and not client.has_daemon():
        say_waits(run.name)
    return run, new
