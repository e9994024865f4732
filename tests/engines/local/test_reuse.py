"""What a new run takes over from an old one, and what it refuses. What decide makes of it: core/test_decide.py."""

from __future__ import annotations

import os

import pytest
from worlds import World

from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.core.model import encode
from jobctl.core.run.history import EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.definitions.masking import redact
from jobctl.engines.local import control
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.reuse import like
from jobctl.engines.values import Reused
from jobctl.host.host import Host

JOB = """
params = { day = "monday", word = "w" }
[[jobs.x.steps]]
name = "get"
command = "echo get >> order; echo rows=5 >> $JOBCTL_OUTPUT; echo last"
compensate = "echo undo-get >> order"
[[jobs.x.steps]]
name = "make"
command = [
    "sh", "-c", "echo make $0 $1 >> order; [ ! -e bad ]", "{{ steps.get.outputs.rows }}", "{{ steps.get.stdout }}"
]
compensate = "echo undo-make >> order"
[[jobs.x.steps]]
name = "side"
needs = []
command = "echo side >> order"
[[jobs.x.steps]]
name = "end"
needs = ["make"]
command = "echo end >> order; [ ! -e worse ]"
"""


def again(world: World, found: Reused, name: str = "x-new") -> LiveRun:
    """The new run, to its end."""
    job = world.job(world.read("jobs.toml"))
    new = NewRun(name, "x", encode(redact(job)), fire_time=found.fire_time)
    run = world.engine.submit(new, job, found.params, env_file={}, like=found)
    world.engine.turn(0)
    return world.finish(run)


def order(world: World) -> list[str]:
    return sorted(world.read("order").splitlines())


def forget_order(world: World) -> None:
    (world.folder / "order").unlink()


@pytest.mark.parametrize(
    ("from_step", "reused", "done"),
    [
        ("end", ["get", "make", "side"], ["end"]),
        ("make", ["get", "side"], ["end", "make 5 last"]),
        ("get", ["side"], ["end", "get", "make 5 last"]),
        ("side", ["get", "make", "end"], ["side"]),
    ],
)
def test_what_needs_the_step_is_done_anew_and_nothing_else(
    world: World, from_step: str, reused: list[str], done: list[str]
) -> None:
    old = world.run(JOB, {"day": "friday"})
    forget_order(world)
    found = like(world.store, old.job, world.row(old), from_step)
    assert (list(found.reused), found.params) == (reused, {"day": "friday", "word": "w"})
    run = again(world, found)
    assert order(world) == done
    assert str(run.state.status) == "succeeded"
    document = world.document(run)
    assert document["like"] == old.name
    assert {step["name"]: step["reused_from"] for step in document["steps"]} == {
        name: old.name if name in reused else None for name in ("get", "make", "side", "end")
    }
    assert {step["status"] for step in document["steps"]} == {"succeeded"}


def test_the_history_alone_gives_the_state(world: World) -> None:
    old = world.run(JOB)
    run = again(world, like(world.store, old.job, world.row(old), "make"))
    created = world.events(run)[0]
    assert created.data["reused"] == {"get": {"outputs": {"rows": "5"}, "stdout": "last"}, "side": {}}
    state = replay(world.events(run))
    assert state.steps["get"].outputs == {"rows": "5"}
    assert state.steps["get"].stdout == "last"
    assert (state.like, state.steps["get"].reused, state.steps["make"].reused) == (old.name, old.name, None)


def test_what_had_not_finished_is_done_too(world: World) -> None:
    (world.folder / "bad").touch()
    old = world.run(JOB)
    assert world.step(old, "get")["status"] == "compensated"
    (world.folder / "bad").unlink()
    forget_order(world)
    again(world, like(world.store, old.job, world.row(old), "end"))
    assert order(world) == ["end", "get", "make 5 last"]  # what was undone is done again; side had succeeded


def test_what_another_run_did_is_not_undone_here(world: World) -> None:
    old = world.run(JOB)
    forget_order(world)
    (world.folder / "worse").touch()
    run = again(world, like(world.store, old.job, world.row(old), "make"))
    assert str(run.state.status) == "failed"
    assert order(world) == ["end", "make 5 last", "undo-make"]


def test_nor_by_a_later_try_of_the_new_run_but_what_that_did_itself_is(world: World) -> None:
    old = world.run(JOB)
    (world.folder / "worse").touch()
    run = again(world, like(world.store, old.job, world.row(old), "end"))
    forget_order(world)
    world.engine.turn(0)
    for from_step, expected in (("end", ["end"]), ("make", ["end", "make 5 last", "undo-make"])):
        control.reopen(world.store, world.row(run), run.job, definition=None, from_step=from_step, by="me", host=Host())
        world.finish(world.take(run))
        assert order(world) == expected
        forget_order(world)


def test_results_of_results_are_reused_and_belong_to_the_run_that_was_named(world: World) -> None:
    first = world.run(JOB)
    second = again(world, like(world.store, first.job, world.row(first), "make"), "x-second")
    forget_order(world)
    third = again(world, like(world.store, first.job, world.row(second), "make"), "x-third")
    assert order(world) == ["end", "make 5 last"]
    assert third.state.steps["get"].reused == "x-second"


def test_a_crash_between_creation_and_begin_changes_nothing(world: World) -> None:
    old = world.run(JOB)
    found = like(world.store, old.job, world.row(old), "make")
    forget_order(world)
    new = NewRun("x-new", "x", encode(redact(old.job)))
    run = world.engine.submit(new, old.job, found.params, env_file={}, like=found)
    world.engine.flush()
    world.die()
    taken = world.take(run)
    world.finish(taken)
    assert str(taken.state.status) == "succeeded"
    assert order(world) == ["end", "make 5 last"]


