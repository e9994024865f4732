"""What a person at a terminal sees: the frame as text, and real runs in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from runs import run_of

from jobctl.cli.show import render
from jobctl.cli.show.render import Segment
from jobctl.core.model import Compensation, Job, RetryPolicy, Step, When
from jobctl.core.run.history import Event, EventType

E = EventType
A, B = Step("a", command="true"), Step("bb", needs=("a",), command="true")
UNDO_A = replace(A, compensate=Compensation("undo"))
CREATED = (Event(E.RUN_CREATED, 0), Event(E.RUN_TAKEN, 0, data={"executor": "e"}))


def started(at: int, step: str, number: int = 1) -> Event:
    return Event(E.ATTEMPT_STARTED, at, step, number)


def ended(at: int, step: str, number: int = 1, **data: Any) -> Event:
    return Event(E.ATTEMPT_ENDED, at, step, number, data)


def failed(at: int, step: str, number: int = 1, **data: Any) -> Event:
    return ended(at, step, number, status="failed", error="exit code 7", **data)


def texts(lines: Sequence[render.Line]) -> list[str]:
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("steps", "events", "expected"),
    [
        pytest.param(
            (A, B),
            (started(0, "a"),),
            ["x-1  running  9s  0 of 2 steps ended", "  ● a   9s", "      last", "  · bb  waits for a"],
            id="it runs, and the next one waits for it",
        ),
        pytest.param(
            (A,),
            (
                started(0, "a"),
                failed(3000, "a"),
                Event(E.RUN_ENDED, 3000, data={"status": "failed", "notifications": ["n"]}),
            ),
            ["x-1  failed, notifying  3s  1 of 1 steps ended", "  ✗ a  3s: exit code 7"],
            id="it is over, and people are told",
        ),
        pytest.param(
            (A,),
            (started(0, "a"), ended(3000, "a"), Event(E.RUN_ENDED, 3000, data={"status": "succeeded"})),
            ["x-1  succeeded  3s  1 of 1 steps ended", "  ✓ a  3s"],
            id="it is over, and a child run goes on",
        ),
        pytest.param(
            (replace(A, retry=RetryPolicy(maximum_attempts=3)), B),
            (started(0, "a"), failed(9000, "a", retry_at=11_200)),
            [
                "x-1  running  9s  0 of 2 steps ended",
                "  ◌ a   attempt 2 of 3 in 2s: exit code 7",
                "  · bb  waits for a",
            ],
            id="countdown to the next attempt",
        ),
        pytest.param(
            (replace(A, retry=RetryPolicy(maximum_attempts=0)),),
            (started(0, "a"), failed(1000, "a", retry_at=2000), started(2000, "a", 2)),
            ["x-1  running  9s  0 of 1 steps ended", "  ● a  7s, attempt 2", "      last"],
            id="a later attempt of as many as it takes",
        ),
        pytest.param(
            (A, B, Step("alarm", command="true", when=When.FAILURE), Step("cc", needs=(), command="true")),
            (started(0, "a"), started(0, "cc"), failed(100, "a")),
            [
                "x-1  failing  9s  1 of 4 steps ended",
                "  ✗ a      100ms: exit code 7",
                "  · bb     will not start",
                "  · alarm  only if the run fails",
                "  ● cc     9s",
            ],
            id="it has failed, what runs still ends",
        ),
        pytest.param(
            (UNDO_A, B),
            (started(0, "a"), ended(10, "a"), started(10, "bb"), failed(20, "bb"), Event(E.UNDO_STARTED, 5000, "a", 1)),
            [
                "x-1  failed, compensating  9s  1 of 2 steps ended",
                "  ● a   compensating, 4s",
                "      undone",
                "  ✗ bb  10ms: exit code 7",
            ],
            id="compensation under way",
        ),
        pytest.param(
            (
                replace(A, compensate=Compensation("undo")),
                B,
                Step("z", needs=("bb",), command="true", when=When.ALWAYS),
            ),
            (
                *(started(0, "a"), ended(10, "a"), started(10, "bb"), failed(20, "bb")),
                *(
                    Event(E.UNDO_STARTED, 20, "a", 1),
                    Event(E.UNDO_ENDED, 30, "a", 1, {"status": "failed", "error": "no"}),
                ),
                started(8500, "z"),
            ),
            [
                "x-1  failed, cleaning up  9s  2 of 3 steps ended",
                "  ✓ a   NOT COMPENSATED (no), 10ms",
                "  ✗ bb  10ms: exit code 7",
                "  ● z   1s",
            ],
            id="a compensation that failed",
        ),
        pytest.param(
            (A, B),
            (started(0, "a"), Event(E.RUN_PAUSED, 10)),
            [
                "x-1  paused (go on: jobctl resume x-1)  9s  0 of 2 steps ended",
                "  ● a   9s",
                "      last",
                "  · bb  waits for a",
            ],
            id="paused",
        ),
        pytest.param(
            (replace(A, name="main", retry=RetryPolicy(maximum_attempts=3)),),
            (started(0, "main"), failed(9000, "main", retry_at=10_000)),
            ["x-1  running  9s  attempt 2 of 3 in 1s: exit code 7"],
            id="a job with a command",
        ),
    ],
)
def test_the_frame(steps: Sequence[Step], events: Sequence[Event], expected: list[str], tmp_path: Path) -> None:
    run = run_of(Job("x", "/", tuple(steps)), [*CREATED, *events], tmp_path)
    outputs = {"a": ["last"], "a!undo": ["undone"]}
    assert texts(render.frame(run, outputs, now=9500, rows=20)) == expected


MANY = tuple(Step(f"s{i:02}", needs=(), command="true") for i in range(60))
MANY_EVENTS = [
    *CREATED,
    *(event for i in range(10) for event in (started(0, f"s{i:02}"), ended(5, f"s{i:02}"))),
    *(started(10, f"s{i:02}") for i in range(10, 14)),
    failed(20, "s12"),
]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, []),
        (2, ["    … and 60 more: 10 succeeded, 3 running, 1 failed, 46 pending"]),
        (4, ["  ● s10  0s", "  ● s11  0s", "    … and 58 more: 10 succeeded, 1 failed, 1 running, 46 pending"]),
        (
            9,
            [
                *("  ● s10  0s", "      out", "  ● s11  0s", "  ✗ s12  10ms: exit code 7", "  ● s13  0s"),
                "    … and 56 more: 10 succeeded, 46 pending",
            ],
        ),
    ],
)
def test_more_steps_than_rows_show_what_runs_and_what_failed(rows: int, expected: list[str], tmp_path: Path) -> None:
    run = run_of(Job("x", "/", MANY), MANY_EVENTS, tmp_path)
    frame = texts(render.frame(run, {"s10": ["more", "out"]}, now=30, rows=rows))
    assert frame[1:] == expected
    assert len(frame) <= rows


@pytest.mark.parametrize(
    ("line", "columns", "expected"),
    [
        ("fits", 4, "fits"),
        ("does not fit", 8, "does no…"),
        ("日本語の文", 10, "日本語の文"),
        ("日本語の文", 8, "日本語 …"),  # a wide character does not hang over the edge
        ("x", 0, ""),
    ],
)
def test_a_line_is_cut_to_the_window(line: str, columns: int, expected: str) -> None:
    cut = render.fitted([Segment(line[:3], "red"), Segment(line[3:])], columns)
    assert "".join(segment.text for segment in cut) == expected


class Screen:
    """A run of `jobctl` in a pseudo-terminal, and what is to be seen there: as much of a terminal as the view uses.

    Any other control sequence is an error: so nothing is asked of a terminal that it would have to be freed of.
    """

    def __init__(self, *args: str, columns: int = 80, rows: int = 24) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execv(sys.executable, [sys.executable, "-m", "jobctl", *args])
        self.lines = [""]
        self.row = 0
        self.raw = ""
        self.code = 0

    def seen(self) -> list[str]:
        return [line for line in self.lines if line]

    def changes(self) -> Iterator[list[str]]:
        """The screen after each piece of output, until the process has ended."""
        pending = b""
        while select.select([self.fd], [], [], 30)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # Linux' way to say that the other side is closed
                data = b""
            if not data:
                break
            text = (pending + data).decode("utf-8", "ignore")
            pending = b""
            self.raw += text
            self._write(text)
            yield self.seen()
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)

    def _write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[^\x1b\r\n]+|.|\n", text):
            if part == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif part == "\r":
                pass  # only ever followed by what takes lines away, or by a line end
            elif part.endswith("A"):
                self.row -= int(part[2:-1])
                assert self.row >= 0
            elif part == "\x1b[J":
                self.lines[self.row :] = [""]
            elif not re.fullmatch(r"\x1b\[[0-9;]*m", part):
                assert "\x1b" not in part, part
                self.lines[self.row] += part


STEPS = """
[[jobs.x.steps]]
name = "a"
command = "printf 'over \\\\033[2J[bold]and\\\\rdone\\\\n'; read line < gate; test $JOBCTL_ATTEMPT = 2 || exit 7"
retry = { maximum_attempts = 2, initial_interval = "300ms" }

