"""What an engine makes of sleeps, signals, approvals and polls. What follows from what: core/test_decide.py."""

from __future__ import annotations

import time

import pytest
from worlds import PATIENCE, World, statuses

from jobctl.core.errors import JobctlError, NotFoundError, UsageError
from jobctl.core.run.history import EventType
from jobctl.core.text import rfc3339
from jobctl.engines.local import control
from jobctl.engines.local.live import LiveRun
from jobctl.host import clock
from jobctl.host.host import Host

HOUR = 3_600_000


def waits(world: World, run: LiveRun, *names: str) -> None:
    """Turn the engine until these steps wait."""
    world.until(lambda: all(run.state.step(name).waiting is not None for name in names))


def send(world: World, run: LiveRun, name: str = "go", payload: object = None) -> None:
    control.send_signal(world.store, world.row(run), name, payload, by="anna", host=Host())


def answer(world: World, run: LiveRun, *, approved: bool, step: str | None = None, comment: str | None = None) -> None:
    control.answer(world.store, world.row(run), step, approved=approved, comment=comment, by="anna", host=Host())


def gone(world: World, run: LiveRun) -> None:
    """Wait until no process of the run is left."""
    deadline = time.monotonic() + PATIENCE
    while world.alive(run):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kinds(world: World, run: LiveRun) -> list[str]:
    return [str(event.type) for event in world.events(run)]


# -- sleeps ----------------------------------------------------------------------------------------------------------

FIRST = """
[[jobs.x.steps]]
name = "a"
command = '''{}'''
[[jobs.x.steps]]
name = "nap"
"""


def test_a_sleep_lasts_as_long_as_it_says_and_nothing_runs_meanwhile(world: World) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "nap"\nsleep = "150ms"\n[[jobs.x.steps]]\nname = "b"\ncommand = "true"')
    waits(world, run, "nap")
    assert run.attempts == {}
    world.finish(run)
    assert statuses(world.document(run)) == {"nap": "succeeded", "b": "succeeded"}
    (begun,) = world.events(run, EventType.WAIT_STARTED)
    (fired,) = world.events(run, EventType.TIMER_FIRED)
    assert begun.data == {"kind": "sleep", "until": begun.at + 150, "clock": begun.data["clock"]}
    assert fired.at >= begun.data["until"]
    assert world.store._rows("SELECT step FROM attempts WHERE run = ?", run.id) == [("b",)]


@pytest.mark.parametrize(
    "text",
    [
        'sleep_until = "2020-01-01T00:00:00Z"',
        'sleep_until = "{{ params.at }}"',
        'sleep_until = "{{ steps.a.outputs.at }}"',
        'sleep_until = "{{ steps.a.stdout }}"',
    ],
)
def test_a_time_that_has_passed_is_slept_until_at_once(world: World, text: str) -> None:
    first = FIRST.format('echo "at=2020-01-01T02:00:00+02:00" > $JOBCTL_OUTPUT; echo x; echo 2020-01-01T00:00:00Z')
    run = world.run('params = { at = "2020-01-01T00:00:00Z" }\n' + first + text)
    assert run.state.status == "succeeded"
    (begun,) = world.events(run, EventType.WAIT_STARTED)
    assert begun.data["until"] == 1_577_836_800_000


def test_a_time_to_come_is_waited_for(world: World) -> None:
    at = clock.now() + 300
    run = world.run(
        FIRST.format("true") + 'sleep_until = "{{ params.at }}"\n[jobs.x.params]\nat = ""', {"at": rfc3339(at)}
    )
    assert run.state.status == "succeeded"
    assert world.events(run, EventType.WAIT_STARTED)[0].data["until"] == at
    assert world.events(run, EventType.TIMER_FIRED)[0].at >= at


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("tomorrow", "sleep_until is 'tomorrow', which is no time like"),
        ("", "sleep_until is ''"),
        ("2026-12-24", "sleep_until is '2026-12-24'"),
        ("2026-12-24T18:00:00", "which is no time like 2026-12-24T18:00:00+01:00"),
        ("2026-02-30T00:00:00Z", "which is no time"),
        ("9999-12-31T00:00:00Z", "which is no time"),
    ],
)
def test_what_is_no_time_fails_the_step_with_a_sentence(world: World, value: str, says: str) -> None:
    run = world.run(FIRST.format("true") + 'sleep_until = "{{ params.at }}"\n[jobs.x.params]\nat = ""', {"at": value})
    assert run.state.status == "failed"
    assert says in world.step(run, "nap")["error"]


