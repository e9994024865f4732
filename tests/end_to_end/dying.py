"""jobctl that dies (SIGKILL) at its n-th commit of events: dying.py MOMENT N ARGUMENTS…

MOMENT: `before` it; `after` it, before anything is done that follows from it; `then`, when all of that has been done;
`machine+MS`: so many milliseconds after that, with the commands that run, as when the machine dies. What is recorded in
one commit is there as a whole or not at all: between its events nothing can happen.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from jobctl.cli.main import main
from jobctl.process import descent
from jobctl.process.watch import Watch
from jobctl.store.append import Batch, Beside
from jobctl.store.store import Store

MOMENT, NUMBER, *ARGUMENTS = sys.argv[1:]
left = int(NUMBER)
append, wait = Store.append, Watch.wait


def dying_append(self: Store, batches: Sequence[Batch], *beside: Beside | None) -> list[Batch]:
    global left
    left -= any(batch.events for batch in batches)
    if left == 0 and MOMENT == "before":
        die()
    refused = append(self, batches, *beside)
    if left == 0 and MOMENT == "after":
        die()
    return refused


def dying_wait(self: Watch, timeout_ms: int | None) -> list[Callable[[], object]]:
    if left <= 0:
        if MOMENT != "then":
            time.sleep(int(MOMENT.removeprefix("machine+")) / 1000)
            kill_commands()
        die()
    return wait(self, timeout_ms)


def kill_commands() -> None:
    """Each command runs under our keeper, and leads a session."""
    for keeper in descent.children(os.getpid()):
        os.kill(descent.checked(keeper), signal.SIGSTOP)  # it is to tell nobody
        for command in descent.children(keeper):
            with suppress(OSError):
                os.killpg(descent.checked(command), signal.SIGKILL)
        os.kill(descent.checked(keeper), signal.SIGKILL)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


Store.append, Watch.wait = dying_append, dying_wait  # type: ignore[method-assign]
sys.exit(main(ARGUMENTS))
