"""What a keeper asks of the system, where the answer depends on what happens while it is asked."""

from __future__ import annotations

import pytest

from jobctl.process import descent, kernel

LEADER = 100


@pytest.mark.parametrize(
    ("lists", "dead", "found"),
    [
        # Each row: the children at each reading of the list, who has ended by the time it is looked at, who is found.
        pytest.param([[LEADER]], set(), [], id="none but an attempt's first"),
        pytest.param([[LEADER, 201]], set(), [201], id="one"),
        pytest.param([[LEADER, 201]], {201}, [], id="one that has ended and left none"),
        pytest.param([[201], [201, 202]], {201}, [202], id="one that left another behind the list's end"),
        pytest.param([[201], [202], [203], [204]], {201, 202, 203}, [204], id="one that makes the next, many times"),
        pytest.param([[200 + n] for n in range(1000)], set(range(1300)), [], id="without end"),
    ],
)
def test_nobody_is_overlooked_that_lost_its_parent_during_the_look(
    monkeypatch: pytest.MonkeyPatch, lists: list[list[int]], dead: set[int], found: list[int]
) -> None:
    readings = iter([*lists, *[lists[-1]] * 3])
    monkeypatch.setattr(descent, "children", lambda _: next(readings))
    monkeypatch.setattr(descent, "below", lambda _: [])
    monkeypatch.setattr(descent, "look", lambda pid: descent.Proc(pid, "Z" if pid in dead else "S", 1, pid, pid, 5))
    monkeypatch.setattr(kernel, "become_subreaper", lambda: True)
    system = kernel.System()
    assert [one.pid for one in system.orphans({LEADER: None})] == found