def test_a_reference_without_a_value_fails_the_step(world: World) -> None:
    run = world.run(FIRST.format("true") + 'sleep_until = "{{ steps.a.outputs.at }}"')
    assert world.step(run, "nap")["status"] == "failed"
    assert "step a wrote no output 'at'" in world.step(run, "nap")["error"]


# -- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ['sleep = "10ms"', 'signal = "go"', 'approval = "go on?"'])
def test_a_condition_that_says_no_skips_the_wait(world: World, what: str) -> None:
    run = world.run(
        f'[[jobs.x.steps]]\nname = "a"\nonly_if = "exit 1"\n{what}\n[[jobs.x.steps]]\nname = "b"\ncommand = "true"'
    )
    assert statuses(world.document(run)) == {"a": "skipped", "b": "succeeded"}
    assert world.events(run, EventType.WAIT_STARTED) == []


def test_a_condition_that_says_yes_is_asked_once_and_then_the_wait_begins(world: World) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "a"\nonly_if = "echo asked >> asked"\nsignal = "go"')
    waits(world, run, "a")
    world.die()
    world.take(run)
    send(world, run)
    run = next(iter(world.engine.runs.values()))
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.read("asked") == "asked\n"


def test_a_condition_that_cannot_be_asked_fails_the_step(world: World) -> None:
    run = world.run('[[jobs.x.steps]]\nname = "a"\nonly_if = "exit 7"\nsignal = "go"')
    assert run.state.status == "failed"
    assert "only_if" in world.step(run, "a")["error"]


def test_a_condition_that_ended_while_nobody_looked(world: World) -> None:
    run = world.start(
        '[[jobs.x.steps]]\nname = "a"\nsleep = "10ms"\n'
        'only_if = "echo asked >> asked; until [ -e go ]; do sleep 0.01; done"'
    )
    world.until(lambda: world.read("asked"))
    world.die()
    (world.folder / "go").touch()
    gone(world, run)
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert world.read("asked") == "asked\n"


def test_a_condition_that_says_yes_in_a_run_that_stops_begins_no_wait(world: World) -> None:
    run = world.start(
        'max_parallel_steps = 2\n[[jobs.x.steps]]\nname = "a"\nneeds = []\nsleep = "1h"\n'
        'only_if = "until [ -e go ]; do sleep 0.01; done"\n'
        '[[jobs.x.steps]]\nname = "b"\nneeds = []\ncommand = "exit 3"'
    )
    world.until(lambda: run.state.step("b").status == "failed")
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "failed"
    assert world.step(run, "a")["status"] == "canceled"


# -- signals ---------------------------------------------------------------------------------------------------------

GO = '[[jobs.x.steps]]\nname = "a"\nsignal = "go"\n'


@pytest.mark.parametrize(
    ("payload", "outputs"),
    [
        (None, {}),
        ({"amount": 5, "who": "anna"}, {"amount": 5, "who": "anna"}),
        ("text", {"value": "text"}),
        ([1, {"k": None}], {"value": [1, {"k": None}]}),
        (0, {"value": 0}),
        (False, {"value": False}),
        ({"ключ": "\u2028\x00"}, {"ключ": "\u2028\x00"}),
    ],
)
def test_a_payload_becomes_the_outputs(world: World, payload: object, outputs: object) -> None:
    run = world.start(GO)
    waits(world, run, "a")
    send(world, run, payload=payload)
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.step(run, "a")["outputs"] == outputs


