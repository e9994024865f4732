"""Bytes -> a TOML document, or the one thing that keeps them from being one. What its keys mean is not known here."""

from __future__ import annotations

import re
from collections import Counter

from jobctl.core.definition.limits import DEEPEST, MOST_JOBS, MOST_STEPS, SIZE_LIMIT
from jobctl.core.definition.positions import KEY, STRING, TRIPLE
from jobctl.core.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What counts for the braces: texts as a whole, quotes that open none, comments, brackets, line breaks, and commas that
# nothing follows.
_TOKEN = re.compile(STRING + r"|[\"']|#[^\n]*|[\[\]{}\n]|,(?=(?:\s|#[^\n]*+)*+\})", re.DOTALL)
# As above, and keys as a whole: a dotted one that is too deep, or another.
_DOTTED = rf"{KEY}(?:[ \t]*+\.[ \t]*+{KEY})"
_DEEP = re.compile(rf"{TRIPLE}|#[^\n]*+|(?P<key>{_DOTTED}{{{DEEPEST},}}+)|{_DOTTED}*+|[\[\]{{}}]", re.DOTALL)
_JOB_HEAD = re.compile(r"^[ \t]*+\[\[?[ \t]*+jobs[ \t]*+\.[ \t]*+([^\].\n]*+)", re.MULTILINE)
_LIST_HEAD = re.compile(r"^[ \t]*+\[\[([^\]\n]*+)\]\]", re.MULTILINE)
_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")
_HUGE_INTEGER = re.compile(r"[0-9][0-9_]{4000,}")


def read(data: bytes) -> tuple[str, dict[str, Any]] | Problem:
    """The text and its tables. A Problem for what is too large, no UTF-8 or no TOML; it has no file yet."""
    text = decode(data)
    if isinstance(text, Problem):
        return text
    return _too_many(text) or too_deep(text) or _tables(text)


def decode(data: bytes) -> str | Problem:
    """The text of a UTF-8 file without byte order mark and NUL bytes. Also used for env files."""
    if len(data) > SIZE_LIMIT:
        return Problem("is larger than 16 MiB", hint="split it: several definitions files can be named")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem("is UTF-16, not UTF-8", hint="save it as UTF-8 without byte order mark", line=1)
    if data.startswith(b"\xef\xbb\xbf"):
        return Problem(
            "begins with a byte order mark (BOM)",
            hint="save it as UTF-8 without BOM, or: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE",
            line=1,
        )
    if (at := data.find(b"\0")) >= 0:
        return Problem("holds a NUL byte", hint="remove it; is this a text file?", line=_line(data, at))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return Problem(
            f"is not UTF-8: byte 0x{data[error.start]:02x}", hint="save it as UTF-8", line=_line(data, error.start)
        )


def too_many(what: str, of: str, most: int, hint: str) -> Problem:
    return Problem(f"has too many {what}: more than {most:,} in {of}", hint=hint)


def too_many_jobs() -> Problem:
    return too_many("jobs", "one file", MOST_JOBS, "split it: several definitions files can be named")


def too_many_steps() -> Problem:
    hint = "a step with `foreach` is done for each item of a list, and a step with `job` starts another job"
    return too_many("steps", "one job", MOST_STEPS, hint)


def _too_many(text: str) -> Problem | None:
    """Told by its heads, before anybody takes the time to read all of it."""
    if text.count("\n[") + text.count("\n ") + text.count("\n\t") <= min(MOST_JOBS, MOST_STEPS):
        return None
    if len({name.strip() for name in _JOB_HEAD.findall(text)}) > MOST_JOBS:
        return too_many_jobs()
    counts = Counter(_LIST_HEAD.findall(text))
    if counts and max(counts.values()) > MOST_STEPS:
        return too_many_steps()
    return None


