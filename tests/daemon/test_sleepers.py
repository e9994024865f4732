"""Runs that only wait: they leave the daemon, and are woken in time or when somebody asks something of them."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from places import DAY, HOUR, MINUTE, Place

import looked
from jobctl.core.model import Queue
from jobctl.core.run.rows import RunRow
from jobctl.core.run.turn import FAR
from jobctl.daemon.log import Journal
from jobctl.daemon.loop import Daemon
from jobctl.daemon.systemd import Notifier
from jobctl.engines.local import control
from jobctl.engines.local.client import LocalClient
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher, rescuer
from jobctl.engines.local.worker.resident import hired
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.store.store import Store

STEP = '[[jobs.x.steps]]\nname = "{}"\n'
NAP = STEP.format("nap") + 'sleep = "{}"\n'
ASK = STEP.format("ask") + 'approval = "go on?"\n'
GO = STEP.format("go") + 'signal = "go"\n'
WORK = STEP.format("work") + 'command = "echo >> worked"\n'


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """Set the wall clock forward by so many milliseconds; what it says then."""
    real, ahead = clock.now, 0

    def pass_(ms: int) -> int:
        nonlocal ahead
        ahead += ms
        return clock.now()

    monkeypatch.setattr(clock, "now", lambda: real() + ahead)
    boot = clock.boottime
    monkeypatch.setattr(clock, "boottime", lambda: boot() + ahead)
    return pass_


def begin(place: Place, text: str) -> RunRow:
    """A run of the job x that the daemon has begun, as far as it goes without waiting for long."""
    place.arm(text if text.startswith("[jobs.x]") else "[jobs.x]\n" + text)
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.dispatch()
    place.until(lambda: not place.engine.attempts_running and row(place).seq > 2)
    return row(place)


def row(place: Place) -> RunRow:
    return place.runs()[-1]


def asleep(place: Place) -> bool:
    now = row(place)
    return not place.engine.runs and (now.status, now.executor) == ("running", None) and now.wake_at is not None


def wake(place: Place) -> None:
    """The daemon's turn: it takes up what is due, and sees it through."""
    assert dispatcher.wake(place.store, place.engine, clock.now()) == []
    for _ in range(3):
        place.engine.turn(2)  # what is due in this instant is due a millisecond later


def worked(place: Place) -> int:
    path = place.folder / "worked"
    return len(path.read_text().splitlines()) if path.exists() else 0


def waiting_for(place: Place) -> object:
    document = looked.run_document(place.store, row(place))
    assert not document["interrupted"]
    return document["waiting_for"]["kind"] if document["waiting_for"] else None


# -- let go ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wakes_in", "waits_for"),
    [
        (NAP.format("30d"), 30 * DAY, "sleep"),
        (WORK + NAP.format("2h"), 2 * HOUR, "sleep"),
        (ASK, None, "approval"),
        (ASK + 'timeout = "3d"\n', 3 * DAY, "approval"),
        (GO, None, "signal"),
        (GO + NAP.format("5h") + "needs = []\n", 5 * HOUR, "sleep"),
        ('timeout = "4h"\n' + GO, 4 * HOUR, "signal"),
        ('timeout = "4h"\n' + NAP.format("2h"), 2 * HOUR, "sleep"),
        (STEP.format("a") + 'command = "false"\nretry = { initial_interval = "10m" }\n', 10 * MINUTE, "retry"),
        (STEP.format("a") + 'command = "false"\n' + NAP.format("2h") + 'when = "always"\n', 2 * HOUR, "sleep"),
    ],
)
def test_a_run_that_only_waits_for_long_is_a_row_and_nobodys(
    place: Place, text: str, wakes_in: int | None, waits_for: str
) -> None:
    before = clock.now()
    begin(place, text)
    assert asleep(place)
    wake_at = row(place).wake_at
    assert wake_at is not None
    if wakes_in is None:
        assert wake_at == FAR
    else:
        assert before + wakes_in <= wake_at <= clock.now() + wakes_in
    assert [values for _, _, values in place.engine._timers if values] == []
    assert not place.engine.busy
    assert waiting_for(place) == waits_for


