"""jobctl: jobs that finish. Nothing is imported here: `import jobctl` must cost nothing.

What Python scripts use inside of a step's command (`jobctl.step`, `jobctl.sleep` …) is in script.py, loaded when it is
used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.script import StepFailed as StepFailed
    from jobctl.script import cursor as cursor
    from jobctl.script import fail as fail
    from jobctl.script import heartbeat as heartbeat
    from jobctl.script import output as output
    from jobctl.script import sleep as sleep
    from jobctl.script import sleep_until as sleep_until
    from jobctl.script import step as step
    from jobctl.script import wait_signal as wait_signal

_SCRIPT = ("StepFailed", "cursor", "fail", "heartbeat", "output", "sleep", "sleep_until", "step", "wait_signal")


def __getattr__(name: str) -> object:
    if name not in _SCRIPT:
        raise AttributeError(f"module 'jobctl' has no attribute {name!r}")
    from jobctl import script

    return getattr(script, name)
