"""What the daemon says of itself on stderr: sentences for people, or one JSON object a line.

Whoever reads them is never waited for: what is not taken is kept, up to a limit, and said later; what comes beyond that
is left out, and counted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from jobctl.core import text
from jobctl.host.outflow import Outflow

if TYPE_CHECKING:
    from jobctl.host.host import Host

_PIECE = 1 << 16
KEPT = 1 << 20  # bytes of lines that nobody has taken yet


def _sentence(message: str, about: Mapping[str, object]) -> str:
    """What it concerns, what happened, and why: `run trip-64d73e: failed: step car: exit code 1`."""
    more = dict(about)
    subject = "".join(f"{key} {more.pop(key)}: " for key in ("run", "job") if key in more)
    reason = f": {more.pop('reason')}" if "reason" in more else ""
    rest = "".join(f", {key} {value}" for key, value in more.items())
    return f"{subject}{message}{reason}{rest}"


class Journal:
    def __init__(self, style: str = "text", stream: TextIO | None = None, *, host: Host, quiet: bool = False) -> None:
        """`style`: text | json. `quiet`: troubles only."""
        self._host = host
        self._quiet = quiet
        self._json = style == "json"
        self._stream = stream if stream is not None else sys.stderr
        self._last: dict[str, str] = {}
        self._since: dict[str, int] = {}
        self._left = bytearray()
        self._left_out = 0
        self._out: Outflow | None = None
        try:
            self._out = Outflow(self._stream.fileno())
        except (OSError, ValueError):
            pass  # closed, or an object in memory

    def say(self, message: str, *, level: str = "info", **about: object) -> None:
        """One thing that happened. `about`: what it concerns (run, job, …)."""
        if self._quiet and level == "info":
            return
        self.flush()
        self._put(self._line(message, level, about))

    def _line(self, message: str, level: str, about: Mapping[str, object]) -> str:
        now = self._host.now()
        if self._json:
            return json.dumps({"at": text.rfc3339(now), "level": level, "message": message, **about}, default=str)
        line = f"{text.local_time(now)} {'' if level == 'info' else level.upper() + ' '}{_sentence(message, about)}"
        return text.clean(line).replace("\n", "\\n")  # a reason is somebody's text: it makes no lines of its own

    def _put(self, line: str) -> None:
        if self._out is None:
            try:
                print(line, file=self._stream, flush=True)
            except OSError:
                pass  # nobody reads it; the work goes on
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        data = (line + "\n").encode(encoding, "backslashreplace")
        if self._left_out or len(self._left) + len(data) > KEPT:
            self._left_out += 1
            return
        self._left += data
        self.flush()

    @property
    def untold(self) -> bool:
        """Whether something is still to be said."""
        return bool(self._left or self._left_out)

    def flush(self, patience_ms: int = 0) -> None:
        """Write what is taken now; what is not within that patience is kept."""
        if self._out is None:
            return
        until = self._host.monotonic() + patience_ms
        try:
            while self._left:
                if taken := self._out.write(bytes(self._left[:_PIECE])):
                    del self._left[:taken]
                elif (left := until - self._host.monotonic()) > 0:
                    self._out.wait(left)
                else:
                    return
        except OSError:
            self._left.clear()  # nobody reads it; the work goes on
        if self._left_out:
            count, self._left_out = self._left_out, 0
            what = f"{count} {'line was' if count == 1 else 'lines were'} left out here: nobody had read for long"
            self._put(self._line(what, "error", {"left_out": count} if self._json else {}))

    def say_once(self, key: str, message: str, **about: object) -> None:
        """A trouble that stays: said when it begins and when its words change, not at every look. "" ends it."""
        if self._last.get(key, "") == message:
            return
        self._last[key] = message
        if not message:
            self._since.pop(key, None)
        else:
            self._since.setdefault(key, self._host.now())
            self.say(message, level="error", **about)

    def know(self, key: str, message: str) -> None:
        """A trouble that was said already, in other words."""
        self._last[key] = message
        self._since[key] = self._host.now()

    def troubles(self) -> list[tuple[str, int]]:
        """What stays and is nobody's in particular: (message, since when). What concerns one run (`KEY RUN`), or
        the definitions, is told where they are."""
        return [
            (self._last[key], since) for key, since in self._since.items() if " " not in key and key != "definitions"
        ]
