"""What an engine makes of runs: every rule of the definitions, with real commands. Kills are in end_to_end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from worlds import World, statuses

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.run.history import EventType
from jobctl.core.run.rows import RunRow
from jobctl.engines.local import commit, control, executor
from jobctl.engines.local import loop as local
from jobctl.engines.local.live import LiveRun
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.process import attempt as files_of
from jobctl.process import descent, supervisor, timers

FAST = '"10ms"'  # between two attempts

# -- retry -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status", "ends", "why"),
    [
        ('command = "exit 3"', "failed", ["failed"], "it was the only attempt"),
        ('command = "exit 0"\nretry = 5', "succeeded", ["succeeded"], None),
        (
            f'command = "exit 3"\nretry = {{ maximum_attempts = 3, initial_interval = {FAST} }}',
            "failed",
            ["failed"] * 3,
            "all 3 attempts are used",
        ),
        (
            f'command = "test $JOBCTL_ATTEMPT = 3"\nretry = {{ initial_interval = {FAST} }}',  # no maximum
            "succeeded",
            ["failed", "failed", "succeeded"],
            None,
        ),
        (
            'command = "exit 65"\nretry = { maximum_attempts = 9, non_retryable_exit_codes = [2, 65] }',
            "failed",
            ["failed"],
            "exit code 65 is not retryable",
        ),
        (
            'command = "echo type=Quota > $JOBCTL_FAILURE; exit 1"\n'
            'retry = { maximum_attempts = 9, non_retryable_types = ["Quota"] }',
            "failed",
            ["failed"],
            "errors of type Quota are not retryable",
        ),
        (
            'command = "echo non_retryable=true > $JOBCTL_FAILURE; exit 1"\nretry = 9',
            "failed",
            ["failed"],
            "the failure is marked as not retryable",
        ),
        (
            'command = "kill -9 $$"\nretry = { maximum_attempts = 2, initial_interval = "10ms", '
            "non_retryable_exit_codes = [137] }",
            "failed",
            ["failed", "failed"],
            "all 2 attempts are used",  # a signal is no exit code
        ),
        (
            'command = "exit 1"\nretry = { initial_interval = "1m" }\nstep_timeout = { schedule_to_close = "30s" }',
            "failed",
            ["failed"],
            "the next attempt could not start before schedule_to_close",
        ),
    ],
)
def test_retry(world: World, text: str, status: str, ends: list[str], why: str | None) -> None:
    run = world.run(text)
    assert run.state.status == status
    assert [attempt["status"] for attempt in world.step(run)["attempts"]] == ends
    assert world.events(run, EventType.ATTEMPT_ENDED)[-1].data.get("why") == why


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        ('{ initial_interval = "20ms", maximum_attempts = 4 }', [20, 40, 80]),
        ('{ initial_interval = "20ms", backoff_coefficient = 1.0, maximum_attempts = 4 }', [20, 20, 20]),
        ('{ initial_interval = "20ms", maximum_interval = "30ms", maximum_attempts = 4 }', [20, 30, 30]),
        ('{ initial_interval = "10ms", backoff_coefficient = 3.0, maximum_attempts = 3 }', [10, 30]),
    ],
)
def test_the_waits_between_attempts_are_counted_from_the_recorded_end(
    world: World, retry: str, waits: list[int]
) -> None:
    run = world.run(f'command = "false"\nretry = {retry}')
    ends = world.events(run, EventType.ATTEMPT_ENDED)
    starts = world.events(run, EventType.ATTEMPT_STARTED)
    assert [end.data["retry_at"] - end.at for end in ends[:-1]] == waits
    assert all(start.at >= end.data["retry_at"] for start, end in zip(starts[1:], ends, strict=False))


def test_next_retry_delay_replaces_one_wait(world: World) -> None:
    run = world.run(
        'command = "test $JOBCTL_ATTEMPT != 1 || echo next_retry_delay=70ms > $JOBCTL_FAILURE; false"\n'
        'retry = { initial_interval = "15ms", maximum_attempts = 3 }'
    )
    ends = world.events(run, EventType.ATTEMPT_ENDED)
    assert [end.data["retry_at"] - end.at for end in ends[:-1]] == [70, 30]


def test_what_a_command_says_of_its_failure_is_recorded(world: World) -> None:
    run = world.run("""command = 'printf "message=no such day\\ntype=Input\\n" > $JOBCTL_FAILURE; exit 4'""")
    step = world.step(run)
    assert step["error"] == "no such day"
    assert step["attempts"][0]["exit_code"] == 4
    assert world.events(run, EventType.ATTEMPT_ENDED)[0].data["error_type"] == "Input"
    assert run.state.reason == "step main: no such day"


def test_a_failure_file_of_garbage_leaves_the_exit_code_to_the_policy(world: World) -> None:
    run = world.run('command = "echo garbage > $JOBCTL_FAILURE; exit 65"\nretry = { non_retryable_exit_codes = [65] }')
    assert len(world.step(run)["attempts"]) == 1
    assert world.step(run)["attempts"][0]["exit_code"] == 65
    assert "not key=value" in world.step(run)["error"]


# -- timeouts --------------------------------------------------------------------------------------------------------

IGNORE = "trap '' TERM; (setsid sleep 60 &); while :; do sleep 0.02; done"


@pytest.mark.parametrize(
    ("text", "ends", "error"),
    [
        ('step_timeout = { start_to_close = "100ms" }', ["timed_out"], "start_to_close of 100ms passed"),
        ('step_timeout = "100ms"', ["timed_out"], "start_to_close of 100ms passed"),
        (
            'step_timeout = { schedule_to_close = "500ms" }\nretry = 5',
            ["timed_out"],
            "schedule_to_close of 500ms passed",
        ),
        ('step_timeout = { heartbeat = "500ms" }', ["timed_out"], "no heartbeat for 500ms"),
        (
            'step_timeout = "80ms"\nretry = { maximum_attempts = 2, initial_interval = "10ms" }',
            ["timed_out", "timed_out"],
            "start_to_close of 80ms passed",
        ),
    ],
)
@pytest.mark.parametrize(
    ("command", "signal_name"),
    [("sleep 60", "SIGTERM"), (IGNORE, None), ("kill -STOP $$; sleep 60", "SIGTERM")],
    ids=["minds", "ignores", "stopped"],
)
def test_a_timeout_stops_the_attempt_and_all_it_started(
    world: World, text: str, ends: list[str], error: str, command: str, signal_name: str | None
) -> None:
    world.run('command = "true"')  # there is a keeper: none of the time that it has goes by while one is made
    # Who minds the first signal is never to get a second one, however slow the machine is just now.
    grace = "30s" if signal_name is not None else "150ms"
    run = world.run(f'command = "{command}"\nkill_grace = "{grace}"\n{text}')
    step = world.step(run)
    assert [attempt["status"] for attempt in step["attempts"]] == ends
    assert {attempt["error"] for attempt in step["attempts"]} == {error}
    if signal_name is not None:
        assert {attempt["signal"] for attempt in step["attempts"]} == {signal_name}
    assert step["status"] == "timed_out"
    assert run.state.status == "failed"
    assert world.alive(run) == []


def test_heartbeats_keep_a_step_alive(world: World) -> None:
    run = world.run(
        'command = "for i in $(seq 18); do echo $i >> $JOBCTL_HEARTBEAT; sleep 0.1; done"\n'
        'step_timeout = { heartbeat = "1500ms" }'
    )
    assert run.state.status == "succeeded"
    assert world.step(run)["cursor"] == "18"
    assert len(world.events(run)) == 5  # created, taken, started, ended, ended: none for a heartbeat


@pytest.mark.parametrize("command", ["sleep 60", IGNORE], ids=["minds", "ignores"])
def test_the_runs_timeout_ends_all_of_it(world: World, command: str) -> None:
    run = world.run(
        f"""
