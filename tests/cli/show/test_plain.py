"""What a run without a terminal prints: real runs through the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.store.store import Store

TRIP = """
[jobs.trip]
env = { API_TOKEN = "sesame-open" }

[[jobs.trip.steps]]
name = "charge"
command = "echo with $API_TOKEN; test $JOBCTL_ATTEMPT = 2"
retry = { maximum_attempts = 3, initial_interval = "10ms" }
compensate = "echo refunded"

[[jobs.trip.steps]]
name = "pay"
command = "echo no money; exit 9"

[[jobs.trip.steps]]
name = "report"
command = "true"
"""


def run(text: str, *args: str) -> int:
    Path("jobs.toml").write_text(text, encoding="utf-8")
    return main(["run", *args])


def told(text: str) -> list[str]:
    """Lines with ID for what follows a run's job name, and T for how long something took."""
    text = re.sub(r"\b([a-z]+)-[0-9a-z]{6}\b", r"\1-ID", text)
    return re.sub(r"\b\d+(\.\d)?(ms|s)\b", "T", text).splitlines()


def test_output_goes_to_stdout_and_what_becomes_of_the_steps_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TRIP, "trip") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "charge | with ***",
        "charge | with ***",
        "pay | no money",
        "charge (compensation) | refunded",
    ]
    assert told(captured.err) == [
        "trip-ID started",
        "step charge started",
        "step charge, attempt 1 failed: exit code 1; next attempt in T",
        "step charge, attempt 2 started",
        "step charge, attempt 2 succeeded in T",
        "step pay started",
        "step pay failed: exit code 9",
        "compensation of step charge started",
        "compensation of step charge succeeded in T",
        "trip-ID failed after T: step pay: exit code 9",
        "  charge  succeeded, T, 2 attempts (1 failed); compensated",
        "  pay     failed, T: exit code 9",
        "  not started: report",
        "the end of the output of step pay:",
        "  | no money",
        "logs: jobctl logs trip-ID pay",
        "it was rolled back; start anew with: jobctl run trip",
        "or from a step on: jobctl resume trip-ID --from STEP",
    ]


@pytest.mark.parametrize(
    ("job", "out", "err"),
    [
        ("command = 'echo a; printf b'", ["a", "b"], ["x-ID started", "x-ID succeeded in T"]),
        (
            "command = 'echo $JOBCTL_ATTEMPT; test $JOBCTL_ATTEMPT = 2'\nretry = {initial_interval = '1ms'}",
            ["1", "2"],
            [
                "x-ID started",
                "attempt 1 failed: exit code 1; next attempt in T",
                "attempt 2 started",
                "x-ID succeeded in T",
                "  main  succeeded, T, 2 attempts (1 failed)",
            ],
        ),
        (
            "command = 'echo why; exit 3'",
            ["why"],  # once: it stands right above
            [
                "x-ID started",
                "x-ID failed after T: step main: exit code 3",
                "logs: jobctl logs x-ID",
                "take it up again with: jobctl resume x-ID",
            ],
        ),
        (
            "command = 'exec sleep 60'\nstep_timeout = '50ms'",
            [],
            [
                "x-ID started",
                "x-ID failed after T: step main: start_to_close of T passed",
                "logs: jobctl logs x-ID",
                "take it up again with: jobctl resume x-ID",
            ],
        ),
    ],
)
def test_a_job_with_a_command_needs_no_name_before_its_lines(
    job: str, out: list[str], err: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(f"[jobs.x]\n{job}\n", "x")
    captured = capsys.readouterr()
    assert captured.out.splitlines() == out
    assert told(captured.err) == err


@pytest.mark.parametrize(
    ("command", "err"),
    [
        ("echo fine", []),
        (
            "echo why; exit 3",
            [
                "x-ID failed after T: step main: exit code 3",
                "the end of its output:",
                "  | why",
                "logs: jobctl logs x-ID",
                "take it up again with: jobctl resume x-ID",
            ],
        ),
    ],
)
def test_quiet_leaves_the_summary_of_a_failure(
    command: str, err: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(f"[jobs.x]\ncommand = '{command}'\n", "x", "-q")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told(captured.err) == err


def test_output_stands_before_the_line_that_its_step_has_ended() -> None:
    """Both streams into one file, and more output than one turn of the loop reads."""
    Path("jobs.toml").write_text("[[jobs.x.steps]]\nname = 'a'\ncommand = 'seq 100000; printf end'\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "run", "x"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    lines = told(done.stdout.decode())
    assert lines[:2] == ["x-ID started", "step a started"]
    assert lines[2:100_003] == [f"a | {i}" for i in [*range(1, 100_001), "end"]]
    assert lines[100_003] == "step a succeeded in T"


def test_bytes_that_are_no_text_come_through_unharmed() -> None:
    Path("jobs.toml").write_text("[jobs.x]\ncommand = 'printf \"\\\\377\\\\033[1m\\\\n\"'\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "jobctl", "run", "x"], capture_output=True, check=True)
    assert done.stdout == b"\xff\x1b[1m\n"


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_a_reader_that_goes_away_does_not_end_the_run(args: list[str]) -> None:
    Path("jobs.toml").write_text(
        "[jobs.x]\ncommand = 'echo a; read line < gate; echo b; touch done'\n", encoding="utf-8"
    )
    os.mkfifo("gate")
    process = start("run", "x", *args)
    line(process)
    assert process.stdout is not None
    process.stdout.close()
    Path("gate").write_text("go on\n", encoding="utf-8")
    _, err = process.communicate(timeout=30)
    assert Path("done").exists()
    assert process.returncode == 141  # as of everything whose reader goes away
    assert b"Traceback" not in err
    with Store(os.environ["JOBCTL_STATE_DIR"], create=False) as store:
        assert store.find("x").status == "succeeded"


def test_output_that_cannot_be_written_is_an_error_when_the_run_is_over() -> None:
    Path("jobs.toml").write_text("[jobs.x]\ncommand = 'echo a'\n", encoding="utf-8")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobctl", "run", "x"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert told(done.stderr.decode())[-2:] == [
        "error: x-ID succeeded, but its output could not be written: No space left on device",
        "hint: it is kept: jobctl logs x-ID",
    ]


def test_json_is_every_event_and_then_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TRIP.replace("echo with $API_TOKEN", "echo t=$API_TOKEN! >> $JOBCTL_OUTPUT"), "trip", "--json") == 1
    *events, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["type"] for event in events[:3]] == ["run_created", "run_taken", "attempt_started"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run_ended"
    assert {event["run"] for event in events} == {last["id"]}
    assert last["status"] == "failed"
    assert last["steps"][0]["outputs"] == {"t": "***!"}
    assert "sesame" not in json.dumps([events, last])


def test_an_attempt_that_runs_on_from_before_is_shown_from_its_last_lines() -> None:
    os.mkfifo("gate")
    Path("jobs.toml").write_text(
        "[[jobs.x.steps]]\nname = 'a'\ncommand = 'seq 100; read line < gate; echo $line'\n", encoding="utf-8"
    )
    first = start("run", "x")
    while line(first) != "a | 100":
        assert first.poll() is None
    first.kill()
    first.communicate()

    second = start("resume", "x")
    assert [line(second) for _ in range(10)] == [f"a | {i}" for i in range(91, 101)]
    Path("gate").write_text("further\n", encoding="utf-8")
    out, err = second.communicate(timeout=30)
    assert out == b"a | further\n"
    assert told(err.decode())[:3] == [
        "x-ID is taken up again",
        "step a, attempt 1 runs on",
        "step a succeeded in T",
    ]


def start(*args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "jobctl", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().rstrip("\n")
