from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jobctl.core.definition import jobs, schema
from jobctl.core.definition.tables import Table, tables

ROOT = Path(__file__).parents[3]
EXAMPLES = [path for path in (ROOT / "jobs.example.toml", *sorted(ROOT.glob("examples/**/*.toml"))) if path.exists()]

FULL = """
[defaults]
timezone = "UTC"
retry = 3
step_timeout = "5m"
[jobs.backup]
description = "Nightly"
schedule = ["@daily", { every = "1h", offset = "5m" }, { at = "2026-12-24T18:00:00+01:00" }]
overlap = "skip"
catchup_window = "24h"
params = { target = "s3", n = { type = "integer", choices = [1, 2] }, l = [] }
env = { A = "1" }
inherit_env = true
keep = { runs = 10, for = "90d" }
log_limit = "64MiB"
notify = { on = ["failed", "missed"], command = "mail" }
command = "x"
[[jobs.trip.steps]]
name = "one"
command = ["x", ""]
retry = { maximum_attempts = 5, initial_interval = "1s", non_retryable_exit_codes = [2] }
timeout = { start_to_close = "1h30m" }
compensate = { command = "y", retry = 2 }
poll = { interval = "250ms" }
foreach = { items = [1, { a = "b" }], max_parallel = 2 }
[[jobs.trip.steps]]
name = "two"
signal = "go"
timeout = "3d"
on_timeout = "continue"
[[jobs.trip.steps]]
name = "three"
job = "backup"
params = { n = 1, deep = { a = [1] } }
[queues.q]
concurrency = 1
"""


@pytest.fixture(scope="module")
def editor() -> jsonschema.Draft202012Validator:
    found = schema.json_schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("text", [FULL, *(path.read_text() for path in EXAMPLES)])
def test_what_is_valid_is_valid_in_an_editor(editor: jsonschema.Draft202012Validator, text: str) -> None:
    assert [error.message for error in editor.iter_errors(tomllib.loads(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "jobs = 3",
        "top = 1",
        "[jobs.a]",
        '[jobs."a b"]\ncommand = "x"',
        "[jobs.a]\ncommand = 5",
        "[jobs.a]\ncommand = []",
        '[jobs.a]\ncommand = ""',
        '[jobs.a]\ncmd = "x"',
        '[jobs.a]\ncommand = "x"\ntimeout = 30',
        '[jobs.a]\ncommand = "x"\ntimeout = "30"',
        '[jobs.a]\ncommand = "x"\ntimeout = ""',
        '[jobs.a]\ncommand = "x"\ntimeout = "10 minutes"',
        '[jobs.a]\ncommand = "x"\nretry = true',
        '[jobs.a]\ncommand = "x"\nretry = { backoff_coefficient = 0.5 }',
        '[jobs.a]\ncommand = "x"\noverlap = "skp"',
        '[jobs.a]\ncommand = "x"\nenv = { A = 1 }',
        '[jobs.a]\ncommand = "x"\nlog_limit = "64 M"',
        '[jobs.a]\ncommand = "x"\nschedule = []',
        '[jobs.a]\ncommand = "x"\nschedule = { cron = "@daily", every = "1h" }',
        '[jobs.a]\ncommand = "x"\nschedule = { cron = "@daily", offset = "1h" }',
        '[jobs.a]\ncommand = "x"\n[[jobs.a.steps]]\nname = "s"\ncommand = "x"',
        '[[jobs.a.steps]]\ncommand = "x"',
        '[[jobs.a.steps]]\nname = "s"',
        '[[jobs.a.steps]]\nname = "s"\ncommand = "x"\nsleep = "5s"',
        '[[jobs.a.steps]]\nname = "s"\nsleep = "5s"\npoll = { interval = "1s" }',
        '[[jobs.a.steps]]\nname = "s"\ncommand = "x"\nmax_parallel = 2',
        '[jobs.a]\ncommand = "x"\n[defaults]\nsteps = []',
    ],
)
def test_what_is_wrong_with_a_key_is_wrong_in_an_editor_too(editor: jsonschema.Draft202012Validator, text: str) -> None:
    assert jobs.parse(text.encode(), file="", folder="/")[0] is None
    assert not editor.is_valid(tomllib.loads(text))


def test_every_key_says_what_it_means() -> None:
    seen: list[Table] = []
    waiting = [schema.FILE, schema.JOB, schema.STEP]
    while waiting:
        table = waiting.pop()
        seen.append(table)
        for key, spec in table.keys.items():
            assert spec.about.endswith("."), f"{table.name}.{key}"
            assert set(spec.beside) <= set(table.keys), f"{table.name}.{key}"
            waiting += [inner for inner in tables(spec.shape) if inner not in seen]
    assert {"retry", "timeout", "schedule", "notify", "keep"} <= {table.name for table in seen}


def test_a_hint_for_a_foreign_key_never_hides_a_key_of_ours() -> None:
    for table in (schema.JOB, schema.STEP, schema.DEFAULTS):
        for key in table.keys:
            problems: list[Any] = []
            table.read({key: None}, (), lambda path, message, hint: problems.append((path, message, hint)))  # noqa: B023
            assert not any("there is no key" in message for _, message, _ in problems)
