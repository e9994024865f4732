"""Crontabs -> the tables of a jobs document, and what became of each line. Pure. How cron reads a line is in lines.py,
busybox.py and supercronic.py; how the document is written in document.py.

What is imported behaves as under its cron: every fire time gets its run, beside those that still run if that cron does
so (`overlap = "allow_all"`), what was missed stays missed (`catchup_window = "1m"`: the minute itself), in the folder
in which it would have run.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobctl.core.definition import jobs
from jobctl.core.definition.several import VARIABLE_RULE
from jobctl.core.definition.traps import like_sh, unexpanded
from jobctl.core.schedule.cron import CronError, parse_cron
from jobctl.core.schedule.zones import ZoneError, check_zone
from jobctl.crontab import busybox, comments, supercronic
from jobctl.crontab.document import Imported, Line, Table, dump_jobs
from jobctl.crontab.entry import REBOOT, Became, Dialect, Entry, NeverError, RefusedError, Schedule
from jobctl.crontab.lines import cron_text, is_divided, read_entry, read_variable
from jobctl.crontab.names import job_names
from jobctl.crontab.shell import parse, shortened
from jobctl.crontab.tidy import into_folder

_SH = "/bin/sh"
_MAIL = ("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING")
_LONGEST_DELAY = 24 * 60  # minutes
_END = "END"
_BOM = "\ufeff"

_LOOKS_ASSIGNED = re.compile(r"[ \t]*['\"]?[A-Za-z_][A-Za-z0-9_]*['\"]?[ \t]*=")
# Names that may be repeated from a value: any other could be a part of a secret.
_NOT_TEXT = (
    "holds a NUL or bytes that are not UTF-8, which TOML cannot; where it is Latin-1, iconv -f LATIN1 -t UTF-8 helps"
)
_EVERYBODYS = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "PWD", "LD_LIBRARY_PATH", "PYTHONPATH", "HOSTNAME")
_STRFTIME = "%-_YymdHMSFTDRsjaAbBehIkluVUWNwGgCcpPxXZz"


@dataclass(frozen=True, slots=True)
class Source:
    """One crontab. Bytes that are not UTF-8 come as surrogates."""

    text: str
    name: str = ""  # its file, said in the report where there are several
    user_field: bool = False  # a sixth field names the user, as in /etc/crontab
    owner: str = ""  # whose it is, where its folder tells


@dataclass(frozen=True, slots=True)
class How:
    dialect: Dialect = Dialect.DEBIAN
    user: str = "root"  # whom jobctl runs as
    sudo: bool = False  # lines of other users are run through it
    tidy: bool = False
    zone: str = "UTC"  # the machine's


def convert(
    text: str, dialect: Dialect, *, user_field: bool, user: str, sudo: bool = False, tidy: bool = False
) -> Imported:
    """Every line of one crontab as a job, or with the reason why not."""
    return convert_all([Source(text, user_field=user_field)], How(dialect, user, sudo, tidy))


def commands_of(text: str, dialect: Dialect = Dialect.CRONIE) -> list[str]:
    """The commands as they stand behind the times, whatever stands in front of them: what tells whether users do, and
    whether a file is a crontab at all."""
    found = []
    for line in _clean(text, Dialect.DEBIAN)[0].split("\n"):
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#") or not _is_sound(line) or read_variable(line, Dialect.DEBIAN):
            continue
        try:
            if dialect is Dialect.SUPERCRONIC:
                found.append(supercronic.read_entry(line).whole)
            else:
                found.append(read_entry(line, Dialect.CRONIE, user_field=False, root=True).whole)
        except RefusedError:
            continue
    return [command for command in found if command.strip()]


def convert_all(
    sources: Sequence[Source],
    how: How,
    there: Mapping[str, Table] | None = None,
    before: Mapping[str, Table] | None = None,
) -> Imported:
    """Several crontabs as one document. `there`: the jobs of a file that these are added to; what is in it already, by
    its command, is told of and left out. `before`: those of a file that this one replaces; they keep their names.
    """
    drafts: list[_Draft] = []
    imported = Imported()
    notes: list[str] = []
    for source in sources:
        reader = _Reader(source, how, several=len(sources) > 1)
        reader.read_all()
        imported.lines += reader.lines
        imported.tail += reader.free
        drafts += reader.drafts
        notes += reader.notes
        imported.commented_out += reader.commented_out
        imported.mail = imported.mail or reader.mail
    drafts = _without_known(drafts, there or {})
    for draft, name in zip(drafts, _names(drafts, there or {}, before or {}), strict=True):
        draft.line.job = name
        imported.jobs[name] = draft.table
        if len(imported.jobs) == 1:
            imported.head = draft.before
            draft.before = []
        if draft.before or draft.above:
            imported.comments[name] = [*draft.before, *draft.above]
    _drop_invalid(imported)
    imported.notes = [*notes, *_notes(imported, how)]
    return imported


@dataclass(slots=True)
class _Draft:
    """A job that has no name yet."""

    line: Line
    table: Table
    named_by: str  # the command that names it
    also: str  # what tells it from another such job
    before: list[list[str]]  # what was said before it, and is not about it
    above: list[list[str]]  # what stands right above it, and is about more than it


def _names(drafts: list[_Draft], there: Mapping[str, Table], before: Mapping[str, Table]) -> list[str]:
    left = dict(before)
    names = [""] * len(drafts)
    for same in (("command", "schedule"), ("command",)):
        for at, draft in enumerate(drafts):
            key = [draft.table.get(name) for name in same]
            if not names[at]:
                names[at] = next((name for name, job in left.items() if [job.get(k) for k in same] == key), "")
                left.pop(names[at], None)
    new = [draft for draft, name in zip(drafts, names, strict=True) if not name]
    taken = {*there, *names}
    found = iter(job_names([draft.named_by for draft in new], taken, [draft.also for draft in new]))
    return [name or next(found) for name in names]


def _without_known(drafts: list[_Draft], there: Mapping[str, Table]) -> list[_Draft]:
    """Those that the file does not have; each of its jobs stands for one."""
    left = dict(there)
    for same in (("command", "schedule"), ("command",)):
        for draft in drafts:
            if draft.line.became is Became.KNOWN:
                continue
            key = [draft.table.get(name) for name in same]
            name = next((name for name, job in left.items() if [job.get(key) for key in same] == key), None)
            if name is None:
                continue
            changed = left.pop(name).get("schedule") != draft.table.get("schedule")
            line = draft.line
            line.became, line.job = Became.KNOWN, ""
            line.why = f"it is there already, as {name}" + (", with another schedule: left as it is" if changed else "")
    return [draft for draft in drafts if draft.line.became is not Became.KNOWN]


class _Reader:
    """Goes through the lines of one crontab, with the variables as they stand."""

    def __init__(self, source: Source, how: How, *, several: bool) -> None:
        self.lines: list[Line] = []
        self.drafts: list[_Draft] = []
        self.notes: list[str] = []
        self.free: list[list[str]] = []  # paragraphs that stand above the next job
        self.commented_out: list[str] = []
        self.mail = False
        self._source = source
        self._how = how
        self._dialect = how.dialect
        self._file = source.name if several else ""
        self._variables: dict[str, str] = {}
        self._block: list[str] = []  # the comment above the next line

    def read_all(self) -> None:
        text, found = _clean(self._source.text, self._dialect)
        self.notes += [f"{self._source.name}: {note}" if self._file else note for note in found]
        *whole, rest = text.split("\n")
        lines = [*whole, rest] if rest else whole
        if self._dialect is Dialect.SUPERCRONIC:
            self._collect(lines)
        joined = (
            list(busybox.logical_lines(lines))
            if self._dialect is Dialect.BUSYBOX
            else [(number, line, []) for number, line in enumerate(lines, 1)]
        )
        for at, (number, line, more) in enumerate(joined):
            following = joined[at + 1][1].strip(" \t") if at + 1 < len(joined) else ""
            self._read(number, line, more_follow=bool(following) and not following.startswith("#"))
            for other in more:
                if lines[other - 1].strip(" \t"):
                    self._tell(other, Became.IGNORED, f"goes on with line {number}")
        self._part()
        if self.lines and rest and self._dialect in (Dialect.DEBIAN, Dialect.CRONIE):
            what = "the whole crontab" if self._dialect is Dialect.DEBIAN else "that line"
            which = f"the last line of {self._source.name}" if self._file else "the last line"
            self.notes.append(f"{which} has no line break at its end: cron ignores {what}; it is imported all the same")

    def _collect(self, lines: list[str]) -> None:
        """The variables of supercronic hold for the whole file."""
        for line in lines:
            stripped = line.lstrip(" \t")
            try:
                variable = None if stripped.startswith("#") or not _is_sound(line) else supercronic.read_variable(line)
            except RefusedError:
                continue
            if variable is not None and VARIABLE_RULE.fullmatch(variable[0]):
                self._variables[variable[0]] = variable[1]

    def _read(self, number: int, line: str, *, more_follow: bool) -> None:
        stripped = line.strip(" \t")
        if stripped.startswith("#"):
            self._read_comment(number, line)
        elif not stripped:
            self._part()
        elif not _is_sound(line):
            self._part()
            self._tell(number, Became.UNCONVERTED, _NOT_TEXT)
        else:
            try:
                variable = self._variable(line)
            except RefusedError as error:
                self._part()
                self._tell(number, Became.REFUSED, _because(error))
                return
            if variable is not None:
                self._tell_variable(number, *variable)
                if self.lines[-1].became is Became.IGNORED:  # what was said of it is said of nothing
                    self._block = []
                self._part()
            else:
                above, about = comments.split(self._block, more_follow=more_follow)
                self._block = []
                self._read_entry(number, line, comments.description(about), above)

    def _read_comment(self, number: int, line: str) -> None:
        said = comments.text_of(line)
        if not comments.is_head(said) and not comments.is_template(said) and self._is_entry(said):
            self.commented_out.append(f"{self._file} {number}".strip())
            self._block = []
        elif re.match(r"[A-Z_][A-Z0-9_]*=\S", said):  # a variable that was taken out; it may be a secret
            self._part()
        else:
            self._block.append(said)
        self._tell(number, Became.COMMENT, text=_printable(line))

    def _part(self) -> None:
        """What was said so far is not about the next line."""
        above, about = comments.split(self._block, more_follow=False)
        self.free += [*above, about] if about else above
        self._block = []

    def _is_entry(self, text: str) -> bool:
        """Whether a comment is a line that was taken out of service."""
        try:
            if self._dialect is Dialect.SUPERCRONIC:
                supercronic.read_entry(text)
                return True
            dialect = Dialect.DEBIAN if self._dialect is Dialect.BUSYBOX else self._dialect
            read_entry(text, dialect, user_field=self._source.user_field, root=True)
        except RefusedError:
            return False
        return True

    def _tell(self, number: int, became: Became, why: str = "", text: str = "", job: str = "") -> Line:
        line = Line(number, became, why, text, job, self._file)
        self.lines.append(line)
        return line

    # --- variables -------------------------------------------------------------------------------------------------

    def _variable(self, line: str) -> tuple[str, str] | None:
        match self._dialect:
            case Dialect.BUSYBOX:
                return busybox.read_variable(line)
            case Dialect.SUPERCRONIC:
                return supercronic.read_variable(line)
        return read_variable(line, self._dialect)

    def _tell_variable(self, number: int, name: str, value: str) -> None:
        if not name:
            self._tell(number, Became.UNCONVERTED, "a variable without a name")
            return
        if not VARIABLE_RULE.fullmatch(name):
            self._tell(number, Became.IGNORED, "the shell that cron runs commands with passes no such name on", name)
            return
        became, why = self._meaning(name, value)
        if name not in self._overwritten and not (self._dialect is Dialect.BUSYBOX and name not in busybox.VARIABLES):
            self._variables[name] = value
        if became is Became.VARIABLE and (expanded := _unexpanded(value)):
            why += f"; nothing expands the {expanded} in it, {self._dialect.called} neither: write out what is meant"
        self._tell(number, became, why, name)

    @property
    def _overwritten(self) -> tuple[str, ...]:
        """What cron sets itself, whatever the crontab says."""
        match self._dialect:
            case Dialect.SUPERCRONIC:
                return ()
            case Dialect.CRONIE:
                return ("LOGNAME", "USER")
        return ("LOGNAME",)

    def _meaning(self, name: str, value: str) -> tuple[Became, str]:
        cronie = self._dialect is Dialect.CRONIE
        reads_zone = cronie or self._dialect is Dialect.SUPERCRONIC
        if self._dialect is Dialect.BUSYBOX and name not in busybox.VARIABLES:
            return Became.IGNORED, "BusyBox reads no variable but SHELL, PATH and MAILTO: its commands never had it"
        if self._dialect is Dialect.SUPERCRONIC and name in _MAIL:
            return Became.VARIABLE, "in `env` of the jobs: supercronic sends no mail"
        if name in self._overwritten:
            return Became.IGNORED, "cron sets it itself"
        if name == "MAILTO" and not value:
            return Became.IGNORED, "jobctl sends no mail anyway; output is kept, see `jobctl logs`"
        if name == "MAILTO":
            self.mail = True
            return Became.VARIABLE, (
                "`notify` of the jobs below, which mails when a run fails; jobctl keeps the output of all, see"
                " `jobctl logs`"
            )
        if name in _MAIL:
            return Became.IGNORED, "jobctl sends no mail itself: `notify` runs a command of yours"
        where = "the jobs" if self._dialect is Dialect.SUPERCRONIC else "the jobs below"
        if name == "SHELL":
            return Became.VARIABLE, f"`shell` of {where}"
        if name == "HOME" and self._dialect is not Dialect.SUPERCRONIC:
            return Became.VARIABLE, f"in `env` of {where}, and their `cwd`: cron starts commands there"
        if name == "CRON_TZ" and reads_zone:
            return Became.VARIABLE, f"`timezone` of {where}"
        if name == "CRON_TZ":
            return Became.VARIABLE, "in `env` only: Debian's cron does not read it, times are the machine's"
        if name == "TZ":
            return Became.VARIABLE, "in `env` only: cron reads times in the machine's zone all the same"
        if name == "RANDOM_DELAY" and cronie:
            if _delay(value) is None:
                return Became.IGNORED, f"cron wants minutes, 0 to {_LONGEST_DELAY}"
            return Became.VARIABLE, "`jitter` of the schedules below; cron waits as long each time, jobctl does not"
        return Became.VARIABLE, f"in `env` of {where}"

    # --- entries ---------------------------------------------------------------------------------------------------

    def _read_entry(self, number: int, line: str, comment: str, above: list[list[str]]) -> None:
        text = "" if _LOOKS_ASSIGNED.match(line) else line
        try:
            entry = self._entry(line)
        except RefusedError as error:
            self._tell(number, Became.REFUSED, _because(error, _way_out(line)), text)
            return
        if not entry.command.strip(" \t"):
            why = "there is no command: cron starts a shell that does nothing"
            self._tell(number, Became.IGNORED, why, text)
            return
        schedule, why = self._schedule(entry)
        table: Table = {}
        if schedule is None:
            said = f"{comments.ends_as_sentence(comment)} " if comment else ""
            table["description"] = f"{said}Not scheduled: {why}. Line {number} of the crontab: {line.strip()}"
        else:
            if comment:
                table["description"] = comment
            table["schedule"] = schedule
        done = self._add_rest(table, entry)
        became = Became.JOB if schedule is not None else Became.DISABLED
        said = "; ".join([why, *self._remarks(entry, schedule), done]).strip("; ")
        told = self._tell(number, became, re.sub(r"(; )+", "; ", said), text)
        user = entry.user or self._source.owner
        also = user if user and user != self._how.user else self._source.name.rpartition("/")[2] if self._file else ""
        named_by = _meant(entry.whole) if self._mistaken_percent(entry) else entry.command
        self.drafts.append(_Draft(told, table, named_by, also, self.free, above))
        self.free = []

    def _entry(self, line: str) -> Entry:
        match self._dialect:
            case Dialect.BUSYBOX:
                return busybox.read_entry(line)
            case Dialect.SUPERCRONIC:
                return supercronic.read_entry(line)
        return read_entry(line, self._dialect, user_field=self._source.user_field, root=self._how.user == "root")

    def _schedule(self, entry: Entry) -> tuple[Schedule | None, str]:
        """The schedule, or None and why there is none."""
        try:
            found = self._times(entry)
        except NeverError as error:
            return None, _because(error)
        user = entry.user or self._source.owner
        if user and user != self._how.user and not self._how.sudo:
            return None, (
                f"its user is {user}, jobctl runs as {self._how.user}; --sudo writes sudo -u {user} in front of it,"
                f" or run a daemon as {user} and import it there"
            )
        if meant := self._mistaken_percent(entry):
            return None, (
                f"cron ends this command at the %, {meant}: a percent sign is \\% there. It is imported as it is meant;"
                f" to have it run, give it schedule = {_said(found)}"
            )
        if entry.macro == REBOOT:
            return REBOOT, ""
        zone = self._zone()
        if zone:
            try:
                check_zone(zone)
            except ZoneError as error:
                return None, f"{error.message} (CRON_TZ): {error.hint}"
        delay = _delay(self._variables.get("RANDOM_DELAY", "")) if self._dialect is Dialect.CRONIE else None
        return ({"cron": found, "jitter": f"{delay}m"} if delay else found), ""

    def _times(self, entry: Entry) -> Schedule:
        if entry.macro:
            return entry.macro
        match self._dialect:
            case Dialect.BUSYBOX:
                return busybox.schedule(entry)
            case Dialect.SUPERCRONIC:
                zone = self._zone() or self._how.zone
                try:
                    check_zone(zone)
                except ZoneError:
                    zone = "UTC"
                return supercronic.schedule(entry, zone)
        return cron_text(entry)

    def _mistaken_percent(self, entry: Entry) -> str:
        """What a bare % did to a command that cannot have been meant so; "" where it may have been."""
        if not self._dialect.has_user_field or not is_divided(entry.whole, self._dialect):
            return ""
        left_open = parse(entry.command).open
        if left_open and not parse(_meant(entry.whole)).open:
            return f"inside of {left_open}, so it can never have worked"
        behind = entry.whole[len(entry.command) :]
        if re.search(r"\bdate\b[^|;&]*\+\S*$", entry.command) and behind.lstrip("\\")[1:2] in tuple(_STRFTIME):
            return "in the format of date, so it cannot have done what was meant"
        return ""

    def _zone(self) -> str:
        reads = self._dialect in (Dialect.CRONIE, Dialect.SUPERCRONIC)
        return self._variables.get("CRON_TZ", "").removeprefix(":") if reads else ""

    def _add_rest(self, table: Table, entry: Entry) -> str:
        """Everything of the job but its schedule; what `--tidy` did."""
        variables = self._variables
        shell = variables.get("SHELL", _SH)
        user = entry.user or self._source.owner
        sudo = self._how.sudo and bool(user) and user != self._how.user
        command, stdin = (_meant(entry.whole), "") if self._mistaken_percent(entry) else (entry.command, entry.stdin)
        env = {name: value for name, value in variables.items() if self._is_for_commands(name, entry)}
        command = _without_blanks(command)
        if sudo:
            command = f"{_sudo(user, env)} {shlex.quote(shell)} -c {shlex.quote(command)}"
        elif stdin and like_sh(shell) and (fed := _fed(command, stdin)):
            command, stdin = fed, ""
        elif stdin:
            # The job's shell is sh here, whichever the crontab has: that one gets the command as its argument.
            command = f"{shlex.quote(shell)} -c {shlex.quote(command)}"
        table["command"] = f"{_printf(stdin)} | {command}" if stdin else command
        if not sudo and not stdin and shell != _SH:
            table["shell"] = shell
        if "schedule" in table and entry.macro != REBOOT and (zone := self._zone()):
            table["timezone"] = zone
        if self._dialect is Dialect.SUPERCRONIC:
            table["inherit_env"] = True
        else:
            table["cwd"] = variables.get("HOME", f"~{user}" if sudo else "~")
        if self._dialect.has_user_field:
            table["overlap"] = "allow_all"
        table["catchup_window"] = "1m"
        if self._dialect is not Dialect.SUPERCRONIC and (mail := variables.get("MAILTO", "")):
            table["notify"] = {"command": _mail(mail)}
        done = ""
        if self._how.tidy and not stdin and not sudo and "cwd" in table:
            done = into_folder(table, table["cwd"])
        if env:
            table["env"] = env
        return done

    def _is_for_commands(self, name: str, entry: Entry) -> bool:
        match self._dialect:
            case Dialect.SUPERCRONIC:
                return name not in ("SHELL",)
            case Dialect.BUSYBOX:
                return name == "PATH"
        if name in _MAIL:  # no command needs it but one that reads it
            return name in entry.command
        converted = ("SHELL", "CRON_TZ", "RANDOM_DELAY") if self._dialect is Dialect.CRONIE else ("SHELL",)
        return name not in converted

    def _remarks(self, entry: Entry, schedule: Schedule | None) -> Iterator[str]:
        first = schedule[0] if isinstance(schedule, list) else schedule
        cron = first.get("cron") if isinstance(first, dict) else first
        if schedule is not None and not entry.macro and (cron is None or cron != entry.written):
            said = schedule if isinstance(schedule, str) else _said(schedule)
            yield f"{self._dialect.called} reads {shortened(entry.written)} as {said}"
        yield from entry.remarks
        if entry.stdin and not self._mistaken_percent(entry):
            yield "what follows the % is the command's input"
        if entry.quiet:
            yield f"{entry.quiet} means nothing here"
        if "\r" in entry.command:
            yield "the command holds a carriage return: take it out"


def _drop_invalid(imported: Imported) -> None:
    """Leave out, and report, what a definitions file cannot say: braces in a variable, a shell with arguments."""
    lines = {line.job: line for line in imported.lines if line.job}
    while imported.jobs:
        _, problems = jobs.parse(dump_jobs(imported.jobs).encode(), file="crontab", folder="/")
        wrong = {problem.job: problem for problem in problems if not problem.warning}
        if not wrong:
            return
        for job, problem in wrong.items():
            del imported.jobs[job]
            imported.comments.pop(job, None)
            line = lines[job]
            line.became, line.job = Became.UNCONVERTED, ""
            line.why = f"{problem.key}: {problem.message}" + (f"; {problem.hint}" if problem.hint else "")


def _notes(imported: Imported, how: How) -> Iterator[str]:
    became = Counter(line.became for line in imported.lines)
    dialect = how.dialect
    if became[Became.REFUSED] and dialect is Dialect.DEBIAN:
        yield "Debian's cron ignores a whole crontab with a line that it refuses; the others are imported all the same"
    if became[Became.REFUSED] and dialect is Dialect.SUPERCRONIC:
        yield "supercronic does not start with a line that it refuses; the others are imported all the same"
    if out := imported.commented_out:
        which = f"line{'' if len(out) == 1 else 's'} {', '.join(out[:8])}" + (", …" if len(out) > 8 else "")
        yield f"{len(out)} {'entry is' if len(out) == 1 else 'entries are'} commented out, and left out: {which}"
    if not imported.jobs:
        return
    if any("give it schedule" in line.why and "%" in line.why for line in imported.lines):
        yield "a bare % is a percent sign for BusyBox and supercronic: if this crontab is theirs, say --dialect"
    if imported.mail:
        yield (
            "cron mails whatever a command prints, jobctl tells when a run fails: `notify` holds the command, which"
            " wants `mail` on this machine; any other will do"
        )
    if dialect.has_user_field:
        yield (
            'overlap = "allow_all" is what cron does; "skip", the default of jobctl, starts no second run beside one'
            " that still runs, and is what most jobs want"
        )
    yield (
        f'catchup_window = "1m" is what {dialect.called} does: a fire time that no daemon saw is lost; "24h" would make'
        " up for it"
    )
    if any(isinstance(job.get("schedule"), dict) and "dst_fold" in job["schedule"] for job in imported.jobs.values()):
        yield (
            "dst_gap and dst_fold are what BusyBox does: a time that the clocks skip does not run, one that comes twice"
            " runs twice; without them it runs once, after the gap"
        )
    if dialect is Dialect.SUPERCRONIC:
        yield "inherit_env = true is what supercronic does: commands see all variables that it was started with"
        yield (
            "supercronic runs commands in the folder in which it was started, jobctl in that of the file: say cwd if it"
            " is another"
        )
    elif any("PATH" not in job.get("env", {}) for job in imported.jobs.values()) and dialect.has_user_field:
        yield (
            "cron's PATH is /usr/bin:/bin where the crontab sets none; jobctl hands on the PATH of its daemon: to keep"
            ' cron\'s, write env = { PATH = "/usr/bin:/bin" }'
        )


# --- small things ----------------------------------------------------------------------------------------------------


def _clean(text: str, dialect: Dialect) -> tuple[str, list[str]]:
    """Without a byte order mark and the carriage returns of DOS, which nobody wants; and what was taken out."""
    notes = []
    if text.startswith(_BOM):
        text = text.removeprefix(_BOM)
        notes.append(
            "the file begins with a byte order mark (BOM), which cron takes for a part of the first line: left out"
        )
    lines = text.split("\n")
    if any(line.endswith("\r") for line in lines):
        text = "\n".join(line.rstrip("\r") for line in lines)
        if dialect is not Dialect.SUPERCRONIC:
            notes.append(
                "the file has DOS line ends (CR LF); cron hands the carriage returns to the commands: left out"
            )
    return text, notes


def _because(error: RefusedError | NeverError, way_out: str = "") -> str:
    hint = error.hint or way_out
    return f"{error}; {hint}" if hint else str(error)


def _way_out(line: str) -> str:
    """How jobctl would say the times of a line that cron refuses, "" if it does not know either."""
    words = line.split()
    if not words:
        return ""
    if words[0].startswith("@"):
        written = " ".join(words[:2]) if words[0] == "@every" else words[0]
    else:
        if more := _more_fields(line):
            return more
        written = " ".join(words[:5])
        if (
            len(words) < 6
            or not re.fullmatch(r"[\d*?/,#~()HRhrLlWwA-Za-z-]+", words[0])
            or (len(words[0]) > 1 and words[0].isalpha())
        ):
            return ""
    try:
        parse_cron(written)
    except CronError as error:
        return f"{error.message}; {error.hint}" if error.hint.startswith("as in") else error.hint
    return f'jobctl itself knows it: schedule = "{written}"' if not words[0].startswith("@") else ""


def _more_fields(line: str) -> str:
    """A way out for six and seven fields, which are supercronic's; or Quartz', with the seconds in front."""
    if len(line.split()) < 7 or not re.match(r"([\d*?][\d*?/,-]*\s+){3}(\S+\s+){2}[\d*?]", line.strip()):
        return ""
    try:
        entry = supercronic.read_entry(line)
        count = len(entry.written.split())
        if count < 6:
            return ""
        said = _said(supercronic.schedule(entry, "UTC"))
    except (RefusedError, NeverError):
        said, count = "", 6
    hint = f"{count} fields are supercronic's, say --dialect supercronic"
    hint += f": schedule = {said}" if said else ""
    words = line.split()[:6]
    try:
        parse_cron(" ".join(words[1:]))
    except CronError:
        return hint
    if count == 6 and words[0] != "*":
        hint += f'. If the first one is seconds, it is "{" ".join(words[1:])}"'
    return hint


def _said(schedule: Schedule) -> str:
    from jobctl.crontab.document import value_text

    return value_text(schedule)


def _unexpanded(value: str) -> str:
    """What in it looks as if something expanded it; a name only where it cannot be a part of a secret."""
    found = unexpanded(value)
    return "$" if found.startswith("$") and found.strip("${}") not in (*_EVERYBODYS, "( )") else found


def _without_blanks(command: str) -> str:
    """Those at its end, which the shell does not see."""
    bare = command.rstrip(" \t")
    return command if bare.endswith("\\") else bare


def _meant(command: str) -> str:
    return command.replace("\\%", "%")


def _sudo(user: str, env: Mapping[str, str]) -> str:
    """`sudo` has an environment of its own: what the crontab sets is named to it, its PATH only env can keep."""
    kept = [name for name in env if name != "PATH"]
    home = [] if "HOME" in env else ["-H"]
    path = ["env", 'PATH="$PATH"'] if "PATH" in env else []
    keep = [f"--preserve-env={','.join(kept)}"] if kept else []
    return " ".join(["sudo", *home, *keep, "-u", shlex.quote(user), "--", *path])


def _mail(addresses: str) -> str:
    to = " ".join(shlex.quote(address) for address in re.split(r"[,\s]+", addresses) if address)
    return f'jobctl logs "$JOBCTL_RUN" --tail 50 | mail -s "$JOBCTL_JOB $JOBCTL_STATUS: $JOBCTL_RUN" {to}'


def _fed(command: str, data: str) -> str:
    """With its input behind it, as a person would write it: a single command without redirections that ends in its
    own line. "" for any other."""
    script = parse(command)
    lines = data.split("\n")
    single = len(script.commands) == 1 and not script.operators and not script.open and "\n" not in command
    if not single or not re.fullmatch(r"[^<>#&]*[^<>#&\\]", command) or lines.pop() or _END in lines:
        return ""
    if script.commands[0].words[0].raw in ("if", "for", "while", "until", "case", "{", "!", "exec", "function", "[["):
        return ""
    return f"{command} <<'{_END}'\n{data}{_END}\n"


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


def _is_sound(line: str) -> bool:
    return "\0" not in line and not any("\ud800" <= char <= "\udfff" for char in line)


def _printable(line: str) -> str:
    return line.encode(errors="backslashreplace").decode().replace("\0", "\\0")


__all__ = ["How", "Source", "convert", "commands_of", "convert_all"]
