"""The table of all keys of a definitions file: their places, kinds and meaning. Validation and the JSON Schema for
editors both come from it. What a kind of value is stands in shapes.py; what keys mean together in jobs.py."""

from __future__ import annotations

from functools import lru_cache

from jobctl.core import kinds
from jobctl.core.definition.moments import CronText, Date, Duration, Instant, ScheduleText, Zone
from jobctl.core.definition.plain import Boolean, Choice, Integer, Name, Number, Size, Text
from jobctl.core.definition.several import Either, Environment, Json, ListOf, MapOf, NotATable, OneOrMany, Short, Steps
from jobctl.core.definition.shapes import Defs
from jobctl.core.definition.tables import Key, Table, all_keys
from jobctl.core.kinds import command
from jobctl.core.model import MAX_ITEMS, OnTimeout, OverlapPolicy, ParamType, ParentClosePolicy, RunStatus, When

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_JOB_DEPTH = 16  # jobs that start jobs that start jobs …

_ENDS = (*(status for status in RunStatus if status.final), "missed", "stopped")

# What these keys are called elsewhere: keys that people bring along from other tools, and keys of another place.
_COMMAND = 'here it is `command`: a text for the shell, or a list such as ["rsync", "-a", "from", "to"]'
_NEEDS = 'here it is `needs`: needs = ["step"]'
_RETRY = "here it is `retry`: retry = 3, or retry = { maximum_attempts = 3 }"
_SCHEDULE = 'here it is `schedule`: schedule = "30 2 * * *"'
_CLEANUP = 'write a step with when = "failure" or when = "always"; for an undo, `compensate`'
_FOREIGN = {
    "cmd": _COMMAND,
    "run": _COMMAND,
    "script": _COMMAND,
    "exec": _COMMAND,
    "args": _COMMAND,
    "argv": _COMMAND,
    "program": _COMMAND,
    "cron": _SCHEDULE,
    "crontab": _SCHEDULE,
    "cron_expression": _SCHEDULE,
    "schedules": "here it is `schedule`, which may be a list",
    "interval": 'write schedule = { every = "15m" }',
    "period": 'write schedule = { every = "15m" }',
    "tz": 'here it is `timezone`: timezone = "Europe/Berlin"',
    "time_zone": 'here it is `timezone`: timezone = "Europe/Berlin"',
    "timeouts": 'here it is `timeout`: "30s", or in a step { start_to_close = "30s", schedule_to_close = "10m" }',
    "timeout_seconds": 'here it is `timeout`: timeout = "30s"',
    "timeout_minutes": 'here it is `timeout`: timeout = "5m"',
    "deadline": 'here it is `timeout`: timeout = "6h"',
    "retries": _RETRY,
    "max_retries": _RETRY,
    "max_attempts": _RETRY,
    "attempts": _RETRY,
    "retry_policy": _RETRY,
    "depends_on": _NEEDS,
    "depends": _NEEDS,
    "dependencies": _NEEDS,
    "after": _NEEDS,
    "requires": _NEEDS,
    "upstream": _NEEDS,
    "environment": 'here it is `env`: env = { NAME = "value" }',
    "vars": 'here it is `env`, or `params` for what a caller may set: params = { name = "value" }',
    "workdir": 'here it is `cwd`: cwd = "/srv/app"',
    "working_dir": 'here it is `cwd`: cwd = "/srv/app"',
    "working_directory": 'here it is `cwd`: cwd = "/srv/app"',
    "dir": 'here it is `cwd`: cwd = "/srv/app"',
    "concurrency": "for the runs of a job `overlap`, for its steps `max_parallel_steps`; or [queues.NAME] for steps",
    "concurrency_policy": 'here it is `overlap`: overlap = "skip"',
    "allow_overlap": 'write overlap = "allow_all"',
    "catchup": 'here it is `catchup_window`: catchup_window = "24h"',
    "tasks": "here they are `steps`: [[jobs.NAME.steps]]",
    "stages": "here they are `steps`: [[jobs.NAME.steps]]",
    "step": "here they are `steps`: [[jobs.NAME.steps]]",
    "id": "here it is `name`",
    "if": "here it is `only_if`: a shell command, exit 0 to run the step, 1 to skip it",
    "condition": "here it is `only_if`: a shell command, exit 0 to run the step, 1 to skip it",
    "unless": "here it is `only_if`: a shell command, exit 0 to run the step, 1 to skip it",
    "on_failure": _CLEANUP,
    "on_error": _CLEANUP,
    "on_success": "write a step: it runs when those that it needs have succeeded",
    "finally": _CLEANUP,
    "always": 'write when = "always" in the step',
    "rollback": "here it is `compensate`: the command that undoes the step",
    "undo": "here it is `compensate`: the command that undoes the step",
    "continue_on_error": "here it is `allow_failure`: allow_failure = true",
    "ignore_errors": "here it is `allow_failure`: allow_failure = true",
    "with_items": 'here it is `foreach`: foreach = ["a", "b"]',
    "for_each": 'here it is `foreach`: foreach = ["a", "b"]',
    "matrix": 'here it is `foreach`: foreach = ["a", "b"]',
    "parallel": "steps with needs = [] start at once; `max_parallel_steps` of the job limits them",
    "enabled": "a schedule is switched off by: jobctl schedule pause JOB",
    "disabled": "a schedule is switched off by: jobctl schedule pause JOB",
    "delay": 'write a step of its own: sleep = "10m"',
    "wait": 'write a step of its own: sleep = "10m"',
    "user": "commands run as the user whom jobctl runs as; write sudo -u NAME in the command",
    "stdout": "output goes to the log that `jobctl logs` shows; `{{ steps.NAME.stdout }}` is its last line",
    "retention": 'here it is `keep`: keep = { runs = 100, for = "30d" }',
    "kill_timeout": 'here it is `kill_grace`: kill_grace = "10s"',
    "parameters": 'here they are `params`: params = { name = "value" }',
    "inputs": 'here they are `params`: params = { name = "value" }',
    "with": 'here they are `params`: params = { name = "value" }',
}

