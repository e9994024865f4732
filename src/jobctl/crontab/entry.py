"""The nouns of a crontab: whose it is, what a line says, why one is not taken. How it is read: one file a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobctl.core.record import NamedTuple

REBOOT = "@reboot"

Schedule = str | dict[str, Any] | list[str | dict[str, Any]]  # as it stands in the TOML file


class Dialect(StrEnum):
    """Whose cron reads it."""

    DEBIAN = "debian"
    CRONIE = "cronie"
    BUSYBOX = "busybox"
    SUPERCRONIC = "supercronic"

    @property
    def called(self) -> str:
        return {"debian": "cron", "cronie": "cron", "busybox": "BusyBox", "supercronic": "supercronic"}[self]

    @property
    def has_user_field(self) -> bool:
        """Whether it knows crontabs with a user in front of the commands at all."""
        return self in (Dialect.DEBIAN, Dialect.CRONIE)


class RefusedError(ValueError):
    """A line that cron itself does not take, with why, and how jobctl would say it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NeverError(ValueError):
    """A schedule that cron takes and jobctl has no word for: it never fires, nobody can tell when. With a way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Numbers(NamedTuple):
    """One field: the numbers it names, as bits; what it begins with where that is a star; whether chance is in it."""

    bits: int
    star: str = ""  # "*", "*/5" or ""
    chance: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that runs a command. `stdin` is what the command reads: all after the first `%`, line breaks and all."""

    macro: str  # "@daily" …, or "" where there are fields
    fields: tuple[Numbers, ...]
    written: str  # the fields as they stand in the line
    user: str  # "" in a user's own crontab
    command: str
    stdin: str
    quiet: str = ""  # cronie's options: "-" (not in syslog), "-n" (mail only on failure), both
    whole: str = ""  # the command as it stands in the line, before a % divides it
    remarks: tuple[str, ...] = ()  # what the reader found odd


class Became(StrEnum):
    """What a line of a crontab is in the end."""

    JOB = "job"
    DISABLED = "disabled"  # a job without a schedule
    KNOWN = "known"  # a job that the file has already
    VARIABLE = "variable"  # part of the jobs below it
    IGNORED = "ignored"  # a line that changes nothing in jobctl
    COMMENT = "comment"
    REFUSED = "refused"  # by cron itself
    UNCONVERTED = "unconverted"  # cron takes it, jobctl cannot
