"""A daemon on a copy of a state folder: it does nothing, says so, and begins when somebody has said what the copy is to
be. Nothing is recorded meanwhile."""

from __future__ import annotations

import signal

from jobctl.core.errors import JobctlError
from jobctl.daemon.log import Journal
from jobctl.daemon.systemd import Notifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.base import Client

LOOK_S = 1.0
_ENDING = (signal.SIGTERM, signal.SIGINT)


def wait(client: Client, journal: Journal, notifier: Notifier) -> int:
    """0 once the folder is adopted; the number of the signal that ended the wait before."""
    if client.copy_of is None:
        return 0
    journal.say(client.copy_sentence, level="error")
    notifier.tell("READY=1\nSTATUS=a copy: jobctl adopt")
    asked = (*_ENDING, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    try:
        while True:
            pause = min(LOOK_S, notifier.watchdog_ms / 1000 if notifier.watchdog_ms is not None else LOOK_S)
            came = signal.sigtimedwait(asked, pause)
            if came is not None and came.si_signo in _ENDING:
                return came.si_signo
            notifier.tell("WATCHDOG=1")
            try:
                if not client.is_copy_still():
                    journal.say("adopted: going on")
                    return 0
            except JobctlError as error:
                journal.say_once("copy", f"{error.message}; trying again")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
