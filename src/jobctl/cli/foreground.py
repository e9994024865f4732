"""A run advanced by this very process: signals, a view of it, its end as an exit code. The views: plain.py, render.py.

`run` and `resume` come here, and `cancel` and `terminate` of a run that no living executor has.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from jobctl.cli import signals
from jobctl.cli.signals import Signals
from jobctl.core.errors import JobctlError
from jobctl.core.run.history import Event, EventType
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.loop import LiveRun, LocalEngine
from jobctl.host import clock
from jobctl.store.store import LOOP_PATIENCE_MS, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from jobctl.core.model import Queue
    from jobctl.host.settings import Settings
    from jobctl.process.keepers import Link

TICK_MS = 100


class View(Protocol):
    """What a person, a log file or a program sees of a run that goes on here."""

    @property
    def wants_ticks(self) -> bool:
        """Whether `tick` shows something by itself: output as it comes, a clock."""

    def begin(self, run: LiveRun) -> None:
        """Before the first turn, and before anything of the run is recorded."""

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        """Events were appended to the run's history; `run.state` has them already."""

    def tick(self) -> None:
        """Called some ten times a second while the run goes on."""

    def say(self, text: str) -> None:
        """A remark of ours that must be seen now, beside whatever the view shows."""

    def end(self, run: LiveRun) -> None:
        """The run is over, or this process is about to stop advancing it. The terminal is as it was before."""


def drive(
    settings: Settings,
    store: Store,
    begin: Callable[[LocalEngine], LiveRun],
    *,
    queues: Mapping[str, Queue] | None = None,
    keeper: Link | None = None,
    asked: Signals | None = None,
) -> int:
    """Advance one run until it ends; its exit code. `begin` submits or takes it with the engine it is given. `keeper`
    was forked before the store was opened.

    `queues` limit how many attempts of theirs run at once, here and elsewhere. The first SIGINT, SIGTERM or SIGHUP
    cancels the run gracefully, a second one kills. `asked`: those that came since something of the run was recorded.
    """
    if asked is None:
        with Signals(store) as asked:
            return drive(settings, store, begin, queues=queues, keeper=keeper, asked=asked)
    executor = Executor(store.state_dir, "foreground")
    view = _view(settings, store, lambda: asked.came)
    audience = _Audience(view, settings)
    engine = LocalEngine(store, executor, observer=audience, keeper=keeper)
    engine.queues = queues or {}
    engine.remark = view.say
    audience.rescued = engine.rescued
    asked.wake(executor.wake_fd)
    hurried = closed = False

    def close() -> None:
        nonlocal closed
        if not closed:
            closed = True
            asked.sleep()
            engine.close()
            store.be_patient()

    try:
        run = begin(engine)
        view.begin(run)
        troubled = ""
        give_up_at: int | None = None  # monotonic: asked to end, and the store does not take it
        try:
            left: str | None = None  # what is said of child runs that go on here without the run; "": nothing
            while engine.busy:
                if run.new is None and run.state.finished_at is not None and engine.runs:
                    if _goes_on(store, engine):
                        break
                    if left is None:
                        left = _left(engine, run)
                        if left:
                            view.say(left)
                if run.new is None and not hurried:  # it is recorded: from here on there are timeouts to be kept
                    store.be_patient(LOOP_PATIENCE_MS)
                    hurried = True
                engine.turn(TICK_MS if view.wants_ticks else None)
                if run.new is not None and engine.trouble is not None:
                    raise engine.trouble  # nothing of it is recorded, nothing of it runs: nothing is lost
                numbers = asked.take()
                if left is not None and numbers:
                    break
                for count, number in enumerate(numbers, asked.count - len(numbers) + 1):
                    _ask(engine, run, view, number, count)
                if engine.trouble is None:
                    give_up_at = None
                elif asked.count and give_up_at is None:
                    give_up_at = clock.monotonic() + run.job.kill_grace
                if engine.trouble is not None and (asked.count > 1 or _is_past(give_up_at)):
                    raise engine.trouble  # the end cannot be recorded; what runs goes on, for `resume`
                trouble = str(engine.trouble or "")  # after each try another object, mostly about the same
                if trouble != troubled:
                    troubled = trouble
                    view.say(f"{trouble}; trying again" if trouble else "the state store can be written again")
                view.tick()
            audience.leave(store, engine)
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


