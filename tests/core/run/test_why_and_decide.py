"""What why.py says comes next is what the Decider does next: at each moment of every situation that the tests of both
know, and of those here, in which `why` once decided by itself and was wrong."""

from __future__ import annotations

import json
import re

import pytest
from situations import World, job
from tests.core.run import test_decide, test_items

from jobctl.core.keys import UNDO, item_index, step_name
from jobctl.core.model import Job
from jobctl.core.run.decide import Action, Compensate, Decider, FinishRun, Mode, StartStep
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.why import Outside, Reason, explain

HERE = Outside("job-1", "job", holder="foreground")

# (job, what has happened, what why says then). Times are those of `World.now`.
HERE_ONLY: dict[str, tuple[Job, str, list[str]]] = {
    "a script that sleeps holds no place": (
        job("a", "b", limit=1),
        "take; a naps; b starts",
        ["step a: it sleeps for another 9 s", "step b: attempt 1 has run for 0 s"],
    ),
    "a script that would go on waits for a place": (
        job("a", "b", limit=1),
        "take; a naps; b starts; a fires",
        [
            "step b: attempt 1 has run for 0 s",
            "step a: it could go on, but max_parallel_steps = 1 is at work (b)",
        ],
    ),
    "items that have a place, and another step that has none": (
        job("z", "a [abc]", "b < z", limit=1),
        "take; z starts; a listed 3; z ok; a[0] starts",
        [
            "step a: 0 of 3 items done, 1 running",
            "step b: it could start, but max_parallel_steps = 1 is at work (a[0])",
        ],
    ),
    "items that have none yet": (
        job("z", "a [abc]", limit=1),
        "take; z starts; a listed 3",
        [
            "step z: attempt 1 has run for 0 s",
            "step a: 0 of 3 items done",
            "step a: it could start, but max_parallel_steps = 1 is at work (z)",
        ],
    ),
    "a wait that did not come is not undone": (
        job("w [signal undo]", "a [undo]", "b"),
        "take; w waits; a ok; b fails",
        [
            "step b failed for good (boom); then a is compensated",
            "step w: it waits for the signal go: jobctl signal job-1 go",
        ],
    ),
    "what always runs is not asked to end": (
        job("a", "w [always]"),
        "take; a starts; w starts; cancel",
        [
            "it is being canceled, asked just now; step a was asked to end and is killed in 9 s",
            "step a: attempt 1 has run for 0 s",
            "step w: attempt 1 has run for 0 s",
        ],
    ),
    "a run that was undone, resumed and canceled": (
        job("a [undo]", "b"),
        "take; a ok; b fails; a undone; reopen from a; take; a ok; b starts; cancel",
        [
            "it is being canceled, asked just now; step b was asked to end and is killed in 9 s",
            "step b: attempt 2 has run for 0 s",
        ],
    ),
    "about to compensate": (
        job("a [undo]", "b < a [undo]", "c < b"),
        "take; a ok; b ok; c fails",
        ["step c failed for good (boom); then b, a are compensated", "it is about to go on: look again"],
    ),
}

STORIES: dict[str, tuple[Job, list[str]]] = {
    f"{table}: {name}": (what, [line.partition(" -> ")[0] for line in map(str.strip, story.splitlines()) if line])
    for table, situations in (("decide", test_decide.SITUATIONS), ("items", test_items.SITUATIONS))
    for name, (what, story) in situations.items()
} | {f"here: {name}": (what, story.split("; ")) for name, (what, story, _) in HERE_ONLY.items()}


def said(world: World) -> list[Reason]:
    return explain(world.job, world.state, world.decider, HERE, world.now())


@pytest.mark.parametrize("name", HERE_ONLY)
def test_what_is_said(name: str) -> None:
    what, story, expected = HERE_ONLY[name]
    world = World(what)
    for words in story.split("; "):
        world.tell(words)
    assert [reason.text for reason in said(world)] == expected


