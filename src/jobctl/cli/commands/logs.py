"""`jobctl logs RUN [STEP]`: what attempts have written. Reading a log of any size is process/logs.py's.

Without --attempt the last attempt of each step is meant, compensations included (as STEP!undo); of a `foreach` step
that of each of its items, which is STEP[3] for itself. --tail counts in each log for itself. --raw gives the bytes and
nothing else; without it secrets are masked as far as they are known here, and on a terminal control sequences are
spelled out. --json: {"step", "attempt", "line"} for every line, one list of them, or with --follow one a line and the
run as the last.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import TYPE_CHECKING

from jobctl.cli import printing as output
from jobctl.cli.commands.status import find
from jobctl.cli.opened import store_of
from jobctl.cli.secrets import hidden, masker_of
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.core.keys import UNDO, is_undo, item_index, item_key, step_name, undone_key
from jobctl.core.text import Cleaner, clean
from jobctl.engines.run_files import attempt_files
from jobctl.host import clock
from jobctl.process import logs
from jobctl.process.logs import CHUNK, LINE_LIMIT, Follower, LineBuffer, tail_offset
from jobctl.store.store import Store
from jobctl.views import views

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.core.run.history import RunState
    from jobctl.core.run.rows import RunRow
    from jobctl.definitions.masking import Masker
    from jobctl.host.settings import Settings

LOOK_EVERY_MS = 100  # for new output and, by one pragma, for new events
ALIVE_EVERY_MS = 1_000  # whether the run's executor lives

_CHILDREN = 5  # named, when a run has more


class Log:
    """One attempt's log."""

    __slots__ = ("key", "number", "over", "path")

    def __init__(self, key: str, number: int, path: str, *, over: bool) -> None:
        self.key = key  # the step, or STEP!undo
        self.number = number
        self.path = path
        self.over = over  # the attempt has ended: nothing follows

    @property
    def name(self) -> str:
        """The step, as people are told of it."""
        return f"{undone_key(self.key)} (compensation)" if is_undo(self.key) else self.key


def main(
    settings: Settings,
    *,
    run: str,
    step: str | None,
    follow: bool,
    attempt: int | None,
    tail: int | None,
    raw: bool,
) -> int:
    """0, whatever the run's status. NotFoundError for a run, step or attempt that there is not."""
    if raw and settings.json:
        raise UsageError("--raw is bytes and --json is text", hint="leave one of them out")
    if tail is not None and tail < 0:
        raise UsageError("--tail is below 0", hint="give a number of lines: --tail 20")
    with store_of(settings, asks=True) as store:
        row = find(settings, store, run, now=clock.now())
        state = store.state(row)
        names = _names(store, row, state)
        if step is not None and step not in names:
            from jobctl.core.definition.suggest import did_you_mean

            raise NotFoundError(
                f"run {row.name} has no step {step!r}", hint=_items_known(step, state) or did_you_mean(step, names)
            )
        wanted = _Wanted(step, attempt)
        found = wanted.last(wanted.all(store, row, state))
        if attempt is not None and not found and not (follow and row.finished_at is None):
            about = f"step {step}" if step else "no step"
            raise NotFoundError(
                f"{about} of run {row.name} has {'no' if step else 'an'} attempt {attempt}",
                hint=f"`jobctl status {row.name}` shows the attempts",
            )
        out = _Out(settings, None if raw else masker_of(store, row), raw=raw)
        if follow:
            several = len(names) > 1 and wanted.several(state)
            _Following(store, row, state, wanted, out, several=several).run(found, tail)
            if settings.json:
                row = views.current(store, store.run(row.id))
                output.print_json_line(hidden(store, row, views.run_document(store, row)))
            return 0
        children = [
            one.child["run"]
            for name, one in state.steps.items()
            if one.child is not None and step in (None, name, step_name(name))
        ]
        if children:
            output.note(f"child {'run' if len(children) == 1 else 'runs'}: {_logs_of(children)}")
        elif not found:
            output.note(_nothing(row, state, step))
        if settings.json:
            out.write(b"[")
        for log in found:
            if len(found) > 1 and not settings.json:
                out.title(log)
            stream = out.json_items(log) if settings.json else _Pieces(out)
            for chunk in logs.read(log.path) if tail is None else logs.tail(log.path, tail):
                stream.feed(chunk)
            stream.feed(b"", final=True)
        if settings.json:
            out.write(b"\n]\n")
    return 0


def _nothing(row: RunRow, state: RunState, step: str | None) -> str:
    done = state.steps.get(step) if step is not None else None
    if done is not None and done.reused is not None:
        command = f"jobctl logs {done.reused} {shlex.quote(done.name)}"
        return f"step {step} was not run: its results are those of {done.reused}: {command}"
    return f"{f'step {step}' if step else f'run {row.name}'} has written nothing yet"


