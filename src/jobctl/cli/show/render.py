"""A run on a terminal: its steps, redrawn in place, and what is printed above them (LiveView). The one file that knows
rich - and of it only how wide characters are, for the rest of it takes longer to import than a small run takes.

Nothing is set that would have to be set back: the cursor stays visible, no mode of the terminal is changed. So nothing
is left behind by a kill, a Ctrl-Z or a crash. What the frame says is `frame`'s, a plain function.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from jobctl.cli.printing import colored, paint
from jobctl.cli.show import items, summary
from jobctl.cli.show.feed import Feed, Kind, Outlet, single
from jobctl.cli.show.plain import BUSY_MS, complain, feed_of, find, tell
from jobctl.core.keys import UNDO, item_index, step_name
from jobctl.core.model import StepStatus, When
from jobctl.core.record import NamedTuple
from jobctl.core.run.decide import Mode
from jobctl.core.text import clean, duration, times
from jobctl.host import clock
from jobctl.process import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import RetryPolicy, Step
    from jobctl.core.run.history import Event, StepState
    from jobctl.engines.base import Client, Watched
    from jobctl.host.settings import Settings

REDRAW_MS = 100  # between two frames, at least
CLOCK_MS = 1_000  # between two frames that differ by the time they show
OUTPUT_LINES = 3  # of each running step
_OUTPUT_BYTES = 4 * 1024

_LONGEST_NAME = 30

# status -> glyph, the same for terminals that have no Unicode, style
_GLYPHS = {
    "running": ("●", "*", "cyan"),
    "waiting": ("◌", "~", "yellow"),
    "pending": ("·", ".", "dim"),
    "succeeded": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "timed_out": ("✗", "x", "red"),
    "canceled": ("■", "x", "yellow"),
    "skipped": ("–", "-", "dim"),
    "compensated": ("↩", "<", "yellow"),
}
_ASCII = str.maketrans({**{glyph: plain for glyph, plain, _ in _GLYPHS.values()}, "…": "~"})

# What is shown when there are more steps than rows, the most telling first; the others are counted.
_TELLING = ("running", "failed", "timed_out", "waiting", "compensated", "canceled")

_STOPPING = {"failed": "failing", "canceled": "canceling", "timed_out": "timed out, stopping", "terminated": "killing"}


class Segment(NamedTuple):
    text: str
    style: str = ""  # one of output.STYLES


Line = Sequence[Segment]


class LiveView:
    """The output of a job with `command`, and with --verbose that of all steps, is printed above the frame as it comes.

    A frame that cannot be drawn is the last one: the run goes on, and its summary comes.
    """

    wants_ticks = True
    tells_end = True

    def __init__(
        self,
        settings: Settings,
        client: Client,  # noqa: ARG002 - as every view is made
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._verbose = settings.verbose
        self._color = colored(settings.color, stream=sys.stderr)
        self._outlet = Outlet(sys.stderr, hurried)
        self._run: Watched | None = None
        self._feed: Feed | None = None
        self._outputs: dict[str, tuple[str, int, list[str]]] = {}  # by step, or STEP!undo: log, its size, last lines
        self._changed = True
        self._drawn_at = -CLOCK_MS
        self._drawn: list[int] = []  # the widths of the lines of the frame that stands there
        self._size = (0, 0)
        self._broken = False

    def begin(self, run: Watched) -> None:
        self._know(run)
        if self._feed is not None:
            find(self._feed, run)

    def _know(self, run: Watched) -> None:
        if self._run is None:
            self._run = run
            if single(run) or self._verbose:
                self._feed = feed_of(run)

    def recorded(self, run: Watched, events: list[Event]) -> None:
        self._know(run)
        self._changed = True
        if self._feed is not None:
            for event in events:
                tell(self._feed.of(run), run, event)

    def tick(self) -> None:
        now = clock.monotonic()
        if now - self._drawn_at < REDRAW_MS or not self._outlet.flush():
            return
        above = self._news(now + BUSY_MS)
        if self._look() or above or self._changed or now - self._drawn_at >= CLOCK_MS:
            self._draw(above)

    def say(self, text: str) -> None:
        self._draw(clean(text) + "\n")

    def end(self, run: Watched) -> None:
        """Raises as PlainView does."""
        self._outlet.flush(wait=True)
        self._size = _terminal_size()
        self._outlet.put_raw(self._erased())
        while above := self._news(clock.monotonic() + BUSY_MS):
            self._outlet.put_raw(above)
            if not self._outlet.flush(wait=True):
                break
        lines = summary.lines(run, now=clock.now(), streamed=self._feed is not None) if self.tells_end else ()
        for text, style in lines:
            self._outlet.put_raw(self._painted([Segment(clean(text), style)]) + "\n")
        self._outlet.flush(wait=True)
        complain(run, self._outlet)

    def _news(self, until: int) -> str:
        """What is to be printed above the frame, as much as can be had until then."""
        out = []
        while self._feed is not None and (piece := self._feed.next()) is not None:
            kind, text = piece
            remark = kind is Kind.REMARK
            out.append(paint(clean(text.rstrip("\n")), "dim", on=self._color) + "\n" if remark else clean(text))
            if clock.monotonic() >= until:
                break
        return "".join(out)

    def _look(self) -> bool:
        """Read the last lines of the logs that have grown. Whether the frame must change."""
        size = _terminal_size()
        changed = size != self._size
        self._size = size
        if self._run is None or self._feed is not None:
            return changed
        for key, number in self._run.running.items():
            path, known, _ = self._outputs.get(key, ("", 0, []))
            log = self._run.log_file(key, number)
            try:
                now = os.stat(log).st_size
                if path != log or now != known:
                    found = logs.last_lines(log, OUTPUT_LINES, _OUTPUT_BYTES)
                    self._outputs[key] = (log, now, [self._shown(line) for line in found])
                    changed = True
            except OSError:
                continue  # it has not written anything yet
        return changed

    def _shown(self, line: str) -> str:
        assert self._run is not None
        # A progress bar writes its line again and again: what it wrote last is what it wants to be seen.
        last = line.rstrip("\r").rpartition("\r")[2]
        return clean(self._run.mask(last)).expandtabs(4)

    def _draw(self, above: str = "") -> None:
        if self._run is None or self._broken:
            self._outlet.put_raw(above)
        else:
            lines: list[Line] = []
            try:
                outputs = {key: found for key, (_, _, found) in self._outputs.items() if key in self._run.running}
                columns, rows = self._size = _terminal_size()
                # One column stays free: a terminal wraps a line that fills it. One row is the cursor's.
                whole = frame(self._run, outputs, now=clock.now(), rows=rows - 1)
                lines = [fitted(line, columns - 1) for line in whole]
                text = self._erased() + above + "".join(self._painted(line) + "\n" for line in lines)
            except Exception as error:
                # A picture is not worth a run.
                self._broken = True
                text = f"{self._erased()}{above}the run cannot be shown ({type(error).__name__}); it goes on\n"
            self._outlet.put_raw(text)
            self._drawn = [sum(width(segment.text) for segment in line) for line in lines]
        self._drawn_at = clock.monotonic()
        self._changed = False
        self._outlet.flush()

    def _erased(self) -> str:
        """What takes the frame away that stands there."""
        columns, rows = self._size
        # In a window that was made narrower its lines have been wrapped.
        height = sum(max(1, -(-cells // max(columns, 1))) for cells in self._drawn)
        self._drawn = []
        up = min(height, max(rows - 1, 0))
        return f"\r\x1b[{up}A\x1b[J" if up else ""

    def _painted(self, line: Line) -> str:
        text = "".join(paint(text, style, on=self._color) if style else text for text, style in line)
        return text if self._outlet.unicode else text.translate(_ASCII)


def frame(run: Watched, outputs: Mapping[str, list[str]], *, now: int, rows: int) -> list[Line]:
    """The run in at most `rows` lines (at least one): a headline, its steps, and under those that run their output.

    When there are more steps than rows, what runs and what failed comes before the rest, which is counted. `outputs`:
    by step, or STEP!undo, the last lines of the attempt that runs, already harmless. Lines may be of any width.
    """
    if single(run):
        return [_headline(run, {}, now)]
    statuses = {step.name: _status(run, step.name) for step in run.job.steps}
    room = rows - 1
    names = list(statuses)
    if len(names) > room:
        order = {status: place for place, status in enumerate(_TELLING)}
        telling = sorted((name for name in names if statuses[name] in order), key=lambda name: order[statuses[name]])
        chosen = frozenset(telling[: max(room - 1, 0)])
        names = [name for name in names if name in chosen]
    shown = frozenset(names)
    rest = Counter(status for name, status in statuses.items() if name not in shown)
    spare = room - len(names) - bool(rest)
    running = sum(1 for name in names if statuses[name] == "running")
    of_each = min(OUTPUT_LINES, spare // running) if running else 0
    pad = min(max(map(len, names), default=0), _LONGEST_NAME)

    out: list[Line] = [_headline(run, statuses, now)]
    for name in names:
        glyph, _, style = _GLYPHS[statuses[name]]
        text = _step(run, run.step(name), statuses, now)
        dim = "dim" if statuses[name] in ("pending", "skipped") else ""
        out.append([Segment("  "), Segment(glyph, style), Segment(f" {name:<{pad}}", dim), Segment(f"  {text}", dim)])
        if statuses[name] == "running" and of_each:
            key = (run.decider.undoing or "") + UNDO if _undoing(run, name) else name
            out += [[Segment(f"      {line}", "dim")] for line in outputs.get(key, [])[-of_each:]]
    if rest and room > 0:
        counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in rest.items())
        out.append([Segment(f"    … and {rest.total()} more: {counts}", "dim")])
    return out


def fitted(line: Line, columns: int) -> Line:
    """The line cut to so many columns, the last of them … when something is missing."""
    from rich.cells import set_cell_size

    if sum(width(segment.text) for segment in line) <= columns:
        return line
    out: list[Segment] = []
    left = columns - 1
    for text, style in line:
        wide = width(text)
        out.append(Segment(text if wide <= left else set_cell_size(text, max(left, 0)), style))
        left -= wide
        if left <= 0:
            break
    return [*out, Segment("…" if columns > 0 else "")]


def width(text: str) -> int:
    """How many columns the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _terminal_size() -> tuple[int, int]:
    """Columns and rows; the usual ones where the terminal does not say."""
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns = rows = 0
    return columns or 80, rows or 24


