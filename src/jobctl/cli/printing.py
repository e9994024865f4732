"""How results reach stdout: JSON documents, plain tables, colour. What is in them is the commands' business; the live
view of a terminal is cli/show/render.py's."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TextIO

TALK_MS = 3_000  # that a reader of stderr may take

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def print_json(document: Any) -> None:
    """One JSON document, indented. On a terminal all but ASCII is escaped: nothing in it can steer the terminal."""
    import json

    print(json.dumps(document, indent=2, ensure_ascii=sys.stdout.isatty()))


def print_json_line(document: Any) -> None:
    """One JSON document as one line, at once: for output that goes on."""
    import json

    print(json.dumps(document, separators=(",", ":"), ensure_ascii=sys.stdout.isatty()), flush=True)


def say(text: str) -> None:
    """A line of result, user's text and all: on a terminal without its control sequences."""
    print(safe(text))


def note(text: str) -> None:
    """A line of talk: to stderr. Whoever reads that and has stopped to does not hold up what is talked of."""
    talk(safe(text, sys.stderr))


def talk(text: str) -> None:
    """A line to stderr, as it is; left out when nobody takes it for some seconds. OSError as for any output."""
    try:
        sys.stderr.flush()
        fd = sys.stderr.fileno()
    except ValueError:  # an object in memory
        print(text, file=sys.stderr, flush=True)
        return
    from jobctl.host.outflow import put

    encoding = sys.stderr.encoding or "utf-8"
    put(fd, (text + "\n").encode(encoding, sys.stderr.errors or "backslashreplace"), TALK_MS)


def safe(text: str, stream: TextIO | None = None) -> str:
    """User's text as it may stand in output: where that is a terminal, control characters are spelled out."""
    if not (stream or sys.stdout).isatty():
        return text
    from jobctl.core.text import clean

    return clean(text)


def colored(color: str, *, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether that stream (default: stdout) gets colour. `color` is what --color said: auto, always or never."""
    if color != "auto":
        return color == "always"
    return (stream or sys.stdout).isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(text: str, *styles: str, on: bool) -> str:
    """The text in these styles (keys of STYLES) when `on`. The text must have been through `safe`."""
    if not on or not text:
        return text
    return f"\x1b[{';'.join(STYLES[style] for style in styles)}m{text}\x1b[0m"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, color: bool = False) -> str:
    """Columns with two spaces between them, as wide as their text and never cut. No rows: no text."""
    if not rows:
        return ""
    cells = [list(header), *([" ".join(safe(cell).split("\n")) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([paint(lines[0], "bold", on=color), *lines[1:]])


def paged(lines: Sequence[str], *, ask: bool = True, environ: Mapping[str, str] = os.environ) -> None:
    """Print lines; where they are more than the terminal shows, in the user's pager ($PAGER, else less).

    Not when stdout is no terminal, nobody may be asked (`ask`: not --no-input), or PAGER is empty or `cat`.
    """
    text = "\n".join(lines)
    command = environ.get("PAGER", "less")
    try:
        long = sys.stdout.isatty() and text.count("\n") + 2 > os.get_terminal_size(sys.stdout.fileno()).lines
    except OSError:
        long = False
    if long and ask and command not in ("", "cat"):
        import shlex
        import subprocess

        # -F: short texts are just printed; -R: colours; -X: the text stays when it is left.
        from jobctl.cli.signals import left_to_another

        try:
            with left_to_another():
                subprocess.run(
                    shlex.split(command), input=text + "\n", text=True, env={"LESS": "FRX", **environ}, check=False
                )
            return
        except (OSError, ValueError):
            pass  # there is no such pager
    print(text)
