"""The lines of a crontab as cron itself reads them, Debian's and cronie's. BusyBox and supercronic have
files of their own; what becomes of the lines: convert.py.

Source of every rule is the program, not its manual page: env.c, entry.c and do_command.c of Debian's cron 3.0pl1-162
and of cronie 1.7. Where the two differ, a dialect is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from jobctl.core.record import NamedTuple
from jobctl.core.schedule.cron import FIELDS, Cron, CronError, Field, numbers_in, parse_cron
from jobctl.crontab.entry import REBOOT, Dialect, Entry, NeverError, Numbers, RefusedError

_MACROS = (REBOOT, "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_DAYS, _WEEKDAYS = 2, 4  # the places of the day fields
_BLANKS = " \t"
_SPACES = " \t\n\v\f\r"  # what C's isspace says

_DEBIAN_RANGE = re.compile(r"(?:(\*)|([0-9A-Za-z]+)(?:-([0-9A-Za-z]*))?)(?:/([0-9A-Za-z]*))?")
_CRONIE_RANGE = re.compile(r"(?:(\*)|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:/([0-9A-Za-z]+))?(?=[ \t,]|$)")
_CRONIE_CHANCE = re.compile(r"([0-9A-Za-z]*)~([0-9A-Za-z]*)(?=[ \t,]|$)")
_WORD = re.compile(r"[^ \t]*")
_SCHEDULE = re.compile(r"(?:[^ \t]+[ \t]+){4}[^ \t]+")


# The longest line of a variable, and command, in bytes. Debian cuts the first and refuses the second; cronie cuts both.
_LONGEST_VARIABLE = {Dialect.DEBIAN: 998, Dialect.CRONIE: 131_071}
_LONGEST_COMMAND = {Dialect.DEBIAN: 998, Dialect.CRONIE: 131_071}


# --- variables -------------------------------------------------------------------------------------------------------


def read_variable(line: str, dialect: Dialect) -> tuple[str, str] | None:
    """Name and value, where cron takes the line for `NAME = value`; None for any other line."""
    text = _cut(line.lstrip(_BLANKS), _LONGEST_VARIABLE[dialect])
    found = _name(text)
    if found is None:
        return None
    name, rest = found
    rest = rest.lstrip(_SPACES)
    if not rest:
        return (name, "") if dialect is Dialect.CRONIE else None  # Debian takes `NAME=` for a bad schedule
    if rest[0] in "'\"":
        value, quote, behind = rest[1:].partition(rest[0])
        if not quote or behind.strip(_SPACES):
            return None
    else:
        value = rest.rstrip(_SPACES)
    if dialect is Dialect.DEBIAN:
        value = value.rstrip(_SPACES)
        if len(value) >= 2 and value[0] in "'\"" and value[-1] == value[0]:
            value = value[1:-1]
    return name, value


def _name(text: str) -> tuple[str, str] | None:
    """The name in front of a `=`, which may stand in quotes, and what follows the sign."""
    if text[:1] in ("'", '"'):
        name, quote, rest = text[1:].partition(text[0])
        if not quote or "=" in name:
            return None
    else:
        match = re.match(r"[^=\s]*", text, re.ASCII)
        assert match is not None
        name, rest = match[0], text[match.end() :]
    rest = rest.lstrip(_SPACES)
    return (name, rest[1:]) if rest.startswith("=") else None


def _cut(text: str, longest: int) -> str:
    data = text.encode()
    return text if len(data) <= longest else data[:longest].decode(errors="ignore")


# --- entries ---------------------------------------------------------------------------------------------------------


def read_entry(line: str, dialect: Dialect, *, user_field: bool, root: bool) -> Entry:
    """The entry that a line is; RefusedError for a line that cron does not take. `root`: it is root's own crontab.

    `command` is empty where Debian runs nothing for the line, and says nothing of it.
    """
    rest = line.lstrip(_BLANKS)
    quiet = []
    if dialect is Dialect.CRONIE and rest.startswith("-"):
        if not (user_field or root):
            raise RefusedError("only root may begin a line with -")
        quiet.append("-")
        rest = rest[1:]
    macro, written = "", ""
    fields: tuple[Numbers, ...] = ()
    if rest.startswith("@"):
        macro, rest = _split_word(rest)
        if macro not in _MACROS:
            raise RefusedError("bad time specifier: known are " + ", ".join(_MACROS))
    else:
        match = _SCHEDULE.match(rest)
        written = " ".join(match[0].split()) if match else ""
        fields, rest = _read_fields(rest, dialect)
    if rest.startswith("*") and not (user_field and dialect is Dialect.DEBIAN):
        raise RefusedError("bad command: a sixth field of times")
    user = ""
    if user_field:
        user, rest = _split_word(rest)
        if not rest:
            raise RefusedError("bad command: a user, and no command behind it")
    if dialect is Dialect.CRONIE:
        if not rest:
            raise RefusedError("bad command: there is none")
        if rest.startswith("-"):
            quiet.append("-n")
            rest = _without_option(rest)
        rest = _cut(rest, _LONGEST_COMMAND[dialect])
    elif len(rest.encode()) > _LONGEST_COMMAND[dialect]:
        raise RefusedError(f"the command is longer than {_LONGEST_COMMAND[dialect]} bytes")
    command, stdin = split_command(rest, dialect)
    return Entry(macro, fields, written, user, command, stdin, " ".join(quiet), whole=rest)


def _split_word(text: str) -> tuple[str, str]:
    """The first word, and what follows the blanks behind it."""
    match = _WORD.match(text)
    assert match is not None
    return match[0], text[match.end() :].lstrip(_BLANKS)


def _without_option(text: str) -> str:
    option, rest = _split_word(text)
    if option != "-n" or not rest or rest.startswith("-"):
        raise RefusedError("bad option: a command that begins with - may only have -n, once")
    return rest


def split_command(text: str, dialect: Dialect) -> tuple[str, str]:
    """What the shell gets and what the command reads: the first bare `%` divides them, each further one is a line
    break. `\\%` is a percent sign; for Debian `\\\\`, in front of the first `%`, is one backslash."""
    command: list[str] = []
    escaped = False
    for at, char in enumerate(text):
        if escaped:
            if char == "%" or (char == "\\" and dialect is Dialect.DEBIAN):
                command.pop()
            escaped = False
        elif char == "%":
            return "".join(command), _input(text[at + 1 :])
        else:
            escaped = char == "\\"
        command.append(char)
    return "".join(command), ""


def is_divided(text: str, dialect: Dialect) -> bool:
    """Whether a bare `%` divides it."""
    return not split_command(f"{text}\0", dialect)[0].endswith("\0")


def _input(text: str) -> str:
    out: list[str] = []
    escaped = ended = False
    for char in text:
        if escaped and char != "%":
            out.append("\\")
        written = "\n" if char == "%" and not escaped else char
        escaped = written == "\\"
        if not escaped:
            out.append(written)
            ended = written != "\n"
    if escaped:
        out.append("\\")
    return "".join([*out, "\n"] if ended else out)


# --- times -----------------------------------------------------------------------------------------------------------


def _read_fields(text: str, dialect: Dialect) -> tuple[tuple[Numbers, ...], str]:
    """The five fields, and what follows the blanks behind them."""
    read = _debian_range if dialect is Dialect.DEBIAN else _cronie_range
    found = []
    for field in FIELDS:
        numbers, star, chance, at = 0, "", False, 0
        while True:
            part = read(field, text, at)
            numbers |= part.bits
            chance = chance or part.chance
            star = part.star if at == 0 else star
            at = part.end
            if text[at : at + 1] != ",":
                break
            at += 1
        # What stands between a range and the next blank means nothing to Debian; cronie has refused it by now.
        _, text = _split_word(text[at:])
        found.append(Numbers(numbers, star, chance))
    return tuple(found), text


class _Part(NamedTuple):
    """One item of a list, and where it ends."""

    bits: int
    star: str
    chance: bool
    end: int


def _debian_range(field: Field, text: str, at: int) -> _Part:
    match = _DEBIAN_RANGE.match(text, at)
    if match is None:
        raise _bad(field, text, at)
    star, first, last, step = match.groups()
    if star:
        low, high = field.low, field.high
    else:
        low = high = _number(field, first)
        if last is None and step is not None:
            raise _bad(field, text, at)
        if last is not None:
            high = _number(field, last)
    by = 1 if step is None else _step(field, step)
    if not (field.low <= low <= field.high and field.low <= high <= field.high):
        raise _bad(field, text, at)
    return _Part(_bits(range(low, high + 1, by)), match[0] if star else "", False, match.end())


def _cronie_range(field: Field, text: str, at: int) -> _Part:
    if chance := _CRONIE_CHANCE.match(text, at):
        low = _number(field, chance[1]) if chance[1] else field.low
        high = _number(field, chance[2]) if chance[2] else field.high
        if low > high or low < field.low or high > field.high:
            raise _bad(field, text, at)
        return _Part(_bits(range(low, high + 1)), "", True, chance.end())
    match = _CRONIE_RANGE.match(text, at)
    if match is None:
        raise _bad(field, text, at)
    star, first, last, step = match.groups()
    if star:
        low, high = field.low, field.high
    else:
        low = high = _number(field, first)
        if last is None and step is not None:
            raise _bad(field, text, at)
        if last is not None:
            high = _number(field, last)
            if low > high == 0 and step is None:
                high = 7  # meant for fri-sun, done in every field
    numbers = range(low, high + 1, 1 if step is None else _step(field, step))
    if numbers and not (field.low <= numbers[0] and numbers[-1] <= field.high):
        raise _bad(field, text, at)
    return _Part(_bits(numbers), match[0] if star else "", False, match.end())


def _number(field: Field, text: str) -> int:
    name = text.lower()
    if name in field.names:
        return field.low + field.names.index(name)
    if not text.isdigit() or len(text) > 9:
        raise RefusedError(f"bad {field.name}")
    return int(text)


def _step(field: Field, text: str) -> int:
    if not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise RefusedError(f"bad {field.name}")
    return int(text)


def _bits(numbers: range) -> int:
    return sum(1 << number for number in numbers)


def _bad(field: Field, text: str, at: int) -> RefusedError:
    there = "the line ends before it" if not text[at:] else "cron cannot read it"
    return RefusedError(f"bad {field.name}: {there}")


def cron_text(entry: Entry) -> str:
    """The entry's times as a cron expression of jobctl, as written wherever that means the same. Not for @reboot.

    NeverError where cron never fires it, or leaves the time to chance.
    """
    if entry.macro:
        return entry.macro
    if any(field.chance for field in entry.fields):
        hint = 'write a fixed time, and jitter = "1h" in the table form of schedule to spread the starts'
        raise NeverError("cron draws a new time whenever it reads the line (~)", hint)
    plain = _plain(entry.fields)
    try:
        meant = parse_cron(plain)
    except CronError as error:
        raise NeverError(error.message, error.hint) from None  # a date that no calendar has
    try:
        written = parse_cron(entry.written)
    except CronError:
        return plain
    return entry.written if _same(written, meant) else plain


def _same(one: Cron, other: Cron) -> bool:
    return replace(one, fields=()) == replace(other, fields=())


def _plain(fields: Sequence[Numbers]) -> str:
    """The five fields as stars and numbers. A day field that names no day leaves all to the other one, unless one of
    them begins with a star: then a day has to be in both."""
    texts = [_field_text(field, numbers) for field, numbers in zip(FIELDS, fields, strict=True)]
    empty = [at for at, text in enumerate(texts) if not text]
    either = not (fields[_DAYS].star or fields[_WEEKDAYS].star)
    if either and empty in ([_DAYS], [_WEEKDAYS]):
        texts[empty[0]] = "*"
    elif empty:
        names = " and ".join(FIELDS[at].name for at in empty)
        raise NeverError(f"the range of {names} ends before it starts, it would never fire")
    return " ".join(texts)


def _field_text(field: Field, numbers: Numbers) -> str:
    """`*/15,50-59`: the star, and the numbers that are not in it."""
    if not numbers.star:
        return ",".join(_ranges(numbers.bits))
    by = int(numbers.star[2:] or 1)
    return ",".join([numbers.star, *_ranges(numbers.bits & ~_bits(range(field.low, field.high + 1, by)))])


def _ranges(bits: int) -> list[str]:
    """1-3 and 5 out of 1, 2, 3, 5."""
    spans: list[list[int]] = []
    for number in numbers_in(bits):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in spans]
