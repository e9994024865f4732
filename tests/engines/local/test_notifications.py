"""Notifications: begun with the end that they tell of, carried out like any run, and told what they are to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from worlds import World

import looked
from jobctl.core.errors import JobctlError
from jobctl.core.model import encode
from jobctl.core.run import attempts
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.newrun import created
from jobctl.core.run.notices import updated
from jobctl.core.run.rows import NewRun, RunRow
from jobctl.definitions.masking import redact
from jobctl.engines.local import control
from jobctl.engines.local import notifications as notices
from jobctl.engines.local import stored_job as kept
from jobctl.engines.local.commit import Commits
from jobctl.engines.local.live import LiveRun
from jobctl.host.host import Host

TELL = "env | grep ^JOBCTL_ > told.$JOBCTL_STATUS; echo $JOBCTL_STATUS >> told"
ENDS = {
    "succeeded": "command = 'true'",
    "failed": "command = 'exit 3'",
    "timed_out": "timeout = '100ms'\ncommand = 'sleep 60'",
    "canceled": "command = 'sleep 60'",
    "terminated": "command = 'sleep 60'",
}


def told(world: World) -> list[RunRow]:
    """The notifications there are, oldest first."""
    return list(reversed(world.store.history(job="x.notify", limit=99)))


def end(world: World, status: str, more: str) -> LiveRun:
    """A run that ends so; then all that follows from it is over, too."""
    run = world.start(f"{more}\n{ENDS[status]}")
    if status in ("canceled", "terminated"):
        world.until(lambda: run.attempts)
        ask = control.cancel if status == "canceled" else control.terminate
        ask(world.store, world.row(run), reason="enough", by="me", host=Host())
    world.finish(run)
    assert run.state.status == status
    return run


def variables(world: World, name: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in world.read(name).splitlines())


@pytest.mark.parametrize("status", ENDS)
def test_each_end_is_told_to_who_wants_to_know_it(world: World, status: str) -> None:
    others = json.dumps([other for other in ENDS if other != status])
    run = end(
        world,
        status,
        f"notify = [{{ on = ['{status}'], command = '''{TELL}''' }}, {{ on = {others}, command = 'echo no >> told' }}]",
    )
    assert world.read("told") == f"{status}\n"
    [row] = told(world)
    assert (row.status, row.trigger, row.parent) == ("succeeded", "notify", None)
    found = variables(world, f"told.{status}")
    assert found["JOBCTL_RUN"] == run.name
    assert found["JOBCTL_JOB"] == "x"
    assert found["JOBCTL_TRIGGER"] == "manual"
    assert found["JOBCTL_REASON"] == (run.state.reason or "")
    assert found["JOBCTL_IDEMPOTENCY_KEY"] == f"{row.name}/notify"
    assert "JOBCTL_FIRE_TIME" not in found


def test_failed_and_timed_out_if_not_said_and_each_command_by_itself(world: World) -> None:
    two = "notify = [{ command = 'echo one >> told' }, { command = ['sh', '-c', 'echo two >> told'] }]\n"
    end(world, "succeeded", two)
    end(world, "canceled", two)
    assert world.read("told") == ""
    end(world, "failed", two)
    assert sorted(world.read("told").split()) == ["one", "two"]


def test_the_end_and_what_tells_of_it_are_one_commit(world: World) -> None:
    run = world.start("notify = { command = 'echo told >> told' }\ncommand = 'exit 1'")
    append, seen = world.store.append, []

    def looking(batches: Any, *beside: Any) -> Any:
        refused = append(batches, *beside)
        ended = world.row(run).finished_at is not None
        seen.append((ended, len(told(world))))
        return refused

    world.store.append = looking  # type: ignore[method-assign]
    world.finish(run)
    assert seen[0] == (True, 1)  # the next commit after its beginning
    [row] = told(world)
    assert world.events(run)[-1].data["notifications"] == [row.name]
    assert world.document(run)["notifications"] == [{"run": row.name, "status": "succeeded"}]
    about = looked.run_document(world.store, row)["about"]
    assert (about["run"], about["status"]) == (run.name, "failed")


def test_what_tells_waits_for_nobody_and_nobody_for_it(world: World) -> None:
    run = world.start("notify = { command = 'touch begun; until [ -e go ]; do sleep 0.01; done' }\ncommand = 'exit 1'")
    world.until(lambda: (world.folder / "begun").exists())
    assert run.state.finished_at is not None
    assert world.store.latest("x") == world.row(run)
    assert world.store.find("x") == world.row(run)
    assert world.store.find("x-") == world.row(run)
    assert world.store.find("x.")[0] == told(world)[0].id
    (world.folder / "go").touch()
    world.until(lambda: not world.engine.busy)


def test_one_that_fails_is_tried_three_times_and_tells_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    short = attempts.verdict

    def soon(policy: Any, *rest: Any, **more: Any) -> Any:
        found = short(policy, *rest, **more)
        waits.append(None if found.retry_at is None else found.retry_at - more["ended_at"])
        return found._replace(retry_at=more["ended_at"]) if found.retry_at is not None else found

    waits: list[int | None] = []
    monkeypatch.setattr(attempts, "verdict", soon)
    run = world.run("notify = { command = 'echo try >> told; exit 7' }\ncommand = 'exit 1'")
    assert world.read("told") == "try\n" * 3
    assert waits == [None, 1_000, 10_000, None]
    [row] = told(world)
    assert row.status == "failed"
    assert world.document(run)["notifications"] == [{"run": row.name, "status": "failed"}]
    [found] = looked.failed_notifications(world.store, world.store.jobs(), 0)
    assert (found["id"], found["about"]["run"]) == (row.name, run.name)
    assert (
        looked.failed_notifications(world.store, world.store.jobs(), row.finished_at + 1 if row.finished_at else 0)
        == []
    )


def test_a_later_one_that_succeeds_makes_good_for_one_that_failed(world: World) -> None:
    once = "notify = { command = 'mkdir once' }\ncommand = 'exit 1'"
    (world.folder / "once").mkdir()
    run = world.start(once)
    world.until(lambda: any(e.data.get("retry_at") for e in world.told))
    [row] = told(world)
    control.terminate(world.store, row, reason=None, by="me", host=Host())
    world.until(lambda: not world.engine.busy)
    world.store.request(row.id, lambda *_: (_reopened(), None))
    world.store.request(row.id, lambda *_: (_failed(), None))
    assert len(looked.failed_notifications(world.store, world.store.jobs(), 0)) == 1
    (world.folder / "once").rmdir()
    world.run(once)
    assert looked.failed_notifications(world.store, world.store.jobs(), 0) == []
    assert run.state.status == "failed"


def _reopened() -> Any:
    return Event(EventType.RUN_REOPENED, 9, data={"redo": []})


def _failed() -> Any:
    return Event(EventType.RUN_ENDED, 9, data={"status": "failed"})


def test_who_dies_with_the_end_leaves_it_to_the_next(world: World) -> None:
    run = world.start(
        "notify = { command = 'echo told >> told' }\ncommand = 'until [ -e go ]; do sleep 0.01; done; false'"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Commits, "_began", lambda *_: _die())
        (world.folder / "go").touch()
        with pytest.raises(_DiedError):
            world.finish(run)
    world.die()
    [row] = told(world)
    assert (row.status, world.read("told")) == ("running", "")
    found = kept.job_of(world.store, row, strict=True)
    assert world.engine.take(row.id, found.job, env_file=found.env_file) is not None
    world.until(lambda: not world.engine.busy)
    assert world.read("told") == "told\n"
    assert told(world)[0].status == "succeeded"


class _DiedError(Exception):
    pass


def _die() -> None:
    raise _DiedError


def test_a_new_try_that_ends_is_told_again(world: World) -> None:
    run = world.run(
        "notify = { on = ['failed', 'succeeded'], command = 'echo $JOBCTL_STATUS >> told' }\ncommand = '[ -e ok ]'"
    )
    (world.folder / "ok").touch()
    run = world.again(run)
    assert world.read("told").split() == ["failed", "succeeded"]
    [_, last] = told(world)
    assert world.document(run)["notifications"] == [{"run": last.name, "status": "succeeded"}]


def test_a_child_run_is_told_of_as_its_own_job_says(world: World) -> None:
    world.run(
        "[jobs.x]\nnotify = { command = 'echo x $JOBCTL_RUN >> told' }\n"
        "[[jobs.x.steps]]\nname = 'kid'\njob = 'y'\n"
        "[jobs.y]\nnotify = { command = 'echo y $JOBCTL_RUN >> told' }\ncommand = 'false'\n"
    )
    runs = {row.job: row for row in world.store.history()}
    assert sorted(world.read("told").splitlines()) == sorted(f"{job} {runs[job].name}" for job in ("x", "y"))
    assert runs["y.notify"].parent is None


def test_it_has_the_parameters_and_the_environment_of_the_run(world: World) -> None:
    (world.folder / "app").mkdir()
    (world.folder / ".env").write_text("FILE=file\n")
    run = world.run(
        "env_file = '.env'\ncwd = 'app'\nparams = { day = 'monday' }\n"
        "env = { ABOUT = '{{ params.day }} {{ run.id }} {{ run.job }}', API_TOKEN = 'topsecret' }\n"
        "notify = { command = 'echo $ABOUT, $FILE, $JOBCTL_PARAM_DAY, $API_TOKEN > told' }\n"
        "command = 'echo message=about topsecret >> $JOBCTL_FAILURE; exit 1'"
    )
    assert world.read("app/told") == f"monday {run.name} x, file, monday, topsecret\n"
    [row] = told(world)
    assert "topsecret" not in world.store.definition(row.definition)
    assert "topsecret" not in json.dumps([event.data for event in world.store.events(row.id)])
    assert "***" in looked.run_document(world.store, row)["about"]["reason"]


@pytest.mark.parametrize(
    "lack",
    ["cwd = 'gone'", "env = { X = '{{ params.gone }}' }\nparams = { gone = 'x' }", "env_file = 'gone'"],
)
def test_what_the_run_lacked_keeps_nobody_from_being_told(world: World, lack: str) -> None:
    """A run that could not begin: begun by nobody, ended by somebody who only says so."""
    if "env_file" in lack:
        (world.folder / "gone").touch()
    job = world.job(f"{lack}\nnotify = {{ command = 'pwd > {world.folder}/told' }}\ncommand = 'true'")
    new = NewRun("x-000001", "x", encode(redact(job)))
    first = created(new, {}, 1)
    from jobctl.engines.local.submit import record
    from jobctl.engines.local.worker.take import fail

    assert record(world.store, new, [first])
    if "env_file" in lack:
        (world.folder / "gone").unlink()
    assert fail(world.store, world.engine, world.store.find("x-000001"), "it lacks something")
    [row] = told(world)
    assert (row.status, row.executor) == ("queued", None)
    found = kept.job_of(world.store, row, strict=True)
    assert world.engine.take(row.id, found.job, env_file=found.env_file) is not None
    world.until(lambda: not world.engine.busy)
    assert told(world)[0].status == "succeeded"
    assert Path(world.read("told").strip()) == world.folder


def test_secrets_come_from_the_file_again_by_the_job_that_it_is_about(world: World) -> None:
    world.start("env = { API_TOKEN = 'topsecret' }\nnotify = { command = '[ -e ok ]' }\ncommand = 'false'")
    world.until(lambda: any(event.data.get("retry_at") for event in world.told))
    world.die()
    [row] = told(world)
    found = kept.job_of(world.store, row, strict=True)
    assert found.job.env == {"API_TOKEN": "topsecret"}
    (world.folder / "jobs.toml").write_text("[jobs.y]\ncommand = 'true'\n")
    found = kept.job_of(world.store, row, strict=True)
    assert found.job.env == {}
    assert found.remarks


def test_a_command_that_was_mended_in_the_file_is_taken_where_that_is_asked_for(world: World) -> None:
    job = world.job("notify = [{ command = 'one' }, { on = ['failed'], command = 'two' }]\ncommand = 'false'")
    about = {"job": "x", "status": "failed", "place": 1}
    assert updated(job, about).steps[0].command == "two"
    with pytest.raises(JobctlError, match="no such notification any more: on failed"):
        updated(job, {**about, "place": 2})
    with pytest.raises(JobctlError, match="on missed"):
        updated(job, {"job": "x", "status": "missed"})


def test_a_job_without_loads_and_asks_nothing_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "begun", lambda *_: pytest.fail("asked"))
    run = world.run("command = 'false'")
    assert "notifications" not in world.events(run)[-1].data
    assert world.document(run)["notifications"] == []
