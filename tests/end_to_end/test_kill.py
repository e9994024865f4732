"""`jobctl run`, killed at every instant: what it did is known, what runs goes on, what is done is not done again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import Home, strace

from jobctl.process import descent

STEP = 'echo "+ $JOBCTL_STEP $JOBCTL_ATTEMPT" >> marks; sleep 0.03; echo "- $JOBCTL_STEP $JOBCTL_ATTEMPT" >> marks'
# A chain, two beside each other, a retry, an output that is handed on.
JOB = f"""
[[jobs.x.steps]]
name = "a"
command = '{STEP}; echo k=v > $JOBCTL_OUTPUT; echo said'
[[jobs.x.steps]]
name = "b"
command = '{STEP}; echo half > $JOBCTL_HEARTBEAT; [ $JOBCTL_ATTEMPT = 2 ]'
retry = {{ maximum_attempts = 2, initial_interval = "20ms" }}
[[jobs.x.steps]]
name = "c"
needs = ["a"]
command = '{STEP}'
[[jobs.x.steps]]
name = "d"
needs = ["b", "c"]
env = {{ GIVEN = "{{{{ steps.a.outputs.k }}}} {{{{ steps.a.stdout }}}}" }}
command = '{STEP}; echo "$GIVEN" >> given'
"""
ATTEMPTS = ["a 1", "b 1", "b 2", "c 1", "d 1"]


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Callable[[str], Home]]:
    made: list[Home] = []

    def make(text: str) -> Home:
        made.append(Home(tmp_path / f"home{len(made)}", text))
        return made[-1]

    yield make
    for home in made:
        home.close()


def _goes_on(home: Home) -> bool:
    """After a kill: the run is interrupted, and resumed it ends as if nothing had been. False if nothing was begun."""
    document = home.document()
    if document is None:
        assert home.lines("marks") == []
        return False
    if document["status"] != "succeeded":
        # At once, but for the microseconds that a keeper takes to close what it was started with (close-on-exec).
        home.until(lambda: (home.document() or {})["interrupted"])
        document = home.document()
        assert document is not None
        assert document["status"] == "running"
        assert document["executor"] is None
        assert document["waiting_for"] == {"kind": "executor", "name": None, "until": None}
        code, output = home.call("resume", "x")
        assert code == 0, output
    document = home.document()
    assert document is not None
    assert document["status"] == "succeeded"
    # Every attempt once: none was repeated, none ran beside another of its step, none was taken for lost.
    marks = home.lines("marks")
    assert sorted(mark for mark in marks if mark[0] == "+") == [f"+ {attempt}" for attempt in ATTEMPTS]
    assert sorted(mark for mark in marks if mark[0] == "-") == [f"- {attempt}" for attempt in ATTEMPTS]
    assert [attempt["exit_code"] for step in document["steps"] for attempt in step["attempts"]] == [0, 1, 0, 0, 0]
    assert home.lines("given") == ["v said"]
    assert document["steps"][1]["cursor"] == "half"
    assert home.processes() == []
    return True


@pytest.mark.parametrize("delay_ms", [40, 90, 110, 130, 150, 170, 190, 220, 260])
def test_killed_after_some_time(homes: Callable[[str], Home], delay_ms: int) -> None:
    home = homes(JOB)
    process = home.start("run", "x")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay_ms / 1000)
    process.kill()
    process.communicate()
    _goes_on(home)


@pytest.mark.parametrize(
    ("call", "instants"),
    [
        ("fdatasync", range(1, 31)),
        ("/^(clone3?|vfork)$", range(1, 31)),
        ("/^rename", range(1, 3)),
        ("epoll_wait", range(1, 12, 2)),
        ("pwrite64", range(3, 60, 9)),
        ("pipe2", range(1, 3)),
    ],
    ids=["commit", "start", "rename", "wait", "write", "keeper"],
)
def test_killed_at_the_nth_system_call(homes: Callable[[str], Home], call: str, instants: range) -> None:
    killed = 0
    for instant in instants:
        home = homes(JOB)
        code, output = home.call("run", "x", before=strace(call, instant))
        if code == 0:  # so many there were not
            break
        assert code in (-signal.SIGKILL, 137), output
        killed += 1
        _goes_on(home)
    assert killed > 0


def test_killed_again_while_it_is_taken_up(homes: Callable[[str], Home]) -> None:
    home = homes(JOB)
    assert home.call("run", "x", before=strace("fdatasync", 5))[0] != 0
    kills = 0
    for instant in (1, 2, 3, 1, 2, 1):
        code, _ = home.call("resume", "x", before=strace("fdatasync", instant))
        kills += code != 0
        if code == 0:
            break
    assert kills >= 3
    _goes_on(home)


def test_a_living_attempt_is_adopted_and_a_killed_one_is_lost(homes: Callable[[str], Home]) -> None:
    home = homes(
        """
