"""A failing world made smaller: items are left out for as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection

from .simulation import simulate


def shrink(seed: str, dropped: Collection[int] = (), *, say: Callable[[str], None]) -> set[int] | None:
    """The items that can be left out of the world of a seed without changing which rule it breaks; None when it breaks
    none. Larger pieces first, until no single item can go."""
    gone = set(dropped)
    whole = simulate(seed, gone)
    if whole.rule is None:
        return None
    kept = [number for number in range(len(whole.items)) if number not in gone]
    size = max(1, len(kept) // 2)
    while True:
        before = len(kept)
        at = 0
        while at < len(kept):
            piece = kept[at : at + size]
            if simulate(seed, gone | set(piece)).rule == whole.rule:
                gone |= set(piece)
                del kept[at : at + size]
            else:
                at += size
        say(f"{len(kept)} items left, pieces of {size}")
        if size == 1 and len(kept) == before:
            return gone
        size = max(1, size // 2)


def numbers(text: str) -> set[int]:
    """`3,7-9` -> {3, 7, 8, 9}"""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def spelled(items: Collection[int]) -> str:
    """{3, 7, 8, 9} -> `3,7-9`"""
    ranges: list[list[int]] = []
    for number in sorted(items):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
