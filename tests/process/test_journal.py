"""What a keeper writes down, and what is read of it: whole, torn, damaged, on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobctl.process import journal
from jobctl.process.end import End
from jobctl.process.journal import Header, Journal, end_values

HEADER = Header("e.1", "boot1", "4026531836", 4711)


def _journal(folder: Path) -> Journal:
    return Journal(str(folder / "e.1"), HEADER)


def _read(folder: Path) -> journal.Found:
    return journal.read(journal.files(str(folder), "e.1"))


def _life(one: Journal, id: str, status: int | None = 0) -> None:
    one.reserve(1)
    one.write("I", id, 77, wall=1000, boot=10)
    one.write("S", id, 1234, 98, 99, wall=1001, boot=11)
    if status is not None:
        end = End(id, "exit", status, "cancel", "", True, 1000)
        one.write("E", id, *end_values(end), wall=1005, boot=15)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    one = _journal(tmp_path)
    _life(one, "x/a.1", 3 << 8)
    _life(one, "x/b.1", None)
    one.write("R", "x/c.1", wall=1, boot=1)
    one.write("O", "-", 2, wall=1, boot=1)
    found = _read(tmp_path)
    assert found.header == HEADER
    assert found.strays == 2
    assert found.entries["x/a.1"].end == End("x/a.1", "exit", 3 << 8, "cancel", "", True, 1000, 1005, 15)
    b = found.entries["x/b.1"]
    assert (b.end, b.pid, b.born, b.mark, b.began) == (None, 1234, (98, 99), 77, 1000)
    assert found.entries["x/c.1"].ran


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_a_number_that_is_no_process_is_no_pid(tmp_path: Path, pid: int) -> None:
    one = _journal(tmp_path)
    one.write("S", "x/a.1", pid, 99, wall=1, boot=1)
    assert _read(tmp_path).entries["x/a.1"].pid is None


def test_every_cut_leaves_what_was_whole(tmp_path: Path) -> None:
    one = _journal(tmp_path)
    for number in range(4):
        _life(one, f"x/a.{number}")
    path = Path(journal.path_of(str(tmp_path / "e.1"), 1))
    data = path.read_bytes().rstrip(b"\0")
    for cut in range(len(data)):
        path.write_bytes(data[:cut] + b"\0" * 100)
        whole = data[:cut].count(b"\n")
        found = _read(tmp_path)
        assert len(found.entries) == min(4, max(0, whole - 1 + 2) // 3)
        assert (found.header is None) is (whole == 0)


@pytest.mark.parametrize("damage", [b"x", b"\0", b"\n"])
def test_what_is_behind_damage_was_never_written(tmp_path: Path, damage: bytes) -> None:
    one = _journal(tmp_path)
    for number in range(3):
        _life(one, f"x/a.{number}")
    path = Path(journal.path_of(str(tmp_path / "e.1"), 1))
    data = bytearray(path.read_bytes())
    at = data.index(b"x/a.1")
    data[at : at + 1] = damage
    path.write_bytes(data)
    assert set(_read(tmp_path).entries) == {"x/a.0"} if damage != b"x" else set(_read(tmp_path).entries) >= {"x/a.0"}


def test_a_new_file_is_begun_and_an_old_one_goes_when_all_of_it_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FILE_SIZE", 500)
    one = _journal(tmp_path)
    for number in range(20):
        _life(one, f"x/a.{number}")
    names = journal.files(str(tmp_path), "e.1")
    assert len(names) > 3
    assert set(_read(tmp_path).entries) == {f"x/a.{number}" for number in range(20)}
    for number in range(1, 20):
        one.acknowledged(f"x/a.{number}")
    left = journal.files(str(tmp_path), "e.1")
    assert len(left) == 2  # the first, which holds x/a.0, and the one that is written to
    assert "x/a.0" in _read(tmp_path).entries
    assert one.needed
    one.acknowledged("x/a.0")
    assert len(journal.files(str(tmp_path), "e.1")) == 1
    assert not one.needed


def test_there_is_room_for_the_end_of_what_was_begun(small_disk: Path) -> None:
    one = _journal(small_disk)
    one.reserve(2)
    _fill(small_disk / "filler")
    with pytest.raises(OSError, match="space"):
        one.reserve(2000)
    _life(one, "x/a.1", 0)
    _life_without_reserve(one, "x/b.1")
    assert one.trouble == ""
    assert set(_read(small_disk).entries) == {"x/a.1", "x/b.1"}


def test_what_cannot_be_written_is_kept_said_and_written_when_there_is_room(small_disk: Path) -> None:
    one = _journal(small_disk)
    _fill(small_disk / "filler")
    for number in range(100):  # beyond what was reserved
        _life_without_reserve(one, f"x/a.{number}")
    assert one.trouble
    before = set(_read(small_disk).entries)
    assert len(before) < 100
    (small_disk / "filler").unlink()
    assert one.retry()
    assert one.trouble == ""
    assert set(_read(small_disk).entries) == {f"x/a.{number}" for number in range(100)}


def _life_without_reserve(one: Journal, id: str) -> None:
    one.write("I", id, 77, wall=1000, boot=10)
    one.write("S", id, 1234, 98, 99, wall=1001, boot=11)
    one.write("E", id, *end_values(End(id, "exit", 0)), wall=1005, boot=15)


def _fill(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except OSError:
            continue
    os.close(fd)


@pytest.mark.parametrize("kind", ["empty", "garbage", "folder", "fifo", "link"])
def test_what_stands_in_a_journals_place_says_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "e.1.1.journal"
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(bytes(range(256)) * 300)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/etc/passwd")
    assert _read(tmp_path) == (None, {}, 0)