COMMAND = command.shape()

RETRY = Either(
    Short(Integer(least=0), "maximum_attempts"),
    Table(
        "retry",
        {
            "maximum_attempts": Key(Integer(least=0), "How often it is tried in all; 0 = without limit."),
            "initial_interval": Key(Duration(), "The wait after the first attempt; 1s if not said."),
            "backoff_coefficient": Key(Number(least=1), "Each wait is so many times the one before; 2.0 if not said."),
            "maximum_interval": Key(Duration(), "The longest wait; 100 times the first if not said."),
            "non_retryable_exit_codes": Key(
                ListOf(Integer(least=1, most=255)), "Exit codes after which there is no further attempt."
            ),
            "non_retryable_types": Key(ListOf(Text()), "Error types (of the failure file) that end the attempts."),
        },
        foreign={
            "max_retries": "here it is `maximum_attempts`, which counts the first one too",
            "limit": "here it is `maximum_attempts`, which counts the first one too",
            "delay": "here it is `initial_interval`",
            "interval": "here it is `initial_interval`",
            "max_delay": "here it is `maximum_interval`",
            "backoff": "here it is `backoff_coefficient`",
            "factor": "here it is `backoff_coefficient`",
            "multiplier": "here it is `backoff_coefficient`",
            "jitter": "waits have no jitter here; schedules do",
        },
    ),
)

TIMEOUT = Either(
    Short(Duration(), "start_to_close"),
    Table(
        "timeout",
        {
            "start_to_close": Key(Duration(), "One attempt; it is stopped and counts as failed."),
            "schedule_to_close": Key(Duration(), "The step: all attempts and the waits between; then it fails."),
            "heartbeat": Key(Duration(), "From the start or last heartbeat to the next; then the attempt fails."),
        },
        foreign={
            "attempt": "here it is `start_to_close`",
            "total": "here it is `schedule_to_close`",
            "overall": "here it is `schedule_to_close`",
        },
    ),
)

PARAMS = MapOf(
    Either(
        Table(
            "param",
            {
                "type": Key(Choice(tuple(ParamType)), "What its values are; that of the default, else string."),
                "default": Key(NotATable(), "The value if the caller gives none; without it the caller must."),
                "choices": Key(ListOf(NotATable(), least=1), "The only values allowed."),
                "description": Key(Text(empty=True), "One line for people."),
            },
            foreign={
                "required": "a parameter without `default` is required",
                "enum": "here it is `choices`",
                "options": "here it is `choices`",
                "value": "here it is `default`",
                "help": "here it is `description`",
            },
        ),
        Short(NotATable(), "default"),
    )
)