@pytest.mark.parametrize(
    "text",
    [
        NAP.format("50s"),
        'timeout = "50s"\n' + GO,
        NAP.format("2h") + STEP.format("a") + 'needs = []\ncommand = "sleep 60"\n',
        NAP.format("2h") + STEP.format("a") + 'needs = []\npoll = { interval = "2h" }\ncommand = "false"\n',
        NAP.format("2h")
        + STEP.format("a")
        + 'needs = []\nqueue = "full"\ncommand = "true"\n[queues.full]\nconcurrency = 1\n',
    ],
    ids=["soon", "the run's deadline is soon", "something runs", "a poll", "a place is waited for"],
)
def test_what_goes_on_soon_or_still_runs_stays(place: Place, text: str) -> None:
    place.arm("[jobs.x]\n" + text)
    place.engine.queues = {"full": Queue("full", concurrency=0)}
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.dispatch()
    for _ in range(5):
        place.engine.turn(20)
    assert row(place).wake_at is None
    assert [run.id for run in place.engine.runs.values()] == [row(place).id]


def test_of_a_run_that_is_let_go_or_over_nothing_is_kept(place: Place) -> None:
    begin(place, 'timeout = "30d"\n' + WORK + 'timeout = "9h"\n' + NAP.format("2h"))
    assert asleep(place)
    place.arm("[jobs.x]\ntimeout = '30d'\ncommand = 'true'\nstep_timeout = '9h'")
    for _ in range(120):
        enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    while "queued" in place.statuses():
        place.dispatch()
        place.settle()
    gc.collect()
    assert sum(isinstance(thing, LiveRun) for thing in gc.get_objects()) < 110


def test_a_run_that_a_schedule_begins_with_a_sleep_is_let_go_too(place: Place) -> None:
    place.arm('[jobs.x]\nschedule = { every = "1h" }\n' + NAP.format("2h"))
    place.fire(1_800_003_600_000)
    place.engine.turn(0)
    assert asleep(place)


def test_in_the_foreground_it_stays(place: Place) -> None:
    place.arm("[jobs.x]\n" + NAP.format("2h"))
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    with_terminal = LocalEngine(place.store, Executor(str(place.state), "foreground"), host=Host())
    assert with_terminal.take(row(place).id, place.job(), env_file={}) is not None
    with_terminal.turn(0)
    assert row(place).executor == with_terminal.executor.id
    assert row(place).wake_at is None
    with_terminal.close()


def test_nobody_takes_it_for_lost(place: Place, time: Callable[[int], int]) -> None:
    begin(place, NAP.format("2h"))
    now = time(HOUR)
    assert rescuer.once(place.store, place.engine, now) == []
    rescuer.forget_dead(place.store)
    assert dispatcher.wake(place.store, place.engine, now) == []
    assert asleep(place)