[[jobs.x.steps]]
name = "lives"
command = 'echo "+ $JOBCTL_ATTEMPT" >> lives; while [ ! -e go ]; do sleep 0.01; done; echo late; exit 7'
allow_failure = true
[[jobs.x.steps]]
name = "dies"
needs = []
command = '''
echo "$$ ${JOBCTL_CURSOR-none}" >> dies; echo far > $JOBCTL_HEARTBEAT
[ $JOBCTL_ATTEMPT = 2 ] || { setsid sleep 60 & sleep 60; }'''
retry = { maximum_attempts = 2, initial_interval = "10ms" }
"""
    )
    process = home.start("run", "x")
    home.until(lambda: home.lines("lives") and home.lines("dies") and len(home.processes()) >= 4)
    process.kill()
    process.communicate()
    shell = int(home.lines("dies")[0].split()[0])
    found = descent.look(shell)
    assert found is not None
    os.kill(descent.checked(found.parent), signal.SIGKILL)  # the keeper: nobody is there to see how its commands end
    os.kill(descent.checked(shell), signal.SIGKILL)  # what it started lives on, as after an out-of-memory kill
    document = home.document()
    assert document is not None
    assert document["interrupted"]
    resumed = home.start("resume", "x")
    home.until(lambda: len(home.lines("dies")) == 2)
    (home.folder / "go").touch()
    resumed.communicate(timeout=30)
    assert resumed.returncode == 0
    document = home.document()
    assert document is not None
    lives, dies = document["steps"]
    # It was taken up by its pid; how it ended the kernel tells since Linux 6.15.
    (attempt,) = lives["attempts"]
    assert attempt["status"] == "failed"
    assert attempt["exit_code"] == 7 or attempt["error"].startswith("lost")
    assert Path(lives["attempts"][0]["log"]).read_text() == "late\n"
    assert home.lines("lives") == ["+ 1"]
    assert [a["status"] for a in dies["attempts"]] == ["failed", "succeeded"]
    assert dies["attempts"][0]["error"].startswith("lost")
    assert home.lines("dies")[1].endswith(" far")
    assert home.processes() == []


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_a_run_whose_process_was_killed_can_be_ended(homes: Callable[[str], Home], how: str) -> None:
    home = homes('[jobs.x]\nkill_grace = "100ms"\ncommand = "echo up > marks; sleep 60"\ntags = ["t"]\n')
    process = home.start("run", "x")
    home.until(lambda: home.lines("marks"))
    process.kill()
    process.communicate()
    assert home.processes() != []
    code, output = home.call(how, "x")
    assert code == 0, output
    document = home.document()
    assert document is not None
    assert document["status"] == ("canceled" if how == "cancel" else "terminated")
    assert home.processes() == []


# -- signals ---------------------------------------------------------------------------------------------------------

MINDS = '[jobs.x]\ncommand = "echo up > marks; sleep 60"\n'
IGNORES = """[jobs.x]
kill_grace = "60s"
command = "trap '' TERM; (setsid sleep 60 &); echo up > marks; while :; do sleep 0.02; done"
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 130)], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("flags", [[], ["--json"], ["-q"]], ids=["plain", "json", "quiet"])
def test_a_signal_cancels(homes: Callable[[str], Home], number: int, code: int, flags: list[str]) -> None:
    home = homes(MINDS)
    process = home.start("run", "x", *flags)
    home.until(lambda: home.lines("marks"))
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output
    document = home.document()
    assert document is not None
    assert document["status"] == "canceled"
    assert home.processes() == []
    if flags != ["--json"]:
        assert output.splitlines()[-1] == f"take it up again with: jobctl resume {document['id']}"


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)],
    ids=["INT", "TERM", "both"],
)
def test_a_second_signal_kills(homes: Callable[[str], Home], first: int, second: int) -> None:
    home = homes(IGNORES)
    process = home.start("run", "x", "--json")
    home.until(lambda: home.lines("marks"))
    assert process.stdout is not None
    process.send_signal(first)
    for line in process.stdout:
        if "cancel_requested" in line:
            break
    process.send_signal(second)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 137, output
    assert home.processes() == []
    assert json.loads(output.splitlines()[-1])["status"] == "terminated"


def test_under_nohup_a_hangup_is_nothing(homes: Callable[[str], Home]) -> None:
    home = homes('[jobs.x]\ncommand = "echo up > marks; while [ ! -e go ]; do sleep 0.01; done"\n')
    process = home.start("run", "x", before=("sh", "-c", "trap '' HUP; exec \"$@\"", "sh"))
    home.until(lambda: home.lines("marks"))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    (home.folder / "go").touch()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


REFUSE_ALL = """
import os, signal, sys
numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
for number in numbers:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_signals_arrive_though_jobctl_was_started_with_all_of_them_ignored_and_blocked(
    homes: Callable[[str], Home],
) -> None:
    home = homes('[jobs.x]\ncommand = "echo up > marks; sleep 60"\nkill_grace = "60s"\n')
    process = home.start("run", "x", before=(sys.executable, "-c", REFUSE_ALL))
    home.until(lambda: home.lines("marks"))
    ignored = int(Path(f"/proc/{process.pid}/status").read_text().split("SigIgn:")[1].split()[0], 16)
    assert not ignored & (1 << (signal.SIGCHLD - 1))  # or keepers would be reaped, and their pids be anybody's
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143, output
    document = home.document()
    assert document is not None
    assert document["steps"][0]["attempts"][0]["signal"] == "SIGTERM"