SCHEDULE = OneOrMany(
    Either(
        ScheduleText(),
        Table(
            "schedule",
            {
                "cron": Key(CronText(), "Five fields as in crontab, or @hourly, @daily, @weekly, @monthly, @yearly."),
                "every": Key(Duration(least=1_000), "So often, counted from 1970 in UTC."),
                "at": Key(Instant(), "Once, at this time."),
                "offset": Key(Duration(least=0), "So much later than counted; less than `every`.", ("every",)),
                "timezone": Key(Zone(), "The zone of this schedule; the job's if not said.", ("cron", "every")),
                "jitter": Key(Duration(least=0), "Each fire is up to this much later, always by the same amount."),
                "start_at": Key(Instant(), "No fire before this.", ("cron", "every")),
                "end_at": Key(Instant(), "No fire after this.", ("cron", "every")),
                "exclude": Key(
                    ListOf(CronText()), "Cron expressions; minutes that they name do not fire.", ("cron", "every")
                ),
                "exclude_dates": Key(ListOf(Date()), "Days in the schedule's zone without a fire.", ("cron", "every")),
                "dst_gap": Key(
                    Choice(("after", "skip")),
                    "A time that the clocks skip: right after the gap, or not at all.",
                    ("cron",),
                ),
                "dst_fold": Key(
                    Choice(("first", "second", "both")), "A time that comes twice: which one fires.", ("cron",)
                ),
            },
            one_of=("cron", "every", "at"),
            foreign={
                "tz": "here it is `timezone`",
                "interval": "here it is `every`",
                "start": "here it is `start_at`",
                "end": "here it is `end_at`",
                "until": "here it is `end_at`",
                "once": "here it is `at`",
                "overlap": "it belongs to the job, next to `schedule`",
                "catchup_window": "it belongs to the job, next to `schedule`",
                "catchup_limit": "it belongs to the job, next to `schedule`",
                "start_within": "it belongs to the job, next to `schedule`",
                "pause_on_failure": "it belongs to the job, next to `schedule`",
            },
        ),
    )
)

NOTIFY = OneOrMany(
    Table(
        "notify",
        {
            "on": Key(
                ListOf(Choice(_ENDS), least=1), "Ends of a run, or missed, stopped; failed, timed_out if not said."
            ),
            "command": Key(COMMAND, "What to run then.", required=True),
        },
    )
)

KEEP = Table(
    "keep",
    {
        "runs": Key(Integer(least=1), "So many of the newest finished runs."),
        "for": Key(Duration(), "So long after their end."),
    },
)

_SHARED = {  # keys that a job and its steps have
    "env": Key(Environment(), "Environment variables. Values may hold references."),
    "cwd": Key(Text(), "The folder that commands run in; relative to the file's folder, which it is if not said."),
    "shell": Key(Text(literal=True), "The program for text commands: SHELL -c COMMAND; /bin/sh if not said."),
    "retry": Key(RETRY, "How failed attempts are repeated: a number of attempts, or a table."),
    "queue": Key(Name(), "The queue whose turn and limit apply."),
}

_EXAMPLES = {  # of keys whose kind does not say what is written there
    "description": '"Nightly backup"',
    "cwd": '"/srv/app"',
    "shell": '"/bin/bash"',
    "env_file": '".env"',
    "queue": '"slow"',
    "tags": '["nightly"]',
    "params": '{ day = "monday" }',
    "needs": '["load"]',
    "only_if": '"test -e ready"',
    "command": '"./backup.sh"',
    "foreach": '["a", "b"]',
    "keep": '{ runs = 100, for = "30d" }',
    "catchup_window": '"24h"',
    "notify": '{ command = "./tell" }',
    "inherit_env": '["AWS_*"]',
}


def _with_examples(keys: dict[str, Key]) -> dict[str, Key]:
    return {key: spec._replace(example=_EXAMPLES.get(key, spec.example)) for key, spec in keys.items()}


