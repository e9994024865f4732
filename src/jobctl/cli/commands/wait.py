"""`jobctl wait`: until runs end, whatever their end. Nothing is advanced here; what can no longer begin is recorded as
over.

So does whoever has started a run that another process advances (`run --wait`): a signal is then meant for the run.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jobctl.cli import printing as output
from jobctl.cli import signals
from jobctl.cli.commands.status import exit_code, find
from jobctl.cli.foreground import user
from jobctl.cli.moments import span
from jobctl.cli.opened import store_of
from jobctl.cli.secrets import hidden
from jobctl.cli.stop import carry_out
from jobctl.core import text
from jobctl.core.errors import JobctlError
from jobctl.engines.local import control as requests
from jobctl.host import clock
from jobctl.store.store import Store
from jobctl.views import views

if TYPE_CHECKING:
    from jobctl.cli.signals import Signals
    from jobctl.core.run.rows import RunRow
    from jobctl.host.settings import Settings

LOOK_EVERY_MS = 100  # for a commit of another process: one pragma
ALIVE_EVERY_MS = 1_000  # whether the runs' executors live: a lock each


def main(settings: Settings, *, runs: list[str], timeout: str | None) -> int:
    """The exit code of the runs: the first, in the order given, that is not 0; 75 when `timeout` passed before."""
    if timeout is not None:
        span(timeout, "--timeout")
    with store_of(settings, asks=True) as store:
        return until(settings, store, [find(settings, store, name, now=clock.now()) for name in runs], timeout)


def until(
    settings: Settings, store: Store, found: list[RunRow], timeout: str | None, asked: Signals | None = None
) -> int:
    """Wait for these runs and tell of each end; the exit code as above. What is not over by then is named on stdout.

    `asked`: the runs are this process's own, and a signal asks for their end, which is waited for as well.
    """
    deadline = clock.monotonic() + span(timeout, "--wait") if timeout is not None else None
    rows = {row.id: row for row in found}
    in_time = _wait(settings, store, rows, deadline, asked)
    if settings.json:
        documents = [hidden(store, row, views.run_document(store, row)) for row in rows.values()]
        output.print_json(documents[0] if len(documents) == 1 else documents)
    if not in_time:
        waiting = ", ".join(row.name for row in rows.values() if row.finished_at is None)
        output.note(f"{timeout} have passed, not over: {waiting}")
        if not settings.json:
            for row in rows.values():
                if row.finished_at is None:
                    output.say(row.name)
        return signals.code("canceled", asked.last) if asked is not None and asked.last else exit_code("running")
    last = asked.last if asked is not None else 0
    codes = [signals.code(row.status, last) for row in rows.values()]
    return next((code for code in codes if code), 0)


def _wait(
    settings: Settings, store: Store, rows: dict[int, RunRow], deadline: int | None, asked: Signals | None
) -> bool:
    """Whether all ended before the deadline (monotonic). Brings `rows` up to date; what has ended is not read again."""
    watched = set(rows)
    told: set[int] = set()  # of which people know that nobody is at them
    changes = look_at_alive = -1
    while True:
        if asked is not None:
            for number in asked.take():
                for run_id in sorted(watched):
                    _ask(settings, store, store.run(run_id), number, asked)
        mono = clock.monotonic()
        changed = store.changes()
        if changed != changes or mono >= look_at_alive:
            if mono >= look_at_alive:
                look_at_alive = mono + ALIVE_EVERY_MS
                _end_late(store)
            for run_id in sorted(watched):
                row = rows[run_id] = views.current(store, store.run(run_id))
                if row.finished_at is not None:
                    watched.discard(run_id)
                    if asked is not None and not watched:
                        asked.restore()  # what is printed now may find nobody who reads it
                    _say_end(settings, row)
                elif run_id not in told and views.summary(store, row)["interrupted"]:
                    told.add(run_id)
                    output.note(f"{row.name} is interrupted and waits to be taken up: jobctl resume {row.name}")
            changes = changed
        if not watched:
            return True
        left = deadline - clock.monotonic() if deadline is not None else LOOK_EVERY_MS
        if left <= 0:
            return False
        if asked is not None:
            asked.pause(min(left, LOOK_EVERY_MS))
        else:
            time.sleep(min(left, LOOK_EVERY_MS) / 1000)


def _ask(settings: Settings, store: Store, row: RunRow, number: int, asked: Signals) -> None:
    """A signal has come: have the run end, by whoever has it, and here where nobody does."""
    name = signals.name(number)
    if asked.count > 2:  # whoever has it does not do it: it is asked, and will when it goes on
        asked.restore()
        signals.raise_signal(number)
    try:
        if asked.count == 1:
            output.note(f"{name}: canceling {row.name}; once more to stop waiting and kill")
            row = requests.cancel(store, row, reason=f"canceled by {name}", by=user())
        else:
            output.note(f"{name} again: killing {row.name}")
            row = requests.terminate(store, row, reason=f"killed by a second {name}", by=user())
        if not requests.is_held(store, row):
            carry_out(settings, store, row, asked)
    except JobctlError:
        if store.run(row.id).finished_at is None and not requests.is_held(store, store.run(row.id)):
            raise  # else it has ended in between, or another process was faster and sees to it


def _end_late(store: Store) -> None:
    """What nobody has begun in time is over, also where no daemon is there to record it."""
    try:
        if store.too_late(clock.now()):
            from jobctl.engines.local import unbegun

            unbegun.end_late(store, clock.now())
    except JobctlError:
        pass  # somebody else's store, say: it is looked at all the same


def _say_end(settings: Settings, row: RunRow) -> None:
    if settings.json or settings.quiet:
        return
    assert row.finished_at is not None
    took = f" after {text.duration(row.finished_at - row.started_at)}" if row.started_at is not None else ""
    output.say(f"{row.name}: {row.status.replace('_', ' ')}{took}" + (f": {row.reason}" if row.reason else ""))
    sys.stdout.flush()  # the others may take hours
