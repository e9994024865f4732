"""What commands and keepers write, read back: also when it is half, huge, or garbage."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobctl.core.run.attempts import Outcome
from jobctl.process.attempt import (
    MAX_CURSOR,
    MAX_OUTPUT,
    AttemptFiles,
    Failure,
    FileError,
    heartbeat_mark,
    outcome,
    read_cursor,
    read_failure,
    read_outputs,
)
from jobctl.process.end import End


def _written(folder: Path, data: bytes | None) -> str:
    path = folder / "file"
    if data is not None:
        path.write_bytes(data)
    return str(path)


# -- how it ended ------------------------------------------------------------------------------------------------------


def _exit(code: int) -> End:
    return End("x/main.1", "exit", code << 8, ran=True)


def _signal(number: int, core: bool = False) -> End:
    return End("x/main.1", "exit", number | (0x80 if core else 0), ran=True)


def _asked(status: int) -> End:
    return End("x/main.1", "condition", status)


def _not_made(what: str, number: int) -> End:
    return End("x/main.1", "not_made", number, what=what)


SAID = Failure("no space left", "Disk", True, 5_000)


@pytest.mark.parametrize(
    ("end", "failure", "ended"),
    [
        (_exit(0), Failure(), Outcome("succeeded", 0)),
        (_exit(1), Failure(), Outcome("failed", 1, error="exit code 1")),
        (_exit(255), Failure(), Outcome("failed", 255, error="exit code 255")),
        (_exit(137), Failure(), Outcome("failed", 137, error="exit code 137")),
        (_signal(9), Failure(), Outcome("failed", None, 9, "killed by SIGKILL")),
        (_signal(11, core=True), Failure(), Outcome("failed", None, 11, "killed by SIGSEGV")),
        (_signal(2), Failure(), Outcome("failed", None, 2, "killed by SIGINT")),
        (_signal(34), Failure(), Outcome("failed", None, 34, "killed by SIGRTMIN")),
        (_signal(35), Failure(), Outcome("failed", None, 35, "killed by signal 35")),
        (_exit(127), Failure(), Outcome("failed", 127, error="exit code 127 (command not found)")),
        (_exit(126), Failure(), Outcome("failed", 126, error="exit code 126 (command cannot be executed)")),
        (_exit(3), SAID, Outcome("failed", 3, None, "no space left", "Disk", True, 5_000)),
        (_signal(15), SAID, Outcome("failed", None, 15, "no space left", "Disk", True, 5_000)),
        (_exit(0), SAID, Outcome("succeeded", 0)),
        (
            _exit(0),
            Failure("another order", non_retryable=True, unfinished=True),
            Outcome("failed", 0, error="another order", non_retryable=True),
        ),
        (_asked(1 << 8), Failure(), Outcome("skipped", 1)),
        (
            _asked(2 << 8),
            Failure(),
            Outcome("failed", 2, error="its condition (only_if) ended with exit code 2, not 0 or 1"),
        ),
        (_asked(9), Failure(), Outcome("failed", None, 9, "its condition (only_if) was killed by SIGKILL")),
        (
            _not_made("folder", errno.ENOENT),
            Failure(),
            Outcome("failed", 126, error="its working folder (cwd) cannot be entered"),
        ),
        (
            _not_made("program", errno.ENOENT),
            Failure(),
            Outcome("failed", 127, error="exit code 127 (command not found)"),
        ),
        (
            _not_made("program", errno.EACCES),
            Failure(),
            Outcome("failed", 126, error="exit code 126 (command cannot be executed)"),
        ),
        (
            _not_made("interpreter", errno.ENOENT),
            Failure(),
            Outcome(
                "failed",
                127,
                error="exit code 127 (the interpreter that its first line names: No such file or directory)",
            ),
        ),
        (
            _not_made("arguments", errno.E2BIG),
            Failure(),
            Outcome("failed", error="its command and environment are too long for the system (E2BIG)"),
        ),
    ],
)
def test_how_an_attempt_ended(end: End, failure: Failure, ended: Outcome) -> None:
    assert outcome(end, failure) == ended


# -- the command's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (None, {}),
        (b"", {}),
        (b"\n \n\n", {}),
        (b"a=1\n", {"a": "1"}),
        (b"a=1", {"a": "1"}),
        (b"a=1\na=2\n", {"a": "2"}),
        (b"a=\n", {"a": ""}),
        (b"a= 1 \n", {"a": " 1 "}),
        (b" a =1\n", {"a": "1"}),
        (b"a=b=c\n", {"a": "b=c"}),
        (b"a=x<<y\n", {"a": "x<<y"}),
        (b"a<<END\nEND\n", {"a": ""}),
        (b"a<<END\n1\n2=3\n\nEND\nb=4\n", {"a": "1\n2=3\n", "b": "4"}),
        (b"a<<END\nb<<END\nEND\n", {"a": "b<<END"}),
        (b"a << E O F\n1\nE O F\n", {"a": "1"}),
        (b"a<<END\n END\nEND", {"a": " END"}),
        (b"a=\xff\xfe\n", {"a": "\\xff\\xfe"}),
        (b"a=1\x002\n", {"a": "1\\x002"}),
        (b"a=1\r\nb<<END\r\n2\r\n\r\nEND\r\n", {"a": "1", "b": "2\n"}),  # from a program that writes DOS line ends
        (b"a=1\r2\r\r\n", {"a": "1\r2\r"}),
        ("a=1\u20282\x0c3\x1c4\x855\n".encode(), {"a": "1\u20282\x0c3\x1c4\x855"}),
    ],
)
def test_outputs(tmp_path: Path, text: bytes | None, values: dict[str, str]) -> None:
    assert read_outputs(_written(tmp_path, text)) == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"garbage\n", "line 1 of the output file is not key=value"),
        (b"a=1\n\n=2\n", "line 3 of the output file is not key=value"),
        (b"a=1\nb<<END\n2\n", "line 2 of the output file opens a block that nothing ends"),
        (b"a=1\n \r\t=2\n", "line 2 of the output file is not key=value"),
        (b" <<END\n2\nEND\n", "line 1 of the output file is not key=value"),
        (b"b<<\n2\n\n", "line 1 of the output file opens a block that nothing ends"),
        (b"<<END\nEND\n", "line 1 of the output file is not key=value"),
        (b"a=" + b"x" * MAX_OUTPUT, f"more than {MAX_OUTPUT} bytes"),
        (bytes(range(256)), "is not key=value"),
    ],
)
def test_outputs_that_are_none(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(FileError) as caught:
        read_outputs(_written(tmp_path, text))
    assert says in str(caught.value)


def test_outputs_up_to_the_limit(tmp_path: Path) -> None:
    text = b"a=" + b"x" * (MAX_OUTPUT - 2)
    assert len(read_outputs(_written(tmp_path, text))["a"]) == MAX_OUTPUT - 2


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (None, Failure()),
        (b"", Failure()),
        (b"message=no such day\n", Failure("no such day")),
        (b"type=Quota\nmessage=m\nnon_retryable=true\nnext_retry_delay=1m30s\n", Failure("m", "Quota", True, 90_000)),
        (b"non_retryable=YES\n", Failure(non_retryable=True)),
        (b"message=m\r\nnext_retry_delay=1m\r\n", Failure("m", next_retry_delay=60_000)),
        (b"non_retryable=1\n", Failure(non_retryable=True)),
        (b"non_retryable= true \n", Failure(non_retryable=True)),
        (b"non_retryable=false\n", Failure()),
        (b"non_retryable=0\n", Failure()),
        (b"next_retry_delay=0s\n", Failure(next_retry_delay=0)),
        (b"message=m\nunfinished=true\n", Failure("m", unfinished=True)),
        (b"message<<END\ntwo\nlines\nEND\nunknown=is passed over\n", Failure("two\nlines")),
    ],
)
def test_what_a_command_says_of_its_failure(tmp_path: Path, text: bytes | None, failure: Failure) -> None:
    assert read_failure(_written(tmp_path, text)) == failure


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"next_retry_delay=90\n", "next_retry_delay"),
        (b"next_retry_delay=soon\n", "next_retry_delay"),
        (b"non_retryable=maybe\n", "non_retryable is neither true nor false"),
        (b"garbage", "line 1 of the failure file is not key=value"),
    ],
)
def test_a_failure_file_that_says_nothing_useful(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(FileError, match=says):
        read_failure(_written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        (None, None),
        (b"", None),
        (b"half", None),
        (b"one\n", "one"),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo\nhal", "two"),
        (b"one\n\n", ""),
        (b"\n", ""),
        (b"\xff\x00\n", "\\xff\\x00"),
        (b"x" * MAX_CURSOR + b"\n", "x" * MAX_CURSOR),
        (b"a\n" + b"x" * MAX_CURSOR + b"\n", "x" * MAX_CURSOR),
        (b"x" * (MAX_CURSOR + 9) + b"\n", None),
        (b"\xff" * MAX_CURSOR + b"\n", None),  # written as text it is four times as long
        (b"row 7\r\n", "row 7"),
        (b"x" * (MAX_CURSOR + 9) + b"\nshort\n", "short"),
        (b"line\n" * 200_000, "line"),
    ],
)
def test_the_cursor_is_the_last_complete_line(tmp_path: Path, text: bytes | None, cursor: str | None) -> None:
    assert read_cursor(_written(tmp_path, text)) == cursor


def test_every_heartbeat_leaves_a_mark(tmp_path: Path) -> None:
    path = _written(tmp_path, None)
    marks = [heartbeat_mark(path)]
    for _ in range(3):
        with open(path, "a") as file:
            file.write("\n")
        marks.append(heartbeat_mark(path))
    assert marks[0] is None
    assert len(set(marks)) == 4


def _folder(path: str) -> None:
    os.mkdir(path)


def _pipe(path: str) -> None:
    os.mkfifo(path)


def _loop(path: str) -> None:
    os.symlink(path, path)


@pytest.mark.parametrize("make", [_folder, _pipe, _loop])
def test_whatever_a_command_puts_in_the_place_of_its_files_nobody_waits_for_it(
    tmp_path: Path, make: Callable[[str], None]
) -> None:
    path = str(tmp_path / "file")
    make(path)
    with pytest.raises(FileError):
        read_outputs(path)
    with pytest.raises(FileError):
        read_failure(path)
    assert read_cursor(path) is None
    heartbeat_mark(path)


def test_a_link_to_nothing_is_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    os.symlink("nowhere", path)
    assert read_outputs(path) == {}


def test_the_names_of_an_attempts_files() -> None:
    files = AttemptFiles("/s/runs/x-1", "dump!undo", 3)
    assert files.state == "/s/runs/x-1/dump!undo.3.state"
    assert files.base == "/s/runs/x-1/dump!undo.3"
    assert {os.path.splitext(getattr(files, name))[1] for name in AttemptFiles.__slots__ if name != "base"} == {
        ".state",
        ".log",
        ".heartbeat",
        ".output",
        ".failure",
        ".poll",
        ".suspend",
        ".calls",
    }
