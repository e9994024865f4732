"""The nouns: Job, Step, RetryPolicy, Timeouts … and the text they are kept as. No rule about what happens when.

Every instant in the core is an int: milliseconds since the Unix epoch, UTC. Every duration is an int: milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum

from jobctl.core.status import FINAL_STATUSES as FINAL_STATUSES
from jobctl.core.status import RunStatus as RunStatus
from jobctl.core.status import StepStatus as StepStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Millis = int

MAX_ITEMS = 10_000  # of a `foreach` step


class OverlapPolicy(StrEnum):
    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    TERMINATE_OTHER = "terminate_other"
    ALLOW_ALL = "allow_all"


class When(StrEnum):
    SUCCESS = "success"  # part of the work: runs while nothing has failed
    FAILURE = "failure"  # runs after the run has failed, when compensation is done
    ALWAYS = "always"  # runs in its place when all goes well, else at the end


class StepKind(StrEnum):
    COMMAND = "command"
    SLEEP = "sleep"
    SIGNAL = "signal"
    APPROVAL = "approval"
    HTTP = "http"
    JOB = "job"


class OnTimeout(StrEnum):
    FAIL = "fail"
    CONTINUE = "continue"


class ParentClosePolicy(StrEnum):
    TERMINATE = "terminate"
    CANCEL = "cancel"
    ABANDON = "abandon"


class ParamType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Temporal's retry policy. The default here is one attempt: what a step without `retry` gets."""

    maximum_attempts: int = 1  # 0 = unlimited
    initial_interval: Millis = 1_000
    backoff_coefficient: float = 2.0
    maximum_interval: Millis | None = None  # None = 100 x initial_interval
    non_retryable_exit_codes: tuple[int, ...] = ()
    non_retryable_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    start_to_close: Millis | None = None  # one attempt
    schedule_to_close: Millis | None = None  # the step: all attempts and the waits between; for waits: the wait
    heartbeat: Millis | None = None  # from start or last heartbeat to the next


@dataclass(frozen=True, slots=True)
class Compensation:
    """The undo of a step. Without a retry table it is tried without limit, waits capped at 5 minutes."""

    command: str | tuple[str, ...]
    retry: RetryPolicy = RetryPolicy(maximum_attempts=0, maximum_interval=300_000)
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True)
class Poll:
    interval: Millis
    backoff_coefficient: float = 1.0
    maximum_interval: Millis | None = None
    deadline: Millis | None = None


@dataclass(frozen=True, slots=True)
class ForEach:
    items: str | tuple[Any, ...]  # a reference to a JSON list, or the list
    max_parallel: int | None = None
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class Http:
    """A request. Texts may hold references, `{{ env.NAME }}` too."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None  # a text, sent as it is; else what is sent as JSON
    expect: tuple[int | str, ...] = ()  # statuses that are a success: 204, "2xx"; empty = 2xx
    output: str = "body"


@dataclass(frozen=True, slots=True)
class Step:
    """One unit that is retried on its own. Exactly one of command, sleep/sleep_until, signal, approval, http, job is
    set: core/kinds has the table."""

    name: str
    needs: tuple[str, ...] = ()  # resolved: "the one above" is spelt out
    when: When = When.SUCCESS
    command: str | tuple[str, ...] | None = None  # a string: for the shell; a tuple: argv with references
    sleep: Millis | None = None
    sleep_until: str | None = None  # RFC 3339, or a reference that gives one
    signal: str | None = None
    approval: str | None = None
    http: Http | None = None
    job: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)  # of the child run
    on_parent_close: ParentClosePolicy = ParentClosePolicy.TERMINATE
    on_timeout: OnTimeout = OnTimeout.FAIL
    only_if: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    compensate: Compensation | None = None
    poll: Poll | None = None
    foreach: ForEach | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    shell: str | None = None  # None = the job's
    queue: str | None = None
    allow_failure: bool = False

    @property
    def kind(self) -> StepKind:
        if self.command is not None:
            return StepKind.COMMAND
        if self.signal is not None:
            return StepKind.SIGNAL
        if self.approval is not None:
            return StepKind.APPROVAL
        if self.job is not None:
            return StepKind.JOB
        if self.http is not None:
            return StepKind.HTTP
        return StepKind.SLEEP


@dataclass(frozen=True, slots=True)
class Param:
    type: ParamType = ParamType.STRING
    default: Any = None  # None = the caller must give it; a string may hold references to run.*
    choices: tuple[Any, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job fires. Exactly one of cron, every, at, boot is set."""

    cron: str | None = None
    every: Millis | None = None
    offset: Millis = 0
    at: Millis | None = None  # instant
    timezone: str | None = None  # None = the job's, else the machine's
    jitter: Millis = 0
    start_at: Millis | None = None
    end_at: Millis | None = None
    exclude: tuple[str, ...] = ()
    exclude_dates: tuple[str, ...] = ()  # YYYY-MM-DD in the schedule's zone
    dst_gap: str = "after"  # after | skip
    dst_fold: str = "first"  # first | second | both
    boot: bool = False  # once for each start of the machine: `@reboot`


@dataclass(frozen=True, slots=True)
class Keep:
    runs: int | None = None
    age: Millis | None = None  # `for` in the file


