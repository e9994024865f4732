"""One damaged row, in each column of each table: a line of what is asked, and the daemon goes on with the others."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import Daemons

import kept
from jobctl.cli.main import main
from jobctl.daemon.log import Journal
from jobctl.daemon.loop import Daemon
from jobctl.daemon.systemd import Notifier
from jobctl.engines.local.client import LocalClient
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker.resident import hired
from jobctl.host.host import Host
from jobctl.store.store import Store

JOBS = """
[jobs.good]
command = "true"
[jobs.bad]
schedule = { every = "1s" }
overlap = "skip"
notify = { on = ["failed"], command = "exit 1" }
command = "exit 1"
[jobs.waits]
[[jobs.waits.steps]]
name = "main"
command = "exit 3"
retry = { maximum_attempts = 9, initial_interval = "1h" }
[jobs.holds]
schedule = { every = "1s" }
overlap = "skip"
command = "until [ -e go ]; do sleep 0.05; done"
[jobs.parent]
[[jobs.parent.steps]]
name = "child"
job = "holds"
[jobs.paused]
schedule = { cron = "0 0 1 1 *" }
command = "true"
"""
# Tables that are filled only now and then.
MADE = ("boots", "times")
# What a hand, a disk or a program that is not ours may leave: of every kind that SQLite has.
VALUES: tuple[Any, ...] = (None, "zzz", "../../x", "[", "{}", -1, 0, 1 << 62, 1e300, b"\xff\xfe", "TEXT THAT IS NONE")
ASKED = (
    ["status"],
    ["status", "--json"],
    ["history"],
    ["history", "--json", "--tag", "x"],
    ["schedule", "list"],
    ["list"],
    ["prune", "--dry-run", "--older-than", "0s"],
    ["doctor"],
    *([command, job] for command in ("why", "status", "history") for job in ("bad", "waits", "parent")),
)
UNSHOWN = ("id", "start_by", "key")  # a row without an id there is not; until when it may begin is nobody's to see
OVERVIEWS = [words for words in ASKED if len(words) == 1 or words[0] in ("prune", "schedule") or words[1] == "--json"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a daemon has lived, with a row in every table."""
    place = Daemons(tmp_path_factory.mktemp("lived") / "home", JOBS)
    try:
        daemon = place.daemon()
        for job in ("good", "waits", "parent"):
            place.detach(job)
        place.call("schedule", "pause", "paused")
        with Store(str(place.state)) as store:

            def there() -> bool:
                full = all(store._row(f"SELECT 1 FROM {table}") for table in _tables(store.path) if table not in MADE)
                rows = {row.job: row for row in store.history(limit=99)}
                return full and {"good", "bad", "bad.notify", "waits", "holds", "parent"} <= rows.keys()

            place.until(there)
            place.until(lambda: any(row.wake_at for row in store.alive()))
            place.until(lambda: store._rows("SELECT 1 FROM firings WHERE run IS NULL"))
            store.checkpoint(whole=True)
        daemon.kill()
        daemon.wait()
        place.go()
        place.until(lambda: not place.processes())
        with sqlite3.connect(place.state / "jobctl.db") as db:
            for table in MADE:
                made = db.execute(f"PRAGMA table_info({table})").fetchall()
                values = ["text" if kind == "TEXT" else 1 for _, _, kind, *_ in made]
                marks = ", ".join("?" * len(values))
                db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
        with Store(str(place.state)) as store:
            store.checkpoint(whole=True)
        yield place.folder
    finally:
        place.close()


def _tables(path: str) -> list[str]:
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return [row[0] for row in found]


def _columns() -> list[tuple[str, str]]:
    """(table, column) of all that there are, as the schema that is in use says."""
    schema = (Path(__file__).parents[2] / "src/jobctl/store/schema.sql").read_text()
    with sqlite3.connect(":memory:") as db:
        db.executescript(schema)
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [(t, row[1]) for t in tables if t[:7] != "sqlite_" for row in db.execute(f"PRAGMA table_info({t})")]


