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

from jobctl.cli import printing
from jobctl.cli.client import client_of
from jobctl.cli.find_run import find
from jobctl.core.errors import NotFoundError, UsageError
from jobctl.core.keys import step_name
from jobctl.core.text import Cleaner, clean
from jobctl.host import clock
from jobctl.process.logs import CHUNK, LINE_LIMIT, LineBuffer
from jobctl.views.documents import Documents
from jobctl.views.log import Following, Output, Piece, Wanted, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobctl.core.run.history import RunState
    from jobctl.definitions.masking import Masker
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings

LOOK_EVERY_MS = 100  # for new output and, by one pragma, for new events

_CHILDREN = 5  # named, when a run has more


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
    with client_of(settings, asks=True) as client:
        found = find(settings, client, run, now=clock.now())
        state = client.state(found)
        known = names(client, found, state)
        if step is not None and step not in known:
            from jobctl.core.definition.suggest import did_you_mean

            raise NotFoundError(
                f"run {found.name} has no step {step!r}", hint=_items_known(step, state) or did_you_mean(step, known)
            )
        wanted = Wanted(step, attempt)
        logs = wanted.last(wanted.all(client, found, state))
        if attempt is not None and not logs and not (follow and not found.over):
            about = f"step {step}" if step else "no step"
            raise NotFoundError(
                f"{about} of run {found.name} has {'no' if step else 'an'} attempt {attempt}",
                hint=f"`jobctl status {found.name}` shows the attempts",
            )
        documents = Documents(client, printing.note)
        out = _Out(settings, None if raw else documents.masker(found), raw=raw)
        if follow:
            several = len(known) > 1 and wanted.several(state)
            run_now = _follow(Following(client, found, state, wanted), logs, tail, out, several=several)
            if settings.json:
                printing.print_json_line(documents.run(client.run(run_now), clock.now()))
            return 0
        _show(client, found, state, step, logs, tail, out)
    return 0


def _show(
    client: Client, run: Run, state: RunState, step: str | None, logs: list[Output], tail: int | None, out: _Out
) -> None:
    """What has been written so far."""
    children = [
        one.child["run"]
        for name, one in state.steps.items()
        if one.child is not None and step in (None, name, step_name(name))
    ]
    if children:
        printing.note(f"child {'run' if len(children) == 1 else 'runs'}: {_logs_of(children)}")
    elif not logs:
        printing.note(_nothing(run, state, step))
    if out.json:
        out.write(b"[")
    for log in logs:
        if len(logs) > 1 and not out.json:
            out.title(log)
        stream = out.json_items(log) if out.json else _Pieces(out)
        for chunk in client.log(run, log.key, log.number, tail=tail):
            stream.feed(chunk)
        stream.feed(b"", final=True)
    if out.json:
        out.write(b"\n]\n")


def _follow(following: Following, logs: list[Output], tail: int | None, out: _Out, *, several: bool) -> Run:
    """What is written until the run is over, or nobody is at it: then it is said. The run as it is then."""
    shown = _Followed(out, prefixed=several and not out.raw)
    shown.show(following.begin(logs, tail))
    while True:
        came = shown.show(following.look(clock.monotonic()))
        if following.done:
            break
        if not came:
            time.sleep(LOOK_EVERY_MS / 1000)
    if following.nobody:
        printing.note(following.nobody)
    return following.run


class _Followed:
    """The output of several attempts, as it comes."""

    def __init__(self, out: _Out, *, prefixed: bool) -> None:
        self._out = out
        self._prefixed = prefixed
        self._titled: set[str] = set()  # steps that some output was shown of
        self._streams: dict[tuple[str, int], _Lines | _Pieces] = {}

    def show(self, pieces: Iterable[Piece]) -> bool:
        """Whether there was any output among them."""
        came = False
        for log, data, first, last in pieces:
            place = log.key, log.number
            if first:
                self._streams[place] = self._stream(log)
            if data:
                came = True
                self._streams[place].feed(data)
            if last:
                self._streams.pop(place).feed(b"", final=True)
        return came

    def _stream(self, log: Output) -> _Lines | _Pieces:
        if self._out.json:
            return self._out.json_lines(log)
        # Prefixed lines say whose they are; only that a step is tried again has to be said.
        if log.key in self._titled if self._prefixed else self._titled:
            self._out.title(log)
        self._titled.add(log.key)
        return self._out.prefixed(log) if self._prefixed else _Pieces(self._out)


def _nothing(run: Run, state: RunState, step: str | None) -> str:
    done = state.steps.get(step) if step is not None else None
    if done is not None and done.reused is not None:
        command = f"jobctl logs {done.reused} {shlex.quote(done.name)}"
        return f"step {step} was not run: its results are those of {done.reused}: {command}"
    return f"{f'step {step}' if step else f'run {run.name}'} has written nothing yet"


def _logs_of(children: list[str]) -> str:
    """How the output of child runs is seen."""
    more = f" and {len(children) - _CHILDREN} more" if len(children) > _CHILDREN else ""
    return ", ".join(f"jobctl logs {name}" for name in children[:_CHILDREN]) + more


def _items_known(key: str, state: RunState) -> str:
    """What there is instead of an item that there is not."""
    step = state.steps.get(key.partition("[")[0])
    if step is None or step.items is None:
        return ""
    count = len(step.items)
    return f"step {step.name} has the items {step.name}[0] to {step.name}[{count - 1}]" if count else ""


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

    def title(self, log: Output) -> None:
        """A line that says whose output follows. The bytes of --raw stay alone: then it goes to stderr."""
        title = f"== {log.name}, attempt {log.number} =="
        if self.raw:
            printing.note(title)
        else:
            self.write((b"\n" if self._line_open else b"") + f"{title}\n".encode())

    def masked(self, data: bytes) -> bytes:
        return self.masker.data(data) if self.masker is not None else data

    def prefixed(self, log: Output) -> _Lines:
        """Each line behind the name of its step."""

        def emit(line: bytes) -> None:
            line = self.masked(line)
            shown = clean(line).encode("utf-8", "backslashreplace") if self.terminal else line
            self.write(f"{log.name} | ".encode() + shown + b"\n")

        return _Lines(self, emit)

    def json_lines(self, log: Output) -> _Lines:
        """Each line as a document of its own."""
        return _Lines(self, lambda line: self.write(self._document(log, line) + b"\n"))

    def json_items(self, log: Output) -> _Lines:
        """Each line as an item of one list, which may be longer than memory."""

        def emit(line: bytes) -> None:
            self.write((b",\n" if self._items else b"\n") + self._document(log, line))
            self._items += 1

        return _Lines(self, emit)

    def _document(self, log: Output, line: bytes) -> bytes:
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
