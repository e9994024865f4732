"""What a supervisor is told, and the unit that is printed for it."""

from __future__ import annotations

import configparser
import os
import socket
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("user", "state_dir"), [(False, None), (True, None), (False, "/srv/state"), (True, "/s p")])
def test_the_unit(user: bool, state_dir: str | None) -> None:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit(user=user, files=["/etc/my jobs.toml"], state_dir=state_dir))
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"  # commands outlive the daemon
    assert "'/etc/my jobs.toml'" in service["ExecStart"]
    assert ("--state-dir" in service["ExecStart"]) is (state_dir is not None)
    assert ("StateDirectory" in service) is (not user and state_dir is None)
    assert parser["Install"]["WantedBy"] == ("default.target" if user else "multi-user.target")