def _status(run: Watched, name: str) -> str:
    if _undoing(run, name):
        undo = run.state.undo_of(run.decider.undoing or name)
        return "running" if undo.status is not StepStatus.WAITING else "waiting"
    step = run.state.steps.get(name)
    return str(step.status) if step is not None else "pending"


def _undoing(run: Watched, name: str) -> bool:
    return run.decider.undoing is not None and step_name(run.decider.undoing) == name


def _headline(run: Watched, statuses: Mapping[str, str], now: int) -> Line:
    started = run.state.try_started_at
    parts = [Segment(run.name, "bold"), Segment(f"  {_mode(run)}")]
    if started is not None:
        parts.append(Segment(f"  {duration(_seconds((run.state.finished_at or now) - started))}"))
    if single(run):
        state = run.state.step(run.job.steps[0].name)
        parts += [Segment(f"  {part}", "dim") for part in _going_on(state, run.job.steps[0].retry, now)]
    else:
        over = sum(1 for status in statuses.values() if status not in ("pending", "running", "waiting"))
        parts.append(Segment(f"  {over} of {len(statuses)} steps ended", "dim"))
    return parts


def _mode(run: Watched) -> str:
    outcome = str(run.decider.outcome) if run.decider.outcome is not None else ""
    mode = run.decider.mode
    if run.state.status == "paused":
        return f"paused (go on: jobctl resume {run.name})"
    if run.state.finished_at is not None:  # and something goes on here without it, or tells of it
        telling = ", notifying" if run.state.notifications else ""
        return f"{str(run.state.status).replace('_', ' ')}{telling}"
    if mode is Mode.STOPPING:
        return _STOPPING.get(outcome, "stopping")
    if mode is Mode.COMPENSATING:
        return f"{outcome.replace('_', ' ')}, compensating"
    if mode is Mode.CLEANUP:
        return f"{outcome.replace('_', ' ')}, cleaning up"
    return "running"


