"""The examples that need a daemon: real daemons on one state folder, real kills, a real web server. One test for what
each is about; that they are valid is test_examples.py's."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_examples import PATIENCE, Example, of

import looked
from jobctl.core.errors import NotFoundError
from jobctl.core.run.rows import RunRow
from jobctl.store.store import Store

GATE = "until [ -e go ]; do sleep 0.05; done"  # what a command does in place of taking some time


def kill(processes: list[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def replace(example: Example, old: str, new: str) -> None:
    """Change the example's definitions in that one place."""
    definitions = example.folder / "jobs.toml"
    text = definitions.read_text()
    assert text.count(old) == 1
    definitions.write_text(text.replace(old, new))


def daemon(example: Example) -> subprocess.Popen[str]:
    """A daemon, once it is ready."""
    process = example.start("jobctl", "daemon")
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert "ready" in ready, ready
    return process


def runs(example: Example) -> list[RunRow]:
    """All runs, the oldest first."""
    try:
        with Store(str(example.state), create=False) as store:
            return store.history(limit=10_000)[::-1]
    except NotFoundError:
        return []


def documents(example: Example) -> list[dict[str, Any]]:
    with Store(str(example.state), create=False) as store:
        return [looked.run_document(store, row) for row in store.history(limit=10_000)[::-1]]


