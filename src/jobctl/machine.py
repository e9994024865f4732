"""What this machine says of itself: the time zone that schedules without one of their own follow, where the rules
of all zones come from, and which of its file systems cannot be written."""

from __future__ import annotations

import os

from jobctl.files import read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

READ_ONLY_HINT = "find out why (dmesg), then: mount -o remount,rw; or choose another state folder: --state-dir"

_ZONE_FILES = "/zoneinfo/"  # what comes before the name in the path of a zone's file


def zone(environ: Mapping[str, str] = os.environ) -> str:
    """The IANA name of the machine's zone: TZ's, else what /etc/localtime leads to, else /etc/timezone's, else UTC.

    What no zone database knows is passed over; so is a TZ that spells out its rules, such as `CET-1CEST`.
    """
    from jobctl.core.zones import ZoneError, load

    for name in zone_names(environ):
        try:
            load(name)
        except ZoneError:
            continue
        return name
    return "UTC"


def zone_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What the machine calls its zone, most important first, unchecked: cheap, and changes when the zone does."""
    names = []
    if (told := environ.get("TZ")) is not None:
        names.append(told.removeprefix(":").rpartition(_ZONE_FILES)[2] or "UTC")  # POSIX: an empty TZ means UTC
    names.append(os.path.realpath("/etc/localtime").rpartition(_ZONE_FILES)[2])
    try:
        names.append(_first_line("/etc/timezone").strip())
    except OSError:
        pass
    return names


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
        import tzdata  # type: ignore[import-untyped]  # it has none
    except ImportError:
        return "", ""
    return tzdata.IANA_VERSION, os.path.dirname(tzdata.__file__)


def read_only(path: str) -> bool:
    """Whether that is on a file system that is mounted read-only, as some are after an error of the disk."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False
