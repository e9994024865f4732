"""Which attempts' output is meant, and following it until the run ends. How it is shown is the faces'."""

from __future__ import annotations

import json

from jobctl.core.keys import UNDO, is_undo, item_index, item_key, step_name, undone_key
from jobctl.core.record import NamedTuple
from jobctl.views.run import logs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.core.run.history import RunState
    from jobctl.engines.base import Client, Reader
    from jobctl.engines.values import Run

ALIVE_EVERY_MS = 1_000  # whether the run's worker lives


class Output(NamedTuple):
    """One attempt's output."""

    key: str  # the step, or STEP!undo
    number: int
    over: bool  # the attempt has ended: nothing follows

    @property
    def name(self) -> str:
        """The step, as people are told of it."""
        return f"{undone_key(self.key)} (compensation)" if is_undo(self.key) else self.key


def names(client: Client, run: Run, state: RunState) -> list[str]:
    """Everything of a run that can have output: steps, items of them, compensations."""
    steps = json.loads(client.definition(run))["steps"]
    items = [item_key(step.name, index) for step in state.steps.values() for index in range(len(step.items or ()))]
    return [*(step["name"] for step in steps), *items, *(name + UNDO for name in state.undo)]


def _step_of_item(key: str) -> str | None:
    return step_name(key) if item_index(key) is not None and not is_undo(key) else None


class Wanted:
    """Which attempts were asked for."""

    def __init__(self, step: str | None, attempt: int | None) -> None:
        self._step = step
        self._attempt = attempt

    def all(self, client: Client, run: Run, state: RunState) -> list[Output]:
        """Every attempt of the step that was named, or of all, that has started so far, in that order."""
        found = [
            Output(log.key, log.number, attempt.finished_at is not None)
            for log, attempt in logs_of(client, run, state)
            if self._step in (None, log.key, _step_of_item(log.key)) and self._attempt in (None, log.number)
        ]
        if self._step is not None:
            found.sort(key=lambda log: item_index(log.key) or 0)
        return found

    def several(self, state: RunState) -> bool:
        """Whether what is wanted may be of more than one step or item."""
        named = state.steps.get(self._step) if self._step is not None else None
        return self._step is None or (named is not None and named.items is not None)

    def last(self, found: list[Output]) -> list[Output]:
        """The last one of each step."""
        newest = {log.key: log for log in found}
        return [log for log in found if newest[log.key] is log]


class Piece(NamedTuple):
    """Some of an attempt's output."""

    log: Output
    data: bytes
    first: bool  # of this attempt
    last: bool  # nothing follows


class Following:
    """A run's output until the run ends, that of attempts which start meanwhile too."""

    def __init__(self, client: Client, run: Run, state: RunState, wanted: Wanted) -> None:
        self._client = client
        self.run = run
        self._state = state
        self._wanted = wanted
        self._known = {(log.key, log.number) for log in wanted.all(client, run, state)}
        self._open: list[tuple[Output, Reader]] = []
        self._changes = -1
        self._look_at = -1
        self.nobody = ""  # why nothing will follow though the run is not over

    def begin(self, found: list[Output], tail: int | None) -> Iterator[Piece]:
        """With these."""
        for log in found:
            yield from self._begin(log, tail)

    def look(self, mono: int) -> Iterator[Piece]:
        """What is new; with the end of the run, or when nobody is at it, all that is left. `done` says so then."""
        if (changed := self._client.changes()) != self._changes:
            yield from self._learn()
            self._changes = changed
        came = False
        for log, reader in self._open:  # every one of them is read
            if data := reader.read():
                came = True
                yield Piece(log, data, False, False)
        if came:
            return
        if not self.run.over:
            if mono < self._look_at:
                return
            self._look_at = mono + ALIVE_EVERY_MS
            self.nobody = self._nobody_at_it()
        if self.done:
            for log, reader in self._open:
                yield from _rest(log, reader)
            self._open.clear()

    @property
    def done(self) -> bool:
        return self.run.over or bool(self.nobody)

    def _learn(self) -> Iterator[Piece]:
        """Take in what has happened: attempts that started or ended, the end of the run."""
        now = self._client.run(self.run)
        for event in self._client.events(now, after=self.run.seq):
            self._state.apply(event)
        self.run = now
        logs = self._wanted.all(self._client, now, self._state)
        over = {(log.key, log.number) for log in logs if log.over}
        # What an attempt wrote comes before what the next one of its step writes.
        for log, reader in self._open:
            if (log.key, log.number) in over:
                yield from _rest(log, reader)
        self._open = [one for one in self._open if (one[0].key, one[0].number) not in over]
        for log in logs:
            if (log.key, log.number) not in self._known:
                self._known.add((log.key, log.number))
                yield from self._begin(log, None)

    def _begin(self, log: Output, tail: int | None) -> Iterator[Piece]:
        reader = self._client.follow(self.run, log.key, log.number, tail=tail)
        yield Piece(log, b"", True, False)
        if log.over:
            yield from _rest(log, reader)
        else:
            self._open.append((log, reader))

    def _nobody_at_it(self) -> str:
        now = self._client.run(self.run)
        if now.seq != self.run.seq or now.status == "queued" or now.wake_at is not None or now.holder is not None:
            return ""
        what = "is interrupted" if now.interrupted else "is not taken up by any process"
        if now.status == "paused":
            what = "is paused, and no process has it"
        return f"{now.name} {what}; take it up again with: jobctl resume {now.name}"


def _rest(log: Output, reader: Reader) -> Iterator[Piece]:
    """All there is: nothing follows."""
    while True:
        data = reader.read()
        if data:
            yield Piece(log, data, False, False)
        if not data or reader.at_end:
            break
    yield Piece(log, b"", False, True)
