"""What a notification is: which commands tell of what, in which surroundings, and what they are told."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from jobctl.core.model import Job, Keep, Notify, Param, Schedule, Step
from jobctl.core.run import notices
from jobctl.core.run.history import Event, EventType, RunState, replay

JOB = Job(
    "backup",
    "/srv",
    (Step("main", command="false"),),
    file="/srv/jobs.toml",
    description="d",
    schedules=(Schedule(cron="0 3 * * *"),),
    timezone="Europe/Berlin",
    pause_on_failure=True,
    timeout=9,
    params={"day": Param()},
    default_env={"A": "1"},
    env_file=".env",
    env={"B": "2"},
    inherit_env=("AWS_*",),
    cwd="app",
    shell="/bin/bash",
    keep=Keep(runs=3),
    queue="q",
    priority=7,
    max_parallel_steps=1,
    kill_grace=1,
    log_limit=2,
    notify=(Notify(("failed", "missed"), "mail"), Notify(("succeeded", "failed"), ("push", "it"))),
    tags=("t",),
)
CREATED = Event(EventType.RUN_CREATED, 5, data={"trigger": "schedule", "fire_time": 3})


def ended(status: str = "failed", **more: Any) -> dict[str, Any]:
    state: RunState = replay([CREATED])
    return notices.of_end("backup-1", "backup", Event(EventType.RUN_ENDED, 9, data={"status": status, **more}), state)


@pytest.mark.parametrize(
    ("what", "commands"),
    [
        ("failed", ["mail", ("push", "it")]),
        ("succeeded", [("push", "it")]),
        ("missed", ["mail"]),
        ("canceled", []),
    ],
)
def test_which_commands_tell_of_what(what: str, commands: list[object]) -> None:
    assert notices.commands(JOB, what) == commands


def test_it_runs_in_the_surroundings_of_the_job_and_has_nothing_else_of_it() -> None:
    made = notices.notifier(JOB, "mail")
    kept = {"folder", "file", "timezone", "default_env", "env_file", "env", "inherit_env", "cwd", "shell"}
    kept |= {"kill_grace", "log_limit"}
    for field in fields(Job):
        value = getattr(made, field.name)
        if field.name in kept:
            assert value == getattr(JOB, field.name), field.name
        elif field.name not in ("name", "steps"):
            assert value == getattr(Job("x", "/", ()), field.name), field.name
    [step] = made.steps
    assert (step.command, step.retry.maximum_attempts, step.timeouts.start_to_close) == ("mail", 3, 300_000)


def test_its_name_is_no_jobs_and_leads_back() -> None:
    name = notices.name_of("backup")
    assert notices.is_notifier(name)
    assert notices.origin(name) == "backup"
    assert not notices.is_notifier("backup")
    assert notices.origin("backup") == "backup"


@pytest.mark.parametrize(
    ("about", "variables", "sentence"),
    [
        (
            ended(reason="step main: exit code 1"),
            {"RUN": "backup-1", "STATUS": "failed", "REASON": "step main: exit code 1", "TRIGGER": "schedule"},
            "backup-1 failed",
        ),
        (
            ended("timed_out"),
            {"RUN": "backup-1", "STATUS": "timed_out", "REASON": "", "TRIGGER": "schedule"},
            "backup-1 timed out",
        ),
        (
            ended("canceled"),
            {"RUN": "backup-1", "STATUS": "canceled", "REASON": "", "TRIGGER": "schedule"},
            "backup-1 was canceled",
        ),
        (
            ended(reason="a\0b\udc80" + "x" * 10_000),
            {"RUN": "backup-1", "STATUS": "failed", "REASON": "a b?" + "x" * 3_996, "TRIGGER": "schedule"},
            "backup-1 failed",
        ),
        (
            notices.of_missed("backup", 3, 1, 7, "no daemon ran"),
            {"STATUS": "missed", "REASON": "no daemon ran", "TRIGGER": "schedule", "MISSED": "3"},
            "3 fire times of backup got no run",
        ),
        (
            notices.of_missed("backup", 1, 7, 7, "no daemon ran"),
            {"STATUS": "missed", "REASON": "no daemon ran", "TRIGGER": "schedule", "MISSED": "1"},
            "1 fire time of backup got no run",
        ),
    ],
)
def test_what_it_says(about: dict[str, Any], variables: dict[str, str], sentence: str) -> None:
    expected = {f"JOBCTL_{key}": value for key, value in variables.items()} | {"JOBCTL_JOB": "backup"}
    assert notices.variables(about) == expected
    assert notices.sentence(about) == sentence
    assert notices.is_about(about)


def test_its_instants_are_known() -> None:
    assert notices.times(ended()) == {"created_at": 5, "finished_at": 9, "fire_time": 3}
    assert notices.times(notices.of_missed("backup", 3, 1, 7, "x")) == {"first": 1, "fire_time": 7}


@pytest.mark.parametrize(
    "value",
    [None, "x", [], {}, {"job": "x"}, {"job": 1, "status": "failed"}, {**ended(), "fire_time": "3"}],
)
def test_what_is_none_is_known_as_none(value: object) -> None:
    assert not notices.is_about(value)
