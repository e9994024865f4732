"""What the daemon says: for people and for programs, and a trouble that stays only once."""

from __future__ import annotations

import io
import json
import re

import pytest

from jobctl.daemon.log import Journal
from jobctl.host.host import Host


def said(style: str, *calls: tuple[str, dict[str, object]]) -> list[str]:
    stream = io.StringIO()
    journal = Journal(style, stream, host=Host())
    for message, about in calls:
        journal.say(message, **about)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_a_line_for_people() -> None:
    (line,) = said("text", ("succeeded", {"run": "x-1"}))
    assert line.endswith(" run x-1: succeeded")


@pytest.mark.parametrize(
    ("message", "about", "sentence"),
    [
        ("failed", {"run": "x-1", "reason": "step car: exit code 1"}, "run x-1: failed: step car: exit code 1"),
        ("its schedules are paused", {"job": "x"}, "job x: its schedules are paused"),
        ("ready: 3 jobs", {}, "ready: 3 jobs"),
        ("failed", {"run": "x-1", "step": "a b"}, "run x-1: failed, step a b"),
    ],
)
def test_it_is_a_sentence_with_its_subject_first(message: str, about: dict[str, object], sentence: str) -> None:
    """reported/daily-use F10, ported P12: `run=… reason=step x: exit code 2 failed` reads backwards."""
    (line,) = said("text", (message, about))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d " + re.escape(sentence), line)


def test_the_level_is_said_where_it_is_not_the_usual_one() -> None:
    (line,) = said("text", ("broken", {"level": "error"}))
    assert line.endswith(" ERROR broken")


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("reason", ["one\ntwo", "\x1b[2J", "\x9b2J", 'quo"te', "\udc80"])
def test_somebody_elses_text_makes_no_lines_and_gives_no_orders(style: str, reason: str) -> None:
    (line,) = said(style, ("failed", {"run": "x-1", "reason": reason}))
    assert line.isprintable()
    if style == "json":
        assert json.loads(line)["reason"] == reason


def test_a_line_for_programs() -> None:
    (line,) = said("json", ("failed", {"run": "x-1", "level": "error"}))
    document = json.loads(line)
    assert {**document, "at": None} == {"at": None, "level": "error", "message": "failed", "run": "x-1"}
    assert "T" in document["at"]


def test_a_trouble_that_stays_is_said_when_it_begins_and_when_it_changes() -> None:
    stream = io.StringIO()
    journal = Journal("text", stream, host=Host())
    for message in ("full", "full", "locked", "locked", "", "", "locked"):
        journal.say_once("store", message)
    journal.say_once("other", "locked")
    assert [line.rpartition(" ")[2] for line in stream.getvalue().splitlines()] == ["full", "locked"] + ["locked"] * 2


def test_nobody_listens() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    Journal("text", Gone(), host=Host()).say("ready")
