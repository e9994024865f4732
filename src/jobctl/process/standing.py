"""How an attempt's process stands for somebody who has nothing to do with it: its keeper, its lock, what is nobody's.

Only looks, for `status`, `why` and `doctor`. Who acts on it: supervisor.py.
"""

from __future__ import annotations

from jobctl.core.record import NamedTuple
from jobctl.process import descent, journal, keepers, kernel

STOPPED, HELD = "stopped", "held"


class Standing(NamedTuple):
    """`kind`: "" when there is nothing to say; stopped: its keeper stands still, `pid`; held: its keeper was killed in
    another PID namespace, and something of it may live there, which has `log` open."""

    kind: str = ""
    pid: int = 0
    log: str = ""


class Strays(NamedTuple):
    """Living processes that came to a keeper and that it cannot put down to any attempt: left alone."""

    keeper: str
    pids: list[int]


def of_attempt(folder: str, keeper: str, log: str) -> Standing:
    """Of an attempt that its history has as running. `folder`: of executors and keepers."""
    executor, _, number = keeper.rpartition(".")
    # One that died was followed by another one, which began what it had not.
    later = [name for name in keepers.of_executor(folder, executor) if int(name.rpartition(".")[2]) >= int(number)]
    for name in later:
        if keepers.lives(folder, name):
            found = _living(folder, name)
            if found is not None and found.state in "Tt":
                return Standing(STOPPED, pid=found.pid)
            return Standing()
    if not kernel.is_locked(log):
        return Standing()
    header = journal.read_header(journal.files(folder, keeper))
    if header is None or header.namespace == kernel.namespace():
        return Standing()  # whoever takes the run holds it by its pid
    return Standing(HELD, log=log)


def stopped(folder: str) -> dict[str, int]:
    """The keepers that stand still, by name, and their pids."""
    found = {name: _living(folder, name) for name in keepers.left_behind(folder)}
    return {name: proc.pid for name, proc in found.items() if proc is not None and proc.state in "Tt"}


def strays(folder: str) -> list[Strays]:
    """What every keeper that lives has of them."""
    found = []
    for name in keepers.left_behind(folder):
        keeper = _living(folder, name)
        if keeper is None:
            continue
        known = journal.read(journal.files(folder, name))
        if not known.strays:
            continue
        own = {entry.pid for entry in known.entries.values() if entry.end is None}
        try:
            pids = [pid for pid in descent.children(keeper.pid) if pid not in own and _lives(pid)]
        except OSError:
            continue  # the kernel does not list children
        if pids:
            found.append(Strays(name, pids))
    return found


def _living(folder: str, keeper: str) -> descent.Proc | None:
    """The process of a keeper that lives where we can see it."""
    if not keepers.lives(folder, keeper):
        return None
    header = journal.read_header(journal.files(folder, keeper))
    if header is None or header.namespace != kernel.namespace() or header.pid < 2:
        return None
    return descent.look(header.pid)


def _lives(pid: int) -> bool:
    found = descent.look(pid)
    return found is not None and found.alive
