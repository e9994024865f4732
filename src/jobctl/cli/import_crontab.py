"""`jobctl import crontab`: a crontab as a jobs.toml, and a report of every line. What becomes of it is crontab.py's."""

from __future__ import annotations

import os
import shlex
import sys

from jobctl.cli import output
from jobctl.cli.exit import two_lines
from jobctl.core.errors import JobctlError, UsageError
from jobctl.crontab import Became, Dialect, Imported, Line, convert, to_toml
from jobctl.files import open_named, read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.settings import Settings

_STDIN = "-"
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_LOST = (Became.DISABLED, Became.REFUSED, Became.UNCONVERTED)  # what -q still tells


def main(
    settings: Settings, *, source: str | None, dialect: str, user_field: bool, out: str | None, force: bool
) -> int:
    """Prints the file, or writes it to `out`; the report goes to stderr. JobctlError when no line became a job."""
    if out is None and force:
        raise UsageError("--force means nothing without -o", hint="name the file that may be overwritten: -o jobs.toml")
    if out is not None and not force and os.path.exists(out):
        raise _exists(out)
    data = _crontab_of_user() if source is None else _read(source)
    if len(data) > _SIZE_LIMIT:
        raise JobctlError("that is larger than 16 MiB, no crontab is", hint="is it the right file?")
    text = data.decode("utf-8", "surrogateescape")
    imported = convert(text, Dialect(dialect), user_field=user_field, user=_user())
    written = to_toml(imported) if imported.jobs else ""
    if out is not None and written:
        _write(out, written, force=force)
    if settings.json:
        output.print_json(_document(imported, out if written else None))
    else:
        _report(settings, imported)
    if not written:
        nothing = JobctlError(
            "no line of it became a job", hint="the report says why; --dialect and --user-field change the reading"
        )
        if not settings.json:
            raise nothing
        output.note(two_lines(nothing))  # stdout has its one document: the report is in it
        return nothing.exit_code
    if settings.json:
        return 0
    if out is None:
        output.say(written.rstrip("\n"))
    elif not settings.quiet:
        where = "" if out == "jobs.toml" else f"--file {shlex.quote(out)} "
        output.note(f"wrote {out}; next: jobctl {where}validate")
    return 0


def _crontab_of_user() -> bytes:
    """What `crontab -l` prints."""
    import subprocess

    try:
        listed = subprocess.run(["crontab", "-l"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError:
        raise JobctlError(
            "there is no `crontab` command here to ask for your crontab",
            hint="name a file: jobctl import crontab FILE, or - for standard input",
        ) from None
    if listed.returncode != 0:
        said = listed.stderr.decode("utf-8", "backslashreplace").strip() or f"exit code {listed.returncode}"
        raise JobctlError(
            f"`crontab -l` says: {said}", hint="name a file: jobctl import crontab FILE, or - for standard input"
        )
    return listed.stdout


def _read(source: str) -> bytes:
    if source == _STDIN:
        return sys.stdin.buffer.read(_SIZE_LIMIT + 1)
    return read_regular(source, _SIZE_LIMIT + 1)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _write(path: str, text: str, *, force: bool) -> None:
    """For the owner's eyes only, as crontabs are: the variables may be secrets."""
    try:
        fd = open_named(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL), 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None


def _exists(path: str) -> JobctlError:
    return JobctlError(f"{path} exists already", hint="name another file with -o, or overwrite it with --force")


def _report(settings: Settings, imported: Imported) -> None:
    for line in imported.lines:
        if line.became in _LOST if settings.quiet else (settings.verbose or line.became is not Became.COMMENT):
            output.note(f"line {line.number}: {_sentence(line)}")
    if not settings.quiet:
        for note in imported.notes:
            output.note(f"note: {note}")


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
        case Became.REFUSED:
            return f"not imported, cron refuses it{why}"
        case Became.UNCONVERTED:
            return f"not imported{why}"


def _document(imported: Imported, file: str | None) -> dict[str, Any]:
    """Values of variables are never repeated in it."""
    from jobctl.masking import MASK

    jobs = {
        name: {**job, "env": dict.fromkeys(job["env"], MASK)} if "env" in job else job
        for name, job in imported.jobs.items()
    }
    return {
        "file": os.path.abspath(file) if file is not None else None,
        "jobs": jobs,
        "report": [
            {
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
