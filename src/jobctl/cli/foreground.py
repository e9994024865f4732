"""A run advanced by this very process: signals, a view of it, its end as an exit code. The views: plain.py, render.py.

`run` and `resume` come here, and `cancel` and `terminate` of a run that no living executor has.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from jobctl.cli import signals
from jobctl.cli.signals import Signals
from jobctl.cli.user import user
from jobctl.core.errors import JobctlError
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried
from jobctl.engines.values import Can, need
from jobctl.host import clock
from jobctl.host.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from jobctl.core.model import Queue
    from jobctl.engines.base import Client, Foreground, Watched
    from jobctl.engines.values import Run

TICK_MS = 100


class View(Protocol):
    """What a person, a log file or a program sees of a run that goes on here."""

    @property
    def wants_ticks(self) -> bool:
        """Whether `tick` shows something by itself: output as it comes, a clock."""

    tells_end: bool  # whether `end` says how it ended: somebody else may be about to

    def begin(self, run: Watched) -> None:
        """Before the first turn, and before anything of the run is recorded."""

    def recorded(self, run: Watched, events: list[Event]) -> None:
        """Events were appended to the run's history; `run.state` has them already."""

    def tick(self) -> None:
        """Called some ten times a second while the run goes on."""

    def say(self, text: str) -> None:
        """A remark of ours that must be seen now, beside whatever the view shows."""

    def end(self, run: Watched) -> None:
        """The run is over, or this process is about to stop advancing it. The terminal is as it was before."""


def drive(
    settings: Settings,
    client: Client,
    begin: Callable[[Foreground], Watched],
    *,
    queues: Mapping[str, Queue] | None = None,
    keeper: Any = None,
    asked: Signals | None = None,
    tells_end: bool = True,
) -> int:
    """Advance one run until it ends; its exit code. `begin` begins or takes it with the worker it is given. `keeper`
    was forked before anything was opened.

    `queues` limit how many attempts of theirs run at once, here and elsewhere. The first SIGINT, SIGTERM or SIGHUP
    cancels the run gracefully, a second one kills. `asked`: those that came since something of the run was recorded.
    `tells_end`: not where the caller says how it ended.
    """
    need(client, Can.FOREGROUND)
    if asked is None:
        with Signals(client) as asked:
            return drive(settings, client, begin, queues=queues, keeper=keeper, asked=asked, tells_end=tells_end)
    view = _view(settings, client, lambda: asked.came)
    view.tells_end = tells_end
    audience = _Audience(view, settings)
    worker = client.foreground(audience, queues=queues or {}, keeper=keeper, remark=view.say)
    asked.wake(worker.wake_fd)

    def close() -> None:
        asked.sleep()
        worker.close()

    try:
        run = begin(worker)
        view.begin(run)
        try:
            _Driven(worker, run, view, asked).to_its_end()
            audience.leave(client, worker)
        finally:
            close()  # first: nobody waits with what goes on for whoever reads the rest here
            cut_short = _end(view, run, asked)
        asked.restore()
        audience.tell()
    finally:
        close()
    status = str(run.state.status)
    if cut_short and status not in ("canceled", "terminated"):
        return 128 + cut_short
    return signals.code(status, asked.last)


def carry_out(
    settings: Settings, client: Client, run: Run, asked: Signals | None = None, *, tells_end: bool = True
) -> str:
    """End here what nobody else will: take the run that was asked to end and see it through. How it ended."""
    from jobctl.cli import printing

    kept = client.kept(run, strict=False)
    for remark in kept.remarks:
        printing.note(remark)

    def begin(worker: Foreground) -> Watched:
        taken = worker.take(run, kept.job, kept.env_file)
        if taken is None:
            raise JobctlError(f"run {run.name} was just taken up by another process", hint=f"jobctl status {run.name}")
        return taken

    # What is printed is the answer to `cancel`: with --json it is one document, and the run's events are not in it.
    how = Settings(quiet=True, color=settings.color) if settings.json else settings
    drive(how, client, begin, asked=asked, tells_end=tells_end)
    return client.run(run).status.replace("_", " ")


