"""examples/containers without an engine: what the image and the compose file say is run as the first process of a PID
namespace, with their environment and nothing else, stopped as an engine stops, and started anew on the same volume."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import PATIENCE

from jobctl.cli import argv
from jobctl.cli.table import TABLE
from jobctl.core.durations import parse
from jobctl.definitions.files import read_files
from jobctl.store.store import Store

FOLDER = Path(__file__).parents[2] / "examples/containers"
IMAGE, COMPOSE = (FOLDER / "Dockerfile").read_text(), (FOLDER / "compose.yaml").read_text()
CONTAINED = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def _instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", IMAGE, re.MULTILINE)


def _of_compose(key: str) -> str:
    [value] = re.findall(rf"^ +{key}: (.*)$", COMPOSE, re.MULTILINE)
    return str(value)


def _environment() -> dict[str, str]:
    """What the container has, and nothing of ours."""
    of_image = dict(one.split("=", 1) for one in _instructions("ENV"))
    given = COMPOSE.split("environment:\n")[1].split("    volumes:")[0]
    of_compose = dict(re.findall(r"^ +(\w+): (.*)$", given, re.MULTILINE))
    return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/home/jobs", **of_image, **of_compose}


COMMAND: list[str] = json.loads(_instructions("CMD")[-1])  # in brackets: no shell is in front of it


def test_the_image_and_the_compose_file_agree_with_each_other() -> None:
    program, *words = COMMAND
    call = argv.parse(words, TABLE)
    assert isinstance(call, tuple)
    assert (program, call[0]) == ("jobctl", "daemon")
    environment = _environment()
    [volume] = _instructions("VOLUME")
    assert environment["JOBCTL_STATE_DIR"] == volume
    assert f"-m 700 {volume}" in IMAGE  # for the user, who is not root
    [user] = _instructions("USER")
    assert f" -o {user} -g {user} " in IMAGE
    assert f"- state:{volume}" in COMPOSE
    assert f"- .:{os.path.dirname(environment['JOBCTL_FILE'])}:ro" in COMPOSE
    assert "init:" not in COMPOSE
    jobs = read_files((str(FOLDER / "jobs.toml"),)).jobs
    longest = max(job.kill_grace for job in jobs.values())
    assert parse(_of_compose("stop_grace_period")) > parse(str(call[2]["drain"])) + longest


class Volume:
    """What stays when a container is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definitions, self.state = folder / "definitions", folder / "state"
        self.definitions.mkdir()
        shutil.copy(FOLDER / "jobs.toml", self.definitions)
        self.state.mkdir(mode=0o700)
        self.environment = {
            **_environment(),
            "JOBCTL_FILE": str(self.definitions / "jobs.toml"),
            "JOBCTL_STATE_DIR": str(self.state),
        }
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *, drain: str = "") -> subprocess.Popen[str]:
        """A container, once it is ready."""
        command = [*COMMAND[:-1], drain] if drain else COMMAND
        log = self.folder / f"log{len(self.running)}"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*CONTAINED, *command],
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                text=True,
            )
        self.running.append(process)
        self.until(lambda: "ready" in log.read_text())
        return process

    def said(self, number: int) -> str:
        return (self.folder / f"log{number}").read_text()

    def call(self, *words: str) -> str:
        """A jobctl in another namespace on the same volume: `exec`, but that it is not in the first one."""
        done = subprocess.run(
            [*CONTAINED, "jobctl", *words], env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def document(self, run: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.call("status", run, "--json"))
        return found

    def rows(self, job: str) -> list[str]:
        with Store(str(self.state), create=False, asks=True) as store:
            return [str(row.status) for row in store.history(job=job, limit=1000)]

    @staticmethod
    def until(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _first(process: subprocess.Popen[str]) -> int:
    [pid] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert int(pid) > 1
    return int(pid)


def _stop(process: subprocess.Popen[str]) -> None:
    os.kill(_first(process), signal.SIGTERM)
    assert process.wait(PATIENCE) == 143


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    if shutil.which("unshare") is None or subprocess.run([*CONTAINED, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")
    made = Volume(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            os.kill(_first(process), signal.SIGKILL)
            process.wait()


def test_it_has_the_containers_zone_and_what_is_inherited(volume: Volume) -> None:
    volume.start()
    volume.call("run", "greet", "--wait", "20s")
    here = subprocess.run(["date", "+%H:%M"], env={"TZ": "Europe/Berlin"}, capture_output=True, text=True).stdout
    said = volume.call("logs", "greet")
    assert said.startswith("hello, it is ")
    assert said.endswith(" in Europe/Berlin\n")
    assert abs(int(said.split()[3][3:5]) - int(here[3:5])) in (0, 1, 59)
    assert said.split()[3][:2] in (here[:2], f"{(int(here[:2]) - 1) % 24:02}")
    [schedule] = json.loads(volume.call("schedule", "next", "greet", "-n", "1", "--json"))
    assert volume.call("schedule", "next", "greet", "-n", "1").count("03:00")
    assert schedule["times"][0][11:13] in ("01", "02")  # in UTC


def test_what_is_stopped_goes_on_from_its_cursor_in_the_next_container(volume: Volume) -> None:
    first = volume.start(drain="100ms")
    run = volume.call("run", "copy", "--detach").strip()
    heartbeat = volume.state / "runs" / run / "rows.1.heartbeat"
    volume.until(lambda: heartbeat.exists() and len(heartbeat.read_text().split()) >= 3)
    _stop(first)
    done = int(heartbeat.read_text().split()[-1])
    volume.start()
    again = volume.state / "runs" / run / "rows.2.heartbeat"
    volume.until(lambda: again.exists() and again.read_text().split())
    assert int(again.read_text().split()[0]) == done + 1
    [step] = volume.document(run)["steps"]  # type: ignore[misc]
    assert [attempt["status"] for attempt in step["attempts"]] == ["stopped", "running"]  # type: ignore[index]


def test_a_container_that_is_started_anew_is_no_boot(volume: Volume) -> None:
    """Not before the schedule is known: that of a volume's first container is the first boot that it sees."""
    _stop(volume.start())
    began = len(volume.rows("warm-up"))
    for _ in range(2):
        _stop(volume.start())
    assert len(volume.rows("warm-up")) == began


def test_of_two_on_one_volume_one_goes_on_when_the_other_is_killed(volume: Volume) -> None:
    first = volume.start()
    run = volume.call("run", "copy", "--detach").strip()
    heartbeat = volume.state / "runs" / run / "rows.1.heartbeat"
    volume.until(lambda: heartbeat.exists() and len(heartbeat.read_text().split()) >= 2)
    second = volume.start()
    assert volume.document(run)["status"] == "running"
    os.kill(_first(first), signal.SIGKILL)  # and the kernel kills what it ran
    first.wait(PATIENCE)
    volume.until(lambda: f"run {run}: taken over" in volume.said(1))
    volume.until(lambda: volume.rows("copy") == ["failed"])  # lost, and it has no retry policy
    assert second.poll() is None
    _stop(second)