def _logs_of(children: list[str]) -> str:
    """How the output of child runs is seen."""
    more = f" and {len(children) - _CHILDREN} more" if len(children) > _CHILDREN else ""
    return ", ".join(f"jobctl logs {name}" for name in children[:_CHILDREN]) + more


def _names(store: Store, row: RunRow, state: RunState) -> list[str]:
    steps = json.loads(store.definition(row.definition))["steps"]
    items = [item_key(step.name, index) for step in state.steps.values() for index in range(len(step.items or ()))]
    return [*(step["name"] for step in steps), *items, *(name + UNDO for name in state.undo)]


def _items_known(key: str, state: RunState) -> str:
    """What there is instead of an item that there is not."""
    step = state.steps.get(key.partition("[")[0])
    if step is None or step.items is None:
        return ""
    count = len(step.items)
    return f"step {step.name} has the items {step.name}[0] to {step.name}[{count - 1}]" if count else ""


def _step_of_item(key: str) -> str | None:
    return step_name(key) if item_index(key) is not None and not is_undo(key) else None


class _Wanted:
    """Which attempts were asked for."""

    def __init__(self, step: str | None, attempt: int | None) -> None:
        self._step = step
        self._attempt = attempt

    def all(self, store: Store, row: RunRow, state: RunState) -> list[Log]:
        """Every attempt of the step that was named, or of all, that has started so far, in that order."""
        found = [
            Log(key, number, files.log, over=attempt.finished_at is not None)
            for key, number, attempt, files in attempt_files(store.state_dir, row.name, state)
            if self._step in (None, key, _step_of_item(key)) and self._attempt in (None, number)
        ]
        if self._step is not None:
            found.sort(key=lambda log: item_index(log.key) or 0)
        return found

    def several(self, state: RunState) -> bool:
        """Whether what is wanted may be of more than one step or item."""
        named = state.steps.get(self._step) if self._step is not None else None
        return self._step is None or (named is not None and named.items is not None)

    def last(self, found: list[Log]) -> list[Log]:
        """The last one of each step."""
        newest = {log.key: log for log in found}
        return [log for log in found if newest[log.key] is log]


class _Out:
    """stdout for output of attempts: what all of it has in common."""

    def __init__(self, settings: Settings, masker: Masker | None, *, raw: bool) -> None:
        self.json = settings.json
        self.raw = raw
        self.terminal = sys.stdout.isatty() and not raw
        self.masker = masker
        self._line_open = False
        self._items = 0
        self._encode = json.JSONEncoder(ensure_ascii=self.terminal).encode
        sys.stdout.flush()

    def write(self, data: bytes) -> None:
        if data:
            sys.stdout.buffer.write(data)
            self._line_open = not data.endswith(b"\n")

    def flush(self) -> None:
        sys.stdout.buffer.flush()

    def title(self, log: Log) -> None:
        """A line that says whose output follows. The bytes of --raw stay alone: then it goes to stderr."""
        title = f"== {log.name}, attempt {log.number} =="
        if self.raw:
            output.note(title)
        else:
            self.write((b"\n" if self._line_open else b"") + f"{title}\n".encode())

    def masked(self, data: bytes) -> bytes:
        return self.masker.data(data) if self.masker is not None else data

    def prefixed(self, log: Log) -> _Lines:
        """Each line behind the name of its step."""

        def emit(line: bytes) -> None:
            line = self.masked(line)
            shown = clean(line).encode("utf-8", "backslashreplace") if self.terminal else line
            self.write(f"{log.name} | ".encode() + shown + b"\n")

        return _Lines(self, emit)

    def json_lines(self, log: Log) -> _Lines:
        """Each line as a document of its own."""
        return _Lines(self, lambda line: self.write(self._document(log, line) + b"\n"))

    def json_items(self, log: Log) -> _Lines:
        """Each line as an item of one list, which may be longer than memory."""

        def emit(line: bytes) -> None:
            self.write((b",\n" if self._items else b"\n") + self._document(log, line))
            self._items += 1

        return _Lines(self, emit)

    def _document(self, log: Log, line: bytes) -> bytes:
        text = self.masked(line).decode("utf-8", "backslashreplace")
        document = {"step": log.key, "attempt": log.number, "line": text}
        return self._encode(document).encode()


class _Lines:
    """One attempt's output, line by line. A line of more than 64 KiB counts as several."""

    def __init__(self, out: _Out, emit: Callable[[bytes], None]) -> None:
        self._out = out
        self._emit = emit
        self._buffer = LineBuffer()

    def feed(self, data: bytes, *, final: bool = False) -> None:
        for line in self._buffer.feed(data):
            self._emit(line)
        if final:
            for line in self._buffer.flush():
                self._emit(line)
        self._out.flush()


