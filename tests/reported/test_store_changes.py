"""What cannot pass by itself ends the daemon, so that its supervisor starts the new program."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from homes import PATIENCE, Daemons

# what the daemon is at when another jobctl upgrades the store under it
SITUATIONS = {
    "a job is due each second": "[jobs.x]\nschedule = { every = '1s' }\ncommand = 'true'\n",
    "nothing is due": "[jobs.x]\nschedule = '0 0 1 1 *'\ncommand = 'true'\n",
    "a command runs": (
        "[jobs.x]\nschedule = { every = '1s' }\noverlap = 'skip'\ncommand = 'echo up >> marks; sleep 60'\n"
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_daemon_whose_store_was_upgraded_ends_and_the_next_one_goes_on(
    home: Callable[[str], Daemons], situation: str
) -> None:
    """It said so once, and neither fired nor ended; a watchdog was kept happy."""
    place = home(SITUATIONS[situation])
    daemon = place.daemon()
    if situation != "nothing is due":
        place.until(place.rows)
    if situation == "a command runs":
        place.until(lambda: place.lines("marks"))
    before = _version(place)
    _version(place, before + 1)
    assert daemon.wait(PATIENCE) == 4, place.said()
    assert "was upgraded" in place.said()
    assert "Traceback" not in place.said()
    code, output = place.call("status")
    assert code == 4
    assert "newer" in output
    _version(place, before)
    runs = len(place.rows())
    place.daemon()
    if situation == "a job is due each second":
        place.until(lambda: len(place.rows()) > runs)
    if situation == "a command runs":
        place.until(lambda: "taken over" in place.said())
        assert place.lines("marks") == ["up"]


def _version(place: Daemons, number: int | None = None) -> int:
    with closing(sqlite3.connect(place.state / "jobctl.db")) as db:
        if number is not None:
            db.execute(f"PRAGMA user_version = {number}")
        return int(db.execute("PRAGMA user_version").fetchone()[0])
