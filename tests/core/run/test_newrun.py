"""What a new run begins with, and what its first event says of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from jobctl.core.errors import UsageError
from jobctl.core.model import Job, Param, ParamType, Step
from jobctl.core.run.history import replay
from jobctl.core.run.newrun import begin_by, created, described, made
from jobctl.core.run.rows import NewRun

STEPS = (Step("a", command="true"),)
JOB = Job("bill", "/", STEPS, queue="q", priority=3, key="{{ params.day }}", params={"day": Param(ParamType.STRING)})
VALUES = {"id": "bill-1", "job": "bill", "fire_time": "2026-01-01T00:00:00Z", "fire_date": "2026-01-01"}
GIVEN = {"day": "monday"}


class Old(NamedTuple):
    run: str
    reused: dict[str, dict[str, Any]]


def test_what_any_new_run_has() -> None:
    assert described(JOB, "{}", "bill-1", 5) == NewRun("bill-1", "bill", "{}", queue="q", priority=3)
    assert described(JOB, "{}", "bill-1", 5, start_within=7).start_by == 12


@pytest.mark.parametrize(("of_job", "given", "by"), [(None, None, None), (4, None, 104), (4, 9, 109), (None, 0, 100)])
def test_by_when_it_must_begin(of_job: int | None, given: int | None, by: int | None) -> None:
    assert begin_by(Job("x", "/", STEPS, start_within=of_job), 100, given) == by


def test_its_key_comes_from_its_parameters_unless_one_was_asked_for() -> None:
    new = described(JOB, "{}", "bill-1", 0)
    assert made(JOB, new, GIVEN, VALUES, 9).new.key == "monday"
    assert made(JOB, new._replace(key="mine"), GIVEN, VALUES, 9).new.key == "mine"
    child = made(JOB, new, GIVEN, VALUES, 9, parent=("month-1", "days[0]"))
    assert child.new.key is None
    assert child.first.data == {"params": GIVEN, "parent": {"run": "month-1", "step": "days[0]"}}


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError):
        made(JOB, described(JOB, "{}", "bill-1", 0), {}, VALUES, 9)


@pytest.mark.parametrize(
    ("new", "more", "data"),
    [
        ({}, {}, {}),  # by hand is what is not said
        (
            {"trigger": "schedule", "fire_time": 1, "start_by": 2, "key": "k"},
            {},
            {"trigger": "schedule", "fire_time": 1, "start_by": 2, "key": "k"},
        ),
        ({}, {"like": Old("bill-0", {"a": {}})}, {"like": "bill-0", "reused": {"a": {}}}),
        ({"trigger": "notify"}, {"about": {"job": "x"}}, {"trigger": "notify", "about": {"job": "x"}}),
    ],
)
def test_its_first_event_says_what_is_not_ordinary(
    new: dict[str, Any], more: dict[str, Any], data: dict[str, Any]
) -> None:
    first = created(NewRun("bill-1", "bill", "{}", **new), {}, 9, **more)
    assert (first.at, first.data) == (9, data)
    assert replay([first]).status == "queued"
