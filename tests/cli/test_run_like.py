"""`jobctl run JOB --from STEP --like RUN`, as typed. What is reused and what is refused: engines/test_like.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from daemons import waiting_daemon

import looked
from jobctl.cli.main import main
from jobctl.store.store import Store

JOB = """
[jobs.x]
params = { day = "monday", word = "w" }
[[jobs.x.steps]]
name = "get"
command = "echo get >> order; echo rows=5 >> $JOBCTL_OUTPUT"
[[jobs.x.steps]]
name = "make"
command = 'echo "make $JOBCTL_PARAM_DAY $JOBCTL_PARAM_WORD" >> order; [ ! -e bad ]'
[jobs.y]
command = "true"
[queues.one]
concurrency = 1
[jobs.z]
queue = "one"
[[jobs.z.steps]]
name = "get"
command = "echo get >> order"
[[jobs.z.steps]]
name = "make"
command = "echo make >> order"
"""


@pytest.fixture
def old(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A run of x that has succeeded; its name."""
    (folder / "jobs.toml").write_text(JOB)
    assert main(["run", "x", "-p", "day=friday", "-q"]) == 0
    (folder / "order").unlink()
    capsys.readouterr()
    return _latest(folder, "x")["id"]


def _latest(folder: Path, job: str) -> dict[str, Any]:
    with Store(str(folder / "state"), create=False) as store:
        row = store.latest(job)
        assert row is not None
        return looked.run_document(store, row)


def _order(folder: Path) -> list[str]:
    return (folder / "order").read_text().splitlines() if (folder / "order").exists() else []


@pytest.mark.parametrize(
    ("params", "line"),
    [([], "make friday w"), (["-p", "word=v"], "make friday v"), (["-p", "day=sunday"], "make sunday w")],
)
def test_its_params_are_the_old_ones_but_for_those_given(
    folder: Path, old: str, capsys: pytest.CaptureFixture[str], params: list[str], line: str
) -> None:
    assert main(["run", "x", "--from", "make", "--like", old, *params]) == 0
    assert _order(folder) == [line]
    assert f"reused from {old}: get\n" in capsys.readouterr().err
    new = _latest(folder, "x")
    assert (new["like"], new["trigger"], new["steps"][0]["reused_from"]) == (old, "manual", old)


def test_people_see_what_was_reused(folder: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x", "--from", "make", "--like", "x"]) == 0  # the latest run of the job
    assert f"  get   succeeded, reused from {old}\n" in capsys.readouterr().err
    new = _latest(folder, "x")["id"]
    assert main(["status", new]) == 0
    out = capsys.readouterr().out
    assert f"  like       {old}, reusing get\n" in out
    assert f"    get   succeeded, reused from {old}\n" in out
    assert main(["history", new]) == 0
    assert f"run created like {old}, reusing get\n" in capsys.readouterr().out
    assert main(["logs", new, "get"]) == 0
    assert f"its results are those of {old}: jobctl logs {old} get\n" in capsys.readouterr().err


def test_where_the_output_of_a_reused_item_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = '[[jobs.f.steps]]\nname = "each"\nforeach = [1]\ncommand = "true"\n'
    (folder / "jobs.toml").write_text(f'[jobs.f]\n{steps}[[jobs.f.steps]]\nname = "last"\ncommand = "true"\n')
    assert main(["run", "f"]) == 0
    first = _latest(folder, "f")["id"]
    assert main(["run", "f", "--from", "last", "--like", first]) == 0
    assert main(["logs", "f", "each[0]"]) == 0
    assert f"its results are those of {first}: jobctl logs {first} 'each[0]'\n" in capsys.readouterr().err


def test_json_is_of_the_run_alone(folder: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x", "--from", "make", "--like", old, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == _latest(folder, "x")
    assert lines[0]["data"]["reused"] == {"get": {"outputs": {"rows": "5"}}}


@pytest.mark.parametrize("how", [["--detach"], ["--wait", "10ms"]])
def test_left_to_a_daemon(folder: Path, old: str, how: list[str]) -> None:
    with Store(str(folder / "state"), create=False) as store, waiting_daemon(store):
        assert main(["run", "x", "--from", "make", "--like", old, *how]) in (0, 75)
    new = _latest(folder, "x")
    assert (new["status"], new["like"], new["params"]["day"]) == ("queued", old, "friday")
    assert main(["resume", new["id"]]) == 0
    assert _order(folder) == ["make friday w"]


def test_in_a_queue_that_is_limited(folder: Path, old: str) -> None:
    del old
    assert main(["run", "z"]) == 0
    (folder / "order").unlink()
    assert main(["run", "z", "--from", "make", "--like", "z"]) == 0
    assert _order(folder) == ["make"]


def test_a_run_of_a_fire_time_has_the_same_one_again(folder: Path, old: str) -> None:
    with Store(str(folder / "state"), create=False) as store, store.transaction() as db:
        db.execute("UPDATE runs SET fire_time = 1800000000000 WHERE name = ?", (old,))
    assert main(["run", "x", "--from", "make", "--like", old]) == 0
    assert _latest(folder, "x")["fire_time"].startswith("2027-01-15T")


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (
            ["x", "--from", "make"],
            2,
            "--from is about the results of an old run",
            "jobctl run x --from make --like RUN",
        ),
        (["x", "--like", "OLD"], 2, "--like reuses the results of an old run", "its steps: get, make"),
        (["y", "--from", "main", "--like", "OLD"], 2, "is one of the job x, not of y", "jobctl run x --from STEP"),
        (["x", "--from", "mak", "--like", "OLD"], 3, "job x has no step 'mak'", "did you mean `make`?"),
        (["x", "--from", "make", "--like", "x-zzzzzz"], 3, "there is no run 'x-zzzzzz'", "jobctl history"),
        (["x", "--from", "make", "--like", "OLD", "-p", "dya=1"], 2, "has no parameter 'dya'", "did you mean `day`?"),
        (["nix", "--from", "make", "--like", "OLD"], 3, "no job 'nix'", ""),
    ],
)
@pytest.mark.parametrize("how", [[], ["--detach"]])
def test_what_is_refused_leaves_no_run(
    folder: Path,
    old: str,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    code: int,
    message: str,
    hint: str,
    how: list[str],
) -> None:
    with Store(str(folder / "state"), create=False) as store, waiting_daemon(store):
        assert main(["run", *(arg.replace("OLD", old) for arg in args), *how]) == code
    err = capsys.readouterr().err
    assert message in err
    assert hint in err
    assert _latest(folder, "x")["id"] == old
    assert _order(folder) == []
