"""What systemd is told (sd_notify) and the unit that `daemon --print-unit` prints. Needs nothing of systemd's."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence


class Notifier:
    """Speaks to the supervisor that started us, if it wants to be told."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # How often it wants to hear of us: half of what it allows, as sd_watchdog_enabled(3) advises. Milliseconds;
        # None when it does not watch.
        self.watchdog_ms = max(1, int(watchdog) // 2000) if watchdog.isdigit() and int(watchdog) and for_us else None

    def tell(self, state: str) -> None:
        """`READY=1`, `STOPPING=1`, `RELOADING=1`, `WATCHDOG=1`, `STATUS=…`; several with newlines between."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto(state.encode(), address)
        except OSError:
            pass  # it is told for its comfort, not for ours


def unit(*, user: bool, files: Sequence[str], state_dir: str | None) -> str:
    """A unit file for this installation, for the system or for the user's own manager."""
    command = [sys.executable, "-m", "jobctl"]
    for file in files:
        command += ["--file", file]
    if state_dir is not None:
        command += ["--state-dir", state_dir]
    command += ["daemon", "--log-format", "text"]
    lines = [
        "[Unit]",
        "Description=jobctl: schedules and durable jobs",
        "Documentation=man:systemd.service(5)",
        *([] if user else ["After=network-online.target", "Wants=network-online.target"]),
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={shlex.join(command)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=always",
        "RestartSec=1",
        "WatchdogSec=60",
        "# A stopped or restarted daemon leaves its commands running; the next one takes them over.",
        "KillMode=process",
        "# Each attempt gets a cgroup of its own in the unit's: nothing that it starts escapes.",
        "Delegate=yes",
        *([] if user or state_dir else ["StateDirectory=jobctl", "StateDirectoryMode=0700"]),
        *([] if user or state_dir else ["Environment=JOBCTL_STATE_DIR=/var/lib/jobctl"]),
        "UMask=0077",
        "",
        "[Install]",
        f"WantedBy={'default.target' if user else 'multi-user.target'}",
    ]
    return "\n".join(lines) + "\n"
