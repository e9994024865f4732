"""Start an attempt under its keeper, find it again after a crash, stop it for certain. What it wrote: attempt.py.

The keeper is a /bin/sh of a few lines in its own session. It has no link to jobctl's life: output goes straight to
the log, the exit status to the state file, whoever is there to read them.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence

from jobctl.process.attempt import AttemptFiles, read_state

# $1 state file, $2 working folder, $3 condition or "", $4 the condition's shell, $5 umask, then the command.
#
# The state file is the keeper's stderr: made exclusively (`set -C`), so that of two keepers for one attempt the second
# goes away; and where the shell itself says by which signal the command died, which an exit status alone does not
# tell (in a subshell, or dash says it into the command's stderr). `exec`, or `echo` would be the shell's own. The
# traps keep the keeper alive when its group is asked to end - before there is a command, too, which then is not
# started; the command gets the defaults back.
#
# A keeper that cannot write its pid (no room on the disk) starts nothing. It has no variables of its own that might
# be the command's, and does not tell it where jobctl was started.
#
# What it cannot tell: dash has no words for SIGINT and SIGPIPE, they stay exit codes 130 and 141.
KEEPER = """\
set -C
command exec 2>"$1" || exit 75
set +C
trap JOBCTL_ASKED=1 HUP INT QUIT TERM
trap : USR1 USR2 ALRM
echo $$ >&2 || { rm -f -- "$1"; exit 75; }
umask "$5"
cd -- "$2" 2>&1 || { echo nofolder >&2; exit; }
unset OLDPWD
if [ -n "$3" ]; then
  (exec "$4" -c "$3") 2>&1 || { echo "skip $?" >&2; exit; }
  echo run >&2
fi
shift 5
[ -z "$JOBCTL_ASKED" ] || { echo "exit 143" >&2; exit; }
(exec "$@") 2>&1
echo "exit $?" >&2
"""

TOKEN = "JOBCTL_TOKEN"

_LOOKS = 6  # so often in a row none must be seen
_EXEC_SECONDS = 0.005  # longer than an exec takes until the new environment is there

WENT_AWAY = 75  # what a keeper ends with that has started nothing: another one has the attempt, or there is no room


def token(store: str, run: str, key: str, number: int) -> str:
    """What every process of an attempt carries in its environment: unique among all stores of the machine."""
    return f"{store}/{run}/{key}.{number}"


_SIGNALS = [n for n in range(1, signal.NSIG) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]

_umask: int | None = None  # what this process was started with, once it has made its own stricter


def private_files() -> None:
    """From here on this process makes files that only their owner reads. Commands keep the umask it had before.

    Nor do they get descriptors that it was started with: they outlive it, and somebody may wait for the other end.
    """
    global _umask
    before = os.umask(0o077)
    if _umask is None:
        _umask = before
        for name in os.listdir("/dev/fd"):
            try:
                if int(name) > 2:
                    os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that listed them


def _commands_umask() -> str:
    if _umask is not None:
        return f"{_umask:04o}"
    os.umask(before := os.umask(0o077))
    return f"{before:04o}"


class LaunchError(Exception):
    """The attempt could not be started. `passing`: for want of something that may be there again soon."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


# No process, memory, descriptor or disk space just now.
PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EINTR})


def launch(
    files: AttemptFiles,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: str,
    only_if: str = "",
    shell: str = "/bin/sh",
) -> int:
    """Start the command under its keeper; the keeper's pid, which is also its session and process group.

    The caller has recorded that the attempt starts, and reaps the pid. stdin is /dev/null, signals are at their
    defaults. LaunchError when no process could be made.
    """
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", KEEPER, "jobctl-keeper", files.state, cwd, only_if, shell, _commands_umask(), *argv],
            environment,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_OPEN, 1, files.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ),
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise LaunchError("its command and environment are too long for the system (E2BIG)") from error
        raise LaunchError(f"it could not be started: {error.strerror}", passing=error.errno in PASSING) from error
    except ValueError as error:
        raise LaunchError(f"it could not be started: {error}") from error


def find(files: AttemptFiles, token: str) -> int | None:
    """The pid of the living keeper of an attempt that was started, by whomever; None when it does not live.

    A pid alone proves nothing: the process must lead its session and carry the attempt's token.
    """
    state = read_state(files.state)
    if state is None or state.pid is None or state.status is not None:
        return None
    try:
        if os.getsid(state.pid) != state.pid or not _carries(state.pid, token):
            return None
    except (ProcessLookupError, PermissionError):
        return None
    return state.pid


def signal_group(pid: int, number: int) -> None:
    """Send to the keeper's whole process group. Nothing happens when none of it is left."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def members(token: str) -> list[int]:
    """The living processes that carry the token, wherever they went: into other groups, sessions, to init.

    Only Linux can look; elsewhere the process group is all there is. OSError in PASSING when it cannot look just now,
    as for everything here that looks for the token.
    """
    return [pid for pid in _pids() if _carries(pid, token)]


def signal_members(token: str, number: int, *, outside: int = 0) -> list[int]:
    """Send to every process that carries the token, but for the group `outside`. Returns their pids."""
    sent = []
    for pid in members(token):
        try:
            if outside and os.getpgid(pid) == outside:
                continue
            fd = os.pidfd_open(pid)
        except (AttributeError, ProcessLookupError):
            continue
        try:
            # Looked at again behind the pidfd: the pid cannot have become another process in between.
            if _carries(pid, token):
                signal.pidfd_send_signal(fd, number)
                sent.append(pid)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)
    return sent


def sweep(token: str) -> int:
    """SIGKILL every process that carries the token until none is left. Returns how many were killed."""
    killed: set[int] = set()
    empty = 0
    for _ in range(100):
        found = signal_members(token, signal.SIGKILL)
        killed.update(found)
        empty = 0 if found else empty + 1
        # In the middle of an exec a process has no environment to look at, and one that makes the next and is gone may
        # do so between the list and the look: where there were any, look again.
        if empty >= (_LOOKS if killed else 1):
            break
        if empty:
            time.sleep(_EXEC_SECONDS)
    return len(killed)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:
        return []


def _carries(pid: int, token: str) -> bool:
    """Whether the living process has the attempt's token in its environment. A zombie has no environment."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in PASSING:  # nobody knows: taken for dead, a living attempt would get a second one beside it
            raise
        return False
    wanted = f"{TOKEN}={token}\0".encode()
    tail = b"\0"
    try:
        while chunk := os.read(fd, 65536):
            if b"\0" + wanted in tail + chunk:
                return True
            tail = (tail + chunk)[-len(wanted) - 1 :]
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
