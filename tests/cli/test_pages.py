"""What --help prints: all there is, under headings, as wide as the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from jobctl.cli import pages, table
from jobctl.cli.main import main
from jobctl.cli.row import Row
from jobctl.cli.table import TABLE

RUN = """\
Usage: jobctl wait [OPTIONS] RUN...

  Wait until runs end, whatever their end.

Arguments:
  RUN...  Run ids, unique beginnings of them, or jobs' names for their latest
          runs.

Options:
  --timeout DURATION  Wait at most that long (20s, 5m).
  -h, --help          Show this message and exit.

Example:
  jobctl wait backup-a1b2c3 report --timeout 10m

  Global options work here too: jobctl --help lists them."""


def test_a_page() -> None:
    assert pages.page(TABLE["wait"], 80) == RUN


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.path or "jobctl")
def test_no_line_is_longer_than_the_terminal_is_wide(row: Row, columns: int) -> None:
    text, _, examples = pages.page(row, columns).partition("\nExample")
    lines = [*text.split("\n"), *examples.partition("\n\n")[2].split("\n")]
    words = max(len(word) for line in lines for word in line.split())
    assert max(map(len, lines)) <= max(columns, words + 16)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [30, 80, 200])
@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.path or "jobctl")
def test_a_page_says_all_that_the_row_says(row: Row, columns: int) -> None:
    page = pages.page(row, columns)
    words = " ".join(page.split())
    for text in (row.summary, *(one.help for one in row.of)):
        assert all(word in words for word in text.split())
    assert " ".join(row.more.split()) in words
    assert all(f"\n  {example}\n" in page for example in row.examples)
    assert all(name in words for name in row.by_name)


def test_commands_stand_under_their_headings_and_nothing_is_cut_off() -> None:
    page = pages.page(TABLE[""], 80)
    headings = [line[:-1] for line in page.split("\n") if line.endswith(":") and line[:1] != " "]
    sections = [table.RUN, table.LOOK, table.ACT, table.SCHEDULES, table.INSIDE, table.SET_UP]
    assert headings == [*sections, "Options"]
    for row in TABLE.values():
        assert row.group or f"\n  {row.path} " in page
    assert "..." not in page.partition("Run jobs:")[2]
    assert "\n  schedule next      Show when schedules fire next, in local time and UTC.\n" in page
    # What the heading says already is not said again.
    assert "In a step's command" not in page


@pytest.mark.parametrize("path", TABLE)
def test_help_is_the_page_of_the_command(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = set()
    for call in (["help", *path.split()], [*path.split(), "--help"], [*path.split(), "--json", "-h"]):
        assert main(call) == 0
        printed.add(capsys.readouterr().out)
    # One that only typer understands.
    assert main([*path.split(), "-qh"]) == 0
    printed.add(capsys.readouterr().out)
    assert printed == {pages.page(TABLE[path], pages.width()) + "\n"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("help rnu", "error: no such command 'rnu'\nhint: did you mean run? `jobctl --help`"),
        ("help schedule nxt", "error: no such command 'nxt'\nhint: did you mean next? `jobctl schedule --help`"),
        ("help run backup", "error: no such command 'backup'\nhint: `jobctl run --help`"),
        ("help --wait", "error: no such option: --wait\nhint:"),
    ],
)
def test_help_about_nothing_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    assert capsys.readouterr().err.startswith(said)


def test_help_needs_no_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JOBCTL_STATE_DIR", "/dev/null/x")
    monkeypatch.setenv("HOME", "/dev/null")
    assert main(["help", "run"]) == 0
    assert capsys.readouterr().out.startswith("Usage: jobctl run ")


@pytest.mark.parametrize(("said", "columns"), [("100", 100), ("5", pages.NARROWEST), ("", 80), ("0", 80), ("x", 80)])
def test_without_a_terminal_columns_counts(said: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    monkeypatch.setattr(sys, "stdout", open(os.devnull, "w"))  # noqa: SIM115
    assert pages.width() == columns


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_a_page_is_as_wide_as_its_terminal(columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen([sys.executable, "-m", "jobctl", "help", "run"], stdout=theirs, env=environ)
    os.close(theirs)
    seen = b""
    try:
        while more := os.read(ours, 4096):
            seen += more
    except OSError:
        pass  # Linux tells so that the other side is closed
    os.close(ours)
    assert process.wait() == 0
    assert seen.decode().replace("\r\n", "\n") == pages.page(TABLE["run"], columns) + "\n"
