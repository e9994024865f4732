"""Something else in a file's place holds nobody up: the daemon fires, and who asks is answered."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from homes import Daemons

JOB = "[jobs.x]\nschedule = { every = '1s' }\noverlap = 'allow_all'\ncommand = 'echo fired >> marks'\n"


@pytest.mark.parametrize("kind", ["pipe", "terminal", "folder", "nothing", "loop"])
def test_definitions_that_are_no_file_any_more(home: Callable[[str], Daemons], kind: str) -> None:
    """A pipe held the daemon, and every `status`, for ever; so did a terminal."""
    place = home(JOB)
    place.daemon()
    place.until(lambda: place.lines("marks"))
    path = place.folder / "jobs.toml"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "terminal":
        path.symlink_to(os.ttyname(os.openpty()[1]))
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    place.until(lambda: "the old definitions stay in use" in place.said())
    fired = len(place.lines("marks"))
    place.until(lambda: len(place.lines("marks")) > fired + 1)
    for words in (("status",), ("validate",), ("list",)):
        code, output = place.call(*words)
        assert "Traceback" not in output
        assert code in (0, 2), output
        assert words == ("status",) or "jobs.toml" in output


@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing"])
def test_an_env_file_that_is_no_file(home: Callable[[str], Daemons], kind: str) -> None:
    place = home("[jobs.x]\nenv_file = 'env'\ncommand = 'true'\n[jobs.y]\ncommand = 'true'\n")
    if kind == "pipe":
        os.mkfifo(place.folder / "env")
    elif kind == "folder":
        (place.folder / "env").mkdir()
    code, output = place.call("run", "x")
    assert code != 0
    assert "env" in output
    assert place.call("run", "y")[0] == 0