def too_deep(text: str) -> Problem | None:
    """What has a key of too many names with dots between, or too many brackets inside of one another.

    Looked for only where there are as many dots or brackets: a file of ten thousand jobs is not read once more.
    """
    if text.count(".") <= DEEPEST and text.count("[") + text.count("{") <= DEEPEST:
        return None
    dots = any(line.count(".") > DEEPEST for line in text.split("\n"))
    depth = deepest = 0
    for line in text.split("\n"):
        if "[" in line or "{" in line or "]" in line or "}" in line:
            opened, closed = line.count("[") + line.count("{"), line.count("]") + line.count("}")
            deepest = max(deepest, depth + opened)
            depth = max(0, depth + opened - closed)
    if not dots and deepest <= DEEPEST:
        return None
    depth = 0
    for match in _DEEP.finditer(text):
        token = match[0]
        if match["key"] is not None:
            return _at(f"has a key of more than {DEEPEST} names with dots", text, match.start())
        if token in ("[", "{"):
            depth += 1
            if depth > DEEPEST:
                return _at("is nested too deeply", text, match.start())
        elif token in ("]", "}"):
            depth = max(0, depth - 1)
    return None


def _at(message: str, text: str, at: int) -> Problem:
    hint = "no key of a definitions file needs more than a few levels; is a bracket not closed in the lines above?"
    return Problem(message, hint=hint, line=text.count("\n", 0, at) + 1)


def _tables(text: str) -> tuple[str, dict[str, Any]] | Problem:
    import tomllib

    try:
        try:
            return text, tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return text, tomllib.loads(_joined(text))
    except tomllib.TOMLDecodeError as error:
        return _syntax(str(error), text)
    except RecursionError:
        return Problem("is nested too deeply", hint="no key of a definitions file needs more than a few levels")
    except ValueError:
        # Python refuses to read integers of more than 4,300 digits, and tomllib lets that through.
        match = _HUGE_INTEGER.search(text)
        line = text.count("\n", 0, match.start()) + 1 if match else 0
        return Problem("has a number with thousands of digits", hint="write it as text, in quotes", line=line)


def _joined(text: str) -> str:
    """The text with each table in braces on one line, as TOML 1.0 and with it tomllib want it; 1.1 allows several.

    The line breaks taken out of a table follow behind it, so that what comes after it keeps its line. A text that
    breaks a line elsewhere than beside a brace or a comma, or inside quotes, is given back as it is.
    """
    out, at, owed = [], 0, 0
    brackets: list[str] = []
    braces = 0  # of these
    before, broken = "", False  # the last character that is no blank; whether a line break behind it needs a `,` or `}`
    for match in _TOKEN.finditer(text):
        token, between = match[0], text[at : match.start()]
        blank = token == "\n" or token[0] == "#"
        after = between.strip() or ("" if blank else token)
        if token in ("'", '"') or (broken and after and after[0] not in ",}"):
            return text
        broken = broken and not after
        before = between.strip()[-1:] or before
        if token == "," and before in ("{", ","):
            return text  # a comma behind nothing
        before = after[-1:] or before
        if not blank:
            before = token[-1]
        if token in ("[", "{"):
            brackets.append(token)
            braces += token == "{"
        elif token in ("]", "}") and brackets:
            braces -= brackets.pop() == "{"
        elif brackets[-1:] == ["{"] and token[0] in "\n#,":
            owed += token == "\n"
            broken = broken or (token == "\n" and before not in "{,")
            token = " "
        elif token == "\n" and not braces:
            token, owed = "\n" * (owed + 1), 0
        out += [between, token]
        at = match.end()
    return "".join([*out, text[at:]])


def _syntax(message: str, text: str) -> Problem:
    from jobctl.core.definition.excerpt import excerpt
    from jobctl.core.definition.syntax import first_fault

    fault = first_fault(text)
    if fault is not None:
        column = fault.at - text.rfind("\n", 0, fault.at)
        shown = excerpt(text, fault.at, fault.length)
        line = text.count("\n", 0, fault.at) + 1
        return Problem(f"is not TOML: {fault.message}", hint=fault.hint, line=line, column=column, excerpt=shown)
    # Something that only tomllib knows of: its own words, which name no values.
    match = _PLACE.search(message)
    line = int(match[1]) if match and match[1] else text.rstrip().count("\n") + 1
    what = message[: match.start()] if match else message
    return Problem(
        f"is not TOML: {what[:1].lower()}{what[1:]}",
        hint="look at this line, and for a quote or a bracket that is missing in the lines above it",
        line=line,
    )


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
