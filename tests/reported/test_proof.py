"""Proof on the spot: what is recorded fits together, or `doctor --deep` says what does not.

As pg_amcheck and FoundationDB's consistency check do, it looks at content and not only at pages: a store that had lost
its log was "sound".
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import Daemons

JOBS = """
[jobs.x]
command = "echo said; echo a=1 >> $JOBCTL_OUTPUT"

[jobs.undone]
steps = [{ name = "a", command = "true", compensate = "true" }, { name = "b", command = "exit 1" }]

[jobs.script]
command = "jobctl step one -- echo 1; jobctl step two -- echo 2; exit 1"
retry = { maximum_attempts = 5, initial_interval = "1h" }

[jobs.tick]
schedule = { every = "1s" }
command = "true"
"""
DEEP = {"rows", "replay", "files", "fire times", "journals"}


def _looked(place: Daemons) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and what was found of each kind that is only looked at in depth."""
    code, output = place.call("doctor", "--deep", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for check in json.loads(output)["checks"]:
        found.setdefault(check["name"], []).append(check)
    return code, {name: found[name] for name in found if name in DEEP}


def _statuses(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {name: checks[0]["status"] for name, checks in found.items()}


@pytest.fixture
def lived(home: Callable[[str], Daemons]) -> Daemons:
    """A home in which this and that has happened, and nobody is any more."""
    place = home(JOBS)
    daemon = place.daemon()
    for job in ("x", "undone", "script"):
        place.detach(job)
    place.until(lambda: len(place.rows("tick")) >= 3)
    place.until(lambda: place.rows("undone")[0].finished_at and place.rows("x")[0].finished_at)
    place.until(lambda: place.run_document(place.rows("script")[0].name)["steps"][0]["next_attempt_at"])
    code, found = _looked(place)  # while all goes on
    assert (code, set(_statuses(found).values())) == (0, {"ok"}), found
    daemon.terminate()
    daemon.wait()
    return place


def _sql(*statements: str) -> Callable[[Path], None]:
    def harm(state: Path) -> None:
        with sqlite3.connect(state / "jobctl.db") as db:
            for statement in statements:
                db.execute(statement)

    return harm


def _no_folder(state: Path) -> None:
    shutil.rmtree(next((state / "runs").glob("x-*")))


def _spoilt_script(state: Path) -> None:
    [path] = (state / "runs").glob("script-*/*.journal")
    path.write_bytes(b"{" + path.read_bytes()[5:])


def _spoilt_keeper(state: Path) -> None:
    path = state / "executors" / "0123abcd.1.1.journal"
    path.write_bytes(b"H keeper=0123abcd.1 boot=x pidns=x pid=1 1 00000000\n")


# what was done -> (where it is found, how grave, what is said)
HARM: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    "a status": (_sql("UPDATE runs SET status = 'failed' WHERE job = 'x'"), "replay", "fail", "status"),
    "a start": (_sql("UPDATE runs SET started_at = 1 WHERE job = 'x'"), "replay", "fail", "started_at"),
    "an end": (_sql("UPDATE runs SET finished_at = finished_at + 1 WHERE job = 'x'"), "replay", "fail", "finished_at"),
    "a reason": (_sql("UPDATE runs SET reason = 'no' WHERE job = 'undone'"), "replay", "fail", "reason"),
    "a fire time": (_sql("UPDATE runs SET fire_time = 1 WHERE job = 'tick'"), "replay", "fail", "fire_time"),
    "a key": (_sql("UPDATE runs SET key = 'k' WHERE job = 'x'"), "replay", "fail", "key"),
    "the end of a history": (
        _sql("DELETE FROM events WHERE type = 14 AND run = (SELECT id FROM runs WHERE job = 'x')"),
        "replay",
        "fail",
        "events",
    ),
    "an event amid a history": (
        _sql("UPDATE events SET type = 14 WHERE seq = 2 AND run = (SELECT id FROM runs WHERE job = 'x')"),
        "replay",
        "fail",
        "x-",
    ),
    "an attempt": (
        _sql("DELETE FROM attempts WHERE run = (SELECT id FROM runs WHERE job = 'x')"),
        "replay",
        "fail",
        "has no row",
    ),
    "an attempt too many": (
        _sql("INSERT INTO attempts SELECT run, step, 7, status, 0, 1, 1, NULL FROM attempts LIMIT 1"),
        "replay",
        "fail",
        "is in no event",
    ),
    "an attempt's end": (_sql("UPDATE attempts SET exit_code = 9"), "replay", "fail", "differs"),
    "a compensation's": (
        _sql("UPDATE attempts SET started_at = 1 WHERE step = 'a!undo'"),
        "replay",
        "fail",
        "a!undo",
    ),
    "a run": (
        _sql("PRAGMA foreign_keys = OFF", "DELETE FROM runs WHERE job = 'x'"),
        "rows",
        "fail",
        "events of runs that are gone",
    ),
    "a definition": (
        _sql("PRAGMA foreign_keys = OFF", "DELETE FROM definitions WHERE job = 'x'"),
        "rows",
        "fail",
        "definition",
    ),
    "a fire time's record": (
        _sql("DELETE FROM firings WHERE fire_time = (SELECT max(fire_time) FROM firings)"),
        "fire times",
        "warn",
        "tick: nothing is recorded of 1 fire time",
    ),
    "every fire time's record": (_sql("DELETE FROM firings"), "fire times", "warn", "tick: nothing is recorded of 1"),
    "a start, twice": (
        _sql("UPDATE events SET type = 4 WHERE type = 3 AND run = (SELECT id FROM runs WHERE job = 'x')"),
        "replay",
        "fail",
        "x-",
    ),
    "a run's files": (_no_folder, "files", "warn", "x-"),
    "a script's journal": (_spoilt_script, "journals", "fail", "script-"),
    "a keeper's journal": (_spoilt_keeper, "journals", "fail", "0123abcd.1.1.journal"),
}


@pytest.mark.parametrize("what", HARM)
def test_what_does_not_fit_is_said(lived: Daemons, what: str) -> None:
    harm, where, grave, says = HARM[what]
    harm(lived.state)
    code, found = _looked(lived)
    assert code == (1 if grave == "fail" else 0)
    assert found[where][0]["status"] == grave
    assert says in found[where][0]["message"]
    assert found[where][0]["hint"]
    others = {name: status for name, status in _statuses(found).items() if name != where}
    assert set(others.values()) <= {"ok"} or what in ("a run", "a fire time"), found


def test_what_was_passed_over_by_a_pause_is_accounted_for(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS)
    place.daemon()
    place.until(lambda: place.rows("tick"))
    assert place.call("schedule", "pause", "tick")[0] == 0

    def progress() -> int:
        with sqlite3.connect(place.state / "jobctl.db") as db:
            return int(db.execute("SELECT progress FROM schedules").fetchone()[0])

    before = progress()
    place.until(lambda: progress() >= before + 2_000)
    code, found = _looked(place)
    assert (code, found["fire times"][0]["status"]) == (0, "ok"), found


@pytest.mark.parametrize("text", ["", "[jobs.tick\n"])
def test_without_definitions_that_is_said(lived: Daemons, text: str) -> None:
    if text:
        (lived.folder / "jobs.toml").write_text(text)
    else:
        (lived.folder / "jobs.toml").unlink()
    _, found = _looked(lived)
    assert (found["fire times"][0]["status"], found["replay"][0]["status"]) == ("warn", "ok")
    assert ("are broken" if text else "there are no definitions") in found["fire times"][0]["message"]


def test_prune_and_doctor_say_the_same_of_files_without_a_history(lived: Daemons) -> None:
    for run in ("x-00000a", "x-00000b"):
        (lived.state / "runs" / run).mkdir()
    said = "history is missing of 2 runs whose files are here: x-00000a, x-00000b"
    for words in (("doctor",), ("prune", "--older-than", "90d", "--dry-run"), ("prune", "--older-than", "90d")):
        assert said in lived.call(*words)[1], words
    assert "history is missing" not in lived.call("doctor")[1]
