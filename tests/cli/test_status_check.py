"""`jobctl status --check`: what is wrong, and nothing else; the same as often as it is asked."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import TOO_LATE, Event, EventType, RunState
from jobctl.core.run.rows import NewRun
from jobctl.core.schedule.rows import Dropped
from jobctl.engines.local import executor
from jobctl.engines.local.executor import Executor
from jobctl.host import clock
from jobctl.store import firings
from jobctl.store.append import Batch

HOUR = 3_600_000
DEFINITION = '{"name":"x","steps":[{"name":"main","command":"true"}],"tags":["nightly"]}'


@pytest.fixture
def daemon(runs: Runs) -> Iterator[Executor]:
    """One that lives, as far as anybody can tell."""
    made = Executor(runs.store.state_dir, "daemon")
    runs.store.register(made.id, made.pid, made.kind, clock.now())
    runs.store.record_executor()
    yield made
    made.close()


def _end(runs: Runs, name: str, status: str = "failed", **about: Any) -> None:
    """A run of the job x that has ended so."""
    now = clock.now()
    why = about.pop("reason", "step main: exit code 1")
    created = {key: about[key] for key in ("key", "trigger", "parent") if key in about}
    events = [Event(EventType.RUN_CREATED, now, data=created)]
    if status != "queued":
        events.append(Event(EventType.RUN_ENDED, now, data={"status": status, "reason": why}))
    state = RunState()
    for event in events:
        state.apply(event)
    new = NewRun(
        name,
        about.pop("job", "x"),
        DEFINITION,
        trigger=about.get("trigger", "manual"),
        key=about.get("key"),
        parent=about.get("row"),
    )
    assert runs.store.append([Batch(0, 0, events, state, executor=None, new=new)]) == []


def _ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[tuple[str, str | None]]]:
    capsys.readouterr()
    code = main(["status", "--check", "--json", *words])
    first = capsys.readouterr().out
    assert (main(["status", "--check", "--json", *words]), code) == (code, code)
    again = capsys.readouterr().out
    ours, theirs = (
        {key: value for key, value in json.loads(text).items() if key != "since"} for text in (first, again)
    )
    assert ours == theirs
    found = ours["problems"]
    assert ours["ok"] == (code == 0) == (not found)
    assert all(one["message"] and one["hint"] for one in found)
    return code, [(one["kind"], one["run"] or one["job"]) for one in found]


# what has ended, oldest first -> which runs are news
ENDS: dict[str, tuple[list[tuple[str, dict[str, Any]]], list[str]]] = {
    "nothing": ([], []),
    "it succeeded": ([("succeeded", {})], []),
    "it failed": ([("failed", {})], ["x-000000"]),
    "it timed out": ([("timed_out", {})], ["x-000000"]),
    "it failed twice": ([("failed", {}), ("failed", {})], ["x-000001"]),
    "until its next success": ([("failed", {}), ("succeeded", {})], []),
    "a person's end is none": ([("failed", {}), ("canceled", {}), ("terminated", {})], ["x-000000"]),
    "a new one is under way": ([("failed", {}), ("queued", {})], ["x-000000"]),
    "canceled": ([("canceled", {})], []),
    "of each job": ([("failed", {}), ("failed", {"job": "y"})], ["x-000000", "x-000001"]),
    "another job's success": ([("failed", {}), ("succeeded", {"job": "y"})], ["x-000000"]),
    "each key is its own": (
        [("failed", {"key": "a"}), ("failed", {"key": "b"}), ("succeeded", {})],
        ["x-000000", "x-000001"],
    ),
    "a key that succeeded": ([("failed", {}), ("succeeded", {"key": "a"})], ["x-000000"]),
    "keys that a schedule has made": (
        [("failed", {"key": "k-1", "trigger": "schedule"}), ("failed", {"key": "k-2", "trigger": "schedule"})],
        ["x-000001"],
    ),
    "a schedule's next success": (
        [("failed", {"key": "k-1", "trigger": "schedule"}), ("succeeded", {"key": "k-2", "trigger": "schedule"})],
        [],
    ),
    "nobody was told": ([("succeeded", {}), ("failed", {"job": "x.notify"})], ["x-000001"]),
}


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.usefixtures("daemon")
def test_a_failed_run_is_news_until_its_next_success(runs: Runs, capsys: pytest.CaptureFixture[str], what: str) -> None:
    ends, news = ENDS[what]
    for number, (status, about) in enumerate(ends):
        _end(runs, f"x-{number:06}", status, **about)
    code, found = _ask(capsys)
    assert (code, found) == (int(bool(news)), [("failed", name) for name in news])
    for name in news:
        assert main(["ack", name]) == 0
    assert _ask(capsys) == (0, [])
    assert main(["status", "--check"]) == 0
    assert capsys.readouterr().out == "nothing is wrong\n"


@pytest.mark.usefixtures("daemon")
def test_it_fails_again_and_is_news_again(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _end(runs, "x-000000")
    assert main(["ack", "x"]) == 0
    _end(runs, "x-000001")
    assert _ask(capsys) == (1, [("failed", "x-000001")])


def test_no_daemon_lives(runs: Runs, daemon: Executor, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command=HELD)))  # somebody lives, and is none
    assert _ask(capsys) == (0, [])
    daemon.close()
    assert _ask(capsys) == (1, [("no_daemon", None)])
    assert run.name
    Executor.__init__(daemon, runs.store.state_dir, "daemon")  # for the fixture to close


def test_nothing_has_run_yet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["status", "--check"])
    assert (code, "no daemon lives" in capsys.readouterr().out) == (1, True)
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("ago", "outcome", "since", "is_news"),
    [
        (1, "missed", None, True),
        (23, "missed", None, True),
        (25, "missed", None, False),
        (25, "missed", "2d", True),
        (3, "missed", "2h", False),
        (1, "skipped", None, False),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_missed_fire_times(
    runs: Runs,
    capsys: pytest.CaptureFixture[str],
    ago: int,
    outcome: str,
    since: str | None,
    is_news: bool,
) -> None:
    now = clock.now()
    [entry] = firings.sync(runs.store, [("x", '{"at":1}', "f")], ["f"], now - 100 * HOUR)
    at = now - ago * HOUR
    with runs.store.transaction() as db:
        firings.drop(runs.store, db, [Dropped(entry.id, outcome, at - HOUR, at - HOUR, 1, "no daemon ran")], at)
    words = ("--since", since) if since else ()
    assert _ask(capsys, *words) == (int(is_news), [("missed", "x")] if is_news else [])


@pytest.mark.usefixtures("daemon")
def test_what_was_missed_is_caught_up_with_as_the_hint_says(
    runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jobs.toml").write_text('[jobs.x]\ncommand = "true"\nschedule = "0 * * * *"\n')
    now = clock.now() // HOUR * HOUR
    [entry] = firings.sync(runs.store, [("x", '{"cron":"0 * * * *"}', "f")], ["f"], now)
    with runs.store.transaction() as db:
        firings.drop(runs.store, db, [Dropped(entry.id, "missed", now - 5 * HOUR, now - 3 * HOUR, 3, "none ran")], now)
    assert main(["status", "--check", "--json"]) == 1
    hint = json.loads(capsys.readouterr().out)["problems"][0]["hint"]
    words = shlex.split(hint.partition("jobctl ")[2])
    assert main([*words, "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["times"]) == 3


@pytest.mark.usefixtures("daemon")
def test_nobody_took_it_in_time(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """It was never begun, as if its fire time had been missed."""
    _end(runs, "x-000000", "canceled", reason=TOO_LATE)
    assert _ask(capsys) == (1, [("missed", "x-000000")])


PATIENT = '{"every":3600000}'


@pytest.mark.parametrize(
    ("key", "ago", "started", "is_news"),
    [
        (PATIENT, 2 * HOUR, 2 * HOUR, True),
        (PATIENT, 2 * HOUR, 1_000, False),  # it has only just begun
        (PATIENT, 0, 2 * HOUR, False),
        ('{"every":3600000,"jitter":7200000}', 2 * HOUR, 2 * HOUR, False),
        ('{"boot":true}', 2 * HOUR, 2 * HOUR, False),
        ('{"cron":"* * * * *"}', 5 * 60_000, 2 * HOUR, True),
        ('{"cron":"* * * * *"}', 50_000, 2 * HOUR, False),
    ],
)
def test_a_daemon_that_stands_still(
    runs: Runs, capsys: pytest.CaptureFixture[str], key: str, ago: int, started: int, is_news: bool
) -> None:
    """Its lock is held, and nothing fires."""
    now = clock.now()
    stands = Executor(runs.store.state_dir, "daemon")
    runs.store.register(stands.id, stands.pid, stands.kind, now - started)
    runs.store.record_executor()
    firings.sync(runs.store, [("x", key, "f")], ["f"], now - ago)
    assert _ask(capsys) == (int(is_news), [("late", "x")] if is_news else [])
    firings.pause(runs.store, "x", at=now, reason=None, who=None)
    assert _ask(capsys) == (0, [])
    stands.close()


def test_what_a_daemon_suffers_from(daemon: Executor, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.complain([("the disk is full: nothing new begins", clock.now())])
    assert _ask(capsys) == (1, [("trouble", None)])
    daemon.complain([])
    assert _ask(capsys) == (0, [])
    daemon.tell(definitions_problem={"message": "jobs.toml: no such key", "hint": ""})
    assert _ask(capsys) == (1, [("definitions", None)])


@pytest.mark.parametrize(
    ("free", "inodes", "flags", "kinds", "warnings"),
    [
        (0, 1000, 0, ["trouble"], 0),
        (1 << 40, 0, 0, ["trouble"], 0),
        (1 << 40, 1 << 30, os.ST_RDONLY, ["trouble"], 0),
        (1 << 20, 1 << 30, 0, [], 1),  # it still works
    ],
)
@pytest.mark.usefixtures("runs", "daemon")
def test_a_disk_that_is_full(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    inodes: int,
    flags: int,
    kinds: list[str],
    warnings: int,
) -> None:
    values = {"f_bavail": free, "f_frsize": 1, "f_blocks": 1 << 41, "f_files": 1 << 31, "f_favail": inodes}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**values, f_flag=flags))
    code, found = _ask(capsys)
    assert (code, [kind for kind, _ in found]) == (int(bool(kinds)), kinds)
    main(["status", "--check", "--json"])
    assert len(json.loads(capsys.readouterr().out)["troubles"]) == warnings


@pytest.mark.usefixtures("daemon")
def test_a_lock_that_may_not_be_read(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(executor, "open_own", refuse)
    assert _ask(capsys) == (1, [("unknown", None)])
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "cannot be told" in said
    assert "a daemon runs" not in said.replace("whether a daemon runs", "")
    assert runs.store.executors()


@pytest.mark.parametrize("harm", ["UPDATE events SET data = '['", "UPDATE definitions SET body = '{'"])
@pytest.mark.usefixtures("daemon")
def test_an_open_run_that_cannot_be_read(
    runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    _end(runs, "x-000000", "queued")
    assert _ask(capsys) == (0, [])
    with sqlite3.connect(folder / "state/jobctl.db") as db:
        db.execute(harm)
    assert _ask(capsys) == (1, [("unknown", "x-000000")])
    assert main(["doctor"]) == 0
    assert "x-000000 is not over, and what is recorded of it cannot be read" in capsys.readouterr().out


DEFINED = '[jobs.x]\ncommand = "true"\ntags = ["nightly"]\n[jobs.y]\ncommand = "true"\n'


@pytest.mark.parametrize(
    ("words", "news"),
    [
        (("--job", "x"), ["x-000000", "x.notify-000002"]),
        (("--job", "y"), []),
        (("--job", "x", "--job", "y"), ["x-000000", "x.notify-000002"]),
        (("--tag", "nightly"), ["x-000000", "z-000003", "x.notify-000002"]),
        (("--job", "y", "--tag", "nightly"), []),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_only_of_some_jobs(
    runs: Runs,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    news: list[str],
) -> None:
    (folder / "jobs.toml").write_text(DEFINED)
    _end(runs, "x-000000")
    _end(runs, "y-000001", "succeeded", job="y")
    _end(runs, "x.notify-000002", job="x.notify")
    _end(runs, "z-000003", job="z")  # no file has it any more: what it said counts
    code, found = _ask(capsys, *words)
    assert (code, sorted(found)) == (int(bool(news)), sorted(("failed", name) for name in news))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--job", "nosuch"), 3),
        (("--tag", "nosuch"), 3),
        (("--tag", "nightly", "--tag", "nosuch"), 3),
        (("--since", ""), 2),
        (("--since", "yesterday"), 2),
        (("x",), 2),
        (("--exit-status",), 2),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_what_cannot_be_meant(
    folder: Path, words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jobs.toml").write_text(DEFINED)
    assert main(["status", "--check", *words]) == code
    assert "hint: " in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
def test_options_of_check_alone_are_refused() -> None:
    for words in (("--since", "2h"), ("--job", "x"), ("--tag", "x")):
        assert main(["status", *words]) == 2


def _damaged_row(folder: Path) -> None:
    with sqlite3.connect(folder / "state/jobctl.db") as db:
        db.execute("UPDATE runs SET created_at = 1e300")


def _damaged_history(folder: Path) -> None:
    with sqlite3.connect(folder / "state/jobctl.db") as db:
        db.execute("UPDATE events SET data = '[' WHERE seq = 2")


def _copied(folder: Path) -> None:
    os.rename(folder / "state", folder / "gone")
    os.system(f"cp -a {folder}/gone {folder}/state")


@pytest.mark.parametrize("harm", [_damaged_row, _damaged_history, _copied])
@pytest.mark.usefixtures("daemon")
def test_what_cannot_be_told_is_said(
    runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], None]
) -> None:
    _end(runs, "x-000000")
    if harm is not _damaged_history:
        _end(runs, "x-000001", "succeeded")
    harm(folder)
    code, found = _ask(capsys)
    assert code == 1
    assert "unknown" in {kind for kind, _ in found}


@pytest.mark.usefixtures("daemon")
def test_definitions_that_cannot_be_read_are_no_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text("[jobs.x\n")
    assert _ask(capsys) == (0, [])  # they are not asked
    assert _ask(capsys, "--tag", "nightly") == (1, [("unknown", None)])


def test_a_store_that_cannot_be_used_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "state").mkdir(0o700)
    (folder / "state/jobctl.db").write_bytes(b"no database" * 1000)
    assert main(["status", "--check", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "store"


@pytest.mark.usefixtures("daemon")
def test_nothing_is_written(runs: Runs, folder: Path) -> None:
    (folder / "jobs.toml").write_text(DEFINED)
    _end(runs, "x-000000")

    def looks() -> dict[str, tuple[int, bytes]]:
        paths = [path for path in (folder / "state").rglob("*") if path.is_file() and not path.name.endswith("-shm")]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}

    before = looks()
    for words in ((), ("--tag", "nightly"), ("--json",)):
        assert main(["status", "--check", *words]) == 1
    assert looks() == before


@pytest.mark.parametrize("words", [("status", "--check"), ("status",), ("history",), ("doctor", "--deep")])
def test_who_only_asks_leaves_the_log_of_a_crash_where_it_is(folder: Path, words: tuple[str, ...]) -> None:
    """It was made part of the database by whoever looked first."""
    body = "import os, sys; from jobctl.cli.main import main; main(['run', 'x']); os.kill(os.getpid(), 9)"
    (folder / "jobs.toml").write_text('[jobs.x]\ncommand = "true"\n')
    hold = f"import signal, os; from jobctl.store.database import Database; Database.close = lambda _: None; {body}"
    subprocess.run([sys.executable, "-c", hold], check=False, capture_output=True)
    files = [folder / "state" / name for name in ("jobctl.db", "jobctl.db-wal")]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    assert before[1][1]
    main([*words])
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before
