"""Whose process is this? Found, signalled, killed: every process of an attempt, wherever it went. When: keeper.py.

A process is put down to an attempt by, in this order: its cgroup; the mark that the kernel hands on to every descendant
(RLIMIT_LOCKS, which has meant nothing since Linux 2.4 and which anybody may read); the token in its environment; its
session or group; having been seen below the attempt's first process; being born while that attempt alone lived. What
fits none is nobody's, and is never touched.

All signals of jobctl's are sent from here. A pid is a number only here, and one below 2 is none: to `kill` 0, 1 and -1
are addresses - of our own group, of init, of every process there is.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable

from jobctl.core.record import NamedTuple
from jobctl.host.files import PASSING
from jobctl.process import cgroups

TOKEN = "JOBCTL_TOKEN"

LOCKS = 10  # RLIMIT_LOCKS: the resource module has no name for it
MARKED = 1 << 61  # what every mark has, and no limit that a person would set
_MARK_LINE = b"Max file locks"


class Proc(NamedTuple):
    """A process as /proc/PID/stat has it. `ticks`: when it began, in clock ticks since the boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    ticks: int

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"

    def born_between(self, first: int, last: int) -> bool:
        """Whether it can be the process that was made between these ticks: within them no pid comes round again."""
        return first <= self.ticks <= last


TICKS = os.sysconf("SC_CLK_TCK")  # a second


def tick(boot_ms: int) -> int:
    """The clock tick, as /proc counts them, of an instant on the boot's clock."""
    return boot_ms * TICKS // 1000


class NotAPidError(ValueError):
    """A number below 2 was about to be used as a pid: nothing was sent."""


def checked(pid: int) -> int:
    """The pid. NotAPidError for a number that is an address."""
    if pid < 2:
        raise NotAPidError(f"{pid} is no process")
    return pid


def look(pid: int) -> Proc | None:
    """The process of that pid, also when it has ended and nobody has reaped it; None when there is none.

    OSError in PASSING when it cannot look just now.
    """
    text = _content(pid, "stat", 4096)
    if text is None:
        return None
    # The name may hold anything, also blanks and brackets: the last bracket ends it.
    words = text[text.rfind(b")") + 2 :].split()
    if len(words) < 20:
        return None
    return Proc(pid, words[0].decode(), int(words[1]), int(words[2]), int(words[3]), int(words[19]))


def mark_of(pid: int) -> int:
    """The mark that a process has, 0 for none."""
    text = _content(pid, "limits", 4096)
    if text is None:
        return 0
    at = text.find(_MARK_LINE)
    soft = text[at + len(_MARK_LINE) :].split(None, 1)[0] if at >= 0 else b""
    value = int(soft) if soft.isdigit() else 0
    return value if value & MARKED and value < MARKED << 1 else 0


def cgroup_mark_of(pid: int) -> int:
    """The mark of the attempt in whose cgroup a process is, 0 for none."""
    return cgroups.mark_in(_content(pid, "cgroup", 4096) or b"")


def carries(pid: int, token: str) -> bool:
    """Whether the living process has the attempt's token in its environment. A zombie has no environment."""
    return token_of(pid) == token


def token_of(pid: int) -> str | None:
    """The token that stands in a living process's environment. OSError in PASSING when it cannot look just now."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in PASSING:  # nobody knows: taken for dead, a living attempt would get a second one beside it
            raise
        return None
    wanted = b"\0" + TOKEN.encode() + b"="
    text = b"\0"
    try:
        while chunk := os.read(fd, 65536):
            text += chunk
            at = text.find(wanted)
            if at < 0:
                text = text[-len(wanted) :]
                continue
            end = text.find(b"\0", at + 1)
            if end >= 0:
                return text[at + len(wanted) : end].decode("utf-8", "surrogateescape")
            text = text[at:]
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def children(pid: int) -> list[int]:
    """The pids of a process's children, those that have ended too. OSError (ENOTSUP) where the kernel does not list
    them."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError as error:
        if error.errno in PASSING:
            raise
        return []
    for thread in threads:
        text = _content(pid, f"task/{thread}/children", 1 << 20)
        if text is None and thread == str(pid) and os.path.exists(f"/proc/{pid}/task/{thread}/stat"):
            raise OSError(errno.ENOTSUP, "the kernel does not list children")
        found += [int(word) for word in (text or b"").split()]
    return found


def below(pid: int) -> list[int]:
    """All descendants of a process, nearest first. As `children`."""
    found = [pid]
    seen = {pid}
    for one in found:
        for child in children(one):
            if child not in seen:
                seen.add(child)
                found.append(child)
    return found[1:]


