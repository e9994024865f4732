"""Durable scripts under an engine: real shell and Python scripts, retried, suspended, killed, taken over."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from worlds import PATIENCE, World

from jobctl.core.run.history import EventType
from jobctl.engines.local import control
from jobctl.engines.local.live import LiveRun
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.process import descent
from jobctl.views.events import describe

BIN = str(Path(sys.executable).parent)


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")


def shell(script: str, keys: str = "") -> str:
    return f"{keys}\ncommand = '''\nset -e\n{script}\n'''\n"


def python(script: str, keys: str = "") -> str:
    return f"{keys}\ncommand = ['{sys.executable}', '-c', '''\nimport jobctl, os\n{script}\n''']\n"


RETRY = 'retry = { maximum_attempts = 3, initial_interval = "10ms" }'


def suspended(world: World, run: LiveRun, times: int = 1) -> None:
    world.until(lambda: run.state.step("main").suspensions >= times and run.state.step("main").waiting is not None)


def attempts(run: LiveRun) -> list[str]:
    return [attempt.status for attempt in run.state.step("main").attempts]


def send(world: World, run: LiveRun, payload: object = None, name: str = "go") -> None:
    control.send_signal(world.store, world.row(run), name, payload, by="anna", host=Host())


# -- steps -----------------------------------------------------------------------------------------------------------


def test_what_is_finished_is_not_done_again_by_the_next_attempt(world: World) -> None:
    script = """
        for i in 1 2 3; do x=$(jobctl step part -- sh -c "echo $i >> done; echo out $i; echo err >&2")
            echo "<$x>"; done
        [ $JOBCTL_ATTEMPT = 3 ]
    """
    run = world.run(shell(script, RETRY))
    assert run.state.status == "succeeded"
    assert world.read("done") == "1\n2\n3\n"
    assert world.log(run, number=1) == "err\n<out 1>\nerr\n<out 2>\nerr\n<out 3>\n"
    assert world.log(run, number=3) == "<out 1>\n<out 2>\n<out 3>\n"


@pytest.mark.parametrize(
    "data", [b"", b"a", b"a\n\nb", b"\xff\x00\xfe\n", "ü\U0001f600\u2028\n".encode(), b'"\\\r\x1b']
)
def test_output_comes_back_byte_for_byte(world: World, data: bytes) -> None:
    (world.folder / "data").write_bytes(data)
    run = world.run(shell("jobctl step x -- cat data > got.$JOBCTL_ATTEMPT; [ $JOBCTL_ATTEMPT = 2 ]", RETRY))
    assert run.state.status == "succeeded"
    assert [(world.folder / f"got.{n}").read_bytes() for n in (1, 2)] == [data, data]


@pytest.mark.parametrize(
    ("script", "done", "statuses"),
    [
        # What was the last thing is done again: under set -e a script can be retried.
        ("jobctl step a -- sh -c 'echo a >> done; [ -e go ] || { touch go; exit 7; }'", "aa", ["failed", "succeeded"]),
        # What the script went on after is final.
        (
            "jobctl step a -- sh -c 'echo a >> done; exit 7' || echo $? >> done; jobctl step b -- true;"
            " [ $JOBCTL_ATTEMPT = 2 ]",
            "a77",
            ["failed", "succeeded"],
        ),
        # Also when what it went on with did not end.
        (
            "jobctl step a -- sh -c 'echo a >> done; exit 7' || echo $? >> done;"
            " jobctl step b -- sh -c '[ -e go ] || { touch go; kill -9 $PPID; }'",
            "a77",
            ["failed", "succeeded"],
        ),
        (
            "jobctl step a -- sh -c 'echo a >> done; exit 7' || echo $? >> done; jobctl sleep 1ms;"
            " [ $JOBCTL_ATTEMPT = 3 ]",
            "a777",
            None,
        ),
        # What was killed has no result, and nothing can follow it in this attempt.
        (
            "jobctl step a -- sh -c 'echo a >> done; [ -e go ] || { touch go; kill -9 $PPID; }' || true;"
            " jobctl step b -- sh -c 'echo b >> done'",
            "aab",
            ["failed", "succeeded"],
        ),
        # Also when the script does not care.
        (
            "jobctl step a -- sh -c 'echo a >> done; [ -e go ] || { touch go; kill -9 $PPID; }';"
            " jobctl step b -- sh -c 'echo b >> done'; true",
            "aab",
            ["failed", "succeeded"],
        ),
        # Its output was not passed on: it is recorded all the same.
        (
            "jobctl step a -- sh -c 'echo a >> done; echo x' > /dev/full || echo $? >> done; jobctl step b -- true;"
            " [ $JOBCTL_ATTEMPT = 2 ]",
            "a11",
            ["failed", "succeeded"],
        ),
        ("jobctl step a -- no-such-command || echo $? >> done; jobctl step b -- true", "127", ["succeeded"]),
        ("jobctl step a -- /etc/passwd || echo $? >> done; jobctl step b -- true", "126", ["succeeded"]),
        ("jobctl step a -- sh -c 'kill -9 $$' || echo $? >> done; jobctl step b -- true", "137", ["succeeded"]),
        ("jobctl step a -- sh -c 'sleep 60 & echo a >> done'; jobctl step b -- true", "a", ["succeeded"]),
    ],
)
def test_failures(world: World, script: str, done: str, statuses: list[str] | None) -> None:
    run = world.run(shell(script, RETRY))
    assert world.read("done").replace("\n", "") == done
    if statuses is not None:
        assert attempts(run) == statuses
    assert run.state.status == "succeeded"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            "jobctl step $([ $JOBCTL_ATTEMPT = 1 ] && echo a || echo b) -- sh -c 'echo x >> done'; false",
            "the script asked for step 'b' where the attempt before it did step 'a' (call 1)",
        ),
        (
            "jobctl step x -- sh -c 'echo x >> done'; [ $JOBCTL_ATTEMPT = 1 ] || jobctl sleep 1d;"
            " jobctl step y -- true; false",
            "the script asked for a sleep where the attempt before it did step 'y' (call 2)",
        ),
        (
            "jobctl step a -- sh -c 'echo x >> done; until [ -e go ]; do sleep 0.01; done' &"
            " until [ -e done ]; do sleep 0.01; done; jobctl step b -- true || touch go; wait; false",
            "was under way",
        ),
        ("jobctl step a -- sh -c 'echo x >> done; jobctl step b -- true'; false", "was under way"),
        ("echo x >> done; jobctl step '' -- true; false", "is no name for a step"),
        ("echo x >> done; jobctl wait-signal '' || true; false", "is no name for a step or a signal"),
        ("jobctl step a -- sh -c 'echo x >> done; yes | head -c 2000000'; false", "wrote more than 1048576 bytes"),
        # A script that does not care has not succeeded either.
        (
            "jobctl step $([ $JOBCTL_ATTEMPT = 1 ] && echo a || echo b) -- sh -c 'echo x >> done';"
            " jobctl step c -- true; [ $JOBCTL_ATTEMPT = 2 ]",
            "the script asked for step 'b' where the attempt before it did step 'a' (call 1)",
        ),
        ("jobctl step a -- sh -c 'echo x >> done; yes' | head -1; true", "wrote more than 1048576 bytes"),
        ("jobctl step a -- sh -c 'echo x >> done; jobctl step b -- true'; true", "was under way"),
    ],
)
def test_what_another_attempt_would_do_just_the_same_is_said_and_not_retried(
    world: World, script: str, error: str
) -> None:
    run = world.run(shell(script, RETRY))
    assert run.state.status == "failed"
    assert error in str(run.state.step("main").error)
    assert world.read("done") == "x\n"
    assert attempts(run)[-1] == "failed"
    assert len(attempts(run)) <= 2


def test_after_a_change_it_starts_anew_from_its_step(world: World) -> None:
    script = "echo $JOBCTL_ATTEMPT > n; jobctl step {} -- sh -c 'echo {} >> done'; [ -e go ]"
    run = world.run(shell(script.format("a", "a"), ""))
    changed = shell(script.format("b", "b"), "")
    run = world.again(run, updated=changed)
    assert "asked for step 'b' where" in str(run.state.step("main").error)
    (world.folder / "go").touch()
    run = world.again(run, from_step="main", updated=changed)
    assert run.state.status == "succeeded"
    assert world.read("done") == "a\nb\n"


def test_a_resumed_run_goes_on_with_the_record_of_what_did_not_finish(world: World) -> None:
    run = world.run(shell("jobctl step a -- sh -c 'echo a >> done'; [ -e go ]"))
    (world.folder / "go").touch()
    run = world.again(run)
    assert (run.state.status, world.read("done")) == ("succeeded", "a\n")
    run = world.again(run, from_step="main")
    assert (run.state.status, world.read("done")) == ("succeeded", "a\na\n")


def test_a_line_that_was_not_written_whole_is_none(world: World) -> None:
    run = world.run(
        shell("jobctl step a -- sh -c 'echo a >> done'; jobctl step b -- sh -c 'echo b >> done'; [ -e go ]")
    )
    journal = Path(world.state, "runs", run.name, "main.1.journal")
    journal.write_bytes(journal.read_bytes()[:-20])
    (world.folder / "go").touch()
    run = world.again(run)
    assert (run.state.status, world.read("done")) == ("succeeded", "a\nb\nb\n")
    assert journal.read_bytes().count(b"\n") == 2


def test_a_damaged_record_is_an_error(world: World) -> None:
    run = world.run(shell("jobctl step a -- sh -c 'echo a >> done'; false"))
    Path(world.state, "runs", run.name, "main.1.journal").write_text('{"n":0,"kind":[]}\n')
    run = world.again(run)
    assert "the script's record is damaged" in str(run.state.step("main").error)
    assert world.read("done") == "a\n"


# -- sleeps and signals ----------------------------------------------------------------------------------------------


def test_a_sleeping_script_is_no_process_and_goes_on_from_where_it_was(world: World) -> None:
    run = world.start(
        shell(
            "jobctl step a -- sh -c 'echo a >> done'; jobctl output k=v; jobctl sleep 500ms; echo after >> done;"
            " jobctl sleep-until 2020-01-01T00:00:00Z; jobctl step b -- sh -c 'echo b >> done'"
        )
    )
    suspended(world, run)
    assert world.alive(run) == []
    document = world.step(run)
    assert (document["status"], document["waiting"]["kind"], document["outputs"]) == ("waiting", "sleep", {"k": "v"})
    assert world.document(run)["waiting_for"]["kind"] == "sleep"
    world.finish(run)
    assert attempts(run) == ["suspended", "succeeded"]
    assert world.read("done") == "a\nafter\nb\n"
    (fired,) = world.events(run, EventType.TIMER_FIRED)
    assert fired.at >= world.events(run, EventType.ATTEMPT_ENDED)[0].data["wait"]["until"]
    assert any("attempt 1 suspended until" in describe(event) for event in world.events(run))


@pytest.mark.parametrize("payload", [None, 7, "text", {"k": ["ü", None]}, False])
def test_a_signal_s_payload_is_printed_again_by_each_attempt(world: World, payload: object) -> None:
    run = world.start(shell("jobctl wait-signal go > got; cat got; [ $JOBCTL_ATTEMPT = 3 ]", RETRY))
    suspended(world, run)
    send(world, run, payload)
    world.finish(run)
    assert attempts(run) == ["suspended", "failed", "succeeded"]
    assert world.log(run, number=2) == world.log(run, number=3)
    import json

    assert json.loads(world.read("got")) == payload
    assert run.state.untaken == {}


def test_early_signals_are_taken_in_their_order_one_by_each_wait(world: World) -> None:
    run = world.start(shell("until [ -e go ]; do sleep 0.01; done; for i in 1 2 3; do jobctl wait-signal go; done"))
    for payload in (1, 2, 3):
        send(world, run, payload)
    (world.folder / "go").touch()
    world.finish(run)
    assert world.log(run, number=4) == "1\n2\n3\n"


def test_a_signal_that_does_not_come_in_time_is_exit_code_124(world: World) -> None:
    run = world.run(shell("jobctl wait-signal go --timeout 50ms || echo $? > code; jobctl sleep 1ms"))
    assert (run.state.status, world.read("code")) == ("succeeded", "124\n")


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; jobctl sleep 200ms; echo end >> done",  # it hears nothing
        "trap 'echo asked >> done; exit 0' TERM; jobctl sleep 200ms; trap - TERM; echo end >> done",
        "sleep 600 & jobctl sleep 200ms; kill $!; echo end >> done",
        "setsid sh -c 'trap \"\" TERM; sleep 600' & jobctl sleep 200ms; kill $!; echo end >> done",
        "jobctl sleep 200ms | cat; echo end >> done",
        "x=$(jobctl sleep 200ms); echo end >> done",
        "(jobctl sleep 200ms) || true; echo end >> done",
        "setsid -w jobctl sleep 200ms || true; echo end >> done",
    ],
)
def test_nothing_of_the_script_outlives_its_suspension(world: World, script: str) -> None:
    run = world.start(shell(script))
    suspended(world, run)
    assert world.alive(run) == []
    assert "end" not in world.read("done")
    world.finish(run)
    assert attempts(run) == ["suspended", "succeeded"]
    assert world.read("done").count("end") == 1


def test_it_sleeps_no_longer_than_its_step_may_take(world: World) -> None:
    run = world.run(shell("jobctl sleep 1d", 'step_timeout = { schedule_to_close = "4s" }'))
    assert (run.state.status, attempts(run)) == ("failed", ["suspended"])
    assert run.state.step("main").status == "timed_out"
    assert "schedule_to_close has passed" in str(run.state.step("main").error)


@pytest.mark.parametrize(
    ("kind", "status"), [(EventType.CANCEL_REQUESTED, "canceled"), (EventType.TERMINATE_REQUESTED, "terminated")]
)
def test_it_is_canceled_while_it_is_suspended(world: World, kind: EventType, status: str) -> None:
    keys = '[[jobs.x.steps]]\nname = "main"\ncompensate = "echo $JOBCTL_OUTPUT_K >> undone"'
    run = world.start(shell("jobctl output k=v; jobctl sleep 1d", keys))
    suspended(world, run)
    world.engine.request(run, kind, reason="why", by="me")
    world.finish(run)
    assert run.state.status == status
    assert world.read("undone") == ("v\n" if status == "canceled" else "")


def test_a_cancel_while_it_ends_itself_is_a_cancel(world: World) -> None:
    run = world.start(shell("trap '' TERM; touch here; jobctl sleep 1d", 'kill_grace = "100ms"'))
    world.until(lambda: Path(world.state, "runs", run.name, "main.1.suspend").exists())
    world.engine.request(run, EventType.CANCEL_REQUESTED, reason="why", by="me")
    world.finish(run)
    assert (run.state.status, attempts(run)) == ("canceled", ["canceled"])


def test_nothing_starts_while_the_run_is_paused(world: World) -> None:
    run = world.start(shell("jobctl wait-signal go"))
    suspended(world, run)
    control.pause(world.store, world.row(run), reason=None, by="me", host=Host())
    send(world, run)
    world.until(lambda: world.events(run, EventType.WAIT_ENDED))
    assert attempts(run) == ["suspended"]
    control.unpause(world.store, world.row(run), by="me", host=Host())
    world.finish(run)
    assert (run.state.status, attempts(run)) == ("succeeded", ["suspended", "succeeded"])


@pytest.mark.parametrize(
    "keys",
    ['[[jobs.x.steps]]\nname = "main"\npoll = { interval = "10ms" }', RETRY],
    ids=["poll", "compensation"],
)
def test_where_it_cannot_be_suspended_that_is_said(world: World, keys: str) -> None:
    if "poll" in keys:
        run = world.run(shell("jobctl sleep 1d", keys))
        error = str(run.state.step("main").error)
    else:
        run = world.run(shell("false", '[[jobs.x.steps]]\nname = "main"\ncompensate = "jobctl wait-signal go"'))
        error = str(run.state.undo["main"].error)
    assert "cannot be used in a compensation or in the command of a poll" in error
    assert run.state.status == "failed"


def test_a_part_of_a_poll_is_done_once(world: World) -> None:
    keys = '[[jobs.x.steps]]\nname = "main"\npoll = { interval = "10ms" }'
    run = world.run(shell("jobctl step a -- sh -c 'echo a >> done'; echo . >> asked; [ $(wc -l < asked) = 3 ]", keys))
    assert (run.state.status, world.read("done"), attempts(run)) == ("succeeded", "a\n", ["succeeded"])


def test_a_part_of_a_compensation_is_done_once(world: World) -> None:
    undo = "jobctl step a -- sh -c 'echo a >> done'; [ $JOBCTL_ATTEMPT = 2 ]"
    keys = f'[[jobs.x.steps]]\nname = "main"\ncompensate = """{undo}"""'
    run = world.run(shell("false", keys))
    assert (run.state.undo["main"].status, world.read("done")) == ("succeeded", "a\n")


# -- crashes ---------------------------------------------------------------------------------------------------------

LONG = """
    jobctl step a -- sh -c 'echo a >> done'
    touch in-a; until [ -e go ]; do sleep 0.01; done
    jobctl sleep 100ms
    jobctl step b -- sh -c 'echo b >> done; touch in-b; until [ -e on ]; do sleep 0.01; done'
    jobctl wait-signal go
    jobctl step c -- sh -c 'echo c >> done'
