"""A daemon whose end is the end of its commands: the first process of a container, or told so by --stop-commands.

Sources: webdevops/go-crond#51, mcuadros/ofelia#226, aptible/supercronic#62 (a stop kills what runs without a word),
aptible/supercronic#88, #171, #183, amalgam8/amalgam8#377 (zombies; a reaper that takes the exit codes of its own).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import PATIENCE, Daemons

WORK = """
command = \"\"\"
trap 'echo clean >> cleaned; exit 7' TERM
echo $JOBCTL_ATTEMPT cursor $JOBCTL_CURSOR >> started
echo 3 >> $JOBCTL_HEARTBEAT
while [ ! -e go ]; do sleep 0.02; done
\"\"\"
"""

# what the definitions say, how many more attempts there may be, and whether it waits for a person
RUNS = {
    "nothing about it": ("[jobs.x]", WORK, True),
    "a retry policy": ("[jobs.x]", "retry = 2\n" + WORK, False),
    "a retry policy, and pause": ("[jobs.x]", "retry = 2\nafter_stop = 'pause'\n" + WORK, True),
    "retry": ("[jobs.x]", "after_stop = 'retry'\n" + WORK, False),
    "retry, for all jobs": ("[defaults]\nafter_stop = 'retry'\n[jobs.x]", WORK, False),
    "pause, for all jobs": ("[defaults]\nafter_stop = 'pause'\nretry = 3\n[jobs.x]", WORK, True),
}
CONTAINED = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def _contained() -> tuple[str, ...]:
    if shutil.which("unshare") is None or subprocess.run([*CONTAINED, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")
    return CONTAINED


def _first(process: subprocess.Popen[str]) -> int:
    """The pid, seen from here, of the first process in the namespace that it has made."""
    [pid] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert int(pid) > 1
    return int(pid)


def _stop(daemon: subprocess.Popen[str], *, first: bool) -> None:
    os.kill(_first(daemon), signal.SIGTERM) if first else daemon.terminate()
    assert daemon.wait(PATIENCE) == 143


@pytest.mark.parametrize("first", [True, False], ids=["as PID 1", "--stop-commands"])
@pytest.mark.parametrize("says", RUNS)
def test_what_runs_is_asked_to_end_and_goes_on_afterwards(
    home: Callable[[str], Daemons], says: str, first: bool
) -> None:
    head, body, waits = RUNS[says]
    place = home(head + "\n" + body)
    daemon = place.daemon(before=_contained()) if first else place.daemon("--stop-commands")
    name = place.detach("x")
    place.until(lambda: place.lines("started"))
    _stop(daemon, first=first)
    assert place.lines("cleaned") == ["clean"]
    assert "run on" not in place.said()
    assert "1 run is left for the next daemon" in place.said()
    [attempt] = place.run_document(name)["steps"][0]["attempts"]
    assert (attempt["status"], attempt["exit_code"]) == ("stopped", 7)
    place.go()
    place.daemon()
    if waits:
        place.until(lambda: f"run {name}: taken over" in place.said())
        assert place.rows()[0].status == "paused"
        _, output = place.call("why", name)
        assert f"jobctl resume {name}" in output
        assert "was stopped with the daemon" in output
        assert place.call("resume", name)[0] == 0
    place.until(lambda: place.rows()[0].status == "succeeded")
    assert place.lines("started") == ["1 cursor", "2 cursor 3"]


def test_it_counts_for_no_retry(home: Callable[[str], Daemons]) -> None:
    """However often it was stopped, it has all its attempts."""
    body = "echo $JOBCTL_ATTEMPT >> started; test -e go && exit 1; exec sleep 600"
    place = home(f"[jobs.x]\nretry = {{ maximum_attempts = 2, initial_interval = '1ms' }}\ncommand = '{body}'\n")
    for number in (1, 2, 3):
        daemon = place.daemon("--stop-commands")
        if number == 1:
            place.detach("x")
        place.until(lambda number=number: len(place.lines("started")) == number)
        _stop(daemon, first=False)
    place.go()
    place.daemon()
    place.until(lambda: place.rows()[0].status == "failed")
    assert place.lines("started") == ["1", "2", "3", "4", "5"]


def test_drain_waits_first(home: Callable[[str], Daemons]) -> None:
    place = home(
        "[jobs.soon]\ncommand = 'echo up >> marks; while [ ! -e go ]; do sleep 0.02; done; echo down >> marks'\n"
        "[jobs.never]\ncommand = 'echo up >> marks; exec sleep 600'\n"
    )
    daemon = place.daemon("--stop-commands", "--drain", "2s")
    place.detach("soon")
    place.detach("never")
    place.until(lambda: len(place.lines("marks")) == 2)
    daemon.terminate()
    place.until(lambda: "stopping; 2 commands run" in place.said())
    place.go()
    assert daemon.wait(PATIENCE) == 143
    assert place.lines("marks") == ["up", "up", "down"]
    assert [row.status for row in place.rows("soon")] == ["succeeded"]
    assert [row.status for row in place.rows("never")] == ["paused"]
    assert "1 command runs: asked to end" in place.said()


def test_a_command_that_does_not_end_is_killed_after_its_grace(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\nkill_grace = '100ms'\nretry = 2\ncommand = \"trap '' TERM; echo up >> up; sleep 600\"\n")
    daemon = place.daemon(before=_contained())
    name = place.detach("x")
    place.until(lambda: place.lines("up"))
    _stop(daemon, first=True)
    [attempt] = place.run_document(name)["steps"][0]["attempts"]
    assert attempt["status"] == "stopped"


def test_people_are_told_if_they_want(home: Callable[[str], Daemons]) -> None:
    tell = 'notify = { on = ["stopped"], command = "echo $JOBCTL_STATUS $JOBCTL_RUN: $JOBCTL_REASON >> told" }\n'
    place = home(
        f"[jobs.waits]\n{tell}command = 'echo up >> up; exec sleep 600'\n"
        f"[jobs.again]\nretry = 2\n{tell}command = 'echo up >> up; exec sleep 600'\n"
    )
    daemon = place.daemon("--stop-commands")
    name = place.detach("waits")
    place.detach("again")
    place.until(lambda: len(place.lines("up")) == 2)
    _stop(daemon, first=False)
    # By the daemon that ends, not by the next: that it stays down is what one wants to hear of.
    assert [row.status for row in place.rows("waits.notify")] == ["succeeded"]
    assert place.lines("told") == [f"stopped {name}: step main was stopped with the daemon"]
    assert place.rows("again.notify") == []


def test_of_a_run_that_is_canceled_nothing_goes_on(home: Callable[[str], Daemons]) -> None:
    """A step that drains when the daemon is stopped ends with it; what is to be undone is undone by the next."""
    place = home("""
