"""Names, schedules and next fire times, from what is kept. When that is not believed: test_kept.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobctl.definitions import files as definitions
from jobctl.definitions import outline
from jobctl.definitions.outline import Outline
from jobctl.host.settings import Settings

MINUTE = 60_000
NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
HOURLY = '[jobs.a]\nschedule = { every = "1h" }\ncommand = "true"\n[jobs.b]\ncommand = "true"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(folder: Path) -> Settings:
    (folder / "state").mkdir(0o700)
    (folder / "jobs.toml").write_text(HOURLY)
    return Settings(files=(str(folder / "jobs.toml"),), state_dir=str(folder / "state"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The definitions files that were read."""
    seen: list[str] = []
    read = definitions.understand
    monkeypatch.setattr(definitions, "understand", lambda path, *more: (seen.append(path), read(path, *more))[1])
    return seen


def cache(folder: Path) -> Path:
    (found,) = (folder / "state" / "cache").iterdir()
    return found


def test_names_schedules_and_next_fire_times(settings: Settings) -> None:
    file = settings.files[0]
    expected = {
        "a": Outline("a", file, "every 1h", NOW + 60 * MINUTE),
        "b": Outline("b", file, None, None),
    }
    assert outline.read(settings, now=NOW) == (expected, [])


def test_a_file_is_read_once(settings: Settings, reads: list[str], folder: Path) -> None:
    first = outline.read(settings, now=NOW)
    assert outline.read(settings, now=NOW + 59 * MINUTE) == first
    assert len(reads) == 1
    assert os.stat(cache(folder)).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("later", "fire"), [(60, 120), (90, 120), (600, 660), (-90, -60)])
def test_a_fire_time_that_passed_is_replaced_without_reading_the_file(
    settings: Settings, reads: list[str], later: int, fire: int
) -> None:
    outline.read(settings, now=NOW)
    jobs, _ = outline.read(settings, now=NOW + later * MINUTE)
    assert jobs["a"].next_fire == NOW + fire * MINUTE
    assert len(reads) == 1


def test_without_a_state_folder_nothing_is_kept(settings: Settings, folder: Path) -> None:
    (folder / "state").rmdir()
    assert outline.read(settings, now=NOW)[1] == []
    assert not (folder / "state").exists()


def test_a_file_with_problems_does_not_hide_the_others(settings: Settings, folder: Path) -> None:
    (folder / "more.toml").write_text('[jobs.x]\ncomand = "true"\n')
    (folder / "same.toml").write_text('[jobs.a]\ncommand = "true"\n')
    files = (*settings.files, str(folder / "more.toml"), str(folder / "none.toml"), str(folder / "same.toml"))
    jobs, problems = outline.read(Settings(files=files, state_dir=settings.state_dir), now=NOW)
    assert list(jobs) == ["a", "b"]
    assert {(Path(problem.file).name, problem.job) for problem in problems} == {
        ("more.toml", "x"),
        ("none.toml", ""),
        ("same.toml", "a"),
    }
