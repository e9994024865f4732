"""What this machine says of itself: the time zone that schedules without one of their own follow, where the rules
of all zones come from, and which of its file systems cannot be written."""

from __future__ import annotations

import os

from jobctl.core.record import NamedTuple
from jobctl.host.files import read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

READ_ONLY_HINT = "find out why (dmesg), then: mount -o remount,rw; or choose another state folder: --state-dir"

_ZONE_FILES = "/zoneinfo/"  # what comes before the name in the path of a zone's file
LOCALTIME, TIMEZONE = "/etc/localtime", "/etc/timezone"
# Where zoneinfo looks for the rules of zones, unless PYTHONTZPATH says otherwise: it is not loaded to be asked.
_TZPATH = "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"
_LARGEST = 1 << 20  # no zone has rules of a MiB


class Found(NamedTuple):
    """The machine's zone: a name that core/schedule/zones.py knows. `trouble`: what was not understood, and the way
    out; both "" where all was."""

    name: str
    trouble: str = ""
    hint: str = ""


def zone(environ: Mapping[str, str] = os.environ) -> str:
    """The machine's zone, as the C library has it and so every command: TZ's, else that of /etc/localtime, else
    /etc/timezone's, else UTC. An IANA name, where it has one."""
    return look_for_zone(environ).name


def look_for_zone(environ: Mapping[str, str] = os.environ) -> Found:
    """The same, and what is wrong with how the machine names it."""
    told = environ.get("TZ")
    return _of_files() if told is None else _of_variable(told)


def _of_variable(told: str) -> Found:
    from io import BytesIO

    from jobctl.core.schedule import zones

    text = told.removeprefix(":")
    if not text:
        return Found("UTC")  # POSIX
    name = text.rpartition(_ZONE_FILES)[2]
    if _is_named(name):
        return Found(name)
    given = f"TZ={text}"
    try:
        zones.give(given, BytesIO(_rules_in(text) if text.startswith("/") else zones.rules_of(text)))
    except (OSError, ValueError):
        try:
            zones.check_zone(text)
            way_out = ""
        except zones.ZoneError as error:
            way_out = error.hint
        # As the C library, so that commands and schedules agree.
        trouble = f"TZ is {zones.quoted(text)}, which is no time zone: the machine's zone counts as UTC"
        return Found("UTC", trouble, way_out)
    return Found(given)


def _of_files() -> Found:
    from io import BytesIO

    from jobctl.core.schedule import zones

    name = os.path.realpath(LOCALTIME).rpartition(_ZONE_FILES)[2]
    if _ZONE_FILES in os.path.realpath(LOCALTIME) and _is_named(name):
        return Found(name)
    named = _timezone()
    try:
        rules = _rules_in(LOCALTIME)
    except FileNotFoundError:
        return Found(named if _is_named(named) else "UTC")
    except OSError as error:
        why = error.strerror or str(error)
        return Found("UTC", f"{LOCALTIME} cannot be read ({why}): the machine's zone counts as UTC", _WRITE_IT)
    # A file that was copied or mounted there has no name. /etc/timezone's is its name if it has the same rules.
    if _is_named(named) and rules == _rules_of(named):
        return Found(named)
    try:
        zones.give(LOCALTIME, BytesIO(rules))
    except ValueError:
        return Found("UTC", f"{LOCALTIME} holds no rules of a time zone: the machine's zone counts as UTC", _WRITE_IT)
    return Found(LOCALTIME)


_WRITE_IT = 'write timezone = "Europe/Berlin", or which it is, into [defaults] of the definitions'


def _is_named(name: str) -> bool:
    from jobctl.core.schedule.zones import ZoneError, check_zone

    try:
        check_zone(name)
    except ZoneError:
        return False
    return True


def _rules_in(path: str) -> bytes:
    return read_regular(path, _LARGEST)


def _rules_of(name: str) -> bytes | None:
    path = _file_of(name)
    return None if path is None else _rules_in(path)


def _file_of(name: str) -> str | None:
    """Where the rules of a zone are."""
    for folder in os.environ.get("PYTHONTZPATH", _TZPATH).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    try:
        import tzdata  # type: ignore[import-untyped]  # it has none
    except ImportError:
        return None
    path = os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo", name)
    return path if os.path.isfile(path) else None


def _timezone() -> str:
    try:
        return _first_line(TIMEZONE).strip()
    except OSError:
        return ""


def zone_marks(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What changes when the machine's zone does: cheap to ask for, and a text each."""
    real = os.path.realpath(LOCALTIME)
    return [environ.get("TZ", "-"), real, _mark(real), _timezone()]


def rule_marks(names: Iterable[str]) -> dict[str, str]:
    """zone -> what changes when its rules do."""
    found = {}
    for name in names:
        path = _file_of(name) if "=" not in name and not name.startswith("/") else None
        found[name] = "" if path is None else _mark(path)
    return found


def _mark(path: str) -> str:
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_dev}/{info.st_ino}/{info.st_size}/{info.st_mtime_ns}"


def _first_line(path: str) -> str:
    """What it begins with, of a file that PYTHONTZPATH may have put anywhere. OSError."""
    return read_regular(path, 80).partition(b"\n")[0].decode("ascii", "replace")


def zone_database() -> tuple[str, str]:
    """Version (`2026f`; "" where it does not say) and place of the time zone database in use; ("", "") for none."""
    from zoneinfo import TZPATH

    # As zoneinfo looks: in the system's folders, then in the package tzdata.
    for folder in TZPATH:
        if os.path.exists(os.path.join(folder, "Etc", "UTC")):
            try:
                first = _first_line(os.path.join(folder, "tzdata.zi")).split()
            except OSError:
                first = []
            return first[-1] if first[:2] == ["#", "version"] else "", folder
    try:
        import tzdata
    except ImportError:
        return "", ""
    return tzdata.IANA_VERSION, os.path.dirname(tzdata.__file__)


def read_only(path: str) -> bool:
    """Whether that is on a file system that is mounted read-only, as some are after an error of the disk."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False
