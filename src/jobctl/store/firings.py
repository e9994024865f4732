"""Schedules and their fire times in the store: how far each has been dealt with, and what became of what.

A fire time that starts a run is written with that run (append.py, NewRun.schedule), in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jobctl.core.schedule.rows import Dropped, Entry, Last, Pause
from jobctl.store.append import ADVANCE, Batch, pause_job
from jobctl.store.database import Transaction
from jobctl.store.soundness import Kinds
from jobctl.store.store import Store

Place = tuple[int, int]  # schedule, fire time: the order of what is recorded of fire times
FIRST: Place = (0, 0)
_PAGE = 2_000
_OF_A_PAUSE = Kinds("a pause", job="t", at="i", reason="T", who="T")
_OF_DROPPED = Kinds("fire times", job="t", outcome="t", count="n", last="i", reason="T")
_OF_LAST = Kinds("a fire time", job="t", key="t", fire_time="i", outcome="t", reason="T", run="T", status="T")
_OF_COUNTS = Kinds("fire times", job="t", key="t", outcome="t", count="n")
_NO_NOTICES: Mapping[Dropped, Sequence[Batch]] = {}


def sync(store: Store, wanted: Iterable[tuple[str, str, str]], files: Sequence[str], now: int) -> list[Entry]:
    """Make the store know the schedules (job, key, file) of `files`. A new one, and one that comes back, starts from
    now: it never fires for the past. Those of these files that are no longer wanted fire no more."""
    with store.transaction() as db:
        marks = ", ".join("?" * len(files))
        known = {
            (job, key): (number, active, progress, file)
            for number, job, key, active, progress, file in store._rows(
                "SELECT id, job, key, active, progress, file FROM schedules"
            )
        }
        entries = []
        for job, key, file in wanted:
            found = known.get((job, key))
            if found is None:
                cursor = db.execute(
                    "INSERT INTO schedules (job, key, file, active, progress) VALUES (?, ?, ?, 1, ?)",
                    (job, key, file, now),
                )
                assert cursor.lastrowid is not None
                entries.append(Entry(cursor.lastrowid, job, key, now))
                continue
            number, active, progress, before = found
            if not isinstance(progress, int):  # a damaged row: as if the schedule were new
                active, progress = 0, now
            if not active:
                progress = max(progress, now)
            if not active or before != file:
                db.execute(
                    "UPDATE schedules SET active = 1, file = ?, progress = ? WHERE id = ?", (file, progress, number)
                )
            entries.append(Entry(number, job, key, progress))
        current = {entry.id for entry in entries}
        gone = [
            row[0]
            for row in db.execute(f"SELECT id FROM schedules WHERE active = 1 AND file IN ({marks})", tuple(files))
            if row[0] not in current
        ]
        db.executemany("UPDATE schedules SET active = 0 WHERE id = ?", [(number,) for number in gone])
    return entries


def begin_anew(db: Transaction) -> None:
    """Every schedule begins when a daemon next looks at it: what has fired until then was somebody else's."""
    db.execute("UPDATE schedules SET active = 0")


def boot_time(store: Store, boot: str, began: int) -> int:
    """When the boot of that id began, for all daemons alike: as the first of them saw it, whatever the clock is set to
    later. It is later than every fire time that was dealt with before the boot, also where the clock had lost time."""
    with store.transaction() as db:
        db.execute(
            "INSERT OR IGNORE INTO boots (id, at)"
            " SELECT ?, max(?, coalesce((SELECT max(progress) + 1 FROM schedules), 0))",
            (boot, began),
        )
        at: int = db.execute("SELECT at FROM boots WHERE id = ?", (boot,)).fetchone()[0]
    return at if isinstance(at, int) else began


def drop(
    store: Store,
    db: Transaction,
    dropped: Sequence[Dropped],
    now: int,
    notices: Mapping[Dropped, Sequence[Batch]] = _NO_NOTICES,
) -> None:
    """Record fire times that get no run, and that they have been dealt with, in the transaction of what else was
    decided of their schedules; `notices`: the runs that tell of it."""
    for d in dropped:
        is_new = db.execute(
            "INSERT OR IGNORE INTO firings (schedule, fire_time, outcome, count, last, reason, dropped_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (d.schedule, d.first, d.outcome, d.times, d.last, d.reason, now),
        ).rowcount
        for notice in notices.get(d, ()) if is_new else ():
            store.insert(db, notice)
    advance(db, [(d.schedule, d.last) for d in dropped])


def advance(db: Transaction, progress: Iterable[tuple[int, int]]) -> None:
    """(schedule, instant): nothing up to then is due any more. Alone, nothing is said of it: for paused schedules."""
    db.executemany(
        ADVANCE,
        [(instant, number, instant) for number, instant in progress],
    )


