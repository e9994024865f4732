"""Whether what is recorded fits together: every history replayed and compared with the rows that follow from it, every
fire time accounted for, the files and journals that belong to runs. Nothing is written, and others may go on meanwhile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping

from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.keys import file_name
from jobctl.core.model import Job, Schedule, encode_schedule
from jobctl.core.record import NamedTuple
from jobctl.core.run.history import HistoryError, RunState, replay
from jobctl.core.run.rows import RunRow
from jobctl.core.schedule.schedule import fires
from jobctl.core.text import local_time
from jobctl.engines.local import executor
from jobctl.engines.run_files import FOLDER, run_folder
from jobctl.host.files import open_own
from jobctl.process import journal, keepers
from jobctl.store import attempts, firings, proof
from jobctl.store.attempts import Attempt
from jobctl.store.proof import Scheduled
from jobctl.store.store import Store

_NAMED = 5
_TRIES = 5  # of a run to which something happens while it is looked at
_MOST_FIRES = 100_000  # of one schedule; the newest
_BACK_MS = 90 * 86_400_000  # as long as fire times are remembered whose run is gone
_LARGE = 64 << 20  # bytes of a journal


class Found(NamedTuple):
    """What was looked at, and how it is: `wrong` is what does not fit, `odd` what may be right and should be known."""

    name: str
    message: str
    wrong: bool = False
    odd: bool = False
    hint: str = ""


def look(store: Store, jobs: Mapping[str, Job] | str, zone: str, now: int) -> Iterator[Found]:
    """All of it. `jobs`: the definitions, or why there are none to be had; `zone`: the machine's."""
    yield from _rows(store)
    yield from _runs(store)
    yield from _fire_times(store, jobs, zone, now)
    yield from _journals(store)


def _rows(store: Store) -> Iterator[Found]:
    found = proof.faults(store) + proof.strays(store)
    if found:
        way = "save what can be read: jobctl backup --salvage FILE"
        yield Found("rows", "; ".join(found[:_NAMED]), wrong=True, hint=way)
    else:
        yield Found("rows", "every row belongs to something, and stands in every index")


# -- runs --------------------------------------------------------------------------------------------------------------


def _runs(store: Store) -> Iterator[Found]:
    count = after = 0
    differ: list[str] = []
    without: list[str] = []
    folders = _folders(store)
    while rows := proof.page(store, after):
        after = rows[-1].id
        for row in rows:
            count += 1
            try:
                wrong, begun = _compare(store, row)
            except StoreUnavailableError:
                raise
            except JobctlError as error:
                wrong, begun = error.message, False
            except (HistoryError, ValueError, TypeError, LookupError, AttributeError) as error:
                wrong, begun = f"its history cannot be replayed: {error}", False
            if wrong:
                differ.append(f"{row.name}: {wrong}")
            if begun and row.finished_at is not None and file_name(row.name) not in folders:
                without.append(row.name)
    for one in differ[:_NAMED]:
        yield Found("replay", one, wrong=True, hint="its history is the truth; the other runs are not concerned")
    if len(differ) > _NAMED:
        yield Found("replay", f"{len(differ) - _NAMED:,} more runs differ from their histories", wrong=True)
    if not differ:
        yield Found("replay", f"the histories of {count:,} runs say what stands in their rows")
    if without:
        names = ", ".join(without[:_NAMED]) + (" …" if len(without) > _NAMED else "")
        message = f"{len(without):,} run{'' if len(without) == 1 else 's'} without files (logs, outputs): {names}"
        hint = "somebody has removed them, or they were not in a backup; the histories are not concerned"
        yield Found("files", message, odd=True, hint=hint)
    else:
        yield Found("files", "every run that has begun has its folder")


def _folders(store: Store) -> set[str]:
    try:
        return set(os.listdir(os.path.join(store.state_dir, FOLDER)))
    except FileNotFoundError:
        return set()


def _compare(store: Store, row: RunRow) -> tuple[str, bool]:
    """How a run's rows differ from its history, "" for not at all; whether anything of it has begun."""
    wrong, begun = "", False
    for _ in range(_TRIES):
        events = store.events(row.id, upto=row.seq)
        if len(events) != row.seq:
            return f"it has {len(events)} of {row.seq} events", False
        state = replay(events)
        rows = proof.attempts(store, row.id)
        wrong = _of_the_run(row, state, *proof.rest_of(store, row.id)) or _of_attempts(attempts.follow(events), rows)
        begun = bool(rows)
        if not wrong:
            break
        try:
            again = store.run(row.id)
        except JobctlError:  # pruned meanwhile
            return "", False
        if again == row:
            break
        row = again
    return wrong, begun


def _of_the_run(row: RunRow, state: RunState, start_by: int | None, key: str | None) -> str:
    pairs = {
        "status": (row.status, str(state.status)),
        "created_at": (row.created_at, state.created_at),
        "started_at": (row.started_at, state.started_at),
        "finished_at": (row.finished_at, state.finished_at),
        "reason": (row.reason, state.reason),
        "trigger": (row.trigger, state.trigger),
        "fire_time": (row.fire_time, state.fire_time),
        "start_by": (start_by, state.start_by),
        "key": (key, state.key),
    }
    for name, (stands, follows) in pairs.items():
        if stands != follows:
            return f"its row says {name} = {stands!r}, its history {follows!r}"
    return ""


