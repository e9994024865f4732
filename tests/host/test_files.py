"""Files that somebody names, each kind of thing that may stand in their place."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from jobctl.host.files import NotAFileError, read_regular

LIMIT = 10


def test_a_file_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_regular(str(tmp_path / "file"), LIMIT) == b"x" * LIMIT


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("pipe", NotAFileError, "it is a pipe"),
        ("socket", OSError, ""),
        ("device", NotAFileError, "it is a device"),
        ("terminal", NotAFileError, "it is a device"),
        ("folder", IsADirectoryError, "Is a directory"),
        ("nothing", FileNotFoundError, ""),
        ("loop", OSError, ""),
        ("link to a pipe", NotAFileError, "it is a pipe"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, error: type[OSError], said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # an address may have 107 bytes
    path = "named"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "terminal":
        path = os.ttyname(os.openpty()[1])
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "loop":
        os.symlink(path, path)
    elif kind == "link to a pipe":
        os.mkfifo("pipe")
        os.symlink("pipe", path)
    with pytest.raises(error) as raised:
        read_regular(path, LIMIT)
    assert said in (raised.value.strerror or "")


@pytest.mark.parametrize(("link", "folder", "follows"), [(0, 0, True), (1234, 0, False), (1234, 1234, True)])
def test_whose_link_is_followed(tmp_path: Path, link: int, folder: int, follows: bool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    place = tmp_path / "folder"
    place.mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (place / "link").symlink_to("../file")
    os.lchown(place / "link", link, link)
    os.chown(place, folder, folder)
    if follows:
        assert read_regular(str(place / "link"), LIMIT) == b"x"
    else:
        with pytest.raises(NotAFileError, match="another user"):
            read_regular(str(place / "link"), LIMIT)