def pids() -> list[int]:
    """All processes that this PID namespace and the system let us see. None where there is no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) > 1]
    except FileNotFoundError:
        return []


def members(token: str, mark: int = 0) -> list[int]:
    """The living processes that carry an attempt's token, or its mark, wherever they went.

    OSError in PASSING when it cannot look just now, as for everything here that looks for processes.
    """
    return [pid for pid in pids() if _is_member(pid, token, mark)]


def _is_member(pid: int, token: str, mark: int) -> bool:
    if carries(pid, token):
        return True
    if not mark or mark not in (mark_of(pid), cgroup_mark_of(pid)):
        return False
    found = look(pid)
    return found is not None and found.alive


def is_there(pid: int) -> bool:
    """Whether some process has the pid: all that can be asked where there is no /proc."""
    try:
        os.kill(checked(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def signal_group(pid: int, number: int) -> None:
    """Send to the whole process group that a process leads. Nothing happens when none of it is left."""
    try:
        os.killpg(checked(pid), number)
    except (ProcessLookupError, PermissionError):
        pass


def signal_process(pid: int, number: int, is_it: Callable[[], bool] | None = None) -> bool:
    """Send to one process, if it still is the one that was meant. Whether it was sent.

    `is_it` looks once more, behind a pidfd: the pid cannot become another process's in between.
    """
    checked(pid)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) in PASSING:
            raise
        return _signal_number(pid, number, is_it)
    try:
        if is_it is not None and not is_it():
            return False
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def _signal_number(pid: int, number: int, is_it: Callable[[], bool] | None) -> bool:
    """Where there is no pidfd."""
    if is_it is not None and not is_it():
        return False
    try:
        os.kill(checked(pid), number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_members(token: str, number: int, *, outside: int = 0, mark: int = 0) -> list[int]:
    """Send to every process that carries the token or the mark, but for the group `outside`. Returns their pids."""
    sent = []
    for pid in members(token, mark):
        try:
            if outside and os.getpgid(pid) == outside:
                continue
        except ProcessLookupError:
            continue
        if signal_process(pid, number, lambda pid=pid: _is_member(pid, token, mark)):  # type: ignore[misc]
            sent.append(pid)
    return sent


_LOOKS = 6  # so often in a row none must be seen
_EXEC_SECONDS = 0.005  # longer than an exec takes until the new environment is there


def sweep(token: str, mark: int = 0) -> int:
    """SIGKILL every process that carries the token or the mark until none is left. Returns how many were killed."""
    import time

    killed: set[int] = set()
    empty = 0
    for _ in range(100):
        before = set(pids())
        found = signal_members(token, signal.SIGKILL, mark=mark)
        killed.update(found)
        empty = 0 if found else empty + 1
        # In the middle of an exec a process has no environment to look at, and one that makes the next and is gone may
        # do so between the list and the look: where there were any, or new ones have come meanwhile, look again.
        if empty >= (1 if not killed and before.issuperset(pids()) else _LOOKS):
            break
        if empty:
            time.sleep(_EXEC_SECONDS)
    return len(killed)


class Claimant(NamedTuple):
    """An attempt, as far as processes are put down to it."""

    id: str
    token: str
    mark: int
    leader: int  # its first process, which leads its session; 0: none yet
    seen: dict[int, int]  # pid -> ticks: processes that were below the leader
    alone_since: int | None  # ticks; everything born after it can only be its own. None: others live too


def whose(found: Proc, claimants: Iterable[Claimant]) -> str | None:
    """Which attempt an orphan belongs to, "" when to none of these; None: nobody can tell. The order is the one at the
    top of this file."""
    claimants = list(claimants)
    inside = cgroup_mark_of(found.pid)
    if inside:
        return next((one.id for one in claimants if one.mark == inside), "")
    mark = mark_of(found.pid)
    if mark:
        return next((one.id for one in claimants if one.mark == mark), "")
    token = token_of(found.pid)
    if token is not None:
        return next((one.id for one in claimants if one.token == token), "")
    for one in claimants:
        if one.leader > 1 and one.leader in (found.session, found.group):
            return one.id
    for one in claimants:
        if one.seen.get(found.pid) == found.ticks:
            return one.id
    for one in claimants:
        if one.alone_since is not None and found.ticks > one.alone_since:
            return one.id
    return None


def _content(pid: int, name: str, limit: int) -> bytes | None:
    """A file of /proc/PID; None when the process is gone, or is not ours to look at."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return None
    try:
        pieces = []
        while piece := os.read(fd, limit):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return None
    finally:
        os.close(fd)
