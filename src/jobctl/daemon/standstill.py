"""A daemon on a copy of a state folder: it does nothing, says so, and begins when somebody has said what the copy is to
be. Nothing of the store is written meanwhile."""

from __future__ import annotations

import signal

from jobctl.core.errors import JobctlError
from jobctl.daemon.log import Journal
from jobctl.daemon.systemd import Notifier
from jobctl.store.store import Store

LOOK_S = 1.0
_ENDING = (signal.SIGTERM, signal.SIGINT)


def wait(store: Store, journal: Journal, notifier: Notifier) -> int:
    """0 once the folder is adopted; the number of the signal that ended the wait before."""
    if store.copy is None:
        return 0
    journal.say(store.copy.sentence(), level="error")
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
                if not store.is_copy():
                    journal.say("adopted: going on")
                    return 0
            except JobctlError as error:
                journal.say_once("copy", f"{error.message}; trying again")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
