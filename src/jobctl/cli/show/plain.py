"""A run without a terminal: plain lines for people and CI logs (PlainView), one JSON object a line (JsonView).

The output of steps goes to stdout, `step | line` where a job has several; what becomes of the run and its steps, one
line per change, to stderr. Nothing here needs a width. A terminal's live view is render.py's.
"""

from __future__ import annotations

import sys

from jobctl.cli.printing import colored, paint
from jobctl.cli.show import summary
from jobctl.cli.show.feed import Feed, Kind, Outlet, single
from jobctl.core.keys import UNDO, is_undo, undone_key
from jobctl.core.run.history import Event, EventType
from jobctl.core.text import duration
from jobctl.host import clock
from jobctl.views import events as words
from jobctl.views.documents import event_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from jobctl.engines.base import Client, Watched
    from jobctl.host.settings import Settings

BUSY_MS = 50  # of showing output, between two turns of the engine

_STARTS = (EventType.ATTEMPT_STARTED, EventType.UNDO_STARTED)
_ENDS = (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED)


class PlainView:
    """`--quiet` leaves only our remarks, and the summary of a run that did not succeed."""

    def __init__(
        self,
        settings: Settings,
        client: Client,  # noqa: ARG002 - as every view is made
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._quiet = settings.quiet
        self._color = colored(settings.color, stream=sys.stderr)
        self._outlets = {Kind.OUTPUT: Outlet(sys.stdout, hurried), Kind.REMARK: Outlet(sys.stderr, hurried)}
        self._feed: Feed | None = None
        self.wants_ticks = not settings.quiet
        self.tells_end = True

    def begin(self, run: Watched) -> None:
        if not self._quiet:
            feed = self._feed_of(run)
            for one in (run, *_descendants(run)):
                find(feed.of(one), one)

    def recorded(self, run: Watched, events: list[Event]) -> None:
        if not self._quiet:
            feed = self._feed_of(run)
            for event in events:
                tell(feed.of(run), run, event)
            self.tick()

    def tick(self) -> None:
        until = clock.monotonic() + BUSY_MS
        while self._flushed() and clock.monotonic() < until:
            if not self._put_next():
                break

    def say(self, text: str) -> None:
        self._print(text)
        self._flushed()

    def end(self, run: Watched) -> None:
        """Of a run that is over, raises BrokenPipeError or JobctlError when its output could not be written."""
        while self._flushed(wait=True) and self._put_next():
            pass
        if self.tells_end and (not self._quiet or run.state.status != "succeeded"):
            for line in summary.lines(run, now=clock.now(), streamed=not self._quiet):
                self._print(line.text, line.style)
        self._flushed(wait=True)
        complain(run, self._outlets[Kind.OUTPUT])

    def _feed_of(self, run: Watched) -> Feed:
        if self._feed is None:
            self._feed = feed_of(run)
        return self._feed

    def _put_next(self) -> bool:
        piece = self._feed.next() if self._feed is not None else None
        if piece is None:
            return False
        self._outlets[piece[0]].put(piece[1])
        return True

    def _flushed(self, *, wait: bool = False) -> bool:
        # Also the second when the first is not done: they seldom go to the same reader.
        left = [outlet for outlet in self._outlets.values() if not outlet.flush(wait=wait)]
        return not left

    def _print(self, text: str, style: str = "") -> None:
        outlet = self._outlets[Kind.REMARK]
        text = outlet.cleaned(text)
        outlet.put_raw((paint(text, style, on=self._color) if style else text) + "\n")


class JsonView:
    """Every event as it is recorded, with the run's id; the last line is the run. Secrets are masked."""

    def __init__(
        self,
        settings: Settings,  # noqa: ARG002 - as every view is made
        client: Client,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._outlet = Outlet(sys.stdout, hurried)
        self._remarks = Outlet(sys.stderr, hurried)
        self.tells_end = True

    @property
    def wants_ticks(self) -> bool:
        return self._outlet.left or self._remarks.left

    def begin(self, run: Watched) -> None:
        pass

    def recorded(self, run: Watched, events: list[Event]) -> None:
        first = run.seq - len(events) + 1
        for number, event in enumerate(events, first):
            self._put(run, {"run": run.name, **event_document(event, number)})
        self.tick()

    def tick(self) -> None:
        self._outlet.flush()
        self._remarks.flush()

    def say(self, text: str) -> None:
        self._remarks.put(text + "\n")
        self._remarks.flush()

    def end(self, run: Watched) -> None:
        """Raises as PlainView does."""
        if not run.recorded:
            return
        from jobctl.views.documents import run_document
        from jobctl.views.run import detail

        self._put(run, run_document(detail(self._client, self._client.find(run.name), clock.now())))
        self._remarks.flush(wait=True)
        self._outlet.flush(wait=True)
        complain(run, self._outlet)

    def _put(self, run: Watched, document: dict[str, Any]) -> None:
        import json

        from jobctl.definitions.masking import masked

        # On a terminal, what json escapes by itself cannot steer it.
        text = json.dumps(masked(document, run.mask), separators=(",", ":"), ensure_ascii=self._outlet.terminal)
        self._outlet.put_raw(text + "\n")


def feed_of(run: Watched) -> Feed:
    """The feed of a run that has just come here."""
    feed = Feed(run)
    if run.recorded:
        began = any(step.attempts for step in run.state.steps.values())
        if began or run.state.ending is None:  # what is canceled before it has begun never starts
            feed.remark(f"{run.name} is taken up again" if began else f"{run.name} started")
    return feed


def find(feed: Feed, run: Watched) -> None:
    """Have the feed show attempts that another process has started and that run on here."""
    for key, number in run.running.items():
        if not feed.follows(key):
            feed.found(key, number)
            feed.remark(" > ".join([*run.trail, f"{_about(run, key)}attempt {number} runs on"]))


def _descendants(run: Watched) -> Iterator[Watched]:
    for child in run.children.values():
        yield child
        yield from _descendants(child)


def tell(feed: Feed, run: Watched, event: Event) -> None:
    """Have the feed show what an event of the run means for a person."""
    kind = event.type
    key = event.step + (UNDO if kind in (EventType.UNDO_STARTED, EventType.UNDO_ENDED) else "")
    if kind in (EventType.ATTEMPT_STARTED, EventType.UNDO_STARTED):
        feed.started(key, event.number)
    elif kind in (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED) and event.number:
        feed.ended(key, event.number)
    if text := remark(run, event, key):
        feed.remark(" > ".join([*run.trail, text]))


def remark(run: Watched, event: Event, key: str) -> str:
    """An event as a line: `step charge, attempt 1 failed: exit code 7; next attempt in 2s`. "" where others say it."""
    kind = event.type
    if kind is EventType.RUN_CREATED:
        return f"{run.name} started" if not run.trail else ""
    if kind is EventType.RUN_TAKEN or kind is EventType.RUN_ENDED or kind is EventType.CHILD_ENDED:
        return ""  # a child's beginning and end are its parent's step's
    if kind not in _STARTS and kind not in _ENDS:
        return _one_line(words.describe(event))
    more = "retry_at" in event.data or "wait" in event.data
    if single(run) and (not more if kind in _ENDS else event.number == 1):
        return ""  # what there is to say of its only step stands in the run's own lines
    step = run.step(key)
    policy = step.compensate.retry if is_undo(key) and step.compensate is not None else step.retry
    if policy.maximum_attempts == 1:  # it does not have to be said that it was the only one
        event = event._replace(data={name: value for name, value in event.data.items() if name != "why"})
    text = words.describe(event)
    if kind in _ENDS and "status" not in event.data:
        text += f" in {duration(event.at - _started_at(run, key, event))}"
    if event.number == 1 and not more:
        text = text.replace(", attempt 1", "", 1)
    return _one_line(text.replace("step main, ", "", 1) if single(run) else text)


def complain(run: Watched, outlet: Outlet) -> None:
    """Raise what kept the output of a run that is over from being written: its exit code must not say that all went
    well. A run that is not over has another error to tell."""
    if run.state.status is None or not run.state.status.final or not (outlet.error or outlet.left):
        return
    if isinstance(outlet.error, BrokenPipeError):
        raise outlet.error
    from jobctl.core.errors import JobctlError

    status = run.state.status.replace("_", " ")
    why = outlet.error.strerror if outlet.error is not None else "nobody has read it"
    raise JobctlError(
        f"{run.name} {status}, but its output could not be written: {why}",
        hint=f"it is kept: jobctl logs {run.name}",
    ) from outlet.error


def _started_at(run: Watched, key: str, event: Event) -> int:
    attempts = run.step_state(key).attempts
    return attempts[event.number - 1].started_at if event.number else event.at


def _about(run: Watched, key: str) -> str:
    if single(run):
        return ""
    return f"compensation of step {undone_key(key)}, " if is_undo(key) else f"step {key}, "


def _one_line(text: str) -> str:
    return " ".join(text.split())
