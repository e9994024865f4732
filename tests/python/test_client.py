"""`jobctl.Client`: the examples of docs/python.md against a real daemon, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobctl

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBCTL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "jobs.toml").write_text(blocks("toml")[0])
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "jobctl", "daemon", "--quiet"], cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.usefixtures("daemon")
def test_the_examples_of_the_page() -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, names)


def test_what_is_asked_is_recorded_without_a_daemon(folder: Path) -> None:
    with jobctl.Client(folder / "state", files=[folder / "jobs.toml"], by="me") as client:
        run = client.start("ship", {"order": "1"}, start_within=3600)
        assert (run.status, run.new, run.over) == ("queued", True, False)
        assert client.start("ship", {"order": "1"}).new is False
        with pytest.raises(jobctl.KeyConflict):
            client.start("ship", {"order": "2"}, key="1")
        with pytest.raises(jobctl.NotFound, match="there is no job 'shop'"):
            client.start("shop")
        with pytest.raises(TimeoutError):
            client.wait(run, timeout=0.1)
        client.pause(run, reason="later")
        assert client.run(run).status == "paused"
        client.resume(run)
        assert client.signal(run, "ready", {"by": "hand"})
        said = [event["type"] for event in client.events(run)]
        assert said == ["run_created", "run_paused", "run_unpaused", "signal_received"]
        assert client.events(run)[1]["data"]["by"] == "me"


def test_nobody_began_it_in_time(folder: Path) -> None:  # noqa: ARG001 - it is the folder of the test
    with jobctl.Client() as client:
        run = client.start("ship", start_within=0.05)
        time.sleep(0.1)
        assert client.wait(run, timeout=20).status == "canceled"


def test_importing_jobctl_loads_nothing_of_it() -> None:
    code = "import sys, jobctl; print(sorted(name for name in sys.modules if name.startswith('jobctl')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['jobctl']"


def test_secrets_are_masked(folder: Path) -> None:
    (folder / "jobs.toml").write_text('[jobs.x]\nenv = { API_TOKEN = "sesame-open" }\ncommand = "echo $API_TOKEN"\n')
    subprocess.run([sys.executable, "-m", "jobctl", "run", "x", "--quiet"], cwd=folder, check=True, capture_output=True)
    with jobctl.Client() as client:
        assert client.log("x") == "***\n"