def test_a_payload_is_handed_on(world: World) -> None:
    run = world.start(
        GO + "compensate = 'env | grep ^JOBCTL_OUTPUT_ | sort > undo'\n[[jobs.x.steps]]\nname = \"b\"\n"
        'command = ["sh", "-c", "echo $0 $1 > got; exit 1",'
        ' "{{ steps.a.outputs.amount }}", "{{ steps.a.outputs.list }}"]'
    )
    waits(world, run, "a")
    send(world, run, payload={"amount": 5, "list": [1, "x"], "no=variable": 1, "nul\0": 1, "nul": "\0", "of-two": "w"})
    world.finish(run)
    assert world.read("got") == '5 [1,"x"]\n'
    # What no variable can hold is left out: the undo runs all the same.
    lines = world.read("undo").splitlines()
    assert lines == ["JOBCTL_OUTPUT_AMOUNT=5", 'JOBCTL_OUTPUT_LIST=[1,"x"]', "JOBCTL_OUTPUT_OF_TWO=w"]


def test_a_value_that_no_command_can_be_given_fails_the_step_that_names_it(world: World) -> None:
    run = world.start(GO + '[[jobs.x.steps]]\nname = "b"\ncommand = ["echo", "{{ steps.a.outputs.value }}"]')
    waits(world, run, "a")
    send(world, run, payload="nul\0")
    world.finish(run)
    assert "could not be started" in world.step(run, "b")["error"]


@pytest.mark.parametrize("payload", [float("nan"), {"x": float("inf")}, "\ud800", "x" * 1_100_000])
def test_a_payload_that_cannot_be_kept_is_refused(world: World, payload: object) -> None:
    run = world.start(GO)
    waits(world, run, "a")
    with pytest.raises(UsageError) as error:
        send(world, run, payload=payload)
    assert error.value.hint
    assert world.events(run, EventType.SIGNAL_RECEIVED) == []


def test_a_payload_without_end_is_refused(world: World) -> None:
    run = world.start(GO)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UsageError, match="cannot be kept"):
        send(world, run, payload=deep)


def test_signals_that_come_before_their_steps_are_had_in_order(world: World) -> None:
    run = world.start(
        '[[jobs.x.steps]]\nname = "first"\ncommand = "until [ -e go ]; do sleep 0.01; done"\n'
        + GO
        + '[[jobs.x.steps]]\nname = "b"\nsignal = "go"\n'
    )
    send(world, run, payload=1)
    send(world, run, payload=2)
    (world.folder / "go").touch()
    world.finish(run)
    assert [world.step(run, name)["outputs"] for name in ("a", "b")] == [{"value": 1}, {"value": 2}]


def test_a_signal_to_an_interrupted_run_is_there_when_it_goes_on(world: World) -> None:
    run = world.start(GO)
    waits(world, run, "a")
    world.die()
    send(world, run, payload=7)
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert world.step(run, "a")["outputs"] == {"value": 7}


def test_a_signal_that_nobody_took_is_there_after_a_resume(world: World) -> None:
    text = '[[jobs.x.steps]]\nname = "first"\ncommand = "until [ -e go ]; do sleep 0.01; done; test -e well"\n' + GO
    run = world.start(text)
    send(world, run, payload=1)
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "failed"
    (world.folder / "well").touch()
    run = world.again(run)
    assert run.state.status == "succeeded"
    assert world.step(run, "a")["outputs"] == {"value": 1}


def test_a_signal_after_a_cancel_that_nobody_has_seen_yet_is_too_late(world: World) -> None:
    run = world.start(GO)
    waits(world, run, "a")
    world.die()
    control.cancel(world.store, world.row(run), reason=None, by="me", host=Host())
    send(world, run)
    run = world.finish(world.take(run))
    assert run.state.status == "canceled"
    assert world.step(run, "a")["status"] == "canceled"


