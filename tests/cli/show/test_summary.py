"""The end of a run in words, from histories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import run_of

from jobctl.cli.show import summary
from jobctl.core.model import Compensation, Job, Step
from jobctl.core.run.history import Event, EventType

E = EventType


def ended(at: int, step: str, number: int = 1, **data: Any) -> Event:
    return Event(E.ATTEMPT_ENDED, at, step, number, data)


def started(at: int, step: str, number: int = 1) -> Event:
    return Event(E.ATTEMPT_STARTED, at, step, number)


def over(at: int, status: str, reason: str | None = None) -> Event:
    return Event(E.RUN_ENDED, at, data={"status": status, **({"reason": reason} if reason else {})})


CREATED = (Event(E.RUN_CREATED, 0), Event(E.RUN_TAKEN, 0, data={"executor": "e"}))
A, B = Step("a", command="true"), Step("bb", needs=("a",), command="true")
UNDO_A = replace(A, compensate=Compensation("undo"))
FAILED_B = (started(0, "a"), ended(10, "a"), started(10, "bb"), ended(20, "bb", status="failed", error="exit code 7"))


@pytest.mark.parametrize(
    ("steps", "events", "expected"),
    [
        pytest.param(
            (A, B),
            (started(0, "a"), ended(1000, "a"), started(1000, "bb"), ended(1500, "bb"), over(1500, "succeeded")),
            ["x-1 succeeded in 1.5s", "  a   succeeded, 1s", "  bb  succeeded, 500ms"],
            id="all is well",
        ),
        pytest.param(
            (A, B),
            (
                started(0, "a"),
                ended(1000, "a", status="timed_out", error="start_to_close of 1s passed", retry_at=2000),
                started(2000, "a", 2),
                ended(2500, "a", 2, status="failed", error="exit code 1", retry_at=3500),
                started(3500, "a", 3),
                ended(4000, "a", 3),
                started(4000, "bb"),
                ended(4010, "bb", status="skipped"),
                over(4010, "succeeded"),
            ),
            [
                "x-1 succeeded in 4s",
                "  a   succeeded, 4s, 3 attempts (1 timed out, 1 failed)",
                "  bb  skipped, 10ms",
            ],
            id="what was retried, and why",
        ),
        pytest.param(
            (A, B),
            (
                started(0, "a"),
                ended(1000, "a", status="timed_out", error="start_to_close of 1s passed"),
                over(1000, "failed", "step a: start_to_close of 1s passed"),
            ),
            [
                "x-1 failed after 1s: step a: start_to_close of 1s passed",
                "  a   timed out, 1s: start_to_close of 1s passed",
                "  not started: bb",
                "the output of step a is empty",
                "logs: jobctl logs x-1 a",
                "take it up again with: jobctl resume x-1",
            ],
            id="a timeout",
        ),
        pytest.param(
            (replace(A, allow_failure=True),),
            (started(0, "a"), ended(10, "a", status="failed", error="exit code 7"), over(10, "succeeded")),
            ["x-1 succeeded in 10ms", "  a  failed (allowed), 10ms: exit code 7"],
            id="a failure that the job allows",
        ),
        pytest.param(
            (UNDO_A, B),
            (
                *FAILED_B,
                Event(E.UNDO_STARTED, 20, "a", 1),
                Event(E.UNDO_ENDED, 30, "a", 1, {"status": "failed", "error": "exit code 2"}),
                over(30, "failed", "step bb: exit code 7"),
            ),
            [
                "x-1 failed after 30ms: step bb: exit code 7",
                "  a   succeeded, 10ms",
                "  bb  failed, 10ms: exit code 7",
                "NOT COMPENSATED: step a: exit code 2. What it did still stands",
                "the output of the compensation of step a is empty",
                "the output of step bb is empty",
                "logs: jobctl logs x-1 bb",
                "nothing of it was rolled back; start anew with: jobctl run x",
                "or from a step on: jobctl resume x-1 --from STEP",
            ],
            id="what could not be undone",
        ),
        pytest.param(
            (replace(A, compensate=Compensation("undo")),),
            (
                started(0, "a"),
                ended(10, "a", status="failed", error="exit code 7"),
                Event(E.UNDO_STARTED, 20, "a", 1),
                Event(E.UNDO_ENDED, 30, "a", 1),
                over(30, "failed", "step a: exit code 7"),
            ),
            [
                "x-1 failed after 30ms: step a: exit code 7",
                "  a  failed, 10ms: exit code 7; compensated",
                "the output of step a is empty",
                "logs: jobctl logs x-1 a",
                "it was rolled back; start anew with: jobctl run x",
                "or from a step on: jobctl resume x-1 --from STEP",
            ],
            id="the failing step was compensated too",
        ),
        pytest.param(
            (replace(A, compensate=Compensation("undo")),),
            (
                started(0, "a"),
                ended(10, "a", status="suspended", wait={"kind": "signal", "call": 0, "name": "go"}),
                Event(E.CANCEL_REQUESTED, 15),
                Event(E.STEP_ENDED, 15, "a", data={"status": "canceled", "error": "the run was stopped"}),
                Event(E.UNDO_STARTED, 20, "a", 1),
                Event(E.UNDO_ENDED, 30, "a", 1),
                over(30, "canceled", "canceled"),
            ),
            [
                "x-1 canceled after 30ms: canceled",
                "  a  stopped, 10ms, suspended once: the run was stopped; compensated",
                "logs: jobctl logs x-1",
                "it was rolled back; start anew with: jobctl run x",
                "or from a step on: jobctl resume x-1 --from STEP",
            ],
            id="a script was compensated while it was suspended",
        ),
        pytest.param(
            (A, B),
            (
                *FAILED_B,
                over(20, "failed", "step bb: exit code 7"),
                Event(E.RUN_REOPENED, 5000, data={"redo": ["bb"]}),
                Event(E.RUN_TAKEN, 5000, data={"executor": "f"}),
                started(5000, "bb", 2),
                ended(5010, "bb", 2),
                over(5010, "succeeded"),
            ),
            ["x-1 succeeded in 10ms", "  a   succeeded, in an earlier try", "  bb  succeeded, 10ms"],
            id="a resume counts for itself",
        ),
        pytest.param(
            (A, B),
            (started(0, "a"),),
            [
                "x-1 is not over: this process stops advancing it after 10s",
                "  a   running",
                "logs: jobctl logs x-1",
                "take it up again with: jobctl resume x-1",
            ],
            id="left as it is",
        ),
    ],
)
def test_the_summary(steps: Sequence[Step], events: Sequence[Event], expected: list[str], tmp_path: Path) -> None:
    run = run_of(Job("x", "/", tuple(steps)), [*CREATED, *events], tmp_path)
    assert [line.text for line in summary.lines(run, now=10_000, streamed=True)] == expected


def test_of_many_steps_only_those_with_something_to_tell(tmp_path: Path) -> None:
    steps = tuple(Step(f"s{i}", command="true") for i in range(1000))
    events = [*CREATED]
    for step in steps:
        data = {"status": "failed", "error": "no"} if step.name in ("s3", "s500") else {}
        events += [started(0, step.name), ended(5, step.name, **data)]
    run = run_of(Job("x", "/", steps), [*events, over(10, "failed", "step s3: no")], tmp_path)
    assert [line.text for line in summary.lines(run, now=10, streamed=True)][:4] == [
        "x-1 failed after 10ms: step s3: no",
        "  s3    failed, 5ms: no",
        "  s500  failed, 5ms: no",
        "  998 steps succeeded",
    ]


def test_a_failure_shows_the_last_lines_of_its_output_without_secrets(tmp_path: Path) -> None:
    job = Job("x", "/", (A, B), env={"API_TOKEN": "sesame-open"})
    run = run_of(job, [*CREATED, *FAILED_B, over(20, "failed", "step bb: exit code 7")], tmp_path)
    lines = [f"line {i}" for i in range(30)]
    Path(run.log_file("bb", 1)).write_text("\n".join([*lines, "x sesame-open"]), encoding="utf-8")
    texts = [line.text for line in summary.lines(run, now=20, streamed=False)]
    at = texts.index("the end of the output of step bb:")
    assert texts[at + 1 : at + 11] == [f"  | {line}" for line in [*lines[-9:], "x ***"]]
    assert not re.search("sesame", "".join(texts))
