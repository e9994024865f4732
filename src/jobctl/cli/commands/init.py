"""`jobctl init`: a first jobs.toml, small, commented, and ready to run."""

from __future__ import annotations

import os
import shlex

from jobctl.cli import printing
from jobctl.core.errors import JobctlError
from jobctl.host.files import open_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings

FIRST = """\
# Jobs for jobctl. Check this file with `jobctl validate`, run a job with `jobctl run hello`.

[jobs.hello]
description = "Says hello"
command = "echo hello from jobctl"

# A job of several steps. Each waits for the one above it; a failed one is tried again, and what is finished never runs
# twice: kill it in the middle, then `jobctl resume flaky`.
[jobs.flaky]
description = "Fails once, then succeeds"

[[jobs.flaky.steps]]
name = "prepare"
command = "echo preparing"

[[jobs.flaky.steps]]
name = "work"
retry = { maximum_attempts = 3, initial_interval = "1s" }
command = '''
if [ "$JOBCTL_ATTEMPT" -lt 2 ]; then echo "not this time"; exit 1; fi
echo "attempt $JOBCTL_ATTEMPT did it"
'''

# With a schedule, the daemon runs a job by itself:
#   schedule = "30 2 * * *"          every night at 2:30
#   schedule = { every = "15m" }
"""


def main(settings: Settings, *, path: str, force: bool) -> int:
    """JobctlError when there is a file already and `force` is not given, or when it cannot be written."""
    if os.path.isdir(path):
        path = os.path.join(path, "jobs.toml")
    try:
        fd = open_named(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL))
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(FIRST)
    except FileExistsError:
        hint = "`jobctl init OTHER.toml` writes another one, --force overwrites it"
        raise JobctlError(f"{path} exists already", hint=hint) from None
    where = "" if path == "jobs.toml" else f"--file {shlex.quote(path)} "
    if settings.json:
        printing.print_json({"file": os.path.abspath(path)})
    elif not settings.quiet:
        printing.say(f"wrote {path}; next: jobctl {where}run hello")
    return 0