@dataclass(frozen=True, slots=True)
class Notify:
    on: tuple[str, ...]  # final statuses, "missed", or "stopped"
    command: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its file defines it, defaults merged in. `folder` is absolute; paths are resolved against it."""

    name: str
    folder: str
    steps: tuple[Step, ...]
    file: str = ""  # where it was read from
    description: str = ""
    schedules: tuple[Schedule, ...] = ()
    timezone: str | None = None
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    catchup_window: Millis | None = None  # None = as long as it takes (Temporal: one year)
    key: str | None = None  # what its business calls a run: a text with references. One run for each
    catchup_limit: int = 1_000  # of more fire times of a schedule the newest are kept, the rest is missed
    start_within: Millis | None = None  # a run that has not begun by then ends: nobody took it in time
    pause_on_failure: bool = False
    timeout: Millis | None = None
    params: Mapping[str, Param] = field(default_factory=dict)
    default_env: Mapping[str, str] = field(default_factory=dict)  # [defaults] env: env_file overrides it
    env_file: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    inherit_env: bool | tuple[str, ...] = ()  # True = everything; else patterns
    cwd: str | None = None
    shell: str = "/bin/sh"
    keep: Keep = Keep()
    queue: str | None = None
    priority: int = 0
    max_parallel_steps: int = 16
    kill_grace: Millis = 10_000
    after_stop: str = ""  # retry | pause: what becomes of a run that was stopped with its daemon; "" = as `retry` says
    disk_limit: int | None = None  # bytes of all files of a run
    log_limit: int = 64 * 1024 * 1024  # bytes an attempt
    notify: tuple[Notify, ...] = ()
    tags: tuple[str, ...] = ()
    # The jobs that its steps start, and those that these start, by name: a run keeps the definitions of its children
    # too. Flat: theirs are empty.
    children: Mapping[str, Job] = field(default_factory=dict)

    def step(self, name: str) -> Step:
        """The step of that name. KeyError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def child(self, name: str) -> Job:
        """The definition that a child run of that job gets: with its own children. KeyError where there is none."""
        return with_children(self.children[name], self.children)


@dataclass(frozen=True, slots=True)
class Queue:
    """A line that steps stand in. `concurrency`: so many of its steps at a time, None = no limit."""

    name: str
    concurrency: int | None = None
    priority: int = 0


def with_children(job: Job, jobs: Mapping[str, Job]) -> Job:
    """The job with all that it starts, directly or not, out of `jobs`."""
    found: dict[str, Job] = {}
    ahead = [job]
    while ahead:
        for step in ahead.pop().steps:
            if step.job is not None and step.job not in found:
                found[step.job] = replace(jobs[step.job], children={})
                ahead.append(found[step.job])
    return replace(job, children=found) if found or job.children else job


# How each field that is not a plain value is read back. A new dataclass field with structure needs a line here;
# tests/core/test_model.py round-trips a job that uses every field and fails when it is forgotten.
_NESTED: dict[tuple[type, str], Any] = {}


def encode(job: Job) -> str:
    """The job as one canonical JSON text: the same job gives the same bytes.

    Defaults are left out. So the default of a field that has one here can never be changed: definitions that are kept
    with runs would change with it.
    """
    return json.dumps(_plain(job), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def encode_in_order(job: Job) -> str:
    """The job as JSON text, what is named in the order of its file: shown, it is as if it had just been read."""
    return json.dumps(_plain(job), separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> Job:
    """The job that `encode` wrote, or the other. Keys that a newer version added are an error: TypeError."""
    job = _build(Job, json.loads(text))
    if not isinstance(job, Job):
        raise TypeError("it is no job")
    return job


def encode_schedule(schedule: Schedule, job: Job) -> str:
    """What tells a job's schedule from every other one it had or will have: the same schedule gives the same text."""
    zone = {"timezone": schedule.timezone or job.timezone} if schedule.cron is not None else {}
    return json.dumps({**_plain(schedule), **zone}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode_schedule(key: str) -> Schedule:
    """The schedule of such a text, in the zone that it is followed in. ValueError, TypeError, AttributeError for
    another text."""
    values: dict[str, Any] = json.loads(key)
    values.update((name, tuple(value)) for name, value in values.items() if isinstance(value, list))
    return Schedule(**values)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        out = {}
        for f in fields(value):
            v = getattr(value, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if v != default:
                out[f.name] = _plain(v)
        return out
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _build(cls: type, data: dict[str, Any]) -> Any:
    return cls(**{key: _convert(_NESTED.get((cls, key)), value) for key, value in data.items()})


def _convert(how: Any, value: Any) -> Any:
    if how is None:
        return tuple(value) if isinstance(value, list) else value
    return how(value)


def _one(cls: type) -> Any:
    return lambda v: _build(cls, v)


def _many(cls: type) -> Any:
    return lambda v: tuple(_build(cls, x) for x in v)


_NESTED.update(
    {
        (Job, "steps"): _many(Step),
        (Job, "schedules"): _many(Schedule),
        (Job, "params"): lambda v: {name: _build(Param, p) for name, p in v.items()},
        (Job, "keep"): _one(Keep),
        (Job, "notify"): _many(Notify),
        (Job, "children"): lambda v: {name: _build(Job, child) for name, child in v.items()},
        (Job, "overlap"): OverlapPolicy,
        (Step, "when"): When,
        (Step, "on_parent_close"): ParentClosePolicy,
        (Step, "on_timeout"): OnTimeout,
        (Step, "retry"): _one(RetryPolicy),
        (Step, "timeouts"): _one(Timeouts),
        (Step, "compensate"): _one(Compensation),
        (Step, "poll"): _one(Poll),
        (Step, "foreach"): _one(ForEach),
        (Step, "params"): dict,
        (Step, "http"): _one(Http),
        (Compensation, "retry"): _one(RetryPolicy),
        (Compensation, "timeouts"): _one(Timeouts),
        (Param, "type"): ParamType,
        # What stands in a param's default or a foreach item is the user's JSON: lists in it stay lists.
        (Param, "default"): lambda v: v,
        (Http, "body"): lambda v: v,
        (ForEach, "items"): lambda v: v if isinstance(v, str) else tuple(v),
    }
)
