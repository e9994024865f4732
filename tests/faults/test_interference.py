"""What others do to a daemon that is well: stop it, hold its store, set its clock, leave it few descriptors."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from homes import CLOCK, PATIENCE, Daemons, built, interfered, set_clock
from records import BEGIN, END, HOLD, TICK, check_records, check_ticks, unfinished

from jobctl.core.run.history import EventType
from jobctl.process import descent

pytestmark = pytest.mark.faults


def test_a_daemon_that_is_stopped_is_slow_and_not_dead(home: Callable[..., Daemons]) -> None:
    place = home(HOLD + TICK)
    first = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks"))
    first.send_signal(signal.SIGSTOP)
    second = place.daemon()  # its start waits for nobody
    (row,) = place.rows("hold")
    holder = place.executor_of(row)
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) >= seen + 3)  # the second fires
    code, output = place.call("status", name, "--json")
    assert code == 0
    assert not json.loads(output)["interrupted"]
    assert place.call("cancel", name)[0] == 0  # recorded; carried out when it can be
    place.go()
    place.until(lambda: place.lines("marks") == ["begin", "end"])
    time.sleep(1.0)
    assert (place.executor_of(row), place.events(row, EventType.RUN_TAKEN)) == (holder, 1)
    first.send_signal(signal.SIGCONT)
    place.until(lambda: place.run_document(name)["finished_at"])
    assert place.lines("marks") == ["begin", "end"]
    assert place.events(row, EventType.ATTEMPT_STARTED) == 1
    second.terminate()
    first.terminate()
    assert (second.wait(PATIENCE), first.wait(PATIENCE)) == (143, 143)
    check_ticks(place)


def test_a_writer_that_holds_the_store_for_long(home: Callable[..., Daemons]) -> None:
    place = home(HOLD + TICK)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks") and place.lines("ticks"))
    with closing(sqlite3.connect(place.state / "jobctl.db", isolation_level=None, timeout=PATIENCE)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        place.go()
        another = place.start("run", "--detach", "hold")
        assert place.call("status", name)[0] == 0  # reading goes on
        time.sleep(20)  # SQLite's patience is thirty
        assert (daemon.poll(), another.poll()) == (None, None)
        holder.execute("COMMIT")
    assert another.wait(PATIENCE) == 0
    another.communicate()
    place.until(lambda: all(row.status == "failed" for row in place.rows("hold")))
    assert len(place.rows("hold")) == 2
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) > seen)
    check_ticks(place)


def test_fifty_calls_at_once(home: Callable[..., Daemons]) -> None:
    """On a state folder that is not there yet, with two daemons that start among them."""
    place = home(f"[jobs.x]\ncommand = '{BEGIN}; sleep 0.1; {END}'\n")
    calls = [["run", "x"], ["run", "--wait", "30s", "x"], ["status"], ["history"], ["list"], ["schedule", "list"]] * 8
    running = [(call, place.start(*call)) for call in [*calls, ["doctor"], ["prune"]]]
    place.daemon()
    place.daemon()
    runs = 0
    for call, process in running:
        output, _ = process.communicate(timeout=4 * PATIENCE)
        assert "Traceback" not in output
        if call[0] == "run":
            # --wait needs a daemon, and says so where there is none yet.
            assert process.returncode == 0 or (call[1] == "--wait" and "daemon" in output), (call, output)
            runs += process.returncode == 0
        else:
            assert process.returncode == 0 or "nothing has run here yet" in output, (call, output)
    place.until(lambda: not unfinished(place))
    assert runs >= 8
    assert len(place.rows()) >= runs
    check_records(place)


HOURLY = """
[jobs.h]
schedule = { every = "1h" }
overlap = "allow_all"
command = 'true'
"""


def test_a_clock_that_is_set_two_hours_back_and_forth(home: Callable[..., Daemons], tmp_path: Path) -> None:
    """Ahead first, and 400 days: tests/end_to_end/test_daemon.py."""
    place = home(HOURLY + TICK + HOLD)
    began = int(time.time() * 1000)
    set_clock(place, 0)
    daemon = place.daemon(clock=built(CLOCK, tmp_path), CLOCK_OFFSET=str(place.folder / "offset"))
    place.until(lambda: place.lines("ticks"))
    set_clock(place, -7_200)
    place.until(lambda: "-7200" in place.said() or "-7199" in place.said())
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) > seen + 2)  # in real time
    # What runs goes on, what is asked for begins.
    name = place.detach("hold")
    place.until(lambda: place.lines("marks"))
    place.go()
    place.until(lambda: place.run_document(name)["status"] == "failed")
    set_clock(place, 0)
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) >= seen + 3)
    assert daemon.poll() is None
    check_ticks(place, since=began)  # nothing twice and nothing left out, but for the two hours
    assert len(place.rows("h")) <= 1


def test_a_daemon_with_few_descriptors_does_all_there_is(home: Callable[..., Daemons]) -> None:
    place = home(
        f"[jobs.x]\nschedule = {{ every = '1s' }}\ncommand = '{BEGIN}; sleep 0.5; {END}'\n",
    )
    assert place.call("schedule", "pause", "x")[0] == 0
    dates = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:59Z")
    assert place.call("schedule", "backfill", "x", *dates, "--overlap", "allow_all", "-q")[0] == 0
    daemon = place.daemon(before=("sh", "-c", 'ulimit -n 24; exec "$@"', "sh"))
    place.until(lambda: not unfinished(place))
    assert daemon.poll() is None
    assert "Traceback" not in place.said()
    check_records(place, runs=60)


def test_commands_that_are_killed_as_they_start(home: Callable[..., Daemons]) -> None:
    """At their execve: each of these attempts has been killed, none has run, and the retries go on."""
    place = home(
        f"""