def rewind(store: Store, schedules: Mapping[int, bool], now: int) -> None:
    """Have these go on from now, though later fire times have been dealt with: the clock was set back since.

    schedule -> whether what is recorded of those is kept: all but what was missed, which is still to come.
    """
    with store.transaction() as db:
        for number, counts in schedules.items():
            changed = db.execute("UPDATE schedules SET progress = ? WHERE id = ? AND progress > ?", (now, number, now))
            if not changed.rowcount:
                continue  # another daemon has done it
            which = "schedule = ?" + (" AND outcome = 'missed'" if counts else "")
            db.execute(f"DELETE FROM firings WHERE {which} AND fire_time > ?", (number, now))
            # What began before that instant and ended after it: as many as fit in.
            db.execute(
                "UPDATE firings SET last = :now, count = 1 + (count - 1) * (:now - fire_time) / (last - fire_time)"
                f" WHERE {which.replace('?', ':number')} AND fire_time <= :now AND last > :now",
                {"now": now, "number": number},
            )


def skip(store: Store, progress: Mapping[int, int]) -> None:
    """schedule -> instant: what lies before has been dealt with, and is recorded."""
    if progress:
        with store.transaction() as db:
            advance(db, progress.items())


def beyond(store: Store, number: int, after: int) -> list[tuple[int, int]]:
    """(first, last) of what is recorded of a schedule's fire times after that instant, oldest first."""
    rows = store._rows(
        "SELECT fire_time, coalesce(last, fire_time) FROM firings WHERE schedule = ? AND fire_time >= coalesce((SELECT"
        " max(fire_time) FROM firings WHERE schedule = ? AND fire_time <= ?), 0) AND coalesce(last, fire_time) > ?"
        " ORDER BY fire_time",
        number,
        number,
        after,
        after,
    )
    return [row for row in rows if isinstance(row[0], int) and isinstance(row[1], int)]


def ahead(store: Store) -> dict[int, int]:
    """schedule -> the last of its fire times that has a record, of those where that lies beyond the progress: they
    were dealt with, and the clock was set back since."""
    rows = store._rows(
        "SELECT id, reached FROM (SELECT id, progress, (SELECT coalesce(f.last, f.fire_time) FROM firings f"
        " WHERE f.schedule = schedules.id ORDER BY f.fire_time DESC LIMIT 1) AS reached"
        " FROM schedules WHERE active = 1) WHERE reached > progress"
    )
    return {number: reached for number, reached in rows if isinstance(reached, int)}


def jobs_ahead(store: Store, now: int) -> set[str]:
    """Jobs of which a schedule has been dealt with beyond that instant: the clock was set back since."""
    rows = store._rows(
        "SELECT DISTINCT job FROM schedules WHERE active = 1 AND (progress > ? OR EXISTS"
        " (SELECT 1 FROM firings f WHERE f.schedule = schedules.id AND f.fire_time > ?))",
        now,
        now,
    )
    return {job for (job,) in rows if isinstance(job, str)}


def reached(store: Store, job: str, key: str) -> tuple[int, int] | None:
    """(its number, how far it has been dealt with) of a schedule; None for one that no daemon has read."""
    found: tuple[int, int] | None = store._row(
        "SELECT id, progress FROM schedules WHERE job = ? AND key = ? AND active = 1", job, key
    )
    return found if found is None or isinstance(found[1], int) else None


def progress(store: Store, schedules: Sequence[int]) -> dict[int, int]:
    """schedule -> the newest fire time dealt with, by whichever daemon. Without those that no file has any more."""
    numbers = ", ".join(map(str, schedules))
    found = store._rows(f"SELECT id, progress FROM schedules WHERE active = 1 AND id IN ({numbers})")
    return {number: progress for number, progress in found if isinstance(progress, int)}