def _step(run: Watched, step: Step, statuses: Mapping[str, str], now: int) -> str:
    """What stands beside a step's name."""
    if _undoing(run, step.name):
        key = run.decider.undoing or step.name
        undo = run.state.undo_of(key)
        policy = step.compensate.retry if step.compensate is not None else step.retry
        which = "compensating" if item_index(key) is None else f"compensating {key}"
        return ", ".join([which, *_clock(undo, now), *_going_on(undo, policy, now)])
    state = run.state.steps.get(step.name)
    if state is None or state.status is StepStatus.PENDING:
        return _waits_for(run, step, statuses)
    fan = run.decider.fan_out(step.name)
    if fan is not None:
        counts = {"running": fan.active, "failed": len(fan.failed) + len(fan.timed_out)}
        return items.progress(fan.total, fan.done, counts)
    if state.waiting is not None and state.waits_for_child():
        return _child(run.children.get(step.name), state.waiting["name"])
    if state.status in (StepStatus.RUNNING, StepStatus.WAITING):
        return ", ".join([*_clock(state, now), *_going_on(state, step.retry, now)])
    text = ", ".join(_ended(run, step.name, state))
    return text + (f": {_one_line(state.error)}" if state.error else "")


def _child(child: Watched | None, name: str) -> str:
    """How far a child run has come; where it is not here, only which one it is."""
    if child is None:
        return f"child run {name}"
    statuses = [_status(child, step.name) for step in child.job.steps]
    over = sum(1 for status in statuses if status not in ("pending", "running", "waiting"))
    at = [step.name for step, status in zip(child.job.steps, statuses, strict=True) if status in ("running", "waiting")]
    steps = "" if single(child) else f", {over} of {len(statuses)} steps ended" + (f", {at[0]}" if at else "")
    return f"child run {name} {_mode(child)}{steps}"