def test_a_signal_before_a_cancel_that_nobody_has_seen_yet_counts(world: World) -> None:
    run = world.start(GO + '[[jobs.x.steps]]\nname = "b"\ncommand = "touch never"')
    waits(world, run, "a")
    world.die()
    send(world, run)
    control.cancel(world.store, world.row(run), reason=None, by="me", host=Host())
    run = world.finish(world.take(run))
    assert run.state.status == "canceled"
    assert statuses(world.document(run)) == {"a": "succeeded", "b": "skipped"}
    assert not (world.folder / "never").exists()


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [("gone", NotFoundError, "no step that waits for a signal 'gone'"), ("go", JobctlError, "is over")],
)
def test_signals_that_nobody_will_ever_take(world: World, name: str, error: type[JobctlError], says: str) -> None:
    run = world.start(GO)
    waits(world, run, "a")
    send(world, run)
    world.finish(run)
    with pytest.raises(error, match=says) as raised:
        send(world, run, name)
    assert raised.value.hint


def test_a_name_that_is_nearly_right_is_said(world: World) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "a"\nsignal = "payment"')
    with pytest.raises(NotFoundError) as raised:
        send(world, run, "payments")
    assert raised.value.hint == "did you mean `payment`?"


# -- in time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "on_timeout", "status", "error"),
    [
        ('signal = "go"', "", "failed", "the signal go did not come in time"),
        ('signal = "go"', 'on_timeout = "fail"', "failed", "the signal go did not come in time"),
        ('signal = "go"', 'on_timeout = "continue"', "succeeded", None),
        ('approval = "go on?"', "", "failed", "the answer did not come in time"),
        ('approval = "go on?"', 'on_timeout = "continue"', "succeeded", None),
    ],
)
def test_what_does_not_come_in_time(world: World, what: str, on_timeout: str, status: str, error: str | None) -> None:
    run = world.run(
        f"""
[[jobs.x.steps]]
name = "z"
command = "true"
compensate = "touch undone"
[[jobs.x.steps]]
name = "a"
{what}
timeout = "100ms"
{on_timeout}
[[jobs.x.steps]]
name = "b"
command = "true"
"""
    )
    assert run.state.status == status
    step = world.step(run, "a")
    assert (step["status"], step["error"]) == ("timed_out" if error else "succeeded", error)
    assert (world.folder / "undone").exists() is (error is not None)


@pytest.mark.parametrize(
    "what", ['signal = "go"\ntimeout = "1h"', 'sleep = "1h"', 'approval = "go on?"\ntimeout = "1h"']
)
def test_the_end_of_a_wait_is_a_recorded_time_whoever_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = world.start(f'[[jobs.x.steps]]\nname = "a"\n{what}')
    waits(world, run, "a")
    until = run.state.step("a").waiting or {}
    for _ in range(2):
        world.die()
        run = world.take(run)
        assert run.state.step("a").waiting == until
    world.die()
    later = clock.now() + HOUR
    monkeypatch.setattr(clock, "now", lambda: later)
    boot = clock.boottime
    monkeypatch.setattr(clock, "boottime", lambda: boot() + HOUR)
    run = world.finish(world.take(run))
    assert len(world.events(run, EventType.WAIT_STARTED)) == 1
    assert [event.at for event in world.events(run, EventType.TIMER_FIRED)] == [later]


def test_the_first_word_counts_when_an_answer_and_the_timer_come_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "a"\napproval = "go on?"\ntimeout = "1h"')
    waits(world, run, "a")
    world.die()
    answer(world, run, approved=True)
    later = clock.now() + 2 * HOUR
    monkeypatch.setattr(clock, "now", lambda: later)
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert world.events(run, EventType.TIMER_FIRED) == []


def test_an_answer_that_is_recorded_while_the_timer_is_about_to_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "a"\napproval = "go on?"\ntimeout = "150ms"')
    waits(world, run, "a")
    append = world.store.append

    def somebody_is_faster(batches: list[object], *beside: object) -> list[object]:
        if batches:
            monkeypatch.setattr(world.store, "append", append)
            answer(world, run, approved=True)
        return append(batches, *beside)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(world.store, "append", somebody_is_faster)
    world.finish(run)
    assert run.state.status == "succeeded"
    assert "timer_fired" not in kinds(world, run)


# -- approvals -------------------------------------------------------------------------------------------------------

ASK = '[[jobs.x.steps]]\nname = "a"\napproval = "go on?"\n'


