"""The real daemon, killed and replaced, told and signalled, under a clock that is really set."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import CLOCK, PATIENCE, Daemons, built, set_clock

from jobctl.core.run.history import Event, EventType
from jobctl.store.store import Store

TICK = """
[jobs.tick]
schedule = { every = "1s" }
overlap = "allow_all"
command = 'echo "$JOBCTL_FIRE_TIME" >> ticks'
"""
# Says when it begins and ends, and goes on until there is a file `go`.
HELD = 'echo "begin $JOBCTL_RUN" >> marks; until [ -e go ]; do sleep 0.02; done; echo end >> marks; echo said; exit 7'
HOLD = f"""
[jobs.hold]
command = '{HELD}'
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Callable[[str], Daemons]]:
    made: list[Daemons] = []

    def make(text: str) -> Daemons:
        made.append(Daemons(tmp_path / "home", text))
        return made[-1]

    yield make
    for one in made:
        one.close()


def seconds(process: subprocess.Popen[str]) -> float:
    """How long it takes a process to end."""
    start = time.monotonic()
    process.wait(PATIENCE)
    return time.monotonic() - start


# -- killed ------------------------------------------------------------------------------------------------------------


def test_attempts_outlive_a_killed_daemon_and_the_next_one_adopts_them(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    first = place.daemon()
    names = [place.detach("hold") for _ in range(5)]
    place.until(lambda: len(place.lines("marks")) == 5)
    first.kill()
    first.wait()
    ended = place.rows()[0].name
    place.go()  # they end while nobody looks
    place.until(lambda: place.lines("marks").count("end") == 5)
    place.daemon()
    place.until(lambda: all(row.finished_at for row in place.rows()))
    assert {row.name for row in place.rows()} == set(names)
    assert [line for line in place.lines("marks") if line.startswith("begin")] == [f"begin {name}" for name in names]
    assert {row.status for row in place.rows()} == {"failed"}
    document = place.run_document(ended)
    (attempt,) = document["steps"][0]["attempts"]
    assert attempt["exit_code"] == 7
    assert Path(attempt["log"]).read_text() == "said\n"


def test_what_runs_on_is_adopted_and_watched(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    for number in range(3):
        daemon = place.daemon()
        if number == 0:
            place.detach("hold")
        place.until(lambda: len(place.lines("marks")) == 1)
        (row,) = place.rows()
        place.until(lambda row=row, count=number + 1: place.events(row, EventType.RUN_TAKEN) == count)
        daemon.kill()
        daemon.wait()
    place.daemon()
    place.until(lambda: place.events(row, EventType.RUN_TAKEN) == 4)
    place.go()
    place.until(lambda: place.rows()[0].finished_at)
    assert place.events(row, EventType.ATTEMPT_STARTED) == 1
    assert place.rows()[0].status == "failed"
    assert place.lines("marks") == [f"begin {row.name}", "end"]


def test_the_second_daemon_takes_over_from_the_first(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD + TICK)
    first = place.daemon()
    name = place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    (row,) = place.rows("hold")
    second = place.daemon()
    holder = place.executor_of(row)
    place.until(lambda: len(place.lines("ticks")) >= 2)
    first.kill()
    killed_at = time.monotonic()
    place.until(lambda: place.executor_of(row) != holder)
    assert time.monotonic() - killed_at < 2  # what is promised, not a measurement
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) >= seen + 2)
    place.go()
    place.until(lambda: place.run_document(name)["status"] == "failed")
    assert place.lines("marks").count(f"begin {name}") == 1
    second.terminate()
    second.wait(PATIENCE)
    ticks = [line for line in place.lines("ticks") if line]
    assert len(ticks) == len(set(ticks))
    fired = sorted(row.fire_time or 0 for row in place.rows("tick"))
    assert fired == list(range(fired[0], fired[-1] + 1, 1_000))  # none lost


