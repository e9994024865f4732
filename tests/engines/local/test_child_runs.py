"""What an engine makes of child runs. What a child's end is to its parent: core/test_children.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worlds import World, statuses

import looked
from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import Queue, encode
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import RunRow
from jobctl.definitions.masking import redact
from jobctl.engines.local import commit, control
from jobctl.engines.local.child_runs import Family, close_orphans
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.stored_job import job_of
from jobctl.host.host import Host

HELD = "until [ -e go ]; do sleep 0.01; done"

# x: a command, then the job y as a child, then a command that has its outputs.
PLAIN = """
[jobs.x]
{job}
[[jobs.x.steps]]
name = "a"
command = "echo a >> marks; echo who=anna > $JOBCTL_OUTPUT"
[[jobs.x.steps]]
name = "kid"
job = "y"
{kid}
[[jobs.x.steps]]
name = "b"
env = {{ GIVEN = "{{{{ steps.kid.outputs.mail }}}}" }}
command = 'echo "b $GIVEN" >> marks'
[jobs.y]
params = {{ who = "nobody", n = {{ type = "integer", default = 1 }} }}
{other}
[[jobs.y.steps]]
name = "first"
command = '{first}'
{undo}
[[jobs.y.steps]]
name = "second"
command = '{second}'
"""


def plain(**parts: str) -> str:
    texts = {
        "job": "",
        "kid": 'params = { who = "{{ steps.a.outputs.who }}" }',
        "other": "",
        "first": 'echo "first $JOBCTL_PARAM_WHO" >> marks; echo mail=1 > $JOBCTL_OUTPUT',
        "undo": "",
        "second": "echo second >> marks; echo mail=$JOBCTL_PARAM_WHO > $JOBCTL_OUTPUT",
    }
    return PLAIN.format(**{**texts, **parts})


def children(world: World, run: LiveRun | RunRow) -> list[RunRow]:
    rows = world.store._rows("SELECT id FROM runs WHERE parent = ? ORDER BY id", run.id)
    return [world.store.run(row[0]) for row in rows]


def child(world: World, run: LiveRun | RunRow) -> RunRow:
    [row] = children(world, run)
    return row


def marks(world: World) -> list[str]:
    return world.read("marks").splitlines()


def waits(world: World, run: LiveRun, *, file: str | None = None) -> None:
    """Until the step waits for its child - which has made that file."""
    world.until(lambda: run.state.step("kid").waits_for_child())
    if file is not None:
        world.until(lambda: (world.folder / file).exists())


def history(world: World, row: RunRow) -> list[Event]:
    return world.store.events(row.id)


def resume(world: World, row: RunRow) -> LiveRun:
    """`resume` of a run that nobody has."""
    kept = job_of(world.store, row, strict=True)
    if row.finished_at is not None:
        control.reopen(world.store, row, kept.job, definition=None, from_step=None, by="me", host=Host())
    taken = world.engine.take(row.id, kept.job, env_file=kept.env_file)
    assert taken is not None
    return taken


@pytest.fixture(autouse=True)
def _whole(world: World) -> Iterator[None]:
    """Whatever a test does: rows agree with histories, and each child's end is known to a parent that waited for it."""
    yield
    for row in world.store.history(limit=1000):
        state = world.store.state(row)
        assert str(state.status) == row.status
        if row.parent is not None and row.finished_at is not None:
            parent = world.store.run(row.parent)
            step = world.store.state(parent).step(row.parent_step or "")
            assert (
                parent.finished_at is not None or not step.waits_for_child(row.name) or "ended" in (step.waiting or {})
            )


# -- a child begins and ends -------------------------------------------------------------------------------------------