"""


def gone(world: World, run: LiveRun) -> None:
    deadline = time.monotonic() + PATIENCE
    while world.alive(run):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_taken_over_at_every_stage(world: World) -> None:
    run = world.start(shell(LONG))
    world.until(lambda: (world.folder / "in-a").exists())
    world.die()  # while it runs; it suspends itself when nobody looks
    (world.folder / "go").touch()
    gone(world, run)
    run = world.take(run)
    world.until(lambda: run.state.step("main").suspensions)
    world.die()  # while it sleeps
    run = world.take(run)
    world.until(lambda: (world.folder / "in-b").exists())
    world.die()
    run = world.take(run)  # adopted
    (world.folder / "on").touch()
    suspended(world, run, 2)
    world.die()
    send(world, run, 5)  # while nobody has it
    world.finish(world.take(run))
    row = world.row(run)
    assert row.status == "succeeded"
    assert world.read("done") == "a\nb\nc\n"
    ended = world.events(run, EventType.ATTEMPT_ENDED)
    assert [event.data.get("status") for event in ended] == ["suspended", "suspended", None]


@pytest.mark.parametrize(("stage", "done"), [("in-a", "a\nb\nc\n"), ("in-b", "a\nb\nb\nc\n")])
@pytest.mark.parametrize("victims", ["first", "all"])
def test_a_killed_script_costs_no_more_than_what_was_under_way(
    world: World, stage: str, done: str, victims: str
) -> None:
    if stage == "in-b":
        (world.folder / "go").touch()
    run = world.start(shell(LONG, RETRY))
    world.until(lambda: (world.folder / stage).exists())
    number = len(run.state.step("main").attempts)
    for pid in [world.process(run, number=number)] if victims == "first" else world.alive(run):
        with suppress(ProcessLookupError):  # its parent was the one before
            os.kill(descent.checked(pid), signal.SIGKILL)
    world.until(lambda: "failed" in attempts(run))
    (world.folder / "go").touch()
    (world.folder / "on").touch()
    suspended(world, run, 2)
    send(world, run)
    world.finish(run)
    assert (run.state.status, world.read("done")) == ("succeeded", done)


def test_a_keeper_that_is_killed_after_its_script_has_said_what_it_waits_for(world: World) -> None:
    run = world.start(shell("trap '' TERM; jobctl sleep 3s; echo end", ""))
    world.until(lambda: Path(world.state, "runs", run.name, "main.1.suspend").exists())
    world.process(run)
    os.kill(world.keeper(), signal.SIGKILL)
    suspended(world, run)
    assert world.alive(run) == []
    world.finish(run)
    assert attempts(run) == ["suspended", "succeeded"]


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"kind":"sleep","call":0}', '{"kind":"signal","call":0,"until":1}'])
def test_a_suspend_file_that_says_nothing_is_a_failure(world: World, text: str) -> None:
    run = world.run(shell(f"echo '{text}' > ${{JOBCTL_OUTPUT%.output}}.suspend"))
    assert run.state.status == "failed"
    assert "the suspend file" in str(run.state.step("main").error)


# -- Python ----------------------------------------------------------------------------------------------------------


def test_a_python_script(world: World) -> None:
    run = world.start(
        python(
            """
