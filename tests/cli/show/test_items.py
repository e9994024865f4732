"""Steps with items, as people and scripts see them: real runs through the command line, and the live view's frame."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from runs import run_of

from jobctl.cli.main import main
from jobctl.cli.show import items, render
from jobctl.core.model import Compensation, ForEach, Job, Step
from jobctl.core.run.history import Event, EventType
from jobctl.views.run import Attempt
from jobctl.views.run import Step as Seen

JOBS = """
[jobs.x]
env = { API_TOKEN = "hunter-1" }
params = { secret = "hunter-1" }
[[jobs.x.steps]]
name = "each"
foreach = ["a", { b = "hunter-1" }, "c"]
max_parallel = 1
command = '''echo "this is $JOBCTL_ITEM_INDEX"; echo "i=$JOBCTL_ITEM_INDEX" >> $JOBCTL_OUTPUT
[ "$JOBCTL_ITEM" != c ] || [ -e go ] || exit 3'''
[[jobs.x.steps]]
name = "after"
command = ["echo", "{{ steps.each.outputs.i }}"]
"""


@pytest.fixture
def failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The id of a run whose third item failed."""
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["run", "x"]) == 1
    capsys.readouterr()
    assert main(["history", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)[0]["id"])


def out(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(list(args)) == code
    return capsys.readouterr().out


def test_a_run_in_a_terminal_s_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text(JOBS)
    assert main(["run", "x"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"each[{index}] | this is {index}" for index in range(3)]
    lines = [re.sub(r"x-\w{6}", "RUN", re.sub(r" in [\dm.]+s", "", line)) for line in printed.err.splitlines()]
    assert lines[:8] == [
        "RUN started",
        "step each has 3 items",
        "step each[0] started",
        "step each[0] succeeded",
        "step each[1] started",
        "step each[1] succeeded",
        "step each[2] started",
        "step each[2] failed: exit code 3",
    ]
    assert "  not started: after" in lines
    assert any(re.fullmatch(r"  each +failed, 3 items, \S+: 1 of 3 items failed: \[2\]", line) for line in lines)
    assert lines[-4:] == [
        "the end of the output of step each[2]:",
        "  | this is 2",
        "logs: jobctl logs RUN 'each[2]'",
        "take it up again with: jobctl resume RUN",
    ]


def test_a_run_in_json(failed: str, capsys: pytest.CaptureFixture[str]) -> None:
    each, after = json.loads(out(capsys, "--json", "status", failed))["steps"]
    assert (each["status"], each["attempts"], each["error"]) == ("failed", [], "1 of 3 items failed: [2]")
    assert each["outputs"] == [{"i": "0"}, {"i": "1"}, {"i": "2"}]
    assert [(item["index"], item["name"], item["item"]) for item in each["items"]] == [
        (0, "each[0]", "a"),
        (1, "each[1]", {"b": "***"}),
        (2, "each[2]", "c"),
    ]
    assert set(each["items"][0]) == {"index", "item", *each} - {"items"}
    assert [item["attempts"][0]["exit_code"] for item in each["items"]] == [0, 0, 3]
    assert "items" not in after


def test_a_run_for_people(failed: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = out(capsys, "status", failed).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("    each"))
    assert re.fullmatch(r"    each   failed, 3 items: 1 of 3 items failed: \[2\]", lines[place])
    assert re.fullmatch(r" +\[2\] c  failed, \S+: exit code 3", lines[place + 1])
    assert lines[place + 2] == "    after  skipped"


def test_its_events(failed: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "go").touch()
    assert main(["resume", failed]) == 0
    capsys.readouterr()
    printed = out(capsys, "history", failed)
    for words in (
        "step each has 3 items",
        "step each[2], attempt 1 failed: exit code 3",
        "run taken up again, doing again: what is left of each, after by",
        "step each goes on with its 3 items",
        "step each[2], attempt 2 succeeded",
    ):
        assert words in printed
    listed = [e for e in json.loads(out(capsys, "history", failed, "--json")) if e["type"] == "items_listed"]
    assert [event["data"] for event in listed] == [{"count": 3, "items": ["a", {"b": "***"}, "c"]}, {"count": 3}]
    assert (listed[0]["step"], listed[1]["step"]) == ("each", "each")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (
            ["each"],
            "".join(f"== each[{index}], attempt 1 ==\nthis is {index}\n" for index in range(3)),
        ),
        (["each[1]"], "this is 1\n"),
        (["each[1]", "--follow"], "this is 1\n"),
        (["each", "--follow"], "".join(f"each[{index}] | this is {index}\n" for index in range(3))),
    ],
)
def test_logs(failed: str, capsys: pytest.CaptureFixture[str], args: list[str], expected: str) -> None:
    assert out(capsys, "logs", failed, *args) == expected


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("each[3]", "step each has the items each[0] to each[2]"),
        ("eahc[0]", ""),
        ("after[0]", ""),
        ("each[]", "each[0]"),
    ],
)
def test_logs_of_an_item_that_there_is_not(
    failed: str, capsys: pytest.CaptureFixture[str], key: str, hint: str
) -> None:
    assert main(["logs", failed, key]) == 3
    errors = capsys.readouterr().err
    assert f"has no step '{key}'" in errors
    assert hint in errors


