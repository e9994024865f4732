"""Whether root may do what a file says. As cron: not when somebody else can write it, for then they are root.

The file itself is looked at, the descriptor that is read: what is swapped afterwards was not read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from jobctl.host.parents import ours_alone, trusted, user

SAY_SO = "JOBCTL_TRUST_FILES"  # set to 1 where files belong to another uid on purpose: a container with a volume


def objection(about: os.stat_result, path: str, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Why root does not take jobs from this file, and the way out. None for every other user, and for a sound file.

    Who called sudo is trusted with their own files: they are root already, in this very call.
    """
    if os.geteuid() != 0 or environ.get(SAY_SO) == "1":
        return None
    owner = about.st_uid
    by_sudo = environ.get("SUDO_UID", "")
    if not trusted(owner, 0) and str(owner) != by_sudo:
        return (
            f"belongs to {user(owner)}, and this is root: whoever can write it would run commands as root",
            f"chown root {path}, or run jobctl as {user(owner)}; in a container where that is meant: {SAY_SO}=1",
        )
    mode = about.st_mode
    if mode & 0o002 or (mode & 0o020 and not ours_alone(about.st_gid, 0)):
        return (
            f"can be written by others (mode {mode & 0o7777:04o}), and this is root: they would run commands as root",
            f"chmod go-w {path}; in a container where that is meant: {SAY_SO}=1",
        )
    return None