[[jobs.x.steps]]
name = "b"
command = "echo why; exit 3"
"""


def told(lines: list[str]) -> list[str]:
    return [re.sub(r"\b\d+(\.\d)?(ms|s)\b", "T", re.sub(r"x-[0-9a-z]{6}", "x-ID", line)) for line in lines]


def test_a_run_is_drawn_in_place_and_ends_as_its_summary() -> None:
    Path("jobs.toml").write_text(STEPS, encoding="utf-8")
    os.mkfifo("gate")
    gate = os.open("gate", os.O_RDWR)
    screen = Screen("run", "x")
    frames = []
    for seen in screen.changes():
        frames.append(told(seen))
        if frames[-1][2:3] == ["      done"] and len(os.listdir("state/runs")) == 1:
            os.write(gate, b"go on\n")
    os.close(gate)
    headline = "x-ID  running  T  0 of 2 steps ended"
    assert [headline, "  ● a  T", "      done", "  · b  waits for a"] in frames
    assert [headline, "  ◌ a  attempt 2 of 2 in T: exit code 7", "  · b  waits for a"] in frames
    assert frames[-1] == [
        "x-ID failed after T: step b: exit code 3",
        "  a  succeeded, T, 2 attempts (1 failed)",
        "  b  failed, T: exit code 3",
        "the end of the output of step b:",
        "  | why",
        "logs: jobctl logs x-ID b",
        "take it up again with: jobctl resume x-ID",
    ]
    assert screen.code == 1


@pytest.mark.parametrize("args", [["run", "x"], ["run", "x", "-v"]])
def test_output_is_printed_above_the_frame(args: list[str]) -> None:
    command = "printf '1 \\\\033[2J [/nope]\\\\n'; echo 2"
    verbose = "-v" in args
    job = f'[[jobs.x.steps]]\nname = "a"\ncommand = "{command}"' if verbose else f'[jobs.x]\ncommand = "{command}"'
    Path("jobs.toml").write_text(job + "\n", encoding="utf-8")
    screen = Screen(*args)
    *_, last = screen.changes()
    between = [line for line in told(last) if line.startswith(("1", "2", "a |"))]
    assert between == [("a | " if verbose else "") + line for line in ("1 \\x1b[2J [/nope]", "2")]
    assert told(last)[0] == "x-ID started"
    assert screen.code == 0


def test_a_window_that_becomes_narrow_leaves_nothing_behind() -> None:
    Path("jobs.toml").write_text(STEPS.replace('"a"', f'"{"a" * 60}"'), encoding="utf-8")
    os.mkfifo("gate")
    screen = Screen("run", "x", columns=80)
    changes = screen.changes()
    before = next(seen for seen in changes if len(seen) == 4)
    assert max(map(len, before)) > 40
    ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    # Such a terminal wraps what it shows already.
    screen.lines = [part for line in screen.lines for part in re.findall(".{1,40}", line) or [""]]
    screen.row = len(screen.lines) - 1
    after = next(seen for seen in changes if len(seen) == 4)
    assert max(map(len, after)) < 40
    os.kill(screen.pid, signal.SIGTERM)
    *_, last = changes
    assert "canceled" in "".join(last)
    assert screen.code == 143


def test_a_frame_that_cannot_be_drawn_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(render, "frame", broken)
    monkeypatch.setattr("jobctl.cli.foreground._is_terminal", lambda: True)
    from jobctl.cli.main import main

    Path("jobs.toml").write_text("[[jobs.x.steps]]\nname = 'a'\ncommand = 'touch done'\n", encoding="utf-8")
    assert main(["run", "x"]) == 0
    assert Path("done").exists()
    lines = told(capsys.readouterr().err.splitlines())
    assert lines[0] == "the run cannot be shown (RuntimeError); it goes on"
    assert lines[1] == "x-ID succeeded in T"