_OWN_OF_JOB = {
    "description": Key(Text(empty=True), "One line for people."),
    "schedule": Key(SCHEDULE, "When it runs by itself: cron, every, at, or a list of them."),
    "timezone": Key(Zone(), "IANA name of the zone its times are in; the machine's if not said."),
    "overlap": Key(Choice(tuple(OverlapPolicy)), "What a fire does while a run is alive; skip if not said."),
    "catchup_window": Key(Duration(), "A fire time missed by less still gets its run."),
    "key": Key(Text(), "What a run is called by its business: one run for each. May hold references."),
    "catchup_limit": Key(Integer(least=1), "So many fire times of a schedule are caught up; 1,000 if not said."),
    "start_within": Key(Duration(), "A run that has not begun by then, after it was due or asked for, is canceled."),
    "pause_on_failure": Key(Boolean(), "Whether a failed run pauses the schedule."),
    "timeout": Key(Duration(), "The whole run: all attempts and waits together."),
    "params": Key(PARAMS, "Parameters: a default value, or a table with type, default, choices, description."),
    "env_file": Key(Text(literal=True), "A file of NAME=value lines, relative to this file's folder."),
    "inherit_env": Key(
        Either(Boolean(), ListOf(Text(literal=True))), "Variables of the caller to pass on: patterns, or true for all."
    ),
    "step_timeout": Key(TIMEOUT, "The timeout of its steps where they have none of their own."),
    "command": Key(COMMAND, "A job of one step: a text for the shell, or a list."),
    "keep": Key(KEEP, "How long finished runs are kept."),
    "priority": Key(Integer(), "Higher goes first in a queue; 0 if not said."),
    "max_parallel_steps": Key(Integer(least=1), "So many of a run's steps at a time; 16 if not said."),
    "kill_grace": Key(Duration(least=0), "Between SIGTERM and SIGKILL; 10s if not said."),
    "after_stop": Key(
        Choice(("retry", "pause")),
        "What becomes of a run that was stopped with the daemon; if not said, tried again where it has `retry`.",
    ),
    "log_limit": Key(Size(), "The most output kept of an attempt; 64MiB if not said."),
    "disk_limit": Key(Size(), "The most that all files of a run take; beyond it what runs is stopped and has failed."),
    "notify": Key(NOTIFY, "Commands to run when a run has ended or a fire was missed."),
    "tags": Key(ListOf(Text()), "Words to find its runs by."),
}

_RUNS_SHELL = ("only_if", "compensate")  # they are commands, too

_OWN_OF_STEP = {
    "name": Key(Name(), "Its name, unique in the job.", required=True),
    **{name: key for row in kinds.KINDS.values() for name, key in row.keys().items()},
    "params": Key(MapOf(Json()), "Parameters of the child run.", kinds.beside("params")),
    "on_parent_close": Key(Choice(tuple(ParentClosePolicy)), "What becomes of a child when this run ends.",
                           kinds.beside("on_parent_close")),
    "on_timeout": Key(Choice(tuple(OnTimeout)), "What a wait that took too long does; fail if not said.",
                      kinds.beside("on_timeout")),
    "needs": Key(ListOf(Name()), "The steps that it waits for; the one above it if not said."),
    "when": Key(Choice(tuple(When)), "success: part of the work; failure: after the run failed; always: in any case."),
    "only_if": Key(Text(), "A shell command: exit 0 runs the step, 1 skips it."),
    "timeout": Key(TIMEOUT, "start_to_close of a command, or a table; of a wait or a child, how long it may take.",
                   kinds.beside("timeout")),
    "compensate": Key(
        Either(
            Short(COMMAND, "command"),
            Table(
                "compensate",
                {
                    "command": Key(COMMAND, "What undoes the step.", required=True),
                    "retry": Key(RETRY, "Its own; without it, tried without limit."),
                    "timeout": Key(TIMEOUT, "Its own."),
                },
            ),
        ),
        "The undo, run when a later step fails for good.",
        kinds.beside("compensate"),
    ),
    "poll": Key(
        Table(
            "poll",
            {
                "interval": Key(Duration(), "Between two looks.", required=True),
                "backoff_coefficient": Key(Number(least=1), "Each wait so many times the one before; 1.0 if not said."),
                "maximum_interval": Key(Duration(), "The longest wait."),
                "deadline": Key(Duration(), "How long it may take until the condition holds."),
            },
        ),
        "Repeats the command until it exits with 0; 1 is not yet, anything else a failed attempt.",
        kinds.beside("poll"),
    ),
    "foreach": Key(
        Either(
            Short(ListOf(Json(), most=MAX_ITEMS), "items"),
            Short(Text(), "items"),
            Table(
                "foreach",
                {
                    "items": Key(
                        Either(ListOf(Json(), most=MAX_ITEMS), Text()), "A list, or a reference to one.", required=True
                    ),
                    "max_parallel": Key(Integer(least=1), "So many items at a time."),
                    "fail_fast": Key(Boolean(), "Whether the first failed item stops the others."),
                },
            ),
        ),
        "Once for each item of a list, or of a reference to a JSON list.",
        kinds.beside("foreach"),
    ),
    "max_parallel": Key(Integer(least=1), "So many items at a time.", ("foreach",)),
    "fail_fast": Key(Boolean(), "Whether the first failed item stops the others.", ("foreach",)),
    "allow_failure": Key(Boolean(), "Whether the run goes on when it fails for good."),
}  # fmt: skip

