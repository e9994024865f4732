"""Our NamedTuple is typing's in all that is asked of it."""

from __future__ import annotations

import ast
import inspect
import pickle
import typing
from pathlib import Path

import pytest

from jobctl.core import record

SOURCE = Path(record.__file__).parents[1]
ALONE = {"core/record.py", "process/http_runner.py"}  # the second is run by a Python that has no jobctl


class Ours(record.NamedTuple):
    """A point."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()

    @property
    def sum(self) -> int:
        return self.x + self.y

    def moved(self, by: int) -> Ours:
        return self._replace(x=self.x + by)

    @classmethod
    def zero(cls) -> Ours:
        return cls(0, 0)


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()


def test_it_is_a_tuple_with_names() -> None:
    point = Ours(1)
    assert point == Theirs(1) == (1, 2, ())
    assert (point.x, point.y, point.names, point.sum) == (1, 2, (), 3)
    assert point.moved(2) == Ours(3)
    assert Ours.zero() == (0, 0, ())
    assert repr(point) == repr(Theirs(1)).replace("Theirs", "Ours")
    assert hash(point) == hash((1, 2, ()))
    assert pickle.loads(pickle.dumps(point)) == point
    assert point._asdict() == Theirs(1)._asdict()
    assert Ours._make((5, 6, ("a",))) == Theirs._make((5, 6, ("a",)))
    match point:
        case Ours(x, y=y):
            assert (x, y) == (1, 2)


@pytest.mark.parametrize("name", ["_fields", "_field_defaults", "__doc__", "__module__", "__slots__", "__match_args__"])
def test_what_a_class_says_of_itself_is_the_same(name: str) -> None:
    assert getattr(Ours, name) == getattr(Theirs, name)
    Ours(1)  # whose constructor is compiled with the first value
    assert inspect.signature(Ours).parameters.keys() == inspect.signature(Theirs).parameters.keys()
    assert Ours.__qualname__ == "Ours"
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Ours(),
        lambda: Ours(1, 2, (), 4),
        lambda: Ours(1, z=2),
        lambda: Ours._make((1, 2)),
    ],
)
def test_what_does_not_fit_is_refused(wrong: typing.Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        wrong()


def test_no_field_is_replaced_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="z"):
        Ours(1)._replace(z=3)


def test_a_field_without_a_default_comes_first() -> None:
    with pytest.raises(TypeError):

        class Wrong(record.NamedTuple):
            a: int = 1
            b: int


def test_nobody_takes_the_slow_one() -> None:
    slow = [
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if str(path.relative_to(SOURCE)) not in ALONE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "typing"
        and "NamedTuple" in [alias.name for alias in node.names]
    ]
    assert slow == [], "from jobctl.core.record import NamedTuple"
