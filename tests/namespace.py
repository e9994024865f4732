"""The test run in a PID namespace of its own: what it starts ends with it, and no signal of it reaches anything else.

A `kill(-1)` by mistake ended every process of a machine once; a test run that was killed left behind what it began.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

_INSIDE = "JOBCTL_TESTS_ARE_ALONE"
# Its PID 1 is a shell that waits for whatever comes to it.
_INIT = '"$@"; exit $?'


def command(program: Sequence[str]) -> list[str] | None:
    """What runs that program alone; None when it is, or this machine does not let us."""
    if sys.platform != "linux" or _INSIDE in os.environ:
        return None
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.append("--map-current-user")
    try:
        can = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return None
    return [*unshare, "sh", "-c", _INIT, "sh", *program] if can else None


def enter(command: Sequence[str]) -> NoReturn:
    """Become what `command` gave."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})