def _clock(state: StepState, now: int) -> Iterator[str]:
    """How long the attempt has been running."""
    if state.status is StepStatus.RUNNING:
        yield duration(_seconds(now - state.attempts[-1].started_at))


def _going_on(state: StepState, policy: RetryPolicy, now: int) -> Iterator[str]:
    """Which attempt runs, or when the next one comes and why."""
    count = state.attempts_in_try
    of = f" of {policy.maximum_attempts}" if policy.maximum_attempts else ""
    if state.suspended:
        yield from _suspension(state, now)
    elif state.retry_at is not None:
        # Rounded up: it does not say 0s while there is still a moment to wait.
        left = duration(max(0, -(-(state.retry_at - now) // 1000) * 1000))
        yield f"attempt {count + 1}{of} in {left}: {_one_line(state.error or 'the last one failed')}"
    elif count > 1:
        yield f"attempt {count}{of}"


def _suspension(state: StepState, now: int) -> Iterator[str]:
    wait = state.waiting or {}
    what = f"suspended, waits for the signal {clean(wait['name'])}" if wait.get("kind") == "signal" else "suspended"
    if "until" in wait:
        what += f" for {duration(max(0, -(-(wait['until'] - now) // 1000) * 1000))}"
    yield what


def _ended(run: Watched, name: str, state: StepState) -> Iterator[str]:
    undo = run.state.undo.get(name)
    if undo is not None and undo.status in (StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.CANCELED):
        yield f"NOT COMPENSATED ({_one_line(undo.error or 'it was stopped')})"
    elif state.status is StepStatus.COMPENSATED:
        yield "compensated"
    if state.reused is not None:
        yield f"reused from {state.reused}"
    attempts = state.attempts[state.earlier :]
    if attempts and attempts[-1].finished_at is not None and state.started_at is not None:
        yield duration(attempts[-1].finished_at - state.started_at)
    if state.attempts_in_try > 1:
        yield f"{state.attempts_in_try} attempts"
    if state.suspensions:
        yield f"suspended {times(state.suspensions)}"
    if state.stops:
        yield f"stopped {times(state.stops)}"


def _waits_for(run: Watched, step: Step, statuses: Mapping[str, str]) -> str:
    if step.when is When.FAILURE:
        return "only if the run fails"
    if step.when is When.SUCCESS and run.decider.outcome is not None:
        return "will not start"
    needs = [need for need in step.needs if statuses[need] in ("pending", "running", "waiting")]
    if not needs:
        return ""
    return f"waits for {', '.join(needs[:3])}" + (f" and {len(needs) - 3} more" if len(needs) > 3 else "")


def _seconds(ms: int) -> int:
    """Whole seconds, for what counts up: tenths would only flicker."""
    return max(0, ms // 1000 * 1000)


def _one_line(text: str) -> str:
    return clean(" ".join(text.split()))
