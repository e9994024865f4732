"""The items of a `foreach` step in a few words and lines, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.views.run import Step

SHOWN = 10

# What is told of items beside how many are done. The most telling first; the others are only counted.
_TELLING = ("running", "failed", "timed_out", "waiting", "canceled", "compensated")


def progress(total: int, done: int, counts: Mapping[str, int]) -> str:
    """`87 of 100 items done, 3 running, 2 failed`."""
    parts = [f"{done:,} of {total:,} items done"]
    parts += [f"{counts[status]:,} {status.replace('_', ' ')}" for status in _TELLING if counts.get(status)]
    return ", ".join(parts)


def of_values(items: list[Step]) -> str:
    """The same for the items of a step."""
    done = sum(1 for item in items if item.status not in ("pending", "running", "waiting") and _began(item))
    return progress(len(items), done, Counter(item.status for item in items))


def telling(items: list[Step]) -> tuple[list[Step], int]:
    """Those that are to be shown one by one, in their order: they run, or something is wrong with them. And how many
    more there are of this kind."""
    order = {status: place for place, status in enumerate(_TELLING)}
    found = [item for item in items if item.status in order or item.compensation is not None]
    found.sort(key=lambda item: order.get(item.status, len(order)))
    return sorted(found[:SHOWN], key=lambda item: item.place or 0), max(0, len(found) - SHOWN)


def _began(item: Step) -> bool:
    # What was passed over because the run was over has no attempts, and is called skipped too.
    return item.status != "skipped" or bool(item.attempts)
