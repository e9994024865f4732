"""Imports point inwards, and the core knows no world: what docs/architecture.md promises of the map."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "jobctl"
FILES = {str(path.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("*.py"))}
CORE = [name for name in FILES if name.startswith("core/")]
PURE = [*CORE, *(name for name in FILES if name.startswith("crontab/"))]

# From the inside out. A file may import its own room and those before it; `cli`, `web` and `python` stand outermost.
ROOMS = ["core", "crontab", "host", "process", "definitions", "store", "scripts", "engines", "views", "daemon"]
OUTERMOST = {"cli", "web", "python"}

# Where the libraries and the heavier parts of the standard library may be imported at all; a name ending in / is a
# folder.
ONLY_IN = {
    "rich": ("cli/",),
    "typer": ("cli/",),
    "click": ("cli/",),
    "croniter": ("cli/croniter_check.py",),
    "sqlite_utils": ("store/",),
    "sqlite3": ("store/", "cli/commands/doctor.py"),  # the doctor tells SQLite's version
    "filelock": ("store/", "process/", "engines/local/executor.py"),
    "temporalio": ("engines/temporal/",),
    "starlette": ("web/",),
    "uvicorn": ("web/",),
    "pydantic": (),
    "asyncio": ("engines/temporal/", "web/"),
}

# What no process should pay for that only says `--version`, nor any that replays a history.
HEAVY = {"rich", "croniter", "sqlite_utils", "filelock", "typer", "pydantic", "asyncio"}

# What the core must not so much as import: the clock, chance, and the world.
WORLD = {"time", "random", "secrets", "uuid", "os", "pathlib", "io", "socket", "subprocess", "threading", "sqlite3"}
# What it must not call: an answer that differs between two processes, or the world without an import.
CALLS = {"hash", "id", "open", "input", "print", "now", "utcnow", "today", "time", "uuid4"}


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text())


def _imports(name: str, *, top_only: bool = False) -> list[str]:
    """Full names of the modules and objects that a file imports, `from a import b` as `a.b`."""
    found = []
    for node in _runtime(_tree(name), top_only):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: imports are written in full"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _runtime(node: ast.AST, top_only: bool) -> list[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`, which no process runs."""
    found = [node]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if top_only and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        found += _runtime(child, top_only)
    return found


def _room(name: str) -> str:
    return name.split("/")[0] if "/" in name else ""


def _allowed(name: str, places: tuple[str, ...]) -> bool:
    return any(name.startswith(place) if place.endswith("/") else name == place for place in places)


def test_the_files_are_where_this_test_looks() -> None:
    assert "core/run/decide.py" in FILES
    assert {_room(name) for name in FILES} - {""} <= {*ROOMS, *OUTERMOST}


@pytest.mark.parametrize("name", [name for name in FILES if _room(name)])
def test_imports_point_inwards(name: str) -> None:
    room = _room(name)
    inner = set(ROOMS if room in OUTERMOST else ROOMS[: ROOMS.index(room)]) | {room}
    wrong = []
    for module in _imports(name):
        parts = module.split(".")
        if parts[0] != "jobctl" or len(parts) < 2:
            continue
        if parts[1] in {*ROOMS, *OUTERMOST} and parts[1] not in inner:
            wrong.append(module)
    assert wrong == []


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_the_standard_library_and_itself(name: str) -> None:
    outside = [
        module
        for module in _imports(name)
        if module.split(".")[0] not in sys.stdlib_module_names and not f"{module}.".startswith("jobctl.core.")
    ]
    assert outside == []


@pytest.mark.parametrize("name", PURE)
def test_the_core_knows_no_world(name: str) -> None:
    assert {module.split(".")[0] for module in _imports(name)} & WORLD == set()


@pytest.mark.parametrize("name", PURE)
def test_the_core_asks_for_nothing_that_differs_between_two_processes(name: str) -> None:
    calls = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Call):
            called = node.func
            what = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if what in CALLS:
                calls.add(f"line {node.lineno}: {what}()")
    assert calls == set()


@pytest.mark.parametrize("name", FILES)
def test_libraries_stay_in_their_rooms(name: str) -> None:
    wrong = [
        module
        for module in _imports(name)
        if (root := module.split(".")[0]) in ONLY_IN and not _allowed(name, ONLY_IN[root])
    ]
    assert wrong == []


def test_importing_the_core_is_light() -> None:
    """All of it in one process: what one file loads would be among what all do."""
    modules = ["jobctl", *(f"jobctl.{name[:-3].replace('/', '.').removesuffix('.__init__')}" for name in CORE)]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(modules) <= set(loaded)
    assert HEAVY & set(loaded) == set()


@pytest.mark.parametrize("name", FILES)
def test_annotations_are_not_evaluated_at_start(name: str) -> None:
    tree = _tree(name)
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AnnAssign)) for node in ast.walk(tree)):
        assert "__future__.annotations" in _imports(name, top_only=True)


@pytest.mark.parametrize("name", FILES)
def test_the_first_line_says_what_lives_there(name: str) -> None:
    tree = _tree(name)
    assert not tree.body or ast.get_docstring(tree), "a file has one subject, and says so"
