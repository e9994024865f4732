"""Results as text and JSON, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import os
import pty
import sys

import pytest

from jobctl.cli import printing


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def test_control_sequences_do_not_reach_a_terminal(terminal: Terminal) -> None:
    printing.say("a\x1b[2Jb")
    printing.print_json({"a": "\x9b31m"})
    print(printing.table(["NAME"], [["x\x1b]0;title\x07"]]))
    assert "\x1b" not in terminal.getvalue()
    assert "\x9b" not in terminal.getvalue()


def test_elsewhere_text_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    printing.say("a\x1b[2Jb ü")
    printing.print_json({"a": "ü"})
    assert capsys.readouterr().out == 'a\x1b[2Jb ü\n{\n  "a": "ü"\n}\n'


def test_a_json_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_json_line({"a": "b\nc", "d": [1]})
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line) == {"a": "b\nc", "d": [1]}


@pytest.mark.parametrize(
    ("color", "tty", "environ", "expected"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {}, False),
    ],
)
def test_colour(color: str, tty: bool, environ: dict[str, str], expected: bool) -> None:
    stream = Terminal() if tty else io.StringIO()
    assert printing.colored(color, stream=stream, environ=environ) is expected


def test_a_table_is_as_wide_as_its_text_and_a_row_is_a_line() -> None:
    assert printing.table(["A", "BB"], [["1", "2"], ["long", "x\ny"]]) == "A     BB\n1     2\nlong  x y"
    assert printing.table(["A"], []) == ""
    assert printing.table(["A"], [["1"]], color=True) == "\x1b[1mA\x1b[0m\n1"


@pytest.mark.parametrize(
    ("lines", "ask", "pager", "paged"),
    [
        (40, True, "sed s/^/paged:/", True),
        (5, True, "sed s/^/paged:/", False),  # fits
        (40, False, "sed s/^/paged:/", False),  # --no-input
        (40, True, "", False),
        (40, True, "no-such-pager", False),
    ],
)
def test_more_lines_than_the_terminal_shows_go_to_the_pager(lines: int, ask: bool, pager: str, paged: bool) -> None:
    body = (
        "import fcntl, struct, termios\n"
        "fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))\n"
        "from jobctl.cli import printing\n"
        f"printing.paged([f'line {{i}}' for i in range({lines})], ask={ask})\n"
    )
    shown: list[bytes] = []
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", body], {**os.environ, "PAGER": pager})
    try:
        while True:
            shown.append(os.read(fd, 65536))
    except OSError:
        pass  # its end of the terminal is closed
    assert os.waitpid(pid, 0)[1] == 0
    text = b"".join(shown)
    assert (b"paged:line 0" in text) is paged
    assert b"line 4" in text
