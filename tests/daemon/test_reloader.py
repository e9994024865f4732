"""Definitions are read again when a file changes: when it is still, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobctl.core.errors import DefinitionError
from jobctl.daemon.reloader import Reloader

ONE = "[jobs.one]\ncommand = 'true'\n"
TWO = "[jobs.two]\ncommand = 'true'\n"
BAD = "[jobs.bad]\ncommand = \n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "a.toml").write_text(ONE)
    (tmp_path / "b.toml").write_text(TWO)
    return [tmp_path / "a.toml", tmp_path / "b.toml"]


def reloader(files: list[Path]) -> Reloader:
    return Reloader([str(path) for path in files])


def write(path: Path, text: str) -> None:
    """As editors do: another file in its place."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.rename(path)


def names(one: Reloader) -> set[str]:
    return set(one.catalog.jobs)


def test_nothing_has_changed(files: list[Path]) -> None:
    one = reloader(files)
    assert names(one) == {"one", "two"}
    assert not one.once()
    assert not one.unsettled


def test_a_change_is_used_when_the_file_is_still(files: list[Path]) -> None:
    one = reloader(files)
    write(files[0], ONE.replace("one", "new"))
    assert not one.once()
    assert one.unsettled
    write(files[0], ONE.replace("one", "newer"))
    assert not one.once()
    assert one.once()
    assert names(one) == {"newer", "two"}
    assert not one.unsettled
    assert not one.once()


def test_who_asks_for_it_does_not_wait(files: list[Path]) -> None:
    one = reloader(files)
    write(files[0], ONE.replace("one", "new"))
    assert one.once(force=True)
    assert names(one) == {"new", "two"}


@pytest.mark.parametrize(("text", "said"), [(BAD, "a.toml:2"), (TWO, "job two"), ("[", "a.toml")])
def test_all_or_nothing(files: list[Path], text: str, said: str) -> None:
    one = reloader(files)
    write(files[1], TWO.replace("two", "three"))
    write(files[0], text.replace("two", "three"))
    assert not one.once(force=True)
    assert names(one) == {"one", "two"}
    assert one.problem is not None
    assert said.replace("two", "three") in str(one.problem)
    write(files[0], ONE)
    assert one.once(force=True)
    assert names(one) == {"one", "three"}
    assert one.problem is None


def test_a_fault_of_ours_in_reading_a_file_keeps_what_was_there(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reloader(files)

    def broken(_: object) -> None:
        raise AssertionError("something is not so")

    with monkeypatch.context() as patched:
        patched.setattr("jobctl.daemon.reloader.read_files", broken)
        write(files[0], ONE.replace("one", "new"))
        assert not one.once(force=True)
    assert names(one) == {"one", "two"}
    assert "something is not so" in str(one.problem)
    assert one.once(force=True)
    assert names(one) == {"new", "two"}
    assert one.problem is None


def test_a_file_that_is_gone_keeps_its_jobs_until_it_is_back(files: list[Path]) -> None:
    one = reloader(files)
    files[0].unlink()
    one.once()
    assert not one.once()
    assert one.problem is not None
    assert names(one) == {"one", "two"}
    write(files[0], ONE)
    one.once()
    assert not one.once()  # the same as before
    assert one.problem is None


def test_a_file_that_was_only_touched_is_no_change(files: list[Path]) -> None:
    one = reloader(files)
    os.utime(files[0], (1, 1))
    one.once()
    assert not one.once()
    assert not one.unsettled


def test_a_daemon_does_not_start_without_definitions(files: list[Path]) -> None:
    write(files[0], BAD)
    with pytest.raises(DefinitionError):
        reloader(files)
