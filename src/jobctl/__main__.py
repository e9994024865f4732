"""Where `jobctl` starts, as a script and as `python -m jobctl`: signals first, and only then everything else.

Until a command takes them (cli/signals.py) one of them ends the process at once, with its exit code: nothing is under
way yet that would have to be ended in order. Python's own handler for SIGINT would show a traceback of whatever was
being imported, and the first process of a PID namespace gets none of the signals that it has no handler for.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what there is of `signal` already: importing that takes milliseconds
import os


def _end(number: int, _: object) -> None:
    os._exit(128 + number)


for _number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
    if _signal.getsignal(_number) != _signal.SIG_IGN:  # nohup, or a shell's `&`: it was meant to be ignored
        _signal.signal(_number, _end)

from jobctl.cli.main import main  # noqa: E402

if __name__ == "__main__":
    import sys

    sys.exit(main())
