from __future__ import annotations

import pytest

from jobctl.core.definition import document, limits
from jobctl.core.errors import Problem


@pytest.mark.parametrize(
    ("data", "line", "message", "hint"),
    [
        (b"a = 1\nb = \xff\n", 2, "is not UTF-8: byte 0xff", "save it as UTF-8"),
        (b"\xef\xbb\xbfa = 1", 1, "byte order mark", "without BOM"),
        ("a = 1".encode("utf-16"), 1, "UTF-16", "save it as UTF-8"),
        (b"a = 1\n\nb = \0", 3, "NUL byte", "text file"),
        (b"#" * (limits.SIZE_LIMIT + 1), 0, "larger than 16 MiB", "split it"),
        (b"\na = 30s", 2, "is not TOML", "in quotes"),
        (b"a = yes\n", 1, "is not TOML", "in quotes"),
        (b"\na =", 2, "the value of `a` is missing", "write one behind"),
        (b"a b = 1", 1, "a blank ends it", "a_b = …, or in quotes"),
        (b"!", 1, "is not TOML", "key = value"),
        (b'a = "x\nb = 1', 1, "not closed on its line", '" is missing at its end'),
        (b"a = 'x\nb = '1'", 1, "not closed on its line", "' is missing at its end"),
        (b"a = 'x\nb = 1", 1, "not closed on its line", "' is missing at its end"),
        (b"a = [1\nb = 1", 1, "the list that begins here is not closed", "`]`"),
        ("a = '''\u2028\x85".encode(), 1, "never closed", "''' at its end"),  # line breaks, but not TOML's
        (b"[a]\nb = 1\nb = 2\n", 3, "a second time", "rename one"),
        (b"[a]\n[b]\n[a]\n", 3, "a second time", "rename one"),
        (b"a = { b = 1, b = 2 }\n", 1, "a second time", "rename one"),
        (b"a = 1\na.b = 2\n", 2, "`a` is a value in line 1, and a table here", "rename one"),
        (b'a = "\\q"', 1, "is not TOML", "single quotes"),
        (b"a = " + b"[" * 5_000, 1, "nested too deeply", "few levels"),
        (b"a = " + b"{a=" * 5_000, 1, "nested too deeply", "few levels"),
        (b"\na = " + b"9" * 5_000, 2, "thousands of digits", "in quotes"),
    ],
)
def test_what_is_no_document(data: bytes, line: int, message: str, hint: str) -> None:
    problem = document.read(data)
    assert isinstance(problem, Problem)
    assert problem.line == line
    assert message in problem.message
    assert hint in problem.hint
    assert len(problem.message) < 200


def test_what_is_one() -> None:
    assert document.read(b"") == ("", {})
    assert document.read("a = 'ü'\r\n".encode()) == ("a = 'ü'\r\n", {"a": "ü"})


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("a = { b = 1,\n  c = 2 }\nd = 3", {"a": {"b": 1, "c": 2}, "d": 3}),
        ("a = {\n  b = 1, # one }\n  c = [\n 1,\n 2, # ]\n], # two\n}\n", {"a": {"b": 1, "c": [1, 2]}}),
        ('a = { b = \'{\',\n c = "}\\"", d = {\n} }', {"a": {"b": "{", "c": '}"', "d": {}}}),
        ("a = [ {\n b = 1,\n}, {b=2} ]", {"a": [{"b": 1}, {"b": 2}]}),
        ('a = { b = """\nx\n""",\n c = 1 }', {"a": {"b": "x\n", "c": 1}}),
    ],
)
def test_a_table_in_braces_may_take_several_lines(text: str, tables: dict[str, object]) -> None:
    assert document.read(text.encode()) == (text, tables)


@pytest.mark.parametrize(
    "text",
    ["a = { b\n= 1 }", "a = { b =\n1 }", "a = { b = 2026-01-01\n10:00:00 }", "a = { b = 1\nc = 2 }", 'a = "{\n}"'],
)
def test_but_breaks_its_lines_only_beside_braces_and_commas(text: str) -> None:
    assert isinstance(document.read(text.encode()), Problem)


@pytest.mark.parametrize(
    "text", ["a = { , }", "a = {,}", "a = { b = 1,, }", "a = {\n,\n}", "a = { # c\n , # d\n}", "a = [{ , }]"]
)
def test_a_comma_behind_nothing_is_no_toml(text: str) -> None:
    assert isinstance(document.read(text.encode()), Problem)


def test_lines_behind_a_table_of_several_lines_keep_their_numbers() -> None:
    problem = document.read(b"a = {\n b = 1,\n}\n\nc = 30s\n")
    assert isinstance(problem, Problem)
    assert problem.line == 5


def test_values_are_not_repeated() -> None:
    for text in ("token = hunter2", "token = 'hunter2", "token 'hunter2'", "token = 'a' hunter2", "a=1\na='hunter2'"):
        problem = document.read(text.encode())
        assert isinstance(problem, Problem)
        assert "hunter2" not in problem.message + problem.hint