class _Pieces:
    """One attempt's output as it comes; where secrets have to be found in it, in whole lines."""

    def __init__(self, out: _Out) -> None:
        self._out = out
        self._cleaner = Cleaner() if out.terminal else None
        self._rest = b""

    def feed(self, data: bytes, *, final: bool = False) -> None:
        if self._out.masker is not None:
            data = self._rest + data
            # A line without an end is not held for ever.
            cut = len(data) if final or len(data) > CHUNK + LINE_LIMIT else data.rfind(b"\n") + 1
            data, self._rest = self._out.masked(data[:cut]), data[cut:]
        if self._cleaner is not None:
            data = self._cleaner.feed(data, final=final).encode("utf-8", "backslashreplace")
        self._out.write(data)
        self._out.flush()


class _Followed:
    """A log that is read as it grows."""

    def __init__(self, log: Log, start: int, stream: _Lines | _Pieces) -> None:
        self.log = log
        self._stream = stream
        self._follower = Follower(log.path, start)

    def read(self) -> bool:
        """Pass on what is new. False when there was nothing."""
        data = self._follower.read()
        if data:
            self._stream.feed(data)
        return bool(data)

    def finish(self) -> None:
        """Pass on all there is: nothing follows."""
        while self.read() and not self._follower.at_end:
            pass
        self._stream.feed(b"", final=True)


class _Following:
    """A run's output until the run ends, that of attempts which start meanwhile too."""

    def __init__(
        self, store: Store, row: RunRow, state: RunState, wanted: _Wanted, out: _Out, *, several: bool
    ) -> None:
        self._store = store
        self._row = row
        self._state = state
        self._wanted = wanted
        self._out = out
        self._prefixed = several and not out.raw
        self._known = {(log.key, log.number) for log in wanted.all(store, row, state)}
        self._titled: set[str] = set()  # steps that some output was shown of
        self._open: list[_Followed] = []

    def run(self, found: list[Log], tail: int | None) -> None:
        """Until the run is over, or nobody is at it: then it says so."""
        for log in found:
            self._begin(log, tail_offset(log.path, tail) if tail is not None else 0)
        changes = look_at_alive = -1
        while True:
            changed = self._store.changes()
            if changed != changes:
                self._learn()
                changes = changed
            if sum(followed.read() for followed in self._open):  # every one of them is read
                continue
            if self._row.finished_at is not None:
                break
            if (mono := clock.monotonic()) >= look_at_alive:
                look_at_alive = mono + ALIVE_EVERY_MS
                if reason := self._nobody_at_it():
                    self._finish_all()
                    output.note(reason)
                    return
            time.sleep(LOOK_EVERY_MS / 1000)
        self._finish_all()

    def _learn(self) -> None:
        """Take in what has happened: attempts that started or ended, the end of the run."""
        row = self._store.run(self._row.id)
        for event in self._store.events(row.id, after=self._row.seq, upto=row.seq):
            self._state.apply(event)
        self._row = row
        logs = self._wanted.all(self._store, row, self._state)
        over = {(log.key, log.number) for log in logs if log.over}
        # What an attempt wrote comes before what the next one of its step writes.
        for followed in self._open:
            if (followed.log.key, followed.log.number) in over:
                followed.finish()
        self._open = [f for f in self._open if (f.log.key, f.log.number) not in over]
        for log in logs:
            if (log.key, log.number) not in self._known:
                self._known.add((log.key, log.number))
                self._begin(log, 0)

    def _begin(self, log: Log, start: int) -> None:
        stream: _Lines | _Pieces
        if self._out.json:
            stream = self._out.json_lines(log)
        else:
            # Prefixed lines say whose they are; only that a step is tried again has to be said.
            if log.key in self._titled if self._prefixed else self._titled:
                self._out.title(log)
            stream = self._out.prefixed(log) if self._prefixed else _Pieces(self._out)
        self._titled.add(log.key)
        followed = _Followed(log, start, stream)
        if log.over:
            followed.finish()
        else:
            self._open.append(followed)

    def _nobody_at_it(self) -> str:
        """Why nothing will follow though the run is not over; "" where something may."""
        seen = views.look(self._store, self._row)
        row = seen.row
        if row.seq != self._row.seq or row.status == "queued" or row.wake_at is not None:
            return ""
        if seen.holder is not None:
            return ""
        what = "is interrupted" if views.is_interrupted(*seen) else "is not taken up by any process"
        if row.status == "paused":
            what = "is paused, and no process has it"
        return f"{row.name} {what}; take it up again with: jobctl resume {row.name}"

    def _finish_all(self) -> None:
        for followed in self._open:
            followed.finish()
