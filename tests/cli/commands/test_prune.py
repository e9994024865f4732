"""What is no longer kept is removed, what is not over never is, and what came free is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Job, Step, encode
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.rows import NewRun
from jobctl.engines.local.executor import Executor
from jobctl.host import clock
from jobctl.store.append import Batch

DAY = 86_400_000
NOTHING = {"removed": {}, "folders": 0, "executors": 0}


def _define(folder: Path, **keeps: str) -> None:
    (folder / "jobs.toml").write_text(
        "".join(
            f'[jobs.{job}]\ncommand = "true"\n' + (f"keep = {keep}\n" if keep else "") for job, keep in keeps.items()
        )
    )


def _ended(runs: Runs, job: str, *ages: int, command: str = "true") -> list[str]:
    """Runs that ended so many days ago, each with a file."""
    names = []
    for age in ages:
        at = clock.now() - age * DAY
        events = [
            Event(EventType.RUN_CREATED, at - 2_000),
            Event(EventType.RUN_ENDED, at - 1_000, data={"status": "succeeded"}),
        ]
        state = RunState()
        for event in events:
            state.apply(event)
        definition = encode(Job(job, "/", (Step("main", command=command),)))
        name = f"{job}-{len(runs.store.history(limit=1000)):06}"
        runs.store.append([Batch(0, 0, events, state, executor=None, new=NewRun(name, job, definition))])
        files = runs.folder / "state" / "runs" / name
        files.mkdir(parents=True)
        (files / "main.1.log").write_bytes(b"x" * 10_000)
        names.append(name)
    return names


def _left(runs: Runs) -> list[str]:
    """Runs that are there, newest first; each has its folder."""
    names = [row.name for row in runs.store.history(limit=1000)]
    folder = runs.folder / "state" / "runs"
    assert {path.name for path in folder.iterdir()} == set(names)
    return names


def _prune(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["prune", "--json", *args]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize(
    ("keep", "args", "left"),
    [
        ("{ runs = 2 }", [], 2),
        ('{ for = "6d" }', [], 3),
        ('{ runs = 4, for = "6d" }', [], 3),
        ("", [], 5),
        # What is said here counts instead.
        ("{ runs = 2 }", ["--keep-runs", "4"], 4),
        ("{ runs = 2 }", ["--older-than", "8d"], 4),
        ("", ["--keep-runs", "4", "--older-than", "6d"], 3),
        ("", ["--keep-runs", "0"], 0),
        ("{ runs = 9 }", [], 5),
    ],
)
def test_what_is_kept(keep: str, args: list[str], left: int, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a=keep)
    names = _ended(runs, "a", 9, 7, 5, 3, 1)
    dry = _prune(capsys, *args, "--dry-run")
    assert _left(runs) == names[::-1]
    document = _prune(capsys, *args)
    assert _left(runs) == names[::-1][:left]
    assert document["removed"] == dry["removed"] == ({"a": 5 - left} if left < 5 else {})
    assert (document["dry_run"], dry["dry_run"]) == (False, True)
    assert dry["bytes_freed"] >= 10_000 * (5 - left)
    assert document["bytes_freed"] >= dry["bytes_freed"]


@pytest.mark.parametrize(
    ("args", "left"),
    [
        ([], ["a", "b", "b", "gone"]),
        (["b"], ["a", "a", "b", "b", "gone"]),
        (["b", "--keep-runs", "0"], ["a", "a", "gone"]),
        # A job that is not defined any more, too.
        (["gone", "--keep-runs", "0"], ["a", "a", "b", "b"]),
        (["--keep-runs", "0"], []),
    ],
)
def test_which_jobs(args: list[str], left: list[str], runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a="{ runs = 1 }", b="{ runs = 2 }")
    for job, ages in (("a", (2, 1)), ("b", (2, 1)), ("gone", (1,))):
        _ended(runs, job, *ages)
    _prune(capsys, *args)
    assert sorted(row.job for row in runs.store.history()) == left


def test_definitions_are_not_needed_by_one_who_says_what_to_keep(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs.folder / "jobs.toml").write_text("[jobs")
    _ended(runs, "a", 2, 1)
    assert _prune(capsys, "--keep-runs", "1")["removed"] == {"a": 1}
    assert main(["prune"]) == 2


def test_what_is_not_over_is_not_touched(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a="")
    old = runs.start(runs.job(Step("main", command=HELD), name="a"))
    interrupted = runs.start(runs.job(Step("main", command=HELD), name="a"))
    runs.die()
    _ended(runs, "a", 1)
    for more in (["--dry-run"], []):
        assert _prune(capsys, "--keep-runs", "0", "--older-than", "1ms", *more)["removed"] == {"a": 1}
    assert _left(runs) == [interrupted.name, old.name]


def test_more_than_one_portion(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a="{ runs = 10 }")
    names = _ended(runs, "a", *[1] * 250)
    assert _prune(capsys)["removed"] == {"a": 240}
    assert _left(runs) == names[::-1][:10]


def test_definitions_that_no_run_has_go_too(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _ended(runs, "a", 3, command="old")
    _ended(runs, "a", 2, 1, command="new")
    _prune(capsys, "--keep-runs", "1")
    assert ["new" in body for (body,) in runs.store._rows("SELECT body FROM definitions")] == [True]


def test_what_crashes_left_behind(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a="")
    (name,) = _ended(runs, "a", 1)
    (runs.folder / "state" / "runs" / "a-zzzzzz").mkdir()
    dead, alive = (Executor(runs.store.state_dir, "foreground") for _ in range(2))
    for executor in (dead, alive):
        runs.store.register(executor.id, executor.pid, executor.kind, 0)
    runs.store.record_executor()
    os.close(dead._lock)
    try:
        document = _prune(capsys)
        assert (document["folders"], document["executors"]) == (1, 1)
        assert _left(runs) == [name]
        assert list(runs.store.executors()) == [alive.id]
        assert {path.stem for path in (runs.folder / "state" / "executors").iterdir()} == {alive.id}
    finally:
        os.close(dead.wake_fd)
        alive.close()


def test_the_database_becomes_smaller(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        _ended(runs, "a", *[1] * 20, command="x" * 1000)
    for i in range(200):
        _ended(runs, "b", 1, command=f"{i}" * 2000)
    runs.store.checkpoint(whole=True)
    before = os.path.getsize(runs.store.path)
    assert before > 400_000
    _prune(capsys, "--keep-runs", "1")
    assert os.path.getsize(runs.store.path) < before / 3
    assert runs.store.quick_check() == []
    assert runs.store._row("PRAGMA freelist_count")[0] == 0


def test_for_people(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, a="{ runs = 1 }", b="")
    _ended(runs, "a", 3, 2, 1)
    assert main(["prune", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a: 2 runs would be removed"
    assert lines[1].endswith(" would come free")
    assert main(["prune"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "a: 2 runs removed"
    assert main(["prune", "b"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "nothing was due"
    assert "every run is kept" in printed.err


def test_before_anything_has_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder, a="")
    assert _prune(capsys) == {**NOTHING, "dry_run": False, "bytes_freed": 0}
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["bb"], 3, "did you mean `b`?"),
        (["bb", "--keep-runs", "1"], 3, "there is no job 'bb'"),
        (["--keep-runs", "-1"], 2, "--keep-runs must not be negative"),
        (["--older-than", "soon"], 2, "--older-than: "),
    ],
)
def test_what_cannot_be(args: list[str], code: int, said: str, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    _define(runs.folder, b="")
    names = _ended(runs, "b", 9)
    assert main(["prune", *args]) == code
    assert said in capsys.readouterr().err
    assert _left(runs) == names