@pytest.mark.parametrize("name", STORIES)
def test_what_is_said_is_what_follows(name: str) -> None:
    what, story = STORIES[name]
    world = World(what)
    for words in story:
        world.tell(words)
        reasons = said(world)
        if world.state.status is not None and not world.state.status.final:
            assert_that_it_waits_for(reasons, world)
            assert_that_it_ends_as(reasons, world)


class Twin:
    """A Decider that knows what the world's does, and is told of what has not happened."""

    def __init__(self, world: World) -> None:
        self.decider = Decider.restore(world.job, json.loads(json.dumps(world.decider.snapshot())))

    def tell(self, kind: EventType, key: str = "", /, **data: object) -> list[Action]:
        return self.decider.feed(Event(kind, 0, key, 1, data))


def assert_that_it_waits_for(reasons: list[Reason], world: World) -> None:
    """Whoever is said to want a slot has the next one that is free, and nobody else has it."""
    wanted = [reason.step for reason in reasons if reason.kind == "slots"]
    here = {step_name(key) for key in world.decider.active()}
    here |= {step.name for step in world.job.steps if world.decider.fan_out(step.name) is not None}
    undone = {key + UNDO for key in world.state.undo}
    assert {reason.step for reason in reasons if reason.step} <= {*here, *wanted, *undone, *world.decider.active()}
    if world.decider.paused or world.state.status != "running":
        return
    twin, followed = Twin(world), list[str]()
    for key in world.decider.at_work():
        free = twin.tell(EventType.ATTEMPT_ENDED, key, status="suspended", wait={"kind": "sleep", "until": 1 << 50})
        followed += [action.step for action in free if isinstance(action, StartStep)]
    # Of a step with items that are under way, its own sentence says how many are done.
    under_way = {step_name(key) for key in world.decider.active() if item_index(key) is not None}
    said_of = [step_name(key) for key in followed if step_name(key) not in under_way]
    assert list(dict.fromkeys(said_of)) == wanted[: len(dict.fromkeys(said_of))]
    assert bool(wanted) <= bool(followed)


def assert_that_it_ends_as(reasons: list[Reason], world: World) -> None:
    """What is said to be undone is undone, in that order, and the run ends by what is said to end it."""
    end = next((r for r in reasons if r.kind in ("stopping", "canceling", "timeout", "terminating")), None)
    if end is None:
        assert world.decider.outcome is None or world.decider.mode is Mode.ENDED
        return
    undone, finish = carried_out(world)
    under_way = [*world.decider.active(), *filter(None, [world.decider.undoing])]
    if not any(world.decider.asked_to_end(key) for key in under_way) and not world.state.undone:
        found = re.search(r"(?:compensating|then) ([^;]*?)(?: (?:is|are) compensated)?$", end.text)
        assert (found[1].split(", ") if found else []) == undone
    outcomes = {"stopping": "failed", "canceling": "canceled", "timeout": "timed_out", "terminating": "terminated"}
    assert outcomes[end.kind] == finish.status
    if end.kind == "stopping":
        assert (finish.reason or "").startswith(f"step {end.fields['failed_step']}: ")


def carried_out(world: World) -> tuple[list[str], FinishRun]:
    """What is compensated, and how the run ends, when whatever is under way is canceled from here on."""
    twin, undone = Twin(world), list[str]()
    if twin.decider.undoing is not None:
        undone.append(twin.decider.undoing)
    actions = twin.tell(EventType.RUN_UNPAUSED)
    while twin.decider.mode is not Mode.ENDED:
        undone += [action.step for action in actions if isinstance(action, Compensate)]
        if twin.decider.undoing is not None:
            actions = twin.tell(EventType.UNDO_ENDED, twin.decider.undoing)
        else:
            key = (twin.decider.active() or [end.step for end in twin.decider.ends()])[0]
            actions = twin.tell(EventType.STEP_ENDED, key, status="canceled")
    return undone, twin.decider.end()