timeout = "2s"
kill_grace = "100ms"
steps = [
    {{ name = "a", command = "true" }},
    {{ name = "b", command = "{command}" }},
    {{ name = "c", needs = ["a"], command = "{command}", retry = 5 }},
    {{ name = "d", command = "true" }},
    {{ name = "waits", needs = [], command = "false", retry = {{ initial_interval = "1h" }} }},
]"""
    )
    document = world.document(run)
    assert document["status"] == "timed_out"
    assert document["reason"] == "the run's timeout of 2s passed"
    assert statuses(document) == {
        "a": "succeeded",
        "b": "timed_out",
        "c": "timed_out",
        "d": "skipped",
        "waits": "timed_out",
    }
    assert world.alive(run) == []


def test_a_command_that_ends_well_when_it_is_asked_to_end_was_stopped_all_the_same(world: World) -> None:
    run = world.run(
        "command = 'trap \"exit 0\" TERM; setsid sleep 60 & while :; do sleep 0.02; done'\n"
        'step_timeout = "100ms"\nkill_grace = "100ms"'
    )
    assert world.step(run)["status"] == "timed_out"
    assert world.alive(run) == []


def test_a_run_that_is_canceled_twice_in_one_breath_is_undone(world: World) -> None:
    run = world.start(
        '[[jobs.x.steps]]\nname = "a"\ncommand = "exit 1"\ncompensate = "touch undone"\n'
        'retry = { maximum_attempts = 2, initial_interval = "1h" }'
    )
    world.until(lambda: run.state.step("a").retry_at is not None)
    for _ in range(2):
        control.cancel(world.store, world.store.run(run.id), reason=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == "canceled"
    assert (world.folder / "undone").exists()


def test_nothing_is_left_of_an_attempt_that_failed_for_what_it_handed_on(world: World) -> None:
    run = world.run("command = 'setsid sleep 60 & echo nothing > \"$JOBCTL_OUTPUT\"'")
    assert world.step(run)["status"] == "failed"
    assert world.alive(run) == []


def test_what_outlives_a_stopped_command_is_killed_whoever_comes_to_it_first(world: World) -> None:
    # The command's end and the end of the grace are two moments of one.
    run = world.start(
        """command = '''trap "exit 0" TERM; setsid sh -c "trap '' TERM; touch up; while :; do sleep 0.02; done" &
touch out; while :; do sleep 0.02; done'''
kill_grace = "150ms"
"""
    )
    world.until(lambda: (world.folder / "up").exists() and (world.folder / "out").exists())
    control.cancel(world.store, world.store.run(run.id), reason=None, by="me", host=Host())
    world.finish(run)
    assert world.step(run)["status"] == "canceled"
    assert world.alive(run) == []


# -- cursor, outputs, references ---------------------------------------------------------------------------------------


def test_the_cursor_is_handed_on_from_attempt_to_attempt(world: World) -> None:
    run = world.run(
        """command = '''
echo "${JOBCTL_CURSOR-unset}"; echo at-$JOBCTL_ATTEMPT >> $JOBCTL_HEARTBEAT; printf half >> $JOBCTL_HEARTBEAT
[ $JOBCTL_ATTEMPT = 4 ]'''
retry = { initial_interval = "10ms" }"""
    )
    assert [world.log(run, number=number) for number in range(1, 5)] == ["unset\n", "at-1\n", "at-2\n", "at-3\n"]


def test_an_attempt_without_a_heartbeat_leaves_the_cursor_where_it_was(world: World) -> None:
    run = world.run(
        """command = '''
echo "${JOBCTL_CURSOR-unset}"; [ $JOBCTL_ATTEMPT != 1 ] || echo one > $JOBCTL_HEARTBEAT
[ $JOBCTL_ATTEMPT = 3 ]'''
retry = { initial_interval = "10ms" }"""
    )
    assert world.log(run, number=3) == "one\n"


def test_the_cursor_of_a_stopped_attempt_stays(world: World) -> None:
    run = world.run(
        """command = 'echo "${JOBCTL_CURSOR-unset}"; echo here > $JOBCTL_HEARTBEAT; [ $JOBCTL_ATTEMPT = 2 ] || sleep 60'
step_timeout = "2s"
retry = { maximum_attempts = 2, initial_interval = "10ms" }"""
    )
    assert world.log(run, number=2) == "here\n"
    assert run.state.status == "succeeded"


def test_outputs_and_the_last_line_of_stdout_are_handed_on(world: World) -> None:
    run = world.run(
        """
params = { day = "2026-01-02", n = { type = "integer", default = 7 } }
[[jobs.x.steps]]
name = "a"
command = 'printf "id=17\\nlong<<E\\n1\\n2\\nE\\n" > $JOBCTL_OUTPUT; echo first; echo last'
[[jobs.x.steps]]
name = "b"
env = { WHAT = "{{ steps.a.outputs.id }}/{{ run.job }}" }
command = ["printf", "%s|", "{{ steps.a.outputs.long }}", "x{{ steps.a.stdout }}y",
           "{{ params.day }}", "{{ params.n }}", "{{ run.id }}"]
