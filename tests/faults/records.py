"""What commands say of themselves, each in a line that the kernel appends whole; and the history beside it."""

from __future__ import annotations

from collections import Counter

from homes import Daemons

from jobctl.core.run.history import replay
from jobctl.store.store import Store

# For shell commands: who begins, and who ends.
BEGIN = 'echo "+ $JOBCTL_RUN $JOBCTL_STEP $JOBCTL_ATTEMPT" >> marks'
END = 'echo "- $JOBCTL_RUN $JOBCTL_STEP $JOBCTL_ATTEMPT" >> marks'

# Goes on until the file `go` is there, and fails then.
HOLD = """
[jobs.hold]
command = 'echo said; echo begin >> marks; until [ -e go ]; do sleep 0.1; done; echo end >> marks; exit 7'
"""
TICK = """
[jobs.tick]
schedule = { every = "1s" }
overlap = "allow_all"
command = 'echo "$JOBCTL_FIRE_TIME" >> ticks'
"""


def unfinished(place: Daemons) -> int:
    """How many runs are not over."""
    with Store(str(place.state), create=False) as store:
        return int(store._row("SELECT count(*) FROM runs WHERE finished_at IS NULL")[0])


def backfill(place: Daemons, runs: int, first: int = 0) -> int:
    """Queue so many runs of the job x (every = "1s"), whose fire times begin `first` seconds after an instant."""

    def at(second: int) -> str:
        return f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"

    assert place.call("schedule", "pause", "x")[0] == 0
    arguments = ("x", "--from", at(first), "--to", at(first + runs - 1), "--overlap", "allow_all", "-q")
    code, output = place.call("schedule", "backfill", *arguments)
    assert code == 0, output
    return runs


def check_ticks(place: Daemons, *, since: int = 0) -> None:
    """Of TICK every fire time has one run, and none is missing between the first and the last."""
    fired = sorted(row.fire_time for row in place.rows("tick") if row.fire_time is not None and row.fire_time >= since)
    assert fired == list(range(fired[0], fired[-1] + 1, 1_000))
    assert len(set(place.lines("ticks"))) == len(place.lines("ticks"))


def check_records(place: Daemons, *, runs: int | None = None, may_be_lost: bool = False) -> None:
    """Nothing lost, nothing twice: every attempt of the history was carried out once, from its beginning to its end,
    and none that is not in the history; every run has succeeded, and what is stored of it is what its history says.

    `may_be_lost`: how some attempts ended nobody has seen. They may have begun or not, and ended or not.
    """
    marks = Counter(place.lines("marks"))
    twice = [mark for mark, count in marks.items() if count > 1]
    assert not twice, twice
    expected: set[str] = set()
    lost: set[str] = set()
    with Store(str(place.state), create=False) as store:
        found = store.history(limit=1_000_000)
        for row in found:
            events = store.events(row.id)
            assert [seq for (seq,) in store._rows("SELECT seq FROM events WHERE run = ? ORDER BY seq", row.id)] == list(
                range(1, row.seq + 1)
            )
            assert may_be_lost or not any(_is_lost(event.data.get("error")) for event in events), events
            state = replay(events)
            assert (row.status, state.status) == ("succeeded", "succeeded"), (row, events)
            for name, step in state.steps.items():
                assert step.status == "succeeded", (row.name, name, step)
                for attempt in step.attempts:
                    said = {f"{sign} {row.name} {name} {attempt.number}" for sign in "+-"}
                    if _is_lost(attempt.data.get("error")):
                        lost |= said
                    else:
                        expected |= said
        stored = store._rows("SELECT count(*) FROM attempts WHERE status = 'running' OR finished_at IS NULL")[0][0]
    assert stored == 0
    missing, unknown = expected - set(marks), set(marks) - lost - expected
    assert not missing, missing
    assert not unknown, unknown
    if runs is not None:
        assert len(found) == runs
    assert place.processes() == []


def _is_lost(error: object) -> bool:
    return str(error).startswith("lost")
