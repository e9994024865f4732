"""Steps that are done for each item of a list: what follows from what, and what a resume does again."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from situations import World, job, picture, statuses

from jobctl.core.model import ForEach, Job, RunStatus, StepStatus
from jobctl.core.run.decide import Action, Decider, EndStep, FinishRun, StartStep
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.items import FanOut
from jobctl.core.run.resume import kept, restore, to_redo

Situations = dict[str, tuple[Job, str]]

ALL_WELL: Situations = {
    "each item is a unit of its own": (
        job("a [each]", "b < a"),
        """
        take -> start a
        a listed 2 -> start a[0], start a[1]
        a[1] ok
        a[0] starts
        a[0] ok -> end a succeeded
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "an empty list": (
        job("a [each undo]", "b < a [each]", "c < b"),
        """
        take -> start a
        a listed 0 -> end a succeeded
        a ends -> start b
        b listed 0 -> end b succeeded
        b ends -> start c
        c fails -> finish failed
        """,
    ),
    "no more at once than the step allows": (
        job("a [two]", "b"),
        """
        take -> start a, start b
        a listed 4 -> start a[0], start a[1]
        a[1] ok -> start a[2]
        b ok
        a[2] retries
        a[2] ok -> start a[3]
        a[0] ok
        a[3] skipped -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "no more at once than the job allows; the list itself takes no place": (
        job("z", "a < [each]", "b < ", limit=2),
        """
        take -> start a, start z, start b
        a listed 3
        z ok -> start a[0]
        b ok -> start a[1]
        a[0] ok -> start a[2]
        a[1] ok
        a[2] ok -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "two lists side by side, in the file's order": (
        job("a < [two]", "b < [each]", limit=3),
        """
        take -> start a, start b
        b listed 3 -> start b[0], start b[1], start b[2]
        a listed 3
        b[0] ok -> start a[0]
        b[2] ok -> start a[1]
        a[0] ok -> start a[2]
        a[1] ok
        a[2] ok -> end a succeeded
        b[1] ok -> end b succeeded
        b ends
        a ends -> finish succeeded
        """,
    ),
    "items that wait take no place, and each takes a signal": (
        job("a [each signal]", "b", limit=1),
        """
        take -> start a, start b
        a listed 3 -> start a[0], start a[1], start a[2]
        a[0] waits
        a[2] waits
        send go 1 -> end a[0] succeeded value=1
        a[0] ends
        send go 2 -> end a[2] succeeded value=2
        send go 3
        a[2] ends
        a[1] waits -> end a[1] succeeded value=3
        b ok
        a[1] ends -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "an answer for each item": (
        job("a [each approval]"),
        """
        take -> start a
        a listed 2 -> start a[0], start a[1]
        a[0] waits
        a[1] waits
        a[1] approved -> end a[1] succeeded by=anna
        a[1] ends
        a[0] rejected -> end a[0] failed
        a[0] ends -> end a failed
        a ends -> finish failed
        """,
    ),
    "scripts that are suspended give their place of the job to others, and keep that of their step": (
        job("a [two]", limit=1),
        """
        take -> start a
        a listed 3 -> start a[0]
        a[0] naps -> start a[1]
        a[1] listens
        send go 1 -> wake a[1] go=1
        a[1] wakes -> start a[1]
        a[0] fires
        a[1] ok -> start a[0]
        a[0] ok -> start a[2]
        a[2] ok -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "a pause": (
        job("a [two]"),
        """
        take -> start a
        pause
        unpause
        a listed 3 -> start a[0], start a[1]
        pause
        a[0] ok
        unpause -> start a[2]
        pause
        a[1] ok
        a[2] ok -> end a succeeded
        a ends
        unpause -> finish succeeded
        """,
    ),
}

FAILURES: Situations = {
    "an item that fails does not stop the others": (
        job("a [two]", "b < a"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1]
        a[0] fails -> start a[2]
        a[1] ok
        a[2] ok -> end a failed
        a ends -> finish failed
        """,
    ),
    "unless it is to fail fast: what runs ends by itself": (
        job("a [fast]", "b", limit=2),
        """
        take -> start a, start b
        a listed 5 -> start a[0]
        b ok -> start a[1]
        a[1] timed_out -> unbegun a[0]
        a[0] ok -> end a failed
        a ends -> finish failed
        """,
    ),
    "a failure that is allowed": (
        job("a [each allow]", "b < a"),
        """
        take -> start a
        a listed 1 -> start a[0]
        a[0] fails -> end a failed
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "one that ends while the run is paused, with items left, is not begun again": (
        job("a [fast allow]", "b < a", limit=1),
        """
        take -> start a
        a listed 3 -> start a[0]
        pause
        a[0] fails -> end a failed
        a ends
        unpause -> start b
        b ok -> finish succeeded
        """,
    ),
    "a list that cannot be had": (
        job("a [each]", "w < a [always]"),
        """
        take -> start a
        a refused -> start w
        w ok -> finish failed
        """,
    ),
    "another step fails: nothing further starts": (
        job("a [two]", "b"),
        """
        take -> start a, start b
        a listed 4 -> start a[0], start a[1]
        a[0] retries
        b fails -> drain a[0], drain a[1]
        a[0] dropped
        a[1] ok -> end a canceled
        a ends -> finish failed
        """,
    ),
    "another step fails and all items had been started": (
        job("a [each]", "b"),
        """
        take -> start a, start b
        a listed 1 -> start a[0]
        b fails -> drain a[0]
        a[0] ok -> end a succeeded
        a ends -> finish failed
        """,
    ),
    "another step fails while the list is made": (
        job("a [each]", "b"),
        """
        take -> start a, start b
        b fails -> drain a
        a dropped -> finish failed
        """,
    ),
    "canceled": (
        job("a [two]", "b < a"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1]
        cancel -> cancel a[0], cancel a[1]
        a[1] canceled
        a[0] ok -> end a canceled
        a ends -> finish canceled
        """,
    ),
    "the run's deadline": (
        job("a [two]"),
        """
        take -> start a
        a listed 2 -> start a[0], start a[1]
        a[0] ok
        deadline -> timeout a[1]
        a[1] timed_out -> end a timed_out
        a ends -> finish timed_out
        """,
    ),
    "canceled between two items, in a pause": (
        job("a [two]"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1]
        pause
        a[0] ok
        a[1] ok
        cancel -> end a canceled
        a ends -> finish canceled
        """,
    ),
    "canceled when the end was decided": (
        job("a [each]"),
        """
        take -> start a
        a listed 1 -> start a[0]
        a[0] ok -> end a succeeded
        cancel
        a ends -> finish canceled
        """,
    ),
    "terminated": (
        job("a [two undo]"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1]
        a[0] starts
        terminate -> kill a[0], kill a[1]
        a[1] dropped
        a[0] canceled -> end a canceled
        a ends -> finish terminated
        """,
    ),
}

AT_THE_END: Situations = {
    "what always runs is not cut short: the rest comes at the end": (
        job("z [undo]", "a < [two always]", "b < z"),
        """
        take -> start a, start z
        a listed 4 -> start a[0], start a[1]
        z ok -> start b
        a[0] ok -> start a[2]
        b fails -> drain a[1], drain a[2]
        a[1] ok
        a[2] ok -> undo z
        z undone -> start a[3]
        a[3] ok -> end a succeeded
        a ends -> finish failed
        """,
    ),
    "also when nothing of it runs just then": (
        job("a [two always]"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1]
        pause
        a[0] ok
        a[1] fails
        cancel -> start a[2]
        a[2] ok -> end a failed
        a ends -> finish canceled
        """,
    ),
    "but not when it is terminated, whenever that is": (
        job("z [undo]", "a < [two always]", "b < z"),
        """
        take -> start a, start z
        a listed 3 -> start a[0], start a[1]
        z ok -> start b
        b fails -> drain a[0], drain a[1]
        a[0] ok
        a[1] ok -> undo z
        terminate -> kill z, end a canceled
        z undo-killed
        a ends -> finish terminated
        """,
    ),
    "terminated while the rest runs": (
        job("a < [two always]", "b <"),
        """
        take -> start a, start b
        a listed 4 -> start a[0], start a[1]
        b fails -> drain a[0], drain a[1]
        a[0] ok
        a[1] ok -> start a[2], start a[3]
        terminate -> kill a[2], kill a[3]
        a[2] canceled
        a[3] canceled -> end a canceled
        a ends -> finish terminated
        """,
    ),
    "its last item ends while the run stops": (
        job("a < [each always]", "b <", "c <"),
        """
        take -> start a, start b, start c
        a listed 1 -> start a[0]
        b fails -> drain c, drain a[0]
        a[0] ok -> end a succeeded
        a ends
        c ok -> finish failed
        """,
    ),
    "items for a failure": (
        job("a", "f < a [failure each]"),
        """
        take -> start a
        a fails -> start f
        f listed 2 -> start f[0], start f[1]
        f[0] ok
        f[1] fails -> end f failed
        f ends -> finish failed
        """,
    ),
}

COMPENSATION: Situations = {
    "each item that started, newest first, among the other steps": (
        job("a < [two undo]", "b < [undo]", "c < b"),
        """
        take -> start a, start b
        a listed 4 -> start a[0], start a[1]
        a[1] starts
        b ok -> start c
        a[0] starts
        a[0] ok -> start a[2]
        a[2] skipped -> start a[3]
        c fails -> drain a[1], drain a[3]
        a[1] ok
        a[3] dropped -> end a canceled
        a ends -> undo a[0]
        a[0] undone -> undo b
        b undone -> undo a[1]
        a[1] undo-fails -> finish failed
        """,
    ),
    "of a step whose items were kept, in order with the others": (
        job("z [undo]", "a < z [each undo]", "b < a"),
        """
        take -> start z
        z ok -> start a
        a listed 3 -> start a[0], start a[1], start a[2]
        a[2] starts
        a[0] ok
        a[1] skipped
        a[2] ok -> end a succeeded
        a ends -> start b
        terminate -> kill b
        b dropped -> finish terminated
        reopen -> redo b
        take -> start b
        b fails -> undo a[0]
        a[0] undone -> undo a[2]
        a[2] undone -> undo z
        z undone -> finish failed
        """,
    ),
    "from what was undone on: those items again": (
        job("a [each undo]", "b < a"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1], start a[2]
        a[0] ok
        a[1] skipped
        a[2] ok -> end a succeeded
        a ends -> start b
        b fails -> undo a[2]
        a[2] undone -> undo a[0]
        a[0] undone -> finish failed
        reopen from b -> redo a[], redo b
        take -> start a
        a listed -> start a[0], start a[2]
        """,
    ),
    "what was undone before its step was over": (
        job("a < [two always undo]", "b <"),
        """
        take -> start a, start b
        a listed 3 -> start a[0], start a[1]
        b fails -> drain a[0], drain a[1]
        a[0] ok
        a[1] skipped -> undo a[0]
        a[0] undone -> start a[2]
        a[2] ok -> end a succeeded
        a ends -> finish failed
        reopen from b -> redo a[], redo b
        take -> start a, start b
        a listed -> start a[0]
        """,
    ),
}

REOPENED: Situations = {
    "what is done in any case is gone on with, also when some of it was undone before its turn": (
        job("a", "w [always undo each allow]", limit=1),
        """
        take -> start w, start a
        w listed 2
        a fails -> start w[0]
        w[0] ok -> start w[1]
        w[1] fails -> end w failed
        w ends -> finish failed
        reopen from a -> redo a, redo w[]
        cancel -> undo w[0]
        w[0] undone -> start w
        w listed -> start w[1]
        w[1] ok -> end w succeeded
        w ends -> finish canceled
        """,
    ),
    "only the failed items": (
        job("a [each]", "b < a"),
        """
        take -> start a
        a listed 4 -> start a[0], start a[1], start a[2], start a[3]
        a[0] ok
        a[1] fails
        a[2] skipped
        a[3] timed_out -> end a failed
        a ends -> finish failed
        reopen -> redo a[], redo b
        take -> start a
        a listed -> start a[1], start a[3]
        a[1] ok
        a[3] fails -> end a failed
        a ends -> finish failed
        reopen -> redo a[], redo b
        take -> start a
        a listed -> start a[3]
        a[3] ok -> end a succeeded
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "those that never started, too": (
        job("a [two]"),
        """
        take -> start a
        a listed 4 -> start a[0], start a[1]
        a[0] ok -> start a[2]
        terminate -> kill a[1], kill a[2]
        a[1] dropped
        a[2] dropped -> end a canceled
        a ends -> finish terminated
        reopen -> redo a[]
        take -> start a
        a listed -> start a[1], start a[2]
        a[2] ok -> start a[3]
        """,
    ),
    "all of them when the step is named": (
        job("a [each]"),
        """
        take -> start a
        a listed 3 -> start a[0], start a[1], start a[2]
        a[0] ok
        a[1] ok
        a[2] fails -> end a failed
        a ends -> finish failed
        reopen from a -> redo a
        take -> start a
        a listed 2 -> start a[0], start a[1]
        a[0] ok
        a[1] ok -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "all of them when what comes before is done again": (
        job("z", "y < z", "a < y [each]", "b < a"),
        """
        take -> start z
        z ok -> start y
        y ok -> start a
        a listed 1 -> start a[0]
        a[0] fails -> end a failed
        a ends -> finish failed
        reopen from z -> redo z, redo y, redo a, redo b
        """,
    ),
    "a list that could not be had is made anew": (
        job("a [each]"),
        """
        take -> start a
        a refused -> finish failed
        reopen -> redo a
        """,
    ),
    "nothing was left but the end": (
        job("a [each]"),
        """
        take -> start a
        a listed 1 -> start a[0]
        a[0] ok -> end a succeeded
        fail
        reopen -> redo a[]
        take -> start a
        a listed -> end a succeeded
        a ends -> finish succeeded
        """,
    ),
    "an allowed failure is finished": (
        job("a [each allow]", "b < a"),
        """
        take -> start a
        a listed 2 -> start a[0], start a[1]
        a[0] fails
        a[1] ok -> end a failed
        a ends -> start b
        b fails -> finish failed
        reopen -> redo b
        take -> start b
        """,
    ),
    "what belongs to the end of a try is due again as a whole": (
        job("a", "w < a [always each]", "f < a [failure each]"),
        """
        take -> start a
        a fails -> start w, start f
        w listed 2 -> start w[0], start w[1]
        f listed 1 -> start f[0]
        w[0] ok
        w[1] fails -> end w failed
        f[0] fails -> end f failed
        w ends
        f ends -> finish failed
        reopen -> redo a, redo w, redo f
        """,
    ),
    "what always runs and was under way goes on": (
        job("a <", "w < [always each]"),
        """
        take -> start w, start a
        w listed 2 -> start w[0], start w[1]
        a fails -> drain w[0], drain w[1]
        w[0] ok
        w[1] fails -> end w failed
        w ends -> finish failed
        reopen -> redo a, redo w[]
        take -> start w, start a
        w listed -> start w[1]
        """,
    ),
}

SITUATIONS = ALL_WELL | FAILURES | AT_THE_END | COMPENSATION | REOPENED


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_follows(name: str) -> None:
    what, story = SITUATIONS[name]
    world = World(what)
    for line in filter(None, map(str.strip, story.splitlines())):
        words, _, expected = line.partition(" -> ")
        assert (words, world.tell(words)) == (words, expected.split(", ") if expected else [])


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_history_that_breaks_off_anywhere_leads_to_the_same_actions(name: str) -> None:
    what, story = SITUATIONS[name]
    lines = [line.partition(" -> ")[0].strip() for line in story.splitlines() if line.strip()]
    for length in range(1, len(lines)):
        whole, broken = World(what), World(what)
        for words in lines[:length]:
            whole.tell(words)
            broken.tell(words)
        broken.state, broken.decider = restore(what, broken.events)
        assert broken.tell(lines[length]) == whole.tell(lines[length])
        assert broken.decider.ends() == whole.decider.ends()


# -- how a step ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "outcome", "status", "error"),
    [
        ("ok skipped", None, "succeeded", None),
        ("ok failed", None, "failed", "1 of 2 items failed: [1]"),
        ("timed_out ok failed", None, "failed", "2 of 3 items failed: [0], [2]"),
        ("timed_out", None, "failed", "1 of 1 items failed: [0]"),
        ("ok canceled -", "canceled", "canceled", "2 of 3 items were not done"),
        ("failed -", "canceled", "failed", "1 of 2 items failed: [0]; 1 of 2 items were not done"),
        ("timed_out -", "timed_out", "timed_out", "1 of 2 items failed: [0]; 1 of 2 items were not done"),
        ("timed_out failed", "timed_out", "failed", "2 of 2 items failed: [0], [1]"),
        ("ok -", "timed_out", "timed_out", "1 of 2 items were not done"),
        ("ok ok", "timed_out", "succeeded", None),
        (
            "failed " * 12,
            None,
            "failed",
            "12 of 12 items failed: [0], [1], [2], [3], [4], [5], [6], [7], [8], [9] and 2 more",
        ),
    ],
)
def test_how_a_step_ends(ends: str, outcome: str | None, status: str, error: str | None) -> None:
    words = ends.split()
    fan = FanOut(ForEach(()), len(words), range(len(words)))
    started = [(fan.start(), word) for word in words if word != "-"]
    fan.close()
    for index, word in reversed(started):
        assert not fan.over
        fan.end(index, StepStatus("succeeded" if word == "ok" else word))
    assert fan.over
    assert fan.done == len(started)
    assert fan.result(RunStatus(outcome) if outcome else None) == (status, error)


def test_the_run_says_which_items_failed() -> None:
    world = World(job("a [each]"))
    for words in ("take", "a listed 3", "a[2] fails", "a[1] ok", "a[0] fails", "a ends"):
        world.tell(words)
    assert world.finished == FinishRun(RunStatus.FAILED, "step a: 2 of 3 items failed: [0], [2]")


# -- what a resume finds -------------------------------------------------------------------------------------------


def _failed() -> World:
    world = World(job("a [abc]", "b < a"))
    for words in ("take", "a listed 3", "a[0] ok", "a[1] retries", "a[1] fails", "a[2] fails", "a ends", "end"):
        world.tell(words)
    return world


@pytest.mark.parametrize(
    ("after", "redo"),
    [
        (job("a [abc]", "b < a"), ["a[]", "b"]),
        (job("a [each]", "b < a"), ["a[]", "b"]),
        (job("new", "a < new [abc]", "b < a"), ["new", "a", "b"]),
        (job("a", "b < a"), ["a", "b"]),
        (Job("job", "/", (job("a [abc]").steps[0].__class__("a", command="x", foreach=ForEach(("a", "b"))),)), ["a"]),
    ],
    ids=["the same", "a reference", "after something new", "no items any more", "another list"],
)
def test_the_list_is_kept_where_it_is_still_the_same(after: Job, redo: list[str]) -> None:
    assert to_redo(after, _failed().state) == redo


def test_what_is_left_of_a_list_starts_again_with_fresh_retries() -> None:
    world = _failed()
    world.tell("reopen")
    steps = world.state.steps
    assert steps["a"].items == ["a", "b", "c"]
    assert statuses(world.state) == {"a": "pending", "a[0]": "succeeded", "a[1]": "pending", "a[2]": "pending"}
    assert (len(steps["a[1]"].attempts), steps["a[1]"].attempts_in_try) == (2, 0)
    assert kept(world.job, world.state) == {"a[0]": "succeeded"}


def test_nothing_lingers_of_a_list_that_is_gone() -> None:
    world = _failed()
    world.tell("reopen from a")
    assert world.state.steps["a"].items is None
    assert set(statuses(world.state).values()) == {"pending"}
    assert kept(world.job, world.state) == {}
    for words in ("take", "a listed 1", "a[0] ok", "a ends", "b fails"):
        world.tell(words)
    world.tell("reopen")
    assert kept(world.job, world.state) == {"a": "succeeded", "a[0]": "succeeded"}
    # Files and rows are named after an attempt's number: it goes on where another list's left it.
    assert [attempt.number for attempt in world.state.steps["a[0]"].attempts] == [1, 2]


def test_the_cursor_of_an_item_is_not_handed_to_another() -> None:
    world = World(job("a [each]"))
    for words in ("take", "a listed 2", "a[0] starts"):
        world.tell(words)
    ended = {"status": "failed", "cursor": "far"}
    world.feed(Event(EventType.ATTEMPT_ENDED, world.now(), "a[0]", 1, ended))
    world.tell("a[1] ok")
    world.tell("a ends")
    world.tell("reopen")
    assert world.state.steps["a[0]"].cursor == "far"
    for words in ("take", "a listed", "a[0] fails", "a ends", "reopen from a"):
        world.tell(words)
    assert world.state.steps["a[0]"].cursor is None


def test_what_an_item_s_script_has_recorded_is_kept_for_that_item_only() -> None:
    world = _failed()
    world.tell("reopen")
    assert [world.state.steps[f"a[{index}]"].first for index in range(3)] == [1, 1, 1]
    for words in ("take", "a listed", "a[1] fails", "a[2] ok", "a ends", "reopen from a"):
        world.tell(words)
    # Two attempts of a[0] would be too many: each begins after the last one there is.
    assert [world.state.steps[f"a[{index}]"].first for index in range(3)] == [2, 4, 3]


def test_a_step_that_became_a_list_is_undone_as_what_it_was() -> None:
    world = World(job("a [undo]", "b < a"))
    for words in ("take", "a ok", "b fails", "fail"):
        world.tell(words)
    after = job("a [each undo]", "b < a")
    reopened = Event(EventType.RUN_REOPENED, 900, data={"redo": to_redo(after, world.state)})
    state, decider = restore(after, [*world.events, reopened])
    assert statuses(state)["a"] == "succeeded"
    decider.feed(Event(EventType.RUN_TAKEN, 901))
    failed = Event(EventType.STEP_ENDED, 902, "b", data={"status": "failed"})
    assert [str(action) for action in decider.feed(failed)] == ["Compensate(step='a')"]


def test_a_run_that_somebody_ends_leaves_nothing_running() -> None:
    world = World(job("a [each]"))
    for words in ("take", "a listed 1", "fail"):
        world.tell(words)
    assert statuses(world.state) == {"a": "canceled"}
    assert picture(replay(world.events)) == picture(world.state)


# -- at any size ---------------------------------------------------------------------------------------------------


def _run(count: int, how: str) -> int:
    """Drive that many items to their end; how many started."""
    decider = Decider(job(f"a [two {how}]" if how == "undo" else "a [each]", limit=16))
    queue: list[Action] = decider.feed(Event(EventType.RUN_TAKEN, 0))
    started = 0
    for action in queue:
        if action == StartStep("a"):
            queue += decider.feed(Event(EventType.ITEMS_LISTED, 1, "a", data={"count": count, "items": []}))
        elif isinstance(action, StartStep):
            started += 1
            decider.feed(Event(EventType.ATTEMPT_STARTED, 1, action.step, 1))
            status = "failed" if how == "failed" else "succeeded"
            queue += decider.feed(Event(EventType.ATTEMPT_ENDED, 2, action.step, 1, {"status": status}))
        elif isinstance(action, EndStep):
            queue += decider.feed(Event(EventType.STEP_ENDED, 3, "a", data={"status": str(action.status)}))
    assert isinstance(queue[-1], FinishRun)
    return started


@pytest.mark.parametrize("how", ["well", "failed", "undo"])
def test_the_work_per_item_does_not_grow_with_the_list(how: str) -> None:
    few, many = (_lines_executed(count, how) for count in (100, 1_000))
    assert many < 11 * few


def _lines_executed(count: int, how: str) -> int:
    """How many lines of the core a whole run takes: a measure that no busy machine disturbs."""
    lines = 0
    files = {sys.modules[what.__module__].__file__ for what in (Decider, FanOut)}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert _run(count, how) == count
    finally:
        sys.settrace(before)
    return lines
