"""What the daemon says of itself on stderr: sentences for people, or one JSON object a line."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from jobctl import clock, text


def _sentence(message: str, about: dict[str, object]) -> str:
    """What it concerns, what happened, and why: `run trip-64d73e: failed: step car: exit code 1`."""
    more = dict(about)
    subject = "".join(f"{key} {more.pop(key)}: " for key in ("run", "job") if key in more)
    reason = f": {more.pop('reason')}" if "reason" in more else ""
    rest = "".join(f", {key} {value}" for key, value in more.items())
    return f"{subject}{message}{reason}{rest}"


class Journal:
    def __init__(self, style: str = "text", stream: TextIO | None = None, *, quiet: bool = False) -> None:
        """`style`: text | json. `quiet`: troubles only."""
        self._quiet = quiet
        self._json = style == "json"
        self._stream = stream if stream is not None else sys.stderr
        self._last: dict[str, str] = {}
        self._since: dict[str, int] = {}

    def say(self, message: str, *, level: str = "info", **about: object) -> None:
        """One thing that happened. `about`: what it concerns (run, job, …)."""
        if self._quiet and level == "info":
            return
        now = clock.now()
        if self._json:
            line = json.dumps({"at": text.rfc3339(now), "level": level, "message": message, **about}, default=str)
        else:
            line = f"{text.local_time(now)} {'' if level == 'info' else level.upper() + ' '}{_sentence(message, about)}"
            line = text.clean(line).replace("\n", "\\n")  # a reason is somebody's text: it makes no lines of its own
        try:
            print(line, file=self._stream, flush=True)
        except OSError:
            pass  # nobody reads it; the work goes on

    def say_once(self, key: str, message: str, **about: object) -> None:
        """A trouble that stays: said when it begins and when its words change, not at every look. "" ends it."""
        if self._last.get(key, "") == message:
            return
        self._last[key] = message
        if not message:
            self._since.pop(key, None)
        else:
            self._since.setdefault(key, clock.now())
            self.say(message, level="error", **about)

    def know(self, key: str, message: str) -> None:
        """A trouble that was said already, in other words."""
        self._last[key] = message
        self._since[key] = clock.now()

    def troubles(self) -> list[tuple[str, int]]:
        """What stays and is nobody's in particular: (message, since when). What concerns one run (`KEY RUN`), or
        the definitions, is told where they are."""
        return [
            (self._last[key], since) for key, since in self._since.items() if " " not in key and key != "definitions"
        ]
