"""What the map promises beyond imports that point inwards: no circle of files, no SQL outside the store's room, one
seam to what an engine holds, functions that can be read at once, time that is handed in.

Each rule has the list of those that break it still. A list only ever gets shorter: what is mended leaves it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "jobctl"
FILES = {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
MODULES = {"jobctl." + name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in FILES}

LINES = 70  # of a function: what fits on a screen

# -- those that break a rule still -------------------------------------------------------------------------------------

LONG: set[tuple[str, str]] = set()

CIRCLES: list[set[str]] = []

SQL_OUTSIDE: set[str] = set()

# Who may name the store is said by the map. The rest holds a client.
STORE = ("store/", "engines/local/", "cli/commands/doctor.py", "cli/commands/backup.py")
STORE_OUTSIDE: set[str] = set()

# What the local engine is made of: whoever else names it knows which engine carries a run out.
ENGINE = ("engines/local/",)
ENGINE_OUTSIDE: set[str] = set()

# Who reads the clock in place, and not a clock that was handed in. Outermost a process has to begin somewhere.
CLOCK = ("host/", "cli/", "python/", "scripts/")
# Who may make what shows the time: who is outermost. Everybody else is handed it.
HOST = ("cli/", "engines/local/client.py")

# The files that need no room: a program begins somewhere.
ROOMLESS = {"__init__.py", "__main__.py"}


# -- the rules ---------------------------------------------------------------------------------------------------------


def _runtime(node: ast.AST) -> Iterable[ast.AST]:
    """Every node except those under `if TYPE_CHECKING:`, which no process runs."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield from _runtime(child)


@cache
def _imported(name: str, *, all_of_it: bool = False) -> set[str]:
    """The files of ours that a file imports, inside of functions too; with `all_of_it` those for types as well."""
    found = set()
    for node in ast.walk(FILES[name]) if all_of_it else _runtime(FILES[name]):
        if isinstance(node, ast.Import):
            found |= {MODULES[alias.name] for alias in node.names if alias.name in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                for module in (f"{node.module}.{alias.name}", node.module):
                    if module in MODULES:
                        found.add(MODULES[module])
                        break
    return found


def _outside(name: str, places: tuple[str, ...]) -> bool:
    return not any(name.startswith(place) for place in places)


def _circles() -> list[set[str]]:
    """Sets of files each of which imports, over others, itself."""
    reached = {name: _imported(name) for name in FILES}
    more = True
    while more:
        more = False
        for name, found in reached.items():
            wider = found.union(*(reached[other] for other in found))
            if wider != found:
                reached[name] = wider
                more = True
    circles: list[set[str]] = []
    for name, found in reached.items():
        if name in found and not any(name in circle for circle in circles):
            circles.append({other for other in found if name in reached[other]})
    return circles


def test_no_function_is_longer_than_a_screen() -> None:
    found = {
        (name, node.name)
        for name, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > LINES
    }
    assert found == LONG


def test_no_file_imports_itself_over_others() -> None:
    assert sorted(map(sorted, _circles())) == sorted(map(sorted, CIRCLES))


def test_every_file_has_a_room() -> None:
    assert {name for name in FILES if "/" not in name} == ROOMLESS


def test_sql_stands_in_the_store() -> None:
    statement = re.compile(
        r"\b(SELECT\s+[\w(*].*\bFROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|WITH RECURSIVE|PRAGMA \w)",
        re.S,
    )
    found = {
        name
        for name, tree in FILES.items()
        if _outside(name, ("store/",))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.search(node.value)
    }
    assert found == SQL_OUTSIDE


def test_the_store_is_named_where_the_map_says() -> None:
    found = {
        name
        for name in FILES
        if _outside(name, STORE) and any(other.startswith("store/") for other in _imported(name, all_of_it=True))
    }
    assert found == STORE_OUTSIDE


def test_nobody_else_knows_what_the_local_engine_is_made_of() -> None:
    loop = "engines/local/loop.py"
    found = {name for name in FILES if _outside(name, ENGINE) and loop in _imported(name, all_of_it=True)}
    assert found == ENGINE_OUTSIDE


def test_time_is_handed_in() -> None:
    assert not {name for name in FILES if _outside(name, CLOCK) and "host/clock.py" in _imported(name)}
    makes = re.compile(r"\bHost\(\)")
    assert not {name for name in FILES if _outside(name, HOST) and makes.search((SOURCE / name).read_text())}


def test_what_an_event_carries_is_read_by_its_type() -> None:
    """`carried(kind, event)` gives a type by which mypy finds a key that there is not. What looks at events of any type
    - a store, JSON for programs - copies what they carry, and reads no key of it."""
    untyped = re.compile(r"\b(?:event|fact|end|pause|ending)\.data(?:\[|\.get)")
    found = {name for name in FILES if any(untyped.search(line) for line in (SOURCE / name).read_text().splitlines())}
    assert found == {"core/run/history.py", "views/documents.py"}  # the instants of all that have one