[[jobs.x.steps]]
name = "c"
env = { WHAT = "{{ steps.a.outputs.id }}/{{ run.job }}" }
command = 'printf "%s" "$WHAT {{ params.day }}"'
"""
    )
    assert run.state.status == "succeeded"
    assert world.log(run, "b") == f"1\n2|xlasty|2026-01-02|7|{run.name}|"
    assert world.log(run, "c") == "17/x {{ params.day }}"
    assert world.step(run, "a")["outputs"] == {"id": "17", "long": "1\n2"}


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ('command = "true"', "wrote no output 'id'"),
        ('command = "true"\nonly_if = "false"', "was skipped"),
        ('command = "false"\nallow_failure = true', "wrote no output 'id'"),
    ],
)
def test_a_reference_to_what_is_not_there_fails_its_step(world: World, first: str, says: str) -> None:
    run = world.run(
        f"""
[[jobs.x.steps]]
name = "a"
{first}
[[jobs.x.steps]]
name = "b"
command = ["touch", "ran-{{{{ steps.a.outputs.id }}}}"]
retry = 5
"""
    )
    step = world.step(run, "b")
    assert step["status"] == "failed"
    assert step["attempts"] == []
    assert "{{ steps.a.outputs.id }}" in step["error"]
    assert says in step["error"]
    assert run.state.status == "failed"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo garbage > $JOBCTL_OUTPUT", "line 1 of the output file is not key=value"),
        ("mkdir $JOBCTL_OUTPUT", "it is a folder, not a file"),
        ("mkfifo $JOBCTL_OUTPUT", "it is a pipe, not a file"),
        ("head -c 1100000 /dev/zero > $JOBCTL_OUTPUT", "the limit: hand on a path"),
    ],
)
def test_outputs_that_cannot_be_read_fail_the_attempt_and_nothing_else(world: World, command: str, says: str) -> None:
    run = world.run(f'command = "{command}"')
    assert run.state.status == "failed"
    assert says in world.step(run)["error"]


@pytest.mark.parametrize("name", ["JOBCTL_HEARTBEAT", "JOBCTL_FAILURE"])
@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_odd_things_in_the_place_of_files_stop_nothing(world: World, name: str, make: str) -> None:
    run = world.run(f'command = "{make} ${name}; exit 3"\nstep_timeout = {{ heartbeat = "10s" }}')
    assert run.state.status == "failed"
    assert world.step(run)["attempts"][0]["exit_code"] == 3


# -- the graph -------------------------------------------------------------------------------------------------------


def test_a_condition_is_asked_once_and_not_again_for_a_retry(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "a"
only_if = "echo asked >> asked"
command = "echo ran >> ran; [ $JOBCTL_ATTEMPT = 3 ]"
retry = { initial_interval = "10ms" }
[[jobs.x.steps]]
name = "b"
only_if = "false"
command = "touch never"
[[jobs.x.steps]]
name = "c"
command = "touch after"
"""
    )
    assert statuses(world.document(run)) == {"a": "succeeded", "b": "skipped", "c": "succeeded"}
    assert world.read("asked") == "asked\n"
    assert world.read("ran") == "ran\n" * 3
    assert (world.folder / "after").exists()
    assert not (world.folder / "never").exists()


@pytest.mark.parametrize(
    ("command", "allow", "status", "ends"),
    [
        ("true", False, "succeeded", ["succeeded", "succeeded", "skipped", "succeeded"]),
        ("false", False, "failed", ["failed", "skipped", "succeeded", "succeeded"]),
        ("false", True, "succeeded", ["failed", "succeeded", "skipped", "succeeded"]),
        ("nosuchprogram", False, "failed", ["failed", "skipped", "succeeded", "succeeded"]),
    ],
)
def test_when_and_allow_failure(world: World, command: str, allow: bool, status: str, ends: list[str]) -> None:
    run = world.run(
        f"""
[[jobs.x.steps]]
name = "a"
command = "{command}"
allow_failure = {str(allow).lower()}
[[jobs.x.steps]]
name = "b"
command = "true"
[[jobs.x.steps]]
name = "on-failure"
when = "failure"
command = "true"
[[jobs.x.steps]]
name = "always"
when = "always"
command = "true"
"""
    )
    assert run.state.status == status
    assert list(statuses(world.document(run)).values()) == ends


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2), (16, 5)])
def test_no_more_steps_run_at_once_than_the_job_allows(world: World, limit: int, most: int) -> None:
    step = "echo + >> n; {}; echo - >> n"
    wait = f"n=0; while [ $(grep -c + n) -lt {most} ] && [ $n -lt 300 ]; do n=$((n+1)); sleep 0.01; done"
    steps = "".join(
        f"[[jobs.x.steps]]\nname = \"s{i}\"\nneeds = []\ncommand = '{step.format(wait)}'\n" for i in range(5)
    )
    run = world.run(f"max_parallel_steps = {limit}\n{steps}")
    assert run.state.status == "succeeded"
    running = peak = 0
    for mark in world.read("n").split():
        running += 1 if mark == "+" else -1
        peak = max(peak, running)
    assert peak == most


def test_steps_run_in_the_order_of_the_graph(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "last"
needs = ["b", "c"]
command = "echo last >> order"
[[jobs.x.steps]]
name = "b"
needs = ["a"]
command = "echo b >> order"
[[jobs.x.steps]]
name = "c"
needs = ["b"]
command = "echo c >> order"
[[jobs.x.steps]]
name = "a"
needs = []
command = "echo a >> order"
"""
    )
    assert run.state.status == "succeeded"
    assert world.read("order").split() == ["a", "b", "c", "last"]


def test_when_one_step_fails_the_others_end_by_themselves_and_are_not_retried(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "bad"
command = "while [ ! -e up ]; do sleep 0.01; done; exit 9"
[[jobs.x.steps]]
name = "good"
needs = []
command = "touch up; while [ ! -e down ]; do sleep 0.01; done; echo done >> ends"
[[jobs.x.steps]]
name = "flaky"
needs = []
command = "while [ ! -e up ]; do sleep 0.01; done; sleep 0.3; touch down; false"
retry = 5
[[jobs.x.steps]]
name = "waiting"
needs = []
command = "false"
retry = { initial_interval = "1h" }
[[jobs.x.steps]]
name = "after"
needs = ["good"]
command = "touch never"
"""
    )
    document = world.document(run)
    assert document["status"] == "failed"
    assert document["reason"] == "step bad: exit code 9"
    assert statuses(document) == {
        "bad": "failed",
        "good": "succeeded",
        "flaky": "failed",
        "waiting": "failed",
        "after": "skipped",
    }
    assert len(world.step(run, "flaky")["attempts"]) == 1
    assert world.read("ends") == "done\n"