def test_approved_says_who_and_what(world: World) -> None:
    run = world.start(ASK + '[[jobs.x.steps]]\nname = "b"\ncommand = ["echo", "{{ steps.a.outputs.by }}"]')
    waits(world, run, "a")
    answer(world, run, approved=True, comment="fine")
    world.finish(run)
    assert world.step(run, "a")["outputs"] == {"by": "anna", "comment": "fine"}
    assert world.log(run, "b") == "anna\n"


def test_rejected_fails_without_retry_and_what_was_done_is_undone(world: World) -> None:
    run = world.start(
        'retry = 5\n[[jobs.x.steps]]\nname = "z"\ncommand = "true"\ncompensate = "touch undone"\n'
        + ASK
        + '[[jobs.x.steps]]\nname = "b"\ncommand = "touch never"'
    )
    waits(world, run, "a")
    answer(world, run, approved=False, comment="too dear")
    world.finish(run)
    assert run.state.reason == "step a: rejected by anna: too dear"
    assert statuses(world.document(run)) == {"z": "compensated", "a": "failed", "b": "skipped"}
    assert len(world.events(run, EventType.WAIT_STARTED)) == 1
    assert (world.folder / "undone").exists()
    assert not (world.folder / "never").exists()


@pytest.mark.parametrize("first", [True, False])
def test_an_answer_is_given_once(world: World, first: bool) -> None:
    run = world.start(ASK)
    waits(world, run, "a")
    world.die()
    answer(world, run, approved=first)
    with pytest.raises(JobctlError, match="does not wait for an approval now"):
        answer(world, run, approved=not first)
    run = world.finish(world.take(run))
    assert run.state.status == ("succeeded" if first else "failed")


def test_several_questions_are_answered_by_name(world: World) -> None:
    run = world.start(
        ASK + '[[jobs.x.steps]]\nname = "b"\nneeds = []\napproval = "really?"\n' + GO.replace('"a"', '"c"')
    )
    waits(world, run, "a", "b")
    with pytest.raises(JobctlError, match="waits for several approvals: a, b") as raised:
        answer(world, run, approved=True)
    assert raised.value.hint == f"name the step: jobctl approve {run.name} a"
    with pytest.raises(JobctlError, match=f"step c of run {run.name} does not wait for an approval now"):
        answer(world, run, approved=True, step="c")
    with pytest.raises(NotFoundError, match="no step 'd'"):
        answer(world, run, approved=True, step="d")
    answer(world, run, approved=True, step="b")
    answer(world, run, approved=True)
    waits(world, run, "c")
    assert statuses(world.document(run)) == {"a": "succeeded", "b": "succeeded", "c": "waiting"}


# -- asked of a run that waits ---------------------------------------------------------------------------------------

THREE = (
    '[[jobs.x.steps]]\nname = "z"\ncommand = "true"\ncompensate = "touch undone"\n'
    + GO
    + '[[jobs.x.steps]]\nname = "b"\nneeds = ["z"]\napproval = "go on?"\n'
    + '[[jobs.x.steps]]\nname = "c"\nneeds = ["z"]\nsleep = "1h"\n'
    + '[[jobs.x.steps]]\nname = "end"\nneeds = ["a"]\nwhen = "always"\ncommand = "touch ended"\n'
)


@pytest.mark.parametrize("seen", [True, False], ids=["at once", "by the next executor"])
@pytest.mark.parametrize(
    ("how", "status", "of_waits", "tidied"),
    [("cancel", "canceled", "canceled", True), ("terminate", "terminated", "canceled", False)],
)
def test_a_run_that_waits_is_ended(
    world: World, how: str, status: str, of_waits: str, tidied: bool, seen: bool
) -> None:
    run = world.start(THREE)
    waits(world, run, "a", "b", "c")
    if not seen:
        world.die()
    getattr(control, how)(world.store, world.row(run), reason=None, by="me", host=Host())
    world.finish(run if seen else world.take(run))
    found = statuses(world.document(run))
    assert world.row(run).status == status
    assert [found[name] for name in "abc"] == [of_waits] * 3
    assert (world.folder / "undone").exists() is tidied
    assert (world.folder / "ended").exists() is tidied