class _Driven:
    """The run while it is advanced, turn by turn."""

    def __init__(self, worker: Foreground, run: Watched, view: View, asked: Signals) -> None:
        self._worker = worker
        self._run = run
        self._view = view
        self._asked = asked
        self._left: str | None = None  # what is said of child runs that go on here without the run; "": nothing
        self._troubled = ""
        self._give_up_at: int | None = None  # monotonic: asked to end, and nothing can be recorded

    def to_its_end(self) -> None:
        """Until it is over and nothing of it is left that needs this process."""
        while self._worker.busy:
            if self._is_left():
                return
            self._worker.turn(TICK_MS if self._view.wants_ticks else None)
            trouble = self._worker.trouble
            if trouble is not None and not self._run.recorded:
                raise trouble  # nothing of it is recorded, nothing of it runs: nothing is lost
            numbers = self._asked.take()
            if self._left is not None and numbers:
                return
            for count, number in enumerate(numbers, self._asked.count - len(numbers) + 1):
                self._ask(number, count)
            self._follow(trouble)
            self._view.tick()

    def _is_left(self) -> bool:
        """Whether what is still here goes on without this process. What does not is told of, once."""
        left = self._worker.left()
        if left is None:
            return False
        if left.goes_on:
            return True
        if self._left is None:
            self._left = ""
            if left.alone:
                names = ", ".join(left.alone[:3]) + (" …" if len(left.alone) > 3 else "")
                over = f"{self._run.name} is over, and without it go on: {names}"
                self._left = f"{over}; Ctrl-C leaves them to: jobctl resume {left.alone[0]}"
                self._view.say(self._left)
        return False

    def _ask(self, number: int, count: int) -> None:
        name = signals.name(number)
        if count == 1:
            self._view.say(f"{name}: canceling {self._run.name}; once more to stop waiting and kill")
            self._worker.ask(terminate=False, reason=f"canceled by {name}", by=user())
        else:
            self._view.say(f"{name} again: killing {self._run.name}")
            self._worker.ask(terminate=True, reason=f"killed by a second {name}", by=user())

    def _follow(self, trouble: JobctlError | None) -> None:
        """What cannot be recorded is said, and not waited for by whoever wants an end."""
        if trouble is None:
            self._give_up_at = None
        elif self._asked.count and self._give_up_at is None:
            self._give_up_at = clock.monotonic() + self._run.job.kill_grace
        if trouble is not None and (self._asked.count > 1 or _is_past(self._give_up_at)):
            raise trouble  # the end cannot be recorded; what runs goes on, for `resume`
        said = str(trouble or "")  # after each try another object, mostly about the same
        if said != self._troubled:
            self._troubled = said
            self._view.say(f"{said}; trying again" if said else "the state store can be written again")


def _end(view: View, run: Watched, asked: Signals) -> int:
    """Have the view shown to its end; the signal that cut it short, 0 for none. Whoever has asked for the end of the
    run, by closing the terminal say, is told by the exit code that it was canceled, not that nobody can read it."""
    try:
        view.end(run)
    except (BrokenPipeError, JobctlError):
        asked.take()
        if not asked.last or run.state.status is None or not run.state.status.final:
            raise
        return asked.last
    return 0


class _Audience:
    """Hands on to the view what is recorded of the run and its children; of notifications only what became of them is
    told, when all is over."""

    def __init__(self, view: View, settings: Settings) -> None:
        self._view = view
        self._quiet = settings.quiet
        self._run = ""  # the first that is heard of
        self._lines: list[str] = []

    def recorded(self, run: Watched, events: list[Event]) -> None:
        self._run = self._run or run.name
        about = run.state.about
        if about is None or run.name == self._run:
            self._view.recorded(run, events)
            return
        from jobctl.core.run.notices import sentence

        what, end = sentence(about), events[-1]
        if end.type is EventType.RUN_ENDED and carried(end.type, end)["status"] == "succeeded":
            if not self._quiet:
                self._lines.append(f"notified: {what} ({run.name})")
        elif end.type is EventType.RUN_ENDED:
            data = carried(end.type, end)
            why = f": {data['reason']}" if "reason" in data else ""
            self._lines.append(f"NOT NOTIFIED: {what}{why}; logs: jobctl logs {run.name}")
        elif "retry_at" in (attempt := carried(EventType.ATTEMPT_ENDED, end)):
            from jobctl.core.text import duration

            again = f"next attempt in {duration(attempt['retry_at'] - end.at)}"
            self._view.say(f"the notification that {what} has failed: {attempt.get('error')}; {again}")

    def leave(self, client: Client, worker: Foreground) -> None:
        """This process advances no run any more: who goes on with the notifications that are not over?"""
        if names := worker.untold():
            who = "a daemon goes on with it" if client.has_daemon() else f"go on with it: jobctl resume {names[0]}"
            self._lines += [f"not notified yet: {name}; {who}" for name in names]

    def tell(self) -> None:
        from jobctl.cli import printing

        for line in self._lines:
            printing.note(line)


def _is_past(moment: int | None) -> bool:
    return moment is not None and clock.monotonic() >= moment


def _view(settings: Settings, client: Client, hurried: Callable[[], bool]) -> View:
    if settings.json:
        from jobctl.cli.show.plain import JsonView

        return JsonView(settings, client, hurried)
    if settings.quiet or not _is_terminal():
        from jobctl.cli.show.plain import PlainView

        return PlainView(settings, client, hurried)
    from jobctl.cli.show.render import LiveView

    return LiveView(settings, client, hurried)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
