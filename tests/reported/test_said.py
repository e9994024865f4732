"""What `why`, `status` and the last lines of `run` say is so: situations, what must be said and what must not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from homes import Daemons

from jobctl.host import clock


def _saga(*steps: str) -> str:
    return "[jobs.x]\n" + "".join(f"[[jobs.x.steps]]\n{step}\n" for step in steps)


UNDONE = 'name = "a"\ncommand = "true"\ncompensate = "true"'
NOT_UNDONE = 'name = "b"\ncommand = "true"\ncompensate = { command = "exit 1", retry = 1 }'
FAILS = 'name = "z"\ncommand = "exit 1"'

VIEWS = ("run", "why", "status")
# (ported P5, workflows F11) steps -> what is said of the rollback, everywhere; what is not
ROLLBACK = {
    "all of it": (_saga(UNDONE, FAILS), "it was rolled back", "part"),
    "none of it": (_saga(NOT_UNDONE, FAILS), "nothing of it was rolled back", "; it was rolled back"),
    "a part of it": (_saga(UNDONE, NOT_UNDONE, FAILS), "only a part of it was rolled back", "nothing of it"),
}


@pytest.mark.parametrize("part", ROLLBACK)
def test_what_was_compensated_is_what_is_said(home: Callable[[str], Daemons], part: str) -> None:
    text, says, never = ROLLBACK[part]
    place = home(text)
    for view in VIEWS:
        output = " ".join(place.call(view, "x")[1].split())
        assert says in output, (view, output)
        assert never not in output, (view, output)
        assert "steps of it were compensated" not in output


OLD = "[jobs.x]\ncommand = 'exit 1'\n"
# what becomes of the file after the run has failed -> whether its definition is another one (daily-use F18)
FILES = {
    "it is as it was": (OLD, False),
    "the command was mended": ("[jobs.x]\ncommand = 'true'\n", True),
    "it has retries now": (OLD + "retry = 2\n", True),
    "another job was added": (OLD + "[jobs.y]\ncommand = 'true'\n", False),
    "it fires now": (OLD + "schedule = '@daily'\n", False),
    "the job is gone": ("[jobs.y]\ncommand = 'true'\n", False),
    "it is broken": ("[jobs.", False),
}


@pytest.mark.parametrize("became", FILES)
def test_who_has_mended_the_definition_is_told_how_it_is_taken(home: Callable[[str], Daemons], became: str) -> None:
    text, changed = FILES[became]
    place = home(OLD)
    assert place.call("run", "x")[0] == 1
    (place.folder / "jobs.toml").write_text(text)
    name = place.rows("x")[0].name
    for view in ("why", "status", "resume"):
        output = place.call(view, name)[1]
        assert (f"jobctl resume {name} --updated" in output) is changed, (view, output)
    if changed:
        assert place.call("resume", name, "--updated")[0] == (1 if "retries" in became else 0)


def test_an_allowed_failure_is_called_so_wherever_it_stands(home: Callable[[str], Daemons]) -> None:
    place = home(_saga('name = "a"\ncommand = "exit 3"\nallow_failure = true', 'name = "b"\ncommand = "true"'))
    for view in ("run", "status"):
        assert "failed (allowed)" in place.call(view, "x")[1], view


def test_a_backfill_waits_as_it_was_asked_for(home: Callable[[str], Daemons]) -> None:
    """(ported P7)"""
    place = home("[jobs.x]\nschedule = '@hourly'\noverlap = 'allow_all'\ncommand = 'true'\n")
    assert place.call("schedule", "backfill", "x", "--from", "3h")[0] == 0
    output = place.call("why", place.rows("x")[-1].name)[1]
    assert "as its backfill was asked for" in output
    assert "overlap policy" not in output


def test_a_failed_child_is_taken_up_by_who_started_it(home: Callable[[str], Daemons]) -> None:
    """(ported P9)"""
    place = home("[jobs.c]\ncommand = 'exit 1'\n[jobs.p]\n[[jobs.p.steps]]\nname = 's'\njob = 'c'\n")
    assert place.call("run", "p")[0] == 1
    parent, child = place.rows("p")[0].name, place.rows("c")[0].name
    for view in ("why", "status"):
        assert f"jobctl resume {parent}" in place.call(view, child)[1], view


def test_who_has_a_place_and_no_process_is_named_so(home: Callable[[str], Daemons]) -> None:
    place = home("[queues.q]\nconcurrency = 1\n[jobs.x]\nqueue = 'q'\ncommand = 'touch up; sleep 60'\n")
    run = place.start("run", "x")
    place.until(lambda: (place.folder / "up").exists())
    run.kill()
    run.wait()
    place.call("run", "x", "--detach")
    held, waits = (row.name for row in place.rows("x"))
    assert f"taken by {held} (interrupted)" in place.call("why", waits)[1]


def test_numbers_agree_with_their_words(home: Callable[[str], Daemons]) -> None:
    """(daily-use F22)"""
    place = home("[jobs.x]\nschedule = '@daily'\ncommand = 'true'\n")
    place.daemon()
    assert "ready: 1 job, 1 schedule\n" in place.said()


def test_the_time_of_a_resumed_run_is_that_in_which_it_worked(home: Callable[[str], Daemons]) -> None:
    """(daily-use F38)"""
    place = home("[jobs.x]\ncommand = 'test -e go'\n")
    assert place.call("run", "x")[0] == 1
    [row] = place.rows("x")
    assert row.finished_at is not None
    ended = row.finished_at
    place.until(lambda: clock.now() > ended + 1_500)
    place.go()
    assert place.call("resume", "x")[0] == 0
    document = place.run_document("x")
    [row] = place.rows("x")
    assert row.started_at is not None
    assert row.finished_at is not None
    assert document["worked_ms"] <= row.finished_at - row.started_at - 1_500
    assert "in all its tries" in place.call("status", "x")[1]


def test_what_was_interrupted_is_not_called_alive_by_a_trigger(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\nschedule = '@daily'\ncommand = 'touch up; sleep 60'\n")
    run = place.start("run", "x")
    place.until(lambda: (place.folder / "up").exists())
    run.kill()
    run.wait()
    code, output = place.call("schedule", "trigger", "x")
    assert code == 1
    assert f"{place.rows('x')[0].name} is not over, it was interrupted" in output
    assert "still alive" not in output