def test_the_runs_timeout_passes_while_it_waits(world: World) -> None:
    run = world.run('timeout = "2s"\n' + THREE)
    assert run.state.status == "timed_out"
    found = statuses(world.document(run))
    assert [found[name] for name in "abc"] == ["timed_out"] * 3
    assert (world.folder / "undone").exists()


def test_a_wait_that_ends_because_another_step_failed_has_not_failed_itself(world: World) -> None:
    run = world.run(GO + '[[jobs.x.steps]]\nname = "b"\nneeds = []\ncommand = "false"')
    assert run.state.reason == "step b: exit code 1"
    assert statuses(world.document(run)) == {"a": "canceled", "b": "failed"}


def test_timers_and_answers_go_on_in_a_pause_and_nothing_new_starts(world: World) -> None:
    run = world.start(
        """
steps = [
    { name = "a", sleep = "150ms" },
    { name = "b", needs = [], approval = "go on?" },
    { name = "c", needs = ["a", "b"], signal = "go" },
    { name = "d", needs = ["a"], command = "touch ran" },
]"""
    )
    waits(world, run, "a", "b")
    control.pause(world.store, world.row(run), reason=None, by="me", host=Host())
    answer(world, run, approved=True)
    world.until(lambda: run.state.step("a").status == run.state.step("b").status == "succeeded")
    assert run.state.status == "paused"
    assert statuses(world.document(run)) == {"a": "succeeded", "b": "succeeded", "c": "pending", "d": "pending"}
    send(world, run, payload=3)
    control.unpause(world.store, world.row(run), by="me", host=Host())
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.step(run, "c")["outputs"] == {"value": 3}
    assert len(world.events(run, EventType.WAIT_STARTED)) == 3


# -- polls -----------------------------------------------------------------------------------------------------------


def poll(command: str, more: str = "", **keys: str) -> str:
    table = ", ".join(f'{key} = "{value}"' for key, value in {"interval": "10ms", **keys}.items())
    return f"[[jobs.x.steps]]\nname = \"p\"\npoll = {{ {table} }}\ncommand = '''{command}'''\n{more}\n"


COUNT = "n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n > n; "


def test_many_not_yets_leave_one_attempt_and_no_events(world: World) -> None:
    run = world.run(poll(COUNT + "[ $n = 60 ]", interval="1ms"))
    assert world.read("n") == "60\n"
    assert kinds(world, run) == ["run_created", "run_taken", "attempt_started", "attempt_ended", "run_ended"]
    rows = world.store._rows("SELECT step, number, status, exit_code FROM attempts WHERE run = ?", run.id)
    assert rows == [("p", 1, "succeeded", 0)]


def test_they_leave_no_timers_either(world: World) -> None:
    run = world.start(
        poll(
            COUNT + "[ -e go ]",
            'timeout = { start_to_close = "1h", schedule_to_close = "2h" }',
            interval="1ms",
            deadline="2h",
        )
    )
    world.until(lambda: world.read("n") >= "3")
    few = len(world.engine._timers)
    world.until(lambda: int(world.read("n") or 0) >= 30)
    assert len(world.engine._timers) <= few + 2
    (world.folder / "go").touch()
    world.finish(run)


def test_the_waits_between_probes_grow_up_to_their_limit(world: World) -> None:
    run = world.run(
        '[[jobs.x.steps]]\nname = "p"\n'
        'poll = { interval = "20ms", backoff_coefficient = 3.0, maximum_interval = "70ms" }\n'
        "command = '''date +%s%3N >> at; [ $(wc -l < at) = 4 ]'''\n"
    )
    assert run.state.status == "succeeded"
    at = [int(line) for line in world.read("at").split()]
    assert all(later - earlier >= wait for earlier, later, wait in zip(at, at[1:], (20, 60, 70), strict=False))