_BESIDE = {key: kinds.beside(key) + (_RUNS_SHELL if key in ("env", "cwd", "shell") else ()) for key in _SHARED}

STEP = Table(
    "step",
    _with_examples(_OWN_OF_STEP | {key: spec._replace(beside=_BESIDE[key]) for key, spec in _SHARED.items()}),
    written='a step is a table: [[jobs.NAME.steps]], and below it name = "…" and command = "…"',
    one_of=kinds.NAMES,
    foreign={
        **_FOREIGN,
        **{key: f"`{key}` belongs to the job: write it in [jobs.NAME]" for key in _OWN_OF_JOB},
        "step_timeout": "in a step it is `timeout`",
        "max_parallel_steps": "it belongs to the job; next to foreach it is `max_parallel`",
        "steps": "steps hold no steps; a child run is `job`",
        "uses": "here it is `job`, another job of this file",
        "max_concurrency": "next to foreach it is `max_parallel`",
    },
)

_IN_STEPS = {
    key: f"`{key}` belongs to a step: write it under [[jobs.NAME.steps]]"
    for key in _OWN_OF_STEP
    if key not in _OWN_OF_JOB
}

_STEPS = {"steps": Key(Steps(STEP, least=1), "Its steps; one without needs waits for the one above it.")}

JOB = Table(
    "job",
    _with_examples(_OWN_OF_JOB | _SHARED | _STEPS),
    written='a job is a table: [jobs.NAME], and below it command = "…"',
    one_of=("command", "steps"),
    foreign={
        **_FOREIGN,
        **_IN_STEPS,
        "name": "the name of a job stands in its head: [jobs.NAME]",
        "every": 'write schedule = { every = "15m" }',
        "at": 'write schedule = { at = "2026-12-24T18:00:00+01:00" }',
        "jitter": 'write schedule = { cron = "30 2 * * *", jitter = "5m" }',
    },
)

_NOT_IN_DEFAULTS = ("description", "schedule", "command", "steps")

DEFAULTS = Table(
    "defaults",
    {key: spec for key, spec in JOB.keys.items() if key not in _NOT_IN_DEFAULTS},
    foreign={
        **_FOREIGN,
        **_IN_STEPS,
        **{key: f"each job has its own `{key}`: write it in [jobs.NAME]" for key in _NOT_IN_DEFAULTS},
    },
)

FILE = Table(
    "file",
    {
        "defaults": Key(DEFAULTS, "For every job of this file; what a job says itself goes first."),
        "jobs": Key(MapOf(JOB, 'jobs have names: [jobs.NAME], and below it command = "…"'), "The jobs by name."),
        "queues": Key(
            MapOf(
                Table(
                    "queue",
                    {
                        "concurrency": Key(Integer(least=1), "So many steps of it at a time."),
                        "priority": Key(Integer(), "Higher goes first; 0 if not said."),
                    },
                )
            ),
            "Queues by name.",
        ),
    },
    foreign={
        "job": "write [jobs.NAME]",
        "tasks": "write [jobs.NAME]",
        "schedule": "a schedule belongs to a job: write it in [jobs.NAME]",
        "steps": "steps belong to a job: write [[jobs.NAME.steps]]",
        "command": "a command belongs to a job: write [jobs.NAME] above it",
        **{
            key: f"write `{key}` in [defaults] for all jobs of the file, in [jobs.NAME] for one"
            for key in DEFAULTS.keys
        },
    },
    otherwise="a job is written [jobs.{}]",
)


@lru_cache(maxsize=1)
def known_keys() -> frozenset[str]:
    """Every key that may stand anywhere in a definitions file. Names that users choose are not among them."""
    return all_keys(FILE)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a definitions file, for editors. What concerns several keys at once, such as
    cycles and references, is not in it: `jobctl validate` says that."""
    defs: Defs = {}
    root = FILE.schema(defs)
    return {"$schema": DIALECT, "title": "jobctl definitions", **root, "$defs": defs}