# -- compensation ------------------------------------------------------------------------------------------------------

SAGA = """
kill_grace = "100ms"
[[jobs.x.steps]]
name = "a"
command = "echo id=A > $JOBCTL_OUTPUT; echo a >> order"
compensate = 'echo "undo a $JOBCTL_STEP_STATUS $JOBCTL_OUTPUT_ID" >> order'
[[jobs.x.steps]]
name = "b"
command = "echo b >> order"
[jobs.x.steps.compensate]
command = "echo undo b $JOBCTL_ATTEMPT >> order; [ $JOBCTL_ATTEMPT = {tries} ]"
retry = {{ maximum_attempts = 3, initial_interval = "10ms" }}
[[jobs.x.steps]]
name = "c"
command = "echo c >> order; {last}"
compensate = 'echo "undo c $JOBCTL_STEP_STATUS" >> order'
{more}
[[jobs.x.steps]]
name = "never"
command = "true"
compensate = "echo undo never >> order"
[[jobs.x.steps]]
name = "tidy"
when = "always"
command = "echo tidy >> order"
"""


@pytest.mark.parametrize(
    ("tries", "last", "more", "status", "b"),
    [
        (3, "exit 1", "", "failed", "compensated"),
        (9, "exit 1", "", "failed", "succeeded"),  # one that fails for good, the others still run
        (1, "sleep 60", 'timeout = "2s"', "failed", "compensated"),
    ],
)
def test_what_was_done_is_undone_newest_first(
    world: World, tries: int, last: str, more: str, status: str, b: str
) -> None:
    run = world.run(SAGA.format(tries=tries, last=last, more=more))
    document = world.document(run)
    assert document["status"] == status
    c = "timed_out" if more else "failed"
    undo_b = [f"undo b {number}" for number in range(1, min(tries, 3) + 1)]
    assert world.read("order").splitlines() == [
        *"abc",
        f"undo c {c}",
        *undo_b,
        "undo a succeeded A",
        "tidy",
    ]
    assert statuses(document) == {
        "a": "compensated",
        "b": b,
        "c": "compensated",
        "never": "skipped",
        "tidy": "succeeded",
    }


def test_nothing_is_undone_when_all_goes_well(world: World) -> None:
    run = world.run(SAGA.format(tries=1, last="true", more=""))
    assert run.state.status == "succeeded"
    assert world.read("order").split() == ["a", "b", "c", "tidy"]


