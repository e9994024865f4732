"""`jobctl show JOB`: the job as jobctl understands it, with all defaults merged in and secrets masked."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.load import find_job, load
from jobctl.cli.show import definition as words
from jobctl.core import kinds
from jobctl.core.durations import format as duration
from jobctl.core.kinds.command import in_words
from jobctl.core.schedule import words as schedules
from jobctl.core.text import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobctl.core.model import Job, Step
    from jobctl.host.settings import Settings


def main(settings: Settings, *, job: str) -> int:
    """NotFoundError where there is no such job."""
    from jobctl.definitions.masking import redact

    found = redact(find_job(load(settings), job))
    if settings.json:
        from dataclasses import asdict

        printing.print_json(asdict(found))
        return 0
    color = printing.colored(settings.color)
    for label, text in _job(found):
        _print(label, text, "", color)
    for step in found.steps:
        print()
        printing.say(f"{printing.paint('step', 'bold', on=color)} {printing.safe(step.name)}")
        for label, text in _step(step):
            _print(label, text, "  ", color)
    return 0


def _print(label: str, text: str, indent: str, color: bool) -> None:
    first, *more = printing.safe(text).split("\n")
    print(f"{indent}{printing.paint(f'{label:<14}', 'dim', on=color)} {first}".rstrip())
    for line in more:
        print(f"{indent}{'':<14} {line}".rstrip())


def _job(job: Job) -> Iterator[tuple[str, str]]:
    yield "job", job.name
    if job.description:
        yield "description", job.description
    yield "file", job.file
    for schedule in job.schedules:
        yield "schedule", schedules.in_words(schedule, job)
    if job.schedules:
        yield "overlap", job.overlap.value
        window = job.catchup_window
        yield (
            "catch-up",
            "missed fire times run "
            + ("however late" if window is None else f"when less than {duration(window)} late")
            + f", the newest {job.catchup_limit:,} at most",
        )
    if job.key is not None:
        yield "key", f"{job.key}: one run for each"
    if job.start_within is not None:
        yield "start within", f"{duration(job.start_within)}, else it is canceled"
    if job.pause_on_failure:
        yield "on failure", "the schedule is paused"
    yield "timeout", "none" if job.timeout is None else duration(job.timeout)
    for name, param in job.params.items():
        choices = f", one of {', '.join(map(str, param.choices))}" if param.choices else ""
        default = ", required" if param.default is None else f", default {param.default}"
        about = f" - {param.description}" if param.description else ""
        yield "param", f"{name} ({param.type.value}{choices}{default}){about}"
    yield from _env({**job.default_env, **job.env})
    if job.env_file is not None:
        yield "env file", job.env_file
    if job.inherit_env:
        yield "inherited env", "everything" if isinstance(job.inherit_env, bool) else ", ".join(job.inherit_env)
    yield "folder", job.cwd or job.folder
    yield "shell", job.shell
    if job.queue is not None or job.priority:
        yield "queue", f"{job.queue or 'default'}, priority {job.priority}"
    yield (
        "limits",
        (
            f"{job.max_parallel_steps} steps at once, {duration(job.kill_grace)} to stop in,"
            f" {size(job.log_limit)} of output an attempt"
            + (f", {size(job.disk_limit)} of files a run" if job.disk_limit is not None else "")
        ),
    )
    if job.after_stop:
        yield "after stop", job.after_stop
    kept = [
        *([f"the last {job.keep.runs} runs"] if job.keep.runs is not None else []),
        *([f"runs of the last {duration(job.keep.age)}"] if job.keep.age is not None else []),
    ]
    if kept:
        yield "keep", ", ".join(kept)
    for notify in job.notify:
        yield "notify", f"{', '.join(notify.on)}: {in_words(notify.command)}"
    if job.tags:
        yield "tags", ", ".join(job.tags)


def _step(step: Step) -> Iterator[tuple[str, str]]:
    yield "does", words.action(step)
    yield "needs", ", ".join(step.needs) or "nothing: starts at once"
    if step.when.value != "success":
        yield "when", step.when.value
    if step.only_if is not None:
        yield "only if", step.only_if
    kind = kinds.of(step)
    if kind.may_retry:
        yield "retry", words.retry(step.retry)
    if limits := words.timeouts(step.timeouts):
        yield "timeouts", limits
    if "on_timeout" in kind.beside and step.timeouts.schedule_to_close is not None:
        yield "on timeout", step.on_timeout.value
    if step.poll is not None:
        yield "poll", words.poll(step.poll)
    if step.foreach is not None:
        items = step.foreach.items
        at_once = f", {step.foreach.max_parallel} at once" if step.foreach.max_parallel else ""
        yield "for each", (items if isinstance(items, str) else ", ".join(map(str, items))) + at_once
    yield from kind.details(step)
    if step.compensate is not None:
        yield "compensate", in_words(step.compensate.command)
        yield "its retry", words.retry(step.compensate.retry)
    if step.allow_failure:
        yield "on failure", "the run goes on"
    yield from _env(step.env)
    for label, value in (("folder", step.cwd), ("shell", step.shell), ("queue", step.queue)):
        if value is not None:
            yield label, value


def _env(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in env.items():
        yield "env", f"{name}={value}"
