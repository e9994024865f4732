"""`jobctl import crontab`: crontabs as a jobs.toml, and a report of every line. Which crontabs: crontab_files.py; what
becomes of them is the room crontab/."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile

from jobctl.cli import crontab_files, printing
from jobctl.cli.exit import two_lines
from jobctl.core.definition import document as toml_document
from jobctl.core.definition import jobs as definition
from jobctl.core.errors import JobctlError, Problem, UsageError
from jobctl.core.schedule.zones import ZoneError, check_zone
from jobctl.crontab import Became, Dialect, How, Imported, Line, convert_all, to_append, to_toml
from jobctl.host import machine
from jobctl.host.files import open_named, read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.host.settings import Settings

_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_LOST = (Became.DISABLED, Became.REFUSED, Became.UNCONVERTED)  # what -q still tells
_NOT_READ = (Became.REFUSED, Became.UNCONVERTED)
# Keys of [defaults] that a job of a crontab says itself, or that change nothing in it.
_SAID = ("cwd", "overlap", "catchup_window", "shell", "timezone", "env", "keep", "tags", "description")


def main(
    settings: Settings,
    *,
    sources: list[str],
    dialect: str,
    user_field: bool,
    no_user_field: bool,
    sudo: bool,
    tidy: bool,
    out: str | None,
    merge: bool,
    force: bool,
) -> int:
    """Prints the file, or writes it to `out`; the report goes to stderr. JobctlError when lines were refused and none
    became a job."""
    _check_usage(dialect, out, user_field=user_field, no_user_field=no_user_field, merge=merge, force=force)
    if out is not None and not force and not merge and os.path.lexists(out):
        raise _exists(out)
    old = _Old(out) if merge and out is not None and os.path.lexists(out) else None
    again = _again(sources or [], dialect, out, sudo=sudo, tidy=tidy, merge=merge, force=force)
    found = crontab_files.read(
        list(sources or []), Dialect(dialect), user_field=user_field, no_user_field=no_user_field, again=again
    )
    zone = machine.zone()
    how = How(Dialect(dialect), _user(), sudo, tidy, zone)
    imported = convert_all(found.sources, how, old.jobs if old else None, _replaced(out) if force else None)
    imported.notes[:0] = found.notes
    written = ""
    if imported.jobs:
        written = old.with_added(imported, zone) if old else to_toml(imported)
    if out is not None and written:
        if old is None:
            _write(out, written, force=force)
        else:
            _replace(out, written)
    if settings.json:
        printing.print_json(_document(imported, out if written else None))
    else:
        _report(settings, imported)
    if not imported.jobs:
        return _nothing(settings, imported)
    if settings.json:
        return 0
    if out is None:
        printing.say(written.rstrip("\n"))
    elif not settings.quiet:
        where = "" if out == "jobs.toml" else f"--file {shlex.quote(out)} "
        said = f"added {_count(len(imported.jobs), 'job')} to {out}" if old else f"wrote {out}"
        printing.note(f"{said}; next: jobctl {where}validate")
    return 0


def _check_usage(
    dialect: str, out: str | None, *, user_field: bool, no_user_field: bool, merge: bool, force: bool
) -> None:
    if out is None and force:
        raise UsageError("--force means nothing without -o", hint="name the file that may be overwritten: -o jobs.toml")
    if out is None and merge:
        raise UsageError("--merge means nothing without -o", hint="name the file to add to: -o jobs.toml")
    if merge and force:
        raise UsageError("--merge keeps what --force overwrites", hint="give one of them")
    if user_field and no_user_field:
        raise UsageError("--user-field and --no-user-field contradict each other", hint="give one of them")
    if user_field and not Dialect(dialect).has_user_field:
        called = Dialect(dialect).called
        raise UsageError(f"{called} has no crontabs with a user in them", hint="leave out --user-field, or --dialect")


def _again(
    sources: list[str], dialect: str, out: str | None, *, sudo: bool, tidy: bool, merge: bool, force: bool
) -> str:
    words = ["jobctl", "import", "crontab", *sources]
    words += ["--dialect", dialect] if dialect != "debian" else []
    words += ["--sudo"] * sudo + ["--tidy"] * tidy
    words += ["-o", out] if out is not None else []
    words += ["--merge"] * merge + ["--force"] * force
    return shlex.join(words)


def _nothing(settings: Settings, imported: Imported) -> int:
    """No job came of it: fine where nobody wanted one, an error where lines could not be read."""
    became = {line.became for line in imported.lines}
    if not became.intersection(_NOT_READ):
        if not settings.json and not settings.quiet:
            if Became.KNOWN in became:
                why = "all of it is there already"
            elif became and became <= {Became.COMMENT}:
                why = "there are only comments in it"
            else:
                why = "there is no entry in it"
            printing.note(f"nothing to import: {why}")
        return 0
    nothing = JobctlError(
        "no line of it became a job", hint="the report says why; --dialect and --user-field change the reading"
    )
    if not settings.json:
        raise nothing
    printing.note(two_lines(nothing))  # stdout has its one document: the report is in it
    return nothing.exit_code


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


# --- the file --------------------------------------------------------------------------------------------------------


def _replaced(out: str | None) -> dict[str, dict[str, Any]] | None:
    """The jobs of the file that is overwritten, if it can be read: what is still there keeps its name, and with it its
    history."""
    try:
        return _Old(out).jobs if out is not None else None
    except JobctlError:
        return None


class _Old:
    """A definitions file that jobs are added to. Its text is not touched: they are tables behind it."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._data = read_regular(path, _SIZE_LIMIT + 1)
        except OSError as error:
            raise JobctlError(f"{path}: {error.strerror}", hint="name another file with -o") from None
        read = toml_document.read(self._data)
        if isinstance(read, Problem):
            where = f" line {read.line}" if read.line else ""
            raise JobctlError(
                f"{path}{where} cannot be added to: {read.message}", hint=read.hint or "mend it first: jobctl validate"
            )
        document = read[1]
        jobs, defaults = document.get("jobs", {}), document.get("defaults", {})
        self._defaults: dict[str, Any] = defaults if isinstance(defaults, dict) else {}
        self.jobs: dict[str, dict[str, Any]] = {}
        if isinstance(jobs, dict):
            self.jobs = {name: job for name, job in jobs.items() if isinstance(job, dict)}
        self._valid = self._parse(self._data) is not None

    def _parse(self, data: bytes) -> definition.Definitions | None:
        definitions, _ = definition.parse(data, file=self._path, folder=os.path.dirname(os.path.abspath(self._path)))
        return definitions

    def with_added(self, imported: Imported, zone: str) -> str:
        """The whole text. JobctlError where the file is not written so that tables can follow."""
        text = self._data.decode()
        try:
            check_zone(zone)
        except ZoneError:  # a zone of this machine alone, which no file can name: theirs counts
            zone = str(self._defaults.get("timezone", zone))
        added = to_append(imported, self._defaults, zone)
        if "\r\n" in text:
            added = added.replace("\n", "\r\n")
        end = "" if not text or text.endswith("\n") else "\n"
        whole = f"{text}{end}{'' if not text.strip() else chr(10)}{added}"
        fits = not isinstance(toml_document.read(whole.encode()), Problem)
        if not fits or (self._valid and self._parse(whole.encode()) is None):
            raise JobctlError(
                f"{self._path} cannot be added to: tables for the new jobs would not fit behind what it says",
                hint="write the jobs to a file of their own with -o, and copy what you want of them",
            )
        if others := sorted(key for key in self._defaults if key not in _SAID and key not in _mentioned(imported)):
            imported.notes.append(f"[defaults] of {self._path} count for the new jobs, too: {', '.join(others)}")
        return whole


