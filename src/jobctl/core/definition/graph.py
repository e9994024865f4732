"""Names that point at names: their order, their cycles, what lies behind each. What the names are is not known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobctl.core.record import NamedTuple

Edges = Mapping[str, Sequence[str]]  # name -> the names it needs; every name is a key


class Sorted(NamedTuple):
    order: list[str]  # each name after all that it needs, edges that close a cycle aside
    cycles: list[list[str]]  # ["a", "b", "a"]: a needs b, b needs a. No name is in two of them


def sort(edges: Edges) -> Sorted:
    """The order of the names, and the cycles that stand in its way. Linear; deep graphs are as good as wide ones."""
    order: list[str] = []
    cycles: list[list[str]] = []
    done: set[str] = set()
    caught: set[str] = set()  # names that are in a reported cycle
    for root in edges:
        if root in done:
            continue
        way = {root: 0}  # the names between root and here, each with its depth
        stack = [(root, iter(edges[root]))]
        while stack:
            name, rest = stack[-1]
            for need in rest:
                if need in way:
                    if need not in caught and name not in caught:
                        cycle = list(way)[way[need] :]
                        caught.update(cycle)
                        cycles.append([*cycle, need])
                elif need not in done:
                    way[need] = len(stack)
                    stack.append((need, iter(edges[need])))
                    break
            else:
                stack.pop()
                del way[name]
                done.add(name)
                order.append(name)
    return Sorted(order, cycles)


class Ancestors:
    """For each name all that it needs, directly or not. One bit a pair: 10,000 names in a chain take 6 MB."""

    def __init__(self, edges: Edges, order: Sequence[str]) -> None:
        self._bit = {name: 1 << i for i, name in enumerate(order)}
        self._bits: dict[str, int] = {}
        for name in order:
            bits = 0
            for need in edges[name]:
                bits |= self._bit[need] | self._bits.get(need, 0)
            self._bits[name] = bits

    def has(self, name: str, need: str) -> bool:
        """Whether `name` needs `need`, directly or not."""
        return bool(self._bits[name] & self._bit[need])