def test_it_gives_its_place_to_others_and_stays_one_of_its_job(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    begin(
        place,
        'queue = "one"\n'
        + NAP.format("2h")
        + "[queues.one]\nconcurrency = 1\n[jobs.y]\nqueue = 'one'\ncommand = 'true'\n",
    )
    place.capacity.set_queues(place.catalog().queues)
    enqueue(place.store, place.job("y"), {}, trigger="manual", host=Host())
    enqueue(place.store, place.job("x"), {}, trigger="schedule", fire_time=0, host=Host())
    place.dispatch()
    place.until(lambda: place.statuses("y") == ["succeeded"])
    place.dispatch()
    assert place.statuses("x") == ["running", "queued"]  # overlap = "skip" lets one of a job go on at a time


# -- woken -----------------------------------------------------------------------------------------------------------


def test_it_is_woken_in_time_and_goes_on(place: Place, time: Callable[[int], int]) -> None:
    begin(place, NAP.format("2h") + WORK)
    assert place.store.next_wake() == row(place).wake_at
    time(2 * HOUR - MINUTE)
    wake(place)
    assert asleep(place)
    time(MINUTE)
    wake(place)
    place.settle()
    assert place.statuses() == ["succeeded"]
    assert worked(place) == 1
    assert place.store.next_wake() is None


def test_it_sleeps_again(place: Place, time: Callable[[int], int]) -> None:
    begin(place, NAP.format("2h") + NAP.format("1d").replace('"nap"', '"again"') + WORK)
    time(2 * HOUR)
    wake(place)
    assert asleep(place)
    assert worked(place) == 0
    time(DAY)
    wake(place)
    place.settle()
    assert worked(place) == 1


@pytest.mark.parametrize(
    ("text", "later", "status"),
    [
        ('timeout = "4h"\n' + GO, 4 * HOUR, "timed_out"),
        ('timeout = "4h"\n' + NAP.format("2h"), 9 * HOUR, "succeeded"),  # the sleep ended first, whenever it is seen
        ('timeout = "2h"\n' + NAP.format("4h"), 9 * HOUR, "timed_out"),
        (ASK + 'timeout = "3h"\n', 3 * HOUR, "failed"),
        (GO + 'timeout = "3h"\non_timeout = "continue"\n', 3 * HOUR, "succeeded"),
        (
            STEP.format("a")
            + 'command = "test -e again || { touch again; false; }"\nretry = { initial_interval = "10m" }\n',
            10 * MINUTE,
            "succeeded",
        ),
    ],
)
def test_whatever_it_waits_for_comes_in_time(
    place: Place, time: Callable[[int], int], text: str, later: int, status: str
) -> None:
    begin(place, text)
    assert asleep(place)
    time(later)
    wake(place)
    place.settle()
    assert place.statuses() == [status]


def signal(store: Store, run: RunRow) -> None:
    control.send_signal(store, run, "go", 5, by="anna", host=Host())


def approve(store: Store, run: RunRow) -> None:
    control.answer(store, run, None, approved=True, comment=None, by="anna", host=Host())


def reject(store: Store, run: RunRow) -> None:
    control.answer(store, run, None, approved=False, comment=None, by="anna", host=Host())


def cancel(store: Store, run: RunRow) -> None:
    control.cancel(store, run, reason=None, by="anna", host=Host())


def terminate(store: Store, run: RunRow) -> None:
    control.terminate(store, run, reason=None, by="anna", host=Host())


@pytest.mark.parametrize(
    ("text", "ask", "status"),
    [
        (GO, signal, "succeeded"),
        (ASK, approve, "succeeded"),
        (ASK, reject, "failed"),
        (NAP.format("30d"), cancel, "canceled"),
        (GO, cancel, "canceled"),
        (NAP.format("30d"), terminate, "terminated"),
    ],
)
@pytest.mark.parametrize("poked", [True, False], ids=["by this daemon", "by the next one"])
def test_it_is_woken_by_what_is_asked_of_it(
    new_place: Callable[..., Place], text: str, ask: Callable[[Store, RunRow], None], status: str, poked: bool
) -> None:
    place = new_place()
    place.store.record_executor()
    begin(place, text)
    assert asleep(place)
    if not poked:
        place.die()
    other = Store(str(place.state))
    (run,) = other.alive()
    assert control.is_held(other, run) is poked
    ask(other, run)
    other.close()
    if poked:
        assert place.engine.turn(0)  # it was poked
    else:
        place = new_place()
    wake(place)
    place.settle()
    assert place.statuses() == [status]


def test_a_signal_that_it_does_not_wait_for_yet_lets_it_sleep_on(place: Place, time: Callable[[int], int]) -> None:
    begin(place, NAP.format("2h") + GO + WORK)
    signal(place.store, row(place))
    wake(place)
    assert asleep(place)
    time(2 * HOUR)
    wake(place)
    place.settle()
    assert worked(place) == 1


def test_paused_it_goes_nowhere_and_sleeps_on_when_it_is_resumed(place: Place, time: Callable[[int], int]) -> None:
    place.store.record_executor()
    begin(place, NAP.format("2h") + WORK)
    control.pause(place.store, row(place), reason=None, by="me", host=Host())
    wake(place)
    assert (row(place).status, row(place).executor) == ("paused", place.engine.executor.id)
    control.unpause(place.store, row(place), by="me", host=Host())
    for _ in range(2):
        place.engine.turn(0)
    assert asleep(place)
    time(2 * HOUR)
    wake(place)
    place.settle()
    assert worked(place) == 1


def test_paused_beyond_its_time_it_goes_on_when_it_is_resumed(place: Place, time: Callable[[int], int]) -> None:
    place.store.record_executor()
    begin(place, NAP.format("2h") + WORK)
    time(2 * HOUR)
    control.pause(place.store, row(place), reason=None, by="me", host=Host())
    wake(place)
    place.until(
        lambda: place.engine.runs and next(iter(place.engine.runs.values())).state.step("nap").status == "succeeded"
    )
    assert (row(place).status, worked(place)) == ("paused", 0)
    control.unpause(place.store, row(place), by="me", host=Host())
    place.settle()
    assert worked(place) == 1


def test_without_a_daemon_anybody_takes_it_up(new_place: Callable[..., Place]) -> None:
    place = new_place()
    begin(place, GO + WORK)
    job = place.job()
    place.die()
    store = Store(str(place.state))
    (run,) = store.alive()
    assert not control.is_held(store, run)
    engine = LocalEngine(store, Executor(str(place.state), "foreground"), host=Host())
    live = engine.take(run.id, job, env_file={})
    assert live is not None
    now = store.run(run.id)
    assert (now.executor, now.wake_at) == (engine.executor.id, None)
    signal(store, now)
    place = new_place()
    assert dispatcher.wake(place.store, place.engine, clock.now() + 99 * DAY) == []
    assert place.engine.runs == {}
    while engine.busy:
        engine.turn(20)
    assert store.run(run.id).status == "succeeded"
    engine.close()
    store.close()


def test_two_daemons_wake_it_once(new_place: Callable[..., Place], time: Callable[[int], int]) -> None:
    first, second = new_place(), new_place()
    begin(first, NAP.format("2h") + WORK)
    now = time(2 * HOUR)
    dispatcher.wake(first.store, first.engine, now)
    dispatcher.wake(second.store, second.engine, now)
    assert (len(first.engine.runs), len(second.engine.runs)) == (1, 0)
    first.settle()
    assert worked(first) == 1


def test_a_daemon_that_dies_while_it_wakes_it_leaves_it_to_the_rescuer(
    new_place: Callable[..., Place], time: Callable[[int], int]
) -> None:
    place = new_place()
    begin(place, NAP.format("2h") + WORK)
    now = time(2 * HOUR)
    dispatcher.wake(place.store, place.engine, now)
    place.die()
    place = new_place()
    assert [what for _, what in rescuer.once(place.store, place.engine, now)] == [rescuer.TAKEN_OVER]
    place.settle()
    assert worked(place) == 1


def test_an_event_of_somebody_else_while_it_is_about_to_be_let_go_is_not_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = place.store.append

    def somebody_is_faster(batches: list[object], *beside: object) -> list[object]:
        if any(batch.wake_at is not None for batch in batches):  # type: ignore[attr-defined]
            monkeypatch.setattr(place.store, "append", append)
            signal(place.store, row(place))
        return append(batches, *beside)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(place.store, "append", somebody_is_faster)
    begin(place, GO + WORK)
    place.settle()
    assert worked(place) == 1


def test_one_that_cannot_go_on_is_looked_at_again_in_a_minute(place: Place, time: Callable[[int], int]) -> None:
    begin(place, NAP.format("2h") + WORK)
    place.store._db.execute("UPDATE definitions SET body = '{'")
    now = time(2 * HOUR)
    ((name, why),) = dispatcher.wake(place.store, place.engine, now)
    assert (name, "cannot be read" in why) == (row(place).name, True)
    assert place.store.next_wake() == now + MINUTE
    assert dispatcher.wake(place.store, place.engine, now) == []


@pytest.mark.parametrize("unreadable", [None, 1, 3])
def test_those_that_wake_together_are_taken_together(
    place: Place, time: Callable[[int], int], unreadable: int | None
) -> None:
    """In one commit; when one of them cannot go on, the others do."""
    for _ in range(5):
        begin(place, NAP.format("2h") + WORK)
    runs = [run.id for run in place.store.alive()]
    if unreadable is not None:
        place.store._db.execute("UPDATE events SET data = '{' WHERE run = ? AND seq = 1", (runs[unreadable],))
    commits: list[int] = []
    place.store._db.set_trace_callback(lambda sql: commits.append(1) if sql == "COMMIT" else None)
    troubles = dispatcher.wake(place.store, place.engine, time(2 * HOUR))
    place.store._db.set_trace_callback(None)
    if unreadable is None:
        assert (troubles, len(commits)) == ([], 1)
    else:
        assert [name for name, _ in troubles] == [place.store.run(runs[unreadable]).name]
    place.settle()
    assert worked(place) == 5 - (unreadable is not None)


def test_waiting_is_said_for_what_it_is(new_place: Callable[..., Place], time: Callable[[int], int]) -> None:
    place = new_place()
    place.store.record_executor()
    begin(place, NAP.format("2h"))
    assert waiting_for(place) == "sleep"
    time(2 * HOUR)
    assert waiting_for(place) == "sleep"  # a daemon is there, and about to
    place.die()
    place = new_place()
    assert waiting_for(place) == "executor"


# -- very many -------------------------------------------------------------------------------------------------------

MANY = 100_000


@pytest.fixture
def crowd(place: Place) -> Place:
    """A store with very many runs that sleep, and one that is over."""
    run = begin(place, NAP.format("2h"))
    with place.store.transaction() as db:
        copied = "job, definition, status, seq, executor, trigger, fire_time, created_at, started_at, priority"
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" INSERT INTO runs (name, wake_at, {copied})"
            f" SELECT printf('x-%06d', i), wake_at + i, {copied} FROM n, runs WHERE id = ?",
            (MANY, run.id),
        )
    return place