def until(example: Example, holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, runs(example)
        time.sleep(0.02)


# -- bonus-accrual -------------------------------------------------------------------------------------------------

FAST = {"@hourly": 1_000, "15 6 1 * *": 2_000, "0 7 2 1 *": 3_000}  # the file's schedules -> milliseconds
EVERY = dict(zip(("hourly", "monthly", "yearly"), FAST.values(), strict=True))
CHOSEN = {"hourly": {"Ada", "Cleo"}, "monthly": {"Ada"}, "yearly": {"Ada", "Dana"}}


@of("bonus-accrual")
def test_every_firing_is_one_run_whichever_daemon_dies(example: Example) -> None:
    for schedule, every in FAST.items():
        replace(example, f'"{schedule}"', f'{{ every = "{every}ms" }}')

    def more(number: int) -> Callable[[], bool]:
        wanted = Counter(run.job for run in runs(example) if run.status == "succeeded")
        wanted.update(dict.fromkeys(EVERY, number))
        return lambda: wanted <= Counter(run.job for run in runs(example) if run.status == "succeeded")

    first, second = daemon(example), daemon(example)
    until(example, more(1))
    first.kill()
    until(example, more(1))
    second.kill()
    first.wait()
    second.wait()
    # What they left, and what was due since, is done by whoever comes next.
    code, output = example.call("jobctl", "daemon", "--once")
    assert code == 0, output

    found = documents(example)
    for job, every in EVERY.items():
        fired = sorted(run.fire_time or 0 for run in runs(example) if run.job == job)
        assert fired == list(range(fired[0], fired[-1] + 1, every))
        assert all(at % every == 0 for at in fired)
    assert {run["status"] for run in found} == {"succeeded"}
    # A command whose daemon was killed was adopted, not begun again.
    assert {len(step["attempts"]) for run in found for step in run["steps"]} == {1}
    with closing(sqlite3.connect(example.folder / "data/bonuses.db")) as db:
        booked = db.execute("SELECT run, name FROM bonuses").fetchall()
    assert sorted(booked) == sorted((run["id"], name) for run in found for name in CHOSEN[run["job"]])


# -- web-request ---------------------------------------------------------------------------------------------------


def ask(port: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str | None, dict[str, Any]]:
    """(status, Location, body) of a web server's answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers["Location"], json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None, json.load(error)


@of("web-request")
def test_a_request_that_is_soon_done_is_answered(example: Example) -> None:
    daemon(example)
    _, port = example.serve("python3", "server.py", "--port", "0")
    status, _, answer = ask(port, "/reports?year=2025&seconds=0", "POST")
    assert (status, answer["report"]) == (200, "175 orders in 2025")


@of("web-request")
@pytest.mark.parametrize(
    ("wait", "prefer"),
    [pytest.param("200ms", {}, id="it takes longer"), pytest.param("20s", {"Prefer": "respond-async"}, id="no wait")],
)
def test_a_page_asks_again_until_its_run_ends_also_when_the_daemon_is_killed(
    example: Example, wait: str, prefer: dict[str, str]
) -> None:
    replace(example, 'sleep "$JOBCTL_PARAM_SECONDS"', GATE)
    first = daemon(example)
    _, port = example.serve("python3", "server.py", "--port", "0", "--wait", wait)
    status, location, answer = ask(port, "/reports?year=2025", "POST", **prefer)
    assert status == 202
    assert answer["status"] in ("queued", "running")
    assert location == f"/reports/{answer['run']}"

    example.until("report", lambda found: found["steps"][0]["status"] == "running")
    first.kill()
    first.wait()
    status, again, answer = ask(port, location)
    assert (status, again, answer["waiting_for"]) == (202, location, "executor")
    daemon(example)
    (example.folder / "go").touch()
    until(example, lambda: ask(port, location)[0] != 202)
    status, _, answer = ask(port, location)
    assert (status, answer["report"]) == (200, "175 orders in 2025")
    [run] = documents(example)
    assert [len(step["attempts"]) for step in run["steps"]] == [1, 1]


@of("web-request")
def test_a_run_that_ends_otherwise_is_told(example: Example) -> None:
    daemon(example)
    _, port = example.serve("python3", "server.py", "--port", "0")
    _, location, _ = ask(port, "/reports?seconds=99", "POST", Prefer="respond-async")
    assert location is not None
    assert example.call("jobctl", "cancel", "report", "--reason", "too much to do")[0] == 0
    until(example, lambda: ask(port, location)[0] != 202)
    status, _, answer = ask(port, location)
    assert (status, answer["status"], answer["error"]) == (500, "canceled", "too much to do")


@of("web-request")
@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/reports", 503, "no daemon runs"),
        ("POST", "/reports?year=soon", 400, "year"),
        ("POST", "/reports?colour=red", 400, "colour"),
        ("GET", "/reports/report-000000", 404, "report-000000"),
        ("GET", "/reports/--help", 404, "no such page"),
    ],
)
def test_a_request_that_leads_to_no_run_is_refused(
    example: Example, method: str, path: str, status: int, error: str
) -> None:
    if status != 503:
        daemon(example)
    _, port = example.serve("python3", "server.py", "--port", "0")
    refused, _, answer = ask(port, path, method)
    assert refused == status
    assert error in answer["error"]


# -- machine-dies --------------------------------------------------------------------------------------------------

LETTERS, HALF = 8, 4


@of("machine-dies")
@pytest.mark.parametrize(
    ("reboot", "tries"),
    [
        pytest.param(False, ["succeeded"], id="the daemon killed: its commands are adopted"),
        pytest.param(True, ["failed", "succeeded"], id="all killed: they go on from their cursors"),
    ],
)
def test_every_run_goes_on_from_where_it_stopped(example: Example, reboot: bool, tries: list[str]) -> None:
    def hand_over(*words: str) -> str:
        code, output = example.call("jobctl", "run", "--detach", *words)
        assert code == 0, output
        return output.strip()

    replace(example, "sleep 0.1", f'[ "$letter" -le {HALF} ] || {GATE}')
    first = daemon(example)
    letters = [hand_over("letters", "-p", f"letters={LETTERS}") for _ in range(3)]
    call = hand_over("call")
    for run in letters[:2]:
        example.until(run, lambda found: found["steps"][1]["cursor"] == str(HALF))
    example.until(call, lambda found: found["steps"][0]["status"] == "waiting")
    first.send_signal(signal.SIGSTOP)  # it is to see nothing of what happens now, as when a machine dies
    kill(example.processes() if reboot else [first.pid])
    first.wait()

    before = {document["id"]: document for document in documents(example)}
    assert [before[run]["interrupted"] for run in (*letters, call)] == [True, True, False, True]
    assert before[letters[2]]["status"] == "queued", "the queue let in more than two"

    daemon(example)
    (example.folder / "go").touch()
    code, output = example.call("jobctl", "wait", call, *letters)
    assert code == 0, output
    after = {document["id"]: document for document in documents(example)}
    for run in letters[:2]:
        addresses, send, book = after[run]["steps"]
        assert [attempt["status"] for attempt in send["attempts"]] == tries
        assert [len(step["attempts"]) for step in (addresses, book)] == [1, 1]
        if reboot:
            assert send["attempts"][0]["error"].startswith("lost")
            assert Path(send["attempts"][1]["log"]).read_text() == f"going on after letter {HALF}\n"
    for run in letters:
        sent = (example.folder / "data" / run / "sent").read_text()
        assert [int(letter) for letter in sent.splitlines()] == list(range(1, LETTERS + 1))
        for step in ("addresses", "book"):
            assert len((example.folder / "data" / run / step).read_text().splitlines()) == 1
    # A retry that was waited for is not brought forward, nor is the attempt before it made again.
    assert (example.folder / "data/calls").read_text() == "1\n2\n"
    one, two = after[call]["steps"][0]["attempts"]
    waited = datetime.fromisoformat(two["started_at"]) - datetime.fromisoformat(one["finished_at"])
    assert waited >= timedelta(seconds=3)


@of("machine-dies")
def test_the_machine_dies_in_the_script_too(example: Example) -> None:
    code, output = example.call("sh", "start")
    assert code == 0, output
    assert len(re.findall(r": succeeded after", output)) == 4
    assert re.search(r"send\.2\.log:going on after letter [1-9]", output)
    assert example.processes() == []
