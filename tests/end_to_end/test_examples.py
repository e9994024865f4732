"""The examples, run as their first lines say: real files, real servers, real kills. One test for what each is about."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import looked
from jobctl.core.errors import NotFoundError
from jobctl.store.store import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 60  # seconds until something that must happen counts as not happening

Document = dict[str, Any]


class Example:
    """A copy of one example's folder, a state folder of its own, and `jobctl` called there."""

    def __init__(self, name: str, scratch: Path) -> None:
        written = [line.strip("/") for line in (EXAMPLES / ".gitignore").read_text().splitlines()[1:]]
        shutil.copytree(EXAMPLES, scratch / "examples", ignore=shutil.ignore_patterns(*written))
        self.scratch = scratch
        self.folder = scratch / "examples" / name
        self.state = scratch / "state"
        temporary = scratch / "tmp"
        temporary.mkdir()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("JOBCTL_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(scratch),
            "TMPDIR": str(temporary),
            "JOBCTL_STATE_DIR": str(self.state),
        }

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *command: str, **environment: str) -> tuple[int, str]:
        """(exit code, stdout and stderr) of a command."""
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def serve(self, *command: str) -> tuple[subprocess.Popen[str], str]:
        """A server of the examples, once it listens, and its port."""
        server = self.start(*command)
        assert server.stdout is not None
        return server, server.stdout.readline().strip()

    def document(self, run: str) -> Document | None:
        """The run as `status --json` has it; None while there is none."""
        try:
            with Store(str(self.state), create=False) as store:
                return looked.run_document(store, store.find(run))
        except NotFoundError:
            return None

    def step(self, run: str, name: str) -> Document:
        document = self.document(run)
        assert document is not None
        return next(step for step in document["steps"] if step["name"] == name)

    def statuses(self, run: str) -> dict[str, str]:
        document = self.document(run)
        assert document is not None
        return {step["name"]: step["status"] for step in document["steps"]}

    def until(self, run: str, holds: Callable[[Document], bool]) -> Document:
        """The run as it is when something holds of it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            document = self.document(run)
            if document is not None and holds(document):
                return document
            time.sleep(0.01)
        raise AssertionError(f"did not happen: {json.dumps(self.document(run), indent=1)}")

    def processes(self) -> list[int]:
        """Everything that was started from here and lives: all of it has our TMPDIR."""
        mark = f"TMPDIR={self.environment['TMPDIR']}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True, ids=[name])


def attempts(step: Document) -> list[tuple[str, int | None]]:
    return [(attempt["status"], attempt["exit_code"]) for attempt in step["attempts"]]


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in EXAMPLES.glob("*/jobs.toml")))
def test_every_example_is_valid_and_named_in_the_readme(folder: str, tmp_path: Path) -> None:
    example = Example(folder, tmp_path)
    assert example.call("jobctl", "validate")[0] == 0
    assert f"examples/{folder}" in (EXAMPLES.parent / "README.md").read_text()


@of("hello")
def test_a_killed_run_is_taken_up_again(example: Example) -> None:
    # Killed after three seconds, a busy machine may have recorded nothing yet: then there is no run.
    codes = (example.call("sh", "start")[0] for _ in range(5))
    assert next(code for code in codes if code != 3) == 0
    fetch = example.step("hello", "fetch")
    assert attempts(fetch) == [("failed", 1), ("failed", 1), ("succeeded", 0)]
    assert set(example.statuses("hello").values()) == {"succeeded"}
    say = Path(example.step("hello", "say")["attempts"][-1]["log"])
    assert re.fullmatch(r"hello from hello-\w{6}\n", say.read_text())


@of("tile-baking")
def test_a_network_failure_is_retried(example: Example) -> None:
    _, port = example.serve("python3", "../flaky_server.py", "service", "--port", "0", "--fail", "2")
    url = f"http://127.0.0.1:{port}"
    code, output = example.call(
        "jobctl", "run", "tiles", "-p", f"source={url}/points.csv", "-p", f"service={url}/tiles", "-p", "zoom=1"
    )
    assert code == 0, output
    assert attempts(example.step("tiles", "fetch")) == [("failed", 1), ("failed", 1), ("succeeded", 0)]
    assert attempts(example.step("tiles", "publish")) == [("failed", 1), ("failed", 1), ("succeeded", 0)]
    published = {
        str(p.relative_to(example.folder)): json.loads(p.read_text())
        for p in example.folder.glob("service/tiles/**/*.json")
    }
    assert published == {
        "service/tiles/1/0/0.json": ["London", "New York"],
        "service/tiles/1/0/1.json": ["Rio de Janeiro"],
        "service/tiles/1/1/0.json": ["Berlin", "Paris", "Tokyo"],
        "service/tiles/1/1/1.json": ["Sydney", "Nairobi"],
    }


@of("tile-baking")
def test_a_run_is_paused_while_the_network_is_down(example: Example) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    run = example.start(
        "jobctl", "run", "tiles", "-p", f"source={url}/points.csv", "-p", f"service={url}/tiles", "-p", "zoom=0"
    )
    example.until("tiles", lambda found: found["steps"][0]["status"] == "waiting")
    assert example.call("jobctl", "pause", "tiles")[0] == 0
    paused = example.until("tiles", lambda found: found["steps"][0]["status"] == "waiting")
    assert paused["status"] == "paused"
    assert paused["waiting_for"]["kind"] == "pause"

    example.serve("python3", "../flaky_server.py", "service", "--port", str(port), "--fail", "0")
    still = example.document("tiles")
    assert still is not None
    assert still["steps"] == paused["steps"]
    assert example.call("jobctl", "resume", "tiles")[0] == 0
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output
    assert (example.folder / "service/tiles/0/0/0.json").exists()


@of("source-upload")
def test_a_source_is_published_once_and_nothing_is_left(example: Example) -> None:
    _, port = example.serve("python3", "../flaky_server.py", "service", "--port", "0", "--fail", "2")
    upload = ("jobctl", "run", "upload", "-p", "file=people.csv", "-p", f"service=http://127.0.0.1:{port}/published")
    assert example.call(*upload)[0] == 0
    assert attempts(example.step("upload", "publish")) == [("failed", 1), ("failed", 1), ("succeeded", 0)]
    digest = example.step("upload", "process")["outputs"]["digest"]
    assert [path.name for path in example.folder.glob("service/published/*")] == [f"{digest}.json"]
    assert list(example.folder.glob("work/*")) == []


@of("source-upload")
def test_a_source_that_is_wrong_is_not_tried_again(example: Example) -> None:
    (example.folder / "people.csv").write_text("name,mail\nAda,nowhere\n")
    code, _ = example.call("jobctl", "run", "upload", "-p", "file=people.csv")
    assert code == 1
    assert example.statuses("upload") == {
        "receive": "succeeded",
        "validate": "failed",
        "process": "skipped",
        "publish": "skipped",
        "clean": "succeeded",
    }
    assert attempts(example.step("upload", "validate")) == [("failed", 65)]
    assert example.step("upload", "validate")["error"] == "line 2: 'Ada, nowhere' is not a name and a mail address"
    assert list(example.folder.glob("work/*")) == []


def contents(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return [*db.iterdump(), str(db.execute("PRAGMA user_version").fetchone())]


def database_at_version_1(folder: Path) -> Path:
    path = folder / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript((folder / "migrations/001-people.sql").read_text() + "PRAGMA user_version = 1;")
    return path


@of("migration-ci")
def test_a_pipeline_goes_on_when_the_migration_succeeded(example: Example) -> None:
    database = database_at_version_1(example.folder)
    code, output = example.call("sh", "pipeline", "app.db", CI="true")
    assert code == 0, output
    assert "(2,)" in contents(database)
    report = json.loads((example.folder / "run.json").read_text())
    assert report["status"] == "succeeded"
    assert list(Path(example.environment["TMPDIR"]).iterdir()) == []


@of("migration-ci")
def test_a_migration_that_fails_leaves_the_database_as_it_was(example: Example) -> None:
    database = database_at_version_1(example.folder)
    before = contents(database)
    (example.folder / "migrations/003-wrong.sql").write_text("UPDATE people SET nothing = 1;")
    code, _ = example.call("sh", "pipeline", "app.db", CI="true")
    assert code == 1
    assert contents(database) == before
    report = json.loads((example.folder / "run.json").read_text())
    assert report["status"] == "failed"
    assert {step["name"]: step["status"] for step in report["steps"]} == {
        "backup": "succeeded",
        "migrate": "compensated",
        "check": "skipped",
        "clean": "succeeded",
    }
    assert attempts(report["steps"][1]) == [("failed", 65)]


@of("migration-ci")
def test_a_canceled_pipeline_leaves_nothing_behind(example: Example) -> None:
    database = database_at_version_1(example.folder)
    before = contents(database)
    (example.folder / "migrations/003-endless.sql").write_text(
        "UPDATE people SET mail = NULL;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n;"
    )
    files = sorted(path.name for path in example.folder.iterdir())
    pipeline = example.start("sh", "pipeline", "app.db", CI="true")
    temporary = Path(example.environment["TMPDIR"])
    deadline = time.monotonic() + PATIENCE
    while not any("003-endless" in log.read_text() for log in temporary.glob("*/runs/*/migrate.1.log")):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    pipeline.send_signal(signal.SIGTERM)
    pipeline.communicate(timeout=PATIENCE)
    assert pipeline.returncode == 128 + signal.SIGTERM
    assert example.processes() == []
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in example.folder.iterdir()) == sorted([*files, "run.json"])
    assert contents(database) == before
    assert json.loads((example.folder / "run.json").read_text())["status"] == "canceled"


@of("deadline")
@pytest.mark.parametrize(
    ("given", "code", "run", "ask", "write"),
    [
        pytest.param([], 0, "succeeded", "succeeded", "succeeded", id="the second call answers"),
        pytest.param(["-p", "hang=99"], 1, "failed", "timed_out", "skipped", id="the step's time is up"),
        pytest.param(["-p", "write=60"], 124, "timed_out", "succeeded", "timed_out", id="the run's time is up"),
    ],
)
def test_three_deadlines_hold_together(
    example: Example, given: list[str], code: int, run: str, ask: str, write: str
) -> None:
    assert example.call("jobctl", "run", "report", *given)[0] == code
    document = example.document("report")
    assert document is not None
    assert document["status"] == run
    assert example.statuses("report") == {"ask": ask, "write": write, "release": "succeeded"}
    first = example.step("report", "ask")["attempts"][0]
    assert first["status"] == "timed_out"
    assert first["error"] == "start_to_close of 500ms passed"


@of("choosing-retries")
@pytest.mark.parametrize(
    ("password", "code", "seen"),
    [
        pytest.param("secret", 0, ["dropped", "welcome"], id="the connection dropped: once more"),
        pytest.param("guess", 1, ["denied"], id="the password is wrong: never again"),
    ],
)
@pytest.mark.parametrize("job", ["by-exit-code", "from-the-command"])
def test_only_what_may_help_is_tried_again(
    example: Example, job: str, password: str, code: int, seen: list[str]
) -> None:
    server, port = example.serve("python3", "server.py", "0", str(seen.count("dropped")))
    assert example.call("jobctl", "run", job, "-p", f"port={port}", PASSWORD=password)[0] == code
    server.terminate()
    assert server.communicate()[0].split() == seen


def kill_jobctl(run: subprocess.Popen[str], example: Example) -> None:  # noqa: ARG001
    run.kill()
    run.wait()


def kill_everything(run: subprocess.Popen[str], example: Example) -> None:
    run.send_signal(signal.SIGSTOP)  # it is to see nothing of what happens now, as when a machine dies
    for pid in example.processes():
        if pid != run.pid:
            os.kill(pid, signal.SIGKILL)
    run.kill()
    run.wait()


@of("backfill")
@pytest.mark.parametrize(
    ("kill", "tries"),
    [
        pytest.param(kill_jobctl, ["succeeded"], id="jobctl killed: the copy goes on"),
        pytest.param(kill_everything, ["failed", "succeeded"], id="all killed: the next attempt goes on"),
    ],
)
def test_a_backfill_goes_on_from_its_cursor(
    example: Example, kill: Callable[[subprocess.Popen[str], Example], None], tries: list[str]
) -> None:
    run = example.start("jobctl", "run", "backfill", "-p", "rows=200000")
    found = example.until("backfill", lambda found: found["steps"][1]["cursor"] is not None)
    kill(run, example)
    cursor = int(found["steps"][1]["cursor"])

    left = example.document("backfill")
    assert left is not None
    assert left["interrupted"]
    with contextlib.closing(sqlite3.connect(example.folder / "data/target.db")) as target:
        copied = target.execute("SELECT count(*) FROM items").fetchone()[0]
    assert 0 < copied < 200_000, "it was not killed mid-way"

    code, output = example.call("jobctl", "resume", "backfill")
    assert code == 0, output
    copy = example.step("backfill", "copy")
    assert [attempt["status"] for attempt in copy["attempts"]] == tries
    begun = Path(copy["attempts"][-1]["log"]).read_text()
    if len(tries) > 1:
        assert copy["attempts"][0]["error"].startswith("lost")
        assert int(begun.split()[-1]) >= cursor
    with contextlib.closing(sqlite3.connect(example.folder / "data/target.db")) as db:
        db.execute("ATTACH ? AS old", (str(example.folder / "data/source.db"),))
        same = db.execute("SELECT count(*) FROM items JOIN old.items o USING (id, name, price)").fetchone()[0]
        assert same == db.execute("SELECT count(*) FROM items").fetchone()[0] == 200_000


@of("durable-script")
@pytest.mark.parametrize("stays", [True, False])
def test_a_durable_script_does_nothing_twice_whatever_is_killed(example: Example, stays: bool) -> None:
    run = example.start("jobctl", "run", "trial", "-p", "user=anna", "-p", "wait=1s")
    example.until("trial", lambda found: found["steps"][0]["waiting"] is not None)
    run.kill()
    run.wait()
    if stays:
        assert example.call("jobctl", "signal", "trial", "stay", "--data", '{"plan": "yearly"}')[0] == 0
    code, output = example.call("jobctl", "resume", "trial")
    assert code == 0, output
    last = 'keep account-of-anna {"plan": "yearly"}' if stays else "close account-of-anna"
    log = (example.folder / "data/log").read_text().splitlines()
    assert log == ["open anna", "mail anna your trial of account-of-anna ends soon", last]
    step = example.step("trial", "main")
    assert step["outputs"] == {"account": "account-of-anna"}
    assert [how for how, _ in attempts(step)].count("failed") == 3  # each of the service's calls failed once


# -- orders ------------------------------------------------------------------------------------------------------------


def _shop(example: Example) -> None:
    """A shop on a free port: an address stands in the definition, whole."""
    _, port = example.serve("python3", "shop.py", "--port", "0")
    definition = example.folder / "jobs.toml"
    shop = example.folder / "shop.py"
    definition.write_text(definition.read_text().replace("8769", port))
    shop.write_text(shop.read_text().replace("8769", port))


@of("orders")
def test_each_order_reaches_a_server_that_is_down_at_first_and_counts_once(example: Example) -> None:
    _shop(example)
    code, output = example.call("jobctl", "run", "order")
    assert code == 0, output
    assert attempts(example.step("order", "basket")) == [("failed", 1), ("failed", 1), ("succeeded", 0)]
    assert example.step("order", "receipt")["outputs"] == {"status": "200", "receipt": '["rice", "salt", "tea"]'}
    assert "open-sesame" not in output


@of("orders")
def test_what_a_server_refuses_is_final_and_the_rest_is_taken_back(example: Example) -> None:
    _shop(example)
    code, output = example.call("jobctl", "run", "order", "--param", 'things=["tea", "moon"]')
    assert code == 1, output
    assert "status 422" in output
    assert example.statuses("order")["basket"] == "compensated"
    assert "canceled basket-1: 204" in output
