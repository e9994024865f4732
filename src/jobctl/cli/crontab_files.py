"""Which crontabs are meant by what was named on the command line, whose they are, and whether a user stands in front of
their commands. What becomes of them: import_crontab.py."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from functools import cache

from jobctl.core.errors import JobctlError
from jobctl.crontab import Dialect, Source, commands_of, users
from jobctl.host.files import read_regular

STDIN = "-"
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_CRON_D_NAME = re.compile(r"[A-Za-z0-9_-]+")  # what Debian's cron reads in /etc/cron.d
_LEFT_BEHIND = re.compile(r"^[.#]|[~#]$|\.(bak|old|orig|rej|swp|save|disabled|rpm\w+|dpkg-\w+|ucf-\w+|placeholder)$")
_OF_CRON = re.compile(r"(^|/)(cron\.d|crontabs|tabs|cron)/[^/]+$")  # where all files are crontabs
_SCRIPTS = re.compile(r"cron\.(hourly|daily|weekly|monthly|yearly|\d+min)$|^(\d+min|hourly|daily|weekly|monthly)$")


class ThisMachine:
    """What users.py asks."""

    def has_user(self, name: str) -> bool:
        import pwd

        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def has_program(self, name: str) -> bool:
        return _which(name)


@cache
def _which(name: str) -> bool:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}") is not None


class Found:
    """The crontabs, and what is to be said of what was left aside."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.notes: list[str] = []


def read(named: list[str], dialect: Dialect, *, user_field: bool, no_user_field: bool, again: str) -> Found:
    """All of them. `again`: the command as it was typed, for whoever has to type it once more. JobctlError."""
    found = Found()
    texts: list[tuple[str, str]] = []
    for name in dict.fromkeys(named):
        if name == STDIN or not os.path.isdir(name):
            texts.append((name, _decoded(_bytes(name), name)))
            continue
        inside = [(path, _decoded(_bytes(path), path)) for path in _in_folder(name, found)]
        crontabs = [(path, text) for path, text in inside if _OF_CRON.search(path) or commands_of(text, dialect)]
        texts += crontabs
        if others := [os.path.basename(path) for path, text in inside if (path, text) not in crontabs]:
            found.notes.append(f"{name}: left aside, there is no entry in them: {', '.join(others)}")
    if not named:
        texts.append(("", _decoded(_crontab_of_user(), "your crontab")))
    for path, text in texts:
        where = os.path.abspath(path) if path not in (STDIN, "") else ""
        owner = users.owner(where)
        if dialect is Dialect.DEBIAN and re.search(r"(?<!/var/spool/cron)/crontabs/[^/]+$", where):
            found.notes.append(f"{path}: in crontabs/ BusyBox looks for them: if it is its, say --dialect busybox")
        alone = len(texts) == 1
        has_users = _has_users(
            path, text, dialect, known=users.has_user_field(where), owned=bool(owner),
            said=True if user_field and (alone or not owner) else False if no_user_field else None,
            again=again, found=found,
        )  # fmt: skip
        found.sources.append(Source(text, "" if path in ("", STDIN) and alone else path, has_users, owner))
    return found


def _has_users(
    path: str, text: str, dialect: Dialect, *, known: bool, owned: bool, said: bool | None, again: str, found: Found
) -> bool:
    """What was said counts; else the path, unless the words say otherwise. JobctlError where they do."""
    if said is not None or not dialect.has_user_field:
        return bool(said) and dialect.has_user_field
    commands = commands_of(text)
    evidence = users.evidence(commands, ThisMachine())
    called = {"": "your crontab", STDIN: "standard input"}.get(path, path)
    if known and users.speaks_against_users(evidence, len(commands)):
        raise JobctlError(
            f"{called}: by its path a user stands in front of each command, but what stands there are commands",
            hint=f"if there is none: {again} --no-user-field; if there is, --user-field",
        )
    if not known and users.speaks_for_users(evidence, len(commands)):
        raise JobctlError(
            f"{called}: these lines have a user in front of the command: {_some(evidence.words)}",
            hint=f"{again} --user-field; or --no-user-field, if that is what they run",
        )
    if not known and not owned and evidence.users:
        found.notes.append(
            f"{called}: a command begins with {_some(evidence.words)}: a system crontab has a user in front of the"
            " command, say --user-field if this is one"
        )
    return known


def _some(words: tuple[str, ...]) -> str:
    return ", ".join(words[:5]) + (", …" if len(words) > 5 else "")


def _in_folder(folder: str, found: Found) -> list[str]:
    """The crontabs in it that cron would read; what it would not is told of."""
    base = os.path.basename(os.path.abspath(folder))
    if _SCRIPTS.search(base):
        raise JobctlError(
            f"{folder} holds scripts that run-parts runs, no crontabs",
            hint="the line that runs them is in /etc/crontab, or in /etc/anacrontab",
        )
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from None
    if base == "cron" and (inner := next((name for name in ("crontabs", "tabs") if name in names), None)):
        folder = os.path.join(folder, inner)
        return _in_folder(folder, found)
    paths, aside = [], []
    for name in names:
        path = os.path.join(folder, name)
        if name in (".placeholder", "cron.update", "cron.deny", "cron.allow"):
            continue
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except OSError as error:
            raise _unreadable(path, error) from None
        read_by_cron = _CRON_D_NAME.fullmatch(name) if base == "cron.d" else not _LEFT_BEHIND.search(name)
        if regular and read_by_cron:
            paths.append(path)
        elif regular:
            aside.append(name)
    if aside:
        found.notes.append(f"{folder}: left aside, by their names cron does not read them: {', '.join(aside)}")
    if not paths:
        found.notes.append(f"{folder}: there is no crontab in it")
    return paths


def _bytes(path: str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(_SIZE_LIMIT + 1)
    try:
        return read_regular(path, _SIZE_LIMIT + 1)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> JobctlError:
    hint = "name a crontab, a folder of them, or - for standard input"
    if isinstance(error, PermissionError):
        hint = "as root it can be read: sudo jobctl import crontab …, or leave it out"
    return JobctlError(f"{path}: {error.strerror or error}", hint=hint)


def _decoded(data: bytes, called: str) -> str:
    if len(data) > _SIZE_LIMIT:
        raise JobctlError(f"{called}: that is larger than 16 MiB, no crontab is", hint="is it the right file?")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise JobctlError(
            f"{called} is written in UTF-16, which no cron reads", hint="save it as UTF-8: iconv -f UTF-16 -t UTF-8"
        )
    return data.decode("utf-8", "surrogateescape")


def _crontab_of_user() -> bytes:
    """What `crontab -l` prints."""
    import subprocess

    hint = "name a file: jobctl import crontab FILE, or - for standard input"
    try:
        listed = subprocess.run(["crontab", "-l"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError:
        raise JobctlError("there is no `crontab` command here to ask for your crontab", hint=hint) from None
    if listed.returncode != 0:
        said = listed.stderr.decode("utf-8", "backslashreplace").strip() or f"exit code {listed.returncode}"
        raise JobctlError(f"`crontab -l` says: {said}", hint=hint)
    return listed.stdout
