"""`jobctl run JOB`: a new run, here, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.cli import load
from jobctl.core.errors import JobctlError, UsageError
from jobctl.host import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.core.model import Job, Queue
    from jobctl.core.run.rows import RunRow
    from jobctl.engines.local.loop import LiveRun, LocalEngine
    from jobctl.engines.local.reuse import Like
    from jobctl.host.settings import Settings
    from jobctl.process.keepers import Link
    from jobctl.store.store import Store


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
        return _main(settings, how, asked, from_step, like)
    if require_daemon:
        raise UsageError(
            "--require-daemon is about a run that is left to the daemon",
            hint=f"add --detach, or --wait: jobctl run {job} --detach --require-daemon",
        )
    from jobctl.process import keepers

    with keepers.make(fork=True) as keeper:  # before there is a store, a lock or a thread that it would have, too
        return _main(settings, keeper, asked, from_step, like)


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
    how: Link | _HandOver,
    asked: _Asked,
    from_step: str | None,
    like: str | None,
) -> int:
    """Here under this keeper, or by a daemon."""
    from jobctl.core.definition import parameters
    from jobctl.core.model import encode
    from jobctl.definitions import masking
    from jobctl.definitions.files import env_file_of
    from jobctl.engines.local.commands import run_values

    catalog = load.catalog(settings)
    job = asked.job
    definition = load.find_job(catalog.jobs, job)
    given: dict[str, Any] = dict(given_params(asked.params))
    if asked.key is not None:
        parameters.checked_key(asked.key)
    old: Like | None = None
    if from_step is not None or like is not None:
        old = _old_run(settings, definition, from_step, like)
        given = {**old.params, **given}
    if isinstance(how, _HandOver):
        return _hand_over(settings, definition, given, how, asked, old)
    keeper = how
    from jobctl.cli.opened import store_of
    from jobctl.core.run.rows import NewRun

    fire_time = old.fire_time if old is not None else None
    now = clock.now() if fire_time is None else fire_time
    parameters.values(definition, given, run_values(definition, job, now))  # refused before anything is made
    env_file = env_file_of(definition)
    if old is not None:
        _say_reused(settings, old)
    kept = encode(masking.redact(definition))
    from jobctl.cli.foreground import drive

    with store_of(settings, create=True) as store:
        name = store.unused_name(job)
        about = run_values(definition, name, now)
        values = parameters.values(definition, given, about)
        key = asked.key if asked.key is not None else parameters.key_of(definition, values, about)
        new = NewRun(name, job, kept, fire_time=fire_time, queue=definition.queue, priority=definition.priority)
        queue = catalog.queues.get(definition.queue) if definition.queue is not None else None
        if key is not None or (queue is not None and queue.concurrency is not None):
            from jobctl.cli.queued import drive_in_turn
            from jobctl.core.run.newrun import begin_by
            from jobctl.engines.local.submit import there_is

            new = new._replace(start_by=begin_by(definition, clock.now(), asked.start_within), key=key)
            while True:
                code = drive_in_turn(settings, store, new, definition, values, env_file, catalog.queues, old, keeper)
                if code is not None:
                    return code
                there = there_is(store, definition, key or "", given)
                if there is not None:
                    return _answer(settings, store, there, catalog.queues, keeper)

        def begin(engine: LocalEngine) -> LiveRun:
            return engine.submit(new, definition, values, env_file=env_file, like=old)

        return drive(settings, store, begin, queues=catalog.queues, keeper=keeper)


def _old_run(settings: Settings, job: Job, from_step: str | None, like: str | None) -> Like:
    """What a new run reuses of an old one. UsageError when only one of the two options was given."""
    from jobctl.cli.opened import store_of
    from jobctl.engines.local.reuse import like as taken_over

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
    with store_of(settings, asks=True) as store:
        return taken_over(store, job, store.find(like), from_step)


def _answer(settings: Settings, store: Store, there: RunRow, queues: Mapping[str, Queue], keeper: Link) -> int:
    """There is the run that was asked for: its exit code when it is over. It is taken up where nobody has it."""
    from jobctl.cli.commands import resume
    from jobctl.cli.commands.wait import until
    from jobctl.cli.queued import take_in_turn
    from jobctl.cli.signals import Signals
    from jobctl.engines.local.control import is_held
    from jobctl.engines.local.stored_job import job_of

    _say_there_is(settings, there)
    if there.status == "queued":
        job, env_file, _ = job_of(store, there, strict=True)
        with Signals(store) as signals:
            return take_in_turn(settings, store, there, job, env_file, queues, signals, keeper)
    if there.status == "running" and not is_held(store, there):
        try:
            return resume.main(
                settings, run=there.name, from_step=None, updated=False, detach=False, require_daemon=False
            )
        except JobctlError:
            there = store.run(there.id)
            if there.finished_at is None and not is_held(store, there):
                raise  # else somebody else was faster
    return until(settings, store, [there], None)


def _say_there_is(settings: Settings, row: RunRow) -> None:
    from jobctl.cli import printing as output

    if not settings.quiet:
        output.note(f"there is a run with that key: {row.name}, {row.status.replace('_', ' ')}")


def _say_reused(settings: Settings, old: Like) -> None:
    from jobctl.cli import printing as output
    from jobctl.core.keys import item_index

    for remark in old.remarks:
        output.note(remark)
    if old.reused and not settings.quiet:
        output.note(f"reused from {old.run}: {', '.join(key for key in old.reused if item_index(key) is None)}")


def _hand_over(
    settings: Settings, job: Job, given: dict[str, Any], how: _HandOver, asked: _Asked, old: Like | None
) -> int:
    """Queue the run for the daemon, this one or the next, and print its id; with `wait` not before it is over, or that
    long has passed."""
    from jobctl.cli import printing as output
    from jobctl.cli.commands.wait import until
    from jobctl.cli.opened import store_of
    from jobctl.cli.signals import Signals
    from jobctl.engines.local.daemons import daemons, need_daemon
    from jobctl.engines.local.submit import enqueue
    from jobctl.views.views import run_document

    with store_of(settings, create=True) as store:
        if store.copy is not None:
            raise store.copy.error("no run can be left to a daemon")
        if how.require_daemon:
            need_daemon(store, f"start one with: jobctl daemon; or run it in the foreground: jobctl run {job.name}")

        def record() -> tuple[RunRow, bool]:
            done = enqueue(
                store,
                job,
                given,
                trigger="manual",
                fire_time=old.fire_time if old is not None else None,
                like=old,
                start_within=asked.start_within,
                key=asked.key,
            )
            row = store.find(done.name)
            if not done.new:
                _say_there_is(settings, row)
            elif old is not None:
                _say_reused(settings, old)
            if row.status == "queued" and not daemons(store):
                say_waits(row.name)
            return row, done.new

        if how.wait is not None:
            with Signals(store) as signals:  # from before it is recorded: wherever it is advanced, it is this command's
                row, new = record()
                if new:
                    return until(settings, store, [row], how.wait, signals)
                signals.hand_back()  # it is somebody else's run
            return until(settings, store, [row], how.wait)
        row, _ = record()
        if settings.json:
            output.print_json(run_document(store, row))
        else:
            output.say(row.name)
    return 0


def say_waits(name: str) -> None:
    """Nobody is there to begin the run, which is recorded: said even with --quiet, for somebody has to do something."""
    from jobctl.cli import printing as output

    ways = f"jobctl daemon, or here and now: jobctl resume {name}"
    output.note(f"no daemon runs here: {name} is recorded, and waits for the next one: {ways}")


def given_params(params: list[str]) -> dict[str, str]:
    """Name -> value of `-p NAME=VALUE` options. UsageError for one that is none, or is given twice."""
    given: dict[str, str] = {}
    for text in params:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-p {text!r} is not KEY=VALUE", hint="for example: -p day=2026-12-24")
        if key in given:
            raise UsageError(f"the parameter {key!r} is given twice", hint="give it once")
        given[key] = value
    return given