def _damaged(lived: Path, folder: Path, table: str, column: str, value: Any) -> bool:
    """A copy of it with one row that is damaged: the last of its table. False where SQLite does not take the value."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / "state").mkdir(mode=0o700)
    shutil.copy(lived / "state" / "jobctl.db", folder / "state" / "jobctl.db")
    shutil.copytree(lived / "state" / "runs", folder / "state" / "runs")
    (folder / "jobs.toml").write_text(JOBS)
    (folder / "go").touch()
    with sqlite3.connect(folder / "state" / "jobctl.db") as db:
        db.execute("UPDATE store SET folder = NULL")  # no copy, for this test
        keys = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
        which = {
            # One that is looked at: the last of a run that is not over.
            "events": "run = (SELECT id FROM runs WHERE job = 'waits') AND seq = 4",
            "runs": "job = 'waits'",
            "definitions": "job = 'waits'",
            "schedules": "job = 'bad'",
        }.get(table)
        if which is None:
            names = ", ".join(keys)
            which = f"({names}) = (SELECT {names} FROM {table} ORDER BY {names} DESC LIMIT 1)"
        new = "CAST(x'ff80' AS TEXT)" if value == VALUES[-1] else "?"
        try:
            db.execute("PRAGMA foreign_keys = OFF")
            changed = db.execute(
                f"UPDATE {table} SET {column} = {new} WHERE {which}", () if new[0] == "C" else (value,)
            )
            assert changed.rowcount == 1
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            return False
    return True


@pytest.mark.parametrize(("table", "column"), _columns())
def test_who_asks_is_answered(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, table: str, column: str
) -> None:
    folder = tmp_path / "copy"
    for value in VALUES:
        if not _damaged(lived, folder, table, column, value):
            continue
        monkeypatch.chdir(folder)
        monkeypatch.setenv("JOBCTL_STATE_DIR", str(folder / "state"))
        said = {}
        for words in ASKED:
            code = main(words)
            out, err = capsys.readouterr()
            about = (value, words, out, err)
            assert "unexpected" not in err, about
            assert "Traceback" not in err, about
            assert code in ((0,) if words in OVERVIEWS else (0, 3, 4)), about
            said[" ".join(words)] = out + err
        assert "good-" in said["status"], value  # the others are shown
        assert {job["job"] for job in json.loads(said["status --json"].split("\nwarning")[0])["jobs"]} >= {
            "good",
            "holds",
        }
        if table == "runs" and isinstance(value, bytes) and column not in UNSHOWN:
            assert "warning: the row of a run, " in said["status"] + said["history"], said["status"]
        if table == "definitions" and column == "body" and value in ("{}", "[", "zzz", b"\xff\xfe"):
            assert "warning: what is recorded of run waits-" in said["status"], said["status"]


@pytest.mark.parametrize(("table", "column"), _columns())
def test_the_daemon_goes_on_with_the_others(lived: Path, tmp_path: Path, table: str, column: str) -> None:
    folder = tmp_path / "copy"
    for value in ("zzz", 1e300, b"\xff\xfe", "../../x", VALUES[-1]):
        if not _damaged(lived, folder, table, column, value):
            continue
        stream = io.StringIO()
        store = Store(str(folder / "state"))
        daemon = Daemon(
            hired(LocalClient(store), max_concurrent_runs=50, keeper=None),
            [str(folder / "jobs.toml")],
            journal=Journal("json", stream, host=Host()),
            notifier=Notifier({}),
            host=Host(),
        )
        try:
            daemon.start()
            name = enqueue(store, daemon.reloader.catalog.jobs["good"], {}, trigger="manual", host=Host()).name
            daemon.work.dispatch = True
            deadline = time.monotonic() + 20
            while store.find(name).status != "succeeded":
                assert time.monotonic() < deadline, (value, stream.getvalue())
                daemon.turn(20)
            for _ in range(3):
                daemon.turn(0)
        finally:
            daemon.close()
            store.close()
            kept.end_all(folder / "state")
        assert "unexpected" not in stream.getvalue(), (value, stream.getvalue())
