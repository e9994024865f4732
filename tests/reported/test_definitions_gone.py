"""Definitions that go away under a living daemon: what fires, and what `status` says of it, are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from homes import PATIENCE, Daemons

from jobctl.host import clock

TICK = "[jobs.tick]\nschedule = { every = '1s' }\ncommand = 'true'\n"
NIGHTLY = "[jobs.nightly]\nschedule = { cron = '30 2 * * *', timezone = 'Asia/Tokyo' }\ncommand = 'true'\n"
KEPT = "[jobs.other]\nschedule = { every = '1s' }\ncommand = 'true'\n"

# what the file becomes (None: it is removed) -> whether its jobs go on firing, what `status` says on top
CHANGES: dict[str, tuple[str | None, bool, str]] = {
    "it is emptied": ("", False, ""),
    "its last jobs are taken away": ("# nothing any more\n", False, ""),
    "it has defaults and no jobs": ("[defaults]\ntimezone = 'UTC'\n", False, ""),
    "its jobs table is empty": ("[jobs]\n", False, ""),
    "one of its jobs stays": (KEPT, False, ""),
    "it is removed": (None, True, "there is no such file"),
    "it is no TOML": (TICK + "[jobs.", True, "is not TOML"),
    "one of its jobs is wrong": (TICK + NIGHTLY + "[jobs.wrong]\ncommand = 'x'\nwhen = 'x'\n", True, "job wrong, when"),
    "it is a folder": ("/", True, "is a folder, not a file"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_status_says_is_what_fires(home: Callable[[str], Daemons], change: str) -> None:
    text, goes_on, says = CHANGES[change]
    place = home(TICK + NIGHTLY)
    daemon = place.daemon()
    place.until(lambda: place.rows("tick"))
    before = _next(place)
    file = place.folder / "jobs.toml"
    seen = len(place.rows("tick"))
    place.until(lambda: len(place.rows("tick")) > seen)  # the next one is most of a second away
    if text is None or text == "/":
        file.unlink()
        if text == "/":
            file.mkdir()
    else:
        file.write_text(text)
    changed = clock.now()
    at_once = place.call("status")[1]
    place.until(lambda: "definitions" in place.said())
    code, output = place.call("status")
    assert code == 0
    if goes_on:
        for shown in (at_once, output):  # whether the daemon has seen it yet or not
            assert f"its definitions have changed and cannot be used: jobs.toml{':' if text else ''}" in shown
            assert says in shown
            assert "the old ones stay in use, and NEXT says when they fire" in shown
        assert _next(place)["nightly"] == before["nightly"] is not None
        assert _next(place)["tick"] is not None
        told = _status(place)["daemons"][0]
        assert told["files"] == [str(file)]
        assert says in told["definitions_problem"]["message"]
        place.until(lambda: any((row.fire_time or 0) > changed + 1_000 for row in place.rows("tick")))
    else:
        assert "stay in use" not in output
        assert _next(place).get("tick") is None
        assert _next(place).get("nightly") is None
        if text == KEPT:
            assert _next(place)["other"] is not None
            place.until(lambda: place.rows("other"))
        assert [row.name for row in place.rows("tick") if row.created_at > changed] == []  # not one more
    assert daemon.poll() is None
    if goes_on:
        return
    daemon.terminate()
    daemon.wait(PATIENCE)
    again = place.daemon()  # and the next one begins with what there is
    assert again.poll() is None, place.said()


def test_a_file_that_is_mended_is_used_and_nothing_is_said_any_more(home: Callable[[str], Daemons]) -> None:
    place = home(TICK)
    place.daemon()
    (place.folder / "jobs.toml").write_text("[jobs.")
    place.until(lambda: "stay in use" in place.said())
    (place.folder / "jobs.toml").write_text(KEPT)
    place.until(lambda: "definitions reloaded" in place.said())
    place.until(lambda: _status(place)["daemons"][0]["definitions_problem"] is None)
    assert "stay in use" not in place.call("status")[1]
    assert list(_next(place)) == ["other"] or _next(place)["tick"] is None


def test_without_a_daemon_a_file_that_is_gone_is_said_to_fire_nothing(home: Callable[[str], Daemons]) -> None:
    place = home(TICK)
    place.call("daemon", "--once")
    (place.folder / "jobs.toml").unlink()
    output = place.call("status")[1]
    assert output.startswith(f"{place.folder}/jobs.toml is gone: what it defined fires no more"), output


# what is asked of a file without jobs -> exit code, and what is said
ASKED = {
    "validate": (0, "warning: jobs.toml: defines no jobs"),
    "run x": (3, "there is no job 'x'\nhint: none is defined"),
    "list": (0, "no jobs are defined"),
    "schedule list": (0, "no job has a schedule"),
    "schedule next": (0, ""),
    "status": (0, ""),
    "daemon --once": (0, ""),
    "doctor": (0, "0 jobs"),
}


@pytest.mark.parametrize("command", ASKED)
def test_a_file_without_jobs_is_valid_and_means_none(home: Callable[[str], Daemons], command: str) -> None:
    code, says = ASKED[command]
    place = home("# later\n")
    ended, output = place.call(*command.split())
    assert (ended, says in output) == (code, True), output


def _status(place: Daemons) -> dict[str, Any]:
    code, output = place.call("status", "--json")
    assert code == 0, output
    document: dict[str, Any] = json.loads(output[output.index("{\n") :])
    return document


def _next(place: Daemons) -> dict[str, str | None]:
    return {job["job"]: job["next_fire_at"] for job in _status(place)["jobs"]}
