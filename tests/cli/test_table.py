"""The table is whole: each row has its file, each file its row, and what a row says is so."""

from __future__ import annotations

import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from jobctl.cli import argv, refusal, table
from jobctl.cli.row import Option, Row
from jobctl.cli.table import TABLE
from jobctl.core.model import OverlapPolicy
from jobctl.core.status import RunStatus
from jobctl.crontab.entry import Dialect

COMMANDS = [row for row in TABLE.values() if not row.group]
FOLDER = Path(refusal.__file__).parent / "commands"
ROWLESS = {"complete"}  # what the completion scripts call: no person types it
SECTIONS = (table.RUN, table.LOOK, table.ACT, table.SCHEDULES, table.INSIDE, table.SET_UP)


def _option(path: str, name: str) -> Option:
    return TABLE[path].by_name[name]


def test_every_row_has_its_file_and_every_file_its_row() -> None:
    rows = {row.file for row in COMMANDS}
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert rows - files == set(), "a row in cli/table.py, and no cli/commands/<command>.py"
    assert files - rows == ROWLESS, "a file in cli/commands/, and no row in cli/table.py"


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.path)
def test_what_does_it_takes_the_values_that_the_row_gives(row: Row) -> None:
    main = import_module(f"jobctl.cli.commands.{row.file}").main
    taken = list(inspect.signature(main).parameters)
    assert taken[row.settings :] == list(row.start()) or set(taken[row.settings :]) == set(row.start())


def test_paths_are_given_once_and_lie_in_groups_that_are_there() -> None:
    assert len(table._ROWS) == len(TABLE)
    for row in TABLE.values():
        assert not row.path or TABLE[row.path.rpartition(" ")[0]].group


def test_every_command_stands_under_a_heading() -> None:
    assert {row.section for row in COMMANDS} == set(SECTIONS)
    assert {row.section for row in TABLE.values() if row.group} == {""}


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.path or "jobctl")
def test_texts_are_whole(row: Row) -> None:
    assert row.examples or row.group
    for text in (row.summary, *(one.help for one in row.of)):
        assert text.endswith(".")
        assert not re.search(r"\s\s|\n", text)
    assert row.of[-1] is table.HELP
    names = [name for option in row.options for name in option.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("example", [line for row in COMMANDS for line in row.examples])
def test_examples_are_understood(example: str) -> None:
    program, *words = shlex.split(example)
    assert program == "jobctl"
    call = argv.parse(words, TABLE)
    assert isinstance(call, tuple)
    assert example in TABLE[call[0]].examples
    assert call == refusal.parse(words)


def test_choices_are_those_of_the_model() -> None:
    assert _option("history", "--status").choices == tuple(RunStatus)
    assert _option("schedule backfill", "--overlap").choices == (OverlapPolicy.BUFFER_ALL, OverlapPolicy.ALLOW_ALL)
    assert _option("import crontab", "--dialect").choices == tuple(Dialect)


@pytest.mark.parametrize(
    "option",
    [option for row in TABLE.values() for option in row.options if option.choices],
    ids=lambda option: option.names[-1],
)
def test_choices_are_said(option: Option) -> None:
    assert "|".join(option.choices) == option.metavar or ", ".join(option.choices) in option.help
    assert option.default is None or option.default in option.choices
