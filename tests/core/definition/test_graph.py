from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.core.definition import graph


@pytest.mark.parametrize(
    ("edges", "order", "cycles"),
    [
        ({}, "", []),
        ({"a": "", "b": "a", "c": "b"}, "abc", []),
        ({"a": "b", "b": "c", "c": ""}, "cba", []),
        ({"d": "bc", "b": "a", "c": "a", "a": ""}, "abcd", []),
        ({"a": "a"}, "a", ["aa"]),
        ({"a": "b", "b": "a"}, "ba", ["aba"]),
        ({"a": "b", "b": "c", "c": "b"}, "cba", ["bcb"]),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, "badc", ["aba", "cdc"]),
        ({"a": "bc", "b": "a", "c": "a"}, "bca", ["aba"]),  # no name in two cycles
    ],
)
def test_sort(edges: dict[str, str], order: str, cycles: list[str]) -> None:
    found = graph.sort({name: list(needs) for name, needs in edges.items()})
    assert found.order == list(order)
    assert found.cycles == [list(cycle) for cycle in cycles]


def test_a_deep_graph_is_as_good_as_a_wide_one() -> None:
    names = [str(i) for i in range(10_000)]
    chain = {name: [str(i + 1)] if i < 9_999 else [] for i, name in enumerate(names)}
    assert graph.sort(chain).order == names[::-1]
    assert len(graph.sort({**chain, "9999": ["0"]}).cycles[0]) == 10_001


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), unique=True)))
def test_there_is_a_cycle_where_a_name_is_its_own_ancestor(edges: dict[str, list[str]]) -> None:
    edges = {name: edges.get(name, []) for name in "abcdef"}
    found = graph.sort(edges)
    assert sorted(found.order) == list("abcdef")
    for cycle in found.cycles:
        assert cycle[0] == cycle[-1]
        assert all(need in edges[name] for name, need in pairwise(cycle))
    if not found.cycles:
        at = {name: i for i, name in enumerate(found.order)}
        assert all(at[need] < at[name] for name, needs in edges.items() for need in needs)


def test_ancestors() -> None:
    edges = {"a": [], "b": ["a"], "c": ["b"], "d": []}
    ancestors = graph.Ancestors(edges, graph.sort(edges).order)
    assert ancestors.has("c", "a")
    assert ancestors.has("c", "b")
    assert not ancestors.has("a", "c")
    assert not ancestors.has("c", "c")
    assert not ancestors.has("c", "d")