def test_an_output_too_large_for_a_variable_does_not_keep_a_step_from_being_undone(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "a"
command = 'printf small=1\\\\nbig= > $JOBCTL_OUTPUT; head -c 200000 /dev/zero | tr "\\0" x >> $JOBCTL_OUTPUT'
compensate = { command = "echo undone $JOBCTL_OUTPUT_SMALL >> order", retry = 1 }
[[jobs.x.steps]]
name = "b"
command = "false"
"""
    )
    assert world.step(run, "a")["status"] == "compensated"
    assert world.read("order") == "undone 1\n"


# -- asked from outside ----------------------------------------------------------------------------------------------


def _row_of(world: World, run: LiveRun) -> RunRow:
    return world.store.run(run.id)


@pytest.mark.parametrize("command", ["sleep 60", IGNORE], ids=["minds", "ignores"])
@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_canceled_and_terminated(world: World, how: str, command: str) -> None:
    run = world.start(SAGA.format(tries=1, last=command, more=""))
    world.until(lambda: world.read("order").split() == ["a", "b", "c"])
    ask = control.cancel if how == "cancel" else control.terminate
    ask(world.store, _row_of(world, run), reason="lunch", by="me", host=Host())
    world.finish(run)
    document = world.document(run)
    assert document["reason"] == "lunch"
    assert world.alive(run) == []
    if how == "cancel":
        assert document["status"] == "canceled"
        assert world.read("order").splitlines()[3:] == ["undo c canceled", "undo b 1", "undo a succeeded A", "tidy"]
    else:
        assert document["status"] == "terminated"
        assert world.read("order").split() == ["a", "b", "c"]
        assert statuses(document)["c"] == "canceled"


def test_a_cancel_does_not_stop_compensation_and_a_terminate_does(world: World) -> None:
    run = world.start(
        """
kill_grace = "100ms"
[[jobs.x.steps]]
name = "a"
command = "true"
compensate = "echo begun >> order; while [ ! -e go ]; do sleep 0.01; done; echo undone >> order"
[[jobs.x.steps]]
name = "b"
command = "true"
compensate = "echo first >> order; while [ ! -e on ]; do sleep 0.01; done"
[[jobs.x.steps]]
name = "c"
command = "false"
"""
    )
    world.until(lambda: world.read("order") == "first\n")
    control.cancel(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.until(lambda: any(event.type is EventType.CANCEL_REQUESTED for event in world.told))
    (world.folder / "on").touch()
    world.until(lambda: world.read("order") == "first\nbegun\n")
    control.terminate(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == "terminated"
    assert world.read("order") == "first\nbegun\n"
    assert world.alive(run) == []


@pytest.mark.parametrize("asked", [("cancel", "terminate"), ("cancel", "cancel"), ("terminate", "terminate")])
@pytest.mark.parametrize("doing", ["sleep 60", "exit 1"], ids=["running", "waiting"])
def test_asked_twice_before_anyone_looked(world: World, asked: tuple[str, str], doing: str) -> None:
    run = world.start(f'command = "{doing}"\nretry = {{ initial_interval = "1h" }}\nkill_grace = "50ms"')
    if doing == "exit 1":
        world.until(lambda: world.step(run)["status"] == "waiting")
    for how in asked:
        getattr(control, how)(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == ("terminated" if "terminate" in asked else "canceled")
    assert world.alive(run) == []


def test_a_request_and_an_end_in_the_same_turn(world: World) -> None:
    run = world.start('command = "false"\nretry = { initial_interval = "1h" }')
    world.ended(run)
    world.engine.request(run, EventType.CANCEL_REQUESTED, reason="r", by="me")
    world.finish(run)  # one turn hears of both: no retry may be waited for
    assert run.state.status == "canceled"


def test_paused_and_taken_up_again(world: World) -> None:
    run = world.start(
        """
[[jobs.x.steps]]
name = "a"
command = "while [ ! -e go ]; do sleep 0.01; done; echo a >> order"
[[jobs.x.steps]]
name = "flaky"
needs = []
command = "echo flaky >> order; [ $JOBCTL_ATTEMPT = 2 ]"
retry = { initial_interval = "30ms" }
[[jobs.x.steps]]
name = "b"
needs = ["a"]
command = "echo b >> order"
"""
    )
    control.pause(world.store, _row_of(world, run), reason="lunch", by="me", host=Host())
    world.until(lambda: world.row(run).status == "paused" and world.step(run, "flaky")["status"] == "waiting")
    (world.folder / "go").touch()
    world.until(lambda: world.step(run, "a")["status"] == "succeeded")
    for _ in range(10):
        world.engine.turn(10)
    assert sorted(world.read("order").split()) == ["a", "flaky"]  # nothing new, the retry is overdue
    control.unpause(world.store, _row_of(world, run), by="me", host=Host())
    world.finish(run)
    assert run.state.status == "succeeded"
    assert sorted(world.read("order").split()) == ["a", "b", "flaky", "flaky"]


def test_paused_while_a_compensation_waits_for_its_retry(world: World) -> None:
    run = world.start(
        """
[[jobs.x.steps]]
name = "a"
command = "true"
[jobs.x.steps.compensate]
command = "echo undo >> order; [ $JOBCTL_ATTEMPT = 2 ]"
retry = { initial_interval = "50ms" }
[[jobs.x.steps]]
name = "b"
command = "false"
"""
    )
    world.until(lambda: "retry_at" in (world.told[-1].data if world.told else {}) and world.told[-1].step == "a")
    control.pause(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    for _ in range(10):
        world.engine.turn(10)
    assert world.read("order") == "undo\n"
    control.unpause(world.store, _row_of(world, run), by="me", host=Host())
    world.finish(run)
    assert world.read("order") == "undo\nundo\n"
    assert world.step(run, "a")["status"] == "compensated"


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_a_paused_run_can_be_ended(world: World, how: str) -> None:
    run = world.start('command = "sleep 60"\nkill_grace = "50ms"')
    control.pause(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.until(lambda: run.decider.paused)
    getattr(control, how)(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.finish(run)
    assert run.state.status == ("canceled" if how == "cancel" else "terminated")


@pytest.mark.parametrize("how", ["cancel", "terminate", "pause"])
def test_what_is_over_cannot_be_asked(world: World, how: str) -> None:
    run = world.run('command = "true"')
    with pytest.raises(JobctlError, match="is over: it has succeeded"):
        getattr(control, how)(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    with pytest.raises(JobctlError, match="is not paused"):
        control.unpause(world.store, _row_of(world, run), by="me", host=Host())


# -- taken up again --------------------------------------------------------------------------------------------------

THREE = """
[[jobs.x.steps]]
name = "a"
command = "echo a >> order"
[[jobs.x.steps]]
name = "b"
command = 'echo "b ${JOBCTL_CURSOR-unset} $JOBCTL_ATTEMPT" >> order; echo half >> $JOBCTL_HEARTBEAT; [ -e good ]'
retry = { maximum_attempts = 2, initial_interval = "10ms" }
[[jobs.x.steps]]
name = "c"
command = "echo c >> order"
"""


def test_a_failed_run_goes_on_with_its_cursor_and_fresh_retries(world: World) -> None:
    run = world.run(THREE)
    assert world.read("order").splitlines() == ["a", "b unset 1", "b half 2"]
    run = world.again(run)
    assert run.state.status == "failed"
    assert world.read("order").splitlines()[3:] == ["b half 3", "b half 4"]
    (world.folder / "good").touch()
    run = world.again(run)
    assert run.state.status == "succeeded"
    assert world.read("order").splitlines()[5:] == ["b half 5", "c"]
    with pytest.raises(JobctlError, match="has succeeded"):
        world.again(run)


def test_from_a_step_does_it_and_what_needs_it_again(world: World) -> None:
    (world.folder / "good").touch()
    run = world.again(world.run(THREE), from_step="b")
    assert run.state.status == "succeeded"
    assert world.read("order").splitlines() == ["a", "b unset 1", "c", "b unset 2", "c"]
    with pytest.raises(JobctlError, match="has no step 'd'"):
        world.again(run, from_step="d")


def test_updated_takes_the_new_definition(world: World) -> None:
    run = world.run(THREE)
    run = world.again(run, updated=THREE.replace("[ -e good ]", "true") + 'env = { A = "1" }\n')
    assert run.state.status == "succeeded"
    assert world.read("order").splitlines()[3:] == ["b half 3", "c"]
    assert '"A":"1"' in world.store.definition(world.row(run).definition)


@pytest.mark.parametrize("how", ["cancel", "terminate", "timeout"])
def test_every_kind_of_end_can_be_taken_up(world: World, how: str) -> None:
    text = """
kill_grace = "50ms"
{timeout}
[[jobs.x.steps]]
name = "a"
command = "echo a >> order"
[[jobs.x.steps]]
name = "b"
command = "echo b >> order; [ -e good ] || sleep 60"
"""
    run = world.start(text.format(timeout='timeout = "2s"' if how == "timeout" else ""))
    world.until(lambda: world.read("order").split() == ["a", "b"])
    (world.folder / "good").touch()
    if how != "timeout":
        getattr(control, how)(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.finish(run)
    run = world.again(run)
    assert run.state.status == "succeeded"
    assert world.read("order").split() == ["a", "b", "b"]
    assert world.document(run)["reason"] is None


def test_a_run_that_was_rolled_back_goes_on_from_a_named_step_only(world: World) -> None:
    run = world.run(SAGA.format(tries=1, last="[ -e good ]", more=""))
    with pytest.raises(JobctlError, match="rolled back") as caught:
        world.again(run)
    assert "--from" in caught.value.hint
    (world.folder / "good").touch()
    run = world.again(run, from_step="a")
    assert run.state.status == "succeeded"
    assert world.read("order").splitlines()[-4:] == ["a", "b", "c", "tidy"]


# -- after an executor -----------------------------------------------------------------------------------------------


def test_a_living_attempt_is_adopted_and_ends_as_it_ends(world: World) -> None:
    run = world.start(
        "command = 'echo up; while [ ! -e go ]; do sleep 0.01; done; echo k=v > $JOBCTL_OUTPUT; echo down'"
    )
    world.until(lambda: world.log(run) == "up\n")
    before = world.process(run)
    world.die()
    run = world.take(run)
    world.until(lambda: run.attempts["main"].running)
    assert run.attempts["main"].pid == before
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.log(run) == "up\ndown\n"
    assert world.step(run)["outputs"] == {"k": "v"}
    assert len(world.events(run, EventType.ATTEMPT_STARTED)) == 1


@pytest.mark.parametrize("code", [0, 3])
def test_an_attempt_that_ended_while_nobody_looked_is_recorded_as_it_ended(world: World, code: int) -> None:
    run = world.start(f'command = "exit {code}"')
    world.ended(run)
    world.die()
    run = world.finish(world.take(run))
    assert run.state.status == ("failed" if code else "succeeded")
    assert world.step(run)["attempts"][0]["exit_code"] == code


@pytest.mark.parametrize("escaped", ["", "setsid sleep 60 & "])
def test_a_lost_attempt_is_cleaned_up_and_its_policy_decides(world: World, escaped: str) -> None:
    run = world.start(
        f"""command = '''
echo "up ${{JOBCTL_CURSOR-}}" >> order; echo half > $JOBCTL_HEARTBEAT
[ $JOBCTL_ATTEMPT = 2 ] || {{ {escaped}sleep 60; }}'''
retry = {{ maximum_attempts = 2, initial_interval = "10ms" }}"""
    )
    world.until(lambda: len(world.alive(run)) >= 2 and world.read("order"))
    keeper, first_process = world.keeper(), world.process(run)
    world.die()
    world.kill_keeper(keeper)
    assert world.alive(run) != []
    os.kill(descent.checked(first_process), signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(first_process, 0)  # where it has come to us: nobody sees how it ended
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    first = world.step(run)["attempts"][0]
    assert first["status"] == "failed"
    assert first["error"].startswith("lost")
    assert world.read("order") == "up \nup half\n"
    assert world.alive(run) == []


def test_an_attempt_that_was_recorded_and_never_started_is_started_as_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(supervisor.Supervisor, "start", lambda *_: None)  # dies between the commit and the start
        run = world.start('command = "echo $JOBCTL_ATTEMPT >> order"')
    world.die()
    run = world.finish(world.take(run))
    assert run.state.status == "succeeded"
    assert world.read("order") == "1\n"


@pytest.mark.parametrize(
    ("tries", "more", "status", "numbers"),
    [
        # With the power, a file that was just made may be lost: nobody knows whether the command has run.
        (1, "", "failed", ""),
        (2, "", "succeeded", "2\n"),
        (1, 'poll = { interval = "1s" }', "succeeded", "1\n"),  # a question that may be asked twice
    ],
)
def test_an_attempt_without_a_trace_from_before_the_machine_was_started_anew_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, tries: int, more: str, status: str, numbers: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(supervisor.Supervisor, "start", lambda *_: None)
        run = world.start(
            f'[[jobs.x.steps]]\nname = "main"\ncommand = "echo $JOBCTL_ATTEMPT >> order"\n{more}\n'
            f'retry = {{ maximum_attempts = {tries}, initial_interval = "1ms" }}'
        )
    world.die()
    monkeypatch.setattr(world.engine.executor, "boot", "another")
    run = world.finish(world.take(run))
    assert run.state.status == status
    assert world.read("order") == numbers
    if not more:
        assert "lost" in world.step(run)["attempts"][0]["error"]


@pytest.mark.parametrize("how", ["cancel", "terminate"])
@pytest.mark.parametrize("where", ["never started", "running", "waiting", "lost"])
def test_ending_a_run_whose_executor_is_dead_starts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, where: str
) -> None:
    commands = {"waiting": "echo ran >> order; exit 1"}
    with monkeypatch.context() as patch:
        if where == "never started":
            patch.setattr(supervisor.Supervisor, "start", lambda *_: None)
        run = world.start(
            f'command = "{commands.get(where, "echo ran >> order; sleep 60")}"\n'
            'kill_grace = "50ms"\nretry = { initial_interval = "1h" }'
        )
    if where != "never started":
        world.until(lambda: world.read("order") == "ran\n")
    if where == "waiting":
        world.until(lambda: world.step(run)["status"] == "waiting")
    keeper = world.keeper() if where == "lost" else 0
    world.die()
    if where == "lost":
        world.kill_keeper(keeper)
    getattr(control, how)(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    run = world.finish(world.take(run))
    assert run.state.status == ("canceled" if how == "cancel" else "terminated")
    assert world.read("order") == ("" if where == "never started" else "ran\n")
    assert world.alive(run) == []


def test_a_canceled_run_is_terminated_in_the_moment_somebody_takes_it(world: World) -> None:
    run = world.start(
        """
[[jobs.x.steps]]
name = "waits"
command = "exit 1"
retry = { initial_interval = "1h" }
[[jobs.x.steps]]
name = "runs"
needs = []
command = "sleep 60"
"""
    )
    world.until(lambda: world.step(run, "waits")["status"] == "waiting")
    world.die()
    control.cancel(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    run = world.take(run)
    control.terminate(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.finish(run)  # the step is ended once, by whichever comes first
    assert run.state.status == "terminated"
    assert [event.step for event in world.events(run, EventType.STEP_ENDED)] == ["waits"]
    assert world.alive(run) == []


def test_timeouts_go_on_from_the_recorded_times(world: World) -> None:
    run = world.start('command = "echo up; sleep 60"\nstep_timeout = "2s"\nkill_grace = "50ms"')
    world.until(lambda: world.log(run) == "up\n")
    world.die()
    run = world.finish(world.take(run))
    step = world.step(run)
    assert step["status"] == "timed_out"
    ended, started = (world.events(run, kind)[0].at for kind in (EventType.ATTEMPT_ENDED, EventType.ATTEMPT_STARTED))
    assert 2000 <= ended - started < 20_000


def test_a_wait_for_a_retry_goes_on_where_it_was(world: World) -> None:
    run = world.start('command = "[ $JOBCTL_ATTEMPT = 2 ]"\nretry = { initial_interval = "300ms" }')
    world.until(lambda: world.step(run)["status"] == "waiting")
    world.die()
    run = world.finish(world.take(run))
    end, start = world.events(run, EventType.ATTEMPT_ENDED)[0], world.events(run, EventType.ATTEMPT_STARTED)[1]
    assert start.at >= end.data["retry_at"] == end.at + 300
    assert run.state.status == "succeeded"


def test_a_run_of_a_living_executor_is_not_taken(world: World, tmp_path: Path) -> None:
    run = world.start('command = "sleep 60"')
    other = local.LocalEngine(world.store, executor.Executor(str(tmp_path / "state"), "daemon"), host=Host())
    assert other.take(run.id, run.job, env_file={}) is None
    other.close()


def test_a_retry_is_due_when_it_is_due_whatever_the_clock_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.start('command = "[ $JOBCTL_ATTEMPT = 2 ]"\nretry = { initial_interval = "100ms" }')
    world.until(lambda: run.state.steps["main"].retry_at)
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() - 3_600_000)  # set back by an hour
    world.finish(run)
    assert run.state.status == "succeeded"


# -- what a command gets ---------------------------------------------------------------------------------------------


def test_folders_shells_and_layers_of_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "leaked")
    monkeypatch.setenv("PASSED", "yes")
    monkeypatch.setenv("JOBCTL_RUN", "outer")
    (world.folder / "sub").mkdir()
    (world.folder / "my.env").write_text("B=file\nC=file\nD=file\nT={{ run.id }}\n")
    run = world.run(
        """
[defaults]
env = { A = "defaults", B = "defaults", REF = "{{ params.p }}" }
[jobs.x]
params = { p = "v", list = { type = "list", default = [1, "a"] }, flag = { type = "boolean", default = false } }
env_file = "my.env"
env = { C = "job", D = "job" }
inherit_env = ["PASS*"]
cwd = "sub"
shell = "/bin/bash"
[[jobs.x.steps]]
name = "a"
env = { D = "step-{{ params.p }}", E = "$HOME" }
command = '''
printf "%s|" $A $B $C $D "$E" $REF "$T" "${LEAK-no}" $PASSED
printf "%s|" "$JOBCTL_RUN" $JOBCTL_JOB $JOBCTL_STEP $JOBCTL_ATTEMPT $JOBCTL_IDEMPOTENCY_KEY
printf "%s|" $JOBCTL_PARAM_P "$JOBCTL_PARAM_LIST" $JOBCTL_PARAM_FLAG "${JOBCTL_CURSOR-none}"
printf "%s|" "${BASH_VERSION:+bash}" "$PWD"'''
[[jobs.x.steps]]
name = "b"
cwd = "/"
shell = "/bin/sh"
command = 'printf "%s|" "$PWD" "${BASH_VERSION-dash}"'
"""
    )
    assert world.log(run, "a").split("|")[:-1] == [
        *("defaults", "file", "job", "step-v", "$HOME", "v", "{{ run.id }}", "no", "yes", run.name, "x", "a", "1"),
        *(f"{run.name}/a", "v", '[1,"a"]', "false", "none", "bash", str(world.folder / "sub")),
    ]
    assert world.log(run, "b").startswith("/|")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('command = "true"\ncwd = "nowhere"', "cwd"),
        ('command = "true"\nshell = "/bin/nosuchshell"', "command not found"),
        ('command = ["nosuchprogram"]', "command not found"),
        ('params = { p = "x" }\ncommand = ["echo", "{{ params.p }}"]', "E2BIG"),
    ],
)
def test_a_command_that_cannot_be_started_fails_with_a_sentence(world: World, text: str, says: str) -> None:
    run = world.run(text, {"p": "x" * 200_000} if "params" in text else None)
    assert run.state.status == "failed"
    assert says in world.step(run)["error"]


def test_secrets_are_in_the_commands_environment_and_not_in_what_is_kept(world: World) -> None:
    (world.folder / "my.env").write_text("PLAIN=from-the-env-file\n")
    run = world.run(
        """
env = { API_TOKEN = "hush-1234", HARMLESS = "shown" }
env_file = "my.env"
command = 'echo "$API_TOKEN $PLAIN"; echo "message=bad token $API_TOKEN for $PLAIN" > $JOBCTL_FAILURE; false'
"""
    )
    assert world.log(run) == "hush-1234 from-the-env-file\n"
    kept = world.store.definition(world.row(run).definition)
    assert "hush" not in kept
    assert "shown" in kept
    assert world.step(run)["error"] == "bad token *** for ***"
    assert world.document(run)["reason"] == "step main: bad token *** for ***"
    world.store.checkpoint()
    stored = b"".join(path.read_bytes() for path in Path(world.state).glob("jobctl.db*"))
    assert b"hush-1234" not in stored
    assert b"from-the-env-file" not in stored


def test_a_log_stays_within_its_limit(world: World) -> None:
    run = world.start(
        'log_limit = "64KiB"\ncommand = "head -c 1000000 /dev/zero | tr \\"\\\\0\\" x; echo; touch written; '
        'while [ ! -e go ]; do sleep 0.01; done; echo end"'
    )
    path = Path(world.state, "runs", run.name, "main.1.log")
    world.until(lambda: (world.folder / "written").exists() and path.stat().st_size < 100_000)
    (world.folder / "go").touch()
    world.finish(run)
    assert world.log(run).endswith("end\n")


def test_a_flood_that_ends_before_anybody_looks_at_it_stays_within_its_limit_too(world: World) -> None:
    run = world.run('log_limit = "64KiB"\ncommand = "head -c 3000000 /dev/zero; echo; echo end; exit 3"')
    assert world.log(run).endswith("\nend\n")
    assert len(world.log(run)) < 100_000
    assert world.step(run)["attempts"][0]["exit_code"] == 3


def test_files_of_a_run_are_for_their_owner_only(world: World) -> None:
    run = world.run("command = 'umask; touch made'")
    folder = Path(world.state, "runs", run.name)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


# -- want of something -------------------------------------------------------------------------------------------------

PARALLEL = """
[[jobs.x.steps]]
name = "long"
command = "echo up >> up; while [ ! -e go ]; do sleep 0.01; done; echo long >> order"
[[jobs.x.steps]]
name = "first"
needs = []
command = "echo up >> up; while [ ! -e full ]; do sleep 0.01; done; echo first >> order"
[[jobs.x.steps]]
name = "second"
needs = ["first"]
command = "echo second >> order"
"""


def test_a_full_disk_stops_new_work_and_nothing_else(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 30)
    world = World(tmp_path, small_disk / "state")
    run = world.start(PARALLEL)
    world.until(lambda: world.read("up").split() == ["up", "up"])
    filler = small_disk / "filler"
    _fill(filler)
    (tmp_path / "full").touch()
    world.until(lambda: world.engine.trouble is not None)
    (tmp_path / "go").touch()
    world.until(lambda: sorted(world.read("order").split()) == ["first", "long"])
    for _ in range(20):
        world.engine.turn(10)
    assert world.engine.trouble is not None
    assert "disk is full" in world.engine.trouble.message
    assert sorted(world.read("order").split()) == ["first", "long"]
    filler.unlink()
    world.finish(run)
    assert world.engine.trouble is None
    assert run.state.status == "succeeded"
    assert sorted(world.read("order").split()) == ["first", "long", "second"]
    assert world.store.quick_check() == []
    assert world.store.state(world.row(run)).status == "succeeded"
    world.close()


def test_a_cancel_while_the_disk_is_full_is_carried_out_when_there_is_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 30)
    world = World(tmp_path, small_disk / "state")
    run = world.start(PARALLEL)
    world.until(lambda: world.read("up").split() == ["up", "up"])
    _fill(small_disk / "filler")
    world.engine.request(run, EventType.CANCEL_REQUESTED, reason="r" * 20_000, by="me")
    world.until(lambda: world.engine.trouble is not None)
    (tmp_path / "full").touch()
    world.until(lambda: world.read("order").split() == ["first"])
    (small_disk / "filler").unlink()
    world.finish(run)
    assert run.state.status == "canceled"
    assert world.read("order").split() == ["first"]
    assert world.alive(run) == []
    world.close()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def test_what_is_learned_in_the_turn_in_which_the_store_is_back_is_recorded_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 1)
    run = world.start(PARALLEL)
    world.until(lambda: world.read("up").split() == ["up", "up"])

    def full(*_: object) -> None:
        raise StoreUnavailableError("full")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "append", full)
        (world.folder / "full").touch()
        world.until(lambda: world.engine.trouble is not None)
        (world.folder / "go").touch()
        world.ended(run, "long")
    world.finish(run)  # its first turn hears of the end of `long`, and writes what it kept of `first`
    assert run.state.status == "succeeded"
    ends = [event.step for event in world.events(run, EventType.ATTEMPT_ENDED)]
    assert sorted(ends) == ["first", "long", "second"]


def test_a_run_that_could_not_be_recorded_begins_when_it_can(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timeout has not passed before there was anything of it."""
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 1)

    def full(*_: object) -> None:
        raise StoreUnavailableError("full")

    now = clock.now()
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "append", full)
        run = world.start('timeout = "10m"\ncommand = "true"')
        assert world.engine.trouble is not None
    monkeypatch.setattr(clock, "now", lambda: now + 3_600_000)
    world.finish(run)
    assert run.state.status == "succeeded"
    assert (run.state.created_at, run.state.try_started_at) == (now + 3_600_000, now + 3_600_000)