def _end(view: View, run: LiveRun, asked: Signals) -> int:
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
        self._run: int | None = None  # the first that is heard of
        self.rescued: Collection[int] = ()  # runs of others, of which only the end is told
        self._lines: list[str] = []

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        if self._run is None:
            self._run = run.id
        about = run.state.about
        if run.id in self.rescued:
            return
        if about is None or run.id == self._run:
            self._view.recorded(run, events)
            return
        from jobctl.core.run.notices import sentence

        what, end = sentence(about), events[-1]
        if end.type is EventType.RUN_ENDED and end.data["status"] == "succeeded":
            if not self._quiet:
                self._lines.append(f"notified: {what} ({run.name})")
        elif end.type is EventType.RUN_ENDED:
            why = f": {end.data['reason']}" if "reason" in end.data else ""
            self._lines.append(f"NOT NOTIFIED: {what}{why}; logs: jobctl logs {run.name}")
        elif "retry_at" in end.data:
            from jobctl.core.text import duration

            again = f"next attempt in {duration(end.data['retry_at'] - end.at)}"
            self._view.say(f"the notification that {what} has failed: {end.data.get('error')}; {again}")

    def leave(self, store: Store, engine: LocalEngine) -> None:
        """This process advances no run any more: who goes on with the notifications that are not over?"""
        names = [run.name for run in engine.runs.values() if run.state.about is not None and run.id != self._run]
        if names:
            from jobctl.engines.local.daemons import daemons

            who = "a daemon goes on with it" if daemons(store) else f"go on with it: jobctl resume {names[0]}"
            self._lines += [f"not notified yet: {name}; {who}" for name in names]

    def tell(self) -> None:
        from jobctl.cli import printing as output

        for line in self._lines:
            output.note(line)


def _goes_on(store: Store, engine: LocalEngine) -> bool:
    """Whether what is left here when the run is over goes on without this process: child runs that were left alone, and
    notifications that wait for their next attempt, when a daemon has them from here on. What was only taken up for its
    place is left as it was."""
    if engine.runs.keys() <= engine.rescued:
        return True
    notices = [run for run in engine.runs.values() if run.state.about is not None]
    if not all(any(step.retry_at is not None for step in run.state.steps.values()) for run in notices):
        return False
    if not notices and all(run.decider.outcome is not None for run in engine.runs.values()):
        return False  # they are about to end
    from jobctl.engines.local.daemons import daemons

    return bool(daemons(store))


def _left(engine: LocalEngine, run: LiveRun) -> str:
    """What is to be said of child runs that go on when the run is over and no daemon has them: they were left alone."""
    alone = [
        child
        for child in engine.runs.values()
        if child.decider.outcome is None and child.state.about is None and child.id not in engine.rescued
    ]
    if not alone:
        return ""
    names = ", ".join(child.name for child in alone[:3]) + (" …" if len(alone) > 3 else "")
    return f"{run.name} is over, and without it go on: {names}; Ctrl-C leaves them to: jobctl resume {alone[0].name}"


def _is_past(moment: int | None) -> bool:
    return moment is not None and clock.monotonic() >= moment


def _view(settings: Settings, store: Store, hurried: Callable[[], bool]) -> View:
    if settings.json:
        from jobctl.cli.show.plain import JsonView

        return JsonView(settings, store, hurried)
    if settings.quiet or not _is_terminal():
        from jobctl.cli.show.plain import PlainView

        return PlainView(settings, store, hurried)
    from jobctl.cli.show.render import LiveView

    return LiveView(settings, store, hurried)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _ask(engine: LocalEngine, run: LiveRun, view: View, number: int, count: int) -> None:
    name = signals.name(number)
    if count == 1:
        view.say(f"{name}: canceling {run.name}; once more to stop waiting and kill")
        engine.request(run, EventType.CANCEL_REQUESTED, reason=f"canceled by {name}", by=user())
    else:
        view.say(f"{name} again: killing {run.name}")
        engine.request(run, EventType.TERMINATE_REQUESTED, reason=f"killed by a second {name}", by=user())


def user() -> str:
    """Who asks, for the history."""
    name = os.environ.get("LOGNAME") or os.environ.get("USER")
    if name:
        return name
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def way_on(run_name: str, status: str) -> str:
    """How a run that did not succeed is taken up again: the last line of its summary."""
    return "" if status == "succeeded" else f"take it up again with: jobctl resume {run_name}"
