"""`jobctl resume`: every kind of end is taken up, and what cannot be says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_runs import HELD, Runs

from jobctl.cli.main import main
from jobctl.core.model import Step
from jobctl.core.run.history import EventType
from jobctl.store.store import Store

TWO = """
[jobs.x]
kill_grace = "50ms"
env = {{ API_TOKEN = "{secret}", WORD = "{word}" }}
[[jobs.x.steps]]
name = "a"
command = "echo a >> order"
[[jobs.x.steps]]
name = "b"
command = 'echo "b $API_TOKEN $WORD" >> order; [ -e good ]'
[[jobs.x.steps]]
name = "f"
when = "failure"
command = "true"
"""


def _define(folder: Path, *, secret: str = "hush-1", word: str = "old") -> None:
    (folder / "jobs.toml").write_text(TWO.format(secret=secret, word=word))


def _lines(folder: Path) -> list[str]:
    return (folder / "order").read_text().splitlines()


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        ([], ["b hush-2 old"]),
        (["--from", "b"], ["b hush-2 old"]),
        (["--from", "a"], ["a", "b hush-2 old"]),
        (["--updated"], ["b hush-2 new"]),
        (["--from", "a", "--updated"], ["a", "b hush-2 new"]),
    ],
)
def test_a_failed_run_goes_on(folder: Path, args: list[str], lines: list[str]) -> None:
    _define(folder)
    assert main(["run", "x"]) == 1
    _define(folder, secret="hush-2", word="new")  # secrets are not kept: they are the file's of today
    (folder / "good").touch()
    assert main(["resume", "x", *args]) == 0
    assert _lines(folder) == ["a", "b hush-1 old", *lines]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["x"], 1, "there is nothing left to do"),
        (["x", "--from", "c"], 3, "no step 'c'"),
        (["y"], 3, "there is no run 'y'"),
        (["x", "--detach", "--require-daemon"], 1, "daemon"),
        (["x", "--from", "f"], 2, "step f of job x runs only after a failure: nothing starts from it"),
    ],
)
def test_what_cannot_be_taken_up(
    folder: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, says: str
) -> None:
    _define(folder)
    (folder / "good").touch()
    assert main(["run", "x"]) == 0
    capsys.readouterr()
    assert main(["resume", *args]) == code
    told = capsys.readouterr()
    assert says in told.err
    assert "hint: " in told.err
    assert _lines(folder) == ["a", "b hush-1 old"]


def test_before_anything_has_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    assert main(["resume", "x"]) == 3
    assert "nothing has run here yet" in capsys.readouterr().err


def test_without_its_secrets_a_run_is_not_taken_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    assert main(["run", "x"]) == 1
    (folder / "jobs.toml").write_text('[jobs.x]\ncommand = "true"\n')
    (folder / "good").touch()
    assert main(["resume", "x"]) == 1
    told = capsys.readouterr().err
    assert "API_TOKEN" in told
    assert "hush-1" not in told
    assert _lines(folder) == ["a", "b hush-1 old"]


def test_a_run_that_somebody_has_is_left_to_them(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("main", command=HELD)))
    assert main(["resume", run.name]) == 1
    assert "is running already" in capsys.readouterr().err
    assert main(["resume", run.name, "--from", "main"]) == 2
    assert main(["resume", run.name, "--updated"]) == 2


def test_a_paused_run_goes_on_where_it_is(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.start(runs.job(Step("a", command=HELD), Step("b", needs=("a",), command="true")))
    runs.ask(run, EventType.RUN_PAUSED)
    runs.let_go()
    runs.until(lambda: run.state.step("a").status == "succeeded")
    assert main(["resume", run.name]) == 0
    assert "goes on where it runs" in capsys.readouterr().err
    runs.until(lambda: not runs.engine.busy)
    assert run.state.status == "succeeded"


@pytest.mark.parametrize("paused", [False, True])
def test_an_interrupted_run_is_taken_over(runs: Runs, paused: bool) -> None:
    run = runs.start(runs.job(Step("a", command=HELD), Step("b", needs=("a",), command="true")))
    if paused:
        runs.ask(run, EventType.RUN_PAUSED)
    runs.die()
    runs.let_go()
    assert main(["resume", run.name]) == 0
    row = runs.store.find(run.name)
    assert row.status == "succeeded"
    assert len([e for e in runs.store.events(row.id) if e.type is EventType.ATTEMPT_STARTED]) == 2


def test_a_damaged_run_is_said_and_the_others_go_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _define(folder)
    assert main(["run", "x"]) == 1
    assert main(["run", "x"]) == 1
    with Store(str(folder / "state")) as store:
        damaged, sound = (row.name for row in store.history())
        store._db.execute("UPDATE events SET data = '[' WHERE run = ?", (store.find(damaged).id,))
    capsys.readouterr()
    for args in (["resume", damaged], ["status", damaged], ["logs", damaged], ["history", damaged]):
        assert main(args) == 4, args
        told = capsys.readouterr().err
        assert "cannot be read" in told or "damaged" in told
        assert "unexpected" not in told
    assert main(["history"]) == 0
    assert main(["status"]) == 0
    (folder / "good").touch()
    assert main(["resume", sound]) == 0
