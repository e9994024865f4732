"""Which clock a number of milliseconds is on: types for mypy, where one clock's could be taken for another's.

An instant on the wall clock, and every duration, is a plain int. Nothing reads a clock here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NewType

    Mono = NewType("Mono", int)
    Boottime = NewType("Boottime", int)
else:  # no process needs to know
    Mono = int  # the clock that never steps: what is waited by. It stands still in suspend, and is not recorded
    Boottime = (
        int  # the boot's: it never steps either, and counts suspend. Recorded with what waits, beside the boot's id
    )
