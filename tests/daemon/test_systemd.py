"""What a supervisor is told, and the unit that is printed for it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.core.errors import UsageError
from jobctl.daemon.systemd import Notifier, unit


@pytest.mark.parametrize("abstract", [False, True])
def test_a_message_arrives(tmp_path: Path, abstract: bool) -> None:
    address = f"@jobctl-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0"))
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": address}).tell("READY=1\nSTATUS=fine")
        assert sock.recv(100) == b"READY=1\nSTATUS=fine"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_nobody_to_tell(environ: dict[str, str]) -> None:
    Notifier(environ).tell("READY=1")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30_000),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30_000),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),  # meant for the process that started us
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "1"}, 1),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_it_wants_to_hear_of_us(environ: dict[str, str], expected: int | None) -> None:
    assert Notifier(environ).watchdog_ms == expected


def sections(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#", delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize(("user", "state_dir"), [(False, None), (True, None), (False, "/srv/state"), (True, "/s p")])
def test_the_unit(user: bool, state_dir: str | None) -> None:
    text = unit(user=user, files=["/etc/my jobs.toml"], state_dir=state_dir)
    parser = sections(text)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"  # commands outlive the daemon
    assert '"/etc/my jobs.toml"' in service["ExecStart"]
    assert ("--state-dir" in service["ExecStart"]) is (state_dir is not None)
    assert ("StateDirectory" in service) is (not user and state_dir is None)
    assert parser["Install"]["WantedBy"] == ("default.target" if user else "multi-user.target")
    assert ("loginctl enable-linger" in text) is user


def test_the_unit_survives_what_befalls_its_daemon() -> None:
    """reported/attack F9, daily-use F26."""
    parser = sections(unit(user=False, files=[], state_dir=None))
    service = parser["Service"]
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"  # else five fast failures end it for good
    assert (service["Restart"], service["RestartSec"]) == ("always", "1")
    assert int(service["RestartMaxDelaySec"]) > 1
    assert int(service["RestartSteps"]) > 1
    assert service["OOMPolicy"] == "continue"
    assert service["LimitCORE"] == "0"
    assert service["Delegate"] == "yes"
    assert "UMask" not in service  # a command's files have the same mode whoever runs it
    assert "jobctl" in parser["Unit"]["Documentation"]
    assert "PrivateTmp" not in service  # what jobs may do is not for us to decide


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/etc/jobs.toml", "/etc/jobs.toml"),
        ("/etc/my jobs.toml", '"/etc/my jobs.toml"'),
        ("/etc/100%.toml", "/etc/100%%.toml"),
        ("/etc/$HOME.toml", "/etc/$$HOME.toml"),
        ("/etc/a;b.toml", '"/etc/a;b.toml"'),
        ("/etc/a'b.toml", '"/etc/a\'b.toml"'),
        ('/etc/a"b.toml', '"/etc/a\\"b.toml"'),
        ("/etc/a\\b.toml", '"/etc/a\\\\b.toml"'),
        ("/etc/büro.toml", "/etc/büro.toml"),
    ],
)
def test_paths_are_quoted_as_systemd_reads_them(path: str, written: str) -> None:
    start = sections(unit(user=True, files=[path], state_dir=None))["Service"]["ExecStart"]
    assert f" --file {written} daemon" in start


@pytest.mark.parametrize("path", ["/etc/a\nExecStartPre=/bin/evil", "/etc/a\x1b.toml", "/etc/a\tb"])
def test_a_path_that_would_be_another_line_is_refused(path: str) -> None:
    for files, state_dir in (([path], None), ([], path)):
        with pytest.raises(UsageError) as caught:
            unit(user=True, files=files, state_dir=state_dir)
        assert "rename" in caught.value.hint


def test_a_program_whose_path_holds_a_dollar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/$x/bin/python3")
    start = sections(unit(user=True, files=["/etc/$y.toml"], state_dir=None))["Service"]["ExecStart"]
    assert start.startswith(":/opt/$x/bin/python3 -m jobctl --file /etc/$y.toml ")


def _activated(text: str) -> str:
    return re.sub(r"^#(?=[A-Z][A-Za-z]+=)", "", text, flags=re.MULTILINE)


def _verified(text: str, folder: Path) -> list[str]:
    """What systemd has to say of a unit, but for what only newer versions know."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    file = folder / "jobctl.service"
    file.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [
        line for line in done.stderr.splitlines() if not re.search(r"Unknown key( name)? '?Restart(Steps|Max)", line)
    ]


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("shut", [False, True])
def test_systemd_has_nothing_to_say_against_it(user: bool, shut: bool, tmp_path: Path) -> None:
    odd = tmp_path / "my 100% $HOME 'jobs'"
    odd.mkdir()
    text = unit(user=user, files=[str(odd / "jobs.toml")], state_dir=None)
    assert _activated(text) != text
    assert _verified(_activated(text) if shut else text, tmp_path) == []


def test_systemd_would_say_it(tmp_path: Path) -> None:
    assert _verified(unit(user=False, files=[], state_dir=None).replace("OOMPolicy=continue", "OOMPolicy=go"), tmp_path)


def test_the_choices_shut_in_what_they_say(tmp_path: Path) -> None:
    text = unit(user=False, files=[], state_dir=None)
    exposure = []
    for one in (text, _activated(text)):
        assert _verified(one, tmp_path) == []
        words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / "jobctl.service")]
        done = subprocess.run(words, capture_output=True, text=True)
        found = re.search(r"Overall exposure level for jobctl.service: ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout + done.stderr
        exposure.append(float(found[1]))
    assert exposure[1] < exposure[0] - 3