[jobs.x]
retry = 2
[[jobs.x.steps]]
name = "slow"
needs = []
command = "echo up >> up; exec sleep 600"
compensate = "echo slow >> undone"
[[jobs.x.steps]]
name = "bad"
needs = []
retry = 1
command = "until [ -e up ]; do sleep 0.02; done; exit 1"
""")
    daemon = place.daemon("--stop-commands")
    name = place.detach("x")
    place.until(lambda: any(s["status"] == "failed" for s in (place.document() or {"steps": []})["steps"]))
    _stop(daemon, first=False)
    assert [s["status"] for s in place.run_document(name)["steps"]] == ["canceled", "failed"]
    place.daemon()
    place.until(lambda: place.rows()[0].status == "failed")
    assert place.lines("undone") == ["slow"]


def test_the_first_process_reaps_what_comes_to_it(home: Callable[[str], Daemons]) -> None:
    """What a keeper's death leaves, and what was started beside it; the exit codes of commands are not taken."""
    if shutil.which("nsenter") is None:
        pytest.skip("nsenter is not installed")
    place = home("[jobs.x]\ncommand = 'sleep 0.2 & echo up >> up; while [ ! -e go ]; do sleep 0.02; done; exit 7'\n")
    daemon = place.daemon(before=_contained())
    init = _first(daemon)
    name = place.detach("x")
    place.until(lambda: place.lines("up"))
    [keeper] = [pid for pid in _children(init) if "jobctl-keeper" in _title(pid)]
    assert keeper > 1
    os.kill(keeper, signal.SIGKILL)
    left = ["sh", "-c", "for i in 1 2 3; do setsid sleep 0.1 & done"]
    subprocess.run(["nsenter", "--target", str(init), "--pid", "--mount", *left], check=True)
    place.go()
    place.until(lambda: place.rows()[0].status == "failed")
    [attempt] = place.run_document(name)["steps"][0]["attempts"]
    assert attempt["exit_code"] == 7
    place.until(lambda: not [pid for pid in _children(init) if _is_dead(pid)])
    _stop(daemon, first=True)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_a_daemon_that_is_outlived_says_so(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'echo up >> up; while [ ! -e go ]; do sleep 0.02; done; echo down >> up'\n")
    daemon = place.daemon()
    place.detach("x")
    place.until(lambda: place.lines("up"))
    _stop(daemon, first=False)
    assert "1 run is left for the next daemon; 1 command runs on" in place.said()
    place.go()
    place.until(lambda: place.lines("up") == ["up", "down"])


def test_the_first_process_is_seen_by_everybody(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'echo ran >> ran'\n")
    place.daemon(before=CONTAINED)
    assert "no daemon" not in place.call("status")[1]
    code, output = place.call("run", "x", "--detach", "--require-daemon")
    assert (code, "no daemon" in output) == (0, False), output
    place.until(lambda: place.lines("ran"))
