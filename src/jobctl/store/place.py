"""Where a store lies: whether it is still there, whether the folder is new or holds what is left of a lost one, and
whether it is the one that it was made in. No history is read here."""

from __future__ import annotations

import os

from jobctl.core.errors import CopyError, StoreError, StoreGoneError, StoreLostError
from jobctl.core.record import NamedTuple
from jobctl.host import folder

DATABASE = "jobctl.db"
DAMAGED = (  # the way out
    "save what can be read: jobctl backup --salvage FILE; or move its folder away, and: jobctl restore BACKUP"
)
RESTORING = "restore.new"  # the folder in which a restore makes all ready
DRAFT = ".new"  # what a database is called until it is whole

WAYS = (
    "if the original is gone: jobctl adopt --original-is-gone (this one goes on in its place);"
    " otherwise: jobctl adopt --as-copy (a store of its own, its open runs end)"
)


class Copy(NamedTuple):
    """A folder that is not the one its store was made in: `of` is that one, as it was then."""

    here: str
    of: folder.Folder

    def sentence(self) -> str:
        what = f"a copy of {self.of.path}" if self.of.path != self.here else "a copy of the folder that was here"
        return (
            f"the state folder {self.here} is {what}: its schedules and its open runs stand still until you say what it"
            " is to be, with jobctl adopt --original-is-gone or jobctl adopt --as-copy"
        )

    def error(self, what: str = "") -> CopyError:
        """`what` cannot be done in it."""
        if not what:
            return CopyError(self.sentence(), hint=WAYS)
        return CopyError(f"{what}: the state folder {self.here} is a copy of another one", hint=WAYS)


def copy_of(state_dir: str, known: folder.Folder | None) -> Copy | None:
    """Whether the folder is a copy of the one that was recorded; where nothing was, it is taken for that one."""
    if known is None or folder.is_same(known, state_dir):
        return None
    return Copy(state_dir, known)


def must_be_new(state_dir: str) -> None:
    """StoreError when there is no database in the folder, and there was one: an empty one beside the runs of a lost one
    would end them in silence, and be in the way of the lost one when it is found."""
    path = os.path.join(state_dir, DATABASE)
    if os.path.isdir(os.path.join(state_dir, RESTORING)) and not os.path.exists(path):
        raise StoreError(
            f"a restore into {state_dir} was cut short, or is still at work: there is no history yet",
            hint=f"run it again: jobctl --state-dir {state_dir} restore BACKUP; to begin with an empty history:"
            f" rm -r {os.path.join(state_dir, RESTORING)}",
        )
    left = _left(state_dir)
    if left and not os.path.exists(path):  # looked at again: another process may just have made it
        raise StoreError(
            f"the state store {path} is gone, and what belongs to it is still here: {left}",
            hint=f"put it back, or a backup of it; to begin with an empty history: mv {state_dir} {state_dir}.lost",
        )


def _left(state_dir: str) -> str:
    """What a store has left in its folder; "" for a folder in which there was none."""
    try:
        names = set(os.listdir(state_dir))
    except FileNotFoundError:
        return ""
    strong: list[str] = [
        name for name in ("runs", "executors") if name in names and os.listdir(os.path.join(state_dir, name))
    ]
    if os.path.exists(os.path.join(state_dir, DATABASE + "-wal")):
        strong.append(DATABASE + "-wal")
    if strong:
        return ", ".join(strong)
    if DATABASE + DRAFT in names:
        return ""  # the first use was cut short
    return ", ".join(sorted(names & {folder.MARK, DATABASE + ".lock", "daemon.lock", "runs", "executors"}))


def check(path: str, opened: tuple[int, int]) -> None:
    """The database at `path` is still the file that was opened (device and inode, which hold as long as a process has
    it open). StoreGoneError while there is none: it may come back. StoreLostError when there is another one."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise StoreGoneError(
            f"the state store {path} was moved away or removed while it was in use",
            hint="put it back; commands that run go on, and so does what waits for it",
        ) from error
    if (found.st_dev, found.st_ino) != opened:
        raise StoreLostError(
            f"the state store {path} was replaced while it was in use",
            hint="start this process again; commands that run go on, and the next jobctl takes them over",
        )