@pytest.mark.parametrize(
    ("command", "retry", "ends"),
    [
        ("exit 2", "", ["failed"]),
        (
            COUNT + "[ $n -lt 3 ] && exit 1; [ $n = 3 ] && exit 2; true",
            'retry = { initial_interval = "10ms" }',
            ["failed", "succeeded"],
        ),
        (COUNT + "[ $n -lt 3 ] && exit 1; exit 65", "retry = { non_retryable_exit_codes = [65] }", ["failed"]),
        ("kill -9 $$", "", ["failed"]),
    ],
)
def test_anything_but_not_yet_is_an_attempt_that_has_failed(
    world: World, command: str, retry: str, ends: list[str]
) -> None:
    run = world.run(poll(command, retry))
    assert [attempt["status"] for attempt in world.step(run, "p")["attempts"]] == ends
    assert run.state.status == ("succeeded" if ends[-1] == "succeeded" else "failed")


def test_what_a_not_yet_said_is_not_what_the_step_says(world: World) -> None:
    run = world.run(
        poll(
            COUNT + "echo probe=$n >> $JOBCTL_OUTPUT; echo only-$n=1 >> $JOBCTL_OUTPUT;"
            " if [ $n -lt 3 ]; then echo message=early > $JOBCTL_FAILURE; exit 1; fi"
        )
    )
    assert world.step(run, "p")["outputs"] == {"probe": "3", "only-3": "1"}
    run = world.run(poll("[ -e again ] && exit 2; touch again; echo message=early > $JOBCTL_FAILURE; exit 1"))
    assert world.step(run, "p")["error"] == "exit code 2"


def test_its_condition_is_asked_once(world: World) -> None:
    run = world.run(
        poll(
            COUNT + "[ $n = 3 ] && exit 2; [ $n = 5 ]",
            'only_if = "echo asked >> asked"\nretry = { initial_interval = "10ms" }',
        )
    )
    assert run.state.status == "succeeded"
    assert world.read("asked") == "asked\n"


@pytest.mark.parametrize(
    ("keys", "more", "error"),
    [
        ({"deadline": "250ms"}, "", "the condition did not hold within 250ms"),
        ({"interval": "1h"}, 'timeout = { schedule_to_close = "250ms" }', "the condition did not hold within 250ms"),
        ({"deadline": "250ms", "interval": "1h"}, "", "the condition did not hold within 250ms"),
    ],
)
def test_a_condition_that_does_not_hold_in_time(world: World, keys: dict[str, str], more: str, error: str) -> None:
    run = world.run(poll("exit 1", more + "\nretry = 5", **keys))
    step = world.step(run, "p")
    assert (step["status"], step["error"], len(step["attempts"])) == ("timed_out", error, 1)
    assert run.state.status == "failed"


def test_a_probe_that_hangs_is_stopped_by_the_deadline(world: World) -> None:
    run = world.run('kill_grace = "100ms"\n' + poll("sleep 60", deadline="200ms"))
    assert world.step(run, "p")["error"] == "the condition did not hold within 200ms"
    assert world.alive(run) == []


def test_start_to_close_is_for_one_probe_and_not_for_the_waits_between(world: World) -> None:
    run = world.run(poll(COUNT + "[ $n = 2 ]", 'timeout = "2s"', interval="2500ms"))
    assert run.state.status == "succeeded"


def test_a_probe_that_takes_too_long_is_an_attempt_that_has_failed(world: World) -> None:
    run = world.run('kill_grace = "100ms"\n' + poll(COUNT + "[ $n -lt 3 ] && exit 1; sleep 60", 'timeout = "2s"'))
    step = world.step(run, "p")
    assert (step["status"], step["error"]) == ("timed_out", "start_to_close of 2s passed")
    assert world.alive(run) == []


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_it_is_ended_between_two_probes(world: World, how: str) -> None:
    run = world.start(poll(COUNT + "exit 1", 'compensate = "touch undone"', interval="1h"))
    world.until(lambda: run.attempts and run.attempts["p"].between_probes)
    getattr(control, how)(world.store, world.row(run), reason=None, by="me", host=Host())
    world.finish(run)
    assert world.step(run, "p")["status"] == ("compensated" if how == "cancel" else "canceled")
    assert world.read("n") == "1\n"


