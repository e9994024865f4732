"""What the store knows of the time: what is believed of it, and the newest instant that is recorded. What follows from
that is core/believed.py's."""

from __future__ import annotations

from jobctl.core.believed import Believed
from jobctl.store.soundness import Kinds
from jobctl.store.store import Store

_KINDS = Kinds("the time", boot="t", clock="n", instant="i", doubted="N")
_RUNS = 1_000  # among which the newest instant is looked for


def read(store: Store, boot: str, clock: int, now: int) -> Believed:
    """What is believed, `clock` being what the clock of this boot shows. What was written down in another boot, and the
    newest recorded instant where nothing was, is some time that has passed; `now` where nothing is recorded."""
    known = store._row("SELECT 1 FROM sqlite_master WHERE name = 'times'") is not None  # not in an older schema
    row = store._row("SELECT boot, clock, instant, doubted FROM times") if known else None
    if row is not None and not _KINDS.is_sound(row):
        row = None  # damaged: as if nothing had been written down
    if row is not None and row[0] == boot and boot and row[1] <= clock:
        return Believed(row[2], row[1], row[3])
    instant = row[2] if row is not None else newest(store)
    return Believed(now if instant is None else instant, clock)


def step(store: Store, boot: str, clock: int, now: int) -> int:
    """By how much the wall clock was set in this boot since something was written down in it; 0 where that is not
    known."""
    row = store._row("SELECT clock, instant FROM times WHERE boot = ?", boot)
    if row is not None and not all(isinstance(value, int) for value in row):
        return 0
    return now - (row[1] + clock - row[0]) if row is not None and boot and row[0] <= clock else 0


def write(store: Store, boot: str, believed: Believed) -> None:
    with store.transaction() as db:
        db.execute("DELETE FROM times")
        db.execute(
            "INSERT INTO times (boot, clock, instant, doubted) VALUES (?, ?, ?, ?)",
            (boot, believed.boot, believed.instant, believed.doubted),
        )


def newest(store: Store) -> int | None:
    """The newest instant that is recorded, or little less; None in a store that has seen nothing."""
    found = store._row(
        "SELECT max(at) FROM (SELECT max(created_at, coalesce(started_at, 0), coalesce(finished_at, 0)) AS at FROM"
        " (SELECT created_at, started_at, finished_at FROM runs ORDER BY id DESC LIMIT ?)"
        " UNION ALL SELECT max(progress) FROM schedules WHERE active = 1"
        " UNION ALL SELECT max(dropped_at) FROM firings)",
        _RUNS,
    )
    return found[0] if isinstance(found[0], int) else None
