"""The one function that builds a step's environment - for manual, scheduled, retried, resumed and adopted work alike.

Nothing leaks in: what works once in a terminal works at night.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

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
    return out
