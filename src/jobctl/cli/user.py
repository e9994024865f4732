"""Who asks, for the history."""

from __future__ import annotations

import os


def user() -> str:
    """The name of whoever runs this process."""
    name = os.environ.get("LOGNAME") or os.environ.get("USER")
    if name:
        return name
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
