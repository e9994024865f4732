"""What is read from files takes work in proportion to it: of twice as much of anything, about twice as much.

Work is lines of Python that are executed; and, for what these do not tell, the processor at sizes far apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from jobctl.core import text
from jobctl.core.errors import DefinitionError, JobctlError
from jobctl.crontab.convert import convert
from jobctl.crontab.entry import Dialect
from jobctl.definitions import files as definitions
from jobctl.host import settings
from jobctl.process import attempt, logs
from jobctl.scripts import record

JOB = "[jobs.x]\ncommand = 'true'\n"
STEPS = "[jobs.x]\n"


def work(act: Callable[[], object]) -> int:
    """Lines of Python that it executes."""
    lines = 0

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return lines


def step(number: int, more: str = "") -> str:
    return f"[[jobs.x.steps]]\nname = 's{number}'\ncommand = 'true'\n{more}"


def many(piece: Callable[[int], str], count: int) -> str:
    return "".join(piece(number) for number in range(count))


DEFINITIONS: dict[str, Callable[[int], str]] = {
    "a dotted key": lambda n: ".".join("a" * n) + " = 1\n",
    "a dotted key of quoted names": lambda n: ".".join(['"a"'] * n) + " = 1\n",
    "a dotted head": lambda n: "[" + ".".join("a" * n) + "]\n",
    "a dotted head of a list": lambda n: JOB + "[[" + ".".join("a" * n) + "]]\n",
    "a dotted key in braces": lambda n: JOB + "env = { " + ".".join("A" * n) + " = 1 }\n",
    "comments in braces": lambda n: JOB + "env = {\n" + "# c\n" * n + "A = '1' }\n",
    "lines in braces": lambda n: JOB + "env = {" + "\n" * n + "A = '1' }\n",
    "commas in braces": lambda n: JOB + "env = { " + ", " * n + "}\n",
    "braces that stay open": lambda n: JOB + "env = " + "{ a = " * n + "\n",
    "brackets that stay open": lambda n: JOB + "env = " + "[" * n + "\n",
    "brackets on lines of their own": lambda n: JOB + "= \n" + "[\n" * n + "\n",
    "brackets that are closed": lambda n: JOB + "env = " + "[" * n + "]" * n + "\n",
    "variables in braces": lambda n: JOB + "env = {\n" + many(lambda i: f"A{i} = '1',\n", n) + "}\n",
    "unknown keys": lambda n: JOB + many(lambda i: f"k{i} = 1\n", n),
    "unknown tables": lambda n: many(lambda i: f"[k{i}]\na = 1\n", n),
    "jobs": lambda n: many(lambda i: f"[jobs.j{i}]\ncommand = 'true'\n", n),
    "jobs with a mistake": lambda n: many(lambda i: f"[jobs.j{i}]\ncomand = 'true'\n", n),
    "jobs with schedules": lambda n: many(lambda i: f"[jobs.j{i}]\ncommand = 'true'\nschedule = '0 3 * * *'\n", n),
    "jobs with wrong schedules": lambda n: many(lambda i: f"[jobs.j{i}]\ncommand = 'a'\nschedule = '* * * * X'\n", n),
    "jobs that start one": lambda n: (
        JOB + many(lambda i: f"[jobs.j{i}]\n[[jobs.j{i}.steps]]\nname = 'a'\njob = 'x'\n", n)
    ),
    "steps": lambda n: STEPS + many(step, n),
    "steps in braces": lambda n: (
        STEPS + "steps = [" + many(lambda i: f"{{ name = 's{i}', command = 'a' }},\n", n) + "]"
    ),
    "one that needs all": lambda n: (
        STEPS
        + many(lambda i: step(i, "needs = []\n"), n)
        + step(n, f"needs = [{', '.join(repr(f's{i}') for i in range(n))}]\n")
    ),
    "a ring": lambda n: STEPS + many(lambda i: step(i, f"needs = ['s{(i + 1) % n}']\n"), n),
    "a chain from its end": lambda n: (
        STEPS + many(lambda i: step(i, f"needs = ['s{i + 1}']\n"), n) + step(n, "needs = []")
    ),
    "steps that need what is not there": lambda n: STEPS + many(lambda i: step(i, f"needs = ['t{i}']\n"), n),
    "references": lambda n: f"[jobs.x]\ncommand = '{'{{ run.id }} ' * n}'\n",
    "wrong references": lambda n: f"[jobs.x]\ncommand = '{'{{ nope.x }} ' * n}'\n",
    "references that stay open": lambda n: f"[jobs.x]\ncommand = '{'{{ ' * n}'\n",
    "results of the step before": lambda n: (
        STEPS + many(lambda i: step(i) + f"env = {{ A = '{{{{ steps.s{max(0, i - 1)}.stdout }}}}' }}\n", n)
    ),
    "a long list of minutes": lambda n: JOB + f"schedule = '{'0,' * n}0 * * * *'\n",
    "schedules of a job": lambda n: JOB + f"schedule = [{', '.join(repr(f'{i % 60} 0 * * *') for i in range(n))}]\n",
    "a key again and again": lambda n: JOB + "a = 1\n" * n,
    "quotes": lambda n: JOB + "a = " + '"\\"' * n + "\n",
    "texts of lines": lambda n: JOB + "a = '''" + '\'\'"""' * n + "\n",
    "backslashes": lambda n: JOB + 'a = "' + "\\" * (2 * n) + "\n",
    "parameters": lambda n: JOB + "params = {" + ", ".join(f"p{i} = 1" for i in range(n)) + "}\n",
    "tags": lambda n: JOB + "tags = [" + ", ".join(f"'t{i}'" for i in range(n)) + "]\n",
    "arguments": lambda n: "[jobs.x]\ncommand = [" + ", ".join(f"'t{i}'" for i in range(n)) + "]\n",
    "queues": lambda n: JOB + many(lambda i: f"[queues.q{i}]\nconcurrency = 1\n", n),
    "variables": lambda n: JOB + "[defaults.env]\n" + many(lambda i: f"A{i} = '1'\n", n),
    "items": lambda n: STEPS + step(0, f"foreach = [{', '.join(map(str, range(n)))}]\n"),
    "a duration": lambda n: JOB + f"timeout = '{'1h' * n}'\n",
    "a zone": lambda n: JOB + f"timezone = '{'a/' * n}'\n",
    "a long name": lambda n: JOB + "a" * n + " = 1\n",
    "blanks": lambda n: JOB + " " * n + "= 1\n",
    "empty lines": lambda n: JOB + "\n" * n + "x\n",
}


