from __future__ import annotations

import tomllib
from typing import Any

import pytest

from jobctl.core.definition.positions import Path, Places

FILE = r"""# a comment with [brackets] = and "quotes
[defaults] # [no.table]
timezone = "UTC"

[jobs.backup]
"quoted key" = 'it'
text = {basic}
[not.a.table]
key = 1 \" still inside {basic}
raw = {literal}
[neither]{literal}
retry = { maximum_attempts = 3, nested = { a = [1, 2], "b.c" = "}" } }
list = [ # comment ]
  "one", # two ]
  [ "x",
    "y" ],
  { k = 1 },
]
dotted.key.path = 1
when = 2026-01-01 10:00:00

[[jobs.trip.steps]]
name = "a"
[jobs.trip.steps.env]
A = "1"
[[jobs.trip.steps]]
name = "b"

  [[ jobs . trip . steps ]]
  name = "c"
  [ jobs."trip".steps.'retry' ]
  maximum_attempts = 2
[jobs."\u0041\t"]
end = {basic}x{basic}"
last = 1
""".replace("{basic}", '"' * 3).replace("{literal}", "'" * 3)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 0),
        (("nothing",), 0),
        (("defaults",), 2),
        (("defaults", "timezone"), 3),
        (("defaults", "missing"), 2),
        (("jobs",), 5),
        (("jobs", "backup"), 5),
        (("jobs", "backup", "quoted key"), 6),
        (("jobs", "backup", "text"), 7),
        (("jobs", "backup", "raw"), 10),
        (("jobs", "backup", "retry", "nested", "a", 1), 12),
        (("jobs", "backup", "retry", "nested", "b.c"), 12),
        (("jobs", "backup", "list"), 13),
        (("jobs", "backup", "list", 0), 14),
        (("jobs", "backup", "list", 1), 15),
        (("jobs", "backup", "list", 1, 1), 16),
        (("jobs", "backup", "list", 2, "k"), 17),
        (("jobs", "backup", "dotted", "key"), 19),
        (("jobs", "backup", "when"), 20),
        (("jobs", "trip"), 22),
        (("jobs", "trip", "steps"), 22),
        (("jobs", "trip", "steps", 0), 22),
        (("jobs", "trip", "steps", 0, "env", "A"), 25),
        (("jobs", "trip", "steps", 1, "name"), 27),
        (("jobs", "trip", "steps", 2), 29),
        (("jobs", "trip", "steps", 2, "name"), 30),
        (("jobs", "trip", "steps", 2, "retry", "maximum_attempts"), 32),
        (("jobs", "A\t", "last"), 35),
    ],
)
def test_lines(path: Path, line: int) -> None:
    assert Places(FILE).line(path) == line


def test_carriage_returns_count_for_nothing() -> None:
    places = Places(FILE.replace("\n", "\r\n"))
    assert places.line(("jobs", "A\t", "last")) == 35


def test_a_table_in_braces_may_have_several_lines() -> None:
    assert Places("a = {\n b = 1, # }\n c = 2,\n}\nd = 3\n").line(("a", "c")) == 3
    assert Places("a = {\n b = 1, # }\n c = 2,\n}\nd = 3\n").line(("d",)) == 5


@pytest.mark.parametrize(
    "text", ["a = 1\nb = { , }\n", "a = 1\nb = [", "a = 1\nb = {", "a = 1\n=", "a = 1\n[", "a = 1\n[["]
)
def test_what_it_does_not_understand_costs_lines_and_nothing_else(text: str) -> None:
    """No text that tomllib accepts is like these; should one be, the daemon that reads it lives on."""
    places = Places(text)
    assert places.line(("a",)) == 1
    assert not places.whole


def test_every_key_stands_in_the_line_that_is_told() -> None:
    places, lines = Places(FILE), FILE.split("\n")
    for path in _paths(tomllib.loads(FILE), ()):
        if isinstance(path[-1], str) and path[-1] != "A\t":
            assert path[-1] in lines[places.line(path) - 1]


def _paths(value: Any, path: Path) -> list[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in [(*path, key), *_paths(item, (*path, key))]]
