"""What becomes of a state folder that is a copy: it goes on as the one, or it becomes a store of its own. No process is
touched here: those of the original are the original's."""

from __future__ import annotations

import os
import shutil

from jobctl.core.errors import JobctlError
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carries
from jobctl.core.run.rows import RunRow
from jobctl.core.status import StepStatus
from jobctl.engines.local import executor
from jobctl.host import folder
from jobctl.store import firings, place, trial
from jobctl.store.append import Batch
from jobctl.store.database import Transaction
from jobctl.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.run.events import Requested
    from jobctl.host.host import Host

COPIED = "copied"
_ERROR = "copied: it goes on in the folder that this one was copied from"


def at_home(store: Store) -> None:
    """Record where the folder is found now, that of a store that is no copy: it may have been renamed, its mark touched
    or lost. What can no longer be told of it stays as it was known."""
    known, here = store.folder(), folder.look(store.state_dir)
    if here.marked is None:
        folder.write_mark(store.state_dir, store.identity())
        here = folder.look(store.state_dir)
    if known is not None and here.born is None:
        here = here._replace(born=known.born)
    if here != known:
        with store.transaction() as db:
            store.belongs_to(db, here)


def original_is_gone(store: Store) -> bool:
    """The copy goes on as the one: its schedules where they stand, its runs as after a crash. Whether the original can
    still be seen where it was. JobctlError when somebody lives on it."""
    there = seen(store)
    trial.check(store.state_dir)
    folder.write_mark(store.state_dir, store.identity())
    with store.transaction() as db:
        store.belongs_to(db, folder.look(store.state_dir))
    store.copy = None
    _sweep(store)
    return there


def _sweep(store: Store) -> None:
    """What a restore has left that was killed when all was in its place."""
    shutil.rmtree(os.path.join(store.state_dir, place.RESTORING), ignore_errors=True)


def seen(store: Store) -> bool:
    """Whether the original can still be seen where it was. JobctlError when somebody lives on it."""
    assert store.copy is not None
    of = store.copy.of
    if not _is_there(of):
        return False
    known = store.executors()
    for name in executor.names(of.path):  # also those that have come since the copy was made
        if executor.alive(of.path, name):
            pid, kind, _ = known.get(name, (0, "", 0))
            what = {"daemon": f"a daemon (process {pid})", "": "a process"}.get(kind, f"a run of process {pid}")
            raise JobctlError(
                f"the original is not gone: {what} lives on {of.path}",
                hint="end it first; or make this one a store of its own: jobctl adopt --as-copy",
            )
    return True


def as_copy(store: Store, by: str, host: Host) -> list[str]:
    """The copy becomes a store of its own, with another identity: what it starts is never taken for the original's, nor
    the other way round. Its open runs end as terminated, its schedules begin now. Returns the runs that were ended.

    Nobody is told of these ends: what they are about goes on.
    """
    assert store.copy is not None
    trial.check(store.state_dir)
    _sweep(store)
    identity = os.urandom(6).hex()
    # First the file: who is killed in between has a copy still.
    folder.write_mark(store.state_dir, identity)
    here = folder.look(store.state_dir)

    while True:
        now = host.now()
        batches = []
        for row in store.alive():
            if row.executor is not None and executor.alive(store.state_dir, row.executor):
                continue  # begun here, since it is a copy
            try:
                batches.append(_end(store, row, now, by))
            except JobctlError:
                continue  # its history is damaged: it cannot go on here or anywhere, as `status` says
        ended = [batch.run_id for batch in batches]

        def beside(db: Transaction, ended: list[int] = ended) -> None:
            if store.are_open(db, ended):
                raise _AgainError
            store.belongs_to(db, here, identity)
            firings.begin_anew(db)

        try:
            store.append(batches, beside)
        except _AgainError:
            continue
        store.copy = None
        return [store.run(run_id).name for run_id in ended]


class _AgainError(Exception):
    """Something has happened to one of the runs since it was read."""


def _end(store: Store, row: RunRow, now: int, by: str) -> Batch:
    state = store.state(row)
    events = []
    if str(state.status) != "queued":
        data: Requested = {"reason": COPIED, "by": by} if by else {"reason": COPIED}
        events.append(Event(EventType.TERMINATE_REQUESTED, now, data=data))
    for states, kind in ((state.undo, EventType.UNDO_ENDED), (state.steps, EventType.ATTEMPT_ENDED)):
        for key, step in states.items():
            if step.status is StepStatus.RUNNING and step.items is None and step.attempts:
                end = carries(EventType.ATTEMPT_ENDED, {"status": "canceled", "error": _ERROR})
                events.append(Event(kind, now, key, step.attempts[-1].number, data=end))
    last = carries(EventType.RUN_ENDED, {"status": "terminated", "reason": COPIED})
    events.append(Event(EventType.RUN_ENDED, now, data=last))
    for event in events:
        state.apply(event)
    return Batch(row.id, row.seq, events, state, executor=None)


def _is_there(of: folder.Folder) -> bool:
    try:
        return os.path.isdir(of.path) and folder.is_same(of, of.path)
    except OSError:
        return False