def test_a_child_gets_its_parameters_and_hands_its_outputs_on(world: World) -> None:
    run = world.run(plain())
    assert marks(world) == ["a", "first anna", "second", "b anna"]
    kid = child(world, run)
    assert (kid.job, kid.status, kid.trigger, kid.parent_step) == ("y", "succeeded", "child", "kid")
    document = world.document(run)
    assert statuses(document) == {"a": "succeeded", "kid": "succeeded", "b": "succeeded"}
    assert document["steps"][1]["child"] == {"run": kid.name, "job": "y", "status": "succeeded"}
    assert document["steps"][1]["outputs"] == {"mail": "anna"}  # of two outputs of a name the later step's
    assert document["parent"] is None
    assert looked.run_document(world.store, kid)["parent"] == {"run": run.name, "step": "kid"}
    [begun] = world.events(run, EventType.WAIT_STARTED)
    assert begun.data == {"kind": "child", "name": kid.name, "job": "y"}
    [told] = world.events(run, EventType.CHILD_ENDED)
    assert told.data == {"run": kid.name, "status": "succeeded", "outputs": {"mail": "anna"}}
    assert [str(event.type) for event in history(world, kid)][:2] == ["run_created", "run_taken"]
    # Handed on once, not kept twice.
    assert "outputs" not in world.events(run, EventType.STEP_ENDED)[0].data


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"second": "exit 7"}, "child run {} failed: step second: exit code 7"),
        ({"kid": 'params = { who = "{{ steps.a.outputs.no }}" }'}, "{{{{ steps.a.outputs.no }}}} has no value"),
        ({"other": 'env_file = "gone"'}, "there is no file"),
        ({"kid": 'params = { n = "{{ steps.a.outputs.who }}" }'}, "parameter n is 'anna', which is not a whole number"),
    ],
)
def test_a_child_that_fails_or_cannot_begin_fails_the_step(world: World, parts: dict[str, str], error: str) -> None:
    run = world.run(plain(**parts))
    assert run.state.status == "failed"
    names = [row.name for row in children(world, run)]
    said = error.format(*names)
    assert said in (world.step(run, "kid")["error"] or "")
    assert "step kid: " in (run.state.reason or "")
    assert "b anna" not in marks(world)


def test_two_levels_deep(world: World) -> None:
    text = plain(second="true") + '[[jobs.y.steps]]\nname = "deep"\njob = "z"\n[jobs.z]\ncommand = "exit 3"'
    run = world.run(text)
    kid = child(world, run)
    grand = child(world, kid)
    assert (grand.job, grand.parent_step) == ("z", "deep")
    because = f"child run {grand.name} failed: step main: exit code 3"
    assert run.state.reason == f"step kid: child run {kid.name} failed: step deep: {because}"


def test_a_child_keeps_the_definition_that_its_parent_began_with(world: World) -> None:
    run = world.start(plain(first=HELD))
    waits(world, run)
    before = world.store.definition(child(world, run).definition)
    (world.folder / "jobs.toml").write_text("[jobs.x]\ncommand = 'true'")
    (world.folder / "go").touch()
    world.finish(run)
    assert before == encode(redact(run.job.child("y")))
    assert run.state.status == "succeeded"


def test_secrets_of_a_child_are_not_kept_and_are_masked_in_its_parent(world: World) -> None:
    (world.folder / "y.env").write_text("HIDDEN=from-the-file\n")
    other = 'env_file = "y.env"\nenv = { API_TOKEN = "s3cret-token" }'
    say = 'echo "message=$API_TOKEN $HIDDEN" > $JOBCTL_FAILURE; exit 1'
    run = world.run(plain(other=other, second=say))
    bodies = "".join(body for (body,) in world.store._rows("SELECT body FROM definitions"))
    assert "s3cret" not in bodies
    said = world.step(run, "kid")["error"]
    assert said.endswith("*** ***")
    assert run.context.mask("s3cret-token from-the-file") == "*** ***"
    # Who goes on with it takes them from the file again.
    resumed = resume(world, world.row(run))
    world.finish(resumed)
    assert world.step(run, "kid")["error"].endswith("*** ***")


