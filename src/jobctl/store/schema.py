"""What a database file says of itself: that it is ours, and of which schema. How it gets to another: migrations.py."""

from __future__ import annotations

from collections.abc import Callable

from jobctl.core.record import NamedTuple

APPLICATION_ID = 0x6A6F6263  # "jobc": tells our file from any other SQLite database
VERSION = 7  # the number of migrations; stands in user_version

Before = Callable[[list[tuple[str, int]]], list[int]]  # daemons (id, pid) -> the processes that were asked to end


class Upgraded(NamedTuple):
    """What was done to a store of an older version."""

    version: int  # it had
    kept: str  # where it is still as it was; "" for one without a history
    ended: list[int]  # daemons that were asked to end
