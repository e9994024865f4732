"""A crontab -> a jobs document, and what became of each line. Pure. How cron reads a line is crontab_lines.py's.

What is imported behaves as under cron: every fire time gets its run, beside those that still run (`overlap =
"allow_all"`), what was missed stays missed (`catchup_window = "1m"`: the minute itself), in the home folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobctl.core import definition
from jobctl.core.shapes import VARIABLE_RULE
from jobctl.core.zones import ZoneError, check_zone
from jobctl.crontab_lines import (
    REBOOT,
    Dialect,
    Entry,
    NeverError,
    RefusedError,
    cron_text,
    read_entry,
    read_variable,
)

__all__ = ["Became", "Dialect", "Imported", "Line", "convert", "to_toml"]

Table = dict[str, Any]  # as it stands in the TOML file

_SH = "/bin/sh"
_ALIKE = {"cwd": "~", "overlap": "allow_all", "catchup_window": "1m"}
_MAIL = ("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING")
_LONGEST_DELAY = 24 * 60  # minutes

# Words in front of a command that do not name what is done, and how many arguments of their own they have.
_WRAPPERS = {
    **dict.fromkeys(("sudo", "doas", "nice", "ionice", "env", "exec", "nohup", "chronic", "time", "setsid"), 0),
    **dict.fromkeys(("timeout", "flock"), 1),
}
_INTERPRETERS = re.compile(r"(ba|da|z|k)?sh|python[0-9.]*|perl|ruby|php[0-9.]*|node|java|Rscript")
_PREPARATIONS = ("cd", "test", "[", "[[", ":", ".", "source", "export", "set", "sleep", "umask", "if", "while", "for")
_GRAMMAR = ("!", "{", "}", "then", "do", "else", "fi", "done")
_SEPARATORS = re.compile(r"&&|\|\||[;|&()\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_LOOKS_ASSIGNED = re.compile(r"[ \t]*['\"]?[A-Za-z_][A-Za-z0-9_]*['\"]?[ \t]*=")
_SUFFIX = re.compile(r"\.(sh|bash|py|pl|rb|php|js|jar|R)$")
_NAME_LENGTH = 63
_COMMENT_LENGTH = 500


class Became(StrEnum):
    JOB = "job"
    DISABLED = "disabled"  # a job without a schedule
    VARIABLE = "variable"  # part of the jobs below it
    IGNORED = "ignored"  # a line that changes nothing in jobctl
    COMMENT = "comment"
    REFUSED = "refused"  # by cron itself
    UNCONVERTED = "unconverted"  # cron takes it, jobctl cannot


@dataclass(slots=True)
class Line:
    """What became of one line. `text` is the line, but for variables, whose values may be secrets: their names."""

    number: int  # from 1
    became: Became
    why: str = ""
    text: str = ""
    job: str = ""  # the job it became


@dataclass(slots=True)
class Imported:
    """`jobs`: tables by name, each complete. `lines`: all but blank ones. `notes`: what concerns the whole file."""

    jobs: dict[str, Table] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def convert(text: str, dialect: Dialect, *, user_field: bool, user: str) -> Imported:
    """Every line of a crontab as a job, or with the reason why not. Bytes that are not UTF-8 come as surrogates.

    `user_field`: a sixth field names the user, as in /etc/crontab. `user`: whom jobctl runs as.
    """
    reader = _Reader(dialect, user_field, user)
    *whole, rest = text.split("\n")
    for number, line in enumerate([*whole, rest] if rest else whole, 1):
        reader.read(number, line)
    imported = reader.imported
    _drop_invalid(imported)
    imported.notes = list(_notes(imported, dialect, user_field=user_field, ends=not rest))
    return imported


def to_toml(imported: Imported) -> str:
    """The jobs as a definitions file: what all have in common stands in [defaults]. There must be one."""
    import tomli_w

    jobs = {name: dict(table) for name, table in imported.jobs.items()}
    first = next(iter(jobs.values()))
    defaults: Table = {}
    for key in ("cwd", "shell", "timezone", "overlap", "catchup_window"):
        if key in first and all(job.get(key) == first[key] for job in jobs.values()):
            defaults[key] = first[key]
            for job in jobs.values():
                del job[key]
    common = {
        name: value
        for name, value in first.get("env", {}).items()
        if all(job.get("env", {}).get(name) == value for job in jobs.values())
    }
    if common:
        defaults["env"] = common
        for job in jobs.values():
            job["env"] = {name: value for name, value in job["env"].items() if name not in common}
            if not job["env"]:
                del job["env"]
    return tomli_w.dumps({"defaults": defaults, "jobs": jobs} if defaults else {"jobs": jobs})


class _Reader:
    """Goes through the lines, with the variables as they stand."""

    def __init__(self, dialect: Dialect, user_field: bool, user: str) -> None:
        self.imported = Imported()
        self._dialect = dialect
        self._user_field = user_field
        self._user = user
        self._variables: dict[str, str] = {}
        self._comment = ""

    def read(self, number: int, line: str) -> None:
        comment, self._comment = self._comment, ""
        stripped = line.strip(" \t")
        if stripped.startswith("#"):
            comment = _printable(stripped.lstrip("#").strip())
            self._comment = "" if self._is_entry(comment) else comment[:_COMMENT_LENGTH]
            self._tell(number, Became.COMMENT, text=_printable(line))
        elif stripped:
            if "\0" in line or not _is_text(line):
                self._tell(number, Became.UNCONVERTED, "holds a NUL or bytes that are not UTF-8, which TOML cannot")
            elif (variable := read_variable(line, self._dialect)) is not None:
                self._tell_variable(number, *variable)
            else:
                self._read_entry(number, line, comment)

    def _is_entry(self, text: str) -> bool:
        """Whether a comment is a line that was taken out of service, or the head of the columns."""
        if text.split()[:3] == ["m", "h", "dom"]:
            return True
        try:
            read_entry(text, self._dialect, user_field=self._user_field, root=True)
        except RefusedError:
            return False
        return True

    def _tell(self, number: int, became: Became, why: str = "", text: str = "", job: str = "") -> None:
        self.imported.lines.append(Line(number, became, why, text, job))

    # --- variables -------------------------------------------------------------------------------------------------

    def _tell_variable(self, number: int, name: str, value: str) -> None:
        if not name:
            self._tell(number, Became.UNCONVERTED, "a variable without a name")
            return
        if not VARIABLE_RULE.fullmatch(name):
            self._tell(number, Became.IGNORED, "the shell that cron runs commands with passes no such name on", name)
            return
        became, why = self._meaning(name, value)
        if name not in self._overwritten:
            self._variables[name] = value
        self._tell(number, became, why, name)

    @property
    def _overwritten(self) -> tuple[str, ...]:
        """What cron sets itself, whatever the crontab says."""
        return ("LOGNAME", "USER") if self._dialect is Dialect.CRONIE else ("LOGNAME",)

    def _meaning(self, name: str, value: str) -> tuple[Became, str]:
        cronie = self._dialect is Dialect.CRONIE
        if name in self._overwritten:
            return Became.IGNORED, "cron sets it itself"
        if name == "MAILTO" and not value:
            return Became.IGNORED, "jobctl sends no mail anyway; output is kept, see `jobctl logs`"
        if name in _MAIL:
            return (
                Became.IGNORED,
                "jobctl sends no mail: output is kept, see `jobctl logs`; to be told of a failure, give the job"
                ' a last step with when = "failure" that tells you',
            )
        if name == "SHELL":
            return Became.VARIABLE, "`shell` of the jobs below"
        if name == "HOME":
            return Became.VARIABLE, "in `env` of the jobs below, and their `cwd`: cron starts commands there"
        if name == "CRON_TZ" and cronie:
            return Became.VARIABLE, "`timezone` of the jobs below"
        if name == "CRON_TZ":
            return Became.VARIABLE, "in `env` only: Debian's cron does not read it, times are the machine's"
        if name == "TZ":
            return Became.VARIABLE, "in `env` only: cron reads times in the machine's zone all the same"
        if name == "RANDOM_DELAY" and cronie:
            if _delay(value) is None:
                return Became.IGNORED, f"cron wants minutes, 0 to {_LONGEST_DELAY}"
            return Became.VARIABLE, "`jitter` of the schedules below; cron waits as long each time, jobctl does not"
        return Became.VARIABLE, "in `env` of the jobs below"

    # --- entries ---------------------------------------------------------------------------------------------------

    def _read_entry(self, number: int, line: str, comment: str) -> None:
        text = "" if _LOOKS_ASSIGNED.match(line) else line
        try:
            entry = read_entry(line, self._dialect, user_field=self._user_field, root=self._user == "root")
        except RefusedError as error:
            self._tell(number, Became.REFUSED, str(error), text)
            return
        if not entry.command.strip(" \t"):
            why = "there is no command: cron starts a shell that does nothing"
            self._tell(number, Became.IGNORED, why, text)
            return
        name = _unused(_job_name(entry.command), self.imported.jobs)
        schedule, why = self._schedule(entry)
        table: Table = {}
        if schedule is None:
            said = f"{comment}. " if comment else ""
            table["description"] = f"{said}Not scheduled: {why}. Line {number} of the crontab: {line.strip()}"
        else:
            if comment:
                table["description"] = comment
            table["schedule"] = schedule
        self._add_rest(table, entry)
        self.imported.jobs[name] = table
        became = Became.JOB if schedule is not None else Became.DISABLED
        self._tell(number, became, "; ".join([why, *self._remarks(entry, schedule)]).strip("; "), text, name)

    def _schedule(self, entry: Entry) -> tuple[str | Table | None, str]:
        """The schedule, or None and why there is none."""
        if entry.user and entry.user != self._user:
            return None, (
                f"its user is {entry.user}, jobctl runs as {self._user}; run a daemon as {entry.user},"
                f" or write sudo -u {entry.user} in the command, and give it its schedule"
            )
        if entry.macro == REBOOT:
            return REBOOT, ""
        try:
            cron = cron_text(entry)
        except NeverError as error:
            return None, str(error)
        zone = self._zone()
        if zone:
            try:
                check_zone(zone)
            except ZoneError as error:
                return None, f"{error.message} (CRON_TZ): {error.hint}"
        delay = _delay(self._variables.get("RANDOM_DELAY", "")) if self._dialect is Dialect.CRONIE else None
        return ({"cron": cron, "jitter": f"{delay}m"} if delay else cron), ""

    def _zone(self) -> str:
        return self._variables.get("CRON_TZ", "").removeprefix(":") if self._dialect is Dialect.CRONIE else ""

    def _add_rest(self, table: Table, entry: Entry) -> None:
        """Everything of the job but its schedule."""
        variables = self._variables
        shell = variables.get("SHELL", _SH)
        if entry.stdin:
            # The job's shell is sh here, whichever the crontab has: that one gets the command as its argument.
            table["command"] = f"{_printf(entry.stdin)} | {shlex.quote(shell)} -c {shlex.quote(entry.command)}"
        else:
            table["command"] = entry.command
            if shell != _SH:
                table["shell"] = shell
        if "schedule" in table and entry.macro != REBOOT and (zone := self._zone()):
            table["timezone"] = zone
        table.update(_ALIKE)
        table["cwd"] = variables.get("HOME", "~")
        env = {name: value for name, value in variables.items() if self._is_for_commands(name, entry)}
        if env:
            table["env"] = env

    def _is_for_commands(self, name: str, entry: Entry) -> bool:
        if name in _MAIL:  # no command needs it but one that reads it
            return name in entry.command
        converted = ("SHELL", "CRON_TZ", "RANDOM_DELAY") if self._dialect is Dialect.CRONIE else ("SHELL",)
        return name not in converted

    def _remarks(self, entry: Entry, schedule: str | Table | None) -> Iterator[str]:
        cron = schedule["cron"] if isinstance(schedule, dict) else schedule
        if cron is not None and not entry.macro and cron != entry.written:
            yield f"cron reads {entry.written} as {cron}"
        if entry.stdin:
            yield "what follows the % is the command's input"
        if entry.quiet:
            yield f"{entry.quiet} means nothing here"
        if "\r" in entry.command:
            yield "the command holds a carriage return, from a file with DOS line ends: take it out"


def _drop_invalid(imported: Imported) -> None:
    """Leave out, and report, what a definitions file cannot say: braces in a variable, a shell with arguments."""
    import tomli_w

    lines = {line.job: line for line in imported.lines if line.job}
    while imported.jobs:
        document = tomli_w.dumps({"jobs": imported.jobs}).encode()
        _, problems = definition.parse(document, file="crontab", folder="/")
        wrong = {problem.job: problem for problem in problems if not problem.warning}
        if not wrong:
            return
        for job, problem in wrong.items():
            del imported.jobs[job]
            line = lines[job]
            line.became, line.job = Became.UNCONVERTED, ""
            line.why = f"{problem.key}: {problem.message}" + (f"; {problem.hint}" if problem.hint else "")


def _notes(imported: Imported, dialect: Dialect, *, user_field: bool, ends: bool) -> Iterator[str]:
    became = {line.became for line in imported.lines}
    if Became.REFUSED in became and dialect is Dialect.DEBIAN:
        yield "Debian's cron ignores a whole crontab with a line that it refuses; the others are imported all the same"
    if imported.lines and not ends:
        what = "the whole crontab" if dialect is Dialect.DEBIAN else "that line"
        yield f"the last line has no line break at its end: cron ignores {what}; it is imported all the same"
    if not imported.jobs:
        return
    if not user_field and any(job["command"].startswith(("root ", "root\t")) for job in imported.jobs.values()):
        yield "a command begins with root: a system crontab has a user in front of the command, say --user-field"
    yield (
        'overlap = "allow_all" is what cron does; "skip", the default of jobctl, starts no second run beside one that'
        " still runs, and is what most jobs want"
    )
    yield 'catchup_window = "1m" is what cron does: a fire time that no daemon saw is lost; "24h" would make up for it'
    if any("PATH" not in job.get("env", {}) for job in imported.jobs.values()):
        yield (
            "cron's PATH is /usr/bin:/bin where the crontab sets none; jobctl hands on the PATH of its daemon: to keep"
            ' cron\'s, write env = { PATH = "/usr/bin:/bin" }'
        )


# --- small things ----------------------------------------------------------------------------------------------------


def _printf(data: str) -> str:
    """A shell command that writes the text, a line an argument."""
    if not data.endswith("\n"):
        return f"printf %s {shlex.quote(data)}"
    return "printf '%s\\n' " + " ".join(map(shlex.quote, data[:-1].split("\n")))


def _delay(value: str) -> int | None:
    """Minutes, as strtol reads them: 0 for what is no number. None for what cronie refuses."""
    match = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,18})", value)
    minutes = int(match[1]) if match else 0
    return minutes if 0 <= minutes <= _LONGEST_DELAY else None


def _is_text(line: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in line)


def _printable(line: str) -> str:
    return line.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _job_name(command: str) -> str:
    """What is run, as a name: `cd /srv && /usr/bin/python3 -u bin/report.py --all` -> report."""
    for segment in _SEPARATORS.split(command):
        words = [word for word in segment.split() if word not in _GRAMMAR]
        if words and words[0] in _PREPARATIONS:
            continue
        skip = 0
        wrapper = ""
        interpreted = False
        for word in words:
            base = word.strip("'\"").rstrip("/").rpartition("/")[2]
            if word.startswith(("-", "<", ">", "$")) or _ASSIGNMENT.match(word) or word.isdigit():
                skip += wrapper in ("sudo", "doas") and word in ("-u", "-g")
            elif skip:
                skip -= 1
            elif base in _WRAPPERS:
                wrapper, skip = base, _WRAPPERS[base]
            elif not interpreted and _INTERPRETERS.fullmatch(base):
                interpreted = True
            elif name := re.sub(r"[^A-Za-z0-9_-]+", "-", _SUFFIX.sub("", base)).strip("-_"):
                return name[:_NAME_LENGTH]
    return "job"


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[: _NAME_LENGTH - len(str(number)) - 1]}-{number}"
    return found