def statements(store: Store, what: Callable[[], object]) -> list[str]:
    """The queries of `runs` that something asks, as they were sent."""
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    try:
        what()
    finally:
        store._db.set_trace_callback(None)
    return [sql for sql in seen if sql.startswith(("SELECT", "WITH", "UPDATE")) and " runs " in sql]


def steps(store: Store, what: Callable[[], object]) -> int:
    """How much work SQLite has with something, in hundreds of its instructions: what no busy machine disturbs."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    store._db.set_progress_handler(tick, 100)
    try:
        what()
    finally:
        store._db.set_progress_handler(None, 0)
    return count


def idle(place: Place) -> None:
    """What a daemon does when nothing is to be done, and somebody else wants something of another run."""
    now = clock.now()
    place.store.next_wake()
    dispatcher.wake(place.store, place.engine, now)
    place.dispatch()
    rescuer.once(place.store, place.engine, now)
    rescuer.forget_dead(place.store)
    place.store.seqs(place.engine.executor.id)
    place.store.awake()
    place.store.asleep(20)


def test_very_many_that_sleep_cost_a_daemon_no_work(crowd: Place) -> None:
    assert crowd.store.count_asleep() == MANY + 1
    asked = statements(crowd.store, lambda: idle(crowd))
    assert len(asked) >= 6
    plans = {sql: [row[3] for row in crowd.store._rows("EXPLAIN QUERY PLAN " + sql)] for sql in asked}
    assert {
        sql: plan
        for sql, plan in plans.items()
        if any(" runs" in line and "runs_alive" not in line and "runs_queued" not in line for line in plan)
    } == {}
    assert steps(crowd.store, lambda: idle(crowd)) < 50
    assert not crowd.engine.busy


def test_a_daemon_wakes_up_no_more_often_for_them(crowd: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(
        hired(LocalClient(crowd.store), max_concurrent_runs=10, keeper=None),
        [str(crowd.path)],
        journal=Journal("json", io.StringIO(), host=Host()),
        notifier=Notifier({}),
        host=Host(),
    )
    daemon.start()
    daemon.turn(0)
    stopped = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: stopped)
    waits = daemon.wait_ms()
    assert waits > 0
    monkeypatch.setattr(crowd.store, "next_wake", lambda: None)
    assert daemon.wait_ms() == waits
    daemon.close()


def test_of_very_many_only_those_that_are_due_are_woken(crowd: Place) -> None:
    first = crowd.store.next_wake()
    assert first is not None
    assert [len(crowd.store.due_to_wake(first + late, 50)) for late in (-1, 0, 9)] == [0, 1, 10]
    assert steps(crowd.store, lambda: crowd.store.due_to_wake(first, 50)) <= 1


def test_nothing_is_begun_slower_for_very_many_that_sleep(crowd: Place) -> None:
    crowd.arm("[jobs.x]\ncommand = 'true'\n[jobs.y]\ncommand = 'true'\n")
    enqueue(crowd.store, crowd.job("x"), {}, trigger="schedule", fire_time=0, host=Host())
    enqueue(crowd.store, crowd.job("y"), {}, trigger="schedule", fire_time=0, host=Host())
    assert steps(crowd.store, crowd.dispatch) < 200
    crowd.settle()
    assert crowd.statuses("y") == ["succeeded"]


# -- durable scripts -------------------------------------------------------------------------------------------------

SCRIPT = "command = '''\nset -e\njobctl step work -- sh -c 'echo >> worked'\n{}\n'''\n"


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("on_path")
def test_a_script_that_sleeps_a_month_is_a_row_and_wakes_in_time(place: Place, time: Callable[[int], int]) -> None:
    begin(place, SCRIPT.format("jobctl sleep 30d; jobctl sleep 60d"))
    assert asleep(place)
    assert waiting_for(place) == "sleep"
    time(29 * DAY)
    wake(place)
    assert asleep(place)
    time(DAY)
    wake(place)
    place.until(lambda: asleep(place))
    # By the script's own clock neither sleep is over: that of the daemon counts.
    assert [a.status for a in place.store.state(row(place)).steps["main"].attempts] == ["suspended"] * 2
    time(30 * DAY)
    wake(place)
    place.settle()
    assert place.statuses() == ["succeeded"]
    assert worked(place) == 1


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("early", [True, False])
def test_a_signal_wakes_a_script(place: Place, early: bool) -> None:
    nap = "until [ -e go ]; do sleep 0.01; done; " if early else ""
    place.arm("[jobs.x]\n" + SCRIPT.format(nap + "jobctl wait-signal go --timeout 9d > got"))
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.dispatch()
    if early:
        control.send_signal(place.store, row(place), "go", {"k": 1}, by="anna", host=Host())
        (place.folder / "go").touch()
    else:
        place.until(lambda: asleep(place))
        control.send_signal(place.store, row(place), "go", {"k": 1}, by="anna", host=Host())
        wake(place)
    place.settle()
    assert place.statuses() == ["succeeded"]
    assert (place.folder / "got").read_text() == '{"k": 1}\n'
    assert worked(place) == 1


@pytest.mark.usefixtures("on_path")
def test_a_script_that_sleeps_is_canceled(place: Place) -> None:
    begin(place, SCRIPT.format("jobctl sleep 30d"))
    assert asleep(place)
    control.cancel(place.store, row(place), reason=None, by="anna", host=Host())
    wake(place)
    assert place.statuses() == ["canceled"]


@pytest.mark.usefixtures("on_path")
def test_the_run_s_timeout_passes_while_a_script_sleeps(place: Place, time: Callable[[int], int]) -> None:
    begin(place, "timeout = '2d'\n" + SCRIPT.format("jobctl sleep 30d"))
    assert asleep(place)
    time(2 * DAY)
    wake(place)
    place.settle()
    assert place.statuses() == ["timed_out"]