def read_definitions(path: Path) -> object:
    return definitions.check_file(str(path))


def _of_attempts(read: Callable[[str], object]) -> Callable[[Path], object]:
    def act(path: Path) -> None:
        with suppress(ValueError):
            read(str(path))

    return act


def read_env_file(path: Path) -> None:
    with suppress(DefinitionError):
        definitions.read_env_file(str(path))


def read_crontab(path: Path) -> None:
    with suppress(JobctlError):
        convert(path.read_text(), Dialect.DEBIAN, user_field=False, user="me")


def read_settings(path: Path) -> None:
    with suppress(JobctlError):
        settings._read_config(str(path))


def read_log(path: Path) -> None:
    cleaner = text.Cleaner()
    lines = logs.LineBuffer()
    for chunk in logs.read(str(path)):
        cleaner.feed(chunk)
        lines.feed(chunk)
    logs.last_lines(str(path), 10)
    logs.tail_offset(str(path), 100)


OTHERS: dict[str, tuple[Callable[[Path], object], Callable[[int], str]]] = {
    "outputs": (_of_attempts(attempt.read_outputs), lambda n: many(lambda i: f"k{i}=v\n", n)),
    "blocks of outputs": (_of_attempts(attempt.read_outputs), lambda n: many(lambda i: f"k{i}<<E{i}\nv\nE{i}\n", n)),
    "a block that stays open": (_of_attempts(attempt.read_outputs), lambda n: "k<<E\n" * n),
    "blocks with one end": (_of_attempts(attempt.read_outputs), lambda n: "k<<E\n" * n + "E\n"),
    "a failure": (_of_attempts(attempt.read_failure), lambda n: "message=x\n" * n),
    "a heartbeat": (_of_attempts(attempt.read_cursor), lambda n: "7\n" * n),
    "a suspension": (_of_attempts(attempt.read_suspension), lambda n: "[" * n),
    "a value with ends": (
        lambda path: record.pair("k", path.read_text()),
        lambda n: many(lambda i: f"END{'_' * i}\n", n),
    ),
    "an env file": (read_env_file, lambda n: many(lambda i: f"A{i}=1\n", n)),
    "an env file with mistakes": (read_env_file, lambda n: "what is this\n" * n),
    "an env file's quotes": (read_env_file, lambda n: 'A="' + '\\"' * n + "\n"),
    "a config file": (read_settings, lambda n: ".".join("a" * n) + " = 1\n"),
    "a config file of keys": (read_settings, lambda n: many(lambda i: f"k{i} = 1\n", n)),
    "a crontab": (read_crontab, lambda n: many(lambda i: f"{i % 60} * * * * /bin/job{i}\n", n)),
    "a crontab of one command": (read_crontab, lambda n: "0 * * * * /bin/job\n" * n),
    "a crontab of comments": (read_crontab, lambda n: "# a\n" * n + "0 * * * * a\n"),
    "a crontab of variables": (read_crontab, lambda n: many(lambda i: f"A{i}=1\n", n) + "0 * * * * a\n"),
    "a crontab of mistakes": (read_crontab, lambda n: "99 * * * * a\n" * n),
    "a long command": (read_crontab, lambda n: "0 * * * * " + "a && " * n + "b\n"),
    "a command of percent signs": (read_crontab, lambda n: "0 * * * * a" + "%" * n + "\n"),
    "a command of parentheses": (read_crontab, lambda n: "0 * * * * " + "$(" * n + "\n"),
    "a list of minutes": (read_crontab, lambda n: "0" + ",0" * n + " * * * * a\n"),
    "a log": (read_log, lambda n: "line\n" * n),
    "a log without lines": (read_log, lambda n: "\x1b[2J" * n),
    "a log of half characters": (read_log, lambda n: "\u202e\r" * n),
}
CASES = {**{f"definitions: {name}": (read_definitions, make) for name, make in DEFINITIONS.items()}, **OTHERS}