def test_a_store_that_is_locked_for_long_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr(commit, "RETRY_STORE_MS", 30)
    run = world.start('command = "echo ran >> order"')
    world.engine.store.be_patient(20)
    holder = sqlite3.connect(Path(world.state, "jobctl.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    world.until(lambda: world.engine.trouble is not None)
    assert world.engine.busy
    holder.execute("COMMIT")
    world.finish(run)
    assert run.state.status == "succeeded"
    assert world.read("order") == "ran\n"
    assert world.engine.trouble is None


def test_without_a_free_descriptor_nothing_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(timers, "RETRY_MS", 30)
    run = world.start(PARALLEL)
    world.until(lambda: world.read("up").split() == ["up", "up"])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        os.close(held.pop())  # for the two files made here
        (world.folder / "full").touch()
        (world.folder / "go").touch()
        held.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(20):
            world.engine.turn(10)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    world.finish(run)
    assert run.state.status == "succeeded"
    assert sorted(world.read("order").split()) == ["first", "long", "second"]


@pytest.mark.parametrize("what", ["read_cursor", "read_outputs"])
def test_files_that_cannot_be_opened_just_now_are_read_later(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(timers, "RETRY_MS", 30)
    real, refused = getattr(files_of, what), list[int]()

    def full(path: str) -> object:
        if len(refused) < 3:
            refused.append(1)
            raise OSError(24, "Too many open files")
        return real(path)

    run = world.start('command = "echo 1 > $JOBCTL_HEARTBEAT; echo k=v > $JOBCTL_OUTPUT; echo ran >> order"')
    monkeypatch.setattr(files_of, what, full)
    world.finish(run)
    assert len(refused) == 3
    assert run.state.status == "succeeded"
    assert world.step(run)["outputs"] == {"k": "v"}
    assert world.read("order") == "ran\n"
    assert world.engine.attempts_running == 0


def test_when_no_process_can_be_made_the_attempt_waits_and_stays_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "RETRY_MS", 30)
    real, refused = os.posix_spawn, list[int]()

    def spawn(*how: object, **more: object) -> int:
        if len(refused) < 3:
            refused.append(1)
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(*how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "posix_spawn", spawn)
    run = world.run('command = "echo $JOBCTL_ATTEMPT >> order"')
    assert run.state.status == "succeeded"
    assert len(refused) == 3
    assert world.read("order") == "1\n"
    assert len(world.events(run, EventType.ATTEMPT_STARTED)) == 1


def test_a_runs_folder_that_cannot_be_made_is_a_failure_and_not_a_wait(world: World) -> None:
    Path(world.state, "runs").touch()
    run = world.run('command = "true"')
    assert run.state.status == "failed"
    assert "could not be started" in world.step(run)["error"]


# -- two writers -------------------------------------------------------------------------------------------------------


def test_an_event_of_somebody_else_between_two_turns_is_read_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.start(THREE.replace("[ -e good ]", "true"))
    monkeypatch.setattr(executor, "poke", lambda *_: False)  # nobody tells the engine
    control.pause(world.store, _row_of(world, run), reason=None, by="me", host=Host())
    world.until(lambda: run.decider.paused)
    assert world.read("order") == "a\n"
    assert [str(event.type) for event in world.told] == [str(event.type) for event in world.events(run)]
    control.unpause(world.store, _row_of(world, run), by="me", host=Host())
    monkeypatch.setattr(local, "LOOK_EVERY_MS", 20)
    world.finish(run)
    assert run.state.status == "succeeded"


def test_observers_hear_of_what_is_recorded_and_in_that_order(world: World) -> None:
    run = world.run(THREE)
    assert [str(event.type) for event in world.told] == [str(event.type) for event in world.events(run)]