def test_a_condition_is_asked_before_a_child_is_started(world: World) -> None:
    run = world.run(
        plain(kid="only_if = 'exit 1'", job="max_parallel_steps = 1").replace("env = { GIVEN", "# env = { GIVEN")
    )
    assert children(world, run) == []
    assert world.step(run, "kid")["status"] == "skipped"
    run = world.run(plain(kid="only_if = 'exit 0'"))
    assert child(world, run).status == "succeeded"
    assert world.step(run, "kid")["attempt"] == 1


@pytest.mark.parametrize(("maximum", "status", "runs"), [(3, "succeeded", 3), (2, "failed", 2), (0, "succeeded", 3)])
def test_a_failed_child_is_followed_by_another_when_the_policy_says_so(
    world: World, maximum: int, status: str, runs: int
) -> None:
    kid = f'retry = {{ maximum_attempts = {maximum}, initial_interval = "10ms" }}'
    run = world.run(plain(kid=kid, second="echo x >> tries; echo mail=1 > $JOBCTL_OUTPUT; [ $(wc -l < tries) -ge 3 ]"))
    assert run.state.status == status
    rows = children(world, run)
    assert len(rows) == runs
    assert [row.status for row in rows] == ["failed"] * (runs - 1) + [status]
    ends = world.events(run, EventType.STEP_ENDED)
    assert [("retry_at" in end.data) for end in ends] == [True] * (runs - 1) + [False]
    assert all(
        begun.at >= end.data["retry_at"]
        for begun, end in zip(world.events(run, EventType.WAIT_STARTED)[1:], ends, strict=False)
    )
    if status == "failed":
        assert ends[-1].data["why"] == "all 2 attempts are used"


# -- one budget for a family -------------------------------------------------------------------------------------------


def test_a_family_has_no_more_commands_under_way_than_its_root_may(world: World) -> None:
    work = "echo up >> now; sleep 0.05; echo down >> now"
    steps = "".join(f'[[jobs.x.steps]]\nname = "k{i}"\nneeds = []\njob = "y"\n' for i in range(5))
    own = f"[[jobs.x.steps]]\nname = 'own'\nneeds = []\ncommand = '{work}'\n"
    many = "".join(f"[[jobs.y.steps]]\nname = 's{i}'\nneeds = []\ncommand = '{work}'\n" for i in range(3))
    run = world.run(f"[jobs.x]\nmax_parallel_steps = 2\n{steps}{own}{many}")
    assert run.state.status == "succeeded"
    at_once, most = 0, 0
    for line in world.read("now").splitlines():
        at_once += 1 if line == "up" else -1
        most = max(most, at_once)
    assert (at_once, most) == (0, 2)
    assert len(world.read("now").splitlines()) == 2 * (5 * 3 + 1)


def test_an_attempt_stands_in_its_family_once(world: World) -> None:
    steps = "".join(f'[[jobs.x.steps]]\nname = "k{i}"\nneeds = []\njob = "y"\n' for i in range(2))
    run = world.start(f"[jobs.x]\nmax_parallel_steps = 1\n{steps}[jobs.y]\ncommand = '{HELD}'\n")
    world.until(lambda: run.family is not None and run.family.waiting)
    assert run.family is not None
    [(other, key)] = run.family.waiting
    world.engine.children.hold(other, key)
    assert list(run.family.waiting) == [(other, key)]
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"


def test_a_child_that_was_a_root_here_joins_its_family_and_nobody_loses_the_place_in_the_line(world: World) -> None:
    steps = "".join(f'[[jobs.x.steps]]\nname = "k{i}"\nneeds = []\njob = "y"\n' for i in range(3))
    run = world.start(f"[jobs.x]\nmax_parallel_steps = 1\n{steps}[jobs.y]\ncommand = '{HELD}'\n")
    world.until(lambda: run.family is not None and len(run.family.waiting) == 2)
    assert run.family is not None
    first, second = run.family.waiting
    del run.family.waiting[second]
    kid = second[0]
    kid.family = own = Family(kid)  # as one that is taken with children of its own
    own.waiting[second] = None
    world.engine.children.joined(kid)
    assert kid.family is run.family
    assert list(run.family.waiting) == [first, second]
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"


