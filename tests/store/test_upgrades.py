"""State folders of every released schema, as they were left: each later version opens them and goes on with them.

`released/N/state.tar.gz` holds what schema N's last version left: `jobs.toml`, `state/`. Never changed, only added to.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from jobctl.store import schema
from jobctl.store.store import Store

RELEASED = Path(__file__).with_name("released")
VERSIONS = sorted(int(folder.name) for folder in RELEASED.iterdir())

# In the folder of every version: job -> how its (oldest) run stands, and what becomes of it when somebody goes on.
STANDS = {
    "good": "succeeded",
    "bad": "failed",
    "resumable": "failed",
    "sleeper": "running",
    "asked": "running",
    "held": "succeeded",
}


@pytest.fixture
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(RELEASED / str(request.param) / "state.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def call(left: Path, *words: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "--json", "--state-dir", str(left / "state"), *words],
        cwd=left,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if words[0] in ("run", "resume") else json.loads(done.stdout)


def oldest(left: Path, job: str) -> Any:
    return min(call(left, "history", job), key=lambda run: run["created_at"])


def version(left: Path) -> int:
    db = sqlite3.connect(left / "state" / "jobctl.db")
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def columns(path: Path) -> dict[str, set[Any]]:
    db = sqlite3.connect(path)
    try:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")]
        return {
            name: {row[1:] for row in db.execute(f"PRAGMA table_info({name})")}
            | {row[2] for row in db.execute(f"PRAGMA index_info({name})")}
            for name in names
            if "sqlite" not in name
        }
    finally:
        db.close()


def test_every_released_schema_has_its_folder() -> None:
    assert range(1, schema.VERSION) == range(1, max(VERSIONS, default=0) + 1)


@pytest.mark.parametrize("left", VERSIONS, indirect=True, ids=str)
def test_it_is_brought_to_the_schema_of_today(left: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = version(left)
    Store(str(left / "state")).close()
    assert before < version(left) == schema.VERSION
    new = tmp_path_factory.mktemp("new")
    Store(str(new)).close()
    assert columns(left / "state" / "jobctl.db") == columns(new / "jobctl.db")


@pytest.mark.parametrize("left", VERSIONS, indirect=True, ids=str)
@pytest.mark.parametrize("job", STANDS)
def test_its_runs_are_read_as_they_were(left: Path, job: str) -> None:
    run = oldest(left, job)
    assert run["status"] == STANDS[job]
    assert call(left, "history", run["id"])
    assert call(left, "status", run["id"])["steps"]


@pytest.mark.parametrize("left", VERSIONS, indirect=True, ids=str)
def test_its_runs_go_on(left: Path) -> None:
    resumed = call(left, "resume", oldest(left, "resumable")["id"])
    assert (resumed["status"], [len(step["attempts"]) for step in resumed["steps"]]) == ("succeeded", [1, 2])
    asked = oldest(left, "asked")["id"]
    call(left, "approve", asked)
    assert call(left, "resume", asked)["status"] == "succeeded"
    call(left, "cancel", oldest(left, "sleeper")["id"])
    assert oldest(left, "sleeper")["status"] == "canceled"
    assert call(left, "run", "good")["status"] == "succeeded"


@pytest.mark.parametrize("left", VERSIONS, indirect=True, ids=str)
def test_what_cannot_be_upgraded_is_left_as_it_was(left: Path) -> None:
    before = (left / "state" / "jobctl.db").read_bytes()
    kept = left / "kept.db"
    shutil.copy(left / "state" / "jobctl.db", kept)
    db = sqlite3.connect(left / "state" / "jobctl.db")
    db.execute("DROP TABLE runs")
    db.commit()
    db.close()
    assert call(left, "history", code=4)["error"]["code"]
    shutil.copy(kept, left / "state" / "jobctl.db")
    assert (left / "state" / "jobctl.db").read_bytes() == before
    assert call(left, "history")