STDOUT_LATER = JOB.replace('"{{ steps.get.stdout }}"', '"-"')


def test_a_last_line_that_the_old_run_had_no_reason_to_keep_is_read_from_its_log(world: World) -> None:
    old = world.run(STDOUT_LATER)
    assert old.state.steps["get"].stdout is None
    found = like(world.store, world.job(JOB), world.row(old), "make")
    assert found.reused["get"]["stdout"] == "last"


def test_a_last_line_that_is_gone(world: World) -> None:
    old = world.run(STDOUT_LATER)
    os.unlink(os.path.join(world.state, "runs", old.name, "get.1.log"))
    like(world.store, old.job, world.row(old), "make")  # nobody asks for it
    with pytest.raises(JobctlError, match="the output of step get of run x-000001 is gone") as raised:
        like(world.store, world.job(JOB), world.row(old), "make")
    assert raised.value.hint == "do it anew too: jobctl run x --from get --like x-000001"


def test_an_output_that_the_old_run_did_not_write(world: World) -> None:
    old = world.run(JOB)
    job = world.job(JOB.replace("outputs.rows", "outputs.lines"))
    with pytest.raises(JobctlError, match="step get of run x-000001 wrote no such output"):
        like(world.store, job, world.row(old), "make")
    like(world.store, job, world.row(old), "get")


def test_what_is_no_more_is_left_out_and_said(world: World) -> None:
    old = world.run(JOB)
    job = world.job(JOB.replace('name = "side"', 'name = "other"').replace(', word = "w"', ', new = "n"'))
    found = like(world.store, job, world.row(old), "end")
    assert found.remarks == [
        "the job no longer has side: their results are left out",
        "the job no longer has the parameters word: they are left out",
    ]
    assert (list(found.reused), found.params) == (["get", "make"], {"day": "monday"})


@pytest.mark.parametrize(
    ("job", "from_step", "error", "message", "hint"),
    [
        (JOB, "mak", NotFoundError, "job x has no step 'mak'", "did you mean `make`?"),
        (
            JOB.replace('"side"', '"other"'),
            "side",
            NotFoundError,
            "job x has no step 'side' any more: it had one when x-000001 ran",
            "known: ",
        ),
        (
            JOB.replace('"get"', '"fetch"').replace("steps.get", "steps.fetch"),
            "end",
            JobctlError,
            "job x has changed: step end needs fetch, which it did not have when x-000001 ran",
            "begin there: jobctl run x --from fetch --like x-000001",
        ),
        (
            JOB + 'when = "failure"\n',
            "end",
            UsageError,
            "step end of job x runs only after a failure: nothing starts from it",
            "name one of: get, make, side",
        ),
        (
            "[jobs.y]\ncommand = 'true'\n[jobs.x]\ncommand = 'true'\n",
            "main",
            UsageError,
            "run x-000001 is one of the job x, not of y",
            "jobctl run x --from STEP --like x-000001",
        ),
    ],
)
def test_what_cannot_be(
    world: World, job: str, from_step: str, error: type[JobctlError], message: str, hint: str
) -> None:
    old = world.run(JOB)
    with pytest.raises(error) as raised:
        like(world.store, world.job(job, "y" if "jobs.y" in job else "x"), world.row(old), from_step)
    assert raised.value.message == message
    assert hint in raised.value.hint


def test_a_run_that_is_not_over_may_still_undo_what_it_did(world: World) -> None:
    old = world.start('[[jobs.x.steps]]\nname = "a"\ncommand = "true"\n[[jobs.x.steps]]\nname = "b"\nsignal = "go"\n')
    with pytest.raises(JobctlError, match="run x-000001 is not over"):
        like(world.store, old.job, world.row(old), "b")
    world.engine.request(old, EventType.TERMINATE_REQUESTED, reason="", by="me")
    world.finish(old)


ITEMS = """
[[jobs.x.steps]]
name = "each"
foreach = ["a", "b"]
command = 'echo $JOBCTL_ITEM >> order; echo "v=$JOBCTL_ITEM" > $JOBCTL_OUTPUT; echo "said $JOBCTL_ITEM"'
compensate = "echo undo >> order"
[[jobs.x.steps]]
name = "end"
command = ["sh", "-c", 'echo "$0 $1" >> order; [ ! -e worse ]', "{{ steps.each.outputs.v }}", "{{ steps.each.stdout }}"]
"""


def test_items_are_reused_with_their_results(world: World) -> None:
    old = world.run(ITEMS)
    forget_order(world)
    (world.folder / "worse").touch()
    run = again(world, like(world.store, old.job, world.row(old), "end"))
    assert order(world) == ['["a","b"] ["said a","said b"]']  # and nothing is undone that another run has done
    each = world.step(run, "each")
    assert (each["status"], each["reused_from"], each["outputs"]) == ("succeeded", old.name, [{"v": "a"}, {"v": "b"}])
    assert [item["status"] for item in each["items"]] == ["succeeded", "succeeded"]


def test_what_is_left_of_a_list_is_done_anew_as_a_whole(world: World) -> None:
    text = ITEMS.replace("echo $JOBCTL_ITEM >>", "[ -e go ] || [ $JOBCTL_ITEM = a ] || exit 1; echo $JOBCTL_ITEM >>")
    old = world.run(text)
    assert old.state.status == "failed"
    forget_order(world)
    (world.folder / "go").touch()
    run = again(world, like(world.store, old.job, world.row(old), "end"))
    assert run.state.status == "succeeded"
    assert order(world) == ['["a","b"] ["said a","said b"]', "a", "b"]