def _mentioned(imported: Imported) -> set[str]:
    return set.intersection(*(set(job) for job in imported.jobs.values()))


def _write(path: str, text: str, *, force: bool) -> None:
    """For the owner's eyes only, as crontabs are: the variables may be secrets."""
    try:
        fd = open_named(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL), 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None


def _replace(path: str, text: str) -> None:
    """What is there is replaced at once and whole, or not at all; links and mode stay."""
    target = os.path.realpath(path)
    fd, draft = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
    try:
        with open(fd, "w", encoding="utf-8", newline="") as file:
            os.fchmod(fd, stat.S_IMODE(os.stat(target).st_mode))
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise


def _exists(path: str) -> JobctlError:
    return JobctlError(
        f"{path} exists already", hint="add to it with --merge, overwrite it with --force, or name another with -o"
    )


# --- the report ------------------------------------------------------------------------------------------------------


def _report(settings: Settings, imported: Imported) -> None:
    for line in imported.lines:
        if line.became in _LOST if settings.quiet else (settings.verbose or line.became is not Became.COMMENT):
            where = f"{line.file} line {line.number}" if line.file else f"line {line.number}"
            printing.note(f"{where}: {_sentence(line)}")
    if not settings.quiet:
        for note in imported.notes:
            printing.note(f"note: {note}")


def _sentence(line: Line) -> str:
    why = f": {line.why}" if line.why else ""
    match line.became:
        case Became.JOB:
            return f"job {line.job}{why}"
        case Became.DISABLED:
            return f"job {line.job}, without a schedule{why}"
        case Became.VARIABLE | Became.IGNORED:
            return f"{line.text}: {line.why}" if line.text else line.why
        case Became.COMMENT:
            return "a comment"
        case Became.KNOWN:
            return f"not added{why}"
        case Became.REFUSED:
            return f"not imported, cron refuses it{why}"
        case Became.UNCONVERTED:
            return f"not imported{why}"


def _document(imported: Imported, file: str | None) -> dict[str, Any]:
    """Values of variables are never repeated in it."""
    from jobctl.definitions.masking import MASK

    jobs = {
        name: {**job, "env": dict.fromkeys(job["env"], MASK)} if "env" in job else job
        for name, job in imported.jobs.items()
    }
    return {
        "file": os.path.abspath(file) if file is not None else None,
        "jobs": jobs,
        "report": [
            {
                "file": line.file or None,
                "line": line.number,
                "text": line.text or None,
                "became": str(line.became),
                "why": line.why or None,
                "job": line.job or None,
            }
            for line in imported.lines
        ],
        "notes": imported.notes,
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
