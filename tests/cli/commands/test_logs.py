"""What attempts have written: which of it, how it is made fit for where it goes, and following it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from live_runs import HELD, Runs

import looked
from jobctl.cli.commands.logs import _Out, _Pieces
from jobctl.cli.main import main
from jobctl.core.model import Compensation, Job, RetryPolicy, Step
from jobctl.core.run.history import EventType
from jobctl.definitions.masking import Masker
from jobctl.host.settings import Settings
from jobctl.process.logs import CHUNK, LINE_LIMIT


def logs(capsysbinary: pytest.CaptureFixture[bytes], *args: str) -> bytes:
    assert main(["logs", *args]) == 0
    return capsysbinary.readouterr().out


def trip(runs: Runs) -> Job:
    """charge fails once, then pay fails for good, and charge is undone."""
    charge = Step(
        "charge",
        command='echo "charge $JOBCTL_ATTEMPT"; printf "no end"; test "$JOBCTL_ATTEMPT" = 2',
        retry=RetryPolicy(2, 1),
        compensate=Compensation("echo undone"),
    )
    return runs.job(charge, Step("pay", command="seq 5; exit 1", needs=("charge",)), name="trip")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (
            [],
            "== charge, attempt 2 ==\ncharge 2\nno end\n== pay, attempt 1 ==\n1\n2\n3\n4\n5\n"
            "== charge (compensation), attempt 1 ==\nundone\n",
        ),
        (["charge"], "charge 2\nno end"),
        (["charge!undo"], "undone\n"),
        (["charge", "--attempt", "1"], "charge 1\nno end"),
        (["pay", "--tail", "2"], "4\n5\n"),
        (["pay", "--tail", "0"], ""),
        (
            ["--tail", "1"],
            "== charge, attempt 2 ==\nno end\n== pay, attempt 1 ==\n5\n"
            "== charge (compensation), attempt 1 ==\nundone\n",
        ),
        (["--attempt", "2"], "charge 2\nno end"),
        (["--raw"], "charge 2\nno end1\n2\n3\n4\n5\nundone\n"),
        (["charge", "-f"], "charge 2\nno end"),
        (
            ["-f"],
            "charge | charge 2\ncharge | no end\npay | 1\npay | 2\npay | 3\npay | 4\npay | 5\n"
            "charge (compensation) | undone\n",
        ),
    ],
)
def test_which_output(args: list[str], expected: str, runs: Runs, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    name = runs.done(trip(runs))
    assert logs(capsysbinary, name, *args).decode() == expected


def test_as_json(runs: Runs, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    name = runs.done(trip(runs))
    lines = [
        {"step": "charge", "attempt": 2, "line": "charge 2"},
        {"step": "charge", "attempt": 2, "line": "no end"},
        *({"step": "pay", "attempt": 1, "line": str(number)} for number in range(1, 6)),
        {"step": "charge!undo", "attempt": 1, "line": "undone"},
    ]
    assert json.loads(logs(capsysbinary, name, "--json")) == lines
    followed = [json.loads(line) for line in logs(capsysbinary, name, "-f", "--json").splitlines()]
    assert followed == [*lines, looked.run_document(runs.store, runs.store.find(name))]


def test_nothing_written_yet(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command=HELD), Step("b", command="true", needs=("a",))))
    assert main(["logs", run.name, "b"]) == 0
    assert capsys.readouterr() == ("", "step b has written nothing yet\n")
    assert main(["logs", run.name, "b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nope"], 3, "there is no run 'nope'"),
        (["trip", "chrge"], 3, "has no step 'chrge'\nhint: did you mean `charge`?"),
        (["trip", "charge", "--attempt", "3"], 3, "step charge of run {name} has no attempt 3"),
        (["trip", "--attempt", "3"], 3, "no step of run {name} has an attempt 3"),
        (["trip", "--tail", "-1"], 2, "--tail is below 0"),
        (["trip", "--raw", "--json"], 2, "--raw is bytes and --json is text"),
    ],
)
def test_what_is_refused(
    args: list[str], code: int, message: str, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    name = runs.done(trip(runs))
    assert main(["logs", *args]) == code
    assert message.format(name=name) in capsys.readouterr().err


# -- secrets and terminals ---------------------------------------------------------------------------------------------

SECRET = """\
[jobs.job]
command = 'echo "with $API_TOKEN and $PLAIN"'
env = { API_TOKEN = "hunter22", PLAIN = "visible" }
"""


@pytest.mark.parametrize(
    ("change", "args", "expected"),
    [
        (None, [], "with *** and visible\n"),
        (None, ["-f"], "with *** and visible\n"),
        (None, ["--json"], '[\n{"step": "main", "attempt": 1, "line": "with *** and visible"}\n]\n'),
        (None, ["--raw"], "with hunter22 and visible\n"),
        # Without the file nobody knows what is secret any more.
        (lambda folder: (folder / "jobs.toml").unlink(), [], "with hunter22 and visible\n"),
    ],
)
def test_secrets(
    change: Callable[[Path], None] | None,
    args: list[str],
    expected: str,
    folder: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    (folder / "jobs.toml").write_text(SECRET)
    assert main(["run", "job"]) == 0
    if change is not None:
        change(folder)
    capsysbinary.readouterr()
    assert main(["logs", "job", *args]) == 0
    out, err = capsysbinary.readouterr()
    assert out.decode() == expected
    assert (b"API_TOKEN" in err) is (change is not None)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"a hunter22 b\n"],
        [b"a hun", b"ter22 b\n"],
        [b"a ", b"hunter2", b"2", b" b\n"],
        [b"a hunter22 b"],
        [b"a hunter", b"22 b"],
    ],
)
def test_a_secret_that_comes_in_pieces(chunks: list[bytes], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = _Pieces(_Out(Settings(), Masker(["hunter22"]), raw=False))
    for chunk in chunks:
        pieces.feed(chunk)
    pieces.feed(b"", final=True)
    assert capsysbinary.readouterr().out.rstrip(b"\n") == b"a *** b"


def test_a_line_without_an_end_is_not_held_for_ever(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = _Pieces(_Out(Settings(), Masker(["hunter22"]), raw=False))
    pieces.feed(b"x" * (CHUNK + LINE_LIMIT))
    assert capsysbinary.readouterr().out == b""
    pieces.feed(b"x")
    assert len(capsysbinary.readouterr().out) == CHUNK + LINE_LIMIT + 1


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], b"\\x1b[2Jhi \xc3\xa4 \\xff\r\n"),
        (["-f"], b"\\x1b[2Jhi \xc3\xa4 \\xff\r\n"),
        (["--raw"], b"\x1b[2Jhi \xc3\xa4 \xff\r\n"),
    ],
)
def test_control_sequences_on_a_terminal(args: list[str], expected: bytes, runs: Runs) -> None:
    name = runs.done(runs.job(Step("main", command=r"printf '\033[2Jhi ä \377\n'")))
    assert on_terminal("logs", name, *args) == expected


def test_elsewhere_bytes_stay_as_they_are(runs: Runs, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    name = runs.done(runs.job(Step("main", command=r"printf '\033[2Jhi \377\r\n'")))
    assert logs(capsysbinary, name) == b"\x1b[2Jhi \xff\r\n"


def on_terminal(*args: str) -> bytes:
    """What a jobctl writes whose stdout is a terminal."""
    import os
    import pty

    outer, inner = pty.openpty()
    subprocess.run([sys.executable, "-m", "jobctl", *args], stdout=inner, check=True, timeout=20)
    os.close(inner)
    out = b""
    try:
        while data := os.read(outer, 4096):
            out += data
    except OSError:
        pass  # Linux' way of saying that the other side is closed
    os.close(outer)
    return out


# -- follow ------------------------------------------------------------------------------------------------------------


class Following:
    """A `jobctl logs -f` of its own, and what it has written so far."""

    def __init__(self, folder: Path, *args: str) -> None:
        self._out, self._err = folder / "followed", folder / "followed.err"
        command = [sys.executable, "-m", "jobctl", "logs", "-f", *args]
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err)

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None


def test_following_until_the_run_ends(folder: Path, runs: Runs) -> None:
    step = Step("main", command=f"echo begun; {HELD}; echo ends; test $JOBCTL_ATTEMPT = 3", retry=RetryPolicy(3, 1))
    run = runs.start(runs.job(step))
    following = Following(folder, run.name)
    runs.until(lambda: following.out == "begun\n")  # the first output comes at once
    runs.let_go()
    runs.until(following.ended)
    assert following.process.returncode == 0
    # Also attempts that came and went between two looks.
    again = "begun\nends\n== main, attempt {} ==\n"
    assert following.out == again.format(2) + again.format(3) + "begun\nends\n"
    assert following.err == ""


def test_several_steps_are_told_apart(folder: Path, runs: Runs) -> None:
    steps = [Step(name, command=f"echo {name} begins; {HELD}; echo {name} ends") for name in ("left", "right")]
    run = runs.start(runs.job(*steps, Step("last", command="echo last", needs=("left", "right"))))
    following = Following(folder, run.name)
    runs.until(lambda: len(following.out.splitlines()) == 2)
    runs.let_go()
    runs.until(following.ended)
    lines = following.out.splitlines()
    assert sorted(lines[:-1]) == [
        "left | left begins", "left | left ends", "right | right begins", "right | right ends",
    ]  # fmt: skip
    assert lines[-1] == "last | last"


def test_only_new_lines(folder: Path, runs: Runs) -> None:
    run = runs.start(runs.job(Step("main", command=f"seq 100; {HELD}; echo ends")))
    log = folder / "state" / "runs" / run.name / "main.1.log"
    runs.until(lambda: log.exists() and log.read_text().endswith("100\n"))
    following = Following(folder, run.name, "--tail", "1")
    runs.until(lambda: following.out == "100\n")
    runs.let_go()
    runs.until(following.ended)
    assert following.out == "100\nends\n"


@pytest.mark.parametrize("paused", [False, True])
def test_a_run_that_nobody_is_at_is_not_waited_for(
    paused: bool, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.start(runs.job(Step("main", command=f"echo begun; {HELD}")))
    log = Path(runs.store.state_dir) / "runs" / run.name / "main.1.log"
    runs.until(lambda: log.exists() and log.read_text() == "begun\n")
    if paused:
        runs.ask(run, EventType.RUN_PAUSED)
    runs.die()
    assert main(["logs", "-f", run.name]) == 0
    out, err = capsys.readouterr()
    assert out == "begun\n"
    what = "is paused, and no process has it" if paused else "is interrupted"
    assert err == f"{run.name} {what}; take it up again with: jobctl resume {run.name}\n"