def _of_attempts(follow: Mapping[tuple[str, int], Attempt], stand: Mapping[tuple[str, int], Attempt]) -> str:
    for key in sorted({*follow, *stand}):
        if follow.get(key) != stand.get(key):
            step, number = key
            what = "has no row" if key not in stand else "is in no event" if key not in follow else "differs"
            return f"attempt {number} of {step} {what}: {stand.get(key)} in the row, {follow.get(key)} in the history"
    return ""


# -- fire times --------------------------------------------------------------------------------------------------------


def _fire_times(store: Store, jobs: Mapping[str, Job] | str, zone: str, now: int) -> Iterator[Found]:
    if isinstance(jobs, str):
        yield Found("fire times", f"not looked at: {jobs}", odd=True)
        return
    known = {
        (job.name, encode_schedule(schedule, job)): (job, schedule)
        for job in jobs.values()
        for schedule in job.schedules
    }
    paused = firings.paused(store)
    looked = counted = elsewhere = 0
    lost: list[Found] = []
    for entry in proof.schedules(store):
        if (entry.job, entry.key) not in known:
            elsewhere += 1
            continue
        job, schedule = known[entry.job, entry.key]
        looked += 1
        pause = paused.get(entry.job)
        count, gaps = _gaps(store, entry, schedule, schedule.timezone or job.timezone or zone, now)
        counted += count
        lost += [_lost(entry.job, *gap) for gap in gaps if pause is None or gap[0] < pause.at]
    yield from lost[:_NAMED]
    if len(lost) > _NAMED:
        yield Found("fire times", f"{len(lost) - _NAMED} more such stretches", odd=True)
    more = f"; {elsewhere} more are not in these definitions" if elsewhere else ""
    if not lost:
        schedules = f"{looked} schedule{'' if looked == 1 else 's'}"
        says = f"{counted:,} of {schedules} have their run, or a record of why not"
        yield Found("fire times", f"{says if counted else f'no fire time of {schedules} has come yet'}{more}")


def _gaps(
    store: Store, entry: Scheduled, schedule: Schedule, zone: str, now: int
) -> tuple[int, list[tuple[int, int, int]]]:
    """How many fire times were looked at; (first, last, how many) of each stretch of which nothing is recorded."""
    recorded = proof.recorded(store, entry.id)
    if schedule.boot:
        return 0, []
    if recorded:
        since = max(recorded[0][0] - 1, entry.progress - _BACK_MS)
    elif entry.progress > now - _BACK_MS:
        since = entry.progress - 1  # a new schedule stands between two fire times: on one, it had its run
    else:
        return 0, []
    while len(wanted := fires(schedule, since, entry.progress, zone, _MOST_FIRES + 1)) > _MOST_FIRES:
        since += (entry.progress - since) // 2
    gaps: list[tuple[int, int, int]] = []
    place, reached, follows_on = 0, -1, False
    for at in wanted:
        while place < len(recorded) and recorded[place][0] <= at:
            reached = max(reached, recorded[place][1])
            place += 1
        if at <= reached:
            follows_on = False
            continue
        if follows_on:
            first, _, count = gaps.pop()
            gaps.append((first, at, count + 1))
        else:
            gaps.append((at, at, 1))
        follows_on = True
    return len(wanted), gaps


def _lost(job: str, first: int, last: int, count: int) -> Found:
    when = f"of {local_time(first)}" if count == 1 else f"from {local_time(first)} to {local_time(last)}"
    return Found(
        "fire times",
        f"{job}: nothing is recorded of {count:,} fire time{'' if count == 1 else 's'} {when}",
        odd=True,
        hint="so it is when its schedules were paused then, or not in the file, or the clock or the zone's rules were"
        " changed; otherwise they are lost: please report that",
    )


# -- journals ----------------------------------------------------------------------------------------------------------


def _journals(store: Store) -> Iterator[Found]:
    folder = executor.folder(store.state_dir)
    count, damaged = 0, []
    for name in keepers.left_behind(folder):
        if keepers.lives(folder, name):
            continue  # it writes just now
        for path in journal.files(folder, name):
            count += 1
            if not journal.is_whole(path):
                damaged.append(os.path.basename(path))
    for row in store.alive():
        for path in _of_scripts(store, row.name):
            count += 1
            if not _is_whole(path):
                damaged.append(f"{row.name}/{os.path.basename(path)}")
    for one in damaged[:_NAMED]:
        hint = "what stands behind the damage is not known: such an attempt counts as lost, such a call is made again"
        yield Found("journals", f"{one} is damaged", wrong=True, hint=hint)
    if not damaged:
        yield Found("journals", f"{count:,} of keepers and scripts can be read to their ends")


def _of_scripts(store: Store, run: str) -> list[str]:
    folder = run_folder(store.state_dir, run)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(".journal")]


def _is_whole(path: str) -> bool:
    """Whether each line of a script's journal is one; the last may be one that is just being written."""
    try:
        with os.fdopen(open_own(path), "rb") as file:
            lines = file.read(_LARGE).split(b"\n")
    except OSError:
        return False
    try:
        return all(isinstance(json.loads(line), dict) for line in lines[:-1])
    except (ValueError, RecursionError):
        return False
