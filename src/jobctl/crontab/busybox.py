"""The lines of a crontab as BusyBox reads them (Alpine, OpenWrt, most routers). Source of every rule: its crond.c and
parse_config.c, 1.36.

It is not cron with less of it. `*/2` of the days is the second, the fourth …; two day fields are always either-or; 7 is
no Sunday; a field that it cannot read is told of in its log, and the line goes on with what was read of it; a `#` ends
a command, a `\\` at its end joins lines. There is no `%`, no user field, and no variable but SHELL, PATH and MAILTO. It
looks at the clock: what the clocks skip does not run, and what comes twice runs twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobctl.core.record import NamedTuple
from jobctl.core.schedule.cron import DAY_NAMES, FIELDS, MONTH_NAMES, CronError, parse_cron
from jobctl.crontab.entry import REBOOT, Entry, NeverError, Numbers, RefusedError, Schedule
from jobctl.crontab.shell import shortened
from jobctl.crontab.times import DAYS, WEEKDAYS, as_written, field_text, is_whole, numbers_of

VARIABLES = ("SHELL", "PATH", "MAILTO")
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", REBOOT)
_FAILSAFE = 1024
# The hours at which the clocks of any zone change: what runs in none of them needs no word about that.
CHANGING_HOURS = sum(1 << hour for hour in (0, 1, 2, 3, 21, 22, 23))


class _Array(NamedTuple):
    """How crond.c keeps a field: so many cells, cell 0 standing for the number `off`."""

    cells: int
    off: int = 0  # what is taken from a number
    names: tuple[str, ...] = ()


_ARRAYS = (_Array(60), _Array(24), _Array(32), _Array(12, -1, MONTH_NAMES), _Array(7, 0, DAY_NAMES))


def logical_lines(lines: list[str]) -> Iterator[tuple[int, str, list[int]]]:
    """Number and text of each line, lines that end in a backslash joined with the next; and the numbers of those."""
    at = 0
    while at < len(lines):
        first, text, more = at, lines[at], []
        while text.endswith("\\") and at + 1 < len(lines):
            at += 1
            text = text[:-1] + lines[at]
            more.append(at + 1)
        yield first + 1, text.removesuffix("\\"), more
        at += 1


def read_variable(line: str) -> tuple[str, str] | None:
    """SHELL, PATH and MAILTO, up to the next blank; and what would be a variable elsewhere, which it does not read."""
    match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)(=?)", line.lstrip(" \t"))
    if match is None:
        return None
    word = re.split(r"[ \t#]", line.strip(" \t"), maxsplit=1)[0]
    if match[2] and match[1] in VARIABLES:
        return match[1], word.partition("=")[2]
    if (match[2] or re.match(r"[A-Za-z_][A-Za-z0-9_]*[ \t]*=", line.lstrip(" \t"))) and len(line.split()) < 6:
        return match[1], ""
    return None


def read_entry(line: str) -> Entry:
    """RefusedError for what it steps over."""
    text = line.strip(" \t")
    remarks = []
    before = text.partition("#")[0].rstrip(" \t")
    if before != text:
        remarks.append("BusyBox ends a line at a #, and so does the job")
        text = before
    if text.startswith("@"):
        macro = re.split(r"[ \t]", text, maxsplit=1)[0]
        command = text[len(macro) :].lstrip(" \t")
        if macro not in _MACROS:
            raise RefusedError("BusyBox does not know " + shortened(macro))
        if not command:
            raise RefusedError("there is no command, BusyBox steps over it")
        return Entry(macro, (), macro, "", command, "", whole=command, remarks=tuple(remarks))
    words = re.split(r"[ \t]+", text, maxsplit=5)
    if len(words) < 6:
        raise RefusedError("fewer than five times and a command, BusyBox steps over it")
    fields = []
    for at, word in enumerate(words[:5]):
        bits, whole = _parse(_ARRAYS[at], word)
        fields.append(Numbers(bits, word))
        if not whole:
            what = field_text([n - _ARRAYS[at].off for n in numbers_of(bits)]) or "nothing"
            what = "all of them" if bits == (1 << _ARRAYS[at].cells) - 1 else what
            hint = "; its Sunday is 0" if at == WEEKDAYS and "7" in word else ""
            remarks.append(f"BusyBox cannot read {FIELDS[at].name} {shortened(word)} and takes {what}{hint}")
    return Entry("", tuple(fields), " ".join(words[:5]), "", words[5], "", whole=words[5], remarks=tuple(remarks))


def _parse(array: _Array, text: str) -> tuple[int, bool]:
    """The cells that ParseField sets, and whether it came to the end of the text."""
    bits = at = 0
    first = last = -1
    while True:
        skip = 0
        if text[at : at + 1] == "*":
            first, last, skip, at = 0, array.cells - 1, 1, at + 1
        elif match := re.compile(r"[0-9]+").match(text, at):
            number = min(int(match[0][:12]), 2**31 - 2) + array.off
            first, last = (number, last) if first < 0 else (first, number)
            skip, at = 1, match.end()
        elif text[at : at + 3].lower() in array.names and array.names:
            number = array.names.index(text[at : at + 3].lower())
            first, last = (number, last) if first < 0 else (first, number)
            skip, at = 1, at + 3
        if not skip:
            return bits, False
        if text[at : at + 1] == "-" and last < 0:
            at += 1
            continue
        if last < 0:
            last = first
        if text[at : at + 1] == "/":
            step = re.compile(r"[+-]?[0-9]+").match(text, at + 1)
            skip, at = (int(step[0][:12]), step.end()) if step else (0, at + 1)
        countdown, cell = 1, first - 1
        for _ in range(_FAILSAFE - 1):
            cell = cell + 1 if cell < -1 else (cell + 1) % array.cells
            countdown -= 1
            if countdown == 0:
                bits |= 1 << cell if cell >= 0 else 0  # month 0 is no cell
                countdown = skip
            if cell == last:
                break
        else:
            return bits, False
        if text[at : at + 1] != ",":
            return bits, at >= len(text)
        at += 1
        first = last = -1


def schedule(entry: Entry) -> Schedule:
    """As jobctl says it. NeverError where it never fires."""
    if entry.macro == REBOOT:
        return REBOOT
    cron = entry.macro or _cron_text(entry)
    hours = entry.fields[1].bits if entry.fields else 1
    if parse_cron(cron).wild or not hours & CHANGING_HOURS:
        return cron
    return {"cron": cron, "dst_gap": "skip", "dst_fold": "both"}


def _cron_text(entry: Entry) -> str:
    numbers = [
        [cell - array.off for cell in numbers_of(field.bits)]
        for array, field in zip(_ARRAYS, entry.fields, strict=True)
    ]
    # FixDayDow: of two day fields the one that leaves nothing out does not count. Cell 0 of the days is a cell, too.
    days_used = entry.fields[DAYS].bits != (1 << 32) - 1
    weekdays_used = entry.fields[WEEKDAYS].bits != (1 << 7) - 1
    numbers[DAYS] = [day for day in numbers[DAYS] if day]
    if days_used and not weekdays_used:
        numbers[WEEKDAYS] = []
    elif weekdays_used and not days_used:
        numbers[DAYS] = []
    both = days_used and weekdays_used
    if any(not numbers[at] for at in (0, 1, 3)) or not (numbers[DAYS] or numbers[WEEKDAYS]):
        raise NeverError("BusyBox can read nothing of a field, it never fires", _way_out(entry.written))
    texts = []
    for at, found in enumerate(numbers):
        whole = is_whole(sum(1 << number for number in found), at)
        texts.append("*" if whole or not found else field_text(found))
    if both and any(numbers[at] and texts[at] == "*" for at in (DAYS, WEEKDAYS)):
        texts[DAYS] = texts[WEEKDAYS] = "*"  # either of them, and one names every day
    plain = " ".join(texts)
    try:
        parse_cron(plain)
    except CronError as error:
        raise NeverError(error.message, error.hint) from None
    return as_written(entry.written, plain, wild=False)


def _way_out(written: str) -> str:
    try:
        parse_cron(written)
    except CronError as error:
        return error.hint
    return f'jobctl itself knows it: schedule = "{written}"'