@pytest.mark.parametrize("name", CASES)
def test_twice_as_much_takes_about_twice_the_work(name: str, tmp_path: Path) -> None:
    read, make = CASES[name]
    path = tmp_path / "file"
    path.write_text(make(400))
    read(path)  # what is loaded and remembered at the first time is nobody's
    done = []
    for size in (2, 200, 400):
        path.write_text(make(size))
        done.append(work(lambda: read(path)))
    nothing, first, second = done
    assert second - nothing <= 2.6 * max(first - nothing, nothing, 2_000), done


@pytest.mark.parametrize("name", CASES)
def test_four_times_as_much_takes_no_sixteen_times_the_processor(name: str, tmp_path: Path) -> None:
    """What lines do not tell: copies, slices, regular expressions. Between 4 and 16 there is room for any machine."""
    read, make = CASES[name]
    path = tmp_path / "file"
    ratios = []
    for _ in range(3):
        spent = []
        for size in (1_500, 6_000):
            path.write_text(make(size))
            before = time.process_time()
            read(path)
            spent.append(time.process_time() - before)
        ratios.append(spent[1] / max(spent[0], 0.02))
        if ratios[-1] < 9:
            return
    pytest.fail(f"{ratios}")


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("jobs", lambda n: many(lambda i: f"[jobs.j{i}]\ncommand = 'true'\n", n)),
        ("jobs", lambda n: many(lambda i: f"[ jobs . j{i} ]\r\ncommand = 'true'\r\n", n)),
        ("steps", lambda n: STEPS + many(step, n)),
        ("steps", lambda n: STEPS + many(lambda i: f"  [[ jobs.x.steps ]]\nname = 's{i}'\ncommand = 'true'\n", n)),
    ],
)
def test_a_file_with_a_hundred_thousand_is_refused_before_it_is_read(
    what: str, make: Callable[[int], str], tmp_path: Path
) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(make(100_000))
    problems: list[Any] = []
    lines = work(lambda: problems.extend(definitions.check_file(str(path))[1]))
    assert [str(problem).partition("has too many ")[2].split(":")[0] for problem in problems] == [what]
    assert problems[0].hint
    assert lines < 1_000_000  # a few for each line of it, where reading it takes some hundred


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("jobs", lambda n: many(lambda i: f"jobs.j{i}.command = 'true'\n", n)),
        ("jobs", lambda n: "jobs = {" + many(lambda i: f"j{i} = {{ command = 'true' }}, ", n) + "}\n"),
        ("steps", lambda n: STEPS + "steps = [" + many(lambda i: f"{{ name = 's{i}', command = 'a' }},\n", n) + "]"),
    ],
)
def test_other_ways_to_write_them_count_too(what: str, make: Callable[[int], str], tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(make(10_001))
    found, problems = definitions.check_file(str(path))
    assert found is None
    assert f"has too many {what}: more than 10,000" in str(problems[0])
    assert len(problems) == 1


def test_ten_thousand_are_not_too_many(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(JOB + many(lambda i: f"[jobs.j{i}]\ncommand = 'true'\n", 9_999))
    found, problems = definitions.check_file(str(path))
    assert not problems
    assert found is not None
    assert len(found.jobs) == 10_000


@pytest.mark.parametrize("written", ["a.b.c", '"a.b".c', "version = '1.2.3'", "'" + ".".join("a" * 99) + "'"])
def test_what_only_looks_deep_is_none(tmp_path: Path, written: str) -> None:
    path = tmp_path / "jobs.toml"
    deep = ".".join("a" * 99)
    path.write_text(
        JOB
        + f'description = "{deep} [[[[ {"[" * 99}"\n# {deep} = {"{" * 99}\n'
        + f"env = {{ A = '''\n{deep} = {'[' * 99}\n{written}\n''', B = 'x' }}\n"
    )
    found, problems = definitions.check_file(str(path))
    assert not problems
    assert found is not None


def test_a_thousand_mistakes_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(JOB + many(lambda i: f"k{i} = 1\n", 3_000))
    _, problems = definitions.check_file(str(path))
    assert len(problems) == 1_001
    assert "the others are not looked for" in str(problems[-1])
