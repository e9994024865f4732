"""A clock that lies deletes nothing: systemd/systemd#6036 (a server that booted in 2098, then set right)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import CLOCK, Daemons, built, set_clock

DAY = 86_400
JOBS = '[jobs.old]\nkeep = { for = "30d" }\ncommand = "true"\n'
# A jobctl whose daemon removes what is to be removed as soon as it is ready.
AT_ONCE = """
import sys
from jobctl.cli.main import main
from jobctl.engines.local.worker import duties
duties.PRUNE_MS = 60
sys.exit(main())
"""
PROGRAM = (sys.executable, "-c", AT_ONCE)


@pytest.fixture
def place(home: Callable[[str], Daemons], tmp_path: Path) -> Daemons:
    """Three runs of now, and a clock that is 400 days ahead, which no better one confirms."""
    made = home(JOBS)
    for _ in range(3):
        assert made.call("run", "old", "-q")[0] == 0
    made.environment.update(LD_PRELOAD=str(built(CLOCK, tmp_path)), CLOCK_OFFSET=str(made.folder / "offset"))
    set_clock(made, 400 * DAY)
    return made


def test_a_daemon_that_starts_by_a_wrong_clock_removes_nothing(place: Daemons) -> None:
    place.daemon(program=PROGRAM)
    place.until(lambda: "age is not measured by it" in place.said())
    assert len(place.rows("old")) == 3


def test_nor_does_the_next_one(place: Daemons) -> None:
    """What the first one has recorded by that clock is no witness for it."""
    first = place.daemon(program=PROGRAM)
    place.until(lambda: "age is not measured by it" in place.said())
    assert place.call("run", "old", "-q")[0] == 0
    first.terminate()
    first.wait(30)
    place.daemon(program=PROGRAM)
    place.until(lambda: "age is not measured by it" in place.said())
    assert len(place.rows("old")) == 4


def test_nor_does_prune(place: Daemons) -> None:
    code, said = place.call("prune")
    assert code == 0
    assert "not synchronised" in said
    assert "nothing was due" in said
    assert place.call("prune", "--older-than", "1d")[0] == 0
    assert len(place.rows("old")) == 3


def test_who_says_so_is_believed(place: Daemons) -> None:
    code, said = place.call("prune", "--trust-clock")
    assert code == 0
    assert "old: 3 runs removed" in said
    assert "had ended" in said


def test_what_a_daemon_removes_is_told(place: Daemons) -> None:
    place.environment["CLOCK_SYNCED"] = "1"
    place.daemon(program=PROGRAM)
    place.until(lambda: "old: its keep has removed 3 of its runs" in place.said())
    assert place.rows("old") == []
