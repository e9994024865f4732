"""Which zone the machine is in: as the C library has it, or it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobctl.core.schedule import zones
from jobctl.core.schedule.zones import offset_at
from jobctl.host import machine

SUMMER, WINTER = 1_785_000_000, 1_800_000_000  # in July 2026, in January 2027


@pytest.mark.parametrize(
    ("tz", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/America/New_York", "America/New_York"),
        ("", "UTC"),
        ("EST5EDT", "EST5EDT"),
    ],
)
def test_tz_counts_first(tz: str, zone: str) -> None:
    assert machine.look_for_zone({"TZ": tz}) == (zone, "", "")


# What TZ may be beside a name: regebro/tzlocal#124, aptible/supercronic#71.
POSIX = [
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "<+0530>-5:30",
    "UTC-5",
    "UTC",
    "EST5",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "CST6CDT5",
    "AAA-12:34:56",
]


@pytest.mark.parametrize("tz", POSIX)
def test_a_tz_of_posix_is_what_the_c_library_makes_of_it(tz: str) -> None:
    found = machine.look_for_zone({"TZ": tz})
    assert not found.trouble
    program = "import time; print(*(time.localtime(s).tm_gmtoff for s in map(int, __import__('sys').argv[1:])))"
    moments = [str(at) for at in (SUMMER, WINTER, 1_774_000_000, 1_774_750_000, 1_793_000_000, 1_000_000_000)]
    told = subprocess.run(
        [sys.executable, "-c", program, *moments],
        env={**os.environ, "TZ": tz},
        capture_output=True,
        text=True,
        check=True,
    )
    where = zones.load(found.name)
    assert [offset_at(where, int(at)) for at in moments] == [int(offset) for offset in told.stdout.split()]


@pytest.mark.parametrize(
    ("tz", "hint"),
    [
        ("Bogus/Zone", "write an IANA name"),
        ("europe/stockholm", 'did you mean "Europe/Stockholm"?'),
        ("../../etc/passwd", "write an IANA name"),
        ("/nowhere/at/all", "write an IANA name"),
        ("+02:00", "an offset is no zone"),
        ("CET-1CEST,tomorrow", "write an IANA name"),
        ("CET-99", "write an IANA name"),
    ],
)
def test_a_tz_that_nobody_knows_is_said(tz: str, hint: str) -> None:
    found = machine.look_for_zone({"TZ": tz})
    assert found.name == "UTC"  # as for the commands
    assert tz in found.trouble
    assert hint in found.hint


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "LOCALTIME", str(tmp_path / "localtime"))
    monkeypatch.setattr(machine, "TIMEZONE", str(tmp_path / "timezone"))
    return tmp_path


def rules(name: str) -> bytes:
    path = machine._file_of(name)
    assert path is not None
    return Path(path).read_bytes()


# moby/moby#16481, regebro/tzlocal#123, ntop/ntopng#7172: what containers have.
@pytest.mark.parametrize(
    ("timezone", "name"),
    [(None, None), ("Etc/UTC", None), ("Europe/Berlin", "Europe/Berlin"), ("nonsense", None)],
)
def test_a_plain_file_is_read(etc: Path, timezone: str | None, name: str | None) -> None:
    (etc / "localtime").write_bytes(rules("Europe/Berlin"))
    if timezone is not None:
        (etc / "timezone").write_text(timezone + "\n")
    found = machine.look_for_zone({})
    assert found == (name or str(etc / "localtime"), "", "")
    berlin = ZoneInfo("Europe/Berlin")
    where = zones.load(found.name)
    assert [offset_at(where, at) for at in (SUMMER, WINTER)] == [offset_at(berlin, at) for at in (SUMMER, WINTER)]


@pytest.mark.parametrize("contents", [b"", b"TZif", b"nonsense" * 100, None])
def test_a_file_that_holds_no_rules_is_said(etc: Path, contents: bytes | None) -> None:
    if contents is None:
        os.mkfifo(etc / "localtime")
    else:
        (etc / "localtime").write_bytes(contents)
    found = machine.look_for_zone({})
    assert found.name == "UTC"
    assert str(etc / "localtime") in found.trouble
    assert "timezone =" in found.hint


def test_a_link_has_the_name_it_leads_to(etc: Path) -> None:
    folder = etc / "zoneinfo" / "Europe"
    folder.mkdir(parents=True)
    (folder / "Berlin").write_bytes(rules("Europe/Berlin"))
    (etc / "localtime").symlink_to(folder / "Berlin")
    assert machine.zone({}) == "Europe/Berlin"


def test_without_any_file_it_is_utc(etc: Path) -> None:
    assert machine.zone({}) == "UTC"
    (etc / "timezone").write_text("Asia/Tokyo\n")
    assert machine.zone({}) == "Asia/Tokyo"


def test_the_marks_change_when_the_zone_does(etc: Path) -> None:
    marks = [
        machine.zone_marks({"TZ": "Asia/Tokyo"}),
        machine.zone_marks({"TZ": "Europe/Berlin"}),
        machine.zone_marks({}),
    ]
    for name in ("Europe/Berlin", "Asia/Tokyo"):
        (etc / "new").write_bytes(rules(name))
        (etc / "new").rename(etc / "localtime")
        marks.append(machine.zone_marks({}))
    assert len({tuple(one) for one in marks}) == len(marks)
