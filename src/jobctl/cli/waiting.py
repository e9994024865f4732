"""Waiting until runs end, whatever their end. Nothing is advanced here; what can no longer begin is recorded as over.

So does `jobctl wait`, and whoever has started a run that another process advances: a signal is then meant for the run.
"""

from __future__ import annotations

import sys
import time

from jobctl.cli import printing, signals
from jobctl.cli.codes import exit_code
from jobctl.cli.moments import span
from jobctl.cli.user import user
from jobctl.core import text
from jobctl.core.errors import JobctlError
from jobctl.host import clock
from jobctl.views.documents import Documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.cli.signals import Signals
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings

LOOK_EVERY_MS = 100  # for a commit of another process: one pragma
ALIVE_EVERY_MS = 1_000  # whether the runs' workers live: a lock each


def until(
    settings: Settings, client: Client, runs: list[Run], timeout: str | None, asked: Signals | None = None
) -> int:
    """Wait for these runs and tell of each end; the exit code of the first that is not 0, 75 when `timeout` passed
    before. What is not over by then is named on stdout.

    `asked`: the runs are this process's own, and a signal asks for their end, which is waited for as well.
    """
    deadline = clock.monotonic() + span(timeout, "--wait") if timeout is not None else None
    waited = _Waited(settings, client, runs, asked)
    in_time = waited.wait(deadline)
    found = list(waited.runs.values())
    if settings.json:
        documents = Documents(client, printing.note)
        shown = [documents.run(run, clock.now()) for run in found]
        printing.print_json(shown[0] if len(shown) == 1 else shown)
    if not in_time:
        left = [run.name for run in found if not run.over]
        printing.note(f"{timeout} have passed, not over: {', '.join(left)}")
        for name in left if not settings.json else ():
            printing.say(name)
        return signals.code("canceled", asked.last) if asked is not None and asked.last else exit_code("running")
    last = asked.last if asked is not None else 0
    return next((code for code in (signals.code(run.status, last) for run in found) if code), 0)


class _Waited:
    """Runs whose ends are waited for. What has ended is not read again."""

    def __init__(self, settings: Settings, client: Client, runs: list[Run], asked: Signals | None) -> None:
        self.runs = {run.name: run for run in runs}
        self._settings = settings
        self._client = client
        self._asked = asked
        self._watched = dict.fromkeys(self.runs)
        self._told: set[str] = set()  # of which people know that nobody is at them
        self._changes = self._look_at_alive = -1

    def wait(self, deadline: int | None) -> bool:
        """Whether all ended before the deadline (monotonic)."""
        while True:
            for number in self._asked.take() if self._asked is not None else ():
                for name in list(self._watched):
                    self._ask(name, number)
            mono = clock.monotonic()
            changed = self._client.changes()
            if changed != self._changes or mono >= self._look_at_alive:
                if mono >= self._look_at_alive:
                    self._look_at_alive = mono + ALIVE_EVERY_MS
                    self._end_late()
                for name in list(self._watched):
                    self._look(name)
                self._changes = changed
            if not self._watched:
                return True
            left = deadline - clock.monotonic() if deadline is not None else LOOK_EVERY_MS
            if left <= 0:
                return False
            if self._asked is not None:
                self._asked.pause(min(left, LOOK_EVERY_MS))
            else:
                time.sleep(min(left, LOOK_EVERY_MS) / 1000)

    def _look(self, name: str) -> None:
        run = self.runs[name] = self._client.run(self.runs[name])
        if run.over:
            del self._watched[name]
            if self._asked is not None and not self._watched:
                self._asked.restore()  # what is printed now may find nobody who reads it
            self._say_end(run)
        elif name not in self._told and run.interrupted:
            self._told.add(name)
            printing.note(f"{name} is interrupted and waits to be taken up: jobctl resume {name}")

    def _ask(self, name: str, number: int) -> None:
        """A signal has come: have the run end, by whoever has it, and here where nobody does."""
        assert self._asked is not None
        client, run, called = self._client, self._client.run(self.runs[name]), signals.name(number)
        if self._asked.count > 2:  # whoever has it does not do it: it is asked, and will when it goes on
            self._asked.restore()
            signals.raise_signal(number)
        try:
            if self._asked.count == 1:
                printing.note(f"{called}: canceling {name}; once more to stop waiting and kill")
                run = client.cancel(run, reason=f"canceled by {called}", by=user())
            else:
                printing.note(f"{called} again: killing {name}")
                run = client.terminate(run, reason=f"killed by a second {called}", by=user())
            if not run.over and not client.held(run):
                from jobctl.cli.foreground import carry_out

                carry_out(self._settings, client, run, self._asked, tells_end=False)  # `_say_end` does
        except JobctlError:
            now = client.run(run)
            if not now.over and not client.held(now):
                raise  # else it has ended in between, or another process was faster and sees to it

    def _end_late(self) -> None:
        """What nobody has begun in time is over, also where no daemon is there to record it."""
        try:
            self._client.end_late()
        except JobctlError:
            pass  # somebody else's store, say: it is looked at all the same

    def _say_end(self, run: Run) -> None:
        if self._settings.json or self._settings.quiet:
            return
        assert run.finished_at is not None
        took = f" after {text.duration(run.finished_at - run.started_at)}" if run.started_at is not None else ""
        printing.say(f"{run.name}: {run.status.replace('_', ' ')}{took}" + (f": {run.reason}" if run.reason else ""))
        sys.stdout.flush()  # the others may take hours