def test_any_number_of_children_wait_at_once(world: World) -> None:
    steps = "".join(f'[[jobs.x.steps]]\nname = "k{i}"\nneeds = []\njob = "y"\n' for i in range(40))
    run = world.start(f"[jobs.x]\nmax_parallel_steps = 1\n{steps}[[jobs.y.steps]]\nname = 'ask'\napproval = 'ok?'\n")
    world.until(lambda: len(children(world, run)) == 40)
    for row in children(world, run):
        world.until(lambda row=row: world.store.state(row).step("ask").waiting is not None)
        control.answer(world.store, world.store.run(row.id), None, approved=True, comment=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == "succeeded"


# -- queues ------------------------------------------------------------------------------------------------------------


def test_a_child_of_a_job_with_a_queue_waits_for_its_turn_and_then_goes_on_here(world: World) -> None:
    world.engine.queues = {"q": Queue("q", 1)}
    steps = "".join(f'[[jobs.x.steps]]\nname = "k{i}"\nneeds = []\njob = "y"\n' for i in range(3))
    work = "echo up >> now; sleep 0.05; echo down >> now"
    queued = f"[jobs.y]\nqueue = 'q'\ncommand = '{work}'"
    text = f"[queues.q]\nconcurrency = 1\n[jobs.x]\n{steps}{queued}"
    run = world.run(text)
    assert run.state.status == "succeeded"
    assert world.read("now").split() == ["up", "down"] * 3


def test_a_queued_child_of_a_canceled_run_ends_without_its_turn(world: World) -> None:
    world.engine.queues = {"q": Queue("q", 0)}
    text = "[queues.q]\nconcurrency = 1\n[jobs.x]\n[[jobs.x.steps]]\nname = 'kid'\njob = 'y'\n"
    run = world.start(text + "[jobs.y]\nqueue = 'q'\ncommand = 'touch began'")
    waits(world, run)
    assert child(world, run).status == "queued"
    control.cancel(world.store, world.row(run), reason=None, by="me", host=Host())
    world.finish(run)
    assert (run.state.status, child(world, run).status) == ("canceled", "canceled")
    assert not (world.folder / "began").exists()


# -- the parent ends ---------------------------------------------------------------------------------------------------

ENDS = [
    # what happens, on_parent_close -> parent, step, child
    ("cancel", "terminate", "canceled", "canceled", "canceled"),
    ("cancel", "cancel", "canceled", "canceled", "canceled"),
    ("cancel", "abandon", "canceled", "canceled", "succeeded"),
    ("timeout", "terminate", "timed_out", "timed_out", "canceled"),
    ("timeout", "cancel", "timed_out", "timed_out", "canceled"),
    ("timeout", "abandon", "timed_out", "timed_out", "succeeded"),
    ("step timeout", "terminate", "failed", "timed_out", "canceled"),
    ("step timeout", "cancel", "failed", "timed_out", "canceled"),
    ("step timeout", "abandon", "failed", "timed_out", "succeeded"),
    ("terminate", "terminate", "terminated", "canceled", "terminated"),
    ("terminate", "cancel", "terminated", "canceled", "canceled"),
    ("terminate", "abandon", "terminated", "canceled", "succeeded"),
    ("failure", "terminate", "failed", "succeeded", "succeeded"),
]


@pytest.mark.parametrize("here", [True, False], ids=["here", "taken over"])
@pytest.mark.parametrize(("what", "policy", "parent", "step", "kid"), ENDS)
def test_what_becomes_of_a_child_when_its_parent_ends(
    world: World, what: str, policy: str, parent: str, step: str, kid: str, here: bool
) -> None:
    keys = f"on_parent_close = '{policy}'\n" + ("timeout = '400ms'\n" if what == "step timeout" else "")
    job = "timeout = '400ms'\n" if what == "timeout" else ""
    side = "[[jobs.x.steps]]\nname = 'side'\nneeds = []\ncommand = 'until [ -e fail ]; do sleep 0.01; done; exit 1'\n"
    text = plain(job=job, kid=keys, first=f"touch began; {HELD}", undo="compensate = 'echo undone >> marks'")
    if what == "failure":
        text = text.replace("[jobs.y]", side + "[jobs.y]")
    run = world.start(text)
    waits(world, run, file="began")
    row = world.row(run)
    if not here:
        world.die()
    if what == "cancel":
        control.cancel(world.store, row, reason=None, by="me", host=Host())
    elif what == "terminate":
        control.terminate(world.store, row, reason=None, by="me", host=Host())
    elif what == "failure":
        (world.folder / "fail").touch()
    if not here:
        run = resume(world, row)
    if what == "failure":
        world.until(lambda: run.decider.outcome is not None)
    else:
        if kid == "succeeded":
            world.until(lambda: run.state.finished_at is not None)
            close_orphans(world.store, set(), Host())  # nothing for it
    if kid == "succeeded":
        assert child(world, run).status == "running"
        (world.folder / "go").touch()
    world.until(lambda: not world.engine.busy)
    assert (run.state.status, world.step(run, "kid")["status"]) == (parent, step)
    assert child(world, run).status == kid
    if kid == "canceled":
        asked = [event for event in history(world, child(world, run)) if event.type is EventType.CANCEL_REQUESTED]
        assert len(asked) == 1
        assert run.name in asked[0].data["reason"]
        # The child's undo is over before the parent's step ends, unless that was terminated.
        assert marks(world)[-1] == "undone"
        if parent != "terminated":
            assert child(world, run).finished_at <= world.events(run, EventType.STEP_ENDED)[-1].at  # type: ignore[operator]
    assert world.alive(run) == []


def test_a_child_that_a_person_cancels_fails_its_step_without_retry(world: World) -> None:
    run = world.start(plain(first=f"touch began; {HELD}", kid="retry = 5"))
    waits(world, run, file="began")
    control.cancel(world.store, child(world, run), reason="enough", by="me", host=Host())
    world.finish(run)
    assert run.state.reason == f"step kid: child run {child(world, run).name} was canceled: enough"


def test_a_pause_of_the_parent_is_none_of_the_child(world: World) -> None:
    run = world.start(plain(first=HELD))
    waits(world, run)
    control.pause(world.store, world.row(run), reason=None, by="me", host=Host())
    world.until(lambda: run.state.status == "paused")
    (world.folder / "go").touch()
    world.until(lambda: child(world, run).finished_at is not None)
    world.until(lambda: run.state.step("kid").status == "succeeded")
    assert "b anna" not in marks(world)
    control.unpause(world.store, world.row(run), by="me", host=Host())
    world.finish(run)
    assert marks(world)[-1] == "b anna"


def test_one_child_time_limit_is_followed_by_a_retry_and_the_limit_of_all_is_not(world: World) -> None:
    text = plain(
        first=HELD,
        job="step_timeout = { start_to_close = '100ms' }",
        kid="retry = { maximum_attempts = 2, initial_interval = '10ms' }",
    )
    run = world.run(text)
    assert [row.status for row in children(world, run)] == ["canceled", "canceled"]
    assert "start_to_close of 100ms passed" in (run.state.reason or "")


# -- resume ------------------------------------------------------------------------------------------------------------


def test_resume_takes_the_failed_child_up_where_it_stopped(world: World) -> None:
    run = world.run(plain(second="echo second >> marks; echo mail=1 > $JOBCTL_OUTPUT; [ -e go ]"))
    before = child(world, run)
    (world.folder / "go").touch()
    resumed = world.finish(resume(world, world.row(run)))
    assert resumed.state.status == "succeeded"
    assert child(world, run).name == before.name
    assert marks(world) == ["a", "first anna", "second", "second", "b 1"]
    [reopened] = [event for event in history(world, before) if event.type is EventType.RUN_REOPENED]
    assert reopened.data == {"redo": ["second"], "by": f"run {run.name}"}


@pytest.mark.parametrize("why", ["rolled back", "other parameters", "other definition", "gone"])
def test_resume_starts_a_new_child_where_the_old_one_cannot_go_on(world: World, why: str) -> None:
    undo = "compensate = 'true'" if why == "rolled back" else ""
    kid = 'params = { who = "{{ params.who }}" }'
    text = plain(second="[ -e go ]", undo=undo, kid=kid, job='params = { who = "anna" }')
    text = text.replace("env = { GIVEN", "# env = { GIVEN")
    run = world.run(text)
    (world.folder / "go").touch()
    before = child(world, run)
    updated = None
    if why == "other parameters":
        updated = text.replace("{{ params.who }}", "otto")
    elif why == "other definition":
        updated = text.replace("[ -e go ]", "[ -e go ] && true")
    elif why == "gone":
        with world.store.transaction() as db:
            db.execute("DELETE FROM runs WHERE id = ?", (before.id,))
    again = world.again(run, updated=updated)
    assert again.state.status == "succeeded"
    rows = children(world, run)
    assert [row.status for row in rows] == (["succeeded"] if why == "gone" else ["failed", "succeeded"])
    assert rows[-1].name != before.name


def test_a_succeeded_child_is_started_anew_when_its_step_is_asked_for_again(world: World) -> None:
    run = world.run(plain())
    again = world.again(run, from_step="kid")
    assert again.state.status == "succeeded"
    assert len(children(world, run)) == 2
    assert marks(world) == ["a", "first anna", "second", "b anna", "first anna", "second", "b anna"]


@pytest.mark.parametrize("over", [True, False])
def test_a_child_that_was_left_alone_is_waited_for_again(world: World, over: bool) -> None:
    run = world.start(plain(first=f"touch began; {HELD}", kid="on_parent_close = 'abandon'"))
    waits(world, run, file="began")
    control.cancel(world.store, world.row(run), reason=None, by="me", host=Host())
    world.until(lambda: run.state.finished_at is not None)
    if over:
        (world.folder / "go").touch()
        world.until(lambda: not world.engine.busy)
    resumed = resume(world, world.row(run))
    (world.folder / "go").touch()
    world.finish(resumed)
    assert resumed.state.status == "succeeded"
    assert len(children(world, run)) == 1
    assert marks(world).count("second") == 1


def test_a_run_whose_child_has_not_ended_yet_is_not_taken_up(world: World) -> None:
    run = world.start(
        plain(first=f"touch began; trap : TERM; {HELD}", kid="on_parent_close = 'cancel'", other="kill_grace = '5s'")
    )
    waits(world, run, file="began")
    control.terminate(world.store, world.row(run), reason=None, by="me", host=Host())
    world.until(lambda: run.state.finished_at is not None)
    with pytest.raises(JobctlError, match=r"its child run y-.* is running") as caught:
        resume(world, world.row(run))
    assert "jobctl wait y-" in caught.value.hint
    (world.folder / "go").touch()
    world.until(lambda: not world.engine.busy)


def test_a_child_is_resumed_alone_when_its_parent_is_over(world: World) -> None:
    run = world.run(
        plain(second="[ -e go ]", first=HELD.replace("go", "go1") + "; touch again", other="timeout = '200ms'")
    )
    assert child(world, run).status == "timed_out"
    before = world.row(run)
    resumed = resume(world, child(world, run))
    assert close_orphans(world.store, set(), Host()) == []  # nobody ends it again
    (world.folder / "go1").touch()
    (world.folder / "go").touch()
    world.finish(resumed)
    assert resumed.state.status == "succeeded"
    assert world.row(run) == before


def test_a_resume_of_the_parent_goes_on_with_what_a_child_has_done_alone(world: World) -> None:
    run = world.run(plain(second="echo second >> marks; echo mail=1 > $JOBCTL_OUTPUT; [ -e go ]"))
    (world.folder / "go").touch()
    world.finish(resume(world, child(world, run)))
    again = world.finish(resume(world, world.row(run)))
    assert again.state.status == "succeeded"
    assert marks(world) == ["a", "first anna", "second", "second", "b 1"]


# -- items -----------------------------------------------------------------------------------------------------------

EACH = """
[jobs.x]
max_parallel_steps = 2
[[jobs.x.steps]]
name = "kids"
foreach = ["anna", "eve", "otto"]
job = "y"
params = { who = "{{ item }}" }
[[jobs.x.steps]]
name = "b"
command = ["sh", "-c", "echo '{{ steps.kids.outputs.mail }}' >> marks"]
[jobs.y]
params = { who = {} }
[[jobs.y.steps]]
name = "mail"
command = 'echo "$JOBCTL_PARAM_WHO" >> marks; echo "mail=$JOBCTL_PARAM_WHO" > $JOBCTL_OUTPUT'
[[jobs.y.steps]]
name = "check"
command = '[ -e go ] || [ $JOBCTL_PARAM_WHO != eve ]'
"""


def test_each_item_has_a_child_of_its_own_and_a_resume_takes_up_the_failed_one(world: World) -> None:
    run = world.run(EACH)
    rows = {row.parent_step: row for row in children(world, run)}
    assert {key: row.status for key, row in rows.items()} == {
        "kids[0]": "succeeded",
        "kids[1]": "failed",
        "kids[2]": "succeeded",
    }
    items = world.step(run, "kids")["items"]
    assert [item["child"]["run"] for item in items] == [rows[f"kids[{i}]"].name for i in range(3)]
    assert rows["kids[1]"].name in items[1]["error"]
    (world.folder / "go").touch()
    again = world.finish(resume(world, world.row(run)))
    assert again.state.status == "succeeded"
    assert len(children(world, run)) == 3
    assert sorted(marks(world)[:3]) == ["anna", "eve", "otto"]
    assert marks(world)[3:] == ['["anna","eve","otto"]']


def test_children_of_items_are_canceled_with_their_parent(world: World) -> None:
    run = world.start(EACH.replace("[ -e go ] ||", f"echo >> began; {HELD};"))
    world.until(lambda: len(world.read("began")) == 2)  # as many at once as the root may have
    control.cancel(world.store, world.row(run), reason=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == "canceled"
    assert {row.status for row in children(world, run)} == {"canceled"}


# -- crashes -----------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class Fragile(World):
    """Dies right after the n-th commit that it is told of: before anything that follows from it is done."""

    left = 1 << 30

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        super().recorded(run, events)
        self.left -= 1
        if not self.left:
            raise Killed


DEEP = (
    plain(undo="compensate = 'echo undone >> marks'")
    + '[[jobs.y.steps]]\nname = "deep"\njob = "z"\n[jobs.z]\ncommand = "echo deep >> marksFAILS"'
)


def _through(world: Fragile, text: str, n: int) -> tuple[bool, RunRow | None]:
    """Run it, dying after n commits; whether it died, and the root run."""
    world.left = n
    try:
        world.start(text)
        world.until(lambda: not world.engine.busy)
        died = False
    except Killed:
        died = True
        # What is under way ends by itself, and nobody sees it.
    world.left = 1 << 30
    rows = [row for row in world.store.history(limit=100) if row.parent is None]
    return died, rows[0] if rows else None


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_killed_after_every_commit_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path, ends: str) -> None:
    text = DEEP.replace("FAILS", "; exit 5" if ends == "badly" else "")
    expected = ["a", "first anna", "second", "deep", *(["b anna"] if ends == "well" else ["undone"])]
    for n in range(1, 100):
        folder = tmp_path / str(n)
        folder.mkdir()
        world = Fragile(folder)
        try:
            died, row = _through(world, text, n)
            assert row is not None
            if died:
                world.die()
                if world.store.run(row.id).finished_at is None:
                    resume(world, world.store.run(row.id))
                world.until(lambda world=world: not world.engine.busy)
            row = world.store.run(row.id)
            assert row.status == ("succeeded" if ends == "well" else "failed"), (n, row.reason)
            assert marks(world) == expected, n
            kid = child(world, row)
            assert child(world, kid).finished_at is not None
            assert world.store.alive() == []
            if not died:
                assert n > 10
                return
        finally:
            world.close()
    raise AssertionError("it has not ended")


@pytest.mark.parametrize("what", ["cancel", "terminate"])
def test_killed_after_every_commit_of_an_end_the_children_are_asked_all_the_same(tmp_path: Path, what: str) -> None:
    text = plain(first=f"touch began; {HELD}", undo="compensate = 'echo undone >> marks'")
    for n in range(1, 50):
        folder = tmp_path / str(n)
        folder.mkdir()
        world = Fragile(folder)
        try:
            run = world.start(text)
            waits(world, run, file="began")
            row, died = world.row(run), False
            ask = control.cancel if what == "cancel" else control.terminate
            ask(world.store, row, reason=None, by="me", host=Host())
            world.left = n
            try:
                world.until(lambda world=world: not world.engine.busy)
            except Killed:
                died = True
            world.left = 1 << 30
            if died:
                world.die()
                if world.store.run(row.id).finished_at is None:
                    resume(world, world.store.run(row.id))
                    world.until(lambda world=world: not world.engine.busy)
                close_orphans(world.store, set(), Host())
                if child(world, row).finished_at is None:  # its parent is over
                    resume(world, child(world, row))
                    world.until(lambda world=world: not world.engine.busy)
            status = "canceled" if what == "cancel" else "terminated"
            assert (world.store.run(row.id).status, child(world, row).status) == (status, status), n
            assert marks(world) == (["a", "undone"] if what == "cancel" else ["a"]), n
            if not died:
                assert n > 2
                return
        finally:
            world.close()
    raise AssertionError("it has not ended")


def test_a_refused_parent_brings_no_child_into_being(world: World) -> None:
    run = world.start(plain(job="", first="true"))
    # Somebody else appends to it in every turn: what was planned is planned again.
    sent: list[Any] = []
    append = world.store.append

    def meddle(batches: Any, *beside: Any) -> Any:
        if any(batch.children for batch in batches) and not sent:
            sent.append(1)
            control.pause(world.store, world.store.run(run.id), reason=None, by="me", host=Host())
        return append(batches, *beside)

    world.store.append = meddle  # type: ignore[method-assign]
    world.until(lambda: run.state.status == "paused")
    assert children(world, run) == []
    assert sent == [1]
    control.unpause(world.store, world.row(run), by="me", host=Host())
    world.finish(run)
    assert run.state.status == "succeeded"
    assert len(children(world, run)) == 1


def test_a_store_that_cannot_be_written_at_some_commit_loses_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 20)
    text = DEEP.replace("FAILS", "")
    for n in range(1, 50):
        folder = tmp_path / str(n)
        folder.mkdir()
        world = World(folder)
        try:
            run = world.start(text)
            append, left = world.store.append, [n]

            def fail(batches: Any, *beside: Any, append: Any = append, left: list[int] = left) -> Any:
                left[0] -= 1
                if not left[0]:
                    raise StoreUnavailableError("full")
                return append(batches, *beside)

            world.store.append = fail  # type: ignore[method-assign]
            world.until(lambda world=world: not world.engine.busy)
            assert run.state.status == "succeeded", n
            assert marks(world) == ["a", "first anna", "second", "deep", "b anna"], n
            assert world.store.alive() == []
            if left[0] > 0:
                assert n > 8
                return
        finally:
            world.close()
    raise AssertionError("it has not ended")
