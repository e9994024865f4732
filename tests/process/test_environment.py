"""What of the environment passes to a step, and which layer wins."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from jobctl.process import environment
from jobctl.process.environment import DEFAULT_PATH, INHERITED, build, with_jobctl

OUTER = {
    "PATH": "/bin",
    "HOME": "/root",
    "USER": "u",
    "LOGNAME": "u",
    "SHELL": "/bin/zsh",
    "LANG": "C",
    "LC_ALL": "C",
    "LC_TIME": "de",
    "TZ": "UTC",
    "TMPDIR": "/t",
    "LC": "no",
    "LANGUAGE": "no",
    "AWS_REGION": "eu",
    "AWS_SECRET_KEY": "s",
    "CI": "true",
    "SSH_AUTH_SOCK": "/s",
    "NOTIFY_SOCKET": "/n",
    "OLDPWD": "/",
    "PYTHONPATH": "/p",
    "JOBCTL_RUN": "outer-000001",
    "JOBCTL_TOKEN": "outer",
    "JOBCTL_STATE_DIR": "/outer",
    "JOBCTL_PARAM_DAY": "outer",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "own_folder", lambda: "")


LIST = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_TIME", "TZ", "TMPDIR"}


@pytest.mark.parametrize(
    ("inherit", "more"),
    [
        ((), set()),
        (False, set()),
        (["CI"], {"CI"}),
        (["AWS_*", "CI"], {"AWS_REGION", "AWS_SECRET_KEY", "CI"}),
        (["aws_*", "C"], set()),  # as it is written, and all of it
        (["?I", "[S]SH_*"], {"CI", "SSH_AUTH_SOCK"}),
        (["JOBCTL_*"], set()),
        (["*"], {name for name in OUTER if not name.startswith("JOBCTL_")} - LIST),
        (True, {name for name in OUTER if not name.startswith("JOBCTL_")} - LIST),
    ],
)
def test_what_passes(inherit: bool | Iterable[str], more: set[str]) -> None:
    built = build(OUTER, inherit=inherit)
    assert set(built) == LIST | more
    assert all(OUTER[name] == value for name, value in built.items())


def test_the_list_is_the_contracts() -> None:
    assert set(INHERITED) == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"}


def test_later_layers_win_over_earlier_ones_and_over_what_is_inherited() -> None:
    built = build(OUTER, {"HOME": "1", "A": "1", "B": "1", "C": "1"}, {"B": "2", "C": "2"}, {"C": "3"})
    assert (built["HOME"], built["A"], built["B"], built["C"]) == ("1", "1", "2", "3")


@pytest.mark.parametrize(
    ("outer", "layer", "path"),
    [({}, {}, DEFAULT_PATH), ({"PATH": "/x"}, {}, "/x"), ({}, {"PATH": "/y"}, "/y"), ({"PATH": ""}, {}, "")],
)
def test_there_is_always_a_path(outer: dict[str, str], layer: dict[str, str], path: str) -> None:
    assert build(outer, layer)["PATH"] == path


def test_our_own_variables_come_from_the_last_layer_only() -> None:
    assert build(OUTER, {"JOBCTL_RUN": "x-1"}, inherit=True)["JOBCTL_RUN"] == "x-1"


def test_what_is_given_stays_as_it_was() -> None:
    outer, layer = dict(OUTER), {"A": "1"}
    build(outer, layer, inherit=True)["A"] = "2"
    assert (outer, layer) == (OUTER, {"A": "1"})


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/bin", "/venv/bin", "/bin:/venv/bin"),
        ("/venv/bin:/bin", "/venv/bin", "/venv/bin:/bin"),
        ("/bin:/venv/bin", "/venv/bin", "/bin:/venv/bin"),
        ("/venv/bin2", "/venv/bin", "/venv/bin2:/venv/bin"),
        ("", "/venv/bin", "/venv/bin"),
        ("/bin", "", "/bin"),
    ],
)
def test_commands_find_jobctl_after_all_else(path: str, folder: str, expected: str) -> None:
    assert with_jobctl(path, folder) == expected


def test_a_path_of_the_definition_is_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "own_folder", lambda: "/venv/bin")
    assert build(OUTER, {"PATH": "/x"})["PATH"] == "/x:/venv/bin"
