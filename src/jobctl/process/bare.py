"""An attempt that no keeper has any more, by its process: which one that is, and signals to it. A process is looked at
before it is believed to be the one that is meant: a pid alone proves nothing.
"""

from __future__ import annotations

import os
import signal

from jobctl.host.files import PASSING
from jobctl.process import descent
from jobctl.process.held import Attempt
from jobctl.process.keepers import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def hold_pidfd(attempt: Attempt[Any], link: Link, first: int, last: int) -> None:
    """Should its keeper die, the process is still the one that is meant, and how it ends can be asked. One that we
    have made hands its children on to us."""
    let_go_of_pidfd(attempt)
    if attempt.pid is None or link.pid is not None or not hasattr(os, "pidfd_open"):
        return
    try:
        fd = os.pidfd_open(descent.checked(attempt.pid))
    except OSError:
        return
    found = descent.look(attempt.pid)
    if found is None or not found.born_between(first, last):
        os.close(fd)  # of another namespace, or somebody else's by now
        return
    attempt.pidfd = fd


def let_go_of_pidfd(attempt: Attempt[Any]) -> None:
    if attempt.pidfd >= 0:
        os.close(attempt.pidfd)
        attempt.pidfd = -1


def leader(token: str, mark: int) -> tuple[int | None, bool]:
    """(the process of an attempt that leads a session of its own: the first one - also when it has ended and came to us
    to be reaped; whether one is there that is about to become it, when there is none)."""
    try:
        ours = [pid for pid in descent.children(os.getpid()) if descent.mark_of(pid) == mark]
    except OSError as error:
        if error.errno in PASSING:
            raise
        ours = []  # the kernel does not list children
    for pid in [*ours, *descent.members(token, mark)]:
        found = descent.look(pid)
        if found is not None and found.session == pid:
            return pid, False
    # Made, and the keeper died before the new process had left its session.
    return None, any((found := descent.look(pid)) is not None and found.alive for pid in ours)


def ask_to_end(attempt: Attempt[Any]) -> None:
    """As a keeper would: its group, and what carries its token outside of that."""
    assert attempt.pid is not None
    for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process cannot end
        _signal(attempt, number)
        descent.signal_members(attempt.token, number, outside=attempt.pid, mark=attempt.mark)


def kill(attempt: Attempt[Any]) -> None:
    _signal(attempt, signal.SIGKILL)
    descent.sweep(attempt.token, attempt.mark)


def _signal(attempt: Attempt[Any], number: int) -> None:
    """To the attempt's process group, if its leader is still the one that is meant: a pid alone proves nothing."""
    if attempt.pid is None:
        return
    found = descent.look(attempt.pid)
    if found is None or found.session != attempt.pid:
        return
    if descent.carries(attempt.pid, attempt.token) or (attempt.mark and descent.mark_of(attempt.pid) == attempt.mark):
        descent.signal_group(attempt.pid, number)
