"""The one function that builds a step's environment - for manual, scheduled, retried, resumed and adopted work alike.

Nothing leaks in: what works once in a terminal works at night.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

# Of the process that runs the step. The list is the contract's.
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR")

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(environ: Mapping[str, str], *layers: Mapping[str, str], inherit: bool | Iterable[str] = ()) -> dict[str, str]:
    """The inherited part of `environ`, then the layers in order: [defaults] env, env_file, job env, step env, ours.

    `inherit`: patterns (AWS_*) of what else passes, True for everything. Nothing of an outer jobctl's passes.
    """
    if inherit is True:
        out = dict(environ)
    else:
        patterns = tuple(inherit) if inherit else ()
        out = {
            key: value
            for key, value in environ.items()
            if key in INHERITED or key.startswith("LC_") or any(fnmatchcase(key, pattern) for pattern in patterns)
        }
    # A step that calls jobctl is not itself the inner run's step.
    out = {key: value for key, value in out.items() if not key.startswith("JOBCTL_")}
    out.setdefault("PATH", DEFAULT_PATH)
    for layer in layers:
        out.update(layer)
    out["PATH"] = with_jobctl(out["PATH"])
    return out


def with_jobctl(path: str, folder: str | None = None) -> str:
    """A PATH on which commands find this jobctl, after all else: a durable script calls it, and under systemd an
    installation in a folder of its own - venv, pipx, uv - is on nobody's PATH. `folder`: where it is, for tests."""
    folder = own_folder() if folder is None else folder
    if not folder or folder in path.split(":"):
        return path
    return f"{path}:{folder}" if path else folder


@lru_cache(maxsize=1)
def own_folder() -> str:
    """Where the `jobctl` of this installation is; "" where it has none, as in a checkout that was never installed."""
    import sysconfig

    called = sys.argv[0] if sys.argv and os.path.basename(sys.argv[0]) == "jobctl" else ""
    for folder in (
        os.path.dirname(sys.executable),
        sysconfig.get_path("scripts") or "",
        os.path.dirname(os.path.abspath(called)) if called else "",
        os.path.expanduser("~/.local/bin"),
    ):
        if os.path.isabs(folder) and ":" not in folder and os.access(os.path.join(folder, "jobctl"), os.X_OK):
            return folder
    return ""
