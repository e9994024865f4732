"""`jobctl.Client`: the examples of docs/python.md against a real daemon, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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


WAITS = """
[jobs.x]
[[jobs.x.steps]]
name = "go"
signal = "go"
"""
WRONG: dict[str, Callable[[jobctl.Client, Any], object]] = {
    "start(None)": lambda client, _: client.start(None),  # type: ignore[arg-type]
    "start(object)": lambda client, _: client.start("x", {"order": object()}),
    "start(a name that is no text)": lambda client, _: client.start("x", {1: "9"}),  # type: ignore[dict-item]
    "start(params is a text)": lambda client, _: client.start("x", "order"),  # type: ignore[arg-type]
    "start(key=7)": lambda client, _: client.start("x", key=7),  # type: ignore[arg-type]
    "start(start_within='5s')": lambda client, _: client.start("x", start_within="5s"),  # type: ignore[arg-type]
    "start(start_within=nan)": lambda client, _: client.start("x", start_within=float("nan")),
    "start(start_within=inf)": lambda client, _: client.start("x", start_within=float("inf")),
    "start(start_within=1e30)": lambda client, _: client.start("x", start_within=1e30),
    "start(start_within=-1)": lambda client, _: client.start("x", start_within=-1),
    "start(start_within=0)": lambda client, _: client.start("x", start_within=0),
    "run(None)": lambda client, _: client.run(None),  # type: ignore[arg-type]
    "approve(step=5)": lambda client, run: client.approve(run, 5),  # type: ignore[arg-type]
    "approve(comment=5)": lambda client, run: client.approve(run, comment=5),  # type: ignore[arg-type]
    "reject(comment=5)": lambda client, run: client.reject(run, comment=5),  # type: ignore[arg-type]
    "signal(None)": lambda client, run: client.signal(run, None),  # type: ignore[arg-type]
    "signal(5)": lambda client, run: client.signal(run, 5),  # type: ignore[arg-type]
    "signal(True)": lambda client, run: client.signal(run, True),  # type: ignore[arg-type]
    "signal('')": lambda client, run: client.signal(run, ""),
    "signal(' ')": lambda client, run: client.signal(run, " "),
    "signal(object)": lambda client, run: client.signal(run, "go", object()),
    "cancel(reason=True)": lambda client, run: client.cancel(run, reason=True),  # type: ignore[arg-type]
    "cancel(reason=b'x')": lambda client, run: client.cancel(run, reason=b"x"),  # type: ignore[arg-type]
    "cancel(half a character)": lambda client, run: client.cancel(run, reason="\udc80"),
    "terminate(reason=5)": lambda client, run: client.terminate(run, reason=5),  # type: ignore[arg-type]
    "pause(reason=1.5)": lambda client, run: client.pause(run, reason=1.5),  # type: ignore[arg-type]
    "retry_now(reason=5)": lambda client, run: client.retry_now(run, reason=5),  # type: ignore[arg-type]
    "retry_now(step=5)": lambda client, run: client.retry_now(run, 5),  # type: ignore[arg-type]
    "resume(from_step=5)": lambda client, run: client.resume(run, from_step=5),  # type: ignore[arg-type]
    "wait(timeout='5s')": lambda client, run: client.wait(run, timeout="5s"),  # type: ignore[arg-type]
    "wait(timeout=nan)": lambda client, run: client.wait(run, timeout=float("nan")),
    "log(step=5)": lambda client, run: client.log(run, 5),  # type: ignore[arg-type]
    "log(attempt='1')": lambda client, run: client.log(run, "go", "1"),  # type: ignore[arg-type]
    "runs(limit=None)": lambda client, _: client.runs(limit=None),  # type: ignore[arg-type]
    "runs(limit=2**70)": lambda client, _: client.runs(limit=2**70),
    "runs(an unknown status)": lambda client, _: client.runs(statuses=["faild"]),
    "runs(statuses=5)": lambda client, _: client.runs(statuses=5),  # type: ignore[arg-type]
    "runs(an unknown job)": lambda client, _: client.runs("nope"),
    "runs(tag=5)": lambda client, _: client.runs(tag=5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", WRONG)
def test_an_argument_that_cannot_be_is_an_error_and_nothing_is_recorded(folder: Path, call: str) -> None:
    (folder / "jobs.toml").write_text(WAITS)
    with jobctl.Client() as client:
        run = client.start("x")
        with pytest.raises(jobctl.Error) as caught:
            WRONG[call](client, run)
        assert caught.value.message
        assert "SQL" not in caught.value.message
        assert [event["type"] for event in client.events(run)] == ["run_created"]
        assert client.run(run) == run
        assert len(client.runs("x")) == 1


def test_who_asks_is_a_text_and_a_path_is_one(folder: Path) -> None:
    for wrong in ({"by": 5}, {"state_dir": 5}, {"state_dir": b"x"}, {"files": 5}, {"files": [5]}):
        with pytest.raises(jobctl.Error, match=next(iter(wrong))):
            jobctl.Client(**wrong)  # type: ignore[arg-type]
    for files in ("jobs.toml", folder / "jobs.toml", ["jobs.toml"]):
        with jobctl.Client(files=files) as client:
            client.start("ship", key=str(files))


def test_one_status_is_a_list_of_one(folder: Path) -> None:  # noqa: ARG001 - it is the folder of the test
    with jobctl.Client() as client:
        assert client.runs("ship") == []  # it is defined
        run = client.start("ship")
        assert [one.id for one in client.runs(statuses="queued")] == [run.id]


def test_a_client_is_for_one_thread_and_until_it_is_closed(folder: Path) -> None:  # noqa: ARG001 - as above
    client, said = jobctl.Client(), []

    def other() -> None:
        for call in (client.runs, client.close):
            try:
                call()
            except jobctl.Error as error:
                said.append(error.message)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert said == ["the client belongs to another thread"] * 2
    client.runs()
    client.close()
    client.close()
    with pytest.raises(jobctl.Error, match="the client is closed"):
        client.runs()


def test_a_paused_run_does_not_begin_at_a_step(folder: Path) -> None:  # noqa: ARG001 - as above
    with jobctl.Client() as client:
        run = client.pause(client.start("ship"))
        with pytest.raises(jobctl.Error, match="is paused: it goes on where it is"):
            client.resume(run, from_step="nope")
        assert client.run(run).status == "paused"