def part(n, more=0):
    print("part", n, file=open("done", "a"))
    return {"n": n, "t": (n, more)}

first = jobctl.step("part", part, 1, more=2)
assert first == {"n": 1, "t": [1, 2]}
jobctl.heartbeat(7)
try:
    print("before", jobctl.cursor())
    jobctl.sleep(0.1)
finally:
    print("finally")
jobctl.sleep_until("2020-01-01T00:00:00Z")
try:
    jobctl.step("bad", lambda: 1 / 0)
except jobctl.StepFailed as error:
    print(error)
got = jobctl.wait_signal("go")
try:
    jobctl.wait_signal("go", timeout="50ms")
except TimeoutError as error:
    print(error)
jobctl.output(got=got, text="two\\nlines")
"""
        )
    )
    suspended(world, run, 2)
    send(world, run, {"k": 1})
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.read("done") == "part 1\n"
    assert world.log(run, number=1) == "before None\n"
    assert world.log(run, number=4) == (
        "before 7\nfinally\nstep 'bad': ZeroDivisionError: division by zero\nthe signal go did not come in time\n"
    )
    assert world.step(run)["outputs"] == {"got": "{'k': 1}", "text": "two\nlines"}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("jobctl.step('a', object)", "step 'a' returned what is no JSON"),
        ("jobctl.step('a', float, 'nan')", "step 'a' returned what is no JSON"),
        ("try: jobctl.step('a', object)\nexcept Exception: pass", "step 'a' returned what is no JSON"),
        ("jobctl.wait_signal('')", "'' is no name for a step or a signal"),
        ("jobctl.step('a', lambda: 'x' * 2000000)", "returned more than 1048576 bytes"),
        ("jobctl.step('a', lambda: jobctl.step('b', int))", "was under way"),
        ("jobctl.fail('no such user', non_retryable=True, type='user')", "no such user"),
        ("jobctl.step('a' if os.environ['JOBCTL_ATTEMPT'] == '1' else 'b', int); exit(1)", "asked for step 'b'"),
    ],
)
def test_what_a_python_script_must_not(world: World, script: str, error: str) -> None:
    run = world.run(python(script, RETRY))
    assert run.state.status == "failed"
    assert error in str(run.state.step("main").error)
    assert len(attempts(run)) <= 2


def test_a_function_that_raises_is_run_again_when_it_was_the_last_thing(world: World) -> None:
    run = world.run(
        python(
            "def part():\n    print('x', file=open('done', 'a'))\n"
            "    return 1 // (int(os.environ['JOBCTL_ATTEMPT']) - 1)\n"
            "print(jobctl.step('part', part))",
            RETRY,
        )
    )
    assert (run.state.status, world.read("done"), world.log(run, number=2)) == ("succeeded", "x\nx\n", "1\n")


def test_a_script_in_threads_ends_as_a_whole(world: World) -> None:
    run = world.start(
        python(
            "import threading, time\n"
            "t = threading.Thread(target=lambda: jobctl.sleep(0.2)); t.start(); t.join(); print('end', flush=True)"
        )
    )
    suspended(world, run)
    world.finish(run)
    assert (attempts(run), world.log(run, number=2)) == (["suspended", "succeeded"], "end\n")


# -- conveniences ----------------------------------------------------------------------------------------------------


def test_what_a_command_says_of_itself(world: World) -> None:
    run = world.run(
        shell(
            "jobctl heartbeat 5; jobctl heartbeat; jobctl output a=1 'b=x=y'; printf 'END\\nx\\n' | jobctl output c -;"
            " if [ $JOBCTL_ATTEMPT = 1 ]; then jobctl fail --retry-delay 1ms --type net 'no network'; fi;"
            " echo $JOBCTL_CURSOR",
            RETRY,
        )
    )
    assert run.state.status == "succeeded"
    assert world.step(run)["outputs"] == {"a": "1", "b": "x=y", "c": "END\nx"}
    (first, _) = world.events(run, EventType.ATTEMPT_ENDED)
    assert (first.data["error"], first.data["error_type"], first.data["retry_at"] - first.at) == (
        "no network",
        "net",
        1,
    )
    assert world.log(run, number=2) == "5\n"


def test_a_sleep_that_is_due_by_the_executor_s_clock_is_over_whatever_the_script_s_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.start(shell("jobctl sleep 30d; jobctl step a -- sh -c 'echo a >> done'"))
    suspended(world, run)
    world.die()
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + 31 * 86_400_000)
    boot = clock.boottime
    monkeypatch.setattr(clock, "boottime", lambda: boot() + 31 * 86_400_000)
    world.finish(world.take(run))
    assert (world.row(run).status, world.read("done")) == ("succeeded", "a\n")