@pytest.mark.parametrize("when", ["between", "during"])
def test_it_ends_with_the_run_when_another_step_fails(world: World, when: str) -> None:
    hang = "" if when == "between" else "until [ -e go ]; do sleep 0.01; done; "
    run = world.start(
        poll(COUNT + hang + "exit 1", interval="1h")
        + '[[jobs.x.steps]]\nname = "b"\nneeds = []\ncommand = "until [ -e fail ]; do sleep 0.01; done; false"'
    )
    world.until(lambda: world.read("n") and (when == "during" or run.attempts["p"].between_probes))
    (world.folder / "fail").touch()
    world.until(lambda: run.state.step("b").status == "failed")
    (world.folder / "go").touch()
    world.finish(run)
    assert statuses(world.document(run)) == {"p": "canceled", "b": "failed"}
    assert run.state.reason == "step b: exit code 1"


@pytest.mark.parametrize("timeout", ["", 'timeout = "30s"'])
def test_a_crash_between_two_probes(world: World, monkeypatch: pytest.MonkeyPatch, timeout: str) -> None:
    run = world.start(poll(COUNT + "[ $n = 2 ]", timeout, interval="1h"))
    world.until(lambda: run.attempts["p"].between_probes)
    world.die()
    later = clock.now() + HOUR
    monkeypatch.setattr(clock, "now", lambda: later)
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert world.read("n") == "2\n"
    assert len(world.step(run, "p")["attempts"]) == 1


@pytest.mark.parametrize("timeout", ["", 'timeout = "30s"'])
@pytest.mark.parametrize("seen", [True, False], ids=["adopted", "over meanwhile"])
def test_a_crash_during_a_probe(world: World, timeout: str, seen: bool) -> None:
    run = world.start(poll(COUNT + "[ $n = 2 ] || exit 1; touch second; until [ -e go ]; do sleep 0.01; done", timeout))
    world.until(lambda: world.read("n") == "2\n" and (world.folder / "second").exists())
    world.die()
    # The attempt began long ago: that is no business of the probe that runs now.
    world.store._db.execute("UPDATE events SET at = at - ? WHERE type = 3", (HOUR,))
    if not seen:
        (world.folder / "go").touch()
        gone(world, run)
    run = world.take(run)
    for _ in range(5):
        world.engine.turn(10)
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.read("n") == "2\n"


def test_a_not_yet_that_nobody_saw_is_asked_again(world: World) -> None:
    run = world.start(poll(COUNT + "until [ -e go ]; do sleep 0.01; done; [ $n = 2 ]"))
    world.until(lambda: world.read("n"))
    world.die()
    (world.folder / "go").touch()
    gone(world, run)
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert len(world.step(run, "p")["attempts"]) == 1


def test_the_log_of_all_probes_stays_within_its_limit(world: World) -> None:
    run = world.run(
        "log_limit = 20000\n"
        + poll(COUNT + "head -c 3000 /dev/zero | tr '\\\\0' x; echo; echo probe $n; [ $n = 40 ]", interval="1ms")
    )
    assert run.state.status == "succeeded"
    log = world.log(run, "p")
    assert len(log) < 30_000
    assert log.endswith("probe 40\n")


def test_an_executor_that_is_leaving_asks_no_more(world: World) -> None:
    run = world.start(poll(COUNT + "[ $n = 2 ]", interval="50ms"))
    world.until(lambda: run.attempts["p"].between_probes)
    world.engine.draining = True
    until = clock.monotonic() + 100
    world.until(lambda: clock.monotonic() > until)
    assert world.read("n") == "1\n"
    world.die()
    assert world.finish(world.take(run)).state.status == "succeeded"


@pytest.mark.parametrize("make", ["mkdir $JOBCTL_OUTPUT", "mkdir $JOBCTL_FAILURE"])
def test_odd_things_in_the_place_of_files(world: World, make: str) -> None:
    run = world.run(poll(f"{make}; exit 1"))
    assert "could not be asked again" in world.step(run, "p")["error"]
