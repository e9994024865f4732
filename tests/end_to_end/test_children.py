"""Child runs at the command line: what is said of them, and what requests and signals do to them."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import Home

from jobctl.core.run.rows import RunRow
from jobctl.store.store import Store

HELD = "touch began; until [ -e go ]; do sleep 0.01; done"
JOBS = """
[jobs.x]
[[jobs.x.steps]]
name = "kid"
job = "y"
{keys}
[jobs.y]
[[jobs.y.steps]]
name = "mail"
command = '{mail}'
[[jobs.y.steps]]
name = "last"
command = "echo last"
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path / "home", "")
    yield one
    one.close()


def write(home: Home, mail: str, keys: str = "") -> None:
    (home.folder / "jobs.toml").write_text(JOBS.format(mail=mail, keys=keys))


def runs(home: Home) -> dict[str, RunRow]:
    with Store(str(home.state)) as store:
        return {row.job: row for row in store.history(limit=100)}


def test_what_is_told_of_a_child_that_fails(home: Home) -> None:
    write(home, "echo mailing; exit 7")
    code, output = home.call("run", "x")
    x, y = runs(home)["x"].name, runs(home)["y"].name
    assert code == 1
    because = f"child run {y} failed: step mail: exit code 7"
    assert output.splitlines() == [
        f"{x} started",
        f"step kid waits for child run {y}",
        "kid > step mail started",
        "kid > mail | mailing",
        *[line for line in output.splitlines() if line.startswith("kid > step mail failed: exit code 7")],
        f"step kid failed: {because}; no retry: it was the only attempt",
        *[line for line in output.splitlines() if line.startswith(f"{x} failed after ")],
        f"  kid  failed: {because}",
        f"logs: jobctl logs {y}",
        f"take it up again with: jobctl resume {x}",
    ]
    _, parent = home.call("status", "x")
    assert f"kid  failed: {because}" in parent
    assert f"child run {y} failed" in parent
    _, child = home.call("status", "y")
    assert re.search(rf"child of +{x}, step kid", child)
    _, told = home.call("history", x)
    assert f"step kid waits for child run {y}" in told
    assert f"step kid: child run {y} failed: step mail: exit code 7" in told
    _, told = home.call("history", y)
    assert f"run created, a child of {x}, step kid" in told
    assert home.call("logs", "x", "kid") == (0, f"child run: jobctl logs {y}\n")
    assert "mailing" in home.call("logs", y)[1]


def test_documents_of_a_parent_and_a_child(home: Home) -> None:
    write(home, HELD)
    process = home.start("--json", "run", "x")
    home.until(lambda: (home.folder / "began").exists())
    x, y = runs(home)["x"].name, runs(home)["y"].name
    document = json.loads(home.call("--json", "status", "x")[1])
    assert document["waiting_for"] == {"kind": "child", "name": y, "until": None}
    [step] = document["steps"]
    assert step["child"] == {"run": y, "job": "y", "status": "running"}
    assert step["waiting"] == {"kind": "child", "name": y, "until": None}
    assert json.loads(home.call("--json", "status", "y")[1])["parent"] == {"run": x, "step": "kid"}
    people = home.call("status", "x")[1]
    assert f"waiting for child run {y} (running)" in people
    assert f"it waits for the run {y} to end: jobctl why {y}" in people
    overview = home.call("status")[1]
    assert "and 1 child run of these" in overview
    (home.folder / "go").touch()
    lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
    assert {line["run"] for line in lines[:-1]} == {x, y}
    assert lines[-1]["id"] == x
    assert [line["seq"] for line in lines[:-1] if line["run"] == y] == list(range(1, runs(home)["y"].seq + 1))


def test_the_child_of_each_item_is_named(home: Home) -> None:
    write(home, HELD, "foreach = [1, 2]")
    process = home.start("run", "x")
    home.until(lambda: (home.folder / "began").exists())
    with Store(str(home.state)) as store:
        names = {row.parent_step: row.name for row in store.history(limit=100)}
    people = home.call("status", "x")[1]
    for index in (0, 1):
        assert f"[{index}] {index + 1}  waiting for child run {names[f'kid[{index}]']} (running)\n" in people
    (home.folder / "go").touch()
    assert process.wait() == 0


def test_the_last_run_of_a_job_is_its_own_where_it_has_one(home: Home) -> None:
    write(home, "true")
    assert home.call("run", "y")[0] == 0
    own = runs(home)["y"].name
    assert home.call("run", "x")[0] == 0
    jobs = {job["job"]: job["last_run"]["id"] for job in json.loads(home.call("--json", "status")[1])["jobs"]}
    assert jobs["y"] == own


@pytest.mark.parametrize(
    ("number", "code", "x", "y"),
    [(signal.SIGINT, 130, "canceled", "canceled"), (signal.SIGTERM, 143, "canceled", "canceled")],
)
def test_a_signal_cancels_the_family(home: Home, number: int, code: int, x: str, y: str) -> None:
    write(home, HELD)
    process = home.start("run", "x")
    home.until(lambda: (home.folder / "began").exists())
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert (runs(home)["x"].status, runs(home)["y"].status) == (x, y)
    assert home.processes() == []


def test_a_family_of_a_killed_process_is_canceled_by_another(home: Home) -> None:
    write(home, HELD)
    process = home.start("run", "x")
    home.until(lambda: (home.folder / "began").exists())
    process.kill()
    process.communicate()
    code, output = home.call("cancel", "x")
    assert code == 0, output
    assert (runs(home)["x"].status, runs(home)["y"].status) == ("canceled", "canceled")
    assert home.processes() == []


def test_a_family_of_a_killed_process_is_terminated_by_another(home: Home) -> None:
    write(home, HELD)
    process = home.start("run", "x")
    home.until(lambda: (home.folder / "began").exists())
    process.kill()
    process.communicate()
    home.call("terminate", "x")
    assert (runs(home)["x"].status, runs(home)["y"].status) == ("terminated", "terminated")
    assert home.processes() == []


@pytest.mark.parametrize("leave", [True, False])
def test_a_child_that_is_left_alone_goes_on_in_the_foreground_or_is_left(home: Home, leave: bool) -> None:
    write(home, HELD, 'on_parent_close = "abandon"')
    process = home.start("run", "x")
    home.until(lambda: (home.folder / "began").exists())
    process.send_signal(signal.SIGINT)
    home.until(lambda: runs(home)["x"].status == "canceled")
    if leave:
        assert process.stdout is not None
        while "without it go on" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert runs(home)["y"].status == "running"
    (home.folder / "go").touch()
    process.communicate(timeout=30)
    assert process.returncode == 130
    if leave:
        code, output = home.call("resume", "y")
        assert code == 0, output
    assert runs(home)["y"].status == "succeeded"
    assert runs(home)["x"].status == "canceled"


def test_resume_of_a_run_goes_on_with_its_child(home: Home) -> None:
    write(home, "echo >> tries; [ -e go ]")
    assert home.call("run", "x")[0] == 1
    (home.folder / "go").touch()
    before = runs(home)["y"].name
    code, output = home.call("resume", "x")
    assert code == 0, output
    assert runs(home)["y"].name == before
    assert len(home.lines("tries")) == 2
