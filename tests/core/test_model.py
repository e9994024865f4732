"""A job and its text: whatever stands in the one comes back from the other."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest

from jobctl.core.model import (
    Compensation,
    ForEach,
    Http,
    Job,
    Keep,
    Notify,
    OnTimeout,
    OverlapPolicy,
    Param,
    ParamType,
    ParentClosePolicy,
    Poll,
    RetryPolicy,
    RunStatus,
    Schedule,
    Step,
    StepKind,
    Timeouts,
    When,
    decode,
    encode,
)

RETRY = RetryPolicy(5, 2_000, 1.5, 60_000, (2, 65), ("BadPassword", "Locked"))
TIMEOUTS = Timeouts(1, 2, 3)
EVERYTHING = Job(
    name="everything",
    folder="/srv",
    file="/srv/jobs.toml",
    description='Grüße, "quoted", a\nline and \u2028 another',
    schedules=(
        Schedule(
            cron="30 2 * * *",
            timezone="America/New_York",
            jitter=5,
            start_at=6,
            end_at=7,
            exclude=("* * 24-26 12 *",),
            exclude_dates=("2027-01-01", "2027-01-02"),
            dst_gap="skip",
            dst_fold="both",
        ),
        Schedule(every=900_000, offset=5),
        Schedule(at=0),
        Schedule(boot=True),
    ),
    timezone="Europe/Berlin",
    overlap=OverlapPolicy.BUFFER_ONE,
    catchup_window=0,
    catchup_limit=7,
    start_within=1,
    key="day-{{ params.day }}",
    pause_on_failure=True,
    timeout=1,
    params={
        "day": Param(ParamType.DATE, "{{ run.fire_date }}", ("a", "b"), "the day"),
        "list": Param(ParamType.LIST, ["x", ["y", 1], {"z": None}]),
        "none": Param(),
        "off": Param(ParamType.BOOLEAN, False),
        "zero": Param(ParamType.INTEGER, 0),
    },
    default_env={"A": "1"},
    env_file=".env",
    env={"A": "", "B": "2"},
    inherit_env=("AWS_*", "CI"),
    cwd="/tmp",
    shell="/bin/bash",
    keep=Keep(runs=0, age=1),
    queue="gpu",
    priority=-1,
    max_parallel_steps=2,
    kill_grace=0,
    after_stop="retry",
    log_limit=1,
    disk_limit=1,
    notify=(Notify(("failed", "missed"), "mail"), Notify(("succeeded",), ("mail", "-s"))),
    tags=("x", "y"),
    children={
        "other": Job("other", "/srv", (Step(name="main", command="true", timeouts=Timeouts(1)),), env={"A": "1"})
    },
    steps=(
        Step(
            name="command",
            command=("echo", "{{ params.day }}"),
            only_if="test -e x",
            retry=RETRY,
            timeouts=TIMEOUTS,
            compensate=Compensation(("undo", "it"), RETRY, TIMEOUTS),
            poll=Poll(1, 1.5, 2, 3),
            foreach=ForEach(("a", 1, ["b"], {"c": [2]}), 3, True),
            env={"C": "3"},
            cwd="sub",
            shell="/bin/zsh",
            queue="cpu",
            allow_failure=True,
        ),
        Step(name="default-undo", needs=("command",), command="true", compensate=Compensation("undo")),
        Step(name="once-undo", command="true", compensate=Compensation("undo", RetryPolicy())),
        Step(name="sleep", command=None, sleep=0, when=When.ALWAYS),
        Step(name="until", sleep_until="2027-01-01T00:00:00Z", when=When.FAILURE),
        Step(name="signal", signal="go", on_timeout=OnTimeout.CONTINUE),
        Step(name="approval", approval="go on?", foreach=ForEach("{{ params.list }}")),
        Step(
            name="http",
            http=Http(
                "https://example.com/", "POST", {"A": "b"}, {"a": [1, ["{{ params.day }}"]]}, (200, "4xx"), "page"
            ),
        ),
        Step(name="job", job="other", params={"p": [1, [2], {}]}, on_parent_close=ParentClosePolicy.ABANDON),
    ),
)


def _said(value: Any, said: dict[type, set[str]]) -> dict[type, set[str]]:
    """Which fields of which dataclasses have another value than their default somewhere in `value`."""
    if is_dataclass(value):
        for field in fields(value):
            inner = getattr(value, field.name)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if inner != default:
                said.setdefault(type(value), set()).add(field.name)
            _said(inner, said)
    elif isinstance(value, dict):
        _said(tuple(value.values()), said)
    elif isinstance(value, tuple):
        for item in value:
            _said(item, said)
    return said


def test_the_job_here_uses_every_field_of_every_dataclass() -> None:
    said = _said(EVERYTHING, {})
    nouns = {Job, Step, RetryPolicy, Timeouts, Compensation, Poll, ForEach, Http, Param, Schedule, Keep, Notify}
    assert said == {noun: {field.name for field in fields(noun)} for noun in nouns}


JOBS = {
    "everything": EVERYTHING,
    "almost nothing": Job(name="job", folder="/", steps=(Step(name="main", command="true"),)),
    "inherit everything": Job(name="job", folder="/", steps=(), inherit_env=True),
    "inherit nothing": Job(name="job", folder="/", steps=(), inherit_env=False),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_comes_back_as_it_was(name: str) -> None:
    text = encode(JOBS[name])
    back = decode(text)
    assert back == JOBS[name]
    assert repr(back) == repr(JOBS[name])  # also each value's type: a list is no tuple, a text no enum member
    assert encode(back) == text


def test_the_same_job_gives_the_same_text() -> None:
    params = {"b": Param(ParamType.LIST, [{"y": 1, "x": 2}]), "a": Param()}
    one = Job(name="job", folder="/", steps=(), params=params, env={"B": "1", "A": "2"})
    params = {"a": Param(), "b": Param(ParamType.LIST, [{"x": 2, "y": 1}])}
    two = Job(env={"A": "2", "B": "1"}, params=params, steps=(), folder="/", name="job", overlap=OverlapPolicy.SKIP)
    assert encode(one) == encode(two)


def test_defaults_are_left_out() -> None:
    assert json.loads(encode(JOBS["almost nothing"])) == {
        "name": "job",
        "folder": "/",
        "steps": [{"name": "main", "command": "true"}],
    }


def test_a_key_of_a_newer_version_is_an_error() -> None:
    with pytest.raises(TypeError, match="sparkle"):
        decode('{"name":"job","folder":"/","steps":[],"sparkle":1}')


def test_what_kind_each_step_is() -> None:
    kinds = {step.name: step.kind for step in EVERYTHING.steps}
    assert kinds == {
        "command": StepKind.COMMAND,
        "default-undo": StepKind.COMMAND,
        "once-undo": StepKind.COMMAND,
        "sleep": StepKind.SLEEP,
        "until": StepKind.SLEEP,
        "signal": StepKind.SIGNAL,
        "approval": StepKind.APPROVAL,
        "http": StepKind.HTTP,
        "job": StepKind.JOB,
    }


def test_a_step_by_its_name() -> None:
    assert EVERYTHING.step("sleep") is EVERYTHING.steps[3]
    with pytest.raises(KeyError, match="nap"):
        EVERYTHING.step("nap")


def test_which_statuses_are_final() -> None:
    assert [str(status) for status in RunStatus if not status.final] == ["queued", "running", "paused"]
