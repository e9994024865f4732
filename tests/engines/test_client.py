"""What every engine promises to who asks: `engines/base.py`, `Client`. A row of rows.py is an engine; nothing here
names one, or what it keeps its runs in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from rows import ENGINES, Engine, now

from jobctl.core.errors import JobctlError, KeyConflictError, NotFoundError
from jobctl.core.run.history import replay
from jobctl.engines.base import Client
from jobctl.engines.values import Can, Lack, need
from jobctl.views import documents
from jobctl.views.run import detail

ME = "me"
WAITS = """
[jobs.x]
[[jobs.x.steps]]
name = "ask"
approval = "Ship it?"
[[jobs.x.steps]]
name = "go"
signal = "go"
[[jobs.x.steps]]
name = "end"
command = "echo $JOBCTL_RUN"
"""
UNDONE = """
[jobs.x]
[[jobs.x.steps]]
name = "book"
command = "echo seat=7 >> $JOBCTL_OUTPUT; echo booked"
compensate = "echo gave back"
[[jobs.x.steps]]
name = "pay"
command = "echo no money; exit 9"
retry = { maximum_attempts = 2, initial_interval = "10ms" }
"""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = ENGINES[request.param](tmp_path)
    yield made
    made.close()


def test_a_run_is_recorded_before_anybody_works_and_carried_out_then(engine: Engine) -> None:
    engine.define('[jobs.x]\nparams = { day = "monday" }\ncommand = "echo it is $JOBCTL_PARAM_DAY"\n')
    client = engine.client
    assert client.jobs() == []
    run, new = client.start(engine.job(), {"day": "friday"})
    assert (run.status, run.seq, run.job, run.over, new) == ("queued", 1, "x", False, True)
    assert client.line(run).kind == "executor"
    assert client.reasons(run, now())
    engine.work()
    done = engine.over(run)
    assert (done.status, done.reason, done.holder, done.interrupted) == ("succeeded", None, None, False)
    assert done.finished_at is not None
    assert done.started_at is not None
    assert b"".join(client.log(done, "main", 1)) == b"it is friday\n"
    assert client.state(done).params == {"day": "friday"}
    assert client.jobs() == ["x"]
    assert client.latest("x") == client.find("x") == client.find(done.name)
    assert [one.name for one in client.runs(job="x").found] == [done.name]
    assert client.alive().found == []


def test_what_failed_is_undone_and_its_history_says_how(engine: Engine) -> None:
    engine.define(UNDONE)
    engine.work()
    client = engine.client
    done = engine.over(client.start(engine.job(), {}).run)
    assert done.status == "failed"
    assert done.reason == "step pay: exit code 9"
    events = client.events(done)
    assert len(events) == done.seq
    state = client.state(done)
    assert replay(events).steps.keys() == state.steps.keys()
    assert [attempt.status for attempt in state.steps["pay"].attempts] == ["failed", "failed"]
    assert state.steps["book"].status == "compensated"
    assert [key for key, _ in state.attempts()] == ["book", "pay", "pay", "book!undo"]
    seen = detail(client, done, now())
    assert [step.status for step in seen.steps] == ["compensated", "failed"]
    assert seen.steps[0].outputs == {"seat": "7"}
    document = documents.run_document(seen)
    assert document["steps"][1]["attempts"][1]["exit_code"] == 9
    assert b"".join(client.log(done, "book!undo", 1)) == b"gave back\n"
    again = client.reopen(done, engine.job(), from_step="book", by=ME, queued=True)
    client.wake_workers()
    assert again.seq > done.seq
    assert engine.over(again).status == "failed"
    assert "run_reopened" in engine.types(done)


def test_approvals_and_signals(engine: Engine) -> None:
    engine.define(WAITS)
    engine.work()
    client = engine.client
    run = client.start(engine.job(), {}).run
    engine.waits(run, "approval", "ask")
    with pytest.raises(NotFoundError, match="no step 'aks'"):
        client.answer(client.run(run), "aks", approved=True, by=ME)
    client.answer(client.run(run), None, approved=True, comment="fine", by=ME)
    engine.waits(run, "signal", "go")
    with pytest.raises(JobctlError, match="does not wait for an approval"):
        client.answer(client.run(run), "ask", approved=False, by=ME)
    assert client.signal(client.run(run), "go", {"n": 1}, by=ME) is True
    assert engine.over(run).status == "succeeded"
    answered = [event.data for event in client.events(client.run(run)) if str(event.type) == "approval_answered"]
    assert [(data["approved"], data["by"], data["comment"]) for data in answered] == [(True, ME, "fine")]


def test_a_signal_that_comes_early_is_kept_and_one_that_nobody_waits_for_is_refused(engine: Engine) -> None:
    engine.define('[jobs.x]\n[[jobs.x.steps]]\nname = "go"\nsignal = "go"\n')
    client = engine.client
    run = client.start(engine.job(), {}).run
    with pytest.raises(NotFoundError, match="waits for a signal 'og'"):
        client.signal(run, "og", by=ME)
    client.signal(run, "go", by=ME)
    engine.work()
    assert engine.over(run).status == "succeeded"


@pytest.mark.parametrize(("how", "status"), [("cancel", "canceled"), ("terminate", "terminated")])
def test_a_run_is_ended_once(engine: Engine, how: str, status: str) -> None:
    engine.define('[jobs.x]\ncommand = "sleep 600"\nkill_grace = "100ms"\n')
    engine.work()
    client = engine.client
    run = client.start(engine.job(), {}).run
    engine.until(lambda: client.state(client.run(run)).steps.get("main"), run)
    assert client.held(client.run(run))
    getattr(client, how)(client.run(run), reason="no more", by=ME)
    done = engine.over(run)
    assert (done.status, done.reason) == (status, "no more")
    with pytest.raises(JobctlError, match="is over"):
        getattr(client, how)(done, by=ME)


def test_pause_and_going_on(engine: Engine) -> None:
    engine.define(WAITS)
    engine.work()
    client = engine.client
    run = client.start(engine.job(), {}).run
    engine.waits(run, "approval", "ask")
    assert client.pause(client.run(run), reason="lunch", by=ME).status == "paused"
    client.answer(client.run(run), None, approved=True, by=ME)
    client.signal(client.run(run), "go", by=ME)
    assert client.run(run).over is False
    client.unpause(client.run(run), by=ME)
    assert engine.over(run).status == "succeeded"
    with pytest.raises(JobctlError, match="is not paused"):
        client.unpause(client.run(run), by=ME)


def test_what_waits_for_a_time_goes_on_now(engine: Engine) -> None:
    retry = '{ maximum_attempts = 2, initial_interval = "1h" }'
    engine.define(f'[jobs.x]\ncommand = "test $JOBCTL_ATTEMPT = 2"\nretry = {retry}\n')
    engine.work()
    client = engine.client
    run = client.start(engine.job(), {}).run
    engine.waits(run, "retry", "main")
    assert client.wake(client.run(run), reason="mended", by=ME) == ["main"]
    assert engine.over(run).status == "succeeded"
    with pytest.raises(JobctlError, match="is over"):
        client.wake(client.run(run), by=ME)


def test_a_key_has_one_run(engine: Engine) -> None:
    engine.define('[jobs.x]\nparams = { n = "1" }\ncommand = "true"\n')
    client = engine.client
    first, new = client.start(engine.job(), {"n": "1"}, key="order-7")
    assert new
    assert client.start(engine.job(), {"n": "1"}, key="order-7") == (first, False)
    with pytest.raises(KeyConflictError):
        client.start(engine.job(), {"n": "2"}, key="order-7")
    assert client.state(first).key == "order-7"
    assert client.start(engine.job(), {"n": "2"}, key="order-8").new


def test_a_run_that_nobody_begins_in_time_is_over(engine: Engine) -> None:
    engine.define('[jobs.x]\ncommand = "true"\n')
    run = engine.client.start(engine.job(), {}, start_within=1).run

    def late() -> bool:
        engine.client.end_late()
        return engine.client.run(run).over

    engine.until(late)
    assert engine.client.run(run).status == "canceled"


def test_an_output_is_followed_as_it_grows(engine: Engine) -> None:
    engine.define('[jobs.x]\ncommand = "echo one; until [ -e go ]; do sleep 0.02; done; echo two"\n')
    engine.work()
    client = engine.client
    run = client.start(engine.job(), {}).run
    engine.until(lambda: client.log_at(run, "main", 1).bytes >= 4, run)
    reader = client.follow(run, "main", 1)
    assert reader.read() == b"one\n"
    assert reader.read() == b""
    (engine.folder / "go").touch()
    engine.over(run)
    assert reader.read() == b"two\n"
    assert b"".join(client.log(run, "main", 1, tail=1)) == b"two\n"


def test_schedules(engine: Engine) -> None:
    engine.define('[jobs.x]\nschedule = { every = "1h" }\noverlap = "skip"\ncommand = "sleep 600"\n')
    client, job = engine.client, engine.job()
    first, second = client.coming(job, job.schedules[0], now(), 2)
    assert second - first == 3_600_000
    engine.work()
    engine.until(lambda: client.has_daemon() and client.scheduled_jobs())
    assert [one.job for one in client.armed()] == ["x"]
    assert [daemon.files for daemon in client.daemons()] == [[str(engine.folder / "jobs.toml")]]
    run = client.trigger(job, {}, by=ME)
    assert run.trigger == "schedule"
    engine.until(lambda: client.run(run).started_at is not None, run)
    with pytest.raises(JobctlError, match="no run of x was started"):
        client.trigger(job, {}, by=ME)
    client.pause_schedules("x", at=now(), reason="holiday", by=ME)
    assert {job: (pause.reason, pause.by) for job, pause in client.paused().items()} == {"x": ("holiday", ME)}
    assert client.resume_schedules("x", now=now()) is True
    assert client.resume_schedules("x", now=now()) is False
    client.terminate(client.run(run), by=ME)
    engine.over(run)
    times = [now() - 7_200_000, now() - 3_600_000]
    names = client.backfill(job, {}, times)
    assert [client.find(name).fire_time for name in names] == times


def test_what_an_engine_cannot_do_is_an_error_with_a_way_out(engine: Engine) -> None:
    class Elsewhere:
        lacks: ClassVar[dict[Can, Lack]] = {Can.PRUNE: Lack("they go with the retention", "set it there")}

    client: Client = Elsewhere()  # type: ignore[assignment]
    with pytest.raises(JobctlError, match="retention") as raised:
        need(client, Can.PRUNE)
    assert raised.value.hint == "set it there"
    for can in Can:
        if can not in engine.client.lacks:
            need(engine.client, can)
