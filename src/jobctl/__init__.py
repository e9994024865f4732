"""jobctl: jobs that finish. Nothing is imported here: `import jobctl` must cost nothing.

What Python scripts use inside of a step's command (`jobctl.step`, `jobctl.sleep` …) is in
scripts/functions.py, what starts runs from outside (`jobctl.Client`) in python/client.py. Both are loaded
when they are used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.python.client import Client as Client
    from jobctl.python.client import Error as Error
    from jobctl.python.client import KeyConflict as KeyConflict
    from jobctl.python.client import NotFound as NotFound
    from jobctl.python.client import Run as Run
    from jobctl.scripts.functions import StepFailed as StepFailed
    from jobctl.scripts.functions import cursor as cursor
    from jobctl.scripts.functions import fail as fail
    from jobctl.scripts.functions import heartbeat as heartbeat
    from jobctl.scripts.functions import output as output
    from jobctl.scripts.functions import sleep as sleep
    from jobctl.scripts.functions import sleep_until as sleep_until
    from jobctl.scripts.functions import step as step
    from jobctl.scripts.functions import wait_signal as wait_signal

_SCRIPT = ("StepFailed", "cursor", "fail", "heartbeat", "output", "sleep", "sleep_until", "step", "wait_signal")


_CLIENT = ("Client", "Error", "KeyConflict", "NotFound", "Run")


def __getattr__(name: str) -> object:
    if name in _CLIENT:
        from jobctl.python import client

        return getattr(client, name)
    if name not in _SCRIPT:
        raise AttributeError(f"module 'jobctl' has no attribute {name!r}")
    from jobctl.scripts import functions as script

    return getattr(script, name)
