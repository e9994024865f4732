"""Programs of ours that a step may run in place of a command: how one is started. What they do stands in files of
their own, `*_runner.py`, which import nothing of jobctl."""

from __future__ import annotations

import os
import sys

from jobctl.process.descent import TOKEN

LONGEST_ORDER = 8 * 1024 * 1024  # bytes; a message to a keeper may have twice that

# All that a runner has of its step's environment. The rest is for the condition, and may be secret.
KEEPS = (
    *("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("JOBCTL_STATE_DIR", "JOBCTL_RUN", "JOBCTL_STEP", "JOBCTL_OUTPUT", "JOBCTL_FAILURE", TOKEN),
)


def argv(module: str) -> list[str]:
    """The Python that runs us, with nothing of the user's and nothing installed in it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), module + ".py")
    return [sys.executable or "python3", "-I", "-S", path]
