"""What systemd is told (sd_notify) and the unit that `daemon --print-unit` prints. Needs nothing of systemd's."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence

from jobctl.core.errors import UsageError


class Notifier:
    """Speaks to the supervisor that started us, if it wants to be told."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # How often it wants to hear of us: half of what it allows, as sd_watchdog_enabled(3) advises. Milliseconds;
        # None when it does not watch.
        self._untold: list[str] = []
        self.watchdog_ms = max(1, int(watchdog) // 2000) if watchdog.isdigit() and int(watchdog) and for_us else None

    def tell(self, state: str) -> None:
        """`READY=1`, `STOPPING=1`, `RELOADING=1`, `WATCHDOG=1`, `STATUS=…`; several with newlines between."""
        if self._address:
            if state not in self._untold:
                self._untold.append(state)
            self.flush()

    def flush(self) -> None:
        """Tell what it had no room for until now. It is never waited for."""
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        while self._untold:
            try:
                flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                with socket.socket(socket.AF_UNIX, flags) as sock:
                    sock.sendto(self._untold[0].encode(), address)
            except BlockingIOError:
                return
            except OSError:
                pass  # it is told for its comfort, not for ours
            del self._untold[0]


def unit(*, user: bool, files: Sequence[str], state_dir: str | None) -> str:
    """A unit file for this installation, for the system or for the user's own manager. UsageError for a path that
    cannot stand in one."""
    command = ["-m", "jobctl"]
    for file in files:
        command += ["--file", file]
    if state_dir is not None:
        command += ["--state-dir", state_dir]
    command += ["daemon", "--log-format", "text"]
    start = " ".join([_quoted(sys.executable), *(_quoted(word, "$") for word in command)])
    if "$" in sys.executable:
        # systemd replaces no variable in the program's own path, so nothing could be doubled there.
        start = ":" + " ".join(map(_quoted, [sys.executable, *command]))
    own_state = not user and not state_dir
    lines = [
        f"# Made by `jobctl daemon --print-unit{' --user' if user else ''}`, for the jobctl of {_shown(sys.prefix)}.",
        *(_USER if user else ()),
        "",
        "[Unit]",
        "Description=jobctl: schedules and durable jobs",
        *filter(None, [_documentation()]),
        *([] if user else ["After=network-online.target", "Wants=network-online.target"]),
        "# However often it fails, it is started again: a file that cannot be read today may be corrected tonight.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={start}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=always",
        "# After 1 s at first, after a minute in the end. systemd before 254 knows only the first of the three.",
        "RestartSec=1",
        "RestartSteps=8",
        "RestartMaxDelaySec=60",
        "WatchdogSec=60",
        "# A stopped or restarted daemon leaves its commands running; the next one takes them over.",
        "KillMode=process",
        "# Each attempt gets a cgroup of its own in the unit's: nothing that it starts escapes.",
        "Delegate=yes",
        "# One job that takes too much memory ends alone.",
        "OOMPolicy=continue",
        "# What it has in memory may be secret: it leaves no core file.",
        "LimitCORE=0",
        *(["StateDirectory=jobctl", "StateDirectoryMode=0700"] if own_state else []),
        *(["Environment=JOBCTL_STATE_DIR=/var/lib/jobctl"] if own_state else []),
        "",
        *_CHOICES,
        "",
        "[Install]",
        f"WantedBy={'default.target' if user else 'multi-user.target'}",
    ]
    return "\n".join(lines) + "\n"


def _documentation() -> str:
    """Where jobctl is described: at the address that its package names, else in what was installed with it."""
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import quote

    try:
        package = distribution("jobctl")
    except PackageNotFoundError:
        return ""
    told = [entry.partition(",") for entry in package.metadata.get_all("Project-URL") or ()]
    named = {label.strip().lower(): url.strip() for label, _, url in told}
    for label in ("documentation", "homepage", "repository", "source"):
        if label in named:
            return f"Documentation={named[label]}"
    readme = next((file for file in package.files or () if file.name == "METADATA"), None)
    if readme is None:
        return ""
    return "Documentation=file://" + quote(str(readme.locate())).replace("%", "%%")


_USER = (
    "# The user's manager ends with their last session, and the daemon with it, unless they linger:",
    "#     loginctl enable-linger",
)

# What is true for the daemon is true for all of its jobs, so these are not for jobctl to decide. Each one names what
# jobs cannot do any more.
_CHOICES = (
    "# What shuts in the daemon shuts in its jobs. Take out the # in front of what they can do without.",
    *(
        line
        for cannot, setting in (
            ("sudo, ping, and other programs that change the user", "NoNewPrivileges=yes"),
            ("writing to /usr, /boot and /etc", "ProtectSystem=full"),
            ("writing to home folders", "ProtectHome=read-only"),
            ("sharing /tmp with others; it is emptied when the daemon stops", "PrivateTmp=yes"),
            ("disks and other devices", "PrivateDevices=yes"),
            ("sysctl, and writing to /proc/sys and /sys", "ProtectKernelTunables=yes"),
            ("modprobe", "ProtectKernelModules=yes"),
            ("dmesg", "ProtectKernelLogs=yes"),
            ("setting the clock", "ProtectClock=yes"),
            ("setting the host's name", "ProtectHostname=yes"),
            ("chrt", "RestrictRealtime=yes"),
            ("making programs that change the user", "RestrictSUIDSGID=yes"),
            ("containers, unshare, bwrap", "RestrictNamespaces=yes"),
            (
                "sockets but those of the internet and of this machine",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
            ),
            ("setarch", "LockPersonality=yes"),
            ("programs that compile as they run: Java, Node.js, PyPy", "MemoryDenyWriteExecute=yes"),
            ("programs for another kind of processor", "SystemCallArchitectures=native"),
            ("more processes than this, all jobs together", "TasksMax=4096"),
            ("more memory than this, all jobs together, without being slowed down", "MemoryHigh=80%"),
        )
        for line in (f"# {cannot}:", f"#{setting}")
    ),
)


def _quoted(word: str, doubled: str = "") -> str:
    """A word of a command line as systemd.service(5) reads it: `%` begins a specifier, and `$` a variable."""
    if not word.isprintable():
        raise UsageError(
            f"{word!r} cannot stand in a unit: it holds a character that cannot be printed",
            hint="rename the file or folder: a line break would begin a line of its own in the unit",
        )
    for char in "%" + doubled:
        word = word.replace(char, char * 2)
    if word and not any(char in word for char in " \t\"'\\;#"):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)
