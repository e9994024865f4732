"""Every file is opened by a helper of host/files.py, which neither waits nor takes something else for it - or stands
here, with why it need not be. And no `assert` judges what somebody has written."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "jobctl"
FILES = {str(path.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("*.py"))}

KERNELS = "a file of the kernel's, which nobody can put something else in the place of"
NEW = "made exclusively: what was there before is not opened"
FOLDER = "a folder, as which it is opened or not at all"
DESCRIPTOR = "a descriptor that a helper, or such a call, has opened"

# (file, function) -> why.
OPENED: dict[tuple[str, str], str] = {
    ("host/archive.py", "__init__"): "a tar over a file that the caller has opened",
    ("host/archive.py", "entries"): "a tar over a file that the caller has opened",
    ("host/boot.py", "boot_id"): KERNELS,
    ("host/clock.py", "boot"): KERNELS,
    ("host/locks.py", "called"): KERNELS,
    ("host/locks.py", "held"): KERNELS,
    ("host/outflow.py", "__init__"): "our own output, whatever it is, opened once more without waiting",
    ("cli/commands/backup.py", "_to_file"): FOLDER,
    ("host/drafts.py", "_locked"): "a folder, which is no link: O_DIRECTORY and O_NOFOLLOW",
    ("engines/local/backup.py", "_digest"): "the file that the caller has just made",
    ("engines/local/backup.py", "_to_ourselves"): FOLDER,
    ("engines/local/backup.py", "_flush"): FOLDER,
    ("host/parents.py", "_unknown_here"): KERNELS,
    ("host/settings.py", "_mounts"): KERNELS,
    ("host/folder.py", "_numbers_move"): KERNELS,
    ("cli/commands/doctor.py", "_filesystem"): KERNELS,
    ("cli/exit.py", "_prepare_streams"): KERNELS,
    ("cli/exit.py", "_discard_output"): KERNELS,
    ("process/http_runner.py", "main"): KERNELS,
    ("process/http_runner.py", "save"): "it stands alone, and is the command: whatever reads its files uses a helper",
    ("process/cgroups.py", "members"): KERNELS,
    ("process/cgroups.py", "kill"): KERNELS,
    ("process/cgroups.py", "settle"): KERNELS,
    ("process/cgroups.py", "_own"): KERNELS,
    ("process/cgroups.py", "make"): FOLDER,
    ("process/descent.py", "token_of"): KERNELS,
    ("process/descent.py", "_content"): KERNELS,
    ("process/kernel.py", "__init__"): KERNELS,
    ("process/kernel.py", "open_log"): "looked at when it is open, and opened without waiting; twice as fast so",
    ("process/kernel.py", "_new_log"): NEW,
    ("process/kernel.py", "set_title"): KERNELS,
    ("process/keeper_process.py", "run"): NEW,
    ("process/keeper_process.py", "_let_go"): KERNELS,
    ("process/keepers.py", "connect"): FOLDER,
    ("process/journal.py", "_begin_file"): NEW,
    ("engines/local/executor.py", "_open"): NEW,
    ("engines/local/executor.py", "poke"): "a pipe, as which it is looked at when it is open; opened without waiting",
    ("scripts/record.py", "write"): FOLDER,
    ("scripts/suspend.py", "_leave_word"): FOLDER,
    ("store/migrations.py", "_keep"): FOLDER,
    ("store/migrations.py", "create"): NEW,
    ("store/migrations.py", "_schema"): "a file of ours, beside the program",
    ("store/trial.py", "check"): NEW,
    ("store/trial.py", "_other"): "the file that `check` has just made",
    ("definitions/kept.py", "_write"): NEW,
    ("cli/commands/import_crontab.py", "_replace"): NEW,
}
HELPERS = {"host/files.py"}
NAMES = {"open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "openat", "FileIO"}
OF_A_DESCRIPTOR = {"fdopen"}  # what it is given was opened before

# What reads texts that people, commands and databases have written. Elsewhere an assert says what the code before it
# has seen to.
READERS = [
    name for name in FILES if name.startswith(("core/", "crontab/", "store/codec", "store/soundness", "cli/import"))
]
READERS += [
    "definitions/files.py",
    "host/settings.py",
    "host/files.py",
    "process/attempt.py",
    "process/journal.py",
]
# (file, function) -> why it holds whatever was written.
ASSERTED: dict[tuple[str, str], str] = {
    ("crontab/supercronic.py", ""): "our own tables, compared when they are loaded",
    ("crontab/lines.py", "_name"): "the pattern matches everything, if only in nothing",
    ("crontab/lines.py", "_split_word"): "the pattern matches everything, if only in nothing",
    ("core/run/children.py", "step_end"): "asked of a step that waits for a child, as the caller has seen",
    ("core/run/children.py", "timed_out"): "asked of a step that waits for a child, as the caller has seen",
    ("core/schedule/schedule.py", "_fires"): "one of four keys, as the definition's check sees to",
    ("core/definition/syntax.py", "_head_keys"): "what stands before it has raised",
    ("core/definition/syntax.py", "_pair"): "what stands before it has raised",
    ("core/run/why.py", "_ended"): "whoever asks of a run without events is told that it cannot be read",
    ("core/schedule/zones.py", "offset_at"): "zoneinfo always has an offset",
    ("core/schedule/zones.py", "offset_of"): "zoneinfo always has an offset",
    ("core/schedule/zones.py", "format_instant"): "zoneinfo always has an offset",
}


def _asserts(name: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()

    def walk(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
            if isinstance(child, ast.Assert):
                found.add((name, inner))
            walk(child, inner)

    walk(ast.parse(FILES[name].read_text()), "")
    return found


def _calls(name: str) -> set[tuple[str, str]]:
    """(file, function) of everything that opens a file there."""
    found: set[tuple[str, str]] = set()

    def walk(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
            if isinstance(child, ast.Call):
                called = child.func
                word = (
                    called.id
                    if isinstance(called, ast.Name)
                    else called.attr
                    if isinstance(called, ast.Attribute)
                    else ""
                )
                if word in NAMES - OF_A_DESCRIPTOR:
                    found.add((name, inner))
            walk(child, inner)

    walk(ast.parse(FILES[name].read_text()), "")
    return found


@pytest.mark.parametrize("name", [name for name in FILES if name not in HELPERS])
def test_who_opens_a_file_asks_a_helper(name: str) -> None:
    unknown = _calls(name) - OPENED.keys()
    assert not unknown, f"{sorted(unknown)}: open it with host/files.py, or say in OPENED why it need not be"


def test_the_list_has_nothing_that_is_gone() -> None:
    there = {place for name in FILES if name not in HELPERS for place in _calls(name)}
    assert OPENED.keys() <= there


def test_no_assert_judges_what_somebody_has_written() -> None:
    """`{ , }` in a definitions file ended every daemon that read it, by an assert."""
    there = {place for name in READERS for place in _asserts(name)}
    assert there == ASSERTED.keys(), "raise what is an error of that file or row, or say in ASSERTED why it holds"