def alive_runs(store: Store, job: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Runs of a job that are not over: (begun, queued), each (id, status), oldest first. One that was paused in the
    queue is still in it.

    Without queued ones of a backfill: they wait for their turn, whatever the schedules do; and without children of
    other runs, which no schedule has started.
    """
    rows = store._rows(
        "SELECT id, status, status = 'queued' OR (status = 'paused' AND started_at IS NULL) AS waits"
        " FROM runs INDEXED BY runs_alive_by_job WHERE finished_at IS NULL AND job = ? AND parent IS NULL"
        " AND NOT (waits AND trigger = 'backfill') ORDER BY id",
        job,
    )
    return [row[:2] for row in rows if not row[2]], [row[:2] for row in rows if row[2]]


def forget(
    store: Store, before: int, after: Place = FIRST, told: dict[int, tuple[int, int, int]] | None = None
) -> Place | None:
    """Remove what was recorded of fire times before then whose run is gone or never was. The schedule's progress, which
    goes back only by so much as the clock is set back, keeps them from firing again.

    Looks at one page, some milliseconds: those behind `after`. Returns where the next one begins, None at the end.
    `told`: schedule -> how many, the first and the last of those that are gone, added to what stands there.
    """
    page = store._rows(
        "SELECT schedule, fire_time,"
        " fire_time < ? AND (run IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE id = run)) FROM firings"
        " WHERE (schedule, fire_time) > (?, ?) ORDER BY schedule, fire_time LIMIT ?",
        before,
        *after,
        _PAGE,
    )
    gone = [(schedule, fire_time) for schedule, fire_time, is_gone in page if is_gone]
    if gone:
        with store.transaction() as db:
            db.executemany("DELETE FROM firings WHERE schedule = ? AND fire_time = ?", gone)
    for schedule, fire_time in gone if told is not None else ():
        assert told is not None
        count, first, _ = told.get(schedule, (0, fire_time, fire_time))
        told[schedule] = count + 1, first, fire_time
    return page[-1][:2] if len(page) == _PAGE else None


def pause(store: Store, job: str, *, at: int, reason: str | None, who: str | None) -> None:
    with store.transaction() as db:
        pause_job(db, job, at=at, reason=reason, who=who)


def unpause(store: Store, job: str, *, now: int) -> bool:
    """Let the job's schedules fire again, from now on. False when they were not paused."""
    with store.transaction() as db:
        was = db.execute("DELETE FROM paused_jobs WHERE job = ?", (job,)).rowcount == 1
        if was:
            db.execute("UPDATE schedules SET progress = max(progress, ?) WHERE job = ?", (now, job))
    return was


def paused(store: Store) -> dict[str, Pause]:
    rows = store._rows("SELECT job, at, reason, who FROM paused_jobs")
    return {job: Pause(*rest) for job, *rest in (store.sound(_OF_A_PAUSE, row) for row in rows)}


def lately_dropped(store: Store, since: int) -> list[tuple[str, str, int, int, str | None]]:
    """(job, outcome, how many fire times, the last of them, why) of what was dropped since then, newest first.

    However old the fire times are: those that were missed lie further back than their job's catch-up window.
    """
    rows = store._rows(
        "SELECT s.job, f.outcome, sum(f.count), max(coalesce(f.last, f.fire_time)), max(f.reason)"
        " FROM firings f JOIN schedules s ON s.id = f.schedule"
        " WHERE f.dropped_at >= ? GROUP BY s.job, f.outcome ORDER BY 4 DESC",
        since,
    )
    return [(job, outcome, n, at, why) for job, outcome, n, at, why in (store.sound(_OF_DROPPED, row) for row in rows)]


def job_of(store: Store, number: int) -> str:
    """The job of a schedule."""
    found: str = store._row("SELECT job FROM schedules WHERE id = ?", number)[0]
    return found


def files(store: Store) -> list[str]:
    """The definitions files whose schedules fire, as the daemons have read them."""
    rows = store._rows("SELECT DISTINCT file FROM schedules WHERE active = 1")
    return [file for (file,) in rows if isinstance(file, str)]


def active(store: Store) -> list[tuple[str, str, str]]:
    """(job, key, file) of the schedules that fire, in the order in which they became known."""
    return store._rows("SELECT job, key, file FROM schedules WHERE active = 1 ORDER BY id")


def followed(store: Store) -> list[tuple[int, str, str, str, int]]:
    """(its number, job, key, file, how far it has been dealt with) of the schedules that fire."""
    rows = store._rows("SELECT id, job, key, file, progress FROM schedules WHERE active = 1 ORDER BY id")
    return [row for row in rows if isinstance(row[4], int)]  # where it is damaged, it begins anew


def scheduled_jobs(store: Store) -> set[str]:
    """The jobs that have schedules, as the daemons have read them."""
    return {job for (job,) in store._rows("SELECT DISTINCT job FROM schedules WHERE active = 1")}


def last(store: Store) -> dict[tuple[str, str], Last]:
    """(job, key) -> the last fire time that was dealt with, of every schedule that has one."""
    rows = store._rows(
        "SELECT s.job, s.key, coalesce(f.last, f.fire_time), f.outcome, f.reason, r.name, r.status FROM schedules s"
        " JOIN firings f ON f.schedule = s.id"
        " AND f.fire_time = (SELECT max(fire_time) FROM firings WHERE schedule = s.id)"
        # A number may be given again after its run was pruned.
        " LEFT JOIN runs r ON r.id = f.run AND r.job = s.job AND r.fire_time = f.fire_time"
    )
    return {(job, key): Last(*rest) for job, key, *rest in (store.sound(_OF_LAST, row) for row in rows)}


def dropped_by_schedule(store: Store, since: int) -> dict[tuple[str, str], dict[str, int]]:
    """(job, key) -> outcome -> how many fire times were dropped since then, of schedules that dropped some."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    rows = store._rows(
        "SELECT s.job, s.key, f.outcome, sum(f.count) FROM firings f JOIN schedules s ON s.id = f.schedule"
        " WHERE f.dropped_at >= ? GROUP BY s.id, f.outcome ORDER BY f.outcome",
        since,
    )
    for job, key, outcome, count in (store.sound(_OF_COUNTS, row) for row in rows):
        found.setdefault((job, key), {})[outcome] = count
    return found
