"""The pages of --help, made from the table when they are asked for, as wide as the terminal is. Imports nothing heavy:
`jobctl --help` is to be there at once."""

from __future__ import annotations

import os
import sys

from jobctl.cli.row import Option, Row, children
from jobctl.cli.table import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 80  # where there is no terminal
LEFT = 32  # the most that names take of it beside what they mean
NARROWEST = 30  # below that nothing is cut any more
START = "Start here: `jobctl init` writes a jobs.toml, `jobctl run hello` runs it."
GLOBALS = "Global options work here too: jobctl --help lists them."


def width() -> int:
    """How wide a page may be: as the terminal is, or as COLUMNS says."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and 0 < len(said) < 6 and int(said):
        return max(int(said), NARROWEST)
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH, NARROWEST)
    except (OSError, ValueError, AttributeError):
        return WIDTH


def page(row: Row, columns: int) -> str:
    """What `jobctl CMD --help` prints, in lines no longer than that. Examples are never cut: they are to be copied."""
    blocks = [_wrapped(_usage(row), columns, first="Usage: ", indent=" " * len("Usage: "))]
    blocks += [_wrapped(text, columns) for text in (row.summary, *_paragraphs(row.more))]
    if row.arguments:
        blocks.append("Arguments:\n" + _columns([(one.metavar, one.help) for one in row.arguments], columns))
    if row.group:
        blocks += _commands(row, columns)
    blocks.append("Options:\n" + _columns([(_names(option), option.help) for option in row.options], columns))
    if row.examples:
        blocks.append(f"Example{'s' * (len(row.examples) > 1)}:\n" + "\n".join(f"  {line}" for line in row.examples))
    blocks.append(_wrapped(GLOBALS if row.path else START, columns))
    return "\n\n".join(blocks)


def _usage(row: Row) -> str:
    words = [f"jobctl {row.path}".strip(), "[OPTIONS]"]
    if row.group:
        words.append("COMMAND [ARGS]...")
    return " ".join([*words, *(one.metavar if one.required else f"[{one.metavar}]" for one in row.arguments)])


def _names(option: Option) -> str:
    return ", ".join(option.names) + (f" {option.metavar}" if option.metavar else "")


def _commands(row: Row, columns: int) -> list[str]:
    """Of jobctl itself all commands under their headings, those of groups among them; of a group its own."""
    if row.path:
        return ["Commands:\n" + _columns([(one.word, _short(one)) for one in children(row.path, TABLE)], columns)]
    sections: dict[str, list[Row]] = {}
    for one in TABLE.values():
        if one.section:
            sections.setdefault(one.section, []).append(one)
    left = max(len(one.path) for rows in sections.values() for one in rows)
    return [
        f"{name}:\n" + _columns([(one.path, _short(one)) for one in rows], columns, left)
        for name, rows in sections.items()
    ]


def _short(row: Row) -> str:
    """The first sentence of its summary, without what the heading above it says."""
    first, dot, _ = row.summary.partition(". ")
    first = first.removeprefix("In a step's command: ")
    return first[0].upper() + first[1:] + dot.strip()


def _columns(rows: list[tuple[str, str]], columns: int, left: int = 0) -> str:
    """Names and what they mean beside them, or below those that are too long for the column."""
    left = min(max([left, *(len(name) for name, _ in rows)]), max(columns * 2 // 5, 12), LEFT)
    lines = []
    for name, text in rows:
        if len(name) > left:
            lines.append(f"  {name}")
            name = ""
        lines.append(_wrapped(text, columns, first=f"  {name.ljust(left)}  ", indent=" " * (left + 4)))
    return "\n".join(lines)


def _paragraphs(text: str) -> Iterable[str]:
    return filter(None, (" ".join(part.split()) for part in text.split("\n\n")))


def _wrapped(text: str, columns: int, *, first: str = "  ", indent: str = "  ") -> str:
    """The words in lines of that width; one that is longer stands alone."""
    lines = [first]
    fresh = True
    for word in text.split():
        if not fresh and len(lines[-1]) + 1 + len(word) > columns:
            lines.append(indent)
            fresh = True
        lines[-1] += word if fresh else f" {word}"
        fresh = False
    return "\n".join(line.rstrip() for line in lines)