[jobs.x]
command = '{BEGIN}; {END}'
retry = {{ maximum_attempts = 1000, initial_interval = "50ms", backoff_coefficient = 1.0 }}
"""
    )
    daemon = place.daemon()
    (keeper,) = descent.children(daemon.pid)
    with interfered(keeper, "execve", "signal=KILL"):
        name = place.detach("x")
        place.until(lambda: len(place.run_document(name)["steps"][0]["attempts"]) > 3)
        assert place.lines("marks") == []
    place.until(lambda: place.run_document(name)["status"] == "succeeded")
    *lost, last = place.run_document(name)["steps"][0]["attempts"]
    assert {attempt["signal"] for attempt in lost} == {"SIGKILL"}
    assert place.lines("marks") == [f"{sign} {name} main {last['number']}" for sign in "+-"]
    assert place.processes() == []


# Everything a process can inherit that is against it.
HOSTILE = """
import os, signal, sys
numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
for number in numbers:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for fd in (0, 1, 2):
    os.close(fd)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ignored_and_blocked_and_descriptors_closed(home: Callable[..., Daemons], number: int) -> None:
    place = home(HOLD + TICK)
    hostile = (sys.executable, "-c", HOSTILE)
    daemon = subprocess.Popen(
        [*hostile, sys.executable, "-m", "jobctl", "daemon"], cwd=place.folder, env=place.environment
    )
    try:
        place.until(lambda: place.lines("ticks"))
        name = place.detach("hold")
        place.until(lambda: place.lines("marks"))
        assert place.call("cancel", name)[0] == 0
        place.until(lambda: place.run_document(name)["finished_at"])
        (attempt,) = place.run_document(name)["steps"][0]["attempts"]
        assert attempt["signal"] == "SIGTERM"  # it was asked, and heard it
        assert Path(attempt["log"]).read_text() == "said\n"
        with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        daemon.send_signal(number)
        assert daemon.wait(PATIENCE) == 128 + number
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def test_definitions_that_go_wrong_and_go_away_under_a_daemon(home: Callable[..., Daemons]) -> None:
    place = home(HOLD + TICK)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: place.lines("marks"))
    path = place.folder / "jobs.toml"
    for text in (
        "[jobs.tick]\nschedule = '61 * * * *'\ncommand = 'true'\n",
        "\0\xff",
        None,
        "[jobs.other]\ncommand='true'\n",
    ):
        if text is None:
            path.unlink()
        else:
            path.write_text(text, "latin-1")
        daemon.send_signal(signal.SIGHUP)
        if text is None or "other" not in text:
            place.until(lambda: place.said().count("the old definitions stay in use") >= 1)
            seen = len(place.lines("ticks"))
            place.until(lambda seen=seen: len(place.lines("ticks")) > seen)
    place.until(lambda: "definitions reloaded: 1 job" in place.said())
    assert place.call("status", name)[0] == 0
    place.go()  # its job is gone, the run has its own
    place.until(lambda: place.run_document(name)["status"] == "failed")
    assert place.call("resume", name, "--detach")[0] == 0
    place.until(lambda: place.lines("marks").count("begin") == 2)
    assert daemon.poll() is None