def test_no_secret_is_shown(failed: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "history", "logs"):
        for flags in ([], ["--json"]):
            assert "hunter" not in out(capsys, command, failed, *flags)


# -- many ------------------------------------------------------------------------------------------------------------


def _item(place: int, status: str, attempts: int = 0) -> Seen:
    made = [Attempt(number, "failed", None, None, 0, 0, None, 0, "", 0) for number in range(1, attempts + 1)]
    return Seen("each", status, attempts, None, {}, None, None, None, None, None, made, place=place)


def test_of_many_items_few_are_shown() -> None:
    found = [_item(i, "succeeded" if i % 3 else "failed") for i in range(9_000)]
    found += [_item(i, "running") for i in range(9_000, 9_003)] + [_item(i, "pending") for i in range(9_003, 10_000)]
    assert items.of_values(found) == "9,000 of 10,000 items done, 3 running, 3,000 failed"
    shown, more = items.telling(found)
    assert [item.place for item in shown] == [0, 3, 6, 9, 12, 15, 18, 9_000, 9_001, 9_002]
    assert more == 2_993


def test_what_was_passed_over_is_not_done() -> None:
    found = [_item(0, "skipped"), _item(1, "skipped", attempts=1), _item(2, "canceled")]
    assert items.of_values(found) == "2 of 3 items done, 1 canceled"


# -- the live view ---------------------------------------------------------------------------------------------------

EACH = Step("a", command="true", foreach=ForEach((1, 2, 3, 4), max_parallel=2), compensate=Compensation("undo"))
CREATED = (Event(EventType.RUN_CREATED, 0), Event(EventType.RUN_TAKEN, 0, data={"executor": "e"}))
LISTED = Event(EventType.ITEMS_LISTED, 0, "a", data={"count": 4, "items": [1, 2, 3, 4]})


def _attempt(key: str, **data: Any) -> list[Event]:
    return [Event(EventType.ATTEMPT_STARTED, 0, key, 1), Event(EventType.ATTEMPT_ENDED, 5, key, 1, data)]


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "· a"),
        ([LISTED], "● a   0 of 4 items done, 2 running"),
        (
            [LISTED, *_attempt("a[0]"), *_attempt("a[1]", status="failed")],
            "● a   2 of 4 items done, 2 running, 1 failed",
        ),
        (
            [
                LISTED,
                *_attempt("a[0]"),
                Event(EventType.ATTEMPT_STARTED, 0, "a[1]", 1),
                Event(EventType.CANCEL_REQUESTED, 6),
                Event(EventType.ATTEMPT_ENDED, 7, "a[1]", 1, {"status": "canceled"}),
                Event(EventType.STEP_ENDED, 7, "a[2]", data={"status": "canceled"}),
                Event(EventType.STEP_ENDED, 8, "a", data={"status": "canceled"}),
                Event(EventType.UNDO_STARTED, 9, "a[1]", 1),
            ],
            "● a   compensating a[1], 8s",
        ),
    ],
)
def test_the_live_view_has_a_line_for_all_items(folder: Path, events: list[Event], line: str) -> None:
    job = Job("x", "/", (EACH, Step("bb", command="true", needs=("a",))))
    run = run_of(job, [*CREATED, *events], folder)
    lines = render.frame(run, {}, now=8_500, rows=9)
    shown = ["".join(segment.text for segment in segments).strip() for segments in lines]
    assert shown[1].startswith(line)
    assert len(shown) == 3
