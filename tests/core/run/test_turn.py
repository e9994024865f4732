"""The rules of a turn: whoever carries a run out, and whenever it answers, the history is the same."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_engine import START, Engine, Run, told
from situations import job
from tests.simulation.plan import make
from tests.simulation.simulation import _toml

from jobctl.core.model import Job
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.turn import Answer, Moment, Rules, Want, Wanted
from jobctl.definitions.files import read_files

SEEDS = int(os.environ.get("JOBCTL_TEST_SEEDS", "10"))


def requests(chance: str, engine: Engine, run: Run) -> None:
    """What people do to a run, at moments that are drawn."""
    rng = random.Random(f"{chance}/requests")
    for _ in range(rng.choice((0, 1, 2, 5))):
        kind = rng.choice(("cancel", "terminate", "pause", "unpause", "signal", "answer", "wake", "wake"))
        engine.at(START + rng.randrange(4_000_000_000), lambda kind=kind: request(engine, run, kind))  # type: ignore[misc]


def request(engine: Engine, run: Run, kind: str) -> None:
    state, now = run.rules.state, engine.now
    if run.over or state.status is None:
        return
    if kind == "cancel" or kind == "terminate":
        engine.record(run, run.rules.request(EventType(f"{kind}_requested"), "", "me", engine._moment()))
    elif kind == "pause":
        engine.record(run, Event(EventType.RUN_PAUSED, now, data={"by": "me"}))
    elif kind == "unpause" and state.status == "paused":
        engine.record(run, Event(EventType.RUN_UNPAUSED, now))
    elif kind == "signal":
        engine.record(run, Event(EventType.SIGNAL_RECEIVED, now, data={"name": "go", "payload": 7}))
    elif kind == "answer":
        waits = [key for key, step in state.steps.items() if step.waiting and step.waiting["kind"] == "approval"]
        if waits:
            engine.record(run, Event(EventType.APPROVAL_ANSWERED, now, waits[0], data={"approved": True, "by": "me"}))
    elif kind == "wake":
        sleeps = [key for key, step in state.steps.items() if step.waits_for_a_time]
        if sleeps:
            engine.record(run, Event(EventType.WAKE_REQUESTED, now, data={"steps": sleeps}))


def lived(
    what: Job, tell: Callable[[Engine, Run], None], late: str = "", *, restarts: bool = False, **how: object
) -> Engine:
    engine = Engine(late=random.Random(late) if late else None, restarts=restarts, **how)  # type: ignore[arg-type]
    run = engine.start("run", what)
    tell(engine, run)
    engine.live()
    if not run.over:  # it waits for somebody
        engine.record(run, run.rules.request(EventType.TERMINATE_REQUESTED, "the end", "", engine._moment()))
        engine.live(engine.now + 400 * 86_400_000)
    return engine


def histories(engine: Engine) -> dict[str, list[object]]:
    return {name: told(run) for name, run in engine.runs.items()}


# Jobs in which something is wanted before something else is recorded, and what is in each other's way.
SITUATIONS: dict[str, Job] = {
    "one step": job("a"),
    "a chain": job("a", "b < a", "c < b"),
    "beside each other": job("a", "b", "c", "d < a b c"),
    "more than may run": job("a", "b", "c", "d", "e", limit=2),
    "undone": job("a [undo]", "b < a [undo]", "c < b", "d [undo]", "e < d"),
    "cleaned up": job("a", "b < a", "c < b [failure]", "d < b [always]", "e [allow]"),
    "items": job("a [abc]", "b < a [abc two]", "c < b [each fast undo]"),
    "waits": job("a [sleep]", "b [signal]", "c [approval]", "d < a b c", "e [signal continue]"),
    "waits of items": job("a [abc sleep]", "b < a [abc approval]", "c < a [sleep each]"),
}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("name", SITUATIONS)
def test_an_engine_that_answers_late_and_in_any_order_writes_the_same_history(name: str, restarts: bool) -> None:
    for number in range(8):
        what, chance = SITUATIONS[name], f"{name}/{number}"

        def tell(engine: Engine, run: Run, chance: str = chance) -> None:
            requests(chance, engine, run)

        at_once = lived(what, tell, chance=chance)
        assert at_once.runs["run"].over
        for order in range(3):
            late = lived(what, tell, f"{chance}/{order}", restarts=restarts, chance=chance)
            assert histories(late) == histories(at_once)


@pytest.mark.parametrize("restarts", [False, True])
def test_jobs_that_are_drawn_have_the_same_histories_under_a_late_engine(tmp_path: Path, restarts: bool) -> None:
    compared = 0
    for seed in range(SEEDS):
        plan = make(f"8:turn-{seed}")
        file = tmp_path / "jobs.toml"
        file.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in plan.definitions.items()))
        catalog = read_files([str(file)])
        limits = {name: queue.concurrency for name, queue in catalog.queues.items() if queue.concurrency}
        for name, what in catalog.jobs.items():
            chance = f"{seed}/{name}"

            def tell(engine: Engine, run: Run, chance: str = chance) -> None:
                requests(chance, engine, run)

            how = {"chance": chance, "limits": limits, "temper": plan.temper}
            at_once = lived(what, tell, **how)
            late = lived(what, tell, f"{chance}/late", restarts=restarts, **how)
            if not at_once.contended and not late.contended:
                compared += 1
                assert histories(late) == histories(at_once), f"seed {seed}, job {name}"
    assert compared > SEEDS


# -- one run, by hand ----------------------------------------------------------------------------------------------

NOW = Moment(START, 0, 0)


def begun(what: Job, *, in_family: bool = False) -> Rules:
    rules = Rules("run", what)
    rules.in_family = in_family
    rules.give([Event(EventType.RUN_CREATED, START), Event(EventType.RUN_TAKEN, START, data={"executor": "me"})])
    return rules


def queued(*lines: str) -> Job:
    what = job(*lines)
    return replace(what, steps=tuple(replace(step, queue="q") for step in what.steps))


def test_a_step_wants_leave_then_a_place_then_its_command() -> None:
    rules = begun(queued("a"), in_family=True)
    wanted = []
    while (want := rules.advance(NOW)) is not None:
        wanted.append(want.kind)
        rules.answer(want, Answer(True))
    events, effects = rules.outcome()
    assert wanted == [Wanted.LEAVE, Wanted.PLACE, Wanted.COMMAND]
    assert [event.type for event in events] == ["run_created", "run_taken", "attempt_started"]
    assert effects.launches == [("a", 1)]
    assert effects.taken == ("me", 2)
    assert effects.returned == []


@pytest.mark.parametrize(
    ("refused", "event", "waits", "returned"),
    [
        (Wanted.LEAVE, None, ([], ["a"]), []),
        (Wanted.PLACE, None, ([("q", "a")], []), [Wanted.LEAVE]),
        (Wanted.COMMAND, "step_ended", ([], []), [Wanted.LEAVE, Wanted.PLACE]),
    ],
)
def test_what_was_granted_and_is_not_used_is_given_back(
    refused: Wanted, event: str | None, waits: tuple[list[object], list[object]], returned: list[Wanted]
) -> None:
    rules = begun(queued("a"), in_family=True)
    while (want := rules.advance(NOW)) is not None:
        rules.answer(want, Answer(want.kind is not refused, error="there is nothing to run"))
    events, effects = rules.outcome()
    assert [str(one.type) for one in events[2:3]] == ([event] if event else [])
    assert (effects.queued, effects.held) == waits
    assert effects.returned == [(kind, "a") for kind in returned]
    assert effects.launches == []


def test_what_is_in_line_and_what_was_answered_is_saved() -> None:
    rules = begun(queued("a", "b"))
    want = rules.advance(NOW)
    assert want is not None
    rules.answer(want, Answer(True))
    rules.outcome()
    again = Rules.restore("run", rules.job, json.loads(json.dumps(rules.snapshot())))
    assert again.advance(NOW) == Want(Wanted.COMMAND, "a", 1)
    assert [one.key for one in again.ahead(NOW)] == ["a", "b"]


def test_nothing_is_saved_that_is_not_recorded() -> None:
    rules = begun(job("a"))
    rules.advance(NOW)
    with pytest.raises(ValueError, match="not recorded"):
        rules.snapshot()


def test_in_a_process_that_is_about_to_end_nothing_begins() -> None:
    rules = begun(job("a"))
    assert rules.advance(NOW._replace(begins=False)) is None
