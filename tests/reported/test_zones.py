"""The zone of the machine, and its rules, while a daemon runs: healthchecks/healthchecks#385, #418, firewalla#560."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import NOW, Place, job

from jobctl.core.schedule import zones
from jobctl.host import machine

HOUR = 3_600_000
FIVE_PAST = job("'5 9 * * *'")  # NOW is 08:00 in UTC


@pytest.fixture
def new_place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make() -> Place:
        made.append(Place(tmp_path))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "LOCALTIME", str(tmp_path / "localtime"))
    monkeypatch.setattr(machine, "TIMEZONE", str(tmp_path / "timezone"))
    monkeypatch.delenv("TZ", raising=False)
    return tmp_path


def rules(name: str) -> str:
    path = machine._file_of(name)
    assert path is not None
    return path


def link(etc: Path, name: str) -> None:
    (etc / "new").symlink_to(rules(name))
    (etc / "new").rename(etc / "localtime")


def copied(etc: Path, name: str) -> None:
    shutil.copy(rules(name), etc / "new")
    (etc / "new").rename(etc / "localtime")


@pytest.mark.parametrize("put", [link, copied])
def test_a_daemon_follows_the_machines_zone(
    etc: Path, new_place: Callable[..., Place], put: Callable[[Path, str], None]
) -> None:
    put(etc, "Etc/UTC")
    place = new_place()
    place.arm(FIVE_PAST)
    assert place.scheduler.look_at_zones() == ""
    assert place.scheduler.next_due() == NOW + HOUR + 300_000
    put(etc, "Europe/Berlin")
    said = place.scheduler.look_at_zones()
    assert said
    assert place.scheduler.next_due() == NOW + 300_000
    place.fire(NOW + 300_000)
    assert place.fired() == [300_000]
    assert place.scheduler.look_at_zones() == ""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A time zone database of our own."""
    import zoneinfo

    folder = tmp_path / "rules"
    (folder / "Europe").mkdir(parents=True)
    shutil.copy(rules("Europe/Berlin"), folder / "Europe" / "Berlin")
    monkeypatch.setenv("PYTHONTZPATH", str(folder))
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(folder)])
    zones.forget()
    yield folder
    zoneinfo.reset_tzpath(before)
    zones.forget()


def test_a_daemon_follows_the_rules(database: Path, new_place: Callable[..., Place]) -> None:
    """A law is changed with weeks' notice, and a daemon runs for months."""
    place = new_place()
    place.arm(job("{ cron = '5 9 * * *', timezone = 'Europe/Berlin' }".replace("'", '"')))
    assert place.scheduler.look_at_zones() == ""
    assert place.scheduler.next_due() == NOW + 300_000
    shutil.copy(rules_in_the_system("Europe/Lisbon"), database / "new")
    os.replace(database / "new", database / "Europe" / "Berlin")
    assert place.scheduler.look_at_zones() == "the rules of Europe/Berlin have changed"
    assert place.scheduler.next_due() == NOW + HOUR + 300_000


def rules_in_the_system(name: str) -> str:
    for folder in ("/usr/share/zoneinfo", "/usr/lib/zoneinfo"):
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    import tzdata  # type: ignore[import-untyped]

    return os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo", name)
