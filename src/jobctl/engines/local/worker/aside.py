"""Runs that were put aside because something is wrong with them: tried again, after pauses that grow. What is wrong is
not known here, nor who tries."""

from __future__ import annotations

from jobctl.core.run.rows import RunRow

FIRST_MS = 5_000
LONGEST_MS = 3_600_000


class Aside:
    """Which runs are to be left alone for now."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, int, int | None]] = {}  # id -> (pause, until (monotonic), last event's number)

    def __len__(self) -> int:
        return len(self._runs)

    def put(self, run: int, mono: int) -> int:
        """It went wrong once more: how long it is left alone now, in milliseconds."""
        pause = min(self._runs[run][0] * 2, LONGEST_MS) if run in self._runs else FIRST_MS
        self._runs[run] = (pause, mono + pause, None)
        return pause

    def rests(self, row: RunRow, mono: int) -> bool:
        """Whether it is still to be left alone. Not when somebody has asked something of it since: that is followed."""
        found = self._runs.get(row.id)
        if found is None:
            return False
        pause, until, seq = found
        if seq is None:
            self._runs[row.id] = (pause, until, row.seq)
        return mono < until and seq in (None, row.seq)

    def keep(self, alive: set[int]) -> None:
        """Forget those that are over."""
        self._runs = {run: about for run, about in self._runs.items() if run in alive}

    def resting(self, mono: int) -> list[int]:
        """All that are still to be left alone, whatever was asked of them."""
        return [run for run, (_, until, _) in self._runs.items() if mono < until]
