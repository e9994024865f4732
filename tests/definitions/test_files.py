from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path

import pytest

from jobctl.core.definition.limits import SIZE_LIMIT
from jobctl.core.errors import DefinitionError
from jobctl.definitions.files import check_file, read_env_file, read_file


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "jobs.toml").write_text('[jobs.a]\ncommand = "x"\n')
    monkeypatch.chdir(tmp_path)
    found = read_file("sub/jobs.toml")
    assert found.file == found.jobs["a"].file == "sub/jobs.toml"
    assert found.jobs["a"].folder == str(tmp_path / "sub")
    assert gc.isenabled()


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'[jobs.a]\ncommand = "x"')))
    found = read_file("-")
    assert found.file == "<stdin>"
    assert found.jobs["a"].folder == str(tmp_path)


def test_warnings_come_with_the_definitions_and_errors_without(tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text('[jobs.a]\ncommand = "echo {{ run.id }}"\n')
    found, problems = check_file(str(file))
    assert found is not None
    assert [problem.warning for problem in problems] == [True]
    file.write_text('[jobs.a]\ncomand = "x"\n')
    found, problems = check_file(str(file))
    assert found is None
    with pytest.raises(DefinitionError) as error:
        read_file(str(file))
    assert [str(problem) for problem in error.value.problems] == [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.toml", "there is no such file"),
        ("folder", "is a folder, not a file"),
        ("nul\0.toml", "cannot be read"),
        ("file/jobs.toml", "cannot be read: Not a directory"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for read in (read_file, read_env_file):
        with pytest.raises(DefinitionError) as error:
            read(f"{tmp_path}/{name}")
        assert message in error.value.message
        assert error.value.hint


def test_a_device_is_not_read() -> None:
    with pytest.raises(DefinitionError, match="it is a device, not a file"):
        read_file("/dev/zero")


def test_a_sparse_giant_is_not_read_into_memory(tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.touch()
    os.truncate(file, SIZE_LIMIT * 1_000)
    with pytest.raises(DefinitionError, match="larger than 16 MiB"):
        read_file(str(file))


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("", {}),
        ("# A=1", {}),
        ("   ", {}),
        ("A=1", {"A": "1"}),
        ("  A=1  ", {"A": "1"}),
        ("A=", {"A": ""}),
        ("export A=1", {"A": "1"}),
        ("A=b=c", {"A": "b=c"}),
        ("A= b c ", {"A": "b c"}),
        ("A=1 # one", {"A": "1"}),
        ("A=1#2", {"A": "1#2"}),
        ("A= # nothing", {"A": ""}),
        ("A='b c'", {"A": "b c"}),
        ("A='b\\n' # c", {"A": "b\\n"}),
        ('A="b c"', {"A": "b c"}),
        ('A="b\\n\\"c\\" \\\\ \\$"', {"A": 'b\n"c" \\ $'}),
        ('A="# no comment" # comment', {"A": "# no comment"}),
        ("A=$HOME/{{ run.id }}", {"A": "$HOME/{{ run.id }}"}),
        ("A=it's", {"A": "it's"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=ü", {"A": "ü"}),
        ("A=x\u2028y", {"A": "x\u2028y"}),
    ],
)
def test_lines_of_an_env_file(tmp_path: Path, line: str, variables: dict[str, str]) -> None:
    file = tmp_path / ".env"
    file.write_bytes(line.encode())
    assert read_env_file(str(file)) == variables


def test_every_line_of_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "A=1\na.b=hunter2\nB =hunter2\n1C=hunter2\nD='hunter2\nE=\"hunter2\\\"\nF='hunter2' x\n=hunter2\nG="
        + "h" * 131_072
    )
    with pytest.raises(DefinitionError) as error:
        read_env_file(str(file))
    assert [(problem.line, problem.key) for problem in error.value.problems] == [
        (2, ""), (3, ""), (4, ""), (5, "D"), (6, "E"), (7, "F"), (8, ""), (9, "G")
    ]  # fmt: skip
    assert all(problem.hint and problem.file == str(file) for problem in error.value.problems)
    assert not any("hunter2" in problem.message + problem.hint for problem in error.value.problems)


@pytest.mark.parametrize(
    ("data", "message"), [(b"A=\xff", "is not UTF-8"), (b"\xef\xbb\xbfA=1", "byte order mark"), (b"A=\0", "NUL byte")]
)
def test_an_env_file_is_text(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(data)
    with pytest.raises(DefinitionError, match=message):
        read_env_file(str(file))


def test_an_env_file_has_the_same_limit(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(DefinitionError, match="larger than 16 MiB"):
        read_env_file(str(file))
