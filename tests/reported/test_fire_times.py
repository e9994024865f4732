"""No fire time is lost in silence, whenever the daemon dies: what one look at a schedule decides is one commit."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from homes import PATIENCE, Daemons, strace

from jobctl.store import firings
from jobctl.store.store import Store

MINUTE = 60_000
BACKLOG = 20  # minutes

# what the job says -> where it was seen: a soak with kill -9, understood as a decision that was spread over commits
SITUATIONS = {
    "overlap = 'cancel_other'": "the older fire times are replaced by the newest",
    "overlap = 'terminate_other'": "so are these",
    "overlap = 'skip'": "the newer fire times are skipped beside the run of the oldest",
    "overlap = 'buffer_one'": "one runs, one waits, the others are skipped",
    "catchup_window = '5m'": "the older fire times are missed",
    "catchup_window = '5m'\nnotify = { on = ['missed'], command = 'echo told >> told' }": "and somebody is told",
    "overlap = 'buffer_all'\nqueue = 'one'": "all but one wait, in a queue",
}


@pytest.mark.parametrize("says", SITUATIONS)
def test_killed_at_any_commit_every_fire_time_has_its_run_or_its_record(
    home: Callable[[str], Daemons], says: str
) -> None:
    place = home(
        "[queues.one]\nconcurrency = 1\n[jobs.x]\nschedule = { every = '1m' }\ncommand = 'sleep 0.05'\n" + says + "\n"
    )
    for instant in range(1, 9):
        began = _behind(place)
        daemon = place.daemon(before=strace("/^(fdatasync|fsync)$", instant))
        if daemon.poll() is None:
            place.until(lambda daemon=daemon, end=began + MINUTE: daemon.poll() is not None or _progress(place) > end)
        place.end_all()  # a killed strace leaves behind what it traced
        daemon.wait(PATIENCE)
        assert _uncovered(place, began) == [], instant
    began = _behind(place)
    place.daemon()
    place.until(lambda: _progress(place) > began + (BACKLOG - 2) * MINUTE)
    assert _uncovered(place, began) == []
    if "notify" in says:
        place.until(lambda: place.lines("told"))


@pytest.mark.parametrize(
    "says",
    [
        "command = 'exit 1'",
        "command = 'sleep 60'\ntimeout = '50ms'",
        "command = 'true'\nenv_file = 'gone.env'",  # it never begins
    ],
)
def test_killed_at_any_commit_a_failure_that_pauses_has_paused(home: Callable[[str], Daemons], says: str) -> None:
    place = home("[jobs.x]\nschedule = { every = '1m' }\npause_on_failure = true\n" + says + "\n")
    seen = 0
    for instant in range(1, 13):
        _behind(place)
        with Store(str(place.state), create=False) as store, store.transaction() as db:
            db.execute("DELETE FROM paused_jobs")
            db.execute("UPDATE runs SET trigger = 'manual'")  # those before are over and done with
        daemon = place.daemon(before=strace("/^(fdatasync|fsync)$", instant))
        place.until(lambda daemon=daemon: daemon.poll() is not None or _failed(place))
        place.end_all()
        daemon.wait(PATIENCE)
        if _failed(place):
            seen += 1
            with Store(str(place.state), create=False) as store:
                assert set(firings.paused(store)) == {"x"}, instant
    assert seen


def _failed(place: Daemons) -> bool:
    with Store(str(place.state), create=False) as store:
        rows = store._rows("SELECT 1 FROM runs WHERE trigger = 'schedule' AND status IN ('failed', 'timed_out')")
    return bool(rows)


def _behind(place: Daemons) -> int:
    """The schedule as one that no daemon has looked at for a while: up to where it was dealt with."""
    if not place.state.exists():
        assert place.call("daemon", "--once")[0] == 0
    now = int(time.time() * 1000)
    began = now - now % MINUTE - BACKLOG * MINUTE
    with Store(str(place.state), create=False) as store, store.transaction() as db:
        db.execute("DELETE FROM firings")
        db.execute("UPDATE schedules SET progress = ?", (began,))
    return began


def _progress(place: Daemons) -> int:
    with Store(str(place.state), create=False) as store:
        return int(store._row("SELECT max(progress) FROM schedules")[0])


def _uncovered(place: Daemons, began: int) -> list[int]:
    """Fire times up to the progress that have neither a run nor a record."""
    reached = _progress(place)  # first: a daemon that lives goes on
    with Store(str(place.state), create=False) as store:
        rows = store._rows("SELECT fire_time, coalesce(last, fire_time) FROM firings")
    times = range(began + MINUTE, reached + 1, MINUTE)
    return [at for at in times if not any(first <= at <= last for first, last in rows)]