def test_a_foreground_run_whose_process_was_killed_is_taken_over(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    place.daemon()
    foreground = place.start("run", "hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    foreground.kill()
    foreground.communicate()
    (row,) = place.rows()
    place.until(lambda: place.events(row, EventType.RUN_TAKEN) == 2)
    place.go()
    place.until(lambda: place.rows()[0].status == "failed")
    assert place.events(row, EventType.ATTEMPT_STARTED) == 1


def test_a_run_that_kills_every_daemon_is_ended(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    daemon = place.daemon()
    place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    (row,) = place.rows()
    with Store(str(place.state)) as store:
        for _ in range(10):  # ten more executors have taken it and died
            assert store.request(
                row.id, lambda now, _: (Event(EventType.RUN_TAKEN, now.created_at, data={"executor": "dead"}), None)
            )
    daemon.kill()
    daemon.wait()
    place.daemon()
    place.until(lambda: place.rows()[0].finished_at)
    assert place.rows()[0].status == "failed"
    assert "recovered 10 times" in (place.rows()[0].reason or "")
    place.until(lambda: not place.processes())


# -- stopped -----------------------------------------------------------------------------------------------------------


def test_sigterm_hands_over_what_runs(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    daemon = place.daemon()
    place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143
    assert place.processes()
    place.daemon()
    place.go()
    place.until(lambda: place.rows()[0].finished_at)
    assert place.rows()[0].status == "failed"
    assert len(place.lines("marks")) == 2


def test_drain_waits_for_what_runs_and_starts_nothing(home: Callable[[str], Daemons]) -> None:
    steps = "".join(
        f"[[jobs.hold.steps]]\nname = \"{name}\"\ncommand = '{command}'\n"
        for name, command in (("a", HELD.replace("exit 7", "exit 0")), ("b", "echo b >> marks"))
    )
    place = home(steps)
    daemon = place.daemon("--drain", "60s")
    place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    daemon.terminate()
    place.until(lambda: "stopping" in place.said())
    assert daemon.poll() is None
    place.go()
    assert daemon.wait(PATIENCE) == 143
    assert place.lines("marks")[1:] == ["end"]
    (row,) = place.rows()
    assert place.events(row, EventType.ATTEMPT_ENDED) == 1  # it was waited for
    assert row.finished_at is None
    place.daemon()
    place.until(lambda: place.rows()[0].status == "succeeded")
    assert place.lines("marks")[1:] == ["end", "b"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_leaves_at_once(home: Callable[[str], Daemons], number: int) -> None:
    place = home(HOLD)
    daemon = place.daemon("--drain", "10m")
    place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    daemon.send_signal(number)
    place.until(lambda: "stopping" in place.said())
    daemon.send_signal(signal.SIGHUP)  # not a wish to leave
    daemon.send_signal(number)
    assert seconds(daemon) < 5
    assert daemon.returncode == 128 + number
    assert place.processes()


# -- told --------------------------------------------------------------------------------------------------------------


def test_a_run_that_another_process_queues_starts_promptly(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'touch done'\n")
    place.daemon()
    place.detach("x")
    since = time.monotonic()
    place.until((place.folder / "done").exists)
    assert time.monotonic() - since < 2  # well before the daemon looks by itself


def test_definitions_are_reloaded_when_that_is_asked_for(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    daemon = place.daemon()
    path = place.folder / "jobs.toml"
    path.write_text("[jobs.x]\ncommand = \n")
    daemon.send_signal(signal.SIGHUP)
    place.until(lambda: "the old definitions stay in use" in place.said())
    assert "jobs.toml:2" in place.said()
    path.write_text(TICK)
    daemon.send_signal(signal.SIGHUP)
    place.until(lambda: place.lines("ticks"))
    assert daemon.poll() is None


def test_definitions_are_reloaded_when_they_change(home: Callable[[str], Daemons]) -> None:
    place = home(TICK)
    place.daemon()
    place.until(lambda: place.lines("ticks"))
    (place.folder / "jobs.toml").write_text(TICK.replace("tick", "tock"))
    place.until(lambda: place.rows("tock"))
    seen = len(place.rows("tick"))
    place.until(lambda: len(place.rows("tock")) >= 2)
    assert len(place.rows("tick")) == seen  # what was removed fires no more


def test_a_supervisor_is_told(home: Callable[[str], Daemons], tmp_path: Path) -> None:
    place = home(TICK)
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(PATIENCE)
        daemon = place.daemon(NOTIFY_SOCKET=address, WATCHDOG_USEC="400000")

        def told(what: str) -> str:
            while what not in (message := sock.recv(4096).decode()).split("\n"):
                pass
            return message

        told("READY=1")
        told("WATCHDOG=1")
        told("WATCHDOG=1")
        daemon.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in told("RELOADING=1")
        told("READY=1")
        daemon.terminate()
        told("STOPPING=1")
        assert daemon.wait(PATIENCE) == 143


def test_the_log_as_json(home: Callable[[str], Daemons]) -> None:
    place = home(TICK)
    daemon = place.daemon("--log-format", "json")
    place.until(lambda: place.lines("ticks"))
    daemon.terminate()
    daemon.wait(PATIENCE)
    lines = [json.loads(line) for line in place.said().splitlines()]
    assert all({"at", "level", "message"} <= line.keys() for line in lines)
    started = next(line for line in lines if line["message"] == "started")
    assert started["run"].startswith("tick-")


# -- once --------------------------------------------------------------------------------------------------------------


def test_once_does_what_is_due_and_ends(home: Callable[[str], Daemons]) -> None:
    place = home(TICK.replace("tick]", "slow]").replace("allow_all", "skip").replace("echo", "sleep 1.5; echo"))
    assert place.call("daemon", "--once")[0] == 0
    assert place.rows() == []  # a schedule starts from now
    time.sleep(1.0)  # a fire time passes
    assert place.call("daemon", "--once")[0] == 0
    (row,) = place.rows()  # others came while it ran: they are for the next call
    assert row.status == "succeeded"


def test_once_does_not_wait_for_a_run_that_is_paused(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    daemon = place.daemon()
    name = place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    assert place.call("pause", name)[0] == 0
    daemon.terminate()
    daemon.wait(PATIENCE)
    assert place.call("daemon", "--once")[0] == 0
    assert place.rows()[0].status == "paused"


def test_once_says_which_signal_cut_it_short(home: Callable[[str], Daemons]) -> None:
    place = home(HOLD)
    daemon = place.daemon()
    place.detach("hold")
    place.until(lambda: len(place.lines("marks")) == 1)
    daemon.kill()
    daemon.wait()
    once = place.daemon("--once")
    (row,) = place.rows()
    place.until(lambda: place.events(row, EventType.RUN_TAKEN) == 2)
    once.terminate()
    assert once.wait(PATIENCE) == 143


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A library that sets the clock of the processes it is loaded into."""
    return built(CLOCK, tmp_path)


def fire_times(place: Daemons, job: str) -> list[int]:
    return [row.fire_time or 0 for row in place.rows(job)]


HOUR, DAY = 3_600, 86_400


def test_a_clock_that_is_set_two_hours_ahead_and_back(home: Callable[[str], Daemons], clock: Path) -> None:
    place = home('[jobs.h]\nschedule = { every = "1h" }\noverlap = "allow_all"\ncommand = "true"\n' + TICK)
    set_clock(place, 0)
    daemon = place.daemon(clock=clock, CLOCK_OFFSET=str(place.folder / "offset"))
    place.until(lambda: place.lines("ticks"))
    set_clock(place, 2 * HOUR)
    place.until(lambda: len(place.rows("h")) == 2)  # caught up, both of them
    place.until(lambda: max(fire_times(place, "tick")) > (time.time() + 2 * HOUR - 30) * 1_000)
    set_clock(place, 0)
    place.until(lambda: "-7200" in place.said() or "-7199" in place.said())
    seen = len(place.rows("tick"))
    place.until(lambda: len(place.rows("tick")) > seen + 2)  # in real time, whatever the clock has shown before
    now = time.time() * 1_000
    assert all(at < now + 1_000 for at in fire_times(place, "tick")[seen : seen + 2])
    assert daemon.poll() is None
    assert len(place.rows("h")) == 2
    code, output = place.call("schedule", "list", "--json")
    assert code == 0
    assert all("T" in line["next_fire_at"] for line in json.loads(output))


def test_a_clock_that_was_a_year_ahead_silences_nothing(home: Callable[[str], Daemons], clock: Path) -> None:
    place = home(TICK.replace("allow_all", "skip").replace("1s", "5s"))  # each of 400 days is looked at
    set_clock(place, 0)
    place.daemon(clock=clock, CLOCK_OFFSET=str(place.folder / "offset"))
    place.until(lambda: place.lines("ticks"))
    wrong = 400 * DAY
    set_clock(place, wrong)
    place.until(lambda: any(at > (time.time() + wrong - 30) * 1_000 for at in fire_times(place, "tick")))
    set_clock(place, 0)
    before = len(place.rows())
    now = time.time() * 1_000
    place.until(lambda: any(now < at < now + 60_000 for at in fire_times(place, "tick")[before:]))
    code, output = place.call("status", "--json")
    assert code == 0
    assert {gone["outcome"] for gone in json.loads(output)["dropped"]} >= {"missed"}


# -- idle --------------------------------------------------------------------------------------------------------------


def test_an_idle_daemon_sleeps(home: Callable[[str], Daemons]) -> None:
    text = "".join(f"[jobs.j{n}]\nschedule = '{n % 60} 3 1 1 *'\ncommand = 'true'\n" for n in range(1_000))
    place = home(text)
    daemon = place.daemon()

    def switches() -> int:
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("voluntary_ctxt")))

    time.sleep(0.5)  # what starting up still does
    before = switches()
    time.sleep(6.0)
    # One look at files and executors, or two: each waits for the disk at most some times.
    assert switches() - before <= 2 * 6


def test_a_run_that_was_handed_over_is_told_as_one_that_a_schedule_began(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    place.daemon()
    code, output = place.call("run", "x", "--detach")
    assert code == 0, output
    place.until(lambda: "succeeded" in place.said())
    name = place.rows()[0].name
    lines = [line.partition(f" run {name}: ")[2] for line in place.said().splitlines()]
    assert [line for line in lines if line] == ["started", "succeeded"]


@pytest.mark.parametrize("path", [None, "/usr/bin:/bin"])
def test_a_durable_script_finds_jobctl_whatever_path_there_is(
    home: Callable[[str], Daemons], path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under systemd, for an installation in a folder of its own (reported/daily-use F24)."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    env = "" if path is None else f"env = {{ PATH = '{path}' }}\n"
    place = home("[[jobs.x.steps]]\nname = 's'\n" + env + "command = 'jobctl step one -- echo done >> marks'\n")
    code, output = place.call("run", "x")
    assert code == 0, output
    assert place.lines("marks") == ["done"]
